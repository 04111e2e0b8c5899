"""What fills the memory, and how far it reaches."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import capacity, limits
from roofcalc.architecture.model import Model
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import Names, Numbers, Options, Request, whole


def memory(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """What fills the memory at every context and batch (default 1), and how far it reaches.

    Parameters and errors are those of `max_batch`. Weights + KV + free = capacity, sums over all devices.
    """
    request = Request("memory", columns.MEMORY, model, hardware, options)
    batches = whole(1 if batch is None else batch, "batch", limits.MAX_BATCH)
    for deployment, changes in request.deployments():
        grid, size = request.grid(request.contexts(deployment.model, seq), batches)
        fitting = capacity.batch_memory(deployment, grid)
        if not fitting.all():
            request.note(limits.what_would_fit(deployment, float(grid[np.argmin(fitting)])))
        weights, room = capacity.system_weight_bytes(deployment), capacity.system_capacity_bytes(deployment)
        kv = capacity.system_kv_bytes(deployment, grid) * size
        contexts = capacity.max_context(deployment, batches)
        if (np.isfinite(contexts) & (contexts > deployment.model.context)).any():
            request.note(f"{deployment.model.name}: max_context is what memory allows; the model itself ends at {deployment.model.context} tokens")
        request.add(
            deployment,
            changes,
            seq=grid,
            batch=size,
            weights_gb=weights / 1e9,
            kv_gb=kv / 1e9,
            free_gb=(room - weights - kv) / 1e9,
            capacity_gb=room / 1e9,
            fits_memory=fitting >= size,
            max_context=np.tile(contexts, grid.size // batches.size),
            batch_memory=fitting,
        )
    return request.table
