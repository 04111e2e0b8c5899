"""The solvers: the largest batch that is fast enough and fits, and what would make a model fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc import capacity, precision
from roofcalc.deployment import Deployment
from roofcalc.generation import Timed, limited_by, step_at
from roofcalc.layout import Layout, head_counts
from roofcalc.operations.base import ALONE, Branches
from roofcalc.prefill import prefill
from roofcalc.record import replace
from roofcalc.solve import largest

if TYPE_CHECKING:  # a tenth of the start would go into it
    from numpy.typing import NDArray

MAX_BATCH = 2**40
MAX_DEVICES = 4096
MAX_SEQ = 2**40
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


def batch_interactivity(step: Timed, interactivity: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The largest batch whose step takes no longer than each user allows: exact, since a step never gets shorter with B.

    Formulas
    --------
    T_allowed = A/r
    """
    rate = np.asarray(interactivity, dtype=float)
    allowed = step.deployment.accepted * (1 + TOLERANCE)
    return largest(lambda batch: step.seconds(batch) * rate <= allowed, shape, MAX_BATCH)


def max_batch(deployment: Deployment, seq: Any, interactivity: Any, step: Timed | None = None, branches: Branches = ALONE) -> MaxBatch:
    """The largest batch that fits and gives every user `interactivity` tokens per second.

    Parameters
    ----------
    seq, interactivity : array_like
        Context in tokens, and tokens per second per user; they broadcast.
    step : Timed, optional
        What takes the time, in the broadcast shape: the mean over a generation; by default the step at `seq`.
    branches : Branches
        Of several streams that share a prefix, whose queries are counted; `step` is then theirs.
    """
    seq, rate = np.broadcast_arrays(np.asarray(seq, dtype=float), np.asarray(interactivity, dtype=float))
    fitting = capacity.batch_memory(deployment, seq, branches)
    if not deployment.has_time:
        unknown = np.full(seq.shape, np.nan)
        limit = np.where(fitting > 0, "capacity", _why_nothing_fits(deployment))
        return MaxBatch(fitting, limit, fitting, unknown, unknown)
    step = step_at(deployment, seq) if step is None else step
    fast = batch_interactivity(step, rate, seq.shape)
    most = np.minimum(fitting, fast)
    served = np.maximum(most, 1)
    limit = limited_by(step, served)
    limit = np.where(fitting <= fast, "capacity", limit)
    limit = np.where(fast == 0, "interactivity", limit)
    limit = np.where(fitting == 0, _why_nothing_fits(deployment), limit)
    seconds = np.where(most > 0, step.seconds(served), np.nan)
    return MaxBatch(most, limit, fitting, fast, seconds)


def flop_limited_context(deployment: Deployment, batch: Any, interactivity: Any) -> NDArray[Any]:
    """The longest context at which the FLOPs that `batch` users want per second stay below the peak; nan where they always do.

    0 where the products by weights alone want more. Bandwidth, network and memory are left aside.
    """
    batch, rate = np.broadcast_arrays(np.asarray(batch, dtype=float), np.asarray(interactivity, dtype=float))
    alone = _compute_alone(deployment)
    allowed = deployment.accepted * (1 + TOLERANCE)
    found = largest(lambda seq: step_at(alone, seq).resources(batch)["compute"] * rate <= allowed, batch.shape, MAX_SEQ)
    return np.where(found >= MAX_SEQ, np.nan, found)


def flop_limited_prompt(deployment: Deployment, batch: Any, rate: Any) -> NDArray[Any]:
    """The longest prompt whose FLOPs alone take no longer than 1/`rate` seconds; nan where none is too long."""
    batch, rate = np.broadcast_arrays(np.asarray(batch, dtype=float), np.asarray(rate, dtype=float))
    alone = _compute_alone(deployment)
    found = largest(lambda seq: prefill(alone, np.maximum(seq, 1), 0.0, batch).ttft_s * rate <= 1 + TOLERANCE, batch.shape, MAX_SEQ)
    return np.where(found >= MAX_SEQ, np.nan, found)


def _compute_alone(deployment: Deployment) -> Deployment:
    """The same with a memory that is never waited for, no network, and no exposed time."""
    device = deployment.hardware.device
    fast = replace(device, memory=replace(device.memory, bandwidth_gb_s=1e15))
    assumed = replace(deployment.assumptions, overlap="full", network="ideal", layer_overhead_us=0.0, step_overhead_us=0.0)
    draft = deployment.draft
    if draft and draft.deployment:
        draft = replace(draft, deployment=_compute_alone(draft.deployment))
    return replace(deployment, hardware=replace(deployment.hardware, device=fast), assumptions=assumed, draft=draft)


def _why_nothing_fits(deployment: Deployment) -> str:
    return "capacity" if capacity.weights_fit(deployment) else "weights"


def what_would_fit(deployment: Deployment, seq: float) -> str:
    """One sentence: the fewest devices, and the widest weights on these, that hold the model and one sequence."""
    model, hardware = deployment.model, deployment.hardware
    weights = capacity.system_weight_bytes(deployment)
    cache = float(capacity.system_kv_bytes(deployment, seq))
    room = capacity.system_capacity_bytes(deployment)
    holds = f"{weights / 1e9:.1f} GB of {deployment.weights_label} weights"
    one = f"one sequence of {seq:.0f} tokens"
    if capacity.weights_fit(deployment):
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
    elif hardware.scale_out_bytes_per_s is None:
        ways = f"no more than {hardware.domain} such devices can be joined, and it fits none of these"
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
    needed = capacity.system_weight_bytes(whole) + float(capacity.system_kv_bytes(whole, seq))
    least = int(min(needed / deployment.usable_bytes, MAX_DEVICES)) or 1
    most = MAX_DEVICES if hardware.scale_out_bytes_per_s is not None else min(MAX_DEVICES, hardware.domain)
    for count in range(least, most + 1):
        degrees = [t for t in range(1, count + 1) if count % t == 0]
        for tp in sorted(degrees, key=lambda t: (t > hardware.domain, -t)):  # within a domain the widest first
            layout = Layout(tp, count // tp)
            if _fits(deployment, layout, deployment.weights, seq):
                return layout
    return None


def widest_weights(deployment: Deployment, seq: float) -> str | None:
    """The widest of the common weight dtypes that fits the same devices and layout with one sequence."""
    widest_first = sorted(NARROWER, key=lambda one: -precision.dtype(one).bytes_per_element)
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
    return bool(capacity.batch_memory(other, seq) >= 1)
