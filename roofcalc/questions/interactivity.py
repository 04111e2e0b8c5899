"""Tokens per second for each user at every batch and context."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import capacity, limits
from roofcalc.architecture.model import Model
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import Names, Numbers, Options, Request, whole
from roofcalc.roofline import decode

DEFAULT_BATCHES = "1:256:x2"


def interactivity(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Tokens per second for each user at every context and batch (default batches 1 to 256), whether or not they fit.

    Parameters and errors are those of `max_batch`; `batch` counts sequences over the whole system.
    """
    request = Request("interactivity", columns.INTERACTIVITY_ROWS, model, hardware, options)
    batches = whole(DEFAULT_BATCHES if batch is None else batch, "batch", limits.MAX_BATCH)
    for deployment, changes in request.deployments():
        grid, size = request.grid(request.contexts(deployment.model, seq), batches)
        fits = capacity.batch_memory(deployment, grid) >= size
        if deployment.has_time:
            step = decode(deployment, grid)
            seconds, limit = step.seconds(size), step.limited_by(size)
        else:
            seconds, limit = np.full(grid.shape, np.nan), np.full(grid.shape, "")
        request.add(
            deployment,
            changes,
            seq=grid,
            batch=size,
            interactivity_tok_s=1 / seconds,
            limited_by=limit,
            step_ms=seconds * 1e3,
            throughput_tok_s=size / seconds,
            throughput_tok_s_per_device=size / seconds / deployment.hardware.count,
            fits_memory=fits,
        )
    return request.table
