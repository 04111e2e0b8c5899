"""The solvers: the largest batch that is fast enough and fits, and what would make a model fit."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roofcalc import capacity, precision
from roofcalc.deployment import Deployment, deploy
from roofcalc.errors import RoofcalcError
from roofcalc.hardware import Hardware
from roofcalc.roofline import Step, decode
from roofcalc.solve import largest

MAX_BATCH = 2**40
MAX_DEVICES = 4096
TOLERANCE = 1e-12  # T·r ≤ 1 up to rounding
NARROWER = ("bf16", "fp8", "nvfp4", "mxfp4", "int4")  # offered where weights do not fit, widest first


class MaxBatch(NamedTuple):
    """Largest batches, each array in the broadcast shape of contexts and interactivities.

    Attributes
    ----------
    max_batch : array
        The smaller of the two limits.
    limited_by : array of str
        weights, capacity, interactivity (not one sequence is fast enough), or the resource that takes the most time.
    batch_memory, batch_interactivity : array
        Sequences that fit; sequences that are served fast enough (nan where the device has no peak to compute at).
    step_s : array
        Seconds of the step at max_batch; nan where that is 0.
    """

    max_batch: NDArray[Any]
    limited_by: NDArray[np.str_]
    batch_memory: NDArray[Any]
    batch_interactivity: NDArray[Any]
    step_s: NDArray[Any]


def batch_interactivity(step: Step, interactivity: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The largest batch whose step takes no longer than 1/interactivity: exact, since a step never gets shorter with B."""
    rate = np.asarray(interactivity, dtype=float)
    return largest(lambda batch: step.seconds(batch) * rate <= 1 + TOLERANCE, shape, MAX_BATCH)


def max_batch(deployment: Deployment, seq: Any, interactivity: Any) -> MaxBatch:
    """The largest batch that fits and gives every user `interactivity` tokens per second.

    Parameters
    ----------
    seq, interactivity : array_like
        Context in tokens, and tokens per second per user; they broadcast.
    """
    seq, rate = np.broadcast_arrays(np.asarray(seq, dtype=float), np.asarray(interactivity, dtype=float))
    fitting = capacity.batch_memory(deployment, seq)
    if not deployment.has_time:
        unknown = np.full(seq.shape, np.nan)
        limit = np.where(fitting > 0, "capacity", _why_nothing_fits(deployment))
        return MaxBatch(fitting, limit, fitting, unknown, unknown)
    step = decode(deployment, seq)
    fast = batch_interactivity(step, rate, seq.shape)
    most = np.minimum(fitting, fast)
    served = np.maximum(most, 1)
    limit = step.limited_by(served)
    limit = np.where(fitting <= fast, "capacity", limit)
    limit = np.where(fast == 0, "interactivity", limit)
    limit = np.where(fitting == 0, _why_nothing_fits(deployment), limit)
    seconds = np.where(most > 0, step.seconds(served), np.nan)
    return MaxBatch(most, limit, fitting, fast, seconds)


def _why_nothing_fits(deployment: Deployment) -> str:
    return "capacity" if capacity.weights_fit(deployment) else "weights"


def what_would_fit(deployment: Deployment, seq: float) -> str:
    """One sentence: the fewest devices, and the widest weights on these, that hold the model and one sequence."""
    model, hardware = deployment.model, deployment.hardware
    devices = fewest_devices(deployment, seq)
    dtype = widest_weights(deployment, seq)
    ways = [f"from {devices} devices on" if devices else f"not on up to {MAX_DEVICES} devices"]
    ways.append(f"on {'this one' if hardware.count == 1 else f'these {hardware.count}'} with {dtype} weights" if dtype else "on these in no dtype")
    size = capacity.system_weight_bytes(deployment) / 1e9
    room = capacity.system_capacity_bytes(deployment) / 1e9
    what = f"{size:.1f} GB of {deployment.weights_label} weights against {room:.1f} GB"
    return f"{model.name} does not fit {hardware.name} ({what}); with one sequence of {seq:g} tokens it fits {', '.join(ways)}"


def fewest_devices(deployment: Deployment, seq: float) -> int | None:
    """The smallest number of such devices on which some layout without replicas holds the model and one sequence."""
    hardware = deployment.hardware
    least = capacity.system_weight_bytes(deployment) / deployment.layout.dp / deployment.usable_bytes
    for count in range(max(1, int(np.ceil(least))), MAX_DEVICES + 1):
        other = Hardware(hardware.name, hardware.device, count, hardware.link, hardware.scale_out_bytes_per_s)
        if count > hardware.domain and hardware.scale_out_bytes_per_s is None:
            return None
        for tp in (t for t in range(1, count + 1) if count % t == 0):
            if _fits(deployment, other, deployment.weights, seq, tp, count // tp):
                return count
    return None


def widest_weights(deployment: Deployment, seq: float) -> str | None:
    """The widest of the common weight dtypes that fits the same devices and layout with one sequence."""
    layout = deployment.layout
    for name in sorted(NARROWER, key=lambda one: -precision.dtype(one).bytes_per_element):
        if _fits(deployment, deployment.hardware, name, seq, layout.tp, layout.pp):
            return name
    return None


def _fits(deployment: Deployment, hardware: Hardware, weights: str, seq: float, tp: int, pp: int) -> bool:
    try:
        other = deploy(
            deployment.model,
            hardware,
            weights=weights,
            kv=deployment.kv.name,
            tp=tp,
            pp=pp,
            assumptions=deployment.assumptions,
        )
    except RoofcalcError:  # no such layout
        return False
    return bool(capacity.batch_memory(other, seq) >= 1)
