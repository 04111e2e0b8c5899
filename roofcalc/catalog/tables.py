"""CSV tables in the catalog folders, users' tables before the built-in one; all problems are reported at once."""

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple, TypeVar

from roofcalc.catalog import lookup, yamlfile
from roofcalc.catalog.file_cache import cached, stamp
from roofcalc.catalog.overrides import Kind
from roofcalc.errors import RoofcalcError

MAX_PROBLEMS = 90  # then no further lines are checked (100 are printed): to find the nearest of 240 names takes 5 ms each

T = TypeVar("T")


class Line(NamedTuple):
    """The cells of one line without surrounding blanks, and its `file:line`."""

    cells: tuple[str, ...]
    place: str


class File(NamedTuple):
    """A table's lines, the header first, and the error at which reading stopped."""

    path: Path
    lines: tuple[Line, ...]
    error: str | None


def files(kind: Kind, name: str) -> tuple[File, ...]:
    """Every table called `name` in the catalog folders of `kind`: those of ROOFCALC_PATH first, then the built-in one."""
    paths = (place / name for place in lookup.directories(kind))
    return tuple(cached(_read, path) for path in paths if stamp(path) is not None)


def rows(
    tables: Sequence[File], header: Sequence[str], parse: Callable[[Line, list[str]], T], required: int | None = None
) -> tuple[tuple[T, ...], ...]:
    """The rows of each table.

    Parameters
    ----------
    parse
        Makes a row of a line with as many cells as the header, and appends what is wrong with it to the list.
    required
        Leading columns that a table must have, all by default; cells of the columns that it lacks are empty.

    Raises
    ------
    RoofcalcError
        The problems of the tables, each with its file and line; of those with very many the first.
    """
    errors: list[str] = []
    built = tuple(tuple(_rows(file, header, len(header) if required is None else required, parse, errors)) for file in tables)
    if errors:
        raise RoofcalcError(*errors)
    return built


def _rows(file: File, header: Sequence[str], required: int, parse: Callable[[Line, list[str]], T], errors: list[str]) -> Iterator[T]:
    first = file.lines[0].cells if file.lines else ()
    if len(first) < required or first != tuple(header[: len(first)]):
        errors.append(f"{file.path}:1: expected the header {','.join(header)}")
        return
    for line in file.lines[1:]:
        if len(errors) >= MAX_PROBLEMS:
            errors.append(f"{line.place}: not checked from here on: {len(errors)} problems so far")
            return
        if len(line.cells) != len(first):
            errors.append(f"{line.place}: expected {len(first)} cells, got {len(line.cells)}")
            continue
        problems: list[str] = []
        row = parse(line._replace(cells=line.cells + ("",) * (len(header) - len(first))), problems)
        errors += (f"{line.place}: {problem}" for problem in problems)
        yield row
    if file.error:
        errors.append(file.error)


def _read(path: Path) -> File:
    reader = csv.reader(yamlfile.read_text(path).splitlines(), strict=True)
    lines: list[Line] = []
    try:
        for cells in reader:
            if cells or not lines:  # an empty line is no row
                lines.append(Line(tuple(cell.strip() for cell in cells), f"{path}:{reader.line_num}"))
    except csv.Error as error:
        return File(path, tuple(lines), f"{path}:{reader.line_num}: {error}")
    return File(path, tuple(lines), None)


def positive(text: str, field: str, problems: list[str]) -> float:
    """A finite number above 0; nan, and a problem, for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        problems.append(f"{field}: expected a number above 0, got {text!r}")
        return math.nan
    return value


def check_date(text: str, problems: list[str]) -> None:
    """Adds a problem unless the text is a date of the calendar, YYYY-MM or YYYY-MM-DD."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", text):
            raise ValueError
        date.fromisoformat(text if len(text) == 10 else f"{text}-01")
    except ValueError:
        problems.append(f"date: expected YYYY-MM or YYYY-MM-DD, got {text!r}")


def check_given(text: str, field: str, problems: list[str]) -> None:
    """Adds a problem where a cell is empty."""
    if not text:
        problems.append(f"{field}: not given")
