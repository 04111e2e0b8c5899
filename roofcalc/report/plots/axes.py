"""Scales and ticks: logarithmic for wide ranges, with readable numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from roofcalc.report.plots.lines import Axis
from roofcalc.units import tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDE = 8.0  # ranges wider than this factor get a logarithmic scale
MOST_TICKS = 9
ROUND = [1, 2, 2.5, 5, 10]
BETWEEN = 4.0  # pixels between two tick labels side by side


def along_x(axes: Axes, axis: Axis, values: Iterable[float], size: float, beyond: Iterable[float] = ()) -> None:
    """Sets the x scale for `values` and anything `beyond`, with ticks at the values where they are few."""
    found = np.unique([value for value in values if math.isfinite(value)])
    all_of_it = np.unique([*found, *beyond])
    logarithmic = _wide(all_of_it)
    low, high = _padded(float(all_of_it.min()), float(all_of_it.max()), logarithmic, 0.03)
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xlim(low, high)
    if found.size <= MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(found.tolist()))
    elif logarithmic:
        axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS - 1, steps=ROUND))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tokens(value) if axis.of_tokens else short(value)))
    axes.tick_params(labelsize=size)
    axes.set_xlabel(axis.label, size=size)


def measured_x(axes: Axes, text: str, values: Iterable[float], size: float) -> None:
    """Sets the scale of an x that is a result: logarithmic, or from zero."""
    _measured(axes, "x", text, values, size)


def along_y(axes: Axes, text: str, values: Iterable[float], size: float) -> None:
    """Sets the y scale: logarithmic, or from zero."""
    _measured(axes, "y", text, values, size)


def _measured(axes: Axes, side: str, text: str, values: Iterable[float], size: float) -> None:
    found = np.array([value for value in values if math.isfinite(value) and value > 0])
    found = found if found.size else np.array([1.0])
    axis, logarithmic = getattr(axes, f"{side}axis"), _wide(found)
    low, high = _padded(float(found.min()), float(found.max()), True, 0.07) if logarithmic else (0.0, float(found.max()) * 1.08)
    getattr(axes, f"set_{side}scale")("log" if logarithmic else "linear")
    getattr(axes, f"set_{side}lim")(low, high)
    axis.set_major_locator(FixedLocator(log_ticks(low, high)) if logarithmic else MaxNLocator(5, steps=ROUND))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.tick_params(labelsize=size)
    axis.set_label_text(text, size=size)


def ticked(axes: Axes, ticks: Sequence[tuple[str, float, float]], size: float) -> None:
    """Sets both axes to logarithmic from low to high, with labels."""
    for side, (text, low, high) in zip("xy", ticks, strict=True):
        axis = getattr(axes, f"{side}axis")
        getattr(axes, f"set_{side}scale")("log")
        getattr(axes, f"set_{side}lim")(low, high)
        axis.set_major_locator(FixedLocator(log_ticks(low, high)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axis.set_label_text(text, size=size)
    axes.tick_params(labelsize=size)


def log_ticks(low: float, high: float) -> list[float]:
    """Round values between `low` and `high`, as dense as there is room for."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(found) <= MOST_TICKS:
            return found
    every = math.ceil(len(decades) / MOST_TICKS)
    return [10.0**decade for decade in decades[::every] if low <= 10.0**decade <= high]


def short(value: float) -> str:
    """A tick label: thousands separators, no trailing zeros."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"


def _wide(found: NDArray[np.float64]) -> bool:
    return bool(found.min() > 0 and found.max() / found.min() > WIDE)


def _padded(low: float, high: float, logarithmic: bool, part: float) -> tuple[float, float]:
    if logarithmic:
        factor = (high / low) ** part
        return low / factor, high * factor
    span = (high - low) or abs(high) or 1.0
    return low - span * part, high + span * part


def thin_ticks(figure: Figure) -> None:
    """Removes tick labels that would touch, from the right and from the top; the axes must have their final positions."""
    for axes in figure.axes:
        for side in "xy":
            _thin(figure, axes, side)


def _thin(figure: Figure, axes: Axes, side: str) -> None:
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    low, high = getattr(axes, f"get_{side}lim")()
    ticks = [tick for tick in getattr(axes, f"{side}axis").get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_text()]
    if not any(tick.label1.get_visible() for tick in ticks):
        return
    kept, room, gap = list[float](), math.inf, BETWEEN if side == "x" else 0.0
    for tick in sorted(ticks, key=lambda tick: -float(tick.get_loc())):
        box = tick.label1.get_window_extent(renderer)
        start, end = (box.x0, box.x1) if side == "x" else (box.y0, box.y1)
        if end + gap <= room:
            kept.append(float(tick.get_loc()))
            room = start
    if len(kept) < len(ticks):
        for other in (axes, *getattr(axes, f"get_shared_{side}_axes")().get_siblings(axes)):
            getattr(other, f"{side}axis").set_major_locator(FixedLocator(sorted(kept)))
