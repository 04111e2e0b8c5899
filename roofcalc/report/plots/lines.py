"""Splits a table into lines: what the x axis is, which rows form a line, and how lines are labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roofcalc.errors import RoofcalcError
from roofcalc.report.formatting import arrange, format_cell
from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

Row = dict[str, Cell]
MAX_LINES = 24  # that are distinguishable in one chart

_WORDS: dict[str, Callable[[Cell], str]] = {
    "hardware": lambda value: f"on {value}",
    "weights": lambda value: f"{value} weights",
    "kv": lambda value: f"{value} KV",
    "seq": lambda value: f"{_tokens(value)} tokens",
    "isl": lambda value: f"{_tokens(value)} in",
    "osl": lambda value: f"{_tokens(value)} out",
    "prefix": lambda value: f"prefix of {_tokens(value)} tokens",
    "suffix": lambda value: f"{_tokens(value)} tokens per stream",
    "streams": lambda value: f"{format_cell(value)} stream{'s' * (value != 1)}",
    "cached": lambda value: f"{_tokens(value)} cached",
    "batch": lambda value: f"batch {format_cell(value)}",
    "min_interactivity_tok_s": lambda value: f"at least {short(value)} tok/s/user",
    "max_ttft_s": lambda value: f"first token within {short(value)} s",
    "changes": lambda value: str(value),
}


class Axis(NamedTuple):
    """The x axis: its label with unit, whether it counts tokens, and its value in a row."""

    name: str
    label: str
    of_tokens: bool
    value: Callable[[Row], float | None]


class Line(NamedTuple):
    """Rows of a line ordered by x, and the label that distinguishes it (empty for a single line)."""

    label: str
    x: NDArray[np.float64]
    rows: tuple[Row, ...]

    def y(self, name: str) -> NDArray[np.float64]:
        """A column as numbers, with nan for missing ones."""
        return np.array([np.nan if (value := row[name]) is None else float(value) for row in self.rows])

    def words(self, name: str) -> str:
        """A cell that all rows share, formatted."""
        return format_cell(self.rows[0][name])

    def holds(self, name: str) -> NDArray[np.bool_]:
        """A boolean column."""
        return np.array([bool(row[name]) for row in self.rows])


class Lines(NamedTuple):
    """All lines of a chart, and a phrase with what they share."""

    axis: Axis
    each: tuple[Line, ...]
    shared: str

    @property
    def x(self) -> NDArray[np.float64]:
        """x of every point."""
        return np.concatenate([line.x for line in self.each])

    def y(self, *names: str) -> NDArray[np.float64]:
        """All values of some columns."""
        return np.concatenate([line.y(name) for line in self.each for name in names])


def lines(table: Table, across: Sequence[str], asked: Sequence[str] = ()) -> Lines:
    """Splits a table into lines.

    Parameters
    ----------
    across : names of columns
        Candidates for the x axis: the first with several values, else a value swept by `--set`.
    asked : names of columns
        Other columns of the request: they distinguish lines where they differ, and stand in the heading where they do not.

    Raises
    ------
    RoofcalcError
        No column has two values, there are no rows, or there are too many lines.
    """
    rows = _rows(table)
    if rows[0].get("isl") is not None:  # generations: the context follows from isl and osl
        prompts, answers = (len({row[name] for row in rows}) for name in ("isl", "osl"))
        across = [*(("isl", "osl") if prompts >= answers else ("osl", "isl")), *(name for name in across if name != "seq")]
    across, asked = ([name for name in listed if name in rows[0]] for listed in (across, asked))
    axis = _axis(table, rows, across)
    asked = [name for name in dict.fromkeys((*across, *asked)) if name != axis.name]
    groups = _grouped(table, [row for row in rows if axis.value(row) is not None], asked, axis)
    if len(groups) > MAX_LINES:
        raise RoofcalcError(f"plot: {len(groups)} lines are too many for one chart; request at most {MAX_LINES}")
    return Lines(axis, tuple(_line(label, axis, members) for label, members in groups), _shared(table, rows, asked))


def cases(table: Table, asked: Sequence[str]) -> tuple[list[tuple[str, list[Row]]], str]:
    """The rows of each case with its label, and a phrase with what all cases share."""
    rows = _rows(table)
    asked = [name for name in asked if name in rows[0]]
    return _grouped(table, rows, asked, None), _shared(table, rows, asked)


def told_apart(table: Table, rows: list[Row], asked: Sequence[str], apart_from: Sequence[str]) -> tuple[list[str], str]:
    """A label for each row (ignoring the columns `apart_from`), and a phrase with what all rows share."""
    asked = [name for name in asked if name in rows[0]]
    telling = _telling(rows, _candidates(table, asked, apart_from), None)
    return [_phrase(telling, [row[column.name] for column in telling]) for row in rows], _shared(table, rows, asked)


def _rows(table: Table) -> list[Row]:
    rows = list(table.rows())
    if not rows:
        raise RoofcalcError("plot: nothing to draw: the catalog lists no peak FLOP/s at which the model could compute")
    return rows


def _grouped(table: Table, rows: list[Row], asked: Sequence[str], axis: Axis | None) -> list[tuple[str, list[Row]]]:
    along = axis.name if axis and axis.name != "changes" else ""  # changes other than the one along x still distinguish lines
    telling = _telling(rows, _candidates(table, asked, (along,)), axis)
    groups: dict[tuple[Cell, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(_case(row, column, axis) for column in telling), []).append(row)
    return [(_phrase(telling, case), members) for case, members in groups.items()]


def _candidates(table: Table, asked: Sequence[str], apart_from: Sequence[str]) -> list[Column]:
    """Columns that may distinguish rows: the case, the request, then the assumptions."""
    first = [column for column in table.columns if column.role == "case" or column.name in asked]
    return first + [column for column in table.columns if column.role == "assumed" and column.name not in (*asked, *apart_from)]


def _shared(table: Table, rows: list[Row], asked: Sequence[str]) -> str:
    same = [name for name in asked if len({row[name] for row in rows}) == 1 and rows[0][name]]  # zero cached tokens are not mentioned
    return ", ".join(part for part in (arrange(table).title, *(_WORDS[name](rows[0][name]) for name in same)) if part)


def _axis(table: Table, rows: list[Row], across: Sequence[str]) -> Axis:
    for name in across:
        if len({row[name] for row in rows} - {None}) > 1:
            column = table.column(name)
            return Axis(name, f"{column.label} ({column.unit})" if column.unit else column.label, column.unit == "tokens", _number_of(name))
    swept = {path for row in rows for path, value in _changes(row).items() if _number(value) is not None}
    for path in sorted(swept):
        if len({_changes(row).get(path) for row in rows}) > 1:
            return Axis("changes", path, False, _swept(path))
    column = table.column(across[0])
    example = "1k:128k:x2" if column.unit == "tokens" else "1,8,64"
    raise RoofcalcError(f"plot: a line needs at least two points; give several values of --{across[0]}, such as --{across[0]} {example}")


def _number_of(name: str) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        found = row[name]
        return None if found is None else float(found)

    return value


def _swept(path: str) -> Callable[[Row], float | None]:
    return lambda row: _number(_changes(row).get(path))


def _changes(row: Row) -> dict[str, str]:
    """Values that `--set` changed in a row, by path."""
    parts = (part.partition("=") for part in str(row.get("changes") or "").split("; "))
    return {path: value for path, _, value in parts if path}


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _case(row: Row, column: Column, axis: Axis | None) -> Cell:
    """A row's value in a column that distinguishes lines; of the changes, those that are not the x axis."""
    if axis and column.name == axis.name == "changes":
        return "; ".join(f"{path}={value}" for path, value in _changes(row).items() if path != axis.label)
    return row[column.name]


def _telling(rows: list[Row], candidates: list[Column], axis: Axis | None) -> list[Column]:
    """The first columns that together distinguish all that the candidates can."""
    chosen: list[Column] = []
    known = 1
    for column in candidates:
        found = len({tuple(_case(row, one, axis) for one in (*chosen, column)) for row in rows})
        if found > known:
            chosen.append(column)
            known = found
    return chosen


def _phrase(columns: Sequence[Column], case: Sequence[Cell]) -> str:
    parts = [_WORDS.get(column.name, _plainly(column))(value) for column, value in zip(columns, case, strict=True) if value not in (None, "")]
    text = ", ".join(parts)
    first_two = [column.name for column in columns[:2]]
    if first_two == ["model", "hardware"]:
        text = text.replace(", ", " ", 1)
    return text.removeprefix("on ")


def _plainly(column: Column) -> Callable[[Cell], str]:
    if column.role == "case":
        return str
    return lambda value: f"{column.label} {format_cell(value)}{' ' + column.unit if column.unit else ''}"


def _line(label: str, axis: Axis, members: list[Row]) -> Line:
    placed = sorted(((axis.value(row) or 0.0, row) for row in members), key=lambda pair: pair[0])
    return Line(label, np.array([x for x, _ in placed]), tuple(row for _, row in placed))


def short(value: Cell) -> str:
    """A formatted cell without trailing zeros."""
    text = format_cell(value)
    return text.rstrip("0").rstrip(".") if "." in text and isinstance(value, float) else text


def _tokens(value: Cell) -> str:
    return tokens(float(value)) if isinstance(value, (int, float)) else format_cell(value)
