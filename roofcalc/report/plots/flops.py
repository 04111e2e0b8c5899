"""FLOPs per token against context, and the context at which FLOPs become the limit."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.lines import Line2D

from roofcalc.report.formatting import format_cell
from roofcalc.report.plots.axes import along_x, along_y
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import Line, lines
from roofcalc.report.plots.margin import label
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import QUIET, look
from roofcalc.report.table import Table

LIMIT = "flop_limited_seq"
NEAR = 4.0  # a limit within this factor of the contexts is drawn


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """Total per case; attention and GEMMs separately if there is only one case; vertical lines at the FLOP limits."""
    found = lines(table, ("seq",), ("batch", "min_interactivity_tok_s", "max_ttft_s"))
    figure = opened(frame)
    axes = figure.subplots()
    limits = {place: _limit(line) for place, line in enumerate(found.each)}
    near = [limit for limit in limits.values() if limit is not None and found.x.min() / NEAR <= limit <= NEAR * found.x.max()]
    along_x(axes, found.axis, found.x, frame.text, near)
    only = len(found.each) == 1
    parts = ("total_gflop_per_token", *(("linear_gflop_per_token", "sdpa_gflop_per_token") if only else ()))
    along_y(axes, "FLOPs of one token (GFLOP)", found.y(*parts), frame.text)
    keys, labels = [], []
    for place, line in enumerate(found.each):
        style, limit = look(place), limits[place]
        axes.plot(line.x, line.y("total_gflop_per_token"), **style)
        text = line.label or "total"
        keys.append(Line2D([], [], label=text if limit is None else f"{text}: {_told(limit, limit in near)}", **style))
        if limit in near:
            axes.axvline(limit, color=style["color"], linewidth=1.4, linestyle=style["linestyle"])
    if only:
        for name, text, dashes in (
            ("linear_gflop_per_token", "products by weights", (0, (5, 2))),
            ("sdpa_gflop_per_token", "attention", (0, (1.5, 1.5))),
        ):
            y = found.each[0].y(name)
            axes.plot(found.each[0].x, np.where(y > 0, y, np.nan), color=QUIET, linestyle=dashes, linewidth=1.5)
            if np.isfinite(y[-1]) and y[-1] > 0:
                labels.append(label(axes, float(y[-1]), text, QUIET, frame))
    signs = ["Vertical lines: the context at which FLOPs alone take the whole step."] if near else []
    return closed(figure, frame, words(table, title, found.shared, *signs), keys, labels)


def _limit(line: Line) -> float | None:
    """FLOP limit of a line, or None."""
    if LIMIT not in line.rows[0]:
        return None
    limit = float(line.y(LIMIT)[0])
    return limit if math.isfinite(limit) else None


def _told(limit: float, drawn: bool) -> str:
    if limit < 1:
        return "over the FLOP limit at any context"
    return f"FLOP limit at {format_cell(int(limit))} tokens{'' if drawn else ', far outside'}"
