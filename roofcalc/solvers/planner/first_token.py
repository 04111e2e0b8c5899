"""Time to first token of a replica: in a queue where requests come at a rate, staggered where so many are in flight.

Requests per second arrive at random times, so that prompts queue (`roofcalc.physics.queueing`). Where a number of sequences is
given, where chunks of prompts ride on decode steps, or in `bound`, it is that of `roofcalc.physics.serving`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.generation import Timed, prompt_waits
from roofcalc.physics.queueing import Prompts, largest_rate, largest_rate_of_percentile, queue_wait_s, ttft_percentile_s
from roofcalc.physics.serving import ServedStep
from roofcalc.solvers.integer_search import largest_integer
from roofcalc.solvers.planner.demand import Demand

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
    return Queue(first, Prompts(mean, square, np.asarray(step.seconds(np.maximum(batch, 1.0))) / layout.pp), layout.dp)


def ttft_s(demand: Demand, waiting: Queue, rate: Any, percent: float | None = None) -> NDArray[Any]:
    """Time to first token at `rate` requests per second of a replica: the mean of the longest kind of prompt, or a percentile of all."""
    each = np.asarray(rate, dtype=float) / waiting.ranks
    if percent is None:
        return np.asarray(queue_wait_s(each, waiting.prompts) + waiting.first_s.max(axis=-1))
    return ttft_percentile_s(percent, waiting.first_s, demand.parts, each, waiting.prompts)


def rate_in_time(demand: Demand, waiting: Queue) -> NDArray[Any]:
    """Requests per second of a replica up to which the demanded time to first token is met; 0 where it never is."""
    if demand.percentile is None:
        return waiting.ranks * largest_rate(demand.ttft_s - waiting.first_s.max(axis=-1), waiting.prompts)
    return waiting.ranks * largest_rate_of_percentile(demand.percentile, demand.ttft_s, waiting.first_s, demand.parts, waiting.prompts)


def staggered_ttft_s(demand: Demand, step: Timed, batch: NDArray[Any]) -> NDArray[Any]:
    """Mean time to first token of the longest kind of prompt with `batch` sequences in flight on the replica."""
    one = ServedStep(step, demand.isl, demand.osl, demand.chunk, demand.parts).served(np.maximum(batch, 1.0))
    ranks = np.full((*np.shape(batch), 1), float(step.deployment.layout.dp))
    first, _ = prompt_waits(step.deployment, demand.isl, demand.osl, ranks, demand.chunk)
    return np.asarray(one.ttft_s + first.max(axis=-1) - (first * demand.parts).sum(axis=-1))


def batch_in_time(demand: Demand, step: Timed, most: NDArray[Any]) -> NDArray[Any]:
    """The largest batch up to `most` with which the time to first token is met; 0 where it never is."""

    def in_time(batch: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(staggered_ttft_s(demand, step, batch) <= demand.ttft_s)

    return np.asarray(np.minimum(most, largest_integer(in_time, most.shape, int(max(1.0, most.max())))))
