"""Assertions on what the other questions answer, from a file, for CI."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from roofcalc.commands.assertions import Check, api_name, read
from roofcalc.errors import RoofcalcError
from roofcalc.report import columns
from roofcalc.report.require import Condition, condition, shown, whose
from roofcalc.report.table import Block, Cell, Table
from roofcalc.specs.schema import Problem, place

MAX_SHOWN = 5  # rows of one check whose failure is told, and values of a cell


class Result(NamedTuple):
    """What came of one check; `failures` has a line for each row that does not hold, of which the first few are told."""

    name: str
    command: str
    expected: str
    got: Cell
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


def check(file: str | os.PathLike[str]) -> Table:
    """Runs every check of a YAML file (`roofcalc.commands.assertions`).

    Returns
    -------
    Table
        One row per check, in the file's order: name, expected, got, ok. `table.failures` tells each difference.

    Raises
    ------
    RoofcalcError
        Everything that is wrong with the file, and with each check's request, at once.
    """
    return table(results(file))


def results(file: str | os.PathLike[str]) -> list[Result]:
    """What came of every check of a file."""
    path = Path(file)
    checks, lines, problems = read(path)
    found = []
    for i, one in checks.items():
        answered = _result(one)
        if isinstance(answered, Result):
            found.append(answered)
            continue
        for field, sentence in answered:
            where = ("checks", str(i), *field)
            problems.append(Problem(place(where, lines, str(path)), ".".join(where), sentence))
    if problems:
        raise RoofcalcError(*map(str, sorted(problems, key=_number)))
    return found


def _number(problem: Problem) -> int:
    """Which check a problem is of; -1 where it is of the file."""
    number = re.match(r"checks\.([0-9]+)", problem.field)
    return int(number[1]) if number else -1


def table(found: list[Result]) -> Table:
    """Results as rows; their notes and failures name the check."""
    answer = Table("check", columns.CHECK)
    answer.notes += [f"{one.name}: {note}" for one in found for note in one.notes]
    answer.failures += [f"{one.name}: {line}" for one in found for line in one.failures]
    values = {name: np.array([getattr(one, name) for one in found], dtype=object) for name in ("name", "expected", "got")}
    answer.blocks.append(Block(len(found), {**values, "ok": np.array([not one.failures for one in found])}))
    return answer


def _result(check: Check) -> Result | list[tuple[tuple[str, ...], str]]:
    """What came of one check, or what is wrong with it: (field, sentence)."""
    before = time.perf_counter()
    try:
        answer = check.question(**check.given())
    except RoofcalcError as error:
        return [(_argument(check, line), line) for line in error.lines]
    try:
        column = answer.column(check.column)
    except RoofcalcError as error:
        return [(("column",), line) for line in error.lines]
    try:
        wanted = condition(column, check.op or "", check.value, check.tolerance or 0.0, check.command)
    except RoofcalcError as error:
        return [(("value",), line) for line in error.lines]
    rows = list(answer.rows())[: 1 if check.rows == "first" else None]
    held = [row for row in rows if wanted.holds(row[column.name])]
    passed = bool(held) if check.rows == "any" else bool(rows) and len(held) == len(rows)
    told = held if check.rows == "any" and passed else rows if passed else [row for row in rows if row not in held]
    expected = str(wanted) + {"all": "", "any": " in any row", "first": " in the first row"}[check.rows]
    failures = () if passed else _failures(expected, wanted, told)
    got = _got([row[column.name] for row in told])
    return Result(check.name, check.command, expected, got, failures, tuple(answer.notes), time.perf_counter() - before)


def _argument(check: Check, sentence: str) -> tuple[str, ...]:
    """The argument that a complaint begins with, such as `seq: expected …` or `unknown model …`."""
    words = [api_name(word) for word in re.findall(r"[\w-]+", sentence)[:2]]
    return "arguments", *[key for word in words for key in check.arguments if api_name(key) == word][:1]


def _got(cells: list[Cell]) -> Cell:
    """The value that the rows share, or the first few of theirs in one line."""
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
