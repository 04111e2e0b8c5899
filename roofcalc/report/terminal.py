"""A table for people: what all rows share above it, what was assumed beneath it, as wide as the terminal allows."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from roofcalc.report.formatting import LEFT, arranged, readable
from roofcalc.report.table import Column, Table

PADDING = 2  # between columns
NEVER = 9  # the `keep` of columns that are never left out
MIN_WRAP = 80
MIN_FOLD = 20
MAX_SHOWN = 200  # rows for people; the first and the last half of them where there are more


def lines(table: Table, width: int | None, chosen: Sequence[Column] = (), colour: bool = True, whole: bool = False) -> Iterator[str]:
    """The table as text; of a long one that may be shortened the first and last rows, and how many stand between.

    Parameters
    ----------
    width : int or None
        Of the terminal; None is as wide as it needs to be.
    chosen : sequence of Column
        Show these, all of them, whatever the width.
    colour : bool
        Whether the environment may ask for colour (NO_COLOR, FORCE_COLOR, TERM); False for files.
    whole : bool
        Every row, however many.
    """
    columns, above, beneath = arranged(table, chosen)
    shown, dropped = list(columns), list[str]()
    kinds = [column.kind for column in shown]
    left_out = len(table) - MAX_SHOWN if table.shortens and not whole else 0
    if left_out > 0:
        some = [*table.select(shown).cells(0, MAX_SHOWN // 2), *table.select(shown).cells(len(table) - MAX_SHOWN // 2)]
    else:
        some = list(table.select(shown).cells())
    rows = [list(map(readable, cells, kinds)) for cells in some]
    if width is not None and not chosen:
        shown, rows, dropped = _fitted(shown, rows, width)
    natural = sum(_widths(shown, rows)) + PADDING * len(shown)
    if above:
        yield from _wrapped(above, width or max(natural, MIN_WRAP))
    gap = f"… {left_out:,} rows between these are left out (-f csv, json or md, or -o FILE, has all)" if left_out > 0 else ""
    yield from _drawn(shown, rows, width, colour and _wants_colour(), gap)
    for text in table.sums:
        yield from _wrapped(text, width or max(natural, MIN_WRAP))
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


def _drawn(columns: list[Column], rows: list[list[str]], width: int | None, bold: bool, gap: str = "") -> Iterator[str]:
    """The grid itself, with words for a `gap` in its middle; long words fold where the terminal is too narrow, numbers never do."""
    widths = _widths(columns, rows)
    spare = (width or sum(widths) + PADDING * len(columns)) - sum(widths) - PADDING * (len(columns) - 1)
    for i, column in enumerate(columns):
        if column.kind == "any" and spare < 0 and widths[i] > MIN_FOLD:
            narrower = max(MIN_FOLD, widths[i] + spare)
            widths[i], spare = narrower, spare + widths[i] - narrower

    def line(cells: Sequence[str]) -> str:
        aligned = (cell.ljust(w) if column.kind in LEFT else cell.rjust(w) for cell, w, column in zip(cells, widths, columns, strict=True))
        return (" " * PADDING).join(aligned).rstrip()

    headers = [_header(column) for column in columns]
    height = max(map(len, headers), default=0)
    for words in zip(*([""] * (height - len(header)) + header for header in headers), strict=True):
        yield f"\x1b[1m{line(words)}\x1b[0m" if bold else line(words)
    yield "─" * (sum(widths) + PADDING * (len(columns) - 1))
    for place, row in enumerate(rows):
        if gap and place == len(rows) // 2:
            yield from textwrap.wrap(gap, width) if width else [gap]
        folded = [[cell] if len(cell) <= w else textwrap.wrap(cell, w) for cell, w in zip(row, widths, strict=True)]
        for n in range(max(map(len, folded), default=0)):
            yield line([part[n] if n < len(part) else "" for part in folded])


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
