"""The largest batch that is fast enough and fits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import Names, Numbers, positive
from roofcalc.commands.grid import stretches
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import placements
from roofcalc.commands.workload import axes, workload
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_INTERACTIVITY = 30.0


def max_batch(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    interactivity: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
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
    isl, osl : tokens
        Whole generations in place of contexts: the mean step counts, and throughput takes in the prompts.
    kv_at : "end" or "mean"
        Of the generation, for capacity (default "end").
    chunk : tokens
        Largest prefill step.

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
    Formulas and their sources: `roofcalc.operations`, `roofcalc.physics.roofline`, `roofcalc.physics.collectives`, `roofcalc.physics.memory`.
    """
    generations = isl is not None or osl is not None
    given = (*(("isl", "osl", "kv_at") if generations else ()), *(("chunk",) if chunk is not None else ()))
    request = Request("max-batch", columns.MAX_BATCH, model, hardware, options, given, columns.GENERATION if generations else ())
    if interactivity is None:
        request.note(f"interactivity: at least {units.plain(DEFAULT_INTERACTIVITY)} tok/s for each user (--interactivity)")
    rates = positive(DEFAULT_INTERACTIVITY if interactivity is None else interactivity, "interactivity", 0, 1e9)
    for deployment, changes in request.deployments():
        of_points = axes(request, deployment.model, seq, isl, osl)
        shared = workload([axis[:1] for axis in of_points], kv_at, chunk).shared
        first, *rest = of_points
        longest = workload([first, *(np.full(first.shape, axis.max()) for axis in rest)], kv_at, chunk).seq
        for placed, part in placements(request, deployment, longest):
            own = [first[part], *rest]
            for points in stretches(own):
                held = workload(points, kv_at, chunk).seq
                if not (fitting := memory.batch_memory(placed, held)).all():
                    request.note(fit_advice.what_would_fit(placed, float(held[np.argmin(fitting)])))
                    break
            request.fill(placed, changes, (*own, rates), partial(rows, placed, kv_at, chunk), **shared)
    return request.answer()


def rows(deployment: Deployment, kv_at: str | None, chunk: Any, *points: NDArray[Any]) -> dict[str, Any]:
    *of_work, rate = points
    work = workload(of_work, kv_at, chunk)
    step = work.step(deployment) if deployment.has_time else None
    found = solver.max_batch(deployment, work.seq, rate, step)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = deployment.accepted / found.step_s
    throughput = work.throughput(deployment, step, found.max_batch, found.step_s) if step else np.full(rate.shape, np.nan)
    return {
        "seq": work.seq,
        "min_interactivity_tok_s": rate,
        "max_batch": found.max_batch,
        "limited_by": found.limited_by,
        "batch_memory": found.batch_memory,
        "batch_interactivity": found.batch_interactivity,
        "interactivity_tok_s": speed,
        "step_ms": found.step_s * 1e3,
        "throughput_tok_s": throughput,
        "throughput_tok_s_per_device": throughput / deployment.hardware.count,
        "kv_gb_per_seq": memory.system_kv_bytes(deployment, work.seq) / 1e9,
        "weights_gb": memory.system_weight_bytes(deployment) / 1e9,
        **(work.more(deployment, throughput) if step else {}),
    }
