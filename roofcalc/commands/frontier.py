"""Throughput per device against interactivity, over batches, layouts, precisions and system sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc.catalog import boxes
from roofcalc.catalog.overrides import Change
from roofcalc.commands.arguments import Names, Numbers, single, whole
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.workload import SEARCHED_SEQ, axes, workload
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.generation import limited_by
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.frontier import Ask, Piece, Points, Readers, best, better, pieces, points, readers, together
from roofcalc.solvers.layouts import no_layout, sized
from roofcalc.solvers.parallel import mapped
from roofcalc.solvers.workload import Workload
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DEVICES = 65536


def frontier(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    ttft: Numbers | None = None,
    devices: Numbers | None = None,
    disaggregated: bool = False,
    all: bool = False,
    **options: Unpack[Options],
) -> Table:
    """Throughput of one device against the interactivity of each user: the points that no other layout or batch beats.

    Parameters
    ----------
    model, hardware
        As `max_batch` takes them; each model on each hardware has a curve of its own.
    seq : tokens
        Contexts, a curve for each (default 8k).
    batch : sequences
        In flight over the whole system (default: 1, 2, 3, 4, 6, 8, 12, … for each rank of a layout, and the most that fit).
    isl, osl, kv_at, chunk
        Whole generations, as `max_batch` takes them.
    ttft : seconds
        Longest time to the first token of such a generation.
    devices : int or list of int
        Sizes of the system to look among (default: the hardware as it is named).
    disaggregated : bool
        One pool of devices reads the prompts, another decodes; throughput is that of one device of both together.
    all : bool
        Every point that fits.
    weights, kv, tp, pp, dp, ep, dcp
        Lists are looked through; degrees that are left out are all that are legal.

    Returns
    -------
    Table
        Rows of a curve from the slowest to the fastest for its users; with `all` layout by layout.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    generations = isl is not None or osl is not None
    if (disaggregated or ttft is not None) and not generations:
        raise RoofcalcError(f"{'disaggregated' if disaggregated else 'ttft'}: what reads prompts needs them: give isl and osl")
    given = (*(("isl", "osl", "kv_at") if generations else ()), *(("chunk",) if chunk is not None else ()))
    more = columns.FRONTIER_APART if disaggregated else columns.GENERATION if generations else ()
    request = Request("frontier", columns.FRONTIER, model, hardware, options, given, more)
    if not generations and seq is None:
        request.note(f"seq: contexts of {SEARCHED_SEQ:,} tokens (--seq, or --isl and --osl)")
    batches = None if batch is None else whole(batch, "batch", solver.MAX_BATCH)
    limit = None if ttft is None else single(ttft, "ttft", 1e-6, 1e9)
    sizes = None if devices is None else sorted({int(one) for one in whole(devices, "devices", MAX_DEVICES)})
    for own, machine, changes, precisions in request.searches():
        shortest = min(SEARCHED_SEQ, own.context)
        work = workload(request.grid(*axes(request, own, shortest if seq is None and not generations else seq, isl, osl)), kv_at, chunk)
        ask = Ask(work, batches, limit, disaggregated, all)
        _add_curves(request, ask, _pieces(request, own, machine, sizes, precisions), changes)
    return request.answer()


class Searched(NamedTuple):
    """The pieces of a search; their layouts are numbered through."""

    pieces: Sequence[Piece]
    begins: NDArray[np.intp]

    def deployment(self, number: int) -> Deployment:
        """The deployment in layout `number`."""
        piece = int(np.searchsorted(self.begins, number, side="right")) - 1
        return self.pieces[piece].placed(number - int(self.begins[piece]))


def _pieces(request: Request, model: Model, machine: Hardware, sizes: list[int] | None, precisions: list[tuple[str, str]]) -> Searched:
    """Every precision and size with its layouts, a few at a time."""
    found: list[Piece] = []
    held = request.degrees()
    machines = [machine] if sizes is None else [sized(machine, size) for size in sizes]
    for one in machines:
        for text in boxes.joined(replace(machine, count=one.count))[1]:
            request.note(text)
    for weights, kv in precisions:
        alone = request.deployed(model, replace(machine, count=1), weights, kv, tp=1, pp=1, dp=1)
        for one in machines:
            found += pieces(alone, one, held)
    if not found:
        raise no_layout(machine, model, held, "so many devices")
    return Searched(found, np.cumsum([0, *(len(piece.layouts) for piece in found[:-1])]))


def _add_curves(request: Request, ask: Ask, searched: Searched, changes: tuple[Change, ...]) -> None:
    """Adds the rows of every point of the workload."""
    pieces, executor = searched.pieces, request.table.executor
    if not pieces[0].deployment.has_time:
        for point in range(ask.work.seq.size):
            _add_nothing(request, ask.work.at(np.array([point])), pieces[0].deployment, changes, batch=np.full(1, np.nan))
        return
    found = [
        some._replace(layout=some.layout + begin)
        for some, begin in zip(mapped(executor, partial(points, ask), pieces, batch=1), searched.begins, strict=True)
    ]
    read: list[Readers] = []
    if ask.apart:
        each = zip(mapped(executor, partial(readers, ask), pieces, batch=1), searched.begins, strict=True)
        read = _of_precision(pieces, [who._replace(layout=who.layout + begin) for who, begin in each])
        found = [_apart(ask.work, some, who) for some, who in zip(found, read, strict=True)]
    kept = Points(*(np.concatenate(values) for values in zip(*found, strict=True)))
    kept = kept.only(np.argsort(kept.point, kind="stable")) if ask.every else best(kept)
    missing = [point for point in range(ask.work.seq.size) if not (kept.point == point).any()]
    most = max(missing, key=lambda point: float(ask.work.seq[point]), default=None)  # what is in its way is said of it alone
    for point in range(ask.work.seq.size):
        if point in missing:
            _say_why_not(request, ask, searched, point, changes, say=point == most)
            continue
        own = kept.only(kept.point == point)
        for first, last in _runs(own.layout):
            number = int(own.layout[first])
            piece = int(np.searchsorted(searched.begins, number, side="right")) - 1
            _add_rows(request, ask, searched, own.only(np.arange(first, last)), read[piece] if read else None, changes)


def _of_precision(pieces: Sequence[Piece], each: Sequence[Readers]) -> list[Readers]:
    """For each piece the best reader among all pieces of its precision: both pools hold the same weights and caches."""
    kinds = [(piece.deployment.weights, piece.deployment.kv) for piece in pieces]
    return [reduce(better, (who for who, other in zip(each, kinds, strict=True) if other == kind)) for kind in kinds]


def _apart(work: Workload, some: Points, who: Readers) -> Points:
    """Points of the pool that decodes, as throughput of one device of both pools."""
    assert work.osl is not None
    some = some.only(who.rate[some.point] > 0)
    return some._replace(throughput=together(who.rate[some.point], work.osl[some.point], some.throughput))


def _runs(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """First and last of each run of equal neighbours."""
    return pairwise([0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), values.size])


def _add_rows(request: Request, ask: Ask, searched: Searched, some: Points, who: Readers | None, changes: tuple[Change, ...]) -> None:
    """Adds points of one deployment and one point of the workload."""
    deployment, point = searched.deployment(int(some.layout[0])), int(some.point[0])
    work = ask.work.at(np.full(some.batch.size, point))
    step = work.step(deployment)
    values: dict[str, Any] = {}
    if work.isl is not None and work.osl is not None:
        if who is None:
            values = work.more(deployment, some.throughput * deployment.hardware.count)
        else:
            values = _reader(searched, who, point, work.osl * who.rate[point], some.throughput)
        values |= {"isl": float(work.isl[0]), "osl": float(work.osl[0]), **work.shared}
    request.add(
        deployment,
        changes,
        seq=work.seq,
        batch=some.batch,
        interactivity_tok_s=some.interactivity,
        throughput_tok_s_per_device=some.throughput,
        limited_by=limited_by(step, some.batch),
        **values,
    )


def _reader(searched: Searched, who: Readers, point: int, most: NDArray[Any], throughput: NDArray[Any]) -> dict[str, Any]:
    """Columns of the pool that reads: of each device of both pools, throughput/most parts read."""
    deployment = searched.deployment(int(who.layout[point]))
    layout, part = deployment.layout, throughput / most
    return {
        "ttft_ms": float(who.ttft_s[point]) * 1e3,
        "prefill_per_decode": part / (1 - part),
        "prefill_devices": layout.devices,
        **{f"prefill_{name}": getattr(layout, name) for name in ("tp", "pp", "dp", "ep")},
    }


def _say_why_not(request: Request, ask: Ask, searched: Searched, point: int, changes: tuple[Change, ...], say: bool) -> None:
    """A row that says what is in the way where nothing fits, or where nothing that fits is in time; and perhaps a note."""
    work = ask.work.at(np.array([point]))
    least = 1.0 if ask.batches is None else float(ask.batches.min())
    everything = [piece.placed(number) for piece in searched.pieces for number in range(len(piece.layouts))]
    fits = max(float(memory.batch_memory(one, work.seq)[0]) for one in everything)
    limit = "capacity" if any(memory.weights_fit(one) for one in everything) else "weights"
    if fits >= least and ask.ttft_s is not None:
        limit = "ttft"
    nearest = min(everything, key=lambda one: memory.system_weight_bytes(one) / memory.system_capacity_bytes(one))
    if say:
        where = f"{nearest.model.name} on {nearest.hardware.name}"
        if limit == "ttft":
            request.note(f"{where}: no layout that fits reads a prompt in time")
        elif fits >= least:
            request.note(f"{where}: no layout holds a prompt for each of its ranks and stages")
        elif fits > 0:
            request.note(f"{where}: no layout holds {least:,.0f} sequences of {float(work.seq[0]):,.0f} tokens; at most {fits:,.0f} fit")
        else:
            request.note(fit_advice.what_would_fit(nearest, float(work.seq[0])))
    _add_nothing(request, work, nearest, changes, batch=np.zeros(1), limited_by=limit)


def _add_nothing(request: Request, work: Workload, deployment: Deployment, changes: tuple[Change, ...], **values: Any) -> None:
    """A row of a point that no layout has figures for."""
    if work.isl is not None and work.osl is not None:
        values |= {"isl": float(work.isl[0]), "osl": float(work.osl[0]), **work.shared}
    request.add(deployment, changes, seq=work.seq, **values, **dict.fromkeys(("tp", "pp", "dp", "ep", "dcp")))
