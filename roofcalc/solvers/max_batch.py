"""Solvers: the largest batch under memory and latency constraints, and the longest context under a FLOP limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, step_at
from roofcalc.physics.ops.types import NO_SHARING, SharedPrefix
from roofcalc.physics.prefill import prefill
from roofcalc.physics.resources import UNKNOWN
from roofcalc.physics.serving import served_limit
from roofcalc.solvers.integer_search import largest_integer
from roofcalc.solvers.max_context import MAX_CONTEXT
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BATCH = 2**40
TOLERANCE = 1e-12  # T·r ≤ 1 up to rounding


class MaxBatch(NamedTuple):
    """Largest batches, each array in the broadcast shape of contexts and interactivities.

    Attributes
    ----------
    max_batch : array
        The smaller of the two limits; nan where some sequences fit but no time is known, since the device lists no peak.
    limited_by : array of str
        weights, capacity, max_seqs (`--max-seqs`), interactivity (not even one sequence is fast enough), the resource that takes the
        most time, prompts where those of others take more, or unknown where no time is known.
    batch_memory, batch_interactivity : array
        The largest batch that fits; the largest that is fast enough (nan where no time is known).
    step_s : array
        Seconds of the step at max_batch; nan where that is 0.
    """

    max_batch: NDArray[Any]
    limited_by: NDArray[np.str_]
    batch_memory: NDArray[Any]
    batch_interactivity: NDArray[Any]
    step_s: NDArray[Any]


@formula("T_allowed = A/interactivity")
def batch_interactivity(step: Timed, interactivity: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The largest batch whose step is short enough for each user; exact, since step time never falls with the batch.

    inf where any batch is: at rate 0, and with chunked prefill where a step is fast enough even with every step full.
    """
    rate = np.asarray(interactivity, dtype=float)
    allowed = step.deployment.accepted * (1 + TOLERANCE)
    found = largest_integer(lambda batch: step.seconds(batch) * rate <= allowed, shape, MAX_BATCH)
    return np.where((rate == 0) | (found >= MAX_BATCH), np.inf, found)


def max_batch(deployment: Deployment, seq: Any, interactivity: Any, step: Timed | None = None, shared_prefix: SharedPrefix = NO_SHARING) -> MaxBatch:
    """The largest batch that fits and gives every user at least `interactivity` tokens per second.

    Parameters
    ----------
    seq, interactivity : array_like
        Context in tokens, and tokens per second per user; they broadcast.
    step : Timed, optional
        The step to time, in the broadcast shape, for instance a mean over a generation; default: the step at `seq`.
    shared_prefix : SharedPrefix
        Streams that share a prefix: the batch counts queries, and `step` is that of all streams of the queries.
    """
    seq, rate = np.broadcast_arrays(np.asarray(seq, dtype=float), np.asarray(interactivity, dtype=float))
    fitting, cap = memory.batch_memory(deployment, seq, shared_prefix), np.floor(memory.seqs_cap(deployment) / shared_prefix.count)
    if not deployment.has_time:
        fits, unknown = fitting > 0, np.full(seq.shape, np.nan)
        limit = np.where(fits, UNKNOWN, _why_nothing_fits(deployment, seq))
        return MaxBatch(np.where(fits, np.nan, 0.0), limit, fitting, unknown, unknown)
    step = step_at(deployment, seq) if step is None else step
    fast = batch_interactivity(step, rate, seq.shape)
    most = np.minimum(np.minimum(fitting, cap), fast)
    served = np.maximum(most, 1)
    limit = served_limit(step, served)
    limit = np.where(fitting <= fast, "capacity", limit)
    limit = np.where((cap < fitting) & (cap <= fast), "max_seqs", limit)
    limit = np.where(fast == 0, "interactivity", limit)
    limit = np.where(fitting == 0, _why_nothing_fits(deployment, seq), limit)
    seconds = np.where(most > 0, step.seconds(served), np.nan)
    return MaxBatch(most, limit, fitting, fast, seconds)


def flop_limited_context(deployment: Deployment, batch: Any, interactivity: Any) -> NDArray[Any]:
    """The longest context at which `batch` users at `interactivity` need no more than the achievable FLOP/s; nan where any is short enough.

    0 where the GEMMs alone need more. Ignores bandwidth, network and memory.
    """
    batch, rate = np.broadcast_arrays(np.asarray(batch, dtype=float), np.asarray(interactivity, dtype=float))
    compute_only = _compute_only(deployment)
    allowed = deployment.accepted * (1 + TOLERANCE)
    found = largest_integer(lambda seq: step_at(compute_only, seq).resources(batch)["compute"] * rate <= allowed, batch.shape, MAX_CONTEXT)
    return np.where(found >= MAX_CONTEXT, np.nan, found)


def flop_limited_prompt(deployment: Deployment, batch: Any, rate: Any) -> NDArray[Any]:
    """The longest prompt whose FLOPs take at most 1/`rate` seconds; nan where any is short enough."""
    batch, rate = np.broadcast_arrays(np.asarray(batch, dtype=float), np.asarray(rate, dtype=float))
    compute_only = _compute_only(deployment)

    def fast_enough(seq: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(prefill(compute_only, np.maximum(seq, 1), 0.0, batch).ttft_s * rate <= 1 + TOLERANCE)

    found = largest_integer(fast_enough, batch.shape, MAX_CONTEXT)
    return np.where(found >= MAX_CONTEXT, np.nan, found)


def _compute_only(deployment: Deployment) -> Deployment:
    """The deployment limited by arithmetic alone: near-infinite memory bandwidth, no network, no overhead."""
    device = deployment.hardware.device
    fast = replace(device, memory=replace(device.memory, bandwidth_gb_s=1e15))
    assumed = replace(deployment.assumptions, overlap="full", network="ideal", layer_overhead_us=0.0, step_overhead_us=0.0)
    draft = deployment.draft
    if draft and draft.deployment:
        draft = replace(draft, deployment=_compute_only(draft.deployment))
    return replace(deployment, hardware=replace(deployment.hardware, device=fast), assumptions=assumed, draft=draft)


def _why_nothing_fits(deployment: Deployment, seq: Any) -> str:
    return "capacity" if memory.weights_fit(deployment, seq) else "weights"
