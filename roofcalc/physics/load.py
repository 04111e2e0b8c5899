"""A replica that is sent requests at a rate: how many are in flight, their first token and speed, and how many meet limits on both.

Requests arrive at random times. Prompts queue (`roofcalc.physics.queueing`); a request that decodes is delayed by the prompts that
arrive meanwhile, whose number is random too. Little's law gives the requests in flight.
Sources: delay busy periods of the M/G/1 queue, L. Kleinrock, Queueing Systems I (1975), sections 5.8 and 5.9; processor sharing with rates
that depend on the number of customers, doi.org/10.1145/321879.321887 (product form); Little's law doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from math import erf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.physics.queueing import Prompts, batch_in_flight, queue_wait_s, share_later, ttft_percentile_s
from roofcalc.physics.serving import Served, ServedStep, combine
from roofcalc.specs.formula import formula

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
    """

    batch: NDArray[Any]
    ttft_s: NDArray[Any]
    ttft_late_s: NDArray[Any]
    busy: NDArray[Any]
    served: Served
    rate: NDArray[Any]
    prompts: Prompts | None


def loaded(paced: ServedStep, rate: Any, limit: Any) -> Loaded:
    """What each of `rate` requests per second gets, with at most `limit` in flight.

    A request that decodes finds the mean number of others in flight, so that it is served like one of that many and one more: exact for
    a step that grows linearly with the batch (sequences then share a processor, whose number in flight is negative binomial).

    Parameters
    ----------
    paced : ServedStep
        The served step of one kind of request; its shape broadcasts with `rate` and `limit`.
    """
    deployment = paced.deployment
    rate, limit, osl = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (rate, np.minimum(limit, MOST), paced.osl)))
    each = rate / deployment.layout.dp

    def wait(one: Served) -> Any:
        return 0.0 if one.prompt is None else queue_wait_s(each, _prompts(paced, one))

    batch, one = in_flight(paced, rate, wait, osl, limit)
    holds, most = ~np.isnan(batch), _of_mean(paced, np.maximum(limit, 1.0))
    ttft, late, prompts = one.ttft_idle_s, np.full(rate.shape, np.nan), None
    if one.prompt is not None:
        prompts, own = _prompts(paced, one), np.asarray(one.prompt.own_s)
        ttft = queue_wait_s(each, prompts) + own
        late = ttft_percentile_s(LATE, own[..., np.newaxis], np.ones(1), each, prompts)
    possible = np.where(limit >= 1, _possible(most, limit, osl), np.nan)
    return Loaded(batch, np.where(holds, ttft, np.nan), np.where(holds, late, np.nan), rate / possible, one, each, prompts)


def in_flight(paced: ServedStep, rate: NDArray[Any], wait_s: Any, osl: NDArray[Any], limit: NDArray[Any]) -> tuple[NDArray[Any], Served]:
    """Requests in flight on a replica at a rate, by Little's law, and what they get; nan where more would be than `limit`.

    Parameters
    ----------
    wait_s : array or callable
        Seconds in the queue, or a function of what a batch is served like.
    osl : array
        Mean output tokens of a request.
    """
    batch = batch_in_flight(rate, lambda some: _of_mean(paced, some), wait_s, osl, limit)
    holds = ~np.isnan(batch)
    above, below = np.where(holds, batch, 1.0), np.where(holds, np.maximum(batch - 1.0, 0.0), 1.0)
    low, high = _of_mean(paced, below), _of_mean(paced, above)
    missing = [
        some - rate * ((wait_s(one) if callable(wait_s) else wait_s) + _own_s(one) + osl * one.tpot_s) for some, one in ((below, low), (above, high))
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(missing[1] > missing[0], np.clip(-missing[0] / (missing[1] - missing[0]), 0.0, 1.0), 1.0)
    return batch, combine(low, high, lambda a, b: np.asarray(a + (b - a) * part))


def _of_mean(paced: ServedStep, batch: NDArray[Any]) -> Served:
    """What requests get with so many in flight on average: a request finds as many others, so that on its rank there is one more.

    Where prompts are not prefilled here, and in `bound`, what so many get.
    """
    assumed = paced.deployment.assumptions
    alone = assumed.is_bound or assumed.prefill == "separate"
    return paced.served(np.maximum(batch, 1.0) if alone else batch + paced.deployment.layout.dp)


def _possible(one: Served, limit: NDArray[Any], osl: NDArray[Any]) -> NDArray[Any]:
    """Requests per second of the replica with as many in flight as there may be, without any in the queue."""
    return np.asarray(limit / (_own_s(one) + osl * one.tpot_s))


def _own_s(one: Served) -> NDArray[Any]:
    return np.asarray(one.ttft_idle_s if one.prompt is None else one.prompt.own_s)


def _prompts(paced: ServedStep, one: Served) -> Prompts:
    """The queue of a rank: its prompts are all alike, and an arriving one finds a decode step under way."""
    assert one.prompt is not None
    occupied = np.asarray(one.prompt.occupied_s)
    step_s = one.decode_s * paced.deployment.accepted / paced.deployment.layout.pp
    return Prompts(occupied, occupied**2, np.asarray(step_s))


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
    if one.prompt is None:
        return np.zeros(np.shape(at.batch))
    osl, added = np.asarray(paced.osl, dtype=float), np.asarray(one.prompt.added_s)
    batch = np.where(np.isnan(at.batch), 1.0, at.batch)
    around = dp * np.maximum(np.sqrt(batch / dp), 1.0)
    low = np.maximum(batch - around, 1.0)
    slope = dp * (np.asarray(paced.step.seconds(batch + around)) - np.asarray(paced.step.seconds(low))) / (batch + around - low)
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
        own, decoding = np.asarray(one.prompt.own_s)[..., np.newaxis], -np.expm1(-at.rate * np.asarray(paced.osl) * one.tpot_s)
        in_time = 1 - share_later(ttft_s + 0 * at.rate, own, np.ones(1), at.rate, at.prompts, decoding)
    spread = tpot_spread_s(paced, at)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(spread > 0, (tpot_s - one.tpot_s) / spread, np.where(one.tpot_s <= tpot_s * (1 + 1e-12), np.inf, -np.inf))
    fast = np.vectorize(lambda z: (1 + erf(z / 2**0.5)) / 2, otypes=[float])(score)
    return np.where(np.isnan(at.batch), 0.0, in_time * fast)
