"""A step, operation by operation."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import limits, units
from roofcalc.architecture.model import Model
from roofcalc.breakdown import lines
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import Names, Numbers, Options, Request, whole
from roofcalc.roofline import decode


def ops(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    per_layer: bool = False,
    **options: Unpack[Options],
) -> Table:
    """The step, operation by operation, on one device; equal layers together, or apart with `per_layer`.

    Parameters and errors are those of `interactivity`, whose step the times add up to.
    """
    request = Request("ops", columns.OPS, model, hardware, options)
    batches = whole(1 if batch is None else batch, "batch", limits.MAX_BATCH)
    for deployment, changes in request.deployments():
        if not deployment.has_time:
            continue
        grid, size = request.grid(request.contexts(deployment.model, seq), batches)
        step = decode(deployment, grid)
        found = lines(step, grid, size, per_layer)
        request.grid(grid, np.arange(len(found)))  # refuses what is too long
        total = np.asarray(step.seconds(size)) * np.ones(grid.shape)
        rows = [(point, line) for point in range(grid.size) for line in found if line.layers[point]]
        figures = np.array([[value[point] for value in line[1:]] for point, line in rows])
        points = np.array([point for point, _ in rows])
        layers, flops, moved, compute, memory_s, network, time = figures.T
        with np.errstate(divide="ignore", invalid="ignore"):
            intensity = flops / moved
        request.add(
            deployment,
            changes,
            seq=grid[points],
            batch=size[points],
            op=np.array([line.op for _, line in rows]),
            layers=layers,
            gflop=flops / 1e9,
            mb=moved / 1e6,
            intensity_flop_per_byte=intensity,
            compute_us=compute * 1e6,
            memory_us=memory_s * 1e6,
            network_us=network * 1e6,
            time_us=time * 1e6,
            share=time / total[points],
            limited_by=np.array([line.limited_by[point] for point, line in rows]),
        )
        if grid.size == 1:
            request.table.sums.append(
                f"sum: {units.significant(flops.sum() / 1e9)} GFLOP, {units.significant(moved.sum() / 1e6)} MB, "
                f"{units.significant(time.sum() * 1e6)} us: the step of `roofcalc interactivity`"
            )
    return request.table
