"""`show`: the figures of one entry, or of several entries side by side."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Block, Column, Table

_FIGURE = Column("figure", "figure", "", "name of the figure", "text", 9)
_UNIT = Column("unit", "unit", "", "unit of the value", "any", 9)
_VALUE = Column("value", "value", "", "number or text", "any", 9)


class Figure(NamedTuple):
    """One figure of an entry; `shared_label` is its label when several entries are shown, if that differs."""

    label: str
    value: Any
    unit: str = ""
    shared_label: str | None = None


class Shown(NamedTuple):
    """An entry's name, figures and remarks (notes and sources); remarks are shown only for a single entry."""

    name: str
    figures: list[Figure]
    remarks: list[Figure]


def remarks(record: Any) -> Iterator[Figure]:
    """Notes and sources of an entry."""
    if record.notes:
        yield Figure("note", record.notes)
    for source in record.sources:
        yield Figure("source", source)


def caveats(record: Any) -> Iterator[Figure]:
    """Caveats of an entry: announced products, fields without a source, unusual values."""
    if record.announced:
        yield Figure("announced", "vendor projections, not yet measured")
    if record.unverified:
        yield Figure("not seen at a source", ", ".join(record.unverified))
    for field, reason in getattr(record, "unusual", {}).items():
        yield Figure(f"unusual: {field}", reason)


def split(names: str | Sequence[str], label: str) -> list[str]:
    """The names in one or several comma lists, without duplicates."""
    parts = [part.strip() for text in ([names] if isinstance(names, str) else names) for part in text.split(",")]
    if not parts or not all(parts):
        raise RoofcalcError(f"{label}: an empty name in {', '.join(parts)!r}")
    return list(dict.fromkeys(parts))


def show(command: str, kind: str, entries: dict[str, Shown]) -> Table:
    """A table of one entry, or of several side by side. Columns have the entries' names, or the requested names where two entries share one."""
    if len(entries) == 1:
        return _single(command, kind, *entries.values())
    names = [entry.name for entry in entries.values()]
    clash = len(set(names)) < len(names) or bool({"figure", "unit"} & set(names))
    return _side_by_side(command, kind, [entry._replace(name=text) if clash else entry for text, entry in entries.items()])


def _single(command: str, kind: str, entry: Shown) -> Table:
    """One row per figure, then the remarks."""
    table = Table(command, (Column(kind, kind, "", "name", "text", 9, "case"), _FIGURE, _UNIT, _VALUE))
    figures = [*entry.figures, *entry.remarks]
    columns = {"figure": [one.label for one in figures], "value": [one.value for one in figures], "unit": [one.unit for one in figures]}
    table.blocks.append(Block(len(figures), {kind: entry.name, **{name: np.array(values, dtype=object) for name, values in columns.items()}}))
    return table


def _side_by_side(command: str, kind: str, entries: Sequence[Shown]) -> Table:
    """One row per figure that any entry has, one column per entry."""
    keyed = [_keyed(entry.figures) for entry in entries]
    order: list[tuple[str, int]] = []
    for figures in keyed:
        at = 0
        for key in figures:
            if key not in order:
                order.insert(at, key)
            at = order.index(key) + 1
    columns = tuple(Column(entry.name, entry.name, "", f"of this {kind}", "any", 9) for entry in entries)
    table = Table(command, (_FIGURE, _UNIT, *columns))
    values: dict[str, list[Any]] = {
        "figure": [label for label, _ in order],
        "unit": [next((figures[key].unit for figures in keyed if key in figures and figures[key].unit), "") for key in order],
    }
    for entry, figures in zip(entries, keyed, strict=True):
        values[entry.name] = [figures[key].value if key in figures else None for key in order]
    table.blocks.append(Block(len(order), {name: np.array(column, dtype=object) for name, column in values.items()}))
    table.notes.append(f"notes and sources are shown for a single entry: `roofcalc {command} {entries[0].name}`")
    return table


def _keyed(figures: list[Figure]) -> dict[tuple[str, int], Figure]:
    """Figures by label and occurrence, because a label may repeat."""
    found: dict[tuple[str, int], Figure] = {}
    for figure in figures:
        label = figure.shared_label or figure.label
        found[label, sum(key[0] == label for key in found)] = figure
    return found
