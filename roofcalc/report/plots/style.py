"""How every chart looks: colours, lines and markers that differ in grey too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib import rc_context

INK = "#1f2328"
QUIET = "#57606a"  # ticks and small print
GRID = "#d8dee4"
PAPER = "#ffffff"

# M. Okabe and K. Ito's colours, as B. Wong lists them (doi.org/10.1038/nmeth.1618); yellow is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that a chart measures the same everywhere
    "text.hinting": "none",  # widths as browsers and printers have them
    "text.parse_math": False,  # names may hold dollars and underscores
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.handlelength": 3.2,  # long enough that two dashes are seen beside the mark
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",  # text stays text: small files, searchable
    "svg.hashsalt": "roofcalc",  # the same table gives the same bytes
    "pdf.fonttype": 42,
}


@contextmanager
def looks() -> Iterator[None]:
    """matplotlib's own defaults and this style, whatever the user's settings; for drawing and for saving."""
    with rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def look(place: int) -> dict[str, Any]:
    """Colour, dashes and marker of the line at `place`: any two differ in two of them."""
    colour = COLOURS[place % len(COLOURS)]
    return {
        "color": colour,
        "linestyle": DASHES[place % len(DASHES)],
        "marker": MARKERS[place % len(MARKERS)],
        "markeredgecolor": colour,
        "markeredgewidth": 1.2,
    }
