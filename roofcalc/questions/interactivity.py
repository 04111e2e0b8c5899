"""Tokens per second for each user at every batch and context."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import capacity, limits
from roofcalc.architecture.model import Model
from roofcalc.generation import limited_by
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import Names, Numbers, Options, Request, whole
from roofcalc.workload import axes, workload

DEFAULT_BATCHES = "1:256:x2"


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
    **options: Unpack[Options],
) -> Table:
    """Tokens per second for each user at every context and batch (default batches 1 to 256), whether or not they fit.

    Parameters and errors are those of `max_batch`; `batch` counts sequences over the whole system.
    """
    generations = isl is not None or osl is not None
    given = (*(("isl", "osl", "kv_at") if generations else ()), *(("chunk",) if chunk is not None else ()))
    request = Request("interactivity", columns.INTERACTIVITY_ROWS, model, hardware, options, given, columns.GENERATION if generations else ())
    batches = whole(DEFAULT_BATCHES if batch is None else batch, "batch", limits.MAX_BATCH)
    for deployment, changes in request.deployments():
        *points, size = request.grid(*axes(request, deployment.model, seq, isl, osl), batches)
        work = workload(points, kv_at, chunk)
        fits = capacity.batch_memory(deployment, work.seq) >= size
        seconds = throughput = np.full(size.shape, np.nan)
        limit, more = np.full(size.shape, ""), {}
        if deployment.has_time:
            step = work.step(deployment)
            seconds, limit = step.seconds(size), limited_by(step, size)
            throughput = work.throughput(deployment, step, size, seconds)
            more = work.more(deployment, throughput)
        request.add(
            deployment,
            changes,
            seq=work.seq,
            batch=size,
            interactivity_tok_s=deployment.accepted / seconds,
            limited_by=limit,
            step_ms=seconds * 1e3,
            throughput_tok_s=throughput,
            throughput_tok_s_per_device=throughput / deployment.hardware.count,
            fits_memory=fits,
            **more,
        )
    return request.table
