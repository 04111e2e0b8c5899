"""Conditions on the rows of a table, for CI: `max_batch>=64`, `limited_by==capacity`, `step_ms ~ 24` within a tolerance."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import number, plain, significant

NEAR = "~"  # equal within a tolerance
_KEYS = ("model", "hardware", "weights", "kv", "seq", "batch", "min_interactivity_tok_s")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
OPERATORS = (*_OPERATORS, NEAR)


class Condition(NamedTuple):
    """`column operator value`; `tolerance` is a fraction of the value, and only used by `~`."""

    column: Column
    operator: str
    value: Cell
    tolerance: float = 0.0

    def holds(self, got: Cell) -> bool:
        """Whether a cell satisfies the condition; a missing value never does."""
        if self.operator == NEAR and isinstance(got, (int, float)) and isinstance(self.value, (int, float)):
            return abs(got - self.value) <= self.tolerance * abs(self.value)
        return got is not None and _OPERATORS[self.operator](got, self.value)

    def __str__(self) -> str:
        near = f" (+-{plain(round(100 * self.tolerance, 6))} %)" if self.operator == NEAR else ""
        return f"{self.column.name} {self.operator} {shown(self.value)}{near}"

    def difference(self, got: Cell) -> str:
        """Difference between a cell and the value, such as `5 less, 7.8%`; empty if either is not a number."""
        if not isinstance(got, (int, float)) or not isinstance(self.value, (int, float)) or isinstance(got, bool):
            return ""
        by = float(got - self.value)
        size = plain(abs(by)) if by.is_integer() else significant(abs(by))
        return f"{size} {'more' if by > 0 else 'less'}" + (f", {abs(by / self.value):.1%}" if self.value else "")


def parse(text: str, table: Table) -> Condition:
    """Parses a condition such as `max_batch>=64`.

    Raises
    ------
    RoofcalcError
        No operator, an unknown column, or a value that the column cannot have.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|==|!=|>|<|=)\s*(.+?)\s*", text)
    if not match:
        raise RoofcalcError(f"--require: cannot parse {text!r}; write it as 'max_batch>=64'")
    name, sign, value = match.groups()
    try:
        column = table.column(name)
    except RoofcalcError as error:
        raise RoofcalcError(f"--require: {error.lines[0]}") from None
    return condition(column, sign, value.strip("'\""), what=f"--require {name}")


def condition(column: Column, sign: str, value: str | float | bool, tolerance: float = 0.0, what: str = "--require") -> Condition:
    """The condition `column sign value`; error messages start with `what`.

    Raises
    ------
    RoofcalcError
        A value that the column cannot have, or an order comparison of a column that is not numeric.
    """
    numeric = column.kind in ("count", "number")
    if not numeric and sign not in ("==", "!=", "="):
        raise RoofcalcError(f"{what}: {column.name} is not numeric; compare it with == or !=")
    text = str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else plain(value)
    if numeric:
        return Condition(column, sign, value if isinstance(value, float) else number(text, what), tolerance)
    if column.kind == "flag":
        if text.lower() not in ("true", "false"):
            raise RoofcalcError(f"{what}: {column.name} is true or false, not {text!r}")
        return Condition(column, sign, text.lower() == "true")
    return Condition(column, sign, text)


def failures(table: Table, conditions: list[Condition]) -> Iterator[str]:
    """One line per row and condition that does not hold."""
    for row in table.rows() if conditions else ():
        for one in conditions:
            got = row[one.column.name]
            if not one.holds(got):
                yield f"required {one}, got {shown(got)} ({whose(row, one.column)})"


def whose(row: Mapping[str, Cell], column: Column, *more: str) -> str:
    """Identifies a row by its model, hardware, dtypes, context and batch, except `column`; `more` adds columns."""
    return ", ".join(f"{name} {shown(row[name])}" for name in (*_KEYS, *more) if row.get(name) is not None and name != column.name)


def shown(got: Cell) -> str:
    """A cell as CSV writes it; `nothing` where it is missing."""
    if isinstance(got, (int, float)) and not isinstance(got, bool):
        return plain(got)
    return "nothing" if got is None else str(got).lower() if isinstance(got, bool) else got
