"""Shared by `models list` and `hardware list`: reading all entries, filtering and sorting rows."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.catalog.overrides import Kind
from roofcalc.errors import RoofcalcError, flag, invalid_choice
from roofcalc.report.table import Block, Column, Table

T = TypeVar("T")
Row = dict[str, Any]


def format_cell(table: Table, kind: Kind, load: Callable[[str], tuple[T, list[str]]]) -> Iterator[T]:
    """Every entry that loads; for each that does not, a note with its first problem."""
    table.notes += [f"ROOFCALC_PATH: {place} is not a readable directory" for place in lookup.unreadable_directories()]
    for path in lookup.entries(kind).values():
        try:
            yield load(str(path))[0]
        except RoofcalcError as error:
            table.notes.append(f"skipped: {error.lines[0]}")


def found_by(text: str | None, *fields: str | Iterable[str] | None) -> bool:
    """Whether every word of a search occurs in one of the fields: a name, alias, title, family or vendor; punctuation does not count."""
    if text is None:
        return True
    each = [_bare(one) for field in fields if field for one in ([field] if isinstance(field, str) else field)]
    words = [_bare(word) for word in text.replace("_", " ").split()]
    return all(any(word in one for one in each) for word in words) or _bare(text) in each


def _bare(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum() or char == ".")


def parse_filter(option: str, text: str | None, known: Iterable[str | None]) -> set[str] | None:
    """The values of a comma list in normalised form; None if there is no filter.

    Raises
    ------
    RoofcalcError
        A value that is not among the `known` ones; the message lists them.
    """
    if text is None:
        return None
    names = {lookup.normal(name): name for name in sorted(filter(None, set(known)), key=str.lower)}
    words = [lookup.normal(word) for word in text.split(",")]
    for word in words:
        if word not in names:
            raise invalid_choice(flag(option), word, list(names.values()))
    return set(words)


def matches(words: set[str] | None, *values: str | None) -> bool:
    """Whether one of an entry's values passes the filter; without a filter all do."""
    return words is None or any(lookup.normal(value) in words for value in values if value)


def arranged(table: Table, rows: list[Row], sort: str | None) -> Table:
    """`table` filled with `rows`, sorted by the column `sort`: numbers in descending order, text alphabetically."""
    if sort is not None:
        column = _sort_column(table, sort)
        numeric = column.kind in ("count", "number")
        present = [row for row in rows if row[column.name] is not None]
        absent = [row for row in rows if row[column.name] is None]
        present.sort(key=lambda row: row[column.name] if numeric else natural(row[column.name]), reverse=numeric)
        rows = present + absent
    if rows:
        values = {column.name: np.array([row[column.name] for row in rows], dtype=object) for column in table.columns}
        table.blocks.append(Block(len(rows), values))
    else:
        table.notes.append("no catalog entry matches these filters")
    return table


def _sort_column(table: Table, sort: str) -> Column:
    """The column with that name, or with that label if the label is a single word."""
    short = {column: min((w for w in (column.name, column.label.lower()) if " " not in w), key=len) for column in table.columns}
    for column, word in short.items():
        if sort.strip().lower() in (word, column.name):
            return column
    raise invalid_choice("--sort", sort, list(short.values()))


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts 7b before 13b."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
