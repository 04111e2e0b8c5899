"""A table as GitHub Markdown."""

from collections.abc import Iterator, Sequence

from roofcalc.report.formatting import LEFT, arranged, readable
from roofcalc.report.table import Column, Table


def lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """A GitHub table for people (only the columns `chosen`, if any), with what all rows share in a paragraph above and beneath."""
    columns, above, beneath = arranged(table, chosen)
    if above:
        yield from (_escaped(above), "")
    yield "| " + " | ".join(_escaped(f"{c.label} ({c.unit})" if c.unit else c.label) for c in columns) + " |"
    yield "|" + "|".join(" :--- " if c.kind in LEFT else " ---: " for c in columns) + "|"
    for cells in table.select(columns).cells():
        yield "| " + " | ".join(_escaped(readable(cell, c.kind)) for c, cell in zip(columns, cells, strict=True)) + " |"
    for text in (*table.sums, *([beneath] if beneath else [])):
        yield from ("", _escaped(text))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
