"""Conditions on a table's rows, as CI asks them: `max_batch>=64`, `limited_by==capacity`."""

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import number, plain

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}


class Condition(NamedTuple):
    """`column operator value`, checked against a table's columns."""

    column: Column
    operator: str
    value: Cell

    def holds(self, got: Cell) -> bool:
        """Whether a cell satisfies it; a missing one never does."""
        return got is not None and _OPERATORS[self.operator](got, self.value)


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
    column = table.column(name)
    if column.kind in ("count", "number"):
        return Condition(column, sign, number(value, f"require {name}"))
    if sign not in ("==", "!=", "="):
        raise RoofcalcError(f"require: {name} is not a number; only == and != compare it")
    if column.kind == "flag":
        if value.lower() not in ("true", "false"):
            raise RoofcalcError(f"require: {name} is true or false, not {value!r}")
        return Condition(column, sign, value.lower() == "true")
    return Condition(column, sign, value.strip("'\""))


def failures(table: Table, conditions: list[Condition]) -> Iterator[str]:
    """One line for each row and condition that does not hold."""
    marks = ("model", "hardware", "weights", "kv", "seq", "batch", "min_interactivity_tok_s")
    for row in table.rows() if conditions else ():
        for condition in conditions:
            got = row[condition.column.name]
            if not condition.holds(got):
                where = ", ".join(f"{name} {_shown(row[name])}" for name in marks if row.get(name) is not None and name != condition.column.name)
                yield f"required {condition.column.name} {condition.operator} {_shown(condition.value)}, got {_shown(got)} ({where})"


def _shown(got: Cell) -> str:
    if isinstance(got, (int, float)) and not isinstance(got, bool):
        return plain(got)
    return "nothing" if got is None else str(got).lower() if isinstance(got, bool) else got
