"""Throughput of one device against the interactivity of each user: the points of a deployment in many layouts and batches.

Throughput of one pool that does everything takes in the prompts (`roofcalc.physics.generation.output_tok_s`); of two pools, one
reads prompts and the other decodes, in the ratio in which both serve as many requests per second. Source of splitting
them: arXiv 2401.09670. Moving caches from pool to pool is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout
from roofcalc.deployment.speculative import with_layout
from roofcalc.physics import memory
from roofcalc.physics.prefill import prefill
from roofcalc.solvers.layouts import layouts
from roofcalc.solvers.pareto import pareto
from roofcalc.solvers.workload import Workload
from roofcalc.specs.device import Hardware
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUTS_OF_A_PIECE = 16
MOST_PER_RANK = 2**16  # sequences of one rank, where memory sets no limit
LADDER = np.array([1, *(rung * 2**power for power in range(1, 17) for rung in (1, 1.5))])  # 1, 2, 3, 4, 6, 8, 12, …


class Ask(NamedTuple):
    """What is asked of every layout.

    Attributes
    ----------
    work : Workload
        With flat arrays: one curve for each of its points.
    batches : array or None
        Those to look at; None: a ladder of sequences per rank, 1, 2, 3, 4, 6, 8, 12, …, and the most that fit.
    ttft_s : float or None
        Longest time to the first token.
    apart : bool
        Prompts are read by another pool.
    every : bool
        All points that fit, not only those that nothing of the same piece of work beats.
    """

    work: Workload
    batches: NDArray[Any] | None = None
    ttft_s: float | None = None
    apart: bool = False
    every: bool = False


class Piece(NamedTuple):
    """A piece of the search: a deployment, and the layouts to try it in."""

    deployment: Deployment
    layouts: tuple[Layout, ...]

    def placed(self, number: int) -> Deployment:
        """The deployment in one of the layouts."""
        return with_layout(self.deployment, self.deployment.hardware, self.layouts[number])


def pieces(alone: Deployment, machine: Hardware, held: Mapping[str, set[int]]) -> Iterator[Piece]:
    """Every legal layout of a deployment on a machine, a few at a time; `held` are degrees that a layout is held to."""
    draft, there = alone.draft, replace(alone, hardware=machine)
    drafter = draft.deployment.model if draft and draft.deployment else None
    legal = layouts(alone.model, machine.count, held, drafter, pipelines=draft is None)
    for first in range(0, len(legal), LAYOUTS_OF_A_PIECE):
        yield Piece(there, tuple(legal[first : first + LAYOUTS_OF_A_PIECE]))


class Points(NamedTuple):
    """Points of a piece, flat arrays of one length.

    Attributes
    ----------
    layout, point : array of int
        Which of the piece's layouts, and which of the workload's points.
    batch, interactivity, throughput : array
        Sequences in flight over the whole system; tok/s for each user; tok/s of one device.
    """

    layout: NDArray[np.intp]
    point: NDArray[np.intp]
    batch: NDArray[Any]
    interactivity: NDArray[Any]
    throughput: NDArray[Any]

    def only(self, chosen: NDArray[Any]) -> Points:
        """Those that a mask or an index chooses."""
        return Points(*(values[chosen] for values in self))


NONE = Points(*(np.empty(0, dtype=kind) for kind in (np.intp, np.intp, float, float, float)))


def column(work: Workload) -> Workload:
    """A workload whose points run down, so that batches may run across."""
    isl, osl = (one if one is None else one[:, np.newaxis] for one in (work.isl, work.osl))
    return work._replace(seq=work.seq[:, np.newaxis], isl=isl, osl=osl)


def points(ask: Ask, piece: Piece) -> Points:
    """All points of a piece that fit its memory and are in time, or of each curve those that nothing in the piece beats."""
    down = ask._replace(work=column(ask.work))
    found = [one for number in range(len(piece.layouts)) if (one := _of_layout(down, piece.placed(number), number)) is not None]
    if not found:
        return NONE
    merged = Points(*(np.concatenate(values) for values in zip(*found, strict=True)))
    return merged if ask.every else best(merged)


def best(some: Points) -> Points:
    """Of each curve the points that no other beats, the slowest first."""
    kept = []
    for point in range(int(some.point.max(initial=-1)) + 1):
        own = np.flatnonzero(some.point == point)
        own = own[pareto(some.interactivity[own], some.throughput[own])]
        kept.append(own[np.argsort(some.interactivity[own], kind="stable")])
    return some.only(np.concatenate(kept)) if kept else some


def _of_layout(ask: Ask, deployment: Deployment, number: int) -> Points | None:
    """The points of one layout; None where nothing fits."""
    work = ask.work
    fitting = memory.batch_memory(deployment, work.seq)
    if fitting.max(initial=0) < 1:
        return None
    batch = _batches(ask, deployment, fitting)
    kept = (batch >= 1) & (batch <= fitting)
    if ask.ttft_s is not None and not ask.apart:
        kept &= ttft_s(deployment, work) <= ask.ttft_s
    if not kept.any():
        return None
    step = work.step(deployment)
    served = np.where(kept, batch, 1.0)
    seconds = np.asarray(step.seconds(served))
    interactivity = deployment.accepted / seconds
    system = served * interactivity if ask.apart else work.throughput(deployment, step, served, seconds)
    point, place = np.nonzero(kept)
    chosen = (point, place)
    each = (served[chosen], interactivity[chosen], np.asarray(system)[chosen] / deployment.hardware.count)
    return Points(np.full(point.size, number), point, *each)


def _batches(ask: Ask, deployment: Deployment, fitting: NDArray[Any]) -> NDArray[Any]:
    """Batches across, for each of the points down; 0 is none."""
    if ask.batches is not None:
        return np.broadcast_to(ask.batches, (fitting.shape[0], ask.batches.size))
    ranks = deployment.layout.pp * deployment.layout.dp
    last = np.minimum(fitting, ranks * MOST_PER_RANK)
    ladder = ranks * LADDER[: np.searchsorted(LADDER, last.max() / ranks, side="right")]
    last = np.where((last == ladder).any(axis=1, keepdims=True), 0.0, last)
    return np.concatenate([np.broadcast_to(ladder, (fitting.shape[0], ladder.size)), last], axis=1)


def ttft_s(deployment: Deployment, work: Workload) -> NDArray[Any]:
    """Seconds until the first token of a prompt, one for each data-parallel rank."""
    return prefill(deployment, work.isl, 0.0, float(deployment.layout.dp), work.chunk).ttft_s


class Readers(NamedTuple):
    """The layout that reads the most prompts per second and device, for each point of a workload.

    Attributes
    ----------
    rate : array
        Prompts per second and device; 0 where none fits or is in time.
    layout : array of int
        Which of the piece's layouts.
    ttft_s : array
        Seconds until the first token.
    """

    rate: NDArray[Any]
    layout: NDArray[np.intp]
    ttft_s: NDArray[Any]


def readers(ask: Ask, piece: Piece) -> Readers:
    """Who reads prompts best: each rank and stage one at a time, as many as the memory holds beside the weights."""
    work = ask.work
    found = Readers(np.zeros(work.seq.shape), np.zeros(work.seq.shape, dtype=np.intp), np.full(work.seq.shape, np.nan))
    for number, layout in enumerate(piece.layouts):
        if layout.dcp > 1:  # entries are striped for decode only
            continue
        deployment = piece.placed(number)
        at_once = float(layout.dp * layout.pp)
        fits = memory.batch_memory(deployment, np.maximum(np.asarray(work.isl), 1.0)) >= at_once
        if not fits.any():
            continue
        with np.errstate(divide="ignore"):  # no prompt takes no time
            rate = at_once / prefill(deployment, work.isl, 0.0, at_once, work.chunk).batch_prefill_s / deployment.hardware.count
        first = ttft_s(deployment, work)
        late = first > ask.ttft_s if ask.ttft_s is not None else np.zeros(first.shape, dtype=bool)
        found = better(found, Readers(np.where(fits & ~late, rate, 0.0), np.full(rate.shape, number), first))
    return found


def better(one: Readers, other: Readers) -> Readers:
    """Point by point whichever reads more; `one` where both read as much."""
    return Readers(*(np.where(other.rate > one.rate, b, a) for a, b in zip(one, other, strict=True)))


@formula("devices per request and second = 1/prefill_rate + osl/decode_rate", "throughput = osl/(1/prefill_rate + osl/decode_rate)")
def together(rate: Any, osl: Any, decoding: Any) -> NDArray[Any]:
    """Output tokens per second of each device of both pools, where both serve as many requests per second.

    Parameters
    ----------
    rate : array
        Prompts per second and device of the pool that reads.
    osl, decoding : array
        Output tokens of a request; tok/s of each device of the pool that decodes.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(osl / (1 / np.asarray(rate, dtype=float) + osl / np.asarray(decoding, dtype=float)))
