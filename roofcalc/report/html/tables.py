"""Tables and sources as HTML elements, every cell escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from roofcalc.report.formatting import LEFT, arrange, format_cell
from roofcalc.report.table import Table

MAX_ROWS = 1000  # longer tables show their first and last MAX_ROWS / 2 rows

_ADDRESS = re.compile(r"https?://[^\s()<>\"']+")


def table(shown: Table, title: str) -> Iterator[str]:
    """A table that scrolls where the page is too narrow; values that all rows share are its caption, and of a long one the ends are shown."""
    columns, above, _ = arrange(shown)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
    yield f"<table><caption>{escape(above)}</caption>" if above else "<table>"
    heads = (f'<th scope=col{_side(c.kind)} title="{escape(c.meaning)}">{escape(c.label)}{_unit(c.unit)}</th>' for c in columns)
    yield f"<thead><tr>{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    omitted = max(0, len(shown) - MAX_ROWS)
    for first, last in ((0, MAX_ROWS // 2), (len(shown) - MAX_ROWS // 2, None)) if omitted else ((0, None),):
        if first:
            said = f"… {omitted:,} rows omitted (`roofcalc {shown.command} … -f csv` prints all)"
            yield f'<tr><td class="left" colspan="{len(columns)}">{said}</td></tr>'
        for cells in shown.select(columns).cells(first, last):
            written = (f"<td{_side(c.kind)}>{linked(format_cell(cell, c.kind))}</td>" for c, cell in zip(columns, cells, strict=True))
            yield "<tr>" + "".join(written) + "</tr>"
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


def _side(kind: str) -> str:
    return ' class="left"' if kind in LEFT else ""


def shared_words(shown: Table) -> str:
    """The assumptions that all rows of a table share."""
    return arrange(shown).footer.removeprefix("assumed: ")
