"""A note for each what-if (`--set`) that changes nothing in the answer of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, ParamSpec

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Cell, Table

P = ParamSpec("P")
MOST_ROWS = 20_000  # of an answer that is computed again without a change


def notes_idle_changes(command: Callable[P, Table]) -> Callable[P, Table]:
    """The command, which also computes its answer without each of its changes, and says which of them changed nothing."""

    @wraps(command)
    def answered(*args: P.args, **options: P.kwargs) -> Table:
        table = command(*args, **options)
        if options.get("changes") and len(table) <= MOST_ROWS:
            table.notes += _idle(command, args, options, table)
        return table

    return answered


def _idle(command: Callable[..., Table], args: tuple[Any, ...], options: dict[str, Any], table: Table) -> Iterator[str]:
    changes: Any = options["changes"]
    texts: Sequence[str] = [changes] if isinstance(changes, str) else changes
    found: set[tuple[Cell, ...]] | None = None
    for text in texts:
        others = [other for other in texts if other != text]
        try:
            without = command(*args, **{**options, "changes": others})
            if len(without) > len(table):
                continue
            found = found if found is not None else _rows(table)
            if _rows(without) == found:
                yield f"--set {text}: changes nothing in this answer"
        except RoofcalcError:  # impossible without the change
            continue


def _rows(table: Table) -> set[tuple[Cell, ...]]:
    """The different rows, the changes that they state aside."""
    place = next((number for number, column in enumerate(table.columns) if column.name == "changes"), None)
    return {cells if place is None else (*cells[:place], *cells[place + 1 :]) for cells in table.cells()}
