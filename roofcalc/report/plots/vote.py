"""Cost of several answers per query, with and without prefix sharing, and their KV cache or accuracy."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from roofcalc.report.plots.axes import along_x, along_y
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import Line, Lines, lines
from roofcalc.report.plots.margin import Label, label
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import DASHES, MARKERS, PAPER, look
from roofcalc.report.table import Table

CHANCES = {"pass_at_k": "one is right", "majority_accuracy": "most are right", "verifier_accuracy": "verifier's is right"}


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """Top: cost relative to one stream. Bottom: KV cache of a query or, where an accuracy is given, the probability of a correct answer."""
    found = lines(table, ("prefix", "streams", "suffix"), ("min_interactivity_tok_s",))
    figure = opened(frame)
    cost, other = figure.subplots(2, 1, sharex=True)
    for axes in (cost, other):
        along_x(axes, found.axis, found.x, frame.text)
    cost.set_xlabel("")
    cost.tick_params(labelbottom=False)
    _pairs(cost, found, "cost_multiple", "cost over\none stream", frame.text)
    labels = list[Label]()
    if CHANCES.keys() <= found.each[0].rows[0].keys():
        labels = _chances(other, found, frame)
    else:
        _pairs(other, found, "kv_gb", "KV cache\n(GB/query)", frame.text)
    keys = [Line2D([], [], label=line.label, **look(place)) for place, line in enumerate(found.each) if line.label]
    sign = "Filled marks share the prefix; hollow marks and thin lines do not."
    return closed(figure, frame, words(table, title, found.shared, sign), keys, labels)


def _pairs(axes: Axes, found: Lines, name: str, text: str, size: float) -> None:
    """A quantity of each case, with and without prefix sharing."""
    along_y(axes, text, found.y(name, f"{name}_unshared"), size)
    for place, line in enumerate(found.each):
        style = look(place)
        axes.plot(line.x, line.y(f"{name}_unshared"), **style | {"linewidth": 0.9, "markerfacecolor": PAPER})
        axes.plot(line.x, line.y(name), **style)


def _chances(axes: Axes, found: Lines, frame: Frame) -> list[Label]:
    """Probability of a correct answer, which depends only on the number of streams; labelled next to the axes."""
    known = [name for name in CHANCES if np.isfinite(found.y(name)).any()]
    along_y(axes, "chance of a\nright answer", [0.0, 1.0], frame.text)
    labels = []
    for line in _unlike(found.each, known):
        for place, name in enumerate(known):
            y = line.y(name)
            style = look(len(found.each) + place) | {"linestyle": DASHES[place], "marker": MARKERS[-1 - place]}
            axes.plot(line.x, y, **style)
            labels.append(label(axes, float(y[-1]), CHANCES[name], style["color"], frame))
    return labels


def _unlike(each: tuple[Line, ...], names: list[str]) -> list[Line]:
    """Lines with different probabilities."""
    return list({tuple(line.y(name).tobytes() for name in names): line for line in each}.values())
