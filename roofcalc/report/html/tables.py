"""Tables and sources as HTML elements, every cell escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from roofcalc.report.formatting import LEFT, arrange, format_cell
from roofcalc.report.table import Table

_ADDRESS = re.compile(r"https?://[^\s()<>\"']+")


def table(shown: Table, title: str) -> Iterator[str]:
    """A table that scrolls where the page is too narrow; values that all rows share are its caption."""
    columns, above, _ = arrange(shown)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
    yield f"<table><caption>{escape(above)}</caption>" if above else "<table>"
    heads = (f'<th scope=col{_side(c.kind)} title="{escape(c.meaning)}">{escape(c.label)}{_unit(c.unit)}</th>' for c in columns)
    yield f"<thead><tr>{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    for cells in shown.select(columns).cells():
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
