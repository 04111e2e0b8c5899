"""Throughput per device against interactivity: Pareto frontiers over layout, batch size, precision and system size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from roofcalc.errors import RoofcalcError
from roofcalc.report.formatting import format_cell
from roofcalc.report.plots.axes import along_y, measured_x
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import MAX_LINES, Row, told_apart
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import COLOURS, look
from roofcalc.report.plots.tags import Tag, tag
from roofcalc.report.table import Table

if TYPE_CHECKING:
    from roofcalc.measurements.speeds import Speed

LAYOUT = ("tp", "pp", "dp", "ep", "dcp")
VARIED = ("hardware", "weights", "kv")  # may vary along a curve, in addition to layout and batch size
FEW = 1  # up to this many curves all points may be labelled; with more, labels would be ambiguous
CROSSES = ("x", "+", "1", "2", "3", "4")  # of measured points
X, Y = "interactivity_tok_s", "throughput_tok_s_per_device"


def draw(table: Table, title: str, frame: Frame, measured: Sequence[Speed] = ()) -> Drawn:
    """One line per curve; points are labelled with layout and batch size where there is room. Measured points are crosses."""
    curves = _curves(list(table.rows()))
    if not curves:
        raise RoofcalcError("plot: nothing to draw: no point fits in memory, or the catalog lists no peak FLOP/s for the hardware")
    if len(curves) > MAX_LINES:
        raise RoofcalcError(f"plot: {len(curves)} curves are too many for one chart; request at most {MAX_LINES} (without --all)")
    asked = ("isl", "osl") if curves[0][0].get("isl") is not None else ("seq",)
    labels, shared = told_apart(table, [_as_one(curve) for curve in curves], asked, (*LAYOUT, "compute"))
    sizes = dict.fromkeys(_device(curve[0]) for curve in curves if len({row["hardware"] for row in curve}) > 1)
    figure = opened(frame)
    axes = figure.subplots()
    measured_x(
        axes,
        "interactivity (tok/s/user)",
        [*(_number(row, X) for curve in curves for row in curve), *(one.interactivity_tok_s for one in measured)],
        frame.text,
    )
    along_y(
        axes,
        "throughput of one device (tok/s)",
        [*(_number(row, Y) for curve in curves for row in curve), *(one.throughput_tok_s_per_device for one in measured)],
        frame.text,
    )
    tags = list[Tag]()
    for place, curve in enumerate(curves):
        axes.plot([_number(row, X) for row in curve], [_number(row, Y) for row in curve], **look(place))
        tags += [tag(axes, _number(row, X), _number(row, Y), _told(row, curve), frame.smaller(0.8)) for row in _ends_first(curve, len(curves) <= FEW)]
    keys = [Line2D([], [], label=text, **look(place)) for place, text in enumerate(labels) if text]
    for place, label in enumerate(dict.fromkeys(one.label for one in measured)):
        cross = _cross(place)
        mine = [one for one in measured if one.label == label]
        axes.plot([one.interactivity_tok_s for one in mine], [one.throughput_tok_s_per_device for one in mine], **cross)
        keys.append(Line2D([], [], label=f"measured: {label}", **cross))
    sign = "A mark is a layout and its batch; a line connects the Pareto-optimal ones."
    if curves[0][0].get("prefill_devices") is not None:
        sign = "Separate prefill and decode pools: throughput per device of both; layout and batch of the decode pool. " + sign
    shared += f", several sizes of {', '.join(sizes)}" if sizes else ""
    return closed(figure, frame, words(table, title, shared, sign), keys, tags=tags)


def _cross(place: int) -> dict[str, Any]:
    """Colour and mark of group number `place` of measured points."""
    return {
        "color": COLOURS[-1 - place % len(COLOURS)],
        "marker": CROSSES[place % len(CROSSES)],
        "linestyle": "none",
        "markeredgewidth": 1.8,
    }


def _curves(rows: list[Row]) -> list[list[Row]]:
    """Rows of each curve, from slow to fast: a new curve begins where the case changes or the speed drops. Rows without a point are skipped."""
    found: list[list[Row]] = []
    for row in rows:
        if row[X] is None or row[Y] is None:
            continue
        last = found[-1][-1] if found else None
        if last is not None and _case(last) == _case(row) and _number(last, X) <= _number(row, X):
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _case(row: Row) -> tuple[object, ...]:
    """Key of a curve: what all its points share. System sizes of the same device belong to one curve."""
    return (_device(row), *(row.get(name) for name in ("model", "seq", "isl", "osl", "changes")))


def _device(row: Row) -> str:
    return re.sub(r"^\d+(x| of )", "", str(row["hardware"]))


def _as_one(curve: list[Row]) -> Row:
    """A row that represents a curve, without the columns that vary along it."""
    varied = {name: None for name in VARIED if len({row[name] for row in curve}) > 1}
    return {**curve[0], **varied, **({"hardware": _device(curve[0])} if "hardware" in varied else {})}


def _number(row: Row, name: str) -> float:
    return float(row[name] or 0.0)


def _ends_first(curve: list[Row], all_of_them: bool) -> list[Row]:
    """Points in order of labelling priority: the ends, then layout changes, then the rest if there are few curves."""
    changes = [n for n in range(1, len(curve)) if _layout(curve[n]) != _layout(curve[n - 1])]
    return [curve[n] for n in dict.fromkeys([0, len(curve) - 1, *changes, *(range(len(curve)) if all_of_them else ())])]


def _layout(row: Row) -> str:
    return " ".join(f"{name} {row[name]}" for name in LAYOUT if row.get(name) not in (None, 1)) or "one device"


def _told(row: Row, curve: list[Row]) -> str:
    """Layout and batch size of a point, and precision and system size where they vary along the curve."""
    varied = [name for name in VARIED if len({other[name] for other in curve}) > 1]
    more = {"hardware": "{}", "weights": "{} weights", "kv": "{} KV"}
    return ", ".join([_layout(row), f"batch {format_cell(row['batch'])}", *(more[name].format(row[name]) for name in varied)])
