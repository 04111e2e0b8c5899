"""Time to first token and to the last of a replica: in a queue where requests come at a rate, staggered where so many are in flight.

Requests per second arrive at random times, so that prompts queue (`roofcalc.physics.load`). Where a number of sequences is given,
it is that of `roofcalc.physics.serving`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.physics import load
from roofcalc.physics.generation import Timed, prompt_waits
from roofcalc.physics.load import Kinds, Loaded
from roofcalc.physics.queueing import share_later
from roofcalc.physics.serving import Served, ServedStep
from roofcalc.solvers.integer_search import largest_integer
from roofcalc.solvers.planner.demand import Demand
from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


class InTime(NamedTuple):
    """What a replica can carry in time, for each demand.

    Attributes
    ----------
    most : array
        Sequences in flight, or requests per second.
    late, slow : array of bool
        The first token, or the last, is never in time.
    """

    most: NDArray[Any]
    late: NDArray[np.bool_]
    slow: NDArray[np.bool_]


def has_deadline(demand: Demand) -> bool:
    """Whether any demand limits the time to the first token or to the last."""
    return bool(np.isfinite(demand.ttft_s).any() or np.isfinite(demand.latency_s).any())


def staggered_s(demand: Demand, step: Timed, batch: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean time to the first token and to the last with `batch` sequences in flight, each of the kind of request that takes longest."""
    one = ServedStep(step, demand.isl, demand.osl, demand.chunk, demand.parts, idle=False).served(np.maximum(batch, 1.0))
    ranks = np.full((*np.shape(batch), 1), float(step.deployment.layout.dp))
    first, _ = prompt_waits(step.deployment, demand.isl, demand.osl, ranks, demand.chunk)
    wait = one.ttft_s - (first * demand.parts).sum(axis=-1)
    return np.asarray(wait + first.max(axis=-1)), latency_s(demand, step, batch, first, wait)


@formula("latency = TTFT + osl·TPOT")
def latency_s(demand: Demand, step: Timed, batch: NDArray[Any], first_s: NDArray[Any], wait_s: Any) -> NDArray[Any]:
    """Mean time to the last token with `batch` sequences in flight, of the kind of request that takes longest.

    Parameters
    ----------
    first_s : array (N, K)
        Time to first token of each kind without waiting.
    wait_s : array
        Seconds in the queue.
    """
    assert demand.osl is not None
    tpot = np.asarray(demand.served_step(step).seconds(np.maximum(batch, 1.0))) / step.deployment.accepted
    return np.asarray(wait_s + (first_s + demand.osl * tpot[..., np.newaxis]).max(axis=-1))


def batch_in_time(demand: Demand, step: Timed, most: NDArray[Any]) -> InTime:
    """The largest batch up to `most` with which the times to the first and to the last token are met."""

    def largest(limits: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[Any]:
        def in_time(batch: NDArray[Any]) -> NDArray[Any]:
            return np.logical_and(*(time <= limit for time, limit in zip(staggered_s(demand, step, batch), limits, strict=True)))

        return np.asarray(np.minimum(most, largest_integer(in_time, most.shape, int(max(1.0, most.max())))))

    unlimited = np.full(most.shape, np.inf)
    first = largest((demand.ttft_s, unlimited))
    both = largest((demand.ttft_s, demand.latency_s)) if np.isfinite(demand.latency_s).any() else first
    return InTime(both, (most >= 1) & (first < 1), (first >= 1) & (both < 1))


def last_s(demand: Demand, at: Loaded) -> NDArray[Any]:
    """Mean time to the last token at a rate, of the kind of request that takes longest."""
    assert demand.osl is not None
    return np.asarray(at.ttft_s - (at.first_s * at.parts).sum(axis=-1) + (at.first_s + demand.osl * at.served.tpot_s[..., np.newaxis]).max(axis=-1))


def first_s(at: Loaded) -> NDArray[Any]:
    """Mean time to the first token at a rate, of the kind of prompt that takes longest."""
    return np.asarray(at.ttft_s - (at.first_s * at.parts).sum(axis=-1) + at.first_s.max(axis=-1))


def rate_in_time(demand: Demand, step: Timed, limit: NDArray[Any]) -> tuple[InTime, NDArray[Any]]:
    """The largest rate of requests of a replica at which they are fast enough and the times to the first and to the last token are met.

    Little's law gives the rate that keeps a batch in flight (`roofcalc.physics.load`); it grows with the batch, and so do all times.

    Parameters
    ----------
    limit : array
        Largest batch.

    Returns
    -------
    InTime, array
        The second without limits on the time to the first and to the last token.
    """
    paced = ServedStep(step, demand.isl, demand.osl, demand.chunk, demand.parts, idle=False)
    limit = np.floor(np.minimum(limit, load.MOST))
    of = load.kinds(paced, np.maximum(limit, 1.0))
    with np.errstate(divide="ignore"):
        slowest = 1.0 / demand.interactivity

    def fast(at: Loaded) -> NDArray[Any]:
        return np.asarray(at.served.tpot_s <= slowest * (1 + 1e-12))

    def first(at: Loaded) -> NDArray[Any]:
        if demand.percentile is None or at.prompts is None:
            return fast(at) & (first_s(at) <= demand.ttft_s)
        late = share_later(demand.ttft_s, at.first_s, at.parts, at.rate, at.prompts)
        return np.asarray(fast(at) & (late <= 1 - demand.percentile / 100 + 1e-12))

    def last(at: Loaded) -> NDArray[Any]:
        return np.asarray(first(at) & (last_s(demand, at) <= demand.latency_s))

    known: dict[tuple[tuple[int, ...], bytes], Served] = {}  # the searches begin with the same numbers in flight

    def at(batch: NDArray[Any]) -> Served:
        key = (batch.shape, batch.tobytes())
        if key not in known:
            known[key] = load.of_mean(paced, batch)
        return known[key]

    free = _largest_rate(paced, of, limit, at, fast)
    early = _largest_rate(paced, of, limit, at, first) if np.isfinite(demand.ttft_s).any() else free
    both = _largest_rate(paced, of, limit, at, last) if np.isfinite(demand.latency_s).any() else early
    return InTime(both, (free > 0) & (early <= 0), (early > 0) & (both <= 0)), free


def rate_bound(demand: Demand, step: Timed, limit: NDArray[Any]) -> NDArray[Any]:
    """A rate of requests that a replica does not exceed with at most `limit` in flight, each fast enough, in one evaluation.

    The most that powers of two in flight carry, up to the first that is too slow: times grow with the batch, and so do rates but for dips, as of
    chunks of short answers, and where ranks or stages are not filled evenly, so that whole multiples of them are looked at. Prompts are taken
    to be alike, which keeps the wait at its least.
    """
    paced = ServedStep(step, demand.isl, demand.osl, demand.chunk, demand.parts, idle=False)
    limit = np.floor(np.minimum(limit, load.MOST))
    powers = 2.0 ** np.arange(int(max(1.0, limit.max())).bit_length() + 1).reshape(-1, *(1,) * limit.ndim)
    ranks, at_once = step.deployment.layout.dp, step.deployment.layout.pp * step.deployment.layout.dp
    batch = np.ceil((np.maximum(np.minimum(powers, limit), 1.0) + ranks) / at_once) * at_once - ranks  # with one more on each rank (`load.of_mean`)
    one = load.of_mean(paced, batch)
    rate = np.maximum.accumulate(load.rate_of(paced, load.ALIKE, batch, one))
    slow = one.tpot_s * demand.interactivity > 1 + 1e-9
    return np.asarray(np.where(slow | (batch >= limit), rate, np.inf).min(axis=0))


def _largest_rate(
    paced: ServedStep, of: Kinds, limit: NDArray[Any], at: Callable[[NDArray[Any]], Served], in_time: Callable[[Loaded], NDArray[Any]]
) -> NDArray[Any]:
    """The largest rate with at most `limit` in flight that is in time: at a whole batch, then between it and the next; 0 where none is.

    `at` gives what requests get with so many in flight.
    """

    def holds(batch: NDArray[Any]) -> NDArray[Any]:
        one = at(batch)
        return in_time(load.at_batch(paced, of, load.rate_of(paced, of, batch, one), batch, one))

    below = np.minimum(largest_integer(holds, limit.shape, int(max(1.0, limit.max()))), limit)
    above = np.minimum(below + 1.0, limit)
    around = (below, at(below)), (above, at(above))
    at_below, high = (load.rate_of(paced, of, *one) for one in around)
    low, high = at_below, np.maximum(at_below, high)  # one more than a multiple of the ranks may carry less
    at_rate = load.between(paced, of, *around)
    for _ in range(40):
        middle = (low + high) / 2
        early = in_time(at_rate(middle))
        low, high = np.where(early, middle, low), np.where(early, high, middle)
    # the rate of a whole batch is in time as `holds` says, even where that of one more in flight is lower (one step more for their prompts)
    found = np.where(in_time(at_rate(low)), low, np.where(below >= 1, at_below, 0.0))
    return np.where(limit >= 1, found, 0.0)
