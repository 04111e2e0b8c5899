"""A step, operation by operation."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, one_whole, whole
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.physics.breakdown import lines, prefill_lines
from roofcalc.physics.prefill import prefill
from roofcalc.physics.roofline import decode
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

PHASES = ("decode", "prefill")


def ops(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    phase: str = "decode",
    cached: Numbers | None = None,
    chunk: Numbers | None = None,
    per_layer: bool = False,
    **options: Unpack[Options],
) -> Table:
    """A step, operation by operation, on one device; equal layers together, or apart with `per_layer`.

    Parameters
    ----------
    phase : "decode" or "prefill"
        The step whose times add up to that of `interactivity`, or to the time to first token of `prefill`.
    cached, chunk : tokens
        Of a prefill, as `prefill` takes them.
    model, hardware, seq, batch, options
        As `interactivity` and `prefill` take them.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    if phase not in PHASES:
        raise RoofcalcError(f"phase: {phase!r} is none of {', '.join(PHASES)}{did_you_mean(phase, PHASES)}")
    if phase == "decode" and (cached is not None or chunk is not None):
        raise RoofcalcError("cached, chunk: they are of a prefill; give --phase prefill")
    given = tuple(name for name, value in (("chunk", chunk),) if value is not None)
    shown, more = (columns.OPS, ()) if phase == "decode" else ((columns.NEW, *columns.OPS[1:]), (columns.CACHED,))
    waits = options.get("assume") == "typical" or options.get("layer_overhead_us") or options.get("step_overhead_us")
    more = (*more, *((columns.OVERHEAD_US,) if waits else ()), columns.FORMAT)
    request = Request("ops", shown, model, hardware, options, given, more)
    batches = whole(1 if batch is None else batch, "batch", solver.MAX_BATCH)
    before = whole(0 if cached is None else cached, "cached", MAX_TOKENS, 0)
    size = None if chunk is None else one_whole(chunk, "chunk", MAX_TOKENS)
    for deployment, changes in request.deployments():
        if deployment.draft:
            raise RoofcalcError("draft: ops shows plain steps; leave drafts out")
        if not deployment.has_time:
            continue
        grid, many, there = request.grid(request.contexts(deployment.model, seq), batches, before)
        request.beyond(deployment.model, grid + there)
        if phase == "decode":
            step = decode(deployment, grid)
            found, total = lines(step, grid, many, per_layer), np.asarray(step.seconds(many)) * np.ones(grid.shape)
        else:
            found = prefill_lines(deployment, grid, there, many, size, per_layer)
            total = prefill(deployment, grid, there, many, size).ttft_s
        request.grid(grid, np.arange(len(found)))  # refuses what is too long
        rows = [(point, line) for point in range(grid.size) for line in found if line.layers[point]]
        points = np.array([point for point, _ in rows])
        layers, flops, moved, compute, memory, network, time, overhead = np.array([[value[point] for value in line[2:]] for point, line in rows]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            intensity = flops / moved
        request.add(
            deployment,
            changes,
            seq=grid[points],
            batch=many[points],
            op=np.array([line.op for _, line in rows]),
            layers=layers,
            gflop=flops / 1e9,
            mb=moved / 1e6,
            intensity_flop_per_byte=intensity,
            compute_us=compute * 1e6,
            memory_us=memory * 1e6,
            network_us=network * 1e6,
            time_us=time * 1e6,
            share=time / total[points],
            limited_by=np.array([line.limited_by[point] for point, line in rows]),
            cached=there[points],
            overhead_us=overhead * 1e6,
            chunk=size,
            format=np.array([line.format for _, line in rows]),
        )
        if grid.size == 1:
            sums = (units.significant(flops.sum() / 1e9), units.significant(moved.sum() / 1e6), units.significant(time.sum() * 1e6))
            whose = "the step of `roofcalc interactivity`" if phase == "decode" else "the first token of `roofcalc prefill`"
            request.table.sums.append(f"sum: {sums[0]} GFLOP, {sums[1]} MB, {sums[2]} us: {whose}")
    return request.table
