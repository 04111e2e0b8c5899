"""Time to first token and to the last of a replica: in a queue where requests come at a rate, staggered where so many are in flight.

Requests per second arrive at random times, so that prompts queue (`roofcalc.physics.queueing`). Where a number of sequences is
given, where chunks of prompts ride on decode steps, or in `bound`, it is that of `roofcalc.physics.serving`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.generation import Timed, prompt_waits
from roofcalc.physics.prompt_cache import fetch_s
from roofcalc.physics.queueing import Prompts, largest_rate, largest_rate_of_percentile, queue_wait_s, ttft_percentile_s
from roofcalc.physics.serving import ServedStep
from roofcalc.solvers.integer_search import largest_integer
from roofcalc.solvers.planner.demand import Demand
from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Queue(NamedTuple):
    """The prompts of one data-parallel rank.

    Attributes
    ----------
    first_s : array (N, K)
        Own time of a prompt of each kind, without waiting.
    prompts : Prompts
        What they occupy a rank for, and the step that they find running.
    ranks : int
        Ranks of the replica, which share its requests evenly.
    """

    first_s: NDArray[Any]
    prompts: Prompts
    ranks: int


def has_queue(demand: Demand, deployment: Deployment) -> bool:
    """Whether requests arrive at random times and their prompts take the ranks from decoding."""
    assumed = deployment.assumptions
    return demand.rate is not None and assumed.prefill == "colocated" and not assumed.is_bound


def queue(demand: Demand, step: Timed, batch: NDArray[Any]) -> Queue:
    """The queue of a rank while `batch` sequences are in flight on the replica.

    A prompt occupies its rank as long as it delays decoding (`prompt_waits`): in a pipeline the slowest stage, which is free for
    it when one of the micro-batches of a step has passed.
    """
    deployment = step.deployment
    layout = deployment.layout
    in_flight = np.maximum(batch, float(layout.dp * layout.pp))
    first, prompts = prompt_waits(deployment, demand.isl, demand.osl, in_flight[..., np.newaxis], demand.chunk)
    occupied = prompts / in_flight[..., np.newaxis] * layout.dp
    mean, square = (np.asarray((one * demand.parts).sum(axis=-1)) for one in (occupied, occupied**2))
    running = np.asarray(step.seconds(np.maximum(batch, 1.0))) / layout.pp
    return Queue(first + fetch_s(deployment, demand.isl), Prompts(mean, square, running), layout.dp)


def ttft_s(demand: Demand, waiting: Queue, rate: Any, percent: float | None = None) -> NDArray[Any]:
    """Time to first token at `rate` requests per second of a replica: the mean of the longest kind of prompt, or a percentile of all."""
    each = np.asarray(rate, dtype=float) / waiting.ranks
    if percent is None:
        return np.asarray(queue_wait_s(each, waiting.prompts) + waiting.first_s.max(axis=-1))
    return ttft_percentile_s(percent, waiting.first_s, demand.parts, each, waiting.prompts)


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
    one = ServedStep(step, demand.isl, demand.osl, demand.chunk, demand.parts).served(np.maximum(batch, 1.0))
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


def rate_in_time(demand: Demand, step: Timed, most: NDArray[Any], rate: Callable[[NDArray[Any]], NDArray[Any]]) -> InTime:
    """The largest rate of requests of a replica at which the times to the first and to the last token are met.

    More sequences in flight serve more requests per second, and their slower steps leave less time for the queue: the best batch is the
    last at which the queue leaves time for all that it serves, or the one after it.

    Parameters
    ----------
    most : array
        Largest batch; its step is the one that prompts are taken to find running.
    rate : callable
        Requests per second that a batch serves; does not decrease with it.
    """
    waiting, served = queue(demand, step, most), rate(most)
    first = served
    if np.isfinite(demand.ttft_s).any():
        first = np.where(np.isfinite(demand.ttft_s), np.minimum(_first_in_time(demand, waiting), served), served)
    both = first
    if np.isfinite(demand.latency_s).any():

        def queued(batch: NDArray[Any]) -> NDArray[Any]:
            slack = demand.latency_s - latency_s(demand, step, batch, waiting.first_s, 0.0)
            return waiting.ranks * largest_rate(slack, waiting.prompts)

        last = np.minimum(largest_integer(lambda batch: rate(batch) <= queued(batch), most.shape, int(max(1.0, most.max()))), most)
        around = [last, np.minimum(last + 1, most)]
        best = np.maximum(*(np.where(one >= 1, np.minimum(rate(one), queued(one)), 0.0) for one in around))
        both = np.where(np.isfinite(demand.latency_s), np.minimum(first, best), first)
    return InTime(both, (most >= 1) & (first <= 0), (first > 0) & (both <= 0))


def _first_in_time(demand: Demand, waiting: Queue) -> NDArray[Any]:
    """Requests per second of a replica up to which the demanded time to first token is met; 0 where it never is."""
    if demand.percentile is None:
        return waiting.ranks * largest_rate(demand.ttft_s - waiting.first_s.max(axis=-1), waiting.prompts)
    return waiting.ranks * largest_rate_of_percentile(demand.percentile, demand.ttft_s, waiting.first_s, demand.parts, waiting.prompts)
