"""The options that put a part of a model into the host's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofcalc.catalog import cpus, hosts
from roofcalc.commands.arguments import single_integer
from roofcalc.deployment import offload
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.usual_engine import divides_layers
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Hardware, Hosts
from roofcalc.specs.host import FRACTIONS, Host
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from roofcalc.commands.request import Request

KEYS = ("cpu", "count", "numa", "memory_gb", "memory_gb_s", "tflop_s", "link_gb_s", "nvme_gb_s", *FRACTIONS)
LARGEST = 1e7


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
    if layers is not None and single_integer(layers, "--gpu-layers", 10_000, 0) == 0:
        raise RoofcalcError("--gpu-layers: a model that the CPUs run alone is not calculated; the least is 1, the output layer")
    if layers is not None and single_integer(layers, "--gpu-layers", 10_000) > deployment.model.depth:
        layers = None  # every layer is on the devices; llama.cpp's `-ngl 99 --n-cpu-moe 20` then names experts on the host
        if text is None:
            return deployment
    if deployment.hardware.device.memory.shared_with_host:
        raise RoofcalcError(f"--offload: the memory of {deployment.hardware.device.name} is the host's; there is no second one")
    fields: dict[str, Any] = offload.parse(text) if text is not None else {}
    if layers is not None:
        fields["gpu_layers"] = single_integer(layers, "--gpu-layers", 10_000)
    assumed, given = deployment.assumptions, _parsed(request.options.get("host") or "")
    host = machine_host(deployment.hardware, request.options.get("host"), assumed.is_typical, assumed.engine)
    found = offload.offloaded(deployment, offload.Offload(host=host, **fields))
    computes = found.offload is not None and (found.offload.experts == "cpu" or bool(offload.host_layers(found.model, found.offload)))
    if not computes and (idle := [name for name in ("tflop_s", "mfu", "numa") if name in given]):
        request.note(f"--host: {idle[0]} changes nothing here: what is streamed is computed by the devices")
    several = assumed.is_typical and _sockets(deployment.hardware, given) > 1 and "mbu" not in given
    if computes and "numa" in given and not several:
        request.note("--host: numa changes nothing here: it is about what typical takes of the memory of several sockets")
    if computes and several and "numa" not in given and divides_layers(assumed.engine):
        request.note("llama.cpp: threads read the memory of all sockets, at the bandwidth of one; with --numa distribute give --host numa=on")
    if found.offload is not None and host.tflop_s is None and computes:
        request.note("the CPUs' peak is not known: their arithmetic is not counted, only the bytes that they read; give it with --host tflop_s=…")
    tiers = found.offload is not None and found.offload.has_tier
    if tiers and request.table.command != "memory" and not deployment.assumptions.hit_rate:
        raise RoofcalcError("--offload: kv=… changes nothing without --hit-rate, the fraction of a prompt that earlier requests left there")
    if host.memory_gb is None:
        request.note("the size of the host's memory is not known: whether it holds what is offloaded is not checked; give it with --host memory_gb=…")
    return found


def machine_host(hardware: Hardware, text: str | None, typical: bool = False, engine: str | None = None) -> Host:
    """The host of a machine: the catalog's figures, overridden by those of `text` (`cpu=AMD EPYC 9374F,count=2,memory_gb=768`).

    `memory_gb`, `memory_gb_s` and `tflop_s` are of all packages together, `link_gb_s` per device and direction; `mbu`, `expert_mbu`, `mfu`
    and `stream` are fractions that are reached, in `typical` by default those of `roofcalc.deployment.offload`. `numa` is "on" where each
    package computes what lies in its own memory; llama.cpp does not unless told to.

    Raises
    ------
    RoofcalcError
        An unknown key or CPU, or a value out of range.
    """
    given = _parsed(text) if text is not None else {}
    sockets = _sockets(hardware, given)
    cpu, count, numa = (given.pop(name, None) for name in ("cpu", "count", "numa"))
    if cpu is not None:
        listed: hosts.Host | None = hosts.described(Hosts(sockets, cpus.cpu(cpu).name), hardware.device, hardware.count)
    elif count is not None and "memory_gb_s" not in given:
        raise RoofcalcError("--host: count is that of cpu=NAME or of the memory of memory_gb_s=…; give one of them too")
    else:
        listed = hosts.host(hardware)
    if numa not in (None, "on", "off"):
        raise RoofcalcError(f"--host: numa={numa!r} is not on or off")
    numbers = {name: _number(name, value) for name, value in given.items()}
    if "mbu" in numbers:
        numbers.setdefault("expert_mbu", numbers["mbu"])
    found = replace(_figures(listed or hosts.described(Hosts(1.0), hardware.device, hardware.count), typical), **numbers)
    if not typical:
        return found
    own_memory = numa == "on" if numa is not None else not divides_layers(engine)
    return replace(found, **(offload.reached(found.memory_gb_s, sockets, own_memory) | numbers))


def _sockets(hardware: Hardware, given: dict[str, str]) -> float:
    """The packages of a machine's host: as given, else one of a named CPU, else the catalog's."""
    if "count" in given:
        return _number("count", given["count"])
    listed = hosts.host(hardware) if "cpu" not in given else None
    return 1.0 if listed is None else listed.packages


def _figures(listed: hosts.Host, typical: bool) -> Host:
    """The figures that offloading needs: the peak in 16 bit, or in fp32 on CPUs that have no instructions for it.

    In `typical` the vector units' fp32 peak: engines' CPU kernels reach about that much, with matrix units or without.
    """
    peaks = listed.peak_tflop_s
    vector = peaks.get("fp32", 0.0)
    return Host(
        memory_gb=listed.memory_gb,
        memory_gb_s=listed.memory_gb_s,
        tflop_s=(vector if typical else max(peaks.get("bf16", 0.0), vector)) or None,
        link_gb_s=listed.link_gb_s if listed.link_known else None,
    )


def _parsed(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in text.split(",") if text else ():
        name, sign, value = item.strip().partition("=")
        name = name.strip().lower()
        if not sign or name not in KEYS:
            raise RoofcalcError(f"--host: {item.strip()!r} is not one of {', '.join(f'{key}=…' for key in KEYS)}{did_you_mean(name, KEYS)}")
        if name in found:
            raise RoofcalcError(f"--host: {name} is given twice")
        found[name] = value.strip()
    return found


def _number(name: str, text: str) -> float:
    most = 1.0 if name in FRACTIONS else LARGEST
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= most:
        raise RoofcalcError(f"--host: {name}={text!r} is not a number above 0 and up to {most:g}")
    return value
