"""Speed of each user, and throughput, at every batch and context."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands import defaults, ranges
from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.workload import axes, batch_sizes, generation_options, note_prompts_of_others, workload
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import limited_by
from roofcalc.physics.roofline import UNKNOWN
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


@notes_idle_changes
def interactivity(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    range: float | None = None,
    **options: Unpack[Options],
) -> Table:
    """Tokens per second for each user at every context and batch (default batches 1 to 256), including batches that do not fit.

    Parameters and errors are those of `max_batch`; `batch` counts sequences over the whole system.
    """
    given, more = generation_options(isl, osl, chunk), columns.GENERATION if isl is not None or osl is not None else ()
    share = ranges.percent(range, options)
    results = (*columns.INTERACTIVITY_ROWS, *ranges.speed_columns(share, isl is not None))
    request = Request("interactivity", results, model, hardware, options, (*given, *ranges.given(share)), more)
    batches = batch_sizes(batch, defaults.BATCH_SWEEP)
    note_prompts_of_others(request, isl)
    for deployment, changes in request.deployments():
        points = axes(request, deployment.model, seq, isl, osl)
        shared = workload([axis[:1] for axis in points], kv_at, chunk).shared
        request.fill(deployment, changes, (*points, batches), partial(_rows, deployment, kv_at, chunk, share), **shared, range=share)
    return request.answer()


def _rows(deployment: Deployment, kv_at: str | None, chunk: Any, share: float | None, *points: NDArray[Any]) -> dict[str, Any]:
    *of_work, batch = points
    work = workload(of_work, kv_at, chunk)
    seconds = served_s = throughput = np.full(batch.shape, np.nan)
    limit, more = np.full(batch.shape, UNKNOWN), work.more(deployment, throughput)
    if deployment.has_time:
        step = work.step(deployment)
        seconds, limit = step.seconds(batch), limited_by(step, batch)
        served_s = work.served_step(step).seconds(batch)
        throughput = work.throughput(deployment, step, batch, seconds)
        more = work.more(deployment, throughput, step, batch)
    return {
        "seq": work.seq,
        "batch": batch,
        "interactivity_tok_s": deployment.accepted / served_s,
        **ranges.around_speed(deployment, deployment.accepted / served_s, share, "decode"),
        **ranges.around_first(deployment, more.get("ttft_ms"), share),
        "limited_by": limit,
        "step_ms": seconds * 1e3,
        "throughput_tok_s": throughput,
        "throughput_tok_s_per_device": throughput / deployment.hardware.count,
        "fits_memory": memory.batch_memory(deployment, work.seq) >= batch,
        **more,
    }
