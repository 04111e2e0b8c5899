"""`roofcalc check`: run a file of assertions on the results of other commands, for CI."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from roofcalc.commands.assertions import Assertion, read
from roofcalc.errors import RoofcalcError, option_name
from roofcalc.report import columns
from roofcalc.report.require import Condition, condition, shown, whose
from roofcalc.report.table import Block, Cell, Table
from roofcalc.specs.schema import Problem, place

MAX_SHOWN = 5  # failing rows listed per assertion, and values listed in one cell


class Result(NamedTuple):
    """The outcome of one assertion; `failures` has a line for each of the first failing rows."""

    name: str
    command: str
    expected: str
    got: Cell
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


def check(file: str | os.PathLike[str]) -> Table:
    """Runs every assertion of a YAML file (format: `roofcalc.commands.assertions`).

    Returns
    -------
    Table
        One row per assertion, in the order of the file: name, expected, got, ok. `table.failures` lists the differences.

    Raises
    ------
    RoofcalcError
        All problems of the file and of the assertions' arguments, one line each.
    """
    return table(results(file))


def results(file: str | os.PathLike[str]) -> list[Result]:
    """The outcome of every assertion of a file."""
    path = Path(file)
    valid, lines, problems = read(path)
    outcomes = []
    for i, assertion in valid.items():
        outcome = _run(assertion)
        if isinstance(outcome, Result):
            outcomes.append(outcome)
            continue
        for field, sentence in outcome:
            where = ("checks", str(i), *field)
            problems.append(Problem(place(where, lines, str(path)), ".".join(where), sentence))
    if problems:
        raise RoofcalcError(*map(str, sorted(problems, key=_number)))
    return outcomes


def _number(problem: Problem) -> int:
    """Position of the assertion that a problem belongs to; -1 for problems of the whole file."""
    number = re.match(r"checks\.([0-9]+)", problem.field)
    return int(number[1]) if number else -1


def table(outcomes: list[Result]) -> Table:
    """Outcomes as rows; notes and failures start with the name of the assertion."""
    answer = Table("check", columns.CHECK)
    answer.notes += [f"{one.name}: {note}" for one in outcomes for note in one.notes]
    answer.failures += [f"{one.name}: {line}" for one in outcomes for line in one.failures]
    values = {name: np.array([getattr(one, name) for one in outcomes], dtype=object) for name in ("name", "expected", "got")}
    answer.blocks.append(Block(len(outcomes), {**values, "ok": np.array([not one.failures for one in outcomes])}))
    return answer


def _run(assertion: Assertion) -> Result | list[tuple[tuple[str, ...], str]]:
    """The outcome of one assertion; or the problems of its arguments, as (field, message)."""
    before = time.perf_counter()
    try:
        answer = assertion.function(**assertion.given())
    except RoofcalcError as error:
        return [(_argument(assertion, line), line) for line in error.lines]
    try:
        column = answer.column(assertion.column)
    except RoofcalcError as error:
        return [(("column",), line) for line in error.lines]
    try:
        wanted = condition(column, assertion.op or "", assertion.value, assertion.tolerance or 0.0, assertion.command)
    except RoofcalcError as error:
        return [(("value",), line) for line in error.lines]
    rows = list(answer.rows())[: 1 if assertion.rows == "first" else None]
    held = [row for row in rows if wanted.holds(row[column.name])]
    passed = bool(held) if assertion.rows == "any" else bool(rows) and len(held) == len(rows)
    reported = held if assertion.rows == "any" and passed else rows if passed else [row for row in rows if row not in held]
    expected = str(wanted) + {"all": "", "any": " in any row", "first": " in the first row"}[assertion.rows]
    failures = () if passed else _failures(expected, wanted, reported)
    got = _got([row[column.name] for row in reported])
    return Result(assertion.name, assertion.command, expected, got, failures, tuple(answer.notes), time.perf_counter() - before)


def _argument(assertion: Assertion, message: str) -> tuple[str, ...]:
    """The field of the argument that an error message starts with, such as `--seq: expected …` or `unknown model …`."""
    words = [option_name(word) for word in re.findall(r"[\w-]+", message)[:2]]
    return "arguments", *[key for word in words for key in assertion.arguments if option_name(key) == word][:1]


def _got(cells: list[Cell]) -> Cell:
    """The value that the rows share, or the first few distinct values in one line."""
    distinct = list(dict.fromkeys(cells))
    if len(distinct) <= 1:
        return distinct[0] if distinct else None
    more = f" and {len(distinct) - MAX_SHOWN} more" if len(distinct) > MAX_SHOWN else ""
    return ", ".join(map(shown, distinct[:MAX_SHOWN])) + more


def _short(got: Cell) -> str:
    return f"{got:.6g}" if isinstance(got, float) else shown(got)


def _failures(expected: str, wanted: Condition, rows: list[dict[str, Cell]]) -> tuple[str, ...]:
    if not rows:
        return (f"expected {expected}, got no rows",)
    found = []
    for row in rows[:MAX_SHOWN]:
        got = row[wanted.column.name]
        by = wanted.difference(got)
        found.append(f"expected {expected}, got {_short(got)}{f': {by}' if by else ''} ({whose(row, wanted.column, 'limited_by')})")
    return (*found, f"and {len(rows) - MAX_SHOWN} more rows") if len(rows) > MAX_SHOWN else tuple(found)
