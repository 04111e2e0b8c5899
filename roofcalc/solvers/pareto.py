"""Pareto filtering of points, with figures compared to twelve significant digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS = 12  # significant digits when comparing points


def pareto(x: Any, y: Any) -> NDArray[np.bool_]:
    """Which points no other beats: none is as high in both and higher in one. Of equal points the first; nan is never kept.

    Figures count as equal to twelve digits, so that rounding makes no points.

    Returns
    -------
    array of bool
        In the shape of `x` and `y`, which are alike and flat; O(n log n).
    """
    x, y = significant(x), significant(y)
    order = np.lexsort((-y, -x))  # from the highest x on, of equal x the highest y first; nan last
    ordered = y[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(np.where(np.isnan(ordered), -np.inf, ordered))[:-1]])
    kept = np.zeros(x.shape, dtype=bool)
    kept[order] = (ordered > before) & ~np.isnan(x[order])
    return kept


def significant(values: Any) -> NDArray[Any]:
    """Values rounded to the digits that count."""
    values = np.asarray(values, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.abs(values))) - DIGITS + 1)
        return np.asarray(np.where(np.isfinite(values) & (values != 0), np.round(values / unit) * unit, values))
