"""Frontier search: throughput per device against interactivity over layouts and batches, with one pool or disaggregated prefill.

One pool prefills and decodes (`roofcalc.physics.generation.output_tok_s`). Disaggregated, one pool prefills and another decodes, sized
so that both serve the same number of requests per second (arXiv 2401.09670). Transfer of KV caches between pools is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout
from roofcalc.deployment.speculative import with_layout
from roofcalc.physics import memory
from roofcalc.physics.prompt_cache import first_token_s, prompt_prefill
from roofcalc.physics.serving import ServedStep
from roofcalc.solvers.layouts import layouts
from roofcalc.solvers.pareto import pareto
from roofcalc.solvers.workload import Workload
from roofcalc.specs.device import Hardware
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUTS_OF_A_PIECE = 16
MOST_PER_RANK = 2**16  # largest batch of one rank that is tried
LADDER = np.array([1, *(rung * 2**power for power in range(1, 17) for rung in (1, 1.5))])  # 1, 2, 3, 4, 6, 8, 12, …


class FrontierQuery(NamedTuple):
    """What to evaluate in every layout.

    Attributes
    ----------
    work : Workload
        With flat arrays: one curve for each of its points.
    batches : array or None
        Batches to try; None: 1, 2, 3, 4, 6, 8, 12, … sequences per rank, and the largest batch that fits.
    ttft_s : float or None
        Longest acceptable time to first token.
    disaggregated : bool
        Another pool prefills.
    include_dominated : bool
        All points that fit, not only the Pareto frontier.
    """

    work: Workload
    batches: NDArray[Any] | None = None
    ttft_s: float | None = None
    disaggregated: bool = False
    include_dominated: bool = False


class Piece(NamedTuple):
    """A piece of the search: a deployment and some of its layouts."""

    deployment: Deployment
    layouts: tuple[Layout, ...]

    def placed(self, number: int) -> Deployment:
        """The deployment in one of the layouts."""
        return with_layout(self.deployment, self.deployment.hardware, self.layouts[number])


def pieces(single_device: Deployment, machine: Hardware, fixed_degrees: Mapping[str, set[int]]) -> Iterator[Piece]:
    """Every legal layout of a deployment on `machine`, in pieces; `fixed_degrees` lists the values allowed for a degree."""
    draft, there = single_device.draft, replace(single_device, hardware=machine)
    drafter = draft.deployment.model if draft and draft.deployment else None
    legal = layouts(single_device.model, machine.count, fixed_degrees, drafter, pipelines=single_device.takes_stages)
    for first in range(0, len(legal), LAYOUTS_OF_A_PIECE):
        yield Piece(there, tuple(legal[first : first + LAYOUTS_OF_A_PIECE]))


class Points(NamedTuple):
    """Points of a piece, flat arrays of one length.

    Attributes
    ----------
    layout, point : array of int
        Index of the layout in its piece, and of the point in the workload.
    batch, interactivity, throughput : array
        Sequences in flight over the whole system; tok/s of each user; tok/s per device.
    """

    layout: NDArray[np.intp]
    point: NDArray[np.intp]
    batch: NDArray[Any]
    interactivity: NDArray[Any]
    throughput: NDArray[Any]

    def only(self, chosen: NDArray[Any]) -> Points:
        """The points selected by a mask or an index."""
        return Points(*(values[chosen] for values in self))


NONE = Points(*(np.empty(0, dtype=kind) for kind in (np.intp, np.intp, float, float, float)))


def column(work: Workload) -> Workload:
    """The workload with its points as a column, to broadcast against a row of batches."""
    isl, osl = (one if one is None else one[:, np.newaxis] for one in (work.isl, work.osl))
    return work._replace(seq=work.seq[:, np.newaxis], isl=isl, osl=osl)


def points(query: FrontierQuery, piece: Piece) -> Points:
    """The points of a piece that fit and meet the time to first token; only those on each curve's frontier unless all are wanted."""
    down = query._replace(work=column(query.work))
    found = [one for number in range(len(piece.layouts)) if (one := _of_layout(down, piece.placed(number), number)) is not None]
    if not found:
        return NONE
    merged = Points(*(np.concatenate(values) for values in zip(*found, strict=True)))
    return merged if query.include_dominated else best(merged)


def best(some: Points) -> Points:
    """The Pareto frontier of each curve, by ascending interactivity."""
    kept = []
    for point in range(int(some.point.max(initial=-1)) + 1):
        own = np.flatnonzero(some.point == point)
        own = own[pareto(some.interactivity[own], some.throughput[own])]
        kept.append(own[np.argsort(some.interactivity[own], kind="stable")])
    return some.only(np.concatenate(kept)) if kept else some


def _of_layout(query: FrontierQuery, deployment: Deployment, number: int) -> Points | None:
    """The points of one layout; None where nothing fits."""
    work = query.work
    fitting = memory.batch_limit(deployment, work.seq)
    if fitting.max(initial=0) < 1:
        return None
    batch = _batches(query, deployment, fitting)
    kept = (batch >= 1) & (batch <= fitting)
    if query.ttft_s is not None and not query.disaggregated:
        kept &= ttft_s(deployment, work) <= query.ttft_s
    if not kept.any():
        return None
    step = work.step(deployment)
    served = np.where(kept, batch, 1.0)
    seconds = np.asarray(step.seconds(served))
    paced = step if query.disaggregated else work.served_step(step)
    if isinstance(paced, ServedStep):
        each_gets = paced.served(served)
        interactivity, system = deployment.accepted / (each_gets.tpot_s * deployment.accepted), each_gets.throughput_tok_s
        if query.ttft_s is not None:
            kept &= each_gets.ttft_s <= query.ttft_s  # with so many others in flight
    else:
        interactivity = deployment.accepted / np.asarray(paced.seconds(served))
        system = served * interactivity if query.disaggregated else work.throughput(deployment, step, served, seconds)
    point, place = np.nonzero(kept)
    chosen = (point, place)
    each = (served[chosen], interactivity[chosen], np.asarray(system)[chosen] / deployment.hardware.count)
    return Points(np.full(point.size, number), point, *each)


def _batches(query: FrontierQuery, deployment: Deployment, fitting: NDArray[Any]) -> NDArray[Any]:
    """Batches to try as rows, one row for each point of the workload; 0 marks none."""
    if query.batches is not None:
        return np.broadcast_to(query.batches, (fitting.shape[0], query.batches.size))
    ranks = deployment.layout.pp * deployment.layout.dp
    last = np.minimum(fitting, ranks * MOST_PER_RANK)
    ladder = ranks * LADDER[: np.searchsorted(LADDER, last.max() / ranks, side="right")]
    last = np.where((last == ladder).any(axis=1, keepdims=True), 0.0, last)
    return np.concatenate([np.broadcast_to(ladder, (fitting.shape[0], ladder.size)), last], axis=1)


def ttft_s(deployment: Deployment, work: Workload) -> NDArray[Any]:
    """Time to first token in seconds on an idle system, with one prompt on each data-parallel rank."""
    return first_token_s(deployment, work.isl, float(deployment.layout.dp), work.chunk)


class PrefillPool(NamedTuple):
    """The layout that prefills the most prompts per second and device, for each point of a workload.

    Attributes
    ----------
    rate : array
        Prompts per second and device; 0 where no layout fits or meets the time to first token.
    layout : array of int
        Index of the layout in its piece.
    ttft_s : array
        Time to first token in seconds.
    """

    rate: NDArray[Any]
    layout: NDArray[np.intp]
    ttft_s: NDArray[Any]


def best_prefill_pool(query: FrontierQuery, piece: Piece) -> PrefillPool:
    """The best layout of a prefill pool: one prompt at a time on each rank and stage, all of which must fit in memory."""
    work = query.work
    found = PrefillPool(np.zeros(work.seq.shape), np.zeros(work.seq.shape, dtype=np.intp), np.full(work.seq.shape, np.nan))
    for number, layout in enumerate(piece.layouts):
        if layout.dcp > 1:  # context parallelism applies to decode only
            continue
        deployment = piece.placed(number)
        at_once = float(layout.dp * layout.pp)
        fits = memory.batch_memory(deployment, np.maximum(np.asarray(work.isl), 1.0)) >= at_once
        if not fits.any():
            continue
        with np.errstate(divide="ignore"):  # empty prompts take no time
            rate = at_once / prompt_prefill(deployment, work.isl, at_once, work.chunk).batch_prefill_s / deployment.hardware.count
        first = ttft_s(deployment, work)
        late = first > query.ttft_s if query.ttft_s is not None else np.zeros(first.shape, dtype=bool)
        found = pointwise_best(found, PrefillPool(np.where(fits & ~late, rate, 0.0), np.full(rate.shape, number), first))
    return found


def pointwise_best(one: PrefillPool, other: PrefillPool) -> PrefillPool:
    """For each point the pool with the higher rate; `one` where they are equal."""
    return PrefillPool(*(np.where(other.rate > one.rate, b, a) for a, b in zip(one, other, strict=True)))


@formula("devices per request and second = 1/prefill_rate + osl/decode_rate", "throughput = osl/(1/prefill_rate + osl/decode_rate)")
def disaggregated_throughput(rate: Any, osl: Any, decoding: Any) -> NDArray[Any]:
    """Output tokens per second and device over both pools, sized to serve the same number of requests per second.

    Parameters
    ----------
    rate : array
        Prompts per second and device of the prefill pool.
    osl, decoding : array
        Output tokens of a request; tok/s per device of the decode pool.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(osl / (1 / np.asarray(rate, dtype=float) + osl / np.asarray(decoding, dtype=float)))
