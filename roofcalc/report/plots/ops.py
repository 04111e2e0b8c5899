"""Roofline chart: attained FLOP/s of each operation against its arithmetic intensity, under the roofs of its number format."""

from __future__ import annotations

import math
import textwrap
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from roofcalc.errors import RoofcalcError
from roofcalc.physics.breakdown import SMALL
from roofcalc.report.plots.axes import ticked
from roofcalc.report.plots.frame import Drawn, closed, opened, words
from roofcalc.report.plots.lines import Row, cases, short
from roofcalc.report.plots.margin import Label, label
from roofcalc.report.plots.size import Frame
from roofcalc.report.plots.style import COLOURS, DASHES, INK, MARKERS, PAPER, QUIET
from roofcalc.report.table import Table

MAX_CASES = 4
NEAR = 0.05  # operations within this many decades share a point
NAMED = 3  # operations named in a label


class Point(NamedTuple):
    """Operations of one case and format at the same point: intensity, TFLOP/s, share of the step, names by descending share."""

    case: int
    format: str
    flop_per_byte: float
    tflop_s: float
    share: float
    names: tuple[str, ...]

    def near(self, other: Point) -> bool:
        """Whether both coincide in the chart."""
        apart = (self.flop_per_byte / other.flop_per_byte, self.tflop_s / other.tflop_s)
        return self.format == other.format and all(abs(math.log10(ratio)) < NEAR for ratio in apart)


class Roof(NamedTuple):
    """A device's memory bandwidth, TB/s, and peak in a format, TFLOP/s."""

    hardware: str
    format: str
    tb_s: float
    tflop_s: float


def draw(table: Table, title: str, frame: Frame) -> Drawn:
    """Points coloured by case, markers and roofs by format; labels next to the axes."""
    found, shared = cases(table, ("seq", "batch", "cached"))
    if len(found) > MAX_CASES:
        raise RoofcalcError(f"plot: {len(found)} cases are too many for one roofline chart; at most {MAX_CASES}, for example one --seq and --batch")
    figure = opened(frame)
    axes = figure.subplots()
    points = sorted((point for case, (_, rows) in enumerate(found) for point in _points(case, rows)), key=lambda point: -point.share)
    roofs = list(dict.fromkeys(roof for _, rows in found for roof in _roofs(rows)))
    formats = list(dict.fromkeys(roof.format for roof in roofs))
    _scales(axes, points, roofs, frame)
    labels = _drawn_roofs(axes, points, roofs, formats, frame)
    for point in points:
        mark = MARKERS[formats.index(point.format)]
        size = math.sqrt(45 + 450 * point.share)
        axes.plot(point.flop_per_byte, point.tflop_s, mark, markersize=size, zorder=4, **_case_look(point.case))
    labels += _named(axes, points, len(found), frame)
    keys = [
        Line2D([], [], marker="o", linestyle="none", label=name, markersize=8, **_case_look(case)) for case, (name, _) in enumerate(found) if name
    ]
    keys += [
        Line2D([], [], color=QUIET, marker=MARKERS[n], linestyle=DASHES[n], label=f"{format} operations and roof") for n, format in enumerate(formats)
    ]
    signs = ["Larger marks take more of the step."]
    if len(found) > 1:
        signs.append("Parts of the step stand in the order of the cases.")
    slopes = dict.fromkeys(f"{roof.hardware} {short(roof.tb_s)} TB/s" for roof in roofs)
    if len(slopes) > 1 and not frame.alone:
        signs.append(f"Memory bandwidths: {', '.join(slopes)}.")
    for what in ("network", "overhead"):
        unmarked = [sum(_figure(row, "share") for row in rows if row["limited_by"] == what) for _, rows in found]
        if any(unmarked):
            signs.append(f"The {what}, which has no mark, accounts for {', '.join(map(_percent, unmarked))}.")
    small = [sum(_figure(row, "share") for row in rows if str(row["op"]).endswith(SMALL)) for _, rows in found]
    if any(small):
        signs.append(f"The {SMALL}, which have no mark, account for {', '.join(map(_percent, small))}.")
    if any(row["mfu"] is None or row["mbu"] is None for _, rows in found for row in rows):
        signs.append("Roofs are the device's; kernels of the preset stay below them.")
    phase = "prefill" if "cached" in found[0][1][0] else "decode step"
    return closed(figure, frame, words(table, title, f"{phase}: {shared}", *signs), keys, labels)


def _case_look(case: int) -> dict[str, Any]:
    """Colour and fill of a case's markers, distinguishable in greyscale."""
    colour = COLOURS[case]
    return {
        "color": colour,
        "fillstyle": ("full", "none", "left", "top")[case],
        "markerfacecoloralt": PAPER,
        "markeredgecolor": colour,
        "markeredgewidth": 1.8,
    }


def _points(case: int, rows: list[Row]) -> list[Point]:
    """Operations of a case; those at the same point are merged."""
    found: list[Point] = []
    for row in sorted(rows, key=lambda row: -_figure(row, "share")):
        flops, moved = _figure(row, "gflop"), _figure(row, "mb")
        busy = max(_figure(row, "compute_us"), _figure(row, "memory_us"), _figure(row, "time_us") - _figure(row, "network_us"))
        if flops <= 0 or moved <= 0 or busy <= 0:
            continue
        # GFLOP / MB is 1e3 FLOP/B, GFLOP / us is 1e3 TFLOP/s
        point = Point(case, str(row["format"]), flops * 1e3 / moved, flops * 1e3 / busy, _figure(row, "share"), (str(row["op"]),))
        for place, other in enumerate(found):
            if other.near(point):
                found[place] = other._replace(share=other.share + point.share, names=other.names + point.names)
                break
        else:
            found.append(point)
    return [point._replace(names=_brief(point, found)) for point in found]


def _brief(point: Point, points: list[Point]) -> tuple[str, ...]:
    """Names of a point's operations, without the block where it is unambiguous."""
    elsewhere = {_bare(name) for other in points if other is not point for name in other.names}
    return tuple(dict.fromkeys(name if _bare(name) in elsewhere else _bare(name) for name in point.names))


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _roofs(rows: list[Row]) -> list[Roof]:
    """Roofs of a case as implied by the table's times, before the assumed achieved fractions."""
    tb_s = max(
        (_figure(row, "mb") / _figure(row, "memory_us") / (_figure(row, "mbu") or 1) for row in rows if _figure(row, "memory_us") > 0), default=0.0
    )
    peaks: dict[str, float] = {}
    for row in rows:
        if _figure(row, "compute_us") > 0:
            rate = _figure(row, "gflop") * 1e3 / _figure(row, "compute_us") / (_figure(row, "mfu") or 1)
            peaks[str(row["format"])] = max(rate, peaks.get(str(row["format"]), 0.0))
    return [Roof(str(rows[0]["hardware"]), format, _rounded(tb_s), _rounded(peak)) for format, peak in peaks.items()]


def _figure(row: Row, name: str) -> float:
    return float(row[name] or 0.0)


def _rounded(value: float) -> float:
    """Rounded, so that roofs that differ only by rounding errors are drawn once."""
    return float(f"{value:.9g}")


def _percent(share: float) -> str:
    return "under 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def _scales(axes: Axes, points: list[Point], roofs: list[Roof], frame: Frame) -> None:
    across = [*(point.flop_per_byte for point in points), *(roof.tflop_s / roof.tb_s for roof in roofs)]
    up = [*(point.tflop_s for point in points), *(roof.tflop_s for roof in roofs)]
    x = (f"intensity (FLOP per byte{' of memory traffic' * frame.alone})", min(across) / 2, max(across) * 3)
    ticked(axes, (x, ("attained by one device (TFLOP/s)", min(up) / 3, max(up) * 1.6)), frame.text)


def _drawn_roofs(axes: Axes, points: list[Point], roofs: list[Roof], formats: list[str], frame: Frame) -> list[Label]:
    """Draws the roofs, with the bandwidth along each slope and the labels of the peaks."""
    low, high = axes.get_xlim()
    several = len({roof.hardware for roof in roofs}) > 1
    for roof in roofs:
        ridge, dashes = roof.tflop_s / roof.tb_s, DASHES[formats.index(roof.format)]
        axes.plot([low, ridge, high], [low * roof.tb_s, roof.tflop_s, roof.tflop_s], color=INK, linewidth=1.4, linestyle=dashes)
    if not several:
        _along(axes, points, roofs[0].tb_s, f"{short(roofs[0].tb_s)} TB/s", frame.smaller(0.85))
    return [label(axes, roof.tflop_s, _named_roof(roof, several, frame.alone), INK, frame, 0.85) for roof in roofs]


def _named_roof(roof: Roof, several: bool, at_length: bool) -> str:
    """Format and peak of a roof, and with several machines whose it is."""
    if not several:
        return f"{roof.format}: {short(roof.tflop_s)} TFLOP/s"
    if not at_length:
        return f"{roof.format}: {short(roof.tflop_s)}\n{roof.hardware}"
    return f"{roof.format}: {short(roof.tflop_s)} TFLOP/s\n{roof.hardware}, {short(roof.tb_s)} TB/s"


def _along(axes: Axes, points: list[Point], tb_s: float, text: str, size: float) -> None:
    """A label along the slope, where it is farthest from the points."""
    (left, right), (bottom, top) = (map(math.log10, limits) for limits in (axes.get_xlim(), axes.get_ylim()))
    start, end = max(left, bottom - math.log10(tb_s)), min(right, top - math.log10(tb_s))
    places = [start + (end - start) * part / 20 for part in range(4, 16)]
    at = 10 ** max(places, key=lambda place: min(abs(place - math.log10(point.flop_per_byte)) for point in points))
    axes.text(
        at,
        at * tb_s,
        text,
        transform=axes.transData + ScaledTranslation(-3 / 72, 3 / 72, axes.figure.dpi_scale_trans),
        ha="center",
        va="bottom",
        rotation=math.degrees(math.atan(tb_s)),
        rotation_mode="anchor",
        transform_rotates_text=True,
        size=size,
    )


def _named(axes: Axes, points: list[Point], cases: int, frame: Frame) -> list[Label]:
    """Labels of the points with the largest share; coinciding points of several cases share one."""
    groups: list[list[Point]] = []
    for point in points:
        near = next((group for group in groups if group[0].near(point)), None)
        if near:
            near.append(point)
        else:
            groups.append([point])
    found = []
    for group in groups[: 9 if frame.alone else 6]:
        first, colour = group[0], COLOURS[group[0].case]
        names = ", ".join(first.names[:NAMED]) + (f" and {len(first.names) - NAMED} more" if len(first.names) > NAMED else "")
        shares = ", ".join(_percent(point.share) for point in sorted(group, key=lambda point: point.case))
        text = f"{names}: {shares}"
        if frame.alone:
            text = textwrap.fill(text, 28, break_long_words=False)
        axes.plot([first.flop_per_byte, axes.get_xlim()[1]], [first.tflop_s] * 2, color=colour, linewidth=0.9, linestyle=(0, (1, 2)))
        found.append(label(axes, first.tflop_s, text, colour, frame, 0.85))
    return found
