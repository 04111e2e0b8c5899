"""Cartesian product of axes, in chunks of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.report.table import CHUNK_ROWS, Block

if TYPE_CHECKING:
    from numpy.typing import NDArray


def iter_chunks(axes: Sequence[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    """Every combination of the axes' values, the last axis fastest: one array per axis, `CHUNK_ROWS` rows at a time."""
    size = math.prod(axis.size for axis in axes)
    return (_points(axes, first, min(first + CHUNK_ROWS, size)) for first in range(0, size, CHUNK_ROWS))


def _points(axes: Sequence[NDArray[Any]], first: int, last: int) -> list[NDArray[Any]]:
    indices = np.unravel_index(np.arange(first, last), [axis.size for axis in axes])
    return [axis[index] for axis, index in zip(axes, indices, strict=True)]


def compute_chunk(axes: Sequence[NDArray[Any]], shared: dict[str, Any], rows: Callable[..., dict[str, Any]], first: int, last: int) -> Block:
    """Rows `first` to `last` (exclusive) of a grid: `shared` values, and the columns that `rows` computes from the axes' values."""
    return Block(last - first, {**shared, **rows(*_points(axes, first, last))})
