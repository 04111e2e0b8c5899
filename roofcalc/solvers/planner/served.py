"""What a plan's replicas do at the demanded load: sequences in flight, speed, times to the first and to the last token, what limits them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory, serving
from roofcalc.physics.generation import Timed
from roofcalc.physics.queueing import batch_in_flight, queue_wait_s
from roofcalc.physics.serving import ServedStep, served_limit
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.planner import deadlines
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.replica import PrefillTimes, max_load, prefill_times, requests_per_s

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Served(NamedTuple):
    """Figures of one demand, arrays of shape (1,).

    Attributes
    ----------
    batch : array
        Sequences in flight over all working replicas.
    tok_s : array
        Output tokens per second of them all.
    interactivity : array
        Tokens per second of each user.
    first_s, late_s : array
        Mean time to first token of the longest kind of prompt, and the 95th percentile of all requests; nan where it is not known.
    last_s : array
        Mean time to the last token of the kind of request that takes longest; nan without generations.
    busy : array
        The rate over the most that is possible whenever tokens come; nan without a rate.
    most : array
        Sequences that one replica holds at the demanded speed.
    carried : float
        The largest load of one replica.
    limited_by : str
        What limits it.
    """

    batch: NDArray[Any]
    tok_s: NDArray[Any]
    interactivity: NDArray[Any]
    first_s: NDArray[Any]
    late_s: NDArray[Any]
    last_s: NDArray[Any]
    busy: NDArray[Any]
    most: NDArray[Any]
    carried: float
    limited_by: str


def served(need: Demand, deployment: Deployment, replicas: float) -> Served:
    """The figures of `replicas` working replicas that meet a single demand."""
    step, fits = need.step(deployment), need.fitting(deployment)
    paced = need.served_step(step)
    fast = solver.batch_interactivity(paced, need.interactivity, fits.shape)
    most, prompts = np.minimum(fits, fast), prefill_times(need, deployment)
    if need.rate is not None:
        each = _in_flight(need, step, need.rate / replicas, most)
        batch, per_s = each * replicas, need.rate * need.answer
    else:
        assert need.batch is not None
        batch, each = need.batch, np.ceil(need.batch / replicas)
        per_s = batch * deployment.accepted / step.seconds(each)
        if need.osl is not None:
            per_s = batch * need.answer * requests_per_s(need, step, each, prompts) / each
    carried = float(max_load(need, deployment).most[0])
    first, late, last = _times(need, step, most, each, prompts, replicas)
    busy, limit = np.full(each.shape, np.nan), _limit(paced, fits, fast)
    if need.rate is not None:
        without = [_carried(need, deployment, deadline) for deadline in (("ttft_s", "latency_s"), ("latency_s",))]
        busy = need.rate / replicas / without[0]
        if (most * prompts.prefill_s_per_request > need.answer / deployment.accepted * step.seconds(most))[0]:
            limit = str(prompts.limited_by[0])
        if carried < without[0] * (1 - 1e-9):
            limit = "latency" if carried < without[1] * (1 - 1e-9) else "ttft"
    elif need.osl is not None and carried < most[0]:
        limit = "latency" if carried < _carried(need, deployment, ("latency_s",)) else "ttft"
    return Served(batch, np.asarray(per_s), deployment.accepted / np.asarray(paced.seconds(each)), first, late, last, busy, most, carried, limit)


def _in_flight(need: Demand, step: Timed, rate: NDArray[Any], most: NDArray[Any]) -> NDArray[Any]:
    """Sequences in flight on one replica at a rate, by Little's law with the wait in the queue; `most` where the queue alone holds the rest."""
    wait_s: Any = _wait_without_queue_s
    if deadlines.has_queue(need, step.deployment):
        waiting = deadlines.queue(need, step, most)
        wait_s = queue_wait_s(rate / waiting.ranks, waiting.prompts)
    paced = ServedStep(step, need.isl, need.osl, need.chunk, need.parts)
    batch = batch_in_flight(rate, paced.served, wait_s, need.answer, most)
    return np.where(np.isnan(batch), most, batch)


def _wait_without_queue_s(one: serving.Served) -> NDArray[Any]:
    """What the first token takes on top of the prompt's own time where prompts are read in chunks or elsewhere."""
    assert one.prompt is not None
    return np.asarray(one.ttft_s - one.prompt.own_s)


def _carried(need: Demand, deployment: Deployment, deadlines_: tuple[str, ...]) -> float:
    """The largest load of one replica without some deadlines."""
    unlimited: dict[str, Any] = {name: np.full(need.interactivity.shape, np.inf) for name in deadlines_}
    return float(max_load(need._replace(**unlimited), deployment).most[0])


def _limit(paced: Timed, fits: NDArray[Any], fast: NDArray[Any]) -> str:
    """What limits the sequences of a replica."""
    if fast[0] < fits[0]:
        return str(served_limit(paced, fast)[0])
    return "max_seqs" if fits[0] >= memory.seqs_cap(paced.deployment) else "capacity"


def _times(
    need: Demand, step: Timed, most: NDArray[Any], each: NDArray[Any], prompts: PrefillTimes, replicas: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Seconds to the first token, its 95th percentile, and to the last, with `each` sequences in flight on every replica."""
    unknown = np.full(each.shape, math.nan)
    if need.osl is None:
        return prompts.first_s, unknown, unknown
    if need.rate is None or not deadlines.has_queue(need, step.deployment):
        first, last = deadlines.staggered_s(need, step, each)
        return first, unknown, last
    waiting, rate = deadlines.queue(need, step, most), need.rate / replicas
    first, late = deadlines.ttft_s(need, waiting, rate), deadlines.ttft_s(need, waiting, rate, 95.0)
    return first, late, deadlines.latency_s(need, step, each, waiting.first_s, first - waiting.first_s.max(axis=-1))
