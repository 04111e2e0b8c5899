"""A replica that is sent requests at a rate: how many are in flight, their first token and speed, and how many meet limits on both.

Requests arrive at random times. Prompts queue (`roofcalc.physics.queueing`); a request that decodes is delayed by the prompts that
arrive meanwhile, whose number is random too. Little's law gives the requests in flight.
Sources: delay busy periods of the M/G/1 queue, L. Kleinrock, Queueing Systems I (1975), sections 5.8 and 5.9; processor sharing with rates
that depend on the number of customers, doi.org/10.1145/321879.321887 (product form); Little's law doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.physics.queueing import Prompts, batch_in_flight, queue_wait_s, share_later, ttft_percentile_s
from roofcalc.physics.serving import Served, ServedStep, combine
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

LATE = 95.0  # percentile of `ttft_late_s`
MOST = 2.0**40
LEAST_LEFT = 0.02  # of a processor


class Loaded(NamedTuple):
    """A replica at a rate, arrays in the shape of rates and requests; nan where it can't keep up.

    Attributes
    ----------
    batch : array
        Requests in flight, on average, rounded up.
    ttft_s, ttft_late_s : array
        Mean and 95th percentile of the time to first token; the latter nan where prompts do not queue here.
    busy : array
        The rate over the most that the replica can serve.
    served : Served
        What that many in flight are served like; their speed.
    rate : array
        Requests per second of one data-parallel rank.
    prompts : Prompts or None
        The queue of a rank; None in `bound`, and where another pool prefills.
    first_s, parts : array
        Own time to first token of each kind of request, along a last axis, and how many of the requests are of it.
    """

    batch: NDArray[Any]
    ttft_s: NDArray[Any]
    ttft_late_s: NDArray[Any]
    busy: NDArray[Any]
    served: Served
    rate: NDArray[Any]
    prompts: Prompts | None
    first_s: NDArray[Any]
    parts: NDArray[Any]


class Kinds(NamedTuple):
    """How the prompts of a mix differ; of one kind of request they are alike.

    Attributes
    ----------
    first : array
        Own time to first token of each kind over the mean, along a last axis.
    square : array
        E[T_p²]/E[T_p]² of the seconds that prompts occupy a rank.
    parts : array
        Fraction of the requests of each kind.
    """

    first: NDArray[Any]
    square: NDArray[Any]
    parts: NDArray[Any]


ALIKE = Kinds(np.ones(1), np.ones(()), np.ones(1))


def kinds(paced: ServedStep, batch: NDArray[Any]) -> Kinds:
    """The kinds of a served step, with about `batch` requests in flight."""
    if paced.parts is None or np.size(paced.parts) == 1:
        return ALIKE
    parts = np.asarray(paced.parts)
    isl, osl = (np.moveaxis(np.broadcast_to(one, (*np.shape(batch), parts.size)), -1, 0) for one in (paced.isl, paced.osl))
    each = replace(paced, isl=isl, osl=osl, parts=None).served(np.broadcast_to(batch, isl.shape))
    first = np.moveaxis(_own_s(each), 0, -1)
    occupied = first if each.prompt is None else np.moveaxis(np.asarray(each.prompt.occupied_s), 0, -1)
    least = 1e-300  # of prompts without tokens
    means = [np.maximum((one * parts).sum(axis=-1), least) for one in (first, occupied)]
    return Kinds(first / means[0][..., np.newaxis], (occupied**2 * parts).sum(axis=-1) / means[1] ** 2, parts)


def loaded(paced: ServedStep, rate: Any, limit: Any) -> Loaded:
    """What each of `rate` requests per second gets, with at most `limit` in flight.

    A request that decodes finds the mean number of others in flight, so that it is served like one of that many and one more: exact for
    a step that grows linearly with the batch (sequences then share a processor, whose number in flight is negative binomial).

    Parameters
    ----------
    paced : ServedStep
        The served step of the requests; the shape of its mean broadcasts with `rate` and `limit`.
    """
    rate, limit, _ = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (rate, np.minimum(limit, MOST), paced.answer)))
    most = np.maximum(np.floor(limit), 1.0)
    of = kinds(paced, most)

    def wait(one: Served) -> Any:
        return 0.0 if one.prompt is None else queue_wait_s(rate / paced.deployment.layout.dp, _prompts(paced, one, of))

    batch = batch_in_flight(rate, lambda some: of_mean(paced, some), wait, paced.answer, limit)
    holds = ~np.isnan(batch)
    around = [np.where(holds, np.maximum(batch - 1.0, 0.0), 1.0), np.where(holds, batch, 1.0)]
    found = between(paced, of, *((some, of_mean(paced, some)) for some in around))(rate)._replace(batch=batch)
    possible = np.where(limit >= 1, rate_of(paced, of, most, of_mean(paced, most)), np.nan)
    first = np.where(holds, found.ttft_s, np.nan)
    return found._replace(ttft_s=first, ttft_late_s=np.where(holds, late_s(found), np.nan), busy=rate / possible)


def between(paced: ServedStep, of: Kinds, below: tuple[NDArray[Any], Served], above: tuple[NDArray[Any], Served]) -> Callable[[NDArray[Any]], Loaded]:
    """A replica by the rate that keeps a number in flight between two, of which it is given what requests get; linear between them.

    The smaller number where it carries the rate: one more than a multiple of the ranks takes a longer step and may carry less. Without the
    percentile and `busy`.
    """
    ends = [(some, None if one.prompt is None else _prompts(paced, one, of), _stay_s(paced, some, one)) for some, one in (below, above)]
    more = combine(below[1], above[1], lambda a, b: np.asarray(b - a))

    def at(rate: NDArray[Any]) -> Loaded:
        each, missing = np.asarray(rate / paced.deployment.layout.dp), []
        for some, prompts, stay in ends:
            wait = 0.0 if prompts is None else queue_wait_s(each, prompts)
            missing.append(some - rate * (wait + stay))
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(missing[1] > missing[0], np.clip(-missing[0] / (missing[1] - missing[0]), 0.0, 1.0), 1.0)
        part = np.where(missing[0] >= -1e-12 * below[0], 0.0, part)
        one = combine(below[1], more, lambda a, b: a + b * part)
        return at_batch(paced, of, rate, below[0] + (above[0] - below[0]) * part, one)

    return at


def at_batch(paced: ServedStep, of: Kinds, rate: Any, batch: NDArray[Any], one: Served) -> Loaded:
    """A replica at a rate that keeps `batch` requests in flight, which are served as `one` says; without the percentile and `busy`."""
    each, unknown, own = np.asarray(rate / paced.deployment.layout.dp), np.full(np.shape(batch), np.nan), _own_s(one)
    prompts = None if one.prompt is None else _prompts(paced, one, of)
    ttft = own if prompts is None else queue_wait_s(each, prompts) + own
    return Loaded(batch, np.asarray(ttft), unknown, unknown, one, each, prompts, own[..., np.newaxis] * of.first, of.parts)


def late_s(at: Loaded, percent: float = LATE) -> NDArray[Any]:
    """The time to first token that `percent` of the requests do not exceed; nan where prompts do not queue here."""
    if at.prompts is None:
        return np.full(np.shape(at.ttft_s), np.nan)
    return ttft_percentile_s(percent, at.first_s, at.parts, at.rate, at.prompts)


@formula("stay = wait + T_first + osl·TPOT", "B = rate·stay")
def rate_of(paced: ServedStep, of: Kinds, batch: NDArray[Any], one: Served) -> NDArray[Any]:
    """Requests per second that keep `batch` in flight, which are served as `one` says: Little's law solved for the rate, with the queue's wait."""
    ranks, stay = paced.deployment.layout.dp, _stay_s(paced, batch, one)
    if one.prompt is None:
        return np.asarray(batch / stay)
    prompts, each = _prompts(paced, one, of), batch / ranks
    stay = stay + prompts.step_s / 2
    # each = x·(stay + x·square/(2·(1 − x·mean))), a square equation for the rate x of a rank
    half = stay + each * prompts.mean_s
    root = np.sqrt(np.maximum(half**2 - 2 * each * (2 * stay * prompts.mean_s - prompts.square_s2), 0.0))
    return np.asarray(ranks * 2 * each / (half + root))


def _stay_s(paced: ServedStep, batch: NDArray[Any], one: Served) -> NDArray[Any]:
    """Seconds of a request in a replica without the queue; in `bound` by the floor on the time of all."""
    if one.prompt is None:
        return np.asarray(np.maximum(batch, 1.0) * paced.answer / one.throughput_tok_s)
    return np.asarray(one.prompt.own_s + paced.answer * one.tpot_s)


def of_mean(paced: ServedStep, batch: NDArray[Any]) -> Served:
    """What requests get with so many in flight on average: a request finds as many others, so that on its rank there is one more.

    Where prompts are not prefilled here, and in `bound`, what so many get.
    """
    assumed = paced.deployment.assumptions
    alone = assumed.is_bound or assumed.prefill == "separate"
    return paced.served(np.maximum(batch, 1.0) if alone else batch + paced.deployment.layout.dp)


def _own_s(one: Served) -> NDArray[Any]:
    return np.asarray(one.ttft_idle_s if one.prompt is None else one.prompt.own_s)


def _prompts(paced: ServedStep, one: Served, of: Kinds) -> Prompts:
    """The queue of a rank, where an arriving prompt finds a decode step under way."""
    assert one.prompt is not None
    occupied = np.asarray(one.prompt.occupied_s)
    step_s = one.decode_s * paced.deployment.accepted / paced.deployment.layout.pp
    return Prompts(occupied, occupied**2 * of.square, np.asarray(step_s))


@formula(
    "grown = slope·osl/A",
    "delayed = rate·(T_added + grown/2)",
    "varied = rate·osl·TPOT/(1 − rate·(T_added + grown))",
    "met = rate·osl·TPOT·grown^2/12 + varied·grown^2/4 + rate·TTFT·(T_added + grown)^2",
    "arriving = rate·osl·TPOT·(T_added^2 + T_added·grown + grown^2/3)",
    "spread = (met + arriving)^0.5/((1 − delayed)·osl)",
)
def tpot_spread_s(paced: ServedStep, at: Loaded) -> NDArray[Any]:
    """Standard deviation of the mean time between tokens of a request, over the requests.

    A generation is a delay busy period. It begins with the request's own steps, longer by `grown` for each other sequence that stays
    as long, by half of that on average for those that it finds; each request that arrives meanwhile delays it by its prompt and, from then
    on, by its sequence, during which further ones arrive. The number that a request finds fluctuates like that of a shared processor (negative
    binomial).
    """
    one, dp = at.served, paced.deployment.layout.dp
    at_once = dp * paced.deployment.layout.pp  # a step takes as long for as many more as for one more
    if one.prompt is None:
        return np.zeros(np.shape(at.batch))
    osl, added = np.asarray(paced.osl, dtype=float), np.asarray(one.prompt.added_s)
    batch = np.where(np.isnan(at.batch), 1.0, at.batch)
    around = dp * np.maximum(np.sqrt(batch / dp), 1.0)
    low, high = (np.ceil(some / at_once) * at_once for some in (np.maximum(batch - around, 1.0), batch + around))
    slope = dp * (np.asarray(paced.step.seconds(high)) - np.asarray(paced.step.seconds(low))) / np.maximum(high - low, 1.0)
    grown = slope * osl / paced.deployment.accepted
    arrivals = at.rate * osl * one.tpot_s
    left = np.maximum(1 - at.rate * (added + grown / 2), LEAST_LEFT)
    in_flight = arrivals / np.maximum(1 - at.rate * (added + grown), LEAST_LEFT)
    waiting = at.rate * np.where(np.isnan(at.ttft_s), 0.0, at.ttft_s)
    found = arrivals * grown**2 / 12 + in_flight * grown**2 / 4 + waiting * (added + grown) ** 2
    arriving = arrivals * (added**2 + added * grown + grown**2 / 3)
    return np.asarray(np.sqrt(found + arriving) / (left * osl))


def goodput(paced: ServedStep, at: Loaded, ttft_s: Any, tpot_s: Any) -> NDArray[Any]:
    """Share of the requests whose first token comes within `ttft_s` and whose tokens come every `tpot_s` seconds or faster on average.

    The queue that a prompt finds and the prompts that come while it decodes are taken as independent, the mean time between tokens as
    normally distributed (`tpot_spread_s`); 0 where the replica can't keep up.
    """
    ttft_s, tpot_s = np.asarray(ttft_s, dtype=float), np.asarray(tpot_s, dtype=float)
    one = at.served
    if one.prompt is None or at.prompts is None:
        in_time = (at.ttft_s <= ttft_s).astype(float)
    else:
        decoding = -np.expm1(-at.rate * paced.answer * one.tpot_s)
        in_time = 1 - share_later(ttft_s + 0 * at.rate, at.first_s, at.parts, at.rate, at.prompts, decoding)
    spread = tpot_spread_s(paced, at)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(spread > 0, (tpot_s - one.tpot_s) / spread, np.where(one.tpot_s <= tpot_s * (1 + 1e-12), np.inf, -np.inf))
    fast = np.vectorize(lambda z: (1 + erf(z / 2**0.5)) / 2, otypes=[float])(score)
    return np.where(np.isnan(at.batch), 0.0, in_time * fast)
