"""Largest batch against context with its two limits, and the interactivity at that batch."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from roofcalc.report.plots.axes import along_x, along_y
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import Line, lines
from roofcalc.report.plots.margin import Label, label
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import PAPER, QUIET, look
from roofcalc.report.table import Table

BY_MEMORY = ("capacity", "weights")
ASKED = "min_interactivity_tok_s"


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """Two panels with a common x axis: batch size (top), tokens per second per user (bottom)."""
    found = lines(table, ("seq", ASKED))
    figure = opened(frame)
    batch, speed = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    asked = sorted(set(found.y(ASKED).tolist())) if found.axis.name != ASKED else []
    for axes in (batch, speed):
        along_x(axes, found.axis, found.x, frame.text)
    along_y(batch, "largest batch\n(sequences)", found.y("max_batch", *(_LIMITS if len(found.each) == 1 else ())), frame.text)
    along_y(speed, "interactivity\n(tok/s/user)", [*found.y("interactivity_tok_s"), *asked], frame.text)
    batch.set_xlabel("")
    batch.tick_params(labelbottom=False)
    labels = _limits(batch, found.each[0], frame) if len(found.each) == 1 else []
    for least in asked if len(asked) <= 3 else ():
        speed.axhline(least, color=QUIET, linewidth=1.1, linestyle=(0, (4, 2)))
        labels.append(label(speed, least, f"{least:g} asked for", QUIET, frame))
    for place, line in enumerate(found.each):
        _drawn(batch, speed, line, place)
    keys = [Line2D([], [], label=line.label, **look(place)) for place, line in enumerate(found.each) if line.label]
    return closed(figure, frame, words(table, title, found.shared, *_signs(found.each)), keys, labels)


_LIMITS = {"batch_memory": "fits the memory", "batch_interactivity": "is fast enough"}


def _limits(axes: Axes, line: Line, frame: Frame) -> list[Label]:
    """Both limits of a single line, labelled next to the axes."""
    labels = []
    for (name, text), dashes in zip(_LIMITS.items(), ((0, (1.5, 1.5)), (0, (5, 2))), strict=True):
        y = line.y(name)
        drawn = np.where(y > 0, y, np.nan)
        axes.plot(line.x, drawn, color=QUIET, linestyle=dashes, linewidth=1.3)
        if np.isfinite(drawn).any():
            labels.append(label(axes, float(drawn[np.isfinite(drawn)][-1]), text, QUIET, frame))
    return labels


def _drawn(batch: Axes, speed: Axes, line: Line, place: int) -> None:
    """A line in both panels: filled markers where memory is the limit, hollow where speed is, a cross where nothing fits."""
    style, many = look(place), line.y("max_batch")
    by_memory = np.array([row["limited_by"] in BY_MEMORY for row in line.rows])
    for axes, y in ((batch, many), (speed, line.y("interactivity_tok_s"))):
        axes.plot(line.x, np.where(many > 0, y, np.nan), **style | {"marker": ""})
        for chosen, face in ((by_memory, style["color"]), (~by_memory, PAPER)):
            axes.plot(line.x, np.where((many > 0) & chosen, y, np.nan), **style | {"linestyle": "none", "markerfacecolor": face})
    none = line.x[many == 0]
    if none.size:
        batch.plot(none, np.zeros(none.size), "x", color=style["color"], transform=batch.get_xaxis_transform(), clip_on=False, zorder=5)


def _signs(each: tuple[Line, ...]) -> list[str]:
    found = {row["limited_by"] in BY_MEMORY for line in each for row in line.rows if row["max_batch"]}
    signs = {True: "Filled marks: memory is the limit.", False: "Hollow marks: speed is the limit."}
    cross = ["A cross on the axis: not even one sequence."] if any(row["max_batch"] == 0 for line in each for row in line.rows) else []
    return [signs[one] for one in sorted(found, reverse=True)] + cross
