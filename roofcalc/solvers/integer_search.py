"""Vectorised search for the largest integer that satisfies a monotone predicate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


AT_ONCE = 4096  # candidates per call of the predicate, whose fixed cost is that of a few thousand candidates


def largest_integer(holds: Callable[[NDArray[Any]], NDArray[Any]], shape: tuple[int, ...], limit: int) -> NDArray[Any]:
    """The largest n in 0 … limit for which `holds(n)` is true; exact, by doubling and then by multisection.

    Parameters
    ----------
    holds : callable
        Monotone predicate: takes an array (candidates, *shape) and returns booleans that stay false once they are false.
    shape : tuple of int
        Shape of the answer.
    limit : int
        Largest candidate; `holds(0)` is taken to be true.
    """
    several = max(1, min(AT_ONCE // max(1, math.prod(shape)), limit.bit_length()))
    steps = np.arange(1.0, several + 1).reshape(-1, *(1,) * len(shape))
    low, high = np.zeros(shape), np.full(shape, limit + 1.0)
    power = 1.0  # the smallest candidate not tried yet
    while power <= limit and (low == np.floor(power / 2)).any():
        tried = np.broadcast_to(np.minimum(power * 2.0 ** (steps - 1), limit), (several, *shape))
        low, high = _between(tried, holds(tried), low, high)
        power *= 2.0**several
    while (gap := high - low).max(initial=0) > 1:
        tried = np.clip(low + np.floor(gap * steps / (several + 1)), np.maximum(low, 1), np.maximum(high - 1, 1))
        low, high = _between(tried, holds(tried), low, high)
    return low


def _between(tried: NDArray[Any], ok: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The bounds, narrowed by the candidates for which the predicate is true and false."""
    ok = ok | (tried <= low)
    return np.maximum(low, np.where(ok, tried, 0.0).max(axis=0)), np.minimum(high, np.where(ok, np.inf, tried).min(axis=0))
