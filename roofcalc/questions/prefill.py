"""Time to first token: what a prompt takes to be read in."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import limits
from roofcalc.architecture.model import Model
from roofcalc.hardware import Hardware
from roofcalc.prefill import prefill as times_of
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.request import MAX_TOKENS, Names, Numbers, Options, Request, positive, whole


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
    before = positive(0 if cached is None else cached, "cached", 0, MAX_TOKENS)
    batches = whole(1 if batch is None else batch, "batch", limits.MAX_BATCH)
    size = None if chunk is None else float(whole(chunk, "chunk", MAX_TOKENS)[0])
    for deployment, changes in request.deployments():
        new, there, many = request.grid(request.contexts(deployment.model, seq), before, batches)
        if size is not None:
            request.grid(new, np.arange(np.ceil(new.max() / size)))  # refuses more steps than can be computed at once
        if deployment.has_time:
            ttft, pace, limit = times_of(deployment, new, there, many, size)
        else:
            ttft = pace = np.full(new.shape, np.nan)
            limit = np.full(new.shape, "")
        request.add(
            deployment,
            changes,
            seq=new,
            cached=there,
            batch=many,
            ttft_ms=ttft * 1e3,
            prefill_tok_s=many * new / pace,
            limited_by=limit,
            chunk=size,
        )
    return request.table
