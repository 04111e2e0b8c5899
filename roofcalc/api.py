"""The questions that people ask, as functions on lists and arrays: every list crosses with every other.

The command line is a thin shell over these. Each returns a `Table`: `table["max_batch"]` is a NumPy array, and every
row carries what it assumed.
"""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import capacity, limits, units
from roofcalc.architecture.model import Model
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import Names, Numbers, Options, Request, positive, whole
from roofcalc.roofline import decode

DEFAULT_INTERACTIVITY = 30.0
DEFAULT_BATCHES = "1:256:x2"


def max_batch(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    interactivity: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """How many sequences fit and stay fast enough, and what runs out first.

    Parameters
    ----------
    model, hardware
        Names, aliases or paths: one, a comma list, or a list of them.
    seq : tokens
        Contexts (default 1k to 128k, up to the model's own).
    interactivity : tok/s/user
        The least that each user must get (default 30).

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, change, context and interactivity.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.

    Notes
    -----
    Formulas and their sources: `roofcalc.operations`, `roofcalc.roofline`, `roofcalc.collectives`, `roofcalc.capacity`.
    """
    request = Request("max-batch", columns.MAX_BATCH, model, hardware, options)
    if interactivity is None:
        request.note(f"interactivity: at least {units.plain(DEFAULT_INTERACTIVITY)} tok/s for each user (--interactivity)")
    rates = positive(DEFAULT_INTERACTIVITY if interactivity is None else interactivity, "interactivity", 1e-6, 1e9)
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment, seq)
        grid, rate = request.grid(contexts, rates)
        found = limits.max_batch(deployment, grid, rate)
        if not found.batch_memory.all():
            request.note(limits.what_would_fit(deployment, float(grid[np.argmin(found.batch_memory)])))
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = 1 / found.step_s
        throughput = speed * found.max_batch
        request.add(
            deployment,
            changes,
            seq=grid,
            min_interactivity_tok_s=rate,
            max_batch=found.max_batch,
            limited_by=found.limited_by,
            batch_memory=found.batch_memory,
            batch_interactivity=found.batch_interactivity,
            interactivity_tok_s=speed,
            step_ms=found.step_s * 1e3,
            throughput_tok_s=throughput,
            throughput_tok_s_per_device=throughput / deployment.hardware.count,
            kv_gb_per_seq=capacity.system_kv_bytes(deployment, grid) / 1e9,
            weights_gb=capacity.system_weight_bytes(deployment) / 1e9,
        )
    return request.table


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
        grid, size = request.grid(request.contexts(deployment, seq), batches)
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
        grid, size = request.grid(request.contexts(deployment, seq), batches)
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
