"""Advice where a model does not fit: the fewest devices, or the widest weight dtype, that would hold it."""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, head_counts
from roofcalc.physics import memory
from roofcalc.solvers.layouts import sized
from roofcalc.specs import dtypes
from roofcalc.specs.record import replace

MAX_DEVICES = 4096
NARROWER = ("bf16", "fp8", "nvfp4", "mxfp4", "int4")  # offered where weights do not fit, widest first


def what_would_fit(deployment: Deployment, seq: float) -> str:
    """One sentence: the fewest devices, and the widest weights on these, that hold the model and one sequence."""
    model, hardware = deployment.model, deployment.hardware
    weights = memory.system_weight_bytes(deployment)
    cache = float(memory.system_kv_bytes(deployment, seq))
    room = memory.system_capacity_bytes(deployment)
    holds = f"{weights / 1e9:.1f} GB of {deployment.weights_label} weights"
    one = f"one sequence of {seq:.0f} tokens"
    if memory.weights_fit(deployment):
        holds, condition = f"{holds} and {cache / 1e9:.1f} GB of cache for {one}", ""
    else:
        condition = f"with {one} "
    fewest, dtype = fewest_devices(deployment, seq), widest_weights(deployment, seq)
    if fewest is not None:
        place = (
            f"these {hardware.count} in another layout"
            if fewest.devices == hardware.count
            else f"{fewest.devices} such device{'s' * (fewest.devices > 1)}"
        )
        ways = f"{condition}it fits {place} (--tp {fewest.tp} --pp {fewest.pp})"
    else:
        ways = f"it fits no number of such devices up to {MAX_DEVICES}"
    ways += f", or {hardware.name} as it is with {dtype} weights" if dtype else "; narrower weights alone do not help"
    return f"{model.name} does not fit {hardware.name} ({holds} against {room / 1e9:.1f} GB): {ways}"


def fewest_devices(deployment: Deployment, seq: float) -> Layout | None:
    """The layout with the smallest number of such devices, no replicas, that holds the model and one sequence.

    Enumerated, since more devices do not always fit what fewer did: heads and layers divide badly over some numbers.
    """
    hardware = deployment.hardware
    whole = replace(deployment, hardware=replace(hardware, count=1), layout=Layout())  # dividing it only adds copies
    needed = memory.system_weight_bytes(whole) + float(memory.system_kv_bytes(whole, seq))
    least = int(min(needed / deployment.usable_bytes, MAX_DEVICES)) or 1
    for count in range(least, MAX_DEVICES + 1):
        degrees = [t for t in range(1, count + 1) if count % t == 0]
        domain = sized(hardware, count).domain
        for tp in sorted(degrees, key=lambda t: (t > domain, -t)):  # within a domain the widest first
            layout = Layout(tp, count // tp)
            if _fits(deployment, layout, deployment.weights, seq):
                return layout
    return None


def widest_weights(deployment: Deployment, seq: float) -> str | None:
    """The widest of the common weight dtypes that fits the same devices and layout with one sequence."""
    widest_first = sorted(NARROWER, key=lambda one: -dtypes.dtype(one).bytes_per_element)
    return next((name for name in widest_first if _fits(deployment, deployment.layout, name, seq)), None)


def _fits(deployment: Deployment, layout: Layout, weights: str, seq: float) -> bool:
    model = deployment.model
    if layout.pp > model.depth or any(heads % layout.tp for heads in head_counts(model)):
        return False
    hardware = replace(deployment.hardware, count=layout.devices)
    draft = deployment.draft
    if draft and draft.deployment:
        if layout.pp > 1:
            return False
        draft = replace(draft, deployment=replace(draft.deployment, hardware=hardware, layout=Layout(layout.tp, 1, layout.dp), weights=weights))
    other = replace(deployment, hardware=hardware, layout=layout, weights=weights, draft=draft)
    return bool(memory.batch_memory(other, seq) >= 1)
