"""Solver: the longest context at which a batch fits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.memory import batch_memory
from roofcalc.solvers.integer_search import largest_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CONTEXT = 2**40


def max_context(deployment: Deployment, batch: Any) -> NDArray[Any]:
    """The most tokens per sequence at which `batch` sequences fit; 0 where none fit, inf where memory does not grow with the context."""
    batch = np.asarray(batch, dtype=float)
    found = largest_integer(lambda seq: batch_memory(deployment, seq) >= batch, batch.shape, MAX_CONTEXT)
    return np.where(found >= MAX_CONTEXT, np.inf, found)
