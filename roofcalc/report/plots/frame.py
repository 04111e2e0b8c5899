"""Everything around the axes: title, shared values, legend, and the small print at the bottom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend

from roofcalc import __version__
from roofcalc.report.formatting import arrange
from roofcalc.report.plots.axes import thin_ticks
from roofcalc.report.plots.margin import Label, place, tallest
from roofcalc.report.plots.size import POINTS, Frame, wrapped
from roofcalc.report.plots.style import QUIET
from roofcalc.report.plots.tags import Tag, thin
from roofcalc.report.table import Table

if TYPE_CHECKING:
    from matplotlib.artist import Artist

PAD = 12.0  # points around everything
BESIDE = 1.25  # height of the axes with tick labels and x title, relative to the axes alone
GAP = 5.0  # points between the axes and the small print
HANDLE = 5.2  # width of a legend handle and the gap after it, in font heights


class Words(NamedTuple):
    """The text around a chart: title, shared values, explanation of the markers, assumptions."""

    title: str
    shared: str
    signs: str
    assumed: str


class Drawn(NamedTuple):
    """A chart and its text, to embed in a page."""

    figure: Figure
    words: Words


def words(table: Table, title: str, shared: str, *signs: str) -> Words:
    """The text around the chart of a table; `signs` explain its markers."""
    assumed = arrange(table).footer
    return Words(title, shared, " ".join(signs), f"{assumed}{'. ' if assumed else ''}roofcalc {__version__}")


def opened(frame: Frame) -> Figure:
    """An empty figure."""
    figure = Figure(figsize=(frame.width, frame.height))
    FigureCanvasAgg(figure)  # measures text
    return figure


def closed(
    figure: Figure,
    frame: Frame,
    text: Words,
    keys: Sequence[Artist] = (),
    labels: Sequence[Label] = (),
    tags: Sequence[Tag] = (),
) -> Drawn:
    """Adds text, the legend `keys` and labels next to the axes, without overlaps.

    The figure grows by the space that text and legend need, so that the axes keep their height; they grow where labels need it.
    """
    pad, width = PAD if frame.alone else 4.0, frame.width * POINTS
    above, beneath = list[_Row](), list[_Row]()
    if frame.alone:
        above = _rows(text.title, frame.text * 1.35, width, weight="bold") + _rows(text.shared, frame.text, width)
        beneath = [row for part in (text.signs, text.assumed) for row in _rows(part, frame.text * 0.75, width, color=QUIET)]
    head, foot = (sum(row.height for row in rows) for rows in (above, beneath))
    legend, tall = _legend(figure, keys, frame.text, width - 2 * pad) if keys else (None, 0.0)
    foot += GAP if foot else 0.0
    body = max(frame.height * POINTS, tallest(figure, labels) * len(figure.axes) * BESIDE)
    height = body + pad + head + tall + foot + pad
    figure.set_figheight(height / POINTS)
    _written(figure, above, height - pad, width, height)
    _written(figure, beneath, pad + foot - GAP, width, height)
    if legend:
        legend.set_bbox_to_anchor((pad / width, (height - pad - head) / height))
    left, bottom, top = pad / width, (pad + foot) / height, (pad + head + tall) / height
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(left, bottom, 1 - 2 * left, 1 - bottom - top), h_pad=0.06, w_pad=0))
    figure.align_ylabels()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    thin_ticks(figure)
    place(figure, labels)
    thin(figure, tags)
    return Drawn(figure, text)


class _Row(NamedTuple):
    """A line of text, with font size and line height in points."""

    text: str
    size: float
    height: float
    look: dict[str, Any]


def _rows(text: str, size: float, width: float, **look: Any) -> list[_Row]:
    """Text wrapped between the margins."""
    return [_Row(line, size, size * 1.4, look) for line in wrapped(text, size, width - 2 * PAD, look.get("weight", "normal"))]


def _written(figure: Figure, rows: Sequence[_Row], top: float, width: float, height: float) -> None:
    """Writes lines from `top` downwards."""
    for row in rows:
        figure.text(PAD / width, top / height, row.text, size=row.size, va="top", **row.look)
        top -= row.height


def _legend(figure: Figure, keys: Sequence[Artist], size: float, room: float) -> tuple[Legend, float]:
    """A legend in as few rows as `room` (points) allows, and its height in points."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for columns in dict.fromkeys(math.ceil(len(keys) / rows) for rows in range(1, len(keys) + 1)):
        if columns == 1:
            for key in keys:
                key.set_label("\n".join(wrapped(str(key.get_label()), size, room - HANDLE * size)))
        legend = figure.legend(handles=list(keys), loc="upper left", ncols=columns, fontsize=size, borderaxespad=0, borderpad=0.2)
        legend.set_in_layout(False)
        box = legend.get_window_extent(renderer)
        if box.width / figure.dpi * POINTS <= room or columns == 1:
            break
        legend.remove()
    return legend, float(box.height) / figure.dpi * POINTS
