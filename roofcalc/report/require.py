"""Conditions on a table's rows, as CI asks them: `max_batch>=64`, `limited_by==capacity`, `step_ms ~ 24` within a tolerance."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import number, plain, significant

NEAR = "~"  # within a tolerance
_MARKS = ("model", "hardware", "weights", "kv", "seq", "batch", "min_interactivity_tok_s")
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
    """`column operator value`, checked against a table's columns; `tolerance` is a fraction of the value, for `~` alone."""

    column: Column
    operator: str
    value: Cell
    tolerance: float = 0.0

    def holds(self, got: Cell) -> bool:
        """Whether a cell satisfies it; a missing one never does."""
        if self.operator == NEAR and isinstance(got, (int, float)) and isinstance(self.value, (int, float)):
            return abs(got - self.value) <= self.tolerance * abs(self.value)
        return got is not None and _OPERATORS[self.operator](got, self.value)

    def __str__(self) -> str:
        near = f" (+-{plain(round(100 * self.tolerance, 6))} %)" if self.operator == NEAR else ""
        return f"{self.column.name} {self.operator} {shown(self.value)}{near}"

    def difference(self, got: Cell) -> str:
        """How far a cell is from the value: `5 less, 7.8 %`; empty where it is no number."""
        if not isinstance(got, (int, float)) or not isinstance(self.value, (int, float)) or isinstance(got, bool):
            return ""
        by = float(got - self.value)
        size = plain(abs(by)) if by.is_integer() else significant(abs(by))
        return f"{size} {'more' if by > 0 else 'less'}" + (f", {abs(by / self.value):.1%}" if self.value else "")


def parse(text: str, table: Table) -> Condition:
    """The condition that `text` writes.

    Raises
    ------
    RoofcalcError
        No operator, an unknown column, or a value that the column cannot have.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|==|!=|>|<|=)\s*(.+?)\s*", text)
    if not match:
        raise RoofcalcError(f"require: cannot read {text!r}; write it as 'max_batch>=64'")
    name, sign, value = match.groups()
    return condition(table.column(name), sign, value.strip("'\""), what=f"require {name}")


def condition(column: Column, sign: str, value: str | float | bool, tolerance: float = 0.0, what: str = "require") -> Condition:
    """The condition `column sign value`; `what` heads the complaint where there is none.

    Raises
    ------
    RoofcalcError
        A value that the column cannot have, or an order of what has none.
    """
    numeric = column.kind in ("count", "number")
    if not numeric and sign not in ("==", "!=", "="):
        raise RoofcalcError(f"{what}: {column.name} is not a number; only == and != compare it")
    text = str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else plain(value)
    if numeric:
        return Condition(column, sign, value if isinstance(value, float) else number(text, what), tolerance)
    if column.kind == "flag":
        if text.lower() not in ("true", "false"):
            raise RoofcalcError(f"{what}: {column.name} is true or false, not {text!r}")
        return Condition(column, sign, text.lower() == "true")
    return Condition(column, sign, text)


def failures(table: Table, conditions: list[Condition]) -> Iterator[str]:
    """One line for each row and condition that does not hold."""
    for row in table.rows() if conditions else ():
        for one in conditions:
            got = row[one.column.name]
            if not one.holds(got):
                yield f"required {one}, got {shown(got)} ({whose(row, one.column)})"


def whose(row: Mapping[str, Cell], column: Column, *more: str) -> str:
    """What a row is about, without what is in `column`: its model, hardware, dtypes, context, batch; `more` are further columns."""
    return ", ".join(f"{name} {shown(row[name])}" for name in (*_MARKS, *more) if row.get(name) is not None and name != column.name)


def shown(got: Cell) -> str:
    if isinstance(got, (int, float)) and not isinstance(got, bool):
        return plain(got)
    return "nothing" if got is None else str(got).lower() if isinstance(got, bool) else got
