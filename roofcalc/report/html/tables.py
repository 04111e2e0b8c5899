"""Tables and sources as HTML elements, every cell escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from roofcalc.report.formatting import LEFT, arrange, format_cell
from roofcalc.report.table import Column, Table

TELLING = ("assume", "changes", "isl", "osl")  # assumptions that tell the rows of a printed table apart
ALWAYS = 9  # the `keep` of columns that are always printed
PAPER, PAD = 118, 1  # characters in the width of a printed page, and between two columns
MAX_ROWS = 1000  # longer tables show their first and last MAX_ROWS / 2 rows

_ADDRESS = re.compile(r"https?://[^\s()<>\"']+")


def table(shown: Table, title: str) -> Iterator[str]:
    """A table that scrolls where the page is too narrow; values that all rows share are its caption, and of a long one the ends are shown."""
    columns, above, _ = arrange(shown)
    omitted = max(0, len(shown) - MAX_ROWS)
    ends = ((0, MAX_ROWS // 2), (len(shown) - MAX_ROWS // 2, None)) if omitted else ((0, None),)
    parts = [
        [[format_cell(cell, c.kind) for c, cell in zip(columns, cells, strict=True)] for cells in shown.select(columns).cells(first, last)]
        for first, last in ends
    ]
    classes = [_class(column, prints) for column, prints in zip(columns, _printed(columns, [row for part in parts for row in part]), strict=True)]
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
    yield f"<table><caption>{escape(above)}</caption>" if above else "<table>"
    heads = (
        f'<th scope=col{name} title="{escape(c.meaning)}">{escape(c.label)}{_unit(c.unit)}</th>' for c, name in zip(columns, classes, strict=True)
    )
    yield f"<thead><tr>{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    for number, part in enumerate(parts):
        if number:
            said = f"… {omitted:,} rows omitted (`roofcalc {shown.command} … -f csv` prints all)"
            yield f'<tr><td class="left" colspan="{len(columns)}">{said}</td></tr>'
        for row in part:
            yield "<tr>" + "".join(f"<td{name}>{linked(text)}</td>" for name, text in zip(classes, row, strict=True)) + "</tr>"
    yield "</tbody></table></div>"


def linked(text: str) -> str:
    """Text with http and https addresses as links."""
    found, at = [], 0
    for match in _ADDRESS.finditer(text):
        address = escape(match.group())
        found += [escape(text[at : match.start()]), f'<a href="{address}">{address}</a>']
        at = match.end()
    return "".join([*found, escape(text[at:])])


def _unit(unit: str) -> str:
    return f" <small>{escape(unit)}</small>" if unit else ""


def _class(column: Column, prints: bool) -> str:
    """Class of a column's cells: whether they are text, and whether they are on the screen only."""
    names = ["left"] * (column.kind in LEFT) + ["screen"] * (not prints)
    return f' class="{" ".join(names)}"' if names else ""


def _printed(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each column is printed: without the least important ones (`Column.keep`) that a sheet of paper has no room for."""
    words = [[*column.label.split(), *column.unit.split()] for column in columns]
    for place, column in enumerate(columns):
        cells = [row[place] for row in rows]
        words[place] += [word for cell in cells for word in cell.split()] if column.kind in LEFT and place else cells
    widths = [max(map(len, found), default=0) + PAD for found in words]
    keep = [ALWAYS if column.name in TELLING else column.keep for column in columns]
    kept = list(range(len(columns)))
    while sum(widths[place] for place in kept) > PAPER and (rest := [place for place in kept if keep[place] < ALWAYS]):
        kept.remove(min(rest, key=lambda place: (keep[place], -place)))
    return [place in kept for place in range(len(columns))]


def shared_words(shown: Table) -> str:
    """The assumptions that all rows of a table share."""
    return arrange(shown).footer.removeprefix("assumed: ")
