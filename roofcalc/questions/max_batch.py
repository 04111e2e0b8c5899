"""The largest batch that is fast enough and fits."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import capacity, limits, units
from roofcalc.architecture.model import Model
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import Names, Numbers, Options, Request, positive

DEFAULT_INTERACTIVITY = 30.0


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
        contexts = request.contexts(deployment.model, seq)
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
