"""Measured points: rows of a CSV file as frozen records.

`COLUMNS` lists the columns; they may be in any order, and all but `NEEDED` are optional. An empty cell is unknown (so are those of `BLANK`). Names of
models, devices and metrics are resolved in `roofcalc.measurements.cases`. A row that cannot be read does not stop the file:
`load` returns the others, and its problems.
"""

import csv
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import Record

NEEDED = ("model", "hardware", "metric", "value")
BLANK = ("", "-", "–", "?", "n/a", "na", "unknown", "not given", "not stated")  # cells of an unknown value
MAX_LOAD = ("max", "maximum", "saturated", "unlimited", "inf")  # a batch cell of a run with more requests than fit
_TOKENS_PER_DEVICE = re.compile(r"([0-9.]+)\s*tokens?/(?:gpu|device)", re.IGNORECASE)
_SPECULATES = re.compile(r"\b(?:mtp|eagle|medusa|specul|draft|n-?gram|lookahead)", re.IGNORECASE)
_ACCEPTED = re.compile(r"\baccept(?:ed|ance)?(?: (?:length|len|tokens|rate))?\s*(?:of|is|:|=|~|≈)?\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)", re.IGNORECASE)
_DRAFTED = re.compile(r"\bmtp[- ]?([1-9])\b", re.IGNORECASE)


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
    replicas : int
        Independent copies of the model among the devices, each on an equal part of them.
    isl, osl : float
        Input and output tokens per request, possibly means; `isl` without `osl` is a context.
    batch : float
        Sequences in flight on these devices, possibly a mean.
    max_load : bool
        Instead of the batch: more requests were sent than fit.
    tokens_per_device : float
        Instead of the batch: tokens per device in one prefill step.
    draft : int
        Tokens drafted per step of speculative decoding.
    accepted : float
        Mean tokens per step of speculative decoding (acceptance length), the one of the target model included.
    acceptance : float
        Instead of `accepted`: the probability that a draft token is accepted.
    itl : "step" or "tpot"
        Which time between tokens a speed of one user is: of a decode step, as the median time between two tokens (ITL), or the mean of a
        request with the prompts of others in it (TPOT) on devices that also prefill. Not given: as the notes say, else a step.
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
    replicas: int | None = None
    isl: float | None = None
    osl: float | None = None
    batch: float | None = None
    max_load: bool = False
    tokens_per_device: float | None = None
    draft: int | None = None
    accepted: float | None = None
    acceptance: float | None = None
    itl: str | None = None
    comparable: bool = True
    engine: str | None = None
    engine_version: str | None = None
    date: str | None = None
    source: str | None = None
    source_url_or_path: str | None = None
    notes: str | None = None


class Problem(NamedTuple):
    """A problem of a row, or of the header, at `place` (file:line)."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Loaded(NamedTuple):
    """The points of a file, the problems of rows that were left out, and notes on columns that are not read."""

    points: list[Point]
    problems: list[Problem]
    notes: list[str]


def _text(cell: str) -> dict[str, Any]:
    return {"": cell}


def _count(cell: str, low: int = 1) -> dict[str, Any]:
    if not re.fullmatch(r"[0-9]{1,9}(\.0)?", cell) or float(cell) < low:
        raise ValueError(f"expected a whole number of at least {low} or an empty cell, got {cell!r}")
    return {"": int(float(cell))}


def _number(cell: str) -> float:
    """A cell as a number; nan where it is none. Thousands may be grouped by commas."""
    try:
        return float(re.sub(r"(?<=[0-9]),(?=[0-9]{3}\b)", "", cell))
    except ValueError:
        return math.nan


def _mean(cell: str, low: float) -> float:
    number = _number(cell)
    if not low <= number < 1e9:
        raise ValueError(f"expected a number of at least {low:g} or an empty cell, got {cell!r}")
    return number


def _tokens(cell: str) -> dict[str, Any]:
    return {"": _mean(cell, 0)}


def _outputs(cell: str) -> dict[str, Any]:
    return {"": _mean(cell, 1)}


def _rate(cell: str) -> dict[str, Any]:
    number = _number(cell)
    if not 0 <= number <= 1:
        raise ValueError(f"expected a rate from 0 to 1 or an empty cell, got {cell!r}")
    return {"": number}


def _between_tokens(cell: str) -> dict[str, Any]:
    if cell.lower() not in ("step", "tpot"):
        raise ValueError(f"expected step, tpot or an empty cell, got {cell!r}")
    return {"": cell.lower()}


def _above_zero(cell: str) -> float:
    number = _number(cell)
    if not 1e-12 <= number <= 1e15:
        raise ValueError(f"expected a number above 0, got {cell!r}")
    return number


def _value(cell: str) -> dict[str, Any]:
    return {"": _above_zero(cell)}


def _batch(cell: str) -> dict[str, Any]:
    if match := _TOKENS_PER_DEVICE.fullmatch(cell):
        return {"tokens_per_device": _above_zero(match.group(1))}
    if cell.lower() in MAX_LOAD:
        return {"max_load": True}
    try:
        return {"batch": _above_zero(cell)}
    except ValueError:
        raise ValueError(f"expected a number above 0, tokens per device (8192 tokens/device), max or an empty cell, got {cell!r}") from None


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
    "replicas": _count,
    "weights_dtype": _text,
    "kv_dtype": _text,
    "compute_dtype": _text,
    "engine": _text,
    "engine_version": _text,
    "isl": _tokens,
    "osl": _outputs,
    "batch_or_concurrency": _batch,
    "draft": _count,
    "accepted": _outputs,
    "acceptance": _rate,
    "itl": _between_tokens,
    "metric": _text,
    "value": _value,
    "date": _text,
    "notes": _text,
    "comparable": _yes,
}
COLUMNS = tuple(_READ)


def read(path: str | Path) -> list[Point]:
    """The points of a CSV file without problems.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or all its problems, each with file and line.
    """
    points, problems, _ = load(path)
    if problems:
        raise RoofcalcError(*map(str, problems))
    return points


def load(path: str | Path) -> Loaded:
    """The points of a CSV file that can be read, and the problems of the others.

    Raises
    ------
    RoofcalcError
        The file cannot be read or has no readable row, or its header lacks a column of `NEEDED`, repeats one or misspells one.
    """
    lines = csv.reader(yamlfile.read_text(Path(path)).splitlines(keepends=True), strict=True)
    problems: list[Problem] = []
    points: list[Point] = []
    notes: list[str] = []
    try:
        header = [cell.strip() for cell in next(lines, [])]
        if wrong := list(_header_problems(header)):
            raise RoofcalcError(*(f"{path}:1: {problem}" for problem in wrong))
        if unused := [name for name in header if name not in _READ]:
            notes.append(f"{path}:1: columns that are not read: {', '.join(unused)}")
        begin = lines.line_num + 1
        for cells in lines:
            place, begin = f"{path}:{begin}", lines.line_num + 1
            if cells:
                points += _point([cell.strip() for cell in cells], header, place, problems)
    except csv.Error as error:
        problems.append(Problem(f"{path}:{lines.line_num}", str(error)))
    kept, first = [], dict[str, str]()
    for point in points:
        if first.setdefault(point.id, point.place) == point.place:
            kept.append(point)
        else:
            problems.append(Problem(point.place, f"id: {point.id!r} is already used in line {first[point.id].rsplit(':', 1)[1]}"))
    if not kept:
        raise RoofcalcError(*(map(str, problems) if problems else [f"{path}: contains no points"]))
    return Loaded(kept, problems, notes)


def _header_problems(header: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(header):
        if name not in _READ and (meant := did_you_mean(name, COLUMNS)):
            yield f"unknown column {name!r}{meant}; columns: {', '.join(COLUMNS)}"
        elif header.count(name) > 1:
            yield f"column {name!r} occurs more than once"
    if missing := [name for name in NEEDED if name not in header]:
        yield f"missing columns: {', '.join(missing)}"


def _point(cells: list[str], header: list[str], place: str, errors: list[Problem]) -> list[Point]:
    """The point of a row, or an empty list after appending its problems to `errors`."""
    if len(cells) != len(header):
        errors.append(Problem(place, f"expected {len(header)} cells, got {len(cells)}"))
        return []
    given: dict[str, Any] = {"id": f"line {place.rsplit(':', 1)[1]}"}
    problems = []
    for name, cell in zip(header, cells, strict=True):
        if cell.lower() in BLANK or name not in _READ:
            problems += [f"{name}: not given"] if name in NEEDED else []
            continue
        try:
            given |= {key or name: value for key, value in _READ[name](cell).items()}
        except ValueError as error:
            problems.append(f"{name}: {error}")
    errors += (Problem(place, problem) for problem in problems)
    if not problems and "accepted" not in given and "acceptance" not in given:
        given = {**_speculation(given.get("notes", "")), **given}
    return [] if problems else [Point(place, **given)]


def _speculation(notes: str) -> dict[str, Any]:
    """Speculative decoding that the notes of a row describe: "MTP3, acceptance length 2.4", "EAGLE, accepted 71 %"."""
    found = _ACCEPTED.search(notes)
    if found is None or not _SPECULATES.search(notes):
        return {}
    number = float(found[1]) / (100 if found[2] else 1)
    given: dict[str, Any] = {"accepted": number} if number > 1 else {"acceptance": number}
    if drafted := _DRAFTED.search(notes):
        given["draft"] = int(drafted[1])
    return given
