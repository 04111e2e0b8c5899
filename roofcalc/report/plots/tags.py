"""Texts beside single points: as many as fit without touching one another, a line, or the end of their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from roofcalc.report.plots.style import INK

MARGIN = 2.0  # pixels around a text
SIDES = ((6.0, 4.0, "left", "bottom"), (-6.0, -4.0, "right", "top"))  # points from the mark, and which corner is nearest to it


class Tag(NamedTuple):
    """A text and the axes that it stands in."""

    axes: Axes
    shown: Annotation


def tag(axes: Axes, x: float, y: float, text: str, size: float) -> Tag:
    """A text beside a point; `thin` says on which side, if at all."""
    return Tag(axes, axes.annotate(text, (x, y), SIDES[0][:2], textcoords="offset points", color=INK, size=size))


def thin(figure: Figure, tags: Sequence[Tag]) -> None:
    """Puts each text at the upper right of its point, else at the lower left, else takes it away; the first matter most."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    kept: list[Bbox] = []
    for axes, shown in tags:
        for right, up, across, along in SIDES:
            shown.set(position=(right, up), horizontalalignment=across, verticalalignment=along)
            box = shown.get_window_extent(renderer)
            if _is_free(axes, box, axes.get_window_extent(renderer), kept):
                kept.append(box.padded(MARGIN))
                break
        else:
            shown.remove()


def _is_free(axes: Axes, box: Bbox, room: Bbox, kept: Sequence[Bbox]) -> bool:
    """Whether nothing else stands in a box, and all of it in its room."""
    inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
    paths = (line.get_path().transformed(line.get_transform()) for line in axes.lines)
    return inside and not any(box.overlaps(other) for other in kept) and not any(path.intersects_bbox(box, filled=False) for path in paths)
