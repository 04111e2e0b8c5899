"""The table of charts: which commands have one, its title, and the module that draws it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofcalc.measurements.speeds import Speed
    from roofcalc.report.plots.frame import Drawn
    from roofcalc.report.plots.size import Frame

MAX_ROWS = 300_000  # of a chart; each is a point of an SVG file
EXTRA = "pip install 'roofcalc[plot]'"


class Kind(NamedTuple):
    """Chart of a command: its title, the module whose `draw(table, title, frame)` draws it, and an example request."""

    title: str
    module: str
    example: str


KINDS: dict[str, Kind] = {
    "max-batch": Kind(
        "How many sequences fit and stay fast enough?",
        "roofcalc.report.plots.max_batch",
        "llama-3.1-405b,llama-3.1-70b 8xh100-sxm,8xmi300x --weights fp8 --interactivity 30",
    ),
    "interactivity": Kind(
        "How fast is each user served?",
        "roofcalc.report.plots.interactivity",
        "llama-3.1-405b 8xh100-sxm --weights fp8 --batch 1:256:x4",
    ),
    "memory": Kind(
        "What fills the memory?",
        "roofcalc.report.plots.memory",
        "llama-3.1-405b 8xh100-sxm --weights fp8 --batch 32",
    ),
    "flops": Kind(
        "How many FLOPs does a token take?",
        "roofcalc.report.plots.flops",
        "llama-3.1-405b 8xh100-sxm --weights fp8 --batch 128 --interactivity 30",
    ),
    "ops": Kind(
        "Which roof limits each operation?",
        "roofcalc.report.plots.ops",
        "deepseek-v3 8xh200-sxm --seq 16k --batch 64",
    ),
    "vote": Kind(
        "What do several answers to one query cost?",
        "roofcalc.report.plots.vote",
        "llama-3.1-405b 8xh100-sxm --weights fp8 --streams 1,5,25 --prefix 0:16k:2k --suffix 1k",
    ),
    "frontier": Kind(
        "How much throughput does speed per user cost?",
        "roofcalc.report.plots.frontier",
        "llama-3.1-70b 8xh100-sxm,8xmi300x --weights fp8 --seq 8k",
    ),
}


def need_matplotlib() -> None:
    """Raises RoofcalcError with the install command if matplotlib is missing."""
    try:
        import_module("matplotlib")
    except ImportError:
        raise RoofcalcError(f"charts need matplotlib: {EXTRA}") from None


def plot(table: Table, measured: Sequence[Speed] = ()) -> Figure:
    """The chart of a table, as a matplotlib Figure.

    Parameters
    ----------
    table
        Result of `max_batch`, `interactivity`, `memory`, `flops`, `ops` or another command with a chart.
    measured
        Measured points (`roofcalc.measurements.speeds`) to draw over a frontier.

    Raises
    ------
    RoofcalcError
        matplotlib is missing, the table has no chart, or too few or too many points for one.
    """
    need_matplotlib()
    from roofcalc.report.plots.size import ALONE

    return drawn(table, ALONE, measured).figure


def drawn(table: Table, frame: Frame, measured: Sequence[Speed] = ()) -> Drawn:
    """The chart of a table in a frame, with its text; needs matplotlib. Errors as in `plot`."""
    from roofcalc.report.plots.style import looks

    if table.command not in KINDS:
        raise RoofcalcError(f"plot: `{table.command}` has no chart; commands with charts: {', '.join(KINDS)}")
    kind = KINDS[table.command]
    if len(table) > MAX_ROWS:
        raise RoofcalcError(f"plot: {len(table):,} rows are too many for a chart (at most {MAX_ROWS:,}): give fewer values")
    if measured and table.command != "frontier":
        raise RoofcalcError(f"plot: measured points are drawn over a frontier, not over {table.command}")
    with looks():
        found: Drawn = import_module(kind.module).draw(table, kind.title, frame, *((measured,) if measured else ()))
    return found
