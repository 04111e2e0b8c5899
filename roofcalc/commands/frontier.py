"""Pareto frontier of throughput per device and interactivity, over batches, layouts, precisions and system sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc.catalog import boxes
from roofcalc.catalog.overrides import Change
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_RATE, MAX_SEARCHED_DEVICES, MIN_RATE, Names, Numbers, integer_array, single_number
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import MAX_ROWS, Request
from roofcalc.commands.serve import Target, lines_of, serve_columns, target
from roofcalc.commands.workload import axes, batch_sizes, generation_options, workload
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.resources import UNKNOWN
from roofcalc.physics.serving import served_limit
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers.frontier import (
    FrontierQuery,
    Piece,
    Points,
    PrefillPool,
    best,
    best_prefill_pool,
    disaggregated_throughput,
    pieces,
    points,
    pointwise_best,
)
from roofcalc.solvers.layouts import no_layout, with_device_count
from roofcalc.solvers.parallel import map_in_order
from roofcalc.solvers.workload import Workload
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray


@notes_idle_changes
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
    serve: str | None = None,
    **options: Unpack[Options],
) -> Table:
    """Throughput per device against interactivity: the Pareto-optimal combinations of layout and batch.

    Parameters
    ----------
    model, hardware
        As `max_batch` takes them; every model on every hardware has its own curve.
    seq : tokens
        Contexts, one curve each (default 8k).
    batch : sequences
        Batches over the whole system (default: 1, 2, 3, 4, 6, 8, 12, … per rank of a layout, and the largest that fits).
    isl, osl, kv_at, chunk
        Whole generations, as `max_batch` takes them.
    ttft : seconds
        Longest acceptable time to first token; needs isl and osl.
    devices : int or list of int
        System sizes to search (default: the hardware as named).
    disaggregated : bool
        Prefill and decode run on separate pools of devices; throughput is per device of both pools.
    all : bool
        Keep dominated points too: every point that fits.
    serve : str
        As `max_batch` takes it; not with `disaggregated`.
    weights, kv, tp, pp, dp, ep, dcp
        Lists are searched; a degree that is not given takes every legal value.

    Returns
    -------
    Table
        The points of each curve in order of increasing interactivity; with `all`, grouped by layout.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    generations = isl is not None or osl is not None
    if (disaggregated or ttft is not None) and not generations:
        raise RoofcalcError(f"{'--disaggregated' if disaggregated else '--ttft'}: needs the tokens of a generation; give --isl and --osl")
    if disaggregated and options.get("arrivals") is not None:
        raise RoofcalcError("--arrivals: another pool prefills with --disaggregated, and how its prompts queue is not known; leave one out")
    server = target(serve)
    if server and disaggregated:
        raise RoofcalcError("--for: two pools need a router and a transfer of caches, which one command line does not start; without --disaggregated")
    more = columns.FRONTIER_DISAGGREGATED if disaggregated else columns.GENERATION if generations else ()
    results = columns.FRONTIER_OF_TWO if disaggregated else columns.FRONTIER
    request = Request("frontier", results, model, hardware, options, generation_options(isl, osl, chunk), (*more, *serve_columns(server)))
    if not generations and seq is None:
        request.note(f"seq: contexts of {defaults.SEARCH_SEQ:,} tokens (--seq, or --isl and --osl)")
    batches = None if batch is None else batch_sizes(batch)
    max_ttft = None if ttft is None else single_number(ttft, "--ttft", MIN_RATE, MAX_RATE)
    sizes = None if devices is None else sorted({int(size) for size in integer_array(devices, "--devices", MAX_SEARCHED_DEVICES)})
    for resolved, machine, changes, precisions in request.searches():
        contexts = min(defaults.SEARCH_SEQ, resolved.context) if seq is None and not generations else seq
        work = workload(request.cross(*axes(request, resolved, contexts, isl, osl)), kv_at, chunk)
        query = FrontierQuery(work, batches, max_ttft, disaggregated, all)
        _add_curves(request, query, server, _pieces(request, resolved, machine, sizes, precisions), changes)
    return request.answer()


class Searched(NamedTuple):
    """The pieces of a search; layouts are numbered consecutively over all pieces, from `begins` of each piece on."""

    pieces: Sequence[Piece]
    begins: NDArray[np.intp]

    def deployment(self, number: int) -> Deployment:
        """The deployment in the layout of that number."""
        piece = int(np.searchsorted(self.begins, number, side="right")) - 1
        return self.pieces[piece].placed(number - int(self.begins[piece]))


def _pieces(request: Request, model: Model, machine: Hardware, sizes: list[int] | None, precisions: list[tuple[str, str]]) -> Searched:
    """Every precision, system size and legal layout.

    Raises
    ------
    RoofcalcError
        No layout with the given degrees is legal.
    """
    include_dominated: list[Piece] = []
    machines = [machine] if sizes is None else [with_device_count(machine, size) for size in sizes]
    for system in machines:
        for text in boxes.joined(replace(machine, count=system.count))[1]:
            request.note(text)
    for weights, kv in precisions:
        single_device = request.deploy(model, replace(machine, count=1), weights, kv, tp=1, pp=1, dp=1)
        fixed = request.fixed_degrees(single_device.assumptions.engine)
        for system in machines:
            include_dominated += pieces(single_device, system, fixed)
    if not include_dominated:
        raise no_layout(machine, model, fixed, "so many devices")
    return Searched(include_dominated, np.cumsum([0, *(len(piece.layouts) for piece in include_dominated[:-1])]))


def _add_curves(request: Request, query: FrontierQuery, server: Target | None, searched: Searched, changes: tuple[Change, ...]) -> None:
    """Adds the rows of one curve per point of the workload."""
    pieces, executor = searched.pieces, request.table.executor
    layouts = sum(len(piece.layouts) for piece in pieces)
    if (count := query.work.seq.size * layouts * (1 if query.batches is None else query.batches.size)) > MAX_ROWS:
        raise RoofcalcError(f"{count:,} points of {layouts:,} layouts; at most {MAX_ROWS:,} are searched at once: give fewer contexts or batches")
    if not pieces[0].deployment.has_time:
        for point in range(query.work.seq.size):
            _add_nothing(request, query.work.at(np.array([point])), pieces[0].deployment, changes, batch=np.full(1, np.nan), limited_by=UNKNOWN)
        return
    evaluated = [
        some._replace(layout=some.layout + begin)
        for some, begin in zip(map_in_order(executor, partial(points, query), pieces, batch=1), searched.begins, strict=True)
    ]
    read: list[PrefillPool] = []
    if query.disaggregated:
        each = zip(map_in_order(executor, partial(best_prefill_pool, query), pieces, batch=1), searched.begins, strict=True)
        read = _of_precision(pieces, [pool._replace(layout=pool.layout + begin) for pool, begin in each])
        evaluated = [_with_prefill_pool(query.work, some, pool) for some, pool in zip(evaluated, read, strict=True)]
    kept = Points(*(np.concatenate(values) for values in zip(*evaluated, strict=True)))
    kept = kept.only(np.argsort(kept.point, kind="stable")) if query.include_dominated else best(kept)
    missing = [point for point in range(query.work.seq.size) if not (kept.point == point).any()]
    most = max(missing, key=lambda point: float(query.work.seq[point]), default=None)  # only this one gets a note
    for point in range(query.work.seq.size):
        if point in missing:
            _add_infeasible(request, query, searched, point, changes, explain=point == most)
            continue
        curve = kept.only(kept.point == point)
        for first, last in _runs(curve.layout):
            number = int(curve.layout[first])
            piece = int(np.searchsorted(searched.begins, number, side="right")) - 1
            _add_rows(request, query, server, searched, curve.only(np.arange(first, last)), read[piece] if read else None, changes)


def _of_precision(pieces: Sequence[Piece], each: Sequence[PrefillPool]) -> list[PrefillPool]:
    """For each piece the best prefill pool of the same precision: both pools must hold the same weights and KV cache."""
    kinds = [(piece.deployment.weights, piece.deployment.kv) for piece in pieces]
    return [reduce(pointwise_best, (pool for pool, other in zip(each, kinds, strict=True) if other == kind)) for kind in kinds]


def _with_prefill_pool(work: Workload, some: Points, pool: PrefillPool) -> Points:
    """The points of a decode pool, with throughput counted per device of both pools."""
    assert work.osl is not None
    some = some.only(pool.rate[some.point] > 0)
    return some._replace(throughput=disaggregated_throughput(pool.rate[some.point], work.osl[some.point], some.throughput))


def _runs(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Start and end of every run of equal values."""
    return pairwise([0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), values.size])


def _add_rows(
    request: Request,
    query: FrontierQuery,
    server: Target | None,
    searched: Searched,
    some: Points,
    pool: PrefillPool | None,
    changes: tuple[Change, ...],
) -> None:
    """Adds the rows of one deployment at one point of the workload."""
    deployment, point = searched.deployment(int(some.layout[0])), int(some.point[0])
    work = query.work.at(np.full(some.batch.size, point))
    step = work.step(deployment)
    values: dict[str, Any] = {}
    if work.isl is not None and work.osl is not None:
        if pool is None:
            values = work.more(deployment, some.throughput * deployment.hardware.count, step, some.batch)
        else:
            values = _prefill_columns(searched, pool, point, work.osl * pool.rate[point], some.throughput)
        values |= {"isl": float(work.isl[0]), "osl": float(work.osl[0]), **work.shared}
    if (lines := lines_of(request, server, deployment, work.chunk)) is not None:
        values["serve"] = lines.of(work.seq if work.isl is None or work.osl is None else work.isl + work.osl, some.batch)
    request.add(
        deployment,
        changes,
        seq=work.seq,
        batch=some.batch,
        interactivity_tok_s=some.interactivity,
        throughput_tok_s_per_device=some.throughput,
        limited_by=served_limit(step if pool else work.served_step(step), some.batch),
        **values,
    )


def _prefill_columns(searched: Searched, pool: PrefillPool, point: int, most: NDArray[Any], throughput: NDArray[Any]) -> dict[str, Any]:
    """Columns on the prefill pool; throughput/most is the fraction of all devices that prefill."""
    deployment = searched.deployment(int(pool.layout[point]))
    layout, part = deployment.layout, throughput / most
    return {
        "ttft_ms": float(pool.ttft_s[point]) * 1e3,
        "prefill_per_decode": part / (1 - part),
        "prefill_devices": layout.devices,
        **{f"prefill_{name}": getattr(layout, name) for name in ("tp", "pp", "dp", "ep")},
    }


def _add_infeasible(request: Request, query: FrontierQuery, searched: Searched, point: int, changes: tuple[Change, ...], explain: bool) -> None:
    """Adds a row that names the obstacle where nothing fits or nothing meets the time to first token; `explain` adds a note."""
    work = query.work.at(np.array([point]))
    least = 1.0 if query.batches is None else float(query.batches.min())
    everything = [piece.placed(number) for piece in searched.pieces for number in range(len(piece.layouts))]
    fits = max(float(memory.batch_memory(one, work.seq)[0]) for one in everything)
    limit = "capacity" if any(memory.weights_fit(one) for one in everything) else "weights"
    if fits >= least and query.ttft_s is not None:
        limit = "ttft"
    nearest = min(everything, key=lambda one: memory.system_weight_bytes(one) / memory.system_capacity_bytes(one))
    if explain:
        where = f"{nearest.model.name} on {nearest.hardware.name}"
        if limit == "ttft":
            request.note(f"{where}: no layout that fits meets the time to first token")
        elif fits >= least:
            request.note(f"{where}: no layout has memory for one prompt per rank and stage")
        elif fits > 0:
            request.note(f"{where}: no layout has memory for {least:,.0f} sequences of {float(work.seq[0]):,.0f} tokens; at most {fits:,.0f} fit")
        else:
            request.note(fit_advice.what_would_fit(nearest, float(work.seq[0])))
    _add_nothing(request, work, nearest, changes, batch=np.zeros(1), limited_by=limit)


def _add_nothing(request: Request, work: Workload, deployment: Deployment, changes: tuple[Change, ...], **values: Any) -> None:
    """Adds a row without results."""
    if work.isl is not None and work.osl is not None:
        values |= {"isl": float(work.isl[0]), "osl": float(work.osl[0]), **work.shared}
    request.add(deployment, changes, seq=work.seq, **values, **dict.fromkeys(("tp", "pp", "dp", "ep", "dcp")))
