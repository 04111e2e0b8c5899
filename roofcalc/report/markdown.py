"""A table as GitHub Markdown."""

from collections.abc import Iterator

from roofcalc.report.people import LEFT, arranged, readable
from roofcalc.report.table import Table


def lines(table: Table, whole: bool = False) -> Iterator[str]:
    """A GitHub table for people, with what all rows share in a paragraph above and beneath.

    `whole` keeps every column in the table.
    """
    columns, above, beneath = arranged(table, whole)
    if above:
        yield from (_escaped(above), "")
    yield "| " + " | ".join(_escaped(f"{c.label} ({c.unit})" if c.unit else c.label) for c in columns) + " |"
    yield "|" + "|".join(" :--- " if c.kind in LEFT else " ---: " for c in columns) + "|"
    for cells in table.select([c.name for c in columns]).cells():
        yield "| " + " | ".join(_escaped(readable(cell, c.kind)) for c, cell in zip(columns, cells, strict=True)) + " |"
    if beneath:
        yield from ("", _escaped(beneath))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
