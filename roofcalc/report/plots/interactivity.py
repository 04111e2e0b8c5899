"""Interactivity against context at constant batch size, or against batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from roofcalc.report.plots.axes import along_x, along_y
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import lines
from roofcalc.report.plots.margin import label
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import PAPER, look
from roofcalc.report.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORT = 12  # characters of a label next to the axes; longer ones go to the legend


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """One line per batch size or case; hollow markers and thin lines where the batch does not fit in memory.

    For generations dotted lines show the decode steps alone: what is between is the prefill of other requests.
    """
    found = lines(table, ("seq", "batch"))
    figure = opened(frame)
    axes = figure.subplots()
    along_x(axes, found.axis, found.x, frame.text)
    alone = all("decode_tok_s" in row for line in found.each for row in line.rows)
    speeds = found.y("interactivity_tok_s", "decode_tok_s") if alone else found.y("interactivity_tok_s")
    along_y(axes, "interactivity (tok/s/user)", speeds, frame.text)
    beside = all(len(line.label) <= SHORT for line in found.each)
    keys, labels = [], []
    for place, line in enumerate(found.each):
        style, fits, speed = look(place), line.holds("fits_memory"), line.y("interactivity_tok_s")
        axes.plot(line.x, np.where(fits, speed, np.nan), **style | {"marker": "", "linewidth": 2.2})
        axes.plot(line.x, np.where(_beside(~fits), speed, np.nan), **style | {"marker": "", "linewidth": 0.9})
        for chosen, face in ((fits, style["color"]), (~fits, PAPER)):
            axes.plot(line.x, np.where(chosen, speed, np.nan), **style | {"linestyle": "none", "markerfacecolor": face})
        if alone:
            axes.plot(line.x, line.y("decode_tok_s"), **style | {"marker": "", "linewidth": 1.1, "linestyle": ":"})
        known = speed[np.isfinite(speed)]
        if beside and line.label and known.size:
            labels.append(label(axes, float(known[-1]), line.label, style["color"], frame))
        elif line.label and not beside:
            keys.append(Line2D([], [], label=line.label, **style))
    fitting = {bool(one) for line in found.each for one in line.holds("fits_memory")}
    signs = ["Hollow marks and thin lines: the batch does not fit in memory."] if False in fitting else []
    signs += ["Dotted lines: decode steps alone, without the prefill of other requests."] if alone else []
    without = [line.label or "this hardware" for line in found.each if not np.isfinite(line.y("interactivity_tok_s")).any()]
    signs += [f"No peak FLOP/s in the catalog, so no times: {', '.join(without)}."] if without else []
    return closed(figure, frame, words(table, title, found.shared, *signs), keys, labels)


def _beside(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The chosen points and their neighbours, so that the line through them is continuous."""
    found = chosen.copy()
    found[1:] |= chosen[:-1]
    found[:-1] |= chosen[1:]
    return found
