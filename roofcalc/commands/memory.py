"""What fills the memory, and how far it reaches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers, whole
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.memory import batch_memory, kv_tokens, max_concurrency, system_kv_bytes, system_overhead_bytes, system_weight_bytes
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.max_context import max_context
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def memory(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """What fills the memory at every context and batch (default 1), and how far it reaches.

    Parameters and errors are those of `max_batch`. Weights + KV + activations + runtime + free = capacity, sums over all devices.
    """
    request = Request("memory", columns.MEMORY, model, hardware, options)
    batches = whole(1 if batch is None else batch, "batch", solver.MAX_BATCH)
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq)
        fitting = batch_memory(deployment, contexts)
        if not fitting.all():
            request.note(fit_advice.what_would_fit(deployment, float(contexts[np.argmin(fitting)])))
        longest = max_context(deployment, batches)
        if (np.isfinite(longest) & (longest > deployment.model.context)).any():
            request.note(f"{deployment.model.name}: max_context is what memory allows; the model itself ends at {deployment.model.context} tokens")
        request.fill(deployment, changes, (contexts, batches), partial(_rows, deployment))
    return request.answer()


def _rows(deployment: Deployment, seq: NDArray[Any], batch: NDArray[Any]) -> dict[str, Any]:
    weights = system_weight_bytes(deployment)
    activations, runtime, room = system_overhead_bytes(deployment, seq)
    kv = system_kv_bytes(deployment, seq) * batch
    fitting = batch_memory(deployment, seq)
    sizes = np.array(sorted(set(batch.tolist())))  # np.unique would import masked arrays
    return {
        "seq": seq,
        "batch": batch,
        "weights_gb": weights / 1e9,
        "kv_gb": kv / 1e9,
        "free_gb": (room - weights - activations - runtime - kv) / 1e9,
        "capacity_gb": room / 1e9,
        "fits_memory": fitting >= batch,
        "max_context": max_context(deployment, sizes)[np.searchsorted(sizes, batch)],
        "batch_memory": fitting,
        "activations_gb": activations / 1e9,
        "runtime_gb": runtime / 1e9,
        "kv_tokens": kv_tokens(deployment, seq),
        "max_concurrency": max_concurrency(deployment, seq),
    }
