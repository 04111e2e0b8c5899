"""Entries figure by figure: one beneath the other, or several side by side."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Block, Column, Table

_FIGURE = Column("figure", "figure", "", "what it is", "text", 9)
_UNIT = Column("unit", "unit", "", "of the value", "any", 9)
_VALUE = Column("value", "value", "", "a number or words", "any", 9)


class Figure(NamedTuple):
    """One line of an entry. `beside` is its label where entries stand side by side, if that differs."""

    label: str
    value: Any
    unit: str = ""
    beside: str | None = None


class Shown(NamedTuple):
    """An entry's name and figures; its words (notes, sources) are shown only where it stands alone."""

    name: str
    figures: list[Figure]
    words: list[Figure]


def words(record: Any) -> Iterator[Figure]:
    """What an entry says besides figures: notes and sources."""
    if record.notes:
        yield Figure("note", record.notes)
    for source in record.sources:
        yield Figure("source", source)


def doubts(record: Any) -> Iterator[Figure]:
    """What an entry says of its own figures: plans, not seen, unusual."""
    if record.announced:
        yield Figure("announced", "the maker's plans, not yet measured")
    if record.unverified:
        yield Figure("not seen at a source", ", ".join(record.unverified))
    for field, reason in getattr(record, "unusual", {}).items():
        yield Figure(f"unusual: {field}", reason)


def split(names: str | Sequence[str], what: str) -> list[str]:
    """Names out of one comma list or several, each once."""
    parts = [part.strip() for text in ([names] if isinstance(names, str) else names) for part in text.split(",")]
    if not parts or not all(parts):
        raise RoofcalcError(f"{what}: an empty name in {', '.join(parts)!r}")
    return list(dict.fromkeys(parts))


def show(command: str, what: str, entries: dict[str, Shown]) -> Table:
    """One entry alone, or several side by side under their names; under what they were asked for by where two share a name."""
    if len(entries) == 1:
        return _alone(command, what, *entries.values())
    names = [entry.name for entry in entries.values()]
    clash = len(set(names)) < len(names) or bool({"figure", "unit"} & set(names))
    return _side_by_side(command, what, [entry._replace(name=text) if clash else entry for text, entry in entries.items()])


def _alone(command: str, what: str, entry: Shown) -> Table:
    """A row for each figure, then its words."""
    table = Table(command, (Column(what, what, "", "name", "text", 9, "case"), _FIGURE, _UNIT, _VALUE))
    figures = [*entry.figures, *entry.words]
    columns = {"figure": [one.label for one in figures], "value": [one.value for one in figures], "unit": [one.unit for one in figures]}
    table.blocks.append(Block(len(figures), {what: entry.name, **{name: np.array(values, dtype=object) for name, values in columns.items()}}))
    return table


def _side_by_side(command: str, what: str, entries: Sequence[Shown]) -> Table:
    """A row for each figure that one of the entries has, a column for each entry."""
    keyed = [_keyed(entry.figures) for entry in entries]
    order: list[tuple[str, int]] = []
    for figures in keyed:
        at = 0
        for key in figures:
            if key not in order:
                order.insert(at, key)
            at = order.index(key) + 1
    columns = tuple(Column(entry.name, entry.name, "", f"of this {what}", "any", 9) for entry in entries)
    table = Table(command, (_FIGURE, _UNIT, *columns))
    values: dict[str, list[Any]] = {
        "figure": [label for label, _ in order],
        "unit": [next((figures[key].unit for figures in keyed if key in figures and figures[key].unit), "") for key in order],
    }
    for entry, figures in zip(entries, keyed, strict=True):
        values[entry.name] = [figures[key].value if key in figures else None for key in order]
    table.blocks.append(Block(len(order), {name: np.array(column, dtype=object) for name, column in values.items()}))
    table.notes.append(f"notes and sources are shown where {what} stands alone: `roofcalc {command} {entries[0].name}`")
    return table


def _keyed(figures: list[Figure]) -> dict[tuple[str, int], Figure]:
    """Figures by label, and by how often it stood before."""
    found: dict[tuple[str, int], Figure] = {}
    for figure in figures:
        label = figure.beside or figure.label
        found[label, sum(key[0] == label for key in found)] = figure
    return found
