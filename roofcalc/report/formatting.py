"""Human-readable cell formatting; values shared by all rows are hoisted out of a table into its title and footer."""

from collections.abc import Sequence
from typing import NamedTuple

from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import plain, significant

LEFT = ("text", "any")  # left-aligned kinds of column
MAX_LINES = 10  # rows whose lines are printed below a table
DIGITS = 12  # significant digits of an assumption: enough for any input, and without the noise of binary fractions


class Arranged(NamedTuple):
    """The columns that stay in the table, a title, and a footer (both may be empty)."""

    columns: tuple[Column, ...]
    title: str
    footer: str


def arrange(table: Table, chosen: Sequence[Column] = ()) -> Arranged:
    """Hoists the model, hardware and dtypes that all rows share into the title, and shared assumptions into the footer.

    The `chosen` columns stay in the table as they are.
    """
    if not len(table):
        return Arranged(tuple(chosen) or table.columns, "", "")
    shared = [column for column in table.columns if column.role in ("case", "assumed") and column not in chosen and table.constant(column)]
    first = dict(zip((column.name for column in table.columns), next(table.cells(0, 1)), strict=True))
    case = {column.name: first[column.name] for column in shared if column.role == "case"}
    assumed = [_assumption(column, first[column.name]) for column in shared if column.role == "assumed" and first[column.name] is not None]
    rest = tuple(chosen) or tuple(column for column in table.columns if column not in shared and column.role != "line")
    return Arranged(rest, _title(case), "assumed: " + ", ".join(assumed) if assumed else "")


def lines_below(table: Table, chosen: Sequence[Column] = ()) -> list[str]:
    """The lines of a table's columns of that role, to copy: each different one of its first rows, with its row where there are several."""
    found: dict[str, int] = {}
    for column in table.columns:
        if column.role == "line" and column not in chosen:
            for row, (cell,) in enumerate(table.select([column]).cells(0, MAX_LINES)):
                if cell is not None:
                    found.setdefault(str(cell), row + 1)
    lines = list(found) if len(found) == 1 else [line for text, row in found.items() for line in (f"# row {row}", text)]
    more = [f"# rows after {MAX_LINES}: -f csv, or --columns serve"] if found and len(table) > MAX_LINES else []
    return [*lines, *more]


def format_cell(value: Cell, kind: str = "number") -> str:
    """A cell as text: thousands separators, four significant digits, a dash where there is no value.

    Counts are exact; the mean of several counts shows up to three decimals. Cells of kind "any" are shown in full, and may
    be blank.
    """
    if kind == "any":
        return "" if value is None else f"{round(value, 6):,}".removesuffix(".0") if isinstance(value, float) else format_cell(value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{round(value, 3):,}" if kind == "count" else significant(value)
    return value


def _title(case: dict[str, Cell]) -> str:
    names = " on ".join(str(case[name]) for name in ("model", "hardware") if case.get(name))
    kinds = [f"{case['weights']} weights" if case.get("weights") else "", f"{case['kv']} KV" if case.get("kv") else ""]
    return ", ".join(part for part in (names, *kinds) if part)


def _assumption(column: Column, value: Cell) -> str:
    shown = plain(float(f"{value:.{DIGITS}g}")) if isinstance(value, (int, float)) and not isinstance(value, bool) else format_cell(value)
    return f"{column.label} {shown}{' ' + column.unit if column.unit else ''}"
