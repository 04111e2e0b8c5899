"""Tables as CSV and JSON, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc import __version__
from roofcalc.report.table import Block, Cell, Column, Table, cells
from roofcalc.units import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = 2
_FORMULA = tuple("=+-@\t\r")  # a spreadsheet would evaluate a text that starts with one of these
MAX_COUNT = 2**62  # larger counts do not fit int64


def csv_lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """CSV with RFC 4180 quoting, LF, one header row, full precision and empty missing cells; only the columns `chosen`, if any.

    A text that a spreadsheet would evaluate is prefixed with `'`. Yields many lines at a time.
    """
    columns = tuple(chosen) or table.columns
    yield ",".join(column.name for column in columns)
    for block in table.computed():
        yield "\n".join(map(",".join, zip(*_joined(block, columns), strict=True)))


def _joined(block: Block, columns: Sequence[Column]) -> Iterator[Iterable[str]]:
    """A block's columns as text; adjacent columns that are constant in the block are joined into one."""
    constant: list[str] = []
    for column in columns:
        value = block.values.get(column.name)
        if not isinstance(value, np.ndarray):
            constant += map(_csv_cell, cells(Block(1, {column.name: value}), column))
            continue
        if constant:
            yield repeat(",".join(constant), block.size)
            constant = []
        yield _csv_column(value, column)
    if constant:
        yield repeat(",".join(constant), block.size)


def _csv_column(value: NDArray[Any], column: Column) -> list[str]:
    """A column of arrays: finite numbers and words are converted together, anything else cell by cell."""
    if column.kind == "number" and value.dtype.kind == "f" and np.isfinite(value).all():
        texts = map(repr, (value + 0.0).tolist())  # + 0.0 turns -0.0 into 0.0
        return [text.removesuffix(".0") for text in texts] if (value == np.floor(value)).any() else list(texts)
    if column.kind == "count" and value.dtype.kind in "fi" and (np.abs(value) < MAX_COUNT).all() and (value == np.floor(value)).all():
        return list(map(str, value.astype(np.int64).tolist()))
    if column.kind == "flag" and value.dtype.kind == "b":
        return np.where(value, "true", "false").tolist()  # type: ignore[no-any-return]
    if column.kind == "text" and value.dtype.kind == "U":
        words = {word: _csv_cell(word or None) for word in set(value.tolist())}
        return [words[word] for word in value.tolist()]
    return list(map(_csv_cell, cells(Block(value.size, {column.name: value}), column)))


def _csv_cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return plain(value)
    if value[:1] in _FORMULA:
        value = "'" + value
    quoted = value.replace('"', '""')
    return f'"{quoted}"' if any(mark in value for mark in ',"\n\r') else value


def json_lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """One JSON object, one row per line (only the columns `chosen`, if any); `assumptions` holds those that all rows share."""
    import json  # not needed by the other formats

    first = dict(zip((column.name for column in table.columns), next(table.cells(0, 1), ()), strict=False))
    head = {
        "schema": SCHEMA,
        "command": table.command,
        "version": __version__,
        "catalog": table.catalog,
        "assumptions": {c.name: first.get(c.name) for c in table.columns if c.role == "assumed" and table.constant(c)},
        "notes": table.notes,
    }
    yield json.dumps(head)[:-1] + ', "rows": ['
    before = ""
    for row in (table.select(chosen) if chosen else table).rows():
        if before:
            yield before + ","
        before = "  " + json.dumps(row)
    yield before
    yield "]}"
