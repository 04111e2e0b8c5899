"""The one type that every command returns: declared columns, and rows in blocks of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from roofcalc.errors import RoofcalcError, did_you_mean

if TYPE_CHECKING:  # a tenth of the start would go into it
    from numpy.typing import NDArray

Cell = str | int | float | bool | None


class Column(NamedTuple):
    """A column's contract name, and how people read it.

    Attributes
    ----------
    kind : "text", "count", "number", "flag" or "any"
        A count is a whole number; a number a float; a flag true or false; any differs from row to row.
    keep : int
        Columns with the smallest number are the first to go where a terminal is too narrow; 9 never goes.
    role : "result", "case" or "assumed"
        Cases (model, hardware, weights, kv) head a table whose rows share them; assumptions stand beneath.
    """

    name: str
    label: str
    unit: str
    meaning: str
    kind: Literal["text", "count", "number", "flag", "any"] = "number"
    keep: int = 5
    role: Literal["result", "case", "assumed"] = "result"


class Block(NamedTuple):
    """`size` rows: by column a value that they share, or an array of `size`."""

    size: int
    values: Mapping[str, Any]


class Table:
    """Rows of results.

    `table["max_batch"]` is a column as a NumPy array (missing numbers are nan), `rows()` yields dictionaries of plain
    Python values (missing ones None).
    """

    def __init__(self, command: str, columns: tuple[Column, ...]) -> None:
        self.command = command
        self.columns = columns
        self.blocks: list[Block] = []
        self.notes: list[str] = []
        self.failures: list[str] = []  # what does not hold, for commands whose answer may be a failure
        self.sums: list[str] = []  # for people, beneath the rows
        self.catalog: dict[str, Any] = {}

    def __len__(self) -> int:
        return sum(block.size for block in self.blocks)

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.column(name)
        parts = [np.broadcast_to(np.asarray(block.values.get(name)), (block.size,)) for block in self.blocks]
        return np.concatenate(parts) if parts else np.empty(0)

    def column(self, name: str) -> Column:
        """The column called `name`; a RoofcalcError names the nearest where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise RoofcalcError(f"unknown column {name!r}{did_you_mean(name, names)}; columns: {', '.join(names)}")

    def select(self, columns: Sequence[Column]) -> Table:
        """The same rows with only these columns, in that order."""
        selected = Table(self.command, tuple(columns))
        selected.blocks, selected.notes, selected.sums, selected.catalog = self.blocks, self.notes, self.sums, self.catalog
        selected.failures = self.failures
        return selected

    def cells(self) -> Iterator[tuple[Cell, ...]]:
        """Rows as tuples in the order of the columns."""
        for block in self.blocks:
            each = [_cells(block, column) for column in self.columns]
            yield from zip(*each, strict=True)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Rows as dictionaries by column name."""
        names = [column.name for column in self.columns]
        for cells in self.cells():
            yield dict(zip(names, cells, strict=True))

    def constant(self, column: Column) -> bool:
        """Whether all rows share one value of `column`."""
        first: list[Cell] = []
        for block in self.blocks:
            value = block.values.get(column.name)
            if isinstance(value, np.ndarray):
                return False
            first.append(_plain(value, column.kind))
        return len(set(first)) <= 1


def _cells(block: Block, column: Column) -> list[Cell]:
    value = block.values.get(column.name)
    if not isinstance(value, np.ndarray):
        return [_plain(value, column.kind)] * block.size
    return [_plain(one, column.kind) for one in value.tolist()]


def _plain(value: Any, kind: str) -> Cell:
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if kind == "count":
        return int(value)
    if kind == "number":
        return float(value)
    if kind == "flag":
        return bool(value)
    if kind == "any" and isinstance(value, (int, float)):
        return value
    return str(value)
