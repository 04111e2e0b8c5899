"""Sizes of charts and of text in them."""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

POINTS = 72.0  # in an inch
FINE = 8  # text is measured this many times larger, to reduce rounding errors
_RULER = RendererAgg(1, 1, FINE * POINTS)  # type: ignore[no-untyped-call]


class Frame(NamedTuple):
    """Width of a chart and height of its axes in inches, font size in points, and whether it carries its title and small print.

    `least` is the smallest font size, in points, and `beside` the width to which labels next to the axes are wrapped, in points.
    """

    width: float
    height: float
    text: float
    alone: bool
    least: float
    beside: float

    def smaller(self, part: float) -> float:
        """The font size of what is less important than the axes, in points."""
        return max(self.text * part, self.least)


ALONE = Frame(8.4, 4.4, 9.5, True, 0.0, math.inf)
WITHIN = Frame(3.4, 2.9, 9.0, False, 9.0, 86.0)  # embedded in a page that carries the text; 12 pixels of text on a phone that is 360 wide


def measure(text: str, size: float, weight: str = "normal") -> tuple[float, float]:
    """Width and height of a line of text, in points."""
    font = FontProperties(size=size, weight=weight)
    wide, high, _ = _RULER.get_text_width_height_descent(text, font, False)  # type: ignore[no-untyped-call]
    return float(wide) / FINE, float(high) / FINE


def wrapped(text: str, size: float, width: float, weight: str = "normal") -> list[str]:
    """Text wrapped to `width` points."""
    found: list[str] = []
    for word in text.split():
        longer = f"{found[-1]} {word}" if found else word
        if found and measure(longer, size, weight)[0] <= width:
            found[-1] = longer
        else:
            found.append(word)
    return found
