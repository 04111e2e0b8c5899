"""KV cache size against context, with total memory and the part left free by the weights; at one context, bars of what fills it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from roofcalc.report.formatting import format_cell
from roofcalc.report.plots import memory_bars
from roofcalc.report.plots.axes import along_x, along_y
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import Line, lines, short
from roofcalc.report.plots.margin import label
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import INK, PAPER, look
from roofcalc.report.table import Table

MANY = 4  # limits, beside which only those that the weights leave are drawn where there is little room


class Limit(NamedTuple):
    """Horizontal lines with one label: their GB, the label, and whether they are the total memory or the part left free by the weights."""

    gb: tuple[float, ...]
    text: str
    whole: bool


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """One KV cache line per case; horizontal lines for the memory and for what the weights leave free. At one context: bars."""
    if (bars := memory_bars.single(table)) is not None:
        return memory_bars.draw(table, title, frame, bars)
    found = lines(table, ("seq", "batch"))
    figure = opened(frame)
    axes = figure.subplots()
    limits = [*_limits(found.each, whole=True), *_limits(found.each, whole=False)]
    if len(limits) > MANY and not frame.alone:
        limits = [limit for limit in limits if not limit.whole]
    along_x(axes, found.axis, found.x, frame.text)
    along_y(axes, "KV cache (GB)", [*found.y("kv_gb"), *(gb for limit in limits for gb in limit.gb)], frame.text)
    for limit in limits:
        for gb in limit.gb:
            axes.axhline(gb, color=INK, linewidth=1.4 if limit.whole else 1.1, linestyle="-" if limit.whole else (0, (6, 2)))
    labels = [label(axes, limit.gb[0], limit.text, INK, frame) for limit in limits]
    keys = []
    for place, alike in enumerate(_alike(found.each)):
        style = look(place)
        kv, fits = alike[0].y("kv_gb"), np.any([line.holds("fits_memory") for line in alike], axis=0)
        axes.plot(alike[0].x, kv, **style | {"marker": ""})
        for chosen, face in ((fits, style["color"]), (~fits, PAPER)):
            axes.plot(alike[0].x, np.where(chosen, kv, np.nan), **style | {"linestyle": "none", "markerfacecolor": face})
        texts = [_common(alike) or "KV cache"]
        if found.axis.name == "seq":
            full = [_full(axes, line, style["color"], _apart(line, alike)) for line in alike]
            texts += full if frame.alone or len(full) == 1 else []
        keys.append(Line2D([], [], label=": ".join((texts[0], "; ".join(texts[1:]))) if texts[1:] else texts[0], **style))
    has_hollow = any(not line.holds("fits_memory").all() for line in found.each)
    signs = ["Filled marks fit in memory, hollow ones do not; a ring: memory full."] if has_hollow else []
    return closed(figure, frame, words(table, title, found.shared, *signs), keys, labels)


def _alike(each: tuple[Line, ...]) -> list[list[Line]]:
    """Lines with the same KV cache: one model on hardware with different memory."""
    groups: dict[tuple[object, ...], list[Line]] = {}
    for line in each:
        groups.setdefault((line.words("model"), line.x.tobytes(), line.y("kv_gb").tobytes()), []).append(line)
    return list(groups.values())


def _common(alike: list[Line]) -> str:
    """The common part of these lines' labels."""
    return ", ".join(part for part in _parts(alike[0]) if all(part in _parts(line) for line in alike))


def _apart(line: Line, alike: list[Line]) -> str:
    """The part of a line's label that is not common to all."""
    return ", ".join(part for part in _parts(line) if not all(part in _parts(other) for other in alike))


def _parts(line: Line) -> list[str]:
    return [part for whole in line.label.split(", ") for part in whole.split(" on ")]


def _limits(each: tuple[Line, ...], whole: bool) -> list[Limit]:
    """Each limit once for all lines that share it, labelled with their name where there are several; those of one name share a label."""
    owners: dict[float, list[Line]] = {}
    for line in each:
        gb = float(line.y("capacity_gb")[0] - (0 if whole else line.y("weights_gb")[0]))
        if gb > 0:
            owners.setdefault(round(gb, 6), []).append(line)
    names = ("hardware",) if whole else ("model", "hardware", "weights")
    several = [name for name in names if len({line.words(name) for line in each}) > 1] if len(owners) > 1 else []
    named: dict[str, list[float]] = {}
    for gb, members in owners.items():
        named.setdefault(" · ".join(", ".join(dict.fromkeys(line.words(name) for line in members)) for name in several), []).append(gb)
    return [Limit(tuple(sorted(sizes)), "\n".join(filter(None, (_said(sizes, whole), name))), whole) for name, sizes in named.items()]


def _said(sizes: list[float], whole: bool) -> str:
    ends = "–".join(dict.fromkeys(short(size) for size in (min(sizes), max(sizes))))
    return f"{ends} GB: {'memory' if whole else 'left by weights'}"


def _full(axes: Axes, line: Line, colour: str, whose: str) -> str:
    """Marks where the cache fills the memory left by the weights: a ring, a thin line down to its context, and a phrase."""
    context, left = line.y("max_context")[0], line.y("capacity_gb")[0] - line.y("weights_gb")[0]
    low, high = axes.get_xlim()
    if math.isfinite(context) and low <= context <= high and left > 0:
        axes.plot([context, context], [axes.get_ylim()[0], left], color=colour, linewidth=1.1, linestyle=(0, (1, 2)))
        axes.plot([context], [left], marker="o", markersize=10, markerfacecolor="none", markeredgecolor=colour, linestyle="none")
    reached = f"full at {format_cell(int(context))} tokens" if math.isfinite(context) and context > 0 else ""
    text = reached or ("weights leave no room" if context == 0 else "never full")
    return f"{text} ({whose})" if whose else text
