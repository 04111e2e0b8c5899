"""Labels of single points: as many as fit without overlapping each other, a line, or the edge of the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from roofcalc.report.plots.style import INK

MARGIN = 2.0  # pixels around a text
MARK = 4.0  # pixels from a line to the edge of its markers
SIDES = ((6.0, 4.0, "left", "bottom"), (-6.0, -4.0, "right", "top"))  # offset from the marker in points, and the corner of the text nearest to it


class Tag(NamedTuple):
    """A label and its axes."""

    axes: Axes
    shown: Annotation


def tag(axes: Axes, x: float, y: float, text: str, size: float) -> Tag:
    """A label of a point; `thin` decides on which side, if at all."""
    return Tag(axes, axes.annotate(text, (x, y), SIDES[0][:2], textcoords="offset points", color=INK, size=size))


def thin(figure: Figure, tags: Sequence[Tag]) -> None:
    """Places each label at the upper right of its point, else at the lower left, else removes it; earlier labels take priority."""
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
    """Whether a box is free and lies inside its area."""
    inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
    paths = (line.get_path().transformed(line.get_transform()) for line in axes.lines)
    wide = box.padded(MARK)
    return inside and not any(box.overlaps(other) for other in kept) and not any(path.intersects_bbox(wide, filled=False) for path in paths)
