"""Throughput per device against interactivity: the curve of what no other layout and batch betters in both."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from roofcalc.errors import RoofcalcError
from roofcalc.report.people import readable
from roofcalc.report.plots.axes import along_y, measured_x
from roofcalc.report.plots.frame import Drawn, Frame, closed, opened, words
from roofcalc.report.plots.lines import MAX_LINES, Row, cases
from roofcalc.report.plots.style import look
from roofcalc.report.plots.tags import Tag, tag
from roofcalc.report.table import Table

LAYOUT = ("tp", "pp", "dp", "ep", "dcp")
X, Y = "interactivity_tok_s", "throughput_tok_s_per_device"


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """One curve for each case, its points named by layout and batch where there is room."""
    found, shared = cases(table, ("seq",), LAYOUT)
    if len(found) > MAX_LINES:
        raise RoofcalcError(f"plot: {len(found)} curves are more than one chart can tell apart; ask for at most {MAX_LINES}")
    figure = opened(frame)
    axes = figure.subplots()
    points = [_points(rows) for _, rows in found]
    measured_x(axes, "interactivity (tok/s/user)", [row[0] for each in points for row in each], frame.text)
    along_y(axes, "throughput of one device (tok/s)", [row[1] for each in points for row in each], frame.text)
    keys, tags = [], list[Tag]()
    for place, ((name, _), each) in enumerate(zip(found, points, strict=True)):
        axes.plot([x for x, _, _ in each], [y for _, y, _ in each], **look(place))
        keys += [Line2D([], [], label=name, **look(place))] if name else []
        tags += [tag(axes, x, y, _told(row), frame.text * 0.8) for x, y, row in _ends_first(each)]
    sign = "A point is a layout and its batch; the curve joins those that none betters in both."
    return closed(figure, frame, words(table, title, shared, sign), keys, tags=tags)


def _points(rows: list[Row]) -> list[tuple[float, float, Row]]:
    """Interactivity, throughput and row of each point that has both, from slow to fast."""
    placed = [(float(x), float(y), row) for row in rows if (x := row[X]) is not None and (y := row[Y]) is not None]
    return sorted(placed, key=lambda point: point[:2])


def _ends_first(points: list[tuple[float, float, Row]]) -> list[tuple[float, float, Row]]:
    """The ends, then the points where the layout changes, then the rest."""
    changes = [n for n in range(1, len(points)) if _layout(points[n][2]) != _layout(points[n - 1][2])]
    order = dict.fromkeys([0, len(points) - 1, *changes, *np.arange(len(points)).tolist()])
    return [points[n] for n in order if 0 <= n < len(points)]


def _layout(row: Row) -> str:
    return " ".join(f"{name} {row[name]}" for name in LAYOUT if row.get(name) not in (None, 1)) or "one device"


def _told(row: Row) -> str:
    return f"{_layout(row)}, batch {readable(row['batch'])}"
