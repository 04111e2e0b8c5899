"""Time to first token and speed of a replica that is sent requests at a rate: prompts queue before decode steps.

A rank reads prompts first come, first served, each for T_p seconds; decode steps take what is left. Only prompts make other
prompts wait: an arriving prompt waits for the prompts ahead of it and for the step that is running.
Sources: the Pollaczek–Khinchine formula (mean wait of an M/G/1 queue), doi.org/10.1007/BF01194620; Little's law
doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.physics.serving import Served
from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Prompts(NamedTuple):
    """What the queue of one rank sees of its prompts and steps.

    Attributes
    ----------
    mean_s, square_s2 : array
        E[T_p] and E[T_p²] over the kinds of requests: seconds that a prompt occupies its rank.
    step_s : array
        Seconds of the decode step that an arriving prompt finds running.
    """

    mean_s: NDArray[Any]
    square_s2: NDArray[Any]
    step_s: NDArray[Any]


@formula("busy = rate·T_occupied", "queue = rate·T_square/(2·(1 − busy))", "wait = queue + T_step/2")
def queue_wait_s(rate: Any, prompts: Prompts) -> NDArray[Any]:
    """Mean seconds that a prompt waits before its rank begins with it; inf where prompts alone take more than all time.

    Parameters
    ----------
    rate : array
        Requests per second of one rank.
    """
    rate = np.asarray(rate, dtype=float)
    load = rate * prompts.mean_s
    with np.errstate(divide="ignore", invalid="ignore"):
        queued = np.where(load < 1, rate * prompts.square_s2 / (2 * (1 - load)), np.inf)
    return np.asarray(queued + prompts.step_s / 2)


def _queued_s(rate: Any, prompts: Prompts) -> NDArray[Any]:
    """Mean wait for other prompts alone; never 0, so that it may divide."""
    return np.asarray(np.maximum(queue_wait_s(rate, prompts) - prompts.step_s / 2, 1e-300))


@formula("p_later = busy·exp(−busy·wait/queue)")
def share_later(time: Any, first_s: Any, parts: Any, rate: Any, prompts: Prompts, running: Any = 1.0) -> NDArray[Any]:
    """Share of the requests whose first token comes after `time` seconds; 1 where the queue grows without end.

    A prompt finds others ahead with the chance that is the load, and its wait then has an exponential tail with the mean of the
    queue. It also waits for the rest of a step, any part of it with the same chance: `p_later` is averaged over these.

    Parameters
    ----------
    first_s : array
        With a last axis of kinds of requests: the own time of each, without waiting.
    parts : array
        How many of the requests are of each kind.
    running : array
        Chance that an arriving prompt finds a step running; by default certain, as for the mean and the percentiles.
    """
    load = np.asarray(rate, dtype=float) * prompts.mean_s
    decay, step, busy, found = (
        np.asarray(one)[..., np.newaxis]
        for one in (np.maximum(load / _queued_s(rate, prompts), 1e-300), np.maximum(prompts.step_s, 1e-300), load, np.asarray(running, dtype=float))
    )
    wait = np.asarray(time, dtype=float)[..., np.newaxis] - np.asarray(first_s, dtype=float)
    left = np.maximum(wait, 0.0)
    rest = np.minimum(left, step)  # the largest rest of a step that leaves any time for the queue
    after = 1.0 - rest / step + busy * np.exp(-decay * (left - rest)) * -np.expm1(-decay * rest) / (decay * step)
    at_once = np.where(wait < 0, 1.0, busy * np.exp(-decay * left))
    return np.where(load < 1, ((found * after + (1.0 - found) * at_once) * parts).sum(axis=-1), 1.0)


def ttft_percentile_s(percent: float, first_s: Any, parts: Any, rate: Any, prompts: Prompts) -> NDArray[Any]:
    """The time to first token that `percent` of the requests do not exceed (`share_later`); inf where the queue grows without end."""
    load, left, own = np.asarray(rate, dtype=float) * prompts.mean_s, 1.0 - percent / 100.0, np.asarray(first_s, dtype=float)
    stable, queued = load < 1, _queued_s(rate, prompts)
    low = np.zeros(np.broadcast_shapes(own.shape[:-1], load.shape))
    high = own.max(axis=-1) + prompts.step_s + np.where(stable, queued / np.maximum(load, 1e-12) * np.log(1.0 / left), 0.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = share_later(middle, first_s, parts, rate, prompts) > left
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(stable, high, np.inf)


def batch_in_flight(rate: Any, served: Callable[[NDArray[Any]], Served], wait_s: Any, osl: Any, limit: Any) -> NDArray[Any]:
    """Requests in flight on a replica that is sent `rate` requests per second; nan where it can't keep up with `limit` of them.

    The least whole batch B that Little's law allows: B ≥ rate·(TTFT + O·TPOT(B)), found by bisection, since B/(TTFT + O·TPOT(B))
    grows with B.

    Parameters
    ----------
    served : callable
        What a batch is served like.
    wait_s : array or callable
        Seconds in the queue, on top of the first token's own time; or a function of what a batch is served like.
    limit : array
        Most requests that fit.
    """
    rate, osl, limit = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (rate, osl, limit)))

    def keeps_up(batch: NDArray[Any]) -> NDArray[Any]:
        one = served(batch)
        if one.prompt is None:  # in `bound` the floor on the time of all requests, with their prompts in it
            stay = batch * osl / one.throughput_tok_s
        else:
            stay = (wait_s(one) if callable(wait_s) else wait_s) + one.prompt.own_s + osl * one.tpot_s
        return np.asarray(batch >= rate * stay * (1 - 1e-12))

    low, high = np.zeros(rate.shape), np.maximum(np.floor(limit), 1.0)
    possible = keeps_up(high) & (limit >= 1)
    while (high - low).max(initial=0) > 1:
        middle = np.maximum(np.floor((low + high) / 2), 1.0)
        enough = keeps_up(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(possible, high, np.nan)
