"""The largest whole number for which a condition holds, for whole arrays at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # a tenth of the start would go into it
    from numpy.typing import NDArray


def largest(holds: Callable[[NDArray[Any]], NDArray[Any]], shape: tuple[int, ...], limit: int) -> NDArray[Any]:
    """The largest n in 0 … limit for which `holds(n)`; exact, by doubling and bisection.

    Parameters
    ----------
    holds : callable
        Takes an array of candidates in `shape`, returns booleans; must not become true again once it is false.
    shape : tuple of int
        Shape of the answer.
    limit : int
        Never looked beyond; 0 is taken to hold.
    """
    low = np.zeros(shape)
    high = np.ones(shape)
    growing = np.ones(shape, dtype=bool)
    while True:
        growing = growing & (high <= limit) & holds(np.minimum(high, limit))
        if not growing.any():
            break
        low = np.where(growing, high, low)
        high = np.where(growing, 2 * high, high)
    low = np.where((high > limit) & (low < limit) & holds(np.full(shape, float(limit))), limit, low)
    high = np.minimum(high, limit + 1)
    while ((high - low) > 1).any():
        middle = np.floor((low + high) / 2)
        inside = (high - low) > 1
        ok = holds(middle)
        low = np.where(inside & ok, middle, low)
        high = np.where(inside & ~ok, middle, high)
    return low
