"""A table for people: what all rows share above it, what was assumed beneath it, as wide as the terminal allows."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from roofcalc.report.people import LEFT, arranged, readable
from roofcalc.report.table import Column, Table

PADDING = 2
NEVER = 9


def lines(table: Table, width: int | None, whole: bool = False) -> Iterator[str]:
    """The table as text.

    Parameters
    ----------
    width : int or None
        Of the terminal; None is as wide as it needs to be.
    whole : bool
        Show every column as it is: nothing above, nothing beneath, nothing left out.
    """
    columns, above, beneath = arranged(table, whole)
    shown, dropped = list(columns), list[str]()
    kinds = [column.kind for column in shown]
    rows = [list(map(readable, cells, kinds)) for cells in table.select([column.name for column in shown]).cells()]
    if width is not None and not whole:
        shown, rows, dropped = _fitted(shown, rows, width)
    if above:
        yield above
    yield from _drawn(shown, rows, width)
    if beneath:
        yield from _wrapped(beneath, width)
    if dropped:
        yield from _wrapped(f"left out to fit {width} columns: {', '.join(dropped)} (--columns, --format csv or a wider terminal shows them)", width)


def _wrapped(text: str, width: int | None) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False) if width else [text]


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(max(map(len, _header(column))), max((len(row[i]) for row in rows), default=0)) for i, column in enumerate(columns)]


def _header(column: Column) -> list[str]:
    """A label in at most two lines, and its unit beneath."""
    words = column.label.split()
    half = (len(words) + 1) // 2
    label = [" ".join(words[:half]), " ".join(words[half:])] if len(column.label) > 8 and len(words) > 1 else [column.label]
    return [*label, column.unit] if column.unit else label


def _fitted(columns: list[Column], rows: list[list[str]], width: int) -> tuple[list[Column], list[list[str]], list[str]]:
    """Leaves out the least needed columns until the rest fits."""
    widths = _widths(columns, rows)
    keep = list(range(len(columns)))
    while sum(widths[i] + PADDING for i in keep) > width:
        spare = [i for i in keep if columns[i].keep < NEVER]
        if not spare:
            break
        keep.remove(min(spare, key=lambda i: (columns[i].keep, -i)))
    left_out = [column.name for i, column in enumerate(columns) if i not in keep]
    return [columns[i] for i in keep], [[row[i] for i in keep] for row in rows], left_out


def _drawn(columns: list[Column], rows: list[list[str]], width: int | None) -> Iterator[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, PADDING - 1, 0, 0))
    headers = [_header(column) for column in columns]
    height = max(map(len, headers), default=0)
    for column, header in zip(columns, headers, strict=True):
        text = Text("\n".join([""] * (height - len(header)) + header))
        drawn.add_column(text, justify="left" if column.kind in LEFT else "right", no_wrap=True, overflow="crop")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    natural = sum(_widths(columns, rows)) + PADDING * len(columns) + 2
    console = Console(width=max(width or 0, natural), force_terminal=None if width else False, highlight=False, file=sys.stdout)
    with console.capture() as captured:
        console.print(drawn, soft_wrap=False)
    yield from (line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def terminal_width(to_terminal: bool) -> int | None:
    """Columns of the terminal; None where the output goes elsewhere."""
    if not to_terminal and not os.environ.get("FORCE_COLOR"):
        return None
    return shutil.get_terminal_size((80, 24)).columns
