"""The options that put a part of a model into the host's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofcalc.catalog import hosts
from roofcalc.commands.arguments import single_integer
from roofcalc.deployment import offload
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.specs.host import Host
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from roofcalc.commands.request import Request

TYPICAL = {"mbu": 0.7, "mfu": 0.3}  # fractions of a host's peaks that `typical` takes


def offloaded(request: Request, deployment: Deployment) -> Deployment:
    """The deployment with what `--offload` and `--gpu-layers` name in the host's memory; notes say what was taken.

    Raises
    ------
    RoofcalcError
        Options that cannot be read or combined, or a figure of the host that is missing.
    """
    text, layers = request.options.get("offload"), request.options.get("gpu_layers")
    if text is None and layers is None:
        raise RoofcalcError("--host: has no effect without --offload or --gpu-layers")
    fields = offload.parse(text) if text is not None else {}
    if layers is not None:
        fields["gpu_layers"] = single_integer(layers, "--gpu-layers", 10_000)
    host = _host(request, deployment)
    found = offload.offloaded(deployment, offload.Offload(host=host, **fields))  # type: ignore[arg-type]
    uses_cpu = found.offload is not None and (found.offload.experts == "cpu" or offload.host_layers(found.model, found.offload))
    if uses_cpu and host.tflop_s is None:
        request.note("the CPUs' peak is not known: their arithmetic is not counted, only the bytes that they read; give it with --host tflop_s=…")
    if host.memory_gb is None:
        request.note("the size of the host's memory is not known: whether it holds what is offloaded is not checked; give it with --host memory_gb=…")
    return found


def _host(request: Request, deployment: Deployment) -> Host:
    """The host's figures; in `typical` with the fractions of its peaks that engines reach."""
    text = request.options.get("host")
    host = hosts.host(deployment.hardware, text)
    if not deployment.assumptions.is_typical:
        return host
    given = {item.partition("=")[0].strip().lower() for item in (text or "").split(",")}
    return replace(host, **{name: value for name, value in TYPICAL.items() if name not in given})
