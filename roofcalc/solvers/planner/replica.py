"""The largest load of one replica in one layout, under memory, interactivity and time to first token.

A replica serves as many sequences as fit and stay fast enough. For requests per second it must hold the sequences in flight by
Little's law (doi.org/10.1287/opre.9.3.383) and prefill their prompts between its steps. Both rates grow with the batch between
multiples of the layout's ranks, so that the largest batch, or the largest multiple of the ranks below it, serves the most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, output_tok_s
from roofcalc.physics.prompt_cache import fetch_s, prompt_prefill
from roofcalc.physics.serving import served
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.planner.deadlines import InTime, batch_in_time, has_deadline, rate_bound, rate_in_time
from roofcalc.solvers.planner.demand import Demand
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

REASONS = ("", "ttft", "latency", "interactivity", "capacity", "weights")  # why a demand is not met, the mildest first


class PrefillTimes(NamedTuple):
    """Prefill times on one replica.

    Attributes
    ----------
    first_s, mean_first_s : array
        Time to first token: the longest over kinds of requests, and the mean.
    prefill_s_per_request : array
        Seconds of the whole replica per prompt on average, with a prompt on every rank and stage.
    limited_by : array of str
        The resource with the largest part of it, for the kind of request that takes the most time.
    """

    first_s: NDArray[Any]
    mean_first_s: NDArray[Any]
    prefill_s_per_request: NDArray[Any]
    limited_by: NDArray[np.str_]


def prefill_times(demand: Demand, deployment: Deployment) -> PrefillTimes:
    """Prefill times of the prompts, or of whole contexts where there are no generations."""
    layout = deployment.layout
    batches = np.array([layout.dp, layout.dp * layout.pp], dtype=float)  # a prompt on each rank; on each rank and stage
    times = prompt_prefill(deployment, demand.isl, batches.reshape(-1, *(1,) * demand.isl.ndim), demand.chunk)
    first, pace = times.ttft_s[0] + fetch_s(deployment, demand.isl), times.batch_prefill_s[1] / batches[1] * demand.parts
    limit = np.take_along_axis(times.limited_by[1], pace.argmax(axis=-1)[..., np.newaxis], axis=-1)[..., 0]
    return PrefillTimes(first.max(axis=-1), (first * demand.parts).sum(axis=-1), pace.sum(axis=-1), limit)


@formula("T_decode = osl/A·T_step", "in flight, Little's law = B/(TTFT + T_decode)", "with prefill on the same devices = B/(T_decode + B·T_prompt)")
def requests_per_s(demand: Demand, step: Timed, batch: NDArray[Any], prompts: PrefillTimes) -> NDArray[Any]:
    """Requests per second of one replica that has `batch` sequences in flight.

    Where prefill is fused with decode steps, delays other ranks or runs in a drafter too, `prompts` does not apply and
    `roofcalc.physics.generation.output_tok_s` gives the rate.
    """
    deployment = step.deployment
    if deployment.assumptions.prefill == "chunked":
        chunked = served(deployment, demand.isl, demand.osl, batch, step, "chunked", demand.chunk, parts=demand.parts)
        return np.asarray(chunked.throughput_tok_s / demand.answer)
    if deployment.assumptions.is_bound or deployment.profile or deployment.draft:
        assert demand.osl is not None
        return np.asarray(output_tok_s(deployment, demand.isl, demand.osl, batch, step, demand.chunk, demand.parts) / demand.answer)
    decoding = demand.answer / deployment.accepted * np.asarray(step.seconds(batch))
    return np.asarray(np.minimum(batch / (prompts.mean_first_s + decoding), batch / (decoding + batch * prompts.prefill_s_per_request)))


class MaxLoad(NamedTuple):
    """The largest load of one replica in one layout, for each demand.

    Attributes
    ----------
    reason : array of int
        Index into `REASONS` of why the demand is not met; 0 where it is.
    most : array
        Sequences, or requests per second if the demand is in these; 0 where the demand is not met.
    step : Timed or None
        The step of the sequences in flight; None where nothing fits.
    """

    reason: NDArray[np.intp]
    most: NDArray[Any]
    step: Timed | None


def max_load(demand: Demand, deployment: Deployment, read: dict[Layout, PrefillTimes] | None = None, met: NDArray[Any] | None = None) -> MaxLoad:
    """The largest load of one replica.

    Parameters
    ----------
    read : dict, optional
        Filled with the prefill times of each layout without dcp, on which they do not depend.
    met : array, optional
        What another layout reaches: a layout that stays below it for lack of memory, or without any prefill, returns 0.
    """
    shape = demand.interactivity.shape
    fitting, nothing = demand.fitting(deployment), np.zeros(shape)
    if fitting.max() < 1:
        why = REASONS.index("capacity" if memory.weights_fit(deployment) else "weights")
        return MaxLoad(np.full(shape, why), nothing, None)
    if met is not None and (fitting < met).all() and demand.rate is None:
        return MaxLoad(np.zeros(shape, dtype=np.intp), nothing, None)
    step = demand.step(deployment)
    if met is not None and demand.rate is not None and _is_less(demand, step, fitting, met):
        return MaxLoad(np.zeros(shape, dtype=np.intp), nothing, step)
    if demand.rate is not None:
        kept, free = rate_in_time(demand, step, fitting)
        batch, fast = fitting, (free > 0).astype(float)
    else:
        fast = solver.batch_interactivity(demand.served_step(step), demand.interactivity, shape)
        batch = np.minimum(fitting, fast)
        kept = InTime(batch, np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool))
    if demand.rate is None and batch.max() >= 1 and has_deadline(demand):
        alike = replace(deployment.layout, dcp=1)
        prompts = (read or {}).get(alike) or prefill_times(demand, deployment)
        if read is not None:
            read[alike] = prompts
        if demand.osl is not None:
            kept = batch_in_time(demand, step, batch)
        kept = kept._replace(late=kept.late | (prompts.first_s > demand.ttft_s))
    causes = [REASONS.index(name) for name in ("capacity", "interactivity", "ttft", "latency")]
    reason = np.select([fitting < 1, fast < 1, kept.late, kept.slow], causes, 0)
    return MaxLoad(reason, np.where(reason == 0, kept.most, 0.0), step)


UNEVEN = 0.05  # by which more in flight may serve a lower rate, where their prompts take one step more


def _is_less(demand: Demand, step: Timed, fitting: NDArray[Any], met: NDArray[Any]) -> bool:
    """Whether a replica certainly carries a lower rate than `met` for every demand; found by two evaluations.

    In `bound`, where the work of prompts and of all decode steps overlaps, decode steps alone may carry less than the requests.
    """
    if not step.deployment.assumptions.is_bound and not _may_carry(demand, step, fitting, met).any():
        return True
    return bool((rate_bound(demand, step, fitting) * (1 + UNEVEN) < met).all())


@formula("B_users = rate·osl/interactivity")
def _may_carry(demand: Demand, step: Timed, fitting: NDArray[Any], rate: NDArray[Any]) -> NDArray[Any]:
    """Whether decode steps without any prompts carry a rate of requests, each of them fast enough; false only where they don't.

    Of the sequences that decode at the lowest speed B_users carry the rate. If the step of so many is too long, the longest step that is short enough
    has fewer, and tokens per second grow with the batch. Where fewer fit, those that fit must carry it.
    """
    layout, accepted, tokens = step.deployment.layout, step.deployment.accepted, rate * demand.answer
    with np.errstate(divide="ignore", invalid="ignore"):
        users = np.floor(tokens / demand.interactivity)
    few, at_once = users < fitting, layout.pp * layout.dp
    batch = np.maximum(np.where(few, users, fitting), 1.0)
    some = np.stack([batch, np.maximum(np.floor(batch / at_once) * at_once, 1.0)])
    seconds = np.asarray(step.seconds(some))
    in_time = seconds[0] * demand.interactivity <= accepted * (1 + 1e-9)
    return np.asarray((few & in_time) | ((some / seconds).max(axis=0) * accepted >= tokens * (1 - 1e-9)))
