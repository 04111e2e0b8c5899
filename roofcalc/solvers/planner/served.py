"""What a plan's replicas do at the demanded load: sequences in flight, speed, times to the first and to the last token, what limits them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed
from roofcalc.physics.load import Loaded, goodput, late_s, loaded
from roofcalc.physics.serving import ServedStep, served_limit
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.planner import deadlines
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.replica import max_load, prefill_times, requests_per_s

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
    goodput : array
        Share of the requests that meet the limits on the first token and on their speed; nan without a rate, and of a mix of requests.
    at_percentile_s : array
        The time to first token at the demanded percentile; nan where none is demanded.
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
    goodput: NDArray[Any]
    at_percentile_s: NDArray[Any]
    most: NDArray[Any]
    carried: float
    limited_by: str


def served(need: Demand, deployment: Deployment, replicas: float) -> Served:
    """The figures of `replicas` working replicas that meet a single demand."""
    step, fits = need.step(deployment), need.fitting(deployment)
    paced = need.served_step(step)
    fast = solver.batch_interactivity(paced, need.interactivity, fits.shape)
    most, carried = np.minimum(fits, fast), float(max_load(need, deployment).most[0])
    if need.rate is not None:
        return _at_rate(need, step, replicas, fits, fast, carried)
    assert need.batch is not None
    batch, each, prompts = need.batch, np.ceil(need.batch / replicas), prefill_times(need, deployment)
    per_s = batch * deployment.accepted / step.seconds(each)
    unknown, limit = np.full(each.shape, math.nan), _limit(paced, fits, fast)
    first, last = prompts.first_s, unknown
    if need.osl is not None:
        per_s = batch * need.answer * requests_per_s(need, step, each, prompts) / each
        first, last = deadlines.staggered_s(need, step, each)
        if carried < most[0]:
            limit = "latency" if carried < _carried(need, deployment, ("latency_s",)) else "ttft"
    speed = deployment.accepted / np.asarray(paced.seconds(each))
    return Served(batch, np.asarray(per_s), speed, first, unknown, last, unknown, unknown, unknown, most, carried, limit)


def _at_rate(need: Demand, step: Timed, replicas: float, fits: NDArray[Any], fast: NDArray[Any], carried: float) -> Served:
    """The figures at a rate of requests (`roofcalc.physics.load`)."""
    assert need.rate is not None
    deployment, most = step.deployment, np.minimum(fits, fast)
    each = need.rate / replicas
    at = loaded(ServedStep(step, need.isl, need.osl, need.chunk, need.parts), np.minimum(each, carried * (1 - 1e-9)), most)
    free = carried if not deadlines.has_deadline(need) else _carried(need, deployment, ("ttft_s", "latency_s"))
    prompts, limit = prefill_times(need, deployment), _limit(need.served_step(step), fits, fast)
    if (most * prompts.prefill_s_per_request > need.answer / deployment.accepted * step.seconds(most))[0]:
        limit = str(prompts.limited_by[0])
    if carried < free * (1 - 1e-9):
        limit = "latency" if carried < _carried(need, deployment, ("latency_s",)) * (1 - 1e-9) else "ttft"
    times = deadlines.first_s(at), at.ttft_late_s, deadlines.last_s(need, at)
    shares = each / free, _goodput(need, step, at), np.full(each.shape, math.nan) if need.percentile is None else late_s(at, need.percentile)
    return Served(at.batch * replicas, need.rate * need.answer, 1 / at.served.tpot_s, *times, *shares, most, carried, limit)


def _goodput(need: Demand, step: Timed, at: Loaded) -> NDArray[Any]:
    """The share of the requests of one kind that meet their limits."""
    assert need.osl is not None
    if need.isl.shape[-1] > 1:
        return np.full(need.interactivity.shape, math.nan)
    with np.errstate(divide="ignore"):
        return goodput(ServedStep(step, need.isl[..., 0], need.osl[..., 0], need.chunk), at, need.ttft_s, 1 / need.interactivity)


def _carried(need: Demand, deployment: Deployment, deadlines_: tuple[str, ...]) -> float:
    """The largest load of one replica without some deadlines."""
    unlimited: dict[str, Any] = {name: np.full(need.interactivity.shape, np.inf) for name in deadlines_}
    return float(max_load(need._replace(**unlimited), deployment).most[0])


def _limit(paced: Timed, fits: NDArray[Any], fast: NDArray[Any]) -> str:
    """What limits the sequences of a replica."""
    if fast[0] < fits[0]:
        return str(served_limit(paced, fast)[0])
    return "max_seqs" if fits[0] >= memory.seqs_cap(paced.deployment) else "capacity"
