"""The one type that every command returns: declared columns, and rows in blocks of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.solvers.parallel import mapped

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

STRETCH = 8192  # promised rows that are computed at a time

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


class Promise(NamedTuple):
    """`size` rows that are computed when they are read.

    Attributes
    ----------
    shared : mapping
        Values that all of them share.
    compute : callable
        Gives rows from a first to before a last one; travels to an executor's workers.
    """

    size: int
    shared: Mapping[str, Any]
    compute: Callable[[int, int], Block]


class Table:
    """Rows of results.

    `table["max_batch"]` is a column as a NumPy array (missing numbers are nan), `rows()` yields dictionaries of plain
    Python values (missing ones None).
    """

    def __init__(self, command: str, columns: tuple[Column, ...]) -> None:
        self.command = command
        self.columns = columns
        self.blocks: list[Block | Promise] = []
        self.notes: list[str] = []
        self.failures: list[str] = []  # what does not hold, for commands whose answer may be a failure
        self.sums: list[str] = []  # for people, beneath the rows
        self.catalog: dict[str, Any] = {}
        self.executor: Executor | None = None  # what computes promised rows; None: this process
        self.shortens = False  # whether people are shown the first and last rows alone where there are many

    def __len__(self) -> int:
        return sum(block.size for block in self.blocks)

    def computed(self, first: int = 0, last: int | None = None) -> Iterator[Block]:
        """The rows from `first` to before `last`, at most `STRETCH` promised ones at a time."""
        stretches, begin, promised = [], 0, False
        for block in self.blocks:
            low, high = max(0, first - begin), block.size if last is None else min(block.size, last - begin)
            if high > low:
                step = STRETCH if isinstance(block, Promise) else high - low
                promised |= isinstance(block, Promise)
                stretches += [Stretch(block, at, min(at + step, high)) for at in range(low, high, step)]
            begin += block.size
        yield from mapped(self.executor if promised else None, stretched, stretches)

    def settle(self) -> None:
        """Computes what is promised, and keeps it."""
        if any(isinstance(block, Promise) for block in self.blocks):
            self.blocks[:] = list(self.computed())

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.column(name)
        self.settle()
        parts = [np.broadcast_to(np.asarray(block.values.get(name)), (block.size,)) for block in self.computed()]
        return np.concatenate(parts) if parts else np.empty(0)

    def column(self, name: str) -> Column:
        """The column called `name`, or headed so in a table; a RoofcalcError names the nearest where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        headed = [column for column in self.columns if _words(name) in (_words(column.label), _words(f"{column.label} {column.unit}"))]
        if len(headed) > 1:  # the case heads the table, so a header's word is a result's
            headed = [column for column in headed if column.role == "result"] or headed
        if len(headed) == 1:
            return headed[0]
        if headed:
            raise RoofcalcError(f"several columns are headed {name!r}: {', '.join(column.name for column in headed)}")
        names = [column.name for column in self.columns]
        raise RoofcalcError(f"unknown column {name!r}{did_you_mean(name, names)}; columns: {', '.join(names)}")

    def select(self, columns: Sequence[Column]) -> Table:
        """The same rows with only these columns, in that order."""
        selected = Table(self.command, tuple(columns))
        selected.blocks, selected.notes, selected.sums, selected.catalog = self.blocks, self.notes, self.sums, self.catalog
        selected.failures = self.failures
        selected.executor, selected.shortens = self.executor, self.shortens
        return selected

    def cells(self, first: int = 0, last: int | None = None) -> Iterator[tuple[Cell, ...]]:
        """Rows as tuples in the order of the columns."""
        for block in self.computed(first, last):
            each = [cells(block, column) for column in self.columns]
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
            values = block.shared if isinstance(block, Promise) else block.values
            value = values.get(column.name)
            if isinstance(value, np.ndarray) or (isinstance(block, Promise) and column.name not in values):
                return False
            first.append(_plain(value, column.kind))
        return len(set(first)) <= 1


class Stretch(NamedTuple):
    """Some rows of a block, computed or not."""

    block: Block | Promise
    first: int
    last: int


def stretched(stretch: Stretch) -> Block:
    """Its rows, computed."""
    block, first, last = stretch
    if isinstance(block, Promise):
        return block.compute(first, last)
    if (first, last) == (0, block.size):
        return block
    return Block(last - first, {name: value[first:last] if isinstance(value, np.ndarray) else value for name, value in block.values.items()})


def cells(block: Block, column: Column) -> list[Cell]:
    """A column's plain values in a block, None where there is none."""
    value = block.values.get(column.name)
    if not isinstance(value, np.ndarray):
        return [_plain(value, column.kind)] * block.size
    return [_plain(one, column.kind) for one in value.tolist()]


def _words(text: str) -> str:
    """A header in lower case, with single blanks between its words."""
    return " ".join(text.lower().replace("_", " ").split())


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
