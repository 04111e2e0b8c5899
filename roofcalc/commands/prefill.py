"""Prefill time: time to first token and prefill throughput."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands import ranges
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, integer_array
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import MAX_KEPT, Request
from roofcalc.commands.workload import batch_sizes, chunk_tokens
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.offload import HOST
from roofcalc.physics.prefill import MAX_STEPS
from roofcalc.physics.prefill import prefill as prefill_times
from roofcalc.physics.prompt_cache import fetch_s, found_tokens
from roofcalc.physics.roofline import UNKNOWN
from roofcalc.report import columns
from roofcalc.report.table import CHUNK_ROWS, Table
from roofcalc.solvers import fit_advice
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


@notes_idle_changes
def prefill(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    cached: Numbers | None = None,
    batch: Numbers | None = None,
    chunk: Numbers | None = None,
    range: float | None = None,
    **options: Unpack[Options],
) -> Table:
    """Time to first token of prompts with `seq` new tokens after `cached` ones, at every batch, in one step or in chunks.

    Parameters
    ----------
    seq : tokens
        New tokens of each sequence (default 1k to 128k, up to the model's maximum context). With `shared_prefix` or `hit_rate`
        whole prompts: rows give the tokens that remain to compute, and those found as `cached`.
    cached : tokens
        Tokens of each sequence that are already in the KV cache (default 0).
    batch : sequences
        Prompts processed together, over the whole system (default 1).
    chunk : tokens
        Largest prefill step; every chunk reads the weights and the cache of the preceding chunks again.
    model, hardware, range, options
        As `max_batch` takes them.

    Raises
    ------
    RoofcalcError
        Invalid arguments, or more prefill steps than are computed at once.
    """
    share, tiers = ranges.percent(range, options), "kv=" in str(options.get("offload") or "")
    results = (*columns.PREFILL, *(columns.TTFT_RANGE if share is not None else ()), *(columns.PREFILL_OF_TIER if tiers else ()))
    request = Request("prefill", results, model, hardware, options, (*(("chunk",) if chunk is not None else ()), *ranges.given(share)))
    if cached is not None and (options.get("shared_prefix") is not None or options.get("hit_rate") is not None):
        raise RoofcalcError("--cached: give either the tokens found in the cache (--cached), or --shared-prefix and --hit-rate of whole prompts")
    before = integer_array(0 if cached is None else cached, "--cached", MAX_TOKENS, 0)
    batches, chunk_size = batch_sizes(batch), chunk_tokens(chunk)
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq) + request.image_tokens(deployment.model)
        steps = 1 if chunk_size is None else math.ceil(contexts.max() / chunk_size)
        if min(contexts.size * before.size * batches.size, CHUNK_ROWS) * steps > MAX_STEPS:
            raise RoofcalcError(f"--chunk: {steps:,} steps of {chunk_size:,.0f} tokens in each row; at most {MAX_STEPS:,} are computed at once")
        few = contexts.size * before.size <= MAX_KEPT  # of a larger grid the longest prompt is looked at
        held = contexts[:, np.newaxis] + before if few else np.array([[contexts.max() + before.max()]])
        request.note_context(deployment.model, held)
        fits = memory.batch_memory(deployment, held)
        if not fits.all():
            request.note(fit_advice.what_would_fit(deployment, float(held.ravel()[np.argmin(fits)])))
        elif fits.min() < batches.max():
            where = f"{deployment.model.name} on {deployment.hardware.name}"
            request.note(f"{where}: some batches do not fit in memory; their times are computed as if they did")
        request.fill(deployment, changes, (contexts, before, batches), partial(_rows, deployment, chunk_size, share), chunk=chunk_size, range=share)
    return request.answer()


def _rows(
    deployment: Deployment, chunk_size: float | None, share: float | None, new: NDArray[Any], cached: NDArray[Any], batch: NDArray[Any]
) -> dict[str, Any]:
    ttft = batch_s = np.full(new.shape, np.nan)
    limit = np.full(new.shape, UNKNOWN)
    prompt, found = new, found_tokens(deployment, new)
    new, cached = new - found, cached + found
    if deployment.has_time:
        times = prefill_times(deployment, new, cached, batch, chunk_size)
        ttft, batch_s, limit = times.ttft_s, times.batch_prefill_s, times.limited_by
    more: dict[str, Any] = {}
    if deployment.offload is not None and deployment.offload.has_tier and deployment.has_time:
        fetched = fetch_s(deployment, prompt)
        at_hand = np.minimum(prompt - 1, deployment.assumptions.shared_prefix)
        again = prefill_times(deployment, prompt - at_hand, at_hand, batch, chunk_size).ttft_s
        more = {"fetch_ms": fetched * 1e3, "recompute_ms": again * 1e3}
        ttft, batch_s, limit = ttft + fetched, batch_s + fetched, np.where(fetched > ttft, HOST, limit)
    return {
        "seq": new,
        "cached": cached,
        "batch": batch,
        "ttft_ms": ttft * 1e3,
        **ranges.around_first(deployment, ttft * 1e3, share),
        "prefill_tok_s": batch * new / batch_s,
        "limited_by": limit,
        **more,
    }
