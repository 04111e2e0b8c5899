"""Solvers: the largest batch under memory and latency constraints, and the context at which compute becomes the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, limited_by, step_at
from roofcalc.physics.ops.types import NO_SHARING, SharedPrefix
from roofcalc.physics.prefill import prefill
from roofcalc.solvers.integer_search import largest
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BATCH = 2**40
MAX_SEQ = 2**40
TOLERANCE = 1e-12  # T·r ≤ 1 up to rounding


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
    """The largest batch whose step takes no longer than each user allows: exact, since a step never gets shorter with B; inf at rate 0.

    Formulas
    --------
    T_allowed = A/r
    """
    rate = np.asarray(interactivity, dtype=float)
    allowed = step.deployment.accepted * (1 + TOLERANCE)
    found = largest(lambda batch: step.seconds(batch) * rate <= allowed, shape, MAX_BATCH)
    return np.where(rate == 0, np.inf, found)


def max_batch(deployment: Deployment, seq: Any, interactivity: Any, step: Timed | None = None, shared_prefix: SharedPrefix = NO_SHARING) -> MaxBatch:
    """The largest batch that fits and gives every user `interactivity` tokens per second.

    Parameters
    ----------
    seq, interactivity : array_like
        Context in tokens, and tokens per second per user; they broadcast.
    step : Timed, optional
        What takes the time, in the broadcast shape: the mean over a generation; by default the step at `seq`.
    shared_prefix : SharedPrefix
        Of several streams that share a prefix, whose queries are counted; `step` is then theirs.
    """
    seq, rate = np.broadcast_arrays(np.asarray(seq, dtype=float), np.asarray(interactivity, dtype=float))
    fitting = memory.batch_memory(deployment, seq, shared_prefix)
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
    return "capacity" if memory.weights_fit(deployment) else "weights"
