"""Measured points: rows of a CSV file as frozen records.

`COLUMNS` lists the columns; they may be in any order, and all but `NEEDED` are optional. An empty cell is unknown. Names of
models, devices and metrics are resolved in `roofcalc.measurements.cases`.
"""

import csv
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import Record

NEEDED = ("model", "hardware", "metric", "value")
_TOKENS_PER_DEVICE = re.compile(r"([0-9.]+)\s*tokens?/(?:gpu|device)", re.IGNORECASE)


class Point(Record):
    """A measured figure and its run. None is unknown.

    Attributes
    ----------
    place : str
        `file:line`.
    id : str
        Name of the row; `line N` where it has none.
    model, hardware, weights_dtype, kv_dtype, compute_dtype : str
        In the spelling of the source.
    n_devices : int
        Devices that `value` and the batch refer to; fewer than tp × pp × dp for a fraction of a larger unit.
    tp, pp, ep, dp : int
        Parallel degrees.
    isl, osl : int
        Input and output tokens per request; `isl` without `osl` is a context.
    batch : float
        Sequences in flight on these devices.
    tokens_per_device : float
        Instead of the batch: tokens per device in one prefill step.
    metric, value
        One of `roofcalc.measurements.metrics.METRICS`, in its unit.
    comparable : bool
        False if the run uses features that the row does not describe (speculation, prefix caching).
    """

    place: str
    id: str
    model: str
    hardware: str
    metric: str
    value: float
    n_devices: int | None = None
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    dp: int | None = None
    weights_dtype: str | None = None
    kv_dtype: str | None = None
    compute_dtype: str | None = None
    isl: int | None = None
    osl: int | None = None
    batch: float | None = None
    tokens_per_device: float | None = None
    comparable: bool = True
    engine: str | None = None
    engine_version: str | None = None
    date: str | None = None
    source: str | None = None
    source_url_or_path: str | None = None
    notes: str | None = None


def _text(cell: str) -> dict[str, Any]:
    return {"": cell}


def _count(cell: str, low: int = 1) -> dict[str, Any]:
    if not re.fullmatch(r"[0-9]{1,9}(\.0)?", cell) or float(cell) < low:
        raise ValueError(f"expected a whole number of at least {low} or an empty cell, got {cell!r}")
    return {"": int(float(cell))}


def _tokens(cell: str) -> dict[str, Any]:
    return _count(cell, 0)


def _above_zero(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"expected a number above 0, got {cell!r}")
    return number


def _value(cell: str) -> dict[str, Any]:
    return {"": _above_zero(cell)}


def _batch(cell: str) -> dict[str, Any]:
    if match := _TOKENS_PER_DEVICE.fullmatch(cell):
        return {"tokens_per_device": _above_zero(match.group(1))}
    return {"batch": _count(cell)[""]}


def _yes(cell: str) -> dict[str, Any]:
    if cell.lower() not in ("yes", "no", "true", "false"):
        raise ValueError(f"expected yes or no, got {cell!r}")
    return {"": cell.lower() in ("yes", "true")}


_READ: dict[str, Callable[[str], dict[str, Any]]] = {
    "id": _text,
    "source": _text,
    "source_url_or_path": _text,
    "model": _text,
    "hardware": _text,
    "n_devices": _count,
    "tp": _count,
    "pp": _count,
    "ep": _count,
    "dp": _count,
    "weights_dtype": _text,
    "kv_dtype": _text,
    "compute_dtype": _text,
    "engine": _text,
    "engine_version": _text,
    "isl": _tokens,
    "osl": _count,
    "batch_or_concurrency": _batch,
    "metric": _text,
    "value": _value,
    "date": _text,
    "notes": _text,
    "comparable": _yes,
}
COLUMNS = tuple(_READ)


def read(path: str | Path) -> list[Point]:
    """The points of a CSV file.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or all its problems, each with file and line.
    """
    lines = csv.reader(yamlfile.read_text(Path(path)).splitlines(keepends=True), strict=True)
    errors: list[str] = []
    points: list[Point] = []
    try:
        header = [cell.strip() for cell in next(lines, [])]
        errors += (f"{path}:1: {problem}" for problem in _header_problems(header))
        begin = lines.line_num + 1
        for cells in () if errors else lines:
            place, begin = f"{path}:{begin}", lines.line_num + 1
            if cells:
                points += _point([cell.strip() for cell in cells], header, place, errors)
    except csv.Error as error:
        errors.append(f"{path}:{lines.line_num}: {error}")
    first: dict[str, str] = {}
    for point in points:
        if first.setdefault(point.id, point.place) != point.place:
            errors.append(f"{point.place}: id: {point.id!r} is already used in line {first[point.id].rsplit(':', 1)[1]}")
    if not (points or errors):
        errors.append(f"{path}: contains no points")
    if errors:
        raise RoofcalcError(*errors)
    return points


def _header_problems(header: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(header):
        if name not in _READ:
            yield f"unknown column {name!r}{did_you_mean(name, COLUMNS)}; columns: {', '.join(COLUMNS)}"
        elif header.count(name) > 1:
            yield f"column {name!r} occurs more than once"
    if missing := [name for name in NEEDED if name not in header]:
        yield f"missing columns: {', '.join(missing)}"


def _point(cells: list[str], header: list[str], place: str, errors: list[str]) -> list[Point]:
    """The point of a row, or an empty list after appending its problems to `errors`."""
    if len(cells) != len(header):
        errors.append(f"{place}: expected {len(header)} cells, got {len(cells)}")
        return []
    given: dict[str, Any] = {"id": f"line {place.rsplit(':', 1)[1]}"}
    problems = []
    for name, cell in zip(header, cells, strict=True):
        if not cell:
            problems += [f"{name}: not given"] if name in NEEDED else []
            continue
        try:
            given |= {key or name: value for key, value in _READ[name](cell).items()}
        except ValueError as error:
            problems.append(f"{name}: {error}")
    errors += (f"{place}: {problem}" for problem in problems)
    return [] if problems else [Point(place, **given)]
