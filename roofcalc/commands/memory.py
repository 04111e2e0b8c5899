"""Memory use by weights and KV cache, and the longest context that fits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.serve import lines_of, serve_columns, target, with_lines
from roofcalc.commands.serving_layout import placements
from roofcalc.commands.stated import OFFLOADING, draft_columns
from roofcalc.commands.workload import batch_sizes
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.memory import (
    batch_memory,
    host_kv_bytes,
    kv_tokens,
    max_concurrency,
    system_draft_weight_bytes,
    system_kept,
    system_overhead_bytes,
    system_weight_bytes,
    tier_sessions,
)
from roofcalc.physics.offload import host_weight_bytes
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers.max_context import max_context
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


@notes_idle_changes
def memory(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    serve: str | None = None,
    **options: Unpack[Options],
) -> Table:
    """Memory use at every context and batch (default 1), and the longest context that fits.

    Parameters and errors are those of `max_batch`; `batch` counts sequences over the whole system. Weights, KV cache, activations,
    runtime and free memory add up to the capacity; all of them are sums over the devices, in GB.
    """
    hosted = any(options.get(name) is not None for name in OFFLOADING)
    server = target(serve)
    results = (*columns.MEMORY, *(columns.MEMORY_OF_HOST if hosted else ()), *draft_columns(options))
    request = Request("memory", results, model, hardware, options, more=serve_columns(server))
    batches = batch_sizes(batch)
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq)
        for placed, part in placements(request, deployment, contexts):
            fits = batch_memory(placed, contexts[part])
            if not fits.all():
                request.note(fit_advice.what_would_fit(placed, float(contexts[part][np.argmin(fits)])))
            longest = max_context(placed, batches.min())  # that of the smallest batch
            if placed.model.context < longest < np.inf:
                request.note(f"{placed.model.name}: max_context is limited by memory only; the model supports {placed.model.context} tokens")
            compute = partial(with_lines, lines_of(request, server, placed), partial(rows, placed), "batch", 1)
            request.fill(placed, changes, (contexts[part], batches), compute)
    return request.answer()


def rows(deployment: Deployment, seq: NDArray[Any], batch: NDArray[Any]) -> dict[str, Any]:
    weights = system_weight_bytes(deployment)
    activations, runtime, capacity = system_overhead_bytes(deployment, seq)
    kept = system_kept(deployment, seq)
    kv = kept.once + kept.each * batch
    fits = batch_memory(deployment, seq)
    sizes = np.array(sorted(set(batch.tolist())))  # np.unique would import numpy.ma
    return {
        "seq": seq,
        "batch": batch,
        "weights_gb": weights / 1e9,
        "kv_gb": kv / 1e9,
        "free_gb": (capacity - weights - activations - runtime - kv) / 1e9,
        "capacity_gb": capacity / 1e9,
        "fits_memory": fits >= batch,
        "max_context": max_context(deployment, sizes)[np.searchsorted(sizes, batch)],
        "batch_memory": fits,
        "activations_gb": activations / 1e9,
        "runtime_gb": runtime / 1e9,
        "kv_tokens": kv_tokens(deployment, seq),
        "max_concurrency": max_concurrency(deployment, seq),
        "host_weights_gb": host_weight_bytes(deployment) / 1e9,
        "tier_sessions": tier_sessions(deployment, seq),
        "host_kv_gb": host_kv_bytes(deployment, seq) * batch / 1e9,
        "draft_weights_gb": system_draft_weight_bytes(deployment) / 1e9,
    }
