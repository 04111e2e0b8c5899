"""Pareto filtering of points, compared to twelve significant digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS = 12  # significant digits when comparing points


def pareto(x: Any, y: Any) -> NDArray[np.bool_]:
    """Mask of the points that no other dominates, i.e. is at least as high in both and higher in one. Of equal points the first; no nan.

    Values equal to twelve significant digits count as equal, so that rounding errors do not add points.

    Returns
    -------
    array of bool
        In the shape of `x` and `y`, flat arrays of equal length; O(n log n).
    """
    x, y = significant(x), significant(y)
    order = np.lexsort((-y, -x))  # descending x, then descending y; nan last
    ordered = y[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(np.where(np.isnan(ordered), -np.inf, ordered))[:-1]])
    kept = np.zeros(x.shape, dtype=bool)
    kept[order] = (ordered > before) & ~np.isnan(x[order])
    return kept


def significant(values: Any) -> NDArray[Any]:
    """Values rounded to `DIGITS` significant digits."""
    values = np.asarray(values, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.abs(values))) - DIGITS + 1)
        return np.asarray(np.where(np.isfinite(values) & (values != 0), np.round(values / unit) * unit, values))
