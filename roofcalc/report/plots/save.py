"""Renders a chart as SVG, PNG or PDF; the same chart gives the same bytes."""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from roofcalc import __version__
from roofcalc.errors import RoofcalcError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
PNG_DPI = 160
_MAKER = f"roofcalc {__version__}"
_ABOUT: dict[str, dict[str, Any]] = {
    "svg": {"Creator": _MAKER, "Date": None},
    "png": {"Software": _MAKER},
    "pdf": {"Creator": _MAKER, "Producer": None, "CreationDate": None},
}


def format_of(name: str) -> str:
    """The format of a file name's suffix; a RoofcalcError lists the formats where it is not one."""
    suffix = PurePath(name).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise RoofcalcError(f"--output: {name!r} must end in {' or '.join('.' + one for one in FORMATS)}{did_you_mean(suffix, FORMATS)}")
    return suffix


def rendered(figure: Figure, format: str) -> bytes:
    """The figure in a format of `FORMATS`."""
    from roofcalc.report.plots.style import looks

    file = io.BytesIO()
    with looks():
        figure.savefig(file, format=format, dpi=PNG_DPI, metadata=_ABOUT[format])
    return file.getvalue()
