"""Style of the charts: colours, dashes and markers that are distinguishable in greyscale."""

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
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so that text measures the same everywhere
    "text.hinting": "none",  # text widths as in browsers and print
    "text.parse_math": False,  # names may contain dollar signs and underscores
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
    "legend.handlelength": 3.2,  # long enough to show two dashes next to the marker
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
    """Context with matplotlib's defaults and this style, whatever the user's settings; for drawing and saving."""
    with rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def look(place: int) -> dict[str, Any]:
    """Colour, dashes and marker of line number `place`: any two lines differ in at least two of them."""
    colour = COLOURS[place % len(COLOURS)]
    return {
        "color": colour,
        "linestyle": DASHES[place % len(DASHES)],
        "marker": MARKERS[place % len(MARKERS)],
        "markeredgecolor": colour,
        "markeredgewidth": 1.2,
    }
