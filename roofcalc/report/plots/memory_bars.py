"""What fills the memory at one context and batch: a stacked bar for each case, and its limit."""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from roofcalc.errors import RoofcalcError
from roofcalc.report.plots.axes import ROUND
from roofcalc.report.plots.axes import short as tick
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import MAX_LINES, Row, cases, short
from roofcalc.report.plots.size import Frame, wrapped
from roofcalc.report.plots.style import COLOURS, INK
from roofcalc.report.table import Table

THICK = 0.62  # of the distance between two bars
NAME_WIDTH = 150.0  # points to which the name of a bar is wrapped


class Part(NamedTuple):
    """A part of a bar: the column with its GB, and how the legend calls it."""

    column: str
    text: str


PARTS = (
    Part("weights_gb", "weights"),
    Part("activations_gb", "activations"),
    Part("runtime_gb", "runtime"),
    Part("kv_gb", "KV cache and states"),
)


def single(table: Table) -> list[tuple[str, Row]] | None:
    """The row of each case with its label, where all have one context and one batch; else None: then there is something to draw a line along."""
    if any(len({row.get(name) for row in table.rows()}) > 1 for name in ("seq", "batch", "changes")):
        return None
    found, _ = cases(table, ("seq", "batch"))
    if len(found) > MAX_LINES:
        raise RoofcalcError(f"plot: {len(found)} bars are too many for one chart; request at most {MAX_LINES}")
    return [(label, rows[0]) for label, rows in found]


def draw(table: Table, title: str, frame: Frame, bars: list[tuple[str, Row]]) -> Drawn:
    """A horizontal bar for each case, from its weights to its cache, and a line where its memory ends."""
    _, shared = cases(table, ("seq", "batch"))
    figure = opened(frame)
    axes = figure.subplots()
    places = [float(len(bars) - 1 - number) for number in range(len(bars))]
    used = [0.0] * len(bars)
    drawn: list[Patch] = []
    for number, part in enumerate(PARTS):
        sizes = [float(row[part.column] or 0.0) for _, row in bars]
        if not any(sizes):
            continue
        colour = COLOURS[number]
        axes.barh(places, sizes, THICK, left=used, color=colour, edgecolor="white", linewidth=0.8)
        drawn.append(Patch(color=colour, label=part.text))
        used = [start + size for start, size in zip(used, sizes, strict=True)]
    limits = [float(row["capacity_gb"] or 0.0) for _, row in bars]
    for place, limit, filled, (_, row) in zip(places, limits, used, bars, strict=True):
        axes.plot([limit, limit], [place - THICK * 0.72, place + THICK * 0.72], color=INK, linewidth=2.2, solid_capstyle="butt")
        fits = f"{short(filled)} of {short(limit)} GB" if row["fits_memory"] else f"{short(filled)} GB: {short(filled - limit)} GB too much"
        axes.annotate(fits, (max(limit, filled), place), xytext=(6, 0), textcoords="offset points", va="center", size=frame.smaller(0.9), color=INK)
    axes.set_yticks(places, ["\n".join(wrapped(label, frame.text, NAME_WIDTH)) for label, _ in bars], size=frame.text)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.set_xlim(0.0, max([*limits, *used]) * 1.32)  # room for the figures at the ends of the bars
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=ROUND))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axes.tick_params(labelsize=frame.text)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("memory of all devices (GB)", size=frame.text)
    keys = [*drawn, Line2D([], [], color=INK, linewidth=2.2, label="what may be used")]
    return closed(figure, frame, words(table, title, shared), keys)
