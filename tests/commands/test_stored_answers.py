"""Every command still answers what it answered when tests/stored/answers.json was recorded: same columns, same figures."""

import csv
import io
import json
import math
from typing import Any

import pytest

from tests.stored.record import FILE, answer

STORED: dict[str, dict[str, Any]] = json.loads(FILE.read_text())


def _same(now: str, then: str) -> bool:
    try:
        return math.isclose(float(now.replace(",", "")), float(then.replace(",", "")), rel_tol=1e-9)
    except ValueError:
        return now == then


def of_commands() -> dict[str, list[str]]:
    """The stored lines of each command."""
    found: dict[str, list[str]] = {}
    for line in STORED:
        found.setdefault(line.split()[0], []).append(line)
    return found


@pytest.mark.parametrize("lines", of_commands().values(), ids=list(of_commands()))
def test_the_answers_are_the_stored_ones(lines: list[str]) -> None:
    changed = {line: difference for line in lines if (difference := _difference(line))}
    assert not changed


def _difference(line: str) -> object:
    """What an answer has that the stored one has not; nothing where they are the same."""
    now, then = answer(line), STORED[line]
    if now["exit"] != then["exit"]:
        return f"exit code {now['exit']}, not {then['exit']}"
    if "numbers" in then:
        same = len(now["numbers"]) == len(then["numbers"]) and all(map(_same, now["numbers"], then["numbers"]))
        return None if same else (now["numbers"], then["numbers"])
    was, rows = (list(csv.DictReader(io.StringIO(one["csv"]))) for one in (then, now))
    if len(rows) != len(was):
        return f"{len(rows)} rows, not {len(was)}"
    pairs = zip(rows, was, strict=True)
    return [(name, row.get(name), value) for row, old in pairs for name, value in old.items() if not _same(row.get(name) or "", value)]
