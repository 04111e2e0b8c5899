"""What of a model lies in the host's memory: streamed to the devices in each step, or computed by the CPUs.

`--offload weights=host:40` keeps 40 GB per device in the host's memory and reads them over the host link in each step (vLLM's
--cpu-offload-gb); `experts=host` does so with routed experts; with `experts=cpu` the CPUs compute them (ktransformers, llama.cpp's
--cpu-moe). `experts=cpu:20` takes the first 20 layers that have experts, as llama.cpp's --n-cpu-moe does. `--gpu-layers N` leaves
N layers on the devices, counted as llama.cpp does since 2025: the output layer first, then the last layers of the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofcalc.errors import RoofcalcError
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.formula import formula
from roofcalc.specs.host import Host
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record, replace

if TYPE_CHECKING:
    from roofcalc.deployment.deployment import Deployment
    from roofcalc.deployment.parallelism import Stage

FORMS = "weights=host:GB, experts=host[:LAYERS], experts=cpu[:LAYERS], kv=host:GB or kv=nvme:GB"
MAX_GB = 1e7
# What engines reach of a host, for `typical`; docs/offload.md has the published runs that three of these were chosen by.
READ = 0.8  # of the bandwidth of a socket's memory, where its cores only read
LAYERS_GB_S, EXPERTS_GB_S = 1200.0, 270.0  # what a socket's cores would unpack and multiply of memory that took no time
SOCKETS = 0.87  # of the sum of several sockets that each compute what lies in their own memory
COPIES = {"mfu": 1.0, "stream": 0.9}


@formula("layers = s_h/(1/ρ_h + β_s/u_l)", "experts = s_h/(1/ρ_h + β_s/u_e)")
def reached(memory_gb_s: float | None, sockets: float, own_memory: bool) -> dict[str, float]:
    """The fractions of a host's figures that engines reach, as `--host` takes them.

    The cores of a socket read its memory, then unpack and multiply what they read; the small matrices of experts, at whose end all threads
    meet, cost them more than those of layers. Several sockets add up if each computes what lies in its own memory. Otherwise they read one
    another's over the links between them, and reach together what one of them would.

    Parameters
    ----------
    memory_gb_s : float, optional
        Bandwidth over all sockets; where it is not known, fractions of it have no effect. [GB/s]
    sockets : float
    own_memory : bool
        Whether the engine places weights so: copies or shares of the experts for each socket (ktransformers, SGLang), or `--numa distribute`.
    """
    together = 1.0 if sockets <= 1 else SOCKETS if own_memory else 1 / sockets
    of_socket = (memory_gb_s or 0.0) / max(sockets, 1.0)
    layers, experts = (round(together / (1 / READ + of_socket / rate), 3) for rate in (LAYERS_GB_S, EXPERTS_GB_S))
    return {"mbu": layers, "expert_mbu": experts, **COPIES}


class Offload(Record):
    """What lies in the host's memory.

    Attributes
    ----------
    host : Host
    weights_gb : float
        Weights per device that are streamed in each step. [GB]
    experts : "", "host" or "cpu"
        Where routed experts are: on the devices, streamed from the host's memory, or computed by the CPUs.
    expert_layers : int, optional
        The first so many layers with experts; None: all of them.
    gpu_layers : int, optional
        Layers that the devices hold, the output layer counted first; None: all.
    kv_host_gb, kv_nvme_gb : float
        Room for the caches of earlier requests in the host's memory and on its drives; what prompts find (`--hit-rate`) is fetched from
        the slower of them. [GB]
    """

    host: Host
    weights_gb: float = 0.0
    experts: str = ""
    expert_layers: int | None = None
    gpu_layers: int | None = None
    kv_host_gb: float = 0.0
    kv_nvme_gb: float = 0.0

    @property
    def has_tier(self) -> bool:
        """Whether the caches of earlier requests lie outside the devices."""
        return self.kv_host_gb > 0 or self.kv_nvme_gb > 0

    @property
    def label(self) -> str | None:
        """As `--offload` takes it."""
        layers = f":{self.expert_layers}" if self.expert_layers is not None else ""
        found = [f"weights=host:{self.weights_gb:g}"] if self.weights_gb else []
        found += [f"experts={self.experts}{layers}"] if self.experts else []
        found += [f"kv={tier}:{size:g}" for tier, size in (("host", self.kv_host_gb), ("nvme", self.kv_nvme_gb)) if size]
        return " ".join(found) or None


def parse(text: str) -> dict[str, object]:
    """The fields of `Offload` that `--offload` gives.

    Raises
    ------
    RoofcalcError
        A word that is none of the forms, a number out of range, or the same thing twice.
    """
    found: dict[str, object] = {}
    for item in text.replace(",", " ").split():
        what, _, where = item.lower().partition("=")
        place, _, amount = where.partition(":")
        match what, place:
            case "weights", "host":
                new: dict[str, object] = {"weights_gb": _gb(item, amount)}
            case "kv", "host" | "nvme":
                new = {f"kv_{place}_gb": _gb(item, amount)}
            case "experts", "host" | "cpu":
                new = {"experts": place, "expert_layers": _layers(item, amount) if amount else None}
            case _:
                raise RoofcalcError(f"--offload: {item!r} is not one of {FORMS}")
        if any(name in found for name in new):
            raise RoofcalcError(f"--offload: {what} is given twice ({text!r})")
        found |= new
    if not found:
        raise RoofcalcError(f"--offload: give one or more of {FORMS}")
    return found


def _gb(item: str, amount: str) -> float:
    try:
        value = float(amount.removesuffix("gb"))
    except ValueError:
        value = -1.0
    if not 0 < value <= MAX_GB:
        raise RoofcalcError(f"--offload: {item!r} needs a number of GB, as in {item.split(':')[0]}:40")
    return value


def _layers(item: str, amount: str) -> int:
    if not (amount.isascii() and amount.isdigit() and 1 <= int(amount) <= 10_000):
        raise RoofcalcError(f"--offload: {item!r} needs a number of layers, as in {item.split(':')[0]}:20")
    return int(amount)


def offloaded(deployment: Deployment, offload: Offload) -> Deployment:
    """The deployment with a part of it in the host's memory.

    Raises
    ------
    RoofcalcError
        Nothing to offload, a layout in which the part is not defined, the preset `bound`, or a figure of the host that is missing.
    """
    model, layout, host = deployment.model, deployment.layout, offload.host
    if deployment.assumptions.is_bound:
        raise RoofcalcError("--offload: bound takes no memory but the devices'; use --assume roofline or typical")
    if offload.experts and not layers_with_experts(model):
        raise RoofcalcError(f"--offload: {model.name} has no routed experts; use weights=host:GB or --gpu-layers")
    found = replace(deployment, offload=offload)
    if layout.pp > 1 and not found.takes_stages:
        raise RoofcalcError("--offload, --gpu-layers: a number of layers is only defined without pipeline stages; give --pp 1")
    if offload.gpu_layers is not None and (offload.experts or offload.weights_gb):
        raise RoofcalcError("--gpu-layers: cannot be combined with --offload weights or experts unless it names every layer (--gpu-layers 99)")
    if offload.weights_gb or offload.experts == "host":
        host.figure("link_gb_s", "the bandwidth between host and device")
        host.figure("memory_gb_s", "the bandwidth of the host's memory")
    if offload.has_tier:
        host.figure("link_gb_s", "the bandwidth between host and device")
        host.figure("memory_gb_s", "the bandwidth of the host's memory")
    if offload.kv_nvme_gb:
        host.figure("nvme_gb_s", "the read bandwidth of the host's drives")
    if host.memory_gb is not None and offload.kv_host_gb > host.memory_gb:
        raise RoofcalcError(f"--offload: kv=host:{offload.kv_host_gb:g} is more than the {host.memory_gb:g} GB of the host's memory")
    if offload.experts == "cpu" or host_layers(model, offload):
        host.figure("memory_gb_s", "the bandwidth of the host's memory")
        host.figure("link_gb_s", "the bandwidth between host and device")
    return found


def layers_with_experts(model: Model) -> dict[str, int]:
    """Layers with routed experts, by block."""
    return {name: layers for name, layers in model.groups.items() if isinstance(model.blocks[name].mlp, Experts)}


def host_layers(model: Model, offload: Offload) -> dict[str, int]:
    """Layers whose weights, cache and computation are the host's, by block: the first ones of the model."""
    if offload.gpu_layers is None:
        return {}
    return first_layers(model, max(0, model.depth + 1 - max(offload.gpu_layers, 1)))


def first_layers(model: Model, count: int, only: dict[str, int] | None = None) -> dict[str, int]:
    """The blocks of the first `count` layers of a model, or of those of its layers whose block is in `only`."""
    found: dict[str, int] = {}
    left = count
    for name, layers in model.runs:
        if only is not None and name not in only:
            continue
        taken = min(left, layers)
        if taken:
            found[name] = found.get(name, 0) + taken
        left -= taken
    return found


def expert_host_layers(deployment: Deployment, stage: Stage) -> dict[str, int]:
    """Layers of a stage whose routed experts lie in the host's memory, by block."""
    offload = deployment.offload
    if offload is None or not offload.experts:
        return {}
    here = dict(stage.groups)
    if offload.expert_layers is None:
        return {name: here[name] for name in layers_with_experts(deployment.model) if name in here}
    return first_layers(deployment.model, offload.expert_layers, layers_with_experts(deployment.model))
