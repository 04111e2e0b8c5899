"""What a table looks like to people: cells in words, what all rows share above it, what was assumed beneath it."""

from collections.abc import Sequence
from typing import NamedTuple

from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import plain, significant

LEFT = ("text", "any")  # kinds of column that stand at the left


class Arranged(NamedTuple):
    """The columns that stay in the table, a line above it, and a line beneath it (either may be empty)."""

    columns: tuple[Column, ...]
    above: str
    beneath: str


def arranged(table: Table, chosen: Sequence[Column] = ()) -> Arranged:
    """Takes the model, hardware and dtypes that all rows share out of the columns, and the assumptions likewise.

    Columns that were `chosen` stand in the table as they are; what moves the answer stands around it all the same.
    """
    if not len(table):
        return Arranged(tuple(chosen) or table.columns, "", "")
    shared = [column for column in table.columns if column.role != "result" and column not in chosen and table.constant(column)]
    first = dict(zip((column.name for column in table.columns), next(table.cells(0, 1)), strict=True))
    case = {column.name: first[column.name] for column in shared if column.role == "case"}
    assumed = [_assumption(column, first[column.name]) for column in shared if column.role == "assumed" and first[column.name] is not None]
    rest = tuple(chosen) or tuple(column for column in table.columns if column not in shared)
    return Arranged(rest, _title(case), "assumed: " + ", ".join(assumed) if assumed else "")


def readable(value: Cell, kind: str = "number") -> str:
    """A cell for people: thousands separated, four significant digits, a dash where there is no figure.

    Cells of a column whose rows differ in kind are shown in full, and may be blank.
    """
    if kind == "any":
        return "" if value is None else f"{round(value, 6):,}".removesuffix(".0") if isinstance(value, float) else readable(value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return significant(value) if isinstance(value, float) else value


def _title(case: dict[str, Cell]) -> str:
    names = " on ".join(str(case[name]) for name in ("model", "hardware") if case.get(name))
    kinds = [f"{case['weights']} weights" if case.get("weights") else "", f"{case['kv']} KV" if case.get("kv") else ""]
    return ", ".join(part for part in (names, *kinds) if part)


def _assumption(column: Column, value: Cell) -> str:
    shown = plain(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else readable(value)
    return f"{column.label} {shown}{' ' + column.unit if column.unit else ''}"
