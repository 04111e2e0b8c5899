"""Tables for the terminal, drawn by Rich. Ours: which columns are omitted where the terminal is narrow, and what stands around the table."""

import io
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from roofcalc.errors import RoofcalcError, printable
from roofcalc.report.formatting import LEFT, arrange, format_cell, lines_below
from roofcalc.report.table import Column, Table

GAP = 2  # between columns: Rich's padding on the right of a cell, and the box's divider
ALWAYS = 9  # the `keep` of columns that are never omitted
HANGING = "  "  # indent of the continuation lines around a table
MIN_TEXT_WIDTH = 80  # of the lines around a table that is not printed to a terminal
FOLDS = (("any", 20), ("text", 12), ("any", 10))  # kinds of column that fold, in this order, and to what width; numbers never fold
MAX_SHOWN = 200  # longer tables show the first and last MAX_SHOWN / 2 rows
MAX_DRAWN = 1_000_000  # rows of a table in a file: their text is kept, a kilobyte a row
CHUNK = 200  # rows drawn at a time, which bounds the memory


def lines(table: Table, chosen: Sequence[Column] = (), to_file: bool = False) -> Iterator[str]:
    """The table as lines of text for standard output or a file.

    As wide as the terminal, or as wide as it needs to be where standard output is not one. Columns that do not fit are
    omitted in the order of `Column.keep`, and a line says which; `chosen` columns are all shown, whatever the width. Styles
    are written where Rich finds a terminal or is told to (NO_COLOR, FORCE_COLOR, TERM), never to a file. Long tables on
    standard output show their first and last rows.
    """
    terminal = Console(markup=False, emoji=False, highlight=False)
    limit = None if to_file or not sys.stdout.isatty() else terminal.width
    shown, title, footer = arrange(table, chosen)
    omitted_rows = max(0, len(table) - MAX_SHOWN) if table.shortens and not to_file else 0
    if not omitted_rows and len(table) > MAX_DRAWN:
        raise RoofcalcError(f"{len(table):,} rows are too many for a table of text (at most {MAX_DRAWN:,}): use -f csv, json or md")
    rows = list(_rows(table.select(shown), omitted_rows))
    widths = _widths(shown, rows)
    kept = list(range(len(shown))) if limit is None or chosen else _fitting(shown, widths, limit)
    dropped = [column.name for i, column in enumerate(shown) if i not in kept]
    columns, widths = [shown[i] for i in kept], [widths[i] for i in kept]
    if limit is not None:
        widths = _folded(columns, widths, limit)
    width = sum(widths) + GAP * (len(widths) - 1)
    text_width = limit or max(width, MIN_TEXT_WIDTH)
    styles: Any = None if to_file else terminal.color_system
    console = Console(color_system=styles, force_terminal=bool(styles), width=max(width, text_width), markup=False, emoji=False, highlight=False)

    def draw(part: RichTable | Text) -> Iterator[str]:
        console.file = io.StringIO()
        console.print(part)
        return (line.rstrip() for line in console.file.getvalue().splitlines())

    def wrapped(text: str) -> Iterator[str]:
        return draw(Text("\n" + HANGING).join(Text(text).wrap(console, text_width - len(HANGING))))

    if title:
        yield from wrapped(title)
    halves = (rows[: MAX_SHOWN // 2], rows[MAX_SHOWN // 2 :]) if omitted_rows else (rows,)
    header = True
    for n, half in enumerate(halves):
        if n:
            yield from wrapped(f"… {omitted_rows:,} rows omitted (use -f csv|json|md or -o FILE to see all)")
        for begin in range(0, max(len(half), 1), CHUNK):
            chunk = [[row[i] for i in kept] for row in half[begin : begin + CHUNK]]
            if begin and limit is None:
                yield from _padded(columns, widths, chunk)
            else:
                yield from draw(_drawn(columns, widths, chunk, header))
            header = False
    for text in (*table.sums, footer):
        if text:
            yield from wrapped(text)
    yield from (printable(line) for line in lines_below(table, chosen))
    if dropped:
        yield from wrapped(f"columns omitted to fit {limit} characters: {', '.join(dropped)} (use --columns, -f csv or a wider terminal)")


def _rows(table: Table, omitted: int) -> Iterator[list[str]]:
    """The rows to show as text: all, or the first and the last half of MAX_SHOWN."""
    kinds = [column.kind for column in table.columns]
    ends = ((0, MAX_SHOWN // 2), (len(table) - MAX_SHOWN // 2, None)) if omitted else ((0, None),)
    for first, last in ends:
        for cells in table.cells(first, last):
            yield [printable(format_cell(cell, kind)) for cell, kind in zip(cells, kinds, strict=True)]


def _header(column: Column) -> list[str]:
    """A label in at most two lines, and its unit beneath."""
    words = column.label.split()
    half = (len(words) + 1) // 2
    label = [" ".join(words[:half]), " ".join(words[half:])] if len(column.label) > 8 and len(words) > 1 else [column.label]
    return [*label, column.unit] if column.unit else label


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column in terminal cells."""
    return [max(cell_len(text) for text in (*_header(column), *(row[i] for row in rows))) for i, column in enumerate(columns)]


def _fitting(columns: Sequence[Column], widths: Sequence[int], limit: int) -> list[int]:
    """Indices of the columns that remain when the least important are omitted until the table fits."""
    kept = list(range(len(columns)))
    while sum(widths[i] + GAP for i in kept) - GAP > limit:
        candidates = [i for i in kept if columns[i].keep < ALWAYS]
        if not candidates:
            break
        kept.remove(min(candidates, key=lambda i: (columns[i].keep, -i)))
    return kept


def _folded(columns: Sequence[Column], widths: Sequence[int], limit: int) -> list[int]:
    """Widths with columns of words narrowed, where the table would otherwise be too wide."""
    excess, folded = sum(widths) + GAP * (len(widths) - 1) - limit, list(widths)
    for kind, least in FOLDS:
        for i, column in enumerate(columns):
            if column.kind == kind and excess > 0 and folded[i] > least:
                narrower = max(least, folded[i] - excess)
                folded[i], excess = narrower, excess - (folded[i] - narrower)
    return folded


def _drawn(columns: Sequence[Column], widths: Sequence[int], rows: Sequence[Sequence[str]], header: bool) -> RichTable:
    headers = [_header(column) for column in columns]
    height = max(map(len, headers), default=0)
    table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_header=header)
    for column, width, words in zip(columns, widths, headers, strict=True):
        label = "\n".join([""] * (height - len(words)) + words)
        table.add_column(label, justify="left" if column.kind in LEFT else "right", width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _padded(columns: Sequence[Column], widths: Sequence[int], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as Rich draws them where nothing folds, a hundred times faster: for the later rows of a file or pipe."""
    left = [column.kind in LEFT for column in columns]
    for row in rows:
        fills = [" " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        yield (" " * GAP).join(text + fill if at_left else fill + text for text, fill, at_left in zip(row, fills, left, strict=True)).rstrip()
