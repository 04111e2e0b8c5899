"""What fills the memory, and how far it reaches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers, whole
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import placements
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.memory import batch_memory, system_capacity_bytes, system_kv_bytes, system_weight_bytes
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

    Parameters and errors are those of `max_batch`. Weights + KV + free = capacity, sums over all devices.
    """
    request = Request("memory", columns.MEMORY, model, hardware, options)
    batches = whole(1 if batch is None else batch, "batch", solver.MAX_BATCH)
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq)
        for placed, part in placements(request, deployment, contexts):
            fitting = batch_memory(placed, contexts[part])
            if not fitting.all():
                request.note(fit_advice.what_would_fit(placed, float(contexts[part][np.argmin(fitting)])))
            longest = max_context(placed, batches)
            if (np.isfinite(longest) & (longest > placed.model.context)).any():
                request.note(f"{placed.model.name}: max_context is what memory allows; the model itself ends at {placed.model.context} tokens")
            request.fill(placed, changes, (contexts[part], batches), partial(rows, placed))
    return request.answer()


def rows(deployment: Deployment, seq: NDArray[Any], batch: NDArray[Any]) -> dict[str, Any]:
    weights, room = system_weight_bytes(deployment), system_capacity_bytes(deployment)
    kv = system_kv_bytes(deployment, seq) * batch
    fitting = batch_memory(deployment, seq)
    sizes = np.array(sorted(set(batch.tolist())))  # np.unique would import masked arrays
    return {
        "seq": seq,
        "batch": batch,
        "weights_gb": weights / 1e9,
        "kv_gb": kv / 1e9,
        "free_gb": (room - weights - kv) / 1e9,
        "capacity_gb": room / 1e9,
        "fits_memory": fitting >= batch,
        "max_context": max_context(deployment, sizes)[np.searchsorted(sizes, batch)],
        "batch_memory": fitting,
    }
