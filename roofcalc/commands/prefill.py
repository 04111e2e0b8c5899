"""Time to first token: what a prompt takes to be read in."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, one_whole, whole
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.prefill import MAX_STEPS
from roofcalc.physics.prefill import prefill as times_of
from roofcalc.physics.roofline import UNKNOWN
from roofcalc.report import columns
from roofcalc.report.table import STRETCH, Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def prefill(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    cached: Numbers | None = None,
    batch: Numbers | None = None,
    chunk: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Time to the first token of `seq` new tokens after `cached` ones, for every batch, whole or in chunks.

    Parameters
    ----------
    seq : tokens
        New ones of each sequence (default 1k to 128k, up to the model's context).
    cached : tokens
        Whose cache is there already (default 0).
    batch : sequences
        Over the whole system (default 1).
    chunk : tokens
        Largest step; one chunk reads the weights and what came before it anew.
    model, hardware, options
        As `max_batch` takes them.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    request = Request("prefill", columns.PREFILL, model, hardware, options, ("chunk",) if chunk is not None else ())
    before = whole(0 if cached is None else cached, "cached", MAX_TOKENS, 0)
    batches = whole(1 if batch is None else batch, "batch", solver.MAX_BATCH)
    size = None if chunk is None else one_whole(chunk, "chunk", MAX_TOKENS)
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq)
        steps = 1 if size is None else math.ceil(contexts.max() / size)
        if min(contexts.size * before.size * batches.size, STRETCH) * steps > MAX_STEPS:
            raise RoofcalcError(f"chunk: {steps:,} steps of {size:,.0f} tokens in each row; at most {MAX_STEPS:,} are computed at once")
        held = contexts[:, np.newaxis] + before
        request.beyond(deployment.model, held)
        fitting = memory.batch_memory(deployment, held)
        if not fitting.all():
            request.note(fit_advice.what_would_fit(deployment, float(held.ravel()[np.argmin(fitting)])))
        elif fitting.min() < batches.max():
            which = f"{deployment.model.name} on {deployment.hardware.name}"
            request.note(f"{which}: not every batch fits the memory; times are computed all the same")
        request.fill(deployment, changes, (contexts, before, batches), partial(_rows, deployment, size), chunk=size)
    return request.answer()


def _rows(deployment: Deployment, size: float | None, new: NDArray[Any], there: NDArray[Any], many: NDArray[Any]) -> dict[str, Any]:
    ttft = pace = np.full(new.shape, np.nan)
    limit = np.full(new.shape, UNKNOWN)
    if deployment.has_time:
        ttft, pace, limit = times_of(deployment, new, there, many, size)
    return {
        "seq": new,
        "cached": there,
        "batch": many,
        "ttft_ms": ttft * 1e3,
        "prefill_tok_s": many * new / pace,
        "limited_by": limit,
    }
