"""Prefills and mean steps that searches ask for again, with the same few numbers in another step of the search."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.prefill import Prefill, prefill

POINTS = 256  # arrays of more are computed anew: large grids ask once
Frozen = tuple[tuple[int, ...], bytes]


def frozen(values: Any) -> Frozen | None:
    """The shape and the bytes of a small array, as a key; None of a large one."""
    values = np.asarray(values, dtype=float)
    return (values.shape, values.tobytes()) if values.size <= POINTS else None


def thawed(key: Frozen) -> Any:
    """The array of a key, read-only."""
    shape, data = key
    return np.frombuffer(data).reshape(shape)


def recent_prefill(deployment: Deployment, new: Any, cached: Any, batch: Any, chunk: float | None) -> Prefill:
    """`prefill`, kept for small arrays; its results are shared and must not be changed in place."""
    keys = [frozen(one) for one in (new, cached, batch)]
    if any(key is None for key in keys):
        return prefill(deployment, new, cached, batch, chunk)
    return _prefill(deployment, *keys, chunk)


@lru_cache(maxsize=512)
def _prefill(deployment: Deployment, new: Frozen, cached: Frozen, batch: Frozen, chunk: float | None) -> Prefill:
    return prefill(deployment, thawed(new), thawed(cached), thawed(batch), chunk)
