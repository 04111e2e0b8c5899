"""Table: the type that every command returns, with declared columns and rows in blocks of arrays."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.solvers.parallel import map_in_order

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

CHUNK_ROWS = 8192  # rows of a lazy block that are computed at a time
MAX_KEPT_ROWS = 10_000_000  # of a table in memory: a few gigabytes
MEAN_ROUNDING = 1e-12  # relative rounding error of a mean, several times the largest seen

Cell = str | int | float | bool | None


class Column(NamedTuple):
    """A column: its name in CSV, JSON and Python, and how a table shows it.

    Attributes
    ----------
    name, label, unit, meaning : str
        Name, heading of a table, unit, and meaning as `roofcalc columns` prints it.
    kind : "text", "count", "number", "flag" or "any"
        A count is a whole number, or the mean of several; a number is a float; a flag is true or false; the rows of "any" differ.
    keep : int
        On a narrow terminal the columns with the smallest `keep` are omitted first; those with 9 never.
    role : "result", "case", "assumed" or "line"
        Cases (model, hardware, weights, kv) that all rows share stand in the title of a table, assumptions in its footer; lines below it.
    """

    name: str
    label: str
    unit: str
    meaning: str
    kind: Literal["text", "count", "number", "flag", "any"] = "number"
    keep: int = 5
    role: Literal["result", "case", "assumed", "line"] = "result"


class Block(NamedTuple):
    """`size` rows: for each column name an array of that size, or one value for all rows."""

    size: int
    values: Mapping[str, Any]


class LazyBlock(NamedTuple):
    """`size` rows evaluated on demand.

    Attributes
    ----------
    shared : mapping
        Values that all rows share.
    compute : callable
        `compute(first, last)` returns the rows first to last (exclusive) as a Block. Must be picklable, for process pools.
    """

    size: int
    shared: Mapping[str, Any]
    compute: Callable[[int, int], Block]


class Table:
    """Rows of results.

    `table["max_batch"]` is a column as a NumPy array, with nan for missing numbers; `rows()` yields dictionaries of plain
    Python values, with None for missing ones.
    """

    def __init__(self, command: str, columns: tuple[Column, ...]) -> None:
        self.command = command
        self.columns = columns
        self.blocks: list[Block | LazyBlock] = []
        self.notes: list[str] = []
        self.failures: list[str] = []  # checks that failed; the command line then exits with code 3
        self.sums: list[str] = []  # lines printed below the rows of a table
        self.catalog: dict[str, Any] = {}
        self.executor: Executor | None = None  # computes the rows of lazy blocks; None: this process
        self.shortens = False  # whether a long table shows only its first and last rows

    def __len__(self) -> int:
        return sum(block.size for block in self.blocks)

    def computed(self, first: int = 0, last: int | None = None) -> Iterator[Block]:
        """Rows `first` to `last` (exclusive) as blocks of arrays; lazy blocks are computed `CHUNK_ROWS` rows at a time."""
        parts: list[RowRange] = []
        begin = 0
        for block in self.blocks:
            low, high = max(0, first - begin), block.size if last is None else min(block.size, last - begin)
            if high > low:
                parts.append(RowRange(block, low, high))
            begin += block.size
        any_lazy = any(isinstance(part.block, LazyBlock) for part in parts)
        yield from map_in_order(self.executor if any_lazy else None, compute_range, _Chunks(parts))

    def materialise(self) -> None:
        """Computes lazy blocks and keeps their rows.

        Raises
        ------
        RoofcalcError
            There are more than MAX_KEPT_ROWS of them.
        """
        if any(isinstance(block, LazyBlock) for block in self.blocks):
            if (rows := len(self)) > MAX_KEPT_ROWS:
                raise RoofcalcError(f"{rows:,} rows are too many to keep (at most {MAX_KEPT_ROWS:,}): use shorter ranges, or write them with -f csv")
            self.blocks[:] = list(self.computed())

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.column(name)
        self.materialise()
        parts = [np.broadcast_to(np.asarray(block.values.get(name)), (block.size,)) for block in self.computed()]
        return np.concatenate(parts) if parts else np.empty(0)

    def column(self, name: str) -> Column:
        """The column called `name`, or headed so in a table; where there is none, a RoofcalcError with the nearest name."""
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
        """The same rows with only these columns, in this order."""
        selected = Table(self.command, tuple(columns))
        selected.blocks, selected.notes, selected.sums, selected.catalog = self.blocks, self.notes, self.sums, self.catalog
        selected.failures = self.failures
        selected.executor, selected.shortens = self.executor, self.shortens
        return selected

    def cells(self, first: int = 0, last: int | None = None) -> Iterator[tuple[Cell, ...]]:
        """Rows as tuples, in the order of the columns."""
        for block in self.computed(first, last):
            each = [cells(block, column) for column in self.columns]
            yield from zip(*each, strict=True)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Rows as dictionaries keyed by column name."""
        names = [column.name for column in self.columns]
        for cells in self.cells():
            yield dict(zip(names, cells, strict=True))

    def constant(self, column: Column) -> bool:
        """Whether all rows share one value of `column`, as far as is known without computing lazy rows."""
        first: list[Cell] = []
        for block in self.blocks:
            values = block.shared if isinstance(block, LazyBlock) else block.values
            value = values.get(column.name)
            if isinstance(value, np.ndarray) or (isinstance(block, LazyBlock) and column.name not in values):
                return False
            first.append(_plain(value, column.kind))
        return len(set(first)) <= 1


class RowRange(NamedTuple):
    """Rows first to last (exclusive) of a block."""

    block: Block | LazyBlock
    first: int
    last: int


class _Chunks(Sequence[RowRange]):
    """Parts of blocks, those of lazy blocks in chunks of `CHUNK_ROWS` rows. Made when they are asked for: a grid may have 10^8 of them."""

    def __init__(self, parts: Sequence[RowRange]) -> None:
        self.parts = parts
        sizes = (-(-(last - first) // CHUNK_ROWS) if isinstance(block, LazyBlock) else 1 for block, first, last in parts)
        self.ends = list(accumulate(sizes))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @overload
    def __getitem__(self, number: int) -> RowRange: ...
    @overload
    def __getitem__(self, number: slice) -> list[RowRange]: ...
    def __getitem__(self, number: int | slice) -> RowRange | list[RowRange]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        place = bisect_right(self.ends, number)
        block, first, last = self.parts[place]
        if not isinstance(block, LazyBlock):
            return self.parts[place]
        begin = first + CHUNK_ROWS * (number - (self.ends[place - 1] if place else 0))
        return RowRange(block, begin, min(begin + CHUNK_ROWS, last))


def compute_range(rows: RowRange) -> Block:
    """The rows of a range, computed."""
    block, first, last = rows.block, rows.first, rows.last
    if isinstance(block, LazyBlock):
        return block.compute(first, last)
    if (first, last) == (0, block.size):
        return block
    return Block(last - first, {name: value[first:last] if isinstance(value, np.ndarray) else value for name, value in block.values.items()})


def cells(block: Block, column: Column) -> list[Cell]:
    """The plain Python values of a column in a block, None where there is none."""
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
        return _count(value)
    if kind == "number":
        return float(value)
    if kind == "flag":
        return bool(value)
    if kind == "any" and isinstance(value, (int, float)):
        return value
    return str(value)


def _count(value: float) -> int | float:
    """A count as an int; the mean of several counts as a float, unless it is whole but for its rounding error."""
    whole = round(value)
    return whole if value == whole or abs(value - whole) <= MEAN_ROUNDING * abs(value) else float(value)
