"""A table as GitHub Markdown."""

from collections.abc import Iterator, Sequence

from roofcalc.report.formatting import LEFT, arrange, format_cell, lines_below
from roofcalc.report.table import Column, Table


def lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """A GitHub table (only the columns `chosen`, if any); values that all rows share stand above and below it."""
    columns, title, footer = arrange(table, chosen)
    if title:
        yield from (_escaped(title), "")
    yield "| " + " | ".join(_escaped(f"{c.label} ({c.unit})" if c.unit else c.label) for c in columns) + " |"
    yield "|" + "|".join(" :--- " if c.kind in LEFT else " ---: " for c in columns) + "|"
    for cells in table.select(columns).cells():
        yield "| " + " | ".join(_escaped(format_cell(cell, c.kind)) for c, cell in zip(columns, cells, strict=True)) + " |"
    if below := lines_below(table, chosen):
        yield from ("", "```sh", *below, "```")
    for text in (*table.sums, *([footer] if footer else [])):
        yield from ("", _escaped(text))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
