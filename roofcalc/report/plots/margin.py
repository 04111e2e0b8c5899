"""Labels to the right of the axes, at the height of the line or limit they name, without overlapping data or each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from roofcalc.report.plots.size import Frame, wrapped
from roofcalc.report.plots.style import INK

GAP = 3.0  # points between two labels
REACH = 12.0  # points from the axes to a label


class Label(NamedTuple):
    """A label to the right of the axes at data height `y`, and the colour of its leader line."""

    axes: Axes
    y: float
    colour: str
    shown: Annotation


def label(axes: Axes, y: float, text: str, colour: str, frame: Frame, part: float = 0.9) -> Label:
    """A label next to the axes, its font `part` of the size of theirs; `place` draws its leader line."""
    size = frame.smaller(part)
    shown = axes.annotate(
        "\n".join(line for one in text.split("\n") for line in wrapped(one, size, frame.beside)),
        xy=(1.0, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(REACH, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        size=size,
        linespacing=1.05,
        annotation_clip=False,
    )
    return Label(axes, y, colour, shown)


def place(figure: Figure, labels: Sequence[Label]) -> None:
    """Moves labels vertically as little as necessary to avoid overlaps, and draws their leader lines."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    points = 72.0 / figure.dpi
    wide, high = figure.get_figwidth() * 72.0, figure.get_figheight() * 72.0
    for axes in dict.fromkeys(one.axes for one in labels):
        beside = sorted((one for one in labels if one.axes is axes), key=lambda one: one.y)
        box = axes.get_window_extent(renderer)
        heights = [one.shown.get_window_extent(renderer).height * points for one in beside]
        wanted = [float(axes.transData.transform((1.0, one.y))[1]) * points for one in beside]
        edge = box.x1 * points
        for one, at, y in zip(beside, spread(wanted, heights, box.y0 * points, box.y1 * points), wanted, strict=True):
            one.shown.set_position((REACH, at - y))
            joint = Line2D(
                [edge / wide, (edge + REACH - 3) / wide], [y / high, at / high], color=one.colour, linewidth=1.2, transform=figure.transFigure
            )
            figure.add_artist(joint)


def tallest(figure: Figure, labels: Sequence[Label]) -> float:
    """Largest total label height over the axes, in points."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    needed: dict[Axes, float] = {}
    for one in labels:
        high = one.shown.get_window_extent(renderer).height * 72.0 / figure.dpi + GAP
        needed[one.axes] = needed.get(one.axes, 0.0) + high
    return max(needed.values(), default=0.0)


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Centres as close as possible to `wanted` (ascending), for boxes of these heights without overlap.

    Least squares by pooling neighbours that collide; the whole is then pushed between `low` and `high` where it has room.
    """
    below = [0.0]  # offset of each above the first, if all touch
    for one, other in pairwise(heights):
        below.append(below[-1] + (one + other) / 2 + GAP)
    pools: list[tuple[float, int]] = []  # mean of wanted minus below, and the number of boxes
    for y, offset in zip(wanted, below, strict=False):
        pools.append((y - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, few), (other, many) = pools[-2:]
            pools[-2:] = [((one * few + other * many) / (few + many), few + many)]
    if not pools:
        return []
    first, last = low + heights[0] / 2, high - heights[-1] / 2 - below[-1]
    at = [mean for mean, many in pools for _ in range(many)]
    return [min(max(one, first), max(last, first)) + offset for one, offset in zip(at, below, strict=True)]
