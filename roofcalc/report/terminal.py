"""A table for people: what all rows share above it, what was assumed beneath it, as wide as the terminal allows."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Literal

from roofcalc.report.people import LEFT, arranged, readable
from roofcalc.report.table import Column, Table

PADDING = 2
NEVER = 9  # the `keep` of columns that are never left out
MIN_WRAP = 80


def lines(table: Table, width: int | None, chosen: Sequence[Column] = (), colour: bool = True) -> Iterator[str]:
    """The table as text.

    Parameters
    ----------
    width : int or None
        Of the terminal; None is as wide as it needs to be.
    chosen : sequence of Column
        Show these, all of them, whatever the width.
    colour : bool
        Whether the environment may ask for colour (NO_COLOR, FORCE_COLOR, TERM); False for files.
    """
    columns, above, beneath = arranged(table, chosen)
    shown, dropped = list(columns), list[str]()
    kinds = [column.kind for column in shown]
    rows = [list(map(readable, cells, kinds)) for cells in table.select(shown).cells()]
    if width is not None and not chosen:
        shown, rows, dropped = _fitted(shown, rows, width)
    natural = sum(_widths(shown, rows)) + PADDING * len(shown)
    if above:
        yield from _wrapped(above, width or max(natural, MIN_WRAP))
    yield from _drawn(shown, rows, width, natural, colour)
    if beneath:
        yield from _wrapped(beneath, width or max(natural, MIN_WRAP))
    if dropped and width:
        yield from _wrapped(f"left out to fit {width} columns: {', '.join(dropped)} (--columns, --format csv or a wider terminal shows them)", width)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


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


def _drawn(columns: list[Column], rows: list[list[str]], width: int | None, natural: int, colour: bool) -> Iterator[str]:
    """The grid itself; long words fold where the terminal is too narrow, numbers never do."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, PADDING - 1, 0, 0))
    headers = [_header(column) for column in columns]
    height = max(map(len, headers), default=0)
    fold = width is not None and width < natural and any(column.kind == "any" for column in columns)
    for column, header in zip(columns, headers, strict=True):
        text = Text("\n".join([""] * (height - len(header)) + header))
        justify: Literal["left", "right"] = "left" if column.kind in LEFT else "right"
        drawn.add_column(text, justify=justify, no_wrap=not (fold and column.kind == "any"), overflow="fold" if fold else "crop")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    total = width if fold and width else max(width or 0, natural + 2)
    styled = colour and _wants_colour()
    console = Console(
        width=total,
        height=100,  # without it a dumb terminal is taken for 80 columns, whatever the width
        color_system="standard" if styled else None,
        force_terminal=styled,
        highlight=False,
        file=sys.stdout,
    )
    with console.capture() as captured:
        console.print(drawn)
    yield from (line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def _wants_colour() -> bool:
    """NO_COLOR, then FORCE_COLOR, then TERM=dumb decide; else a terminal has colour, anything else none."""
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR", "")
    if forced:
        return forced.lower() not in ("0", "false", "no")
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Columns of the terminal; None where standard output is none."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
