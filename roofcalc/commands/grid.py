"""Every combination of several axes' values, in stretches that are computed together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.report.table import STRETCH, Block

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stretches(axes: Sequence[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    """Every combination of the axes' values, the first axis slowest, so many at a time as are computed together."""
    size = math.prod(axis.size for axis in axes)
    return (_points(axes, first, min(first + STRETCH, size)) for first in range(0, size, STRETCH))


def _points(axes: Sequence[NDArray[Any]], first: int, last: int) -> list[NDArray[Any]]:
    places = np.unravel_index(np.arange(first, last), [axis.size for axis in axes])
    return [axis[place] for axis, place in zip(axes, places, strict=True)]


def stretch(axes: Sequence[NDArray[Any]], shared: dict[str, Any], rows: Callable[..., dict[str, Any]], first: int, last: int) -> Block:
    """Rows of a grid from `first` to before `last`."""
    return Block(last - first, {**shared, **rows(*_points(axes, first, last))})
