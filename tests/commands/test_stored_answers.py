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


@pytest.mark.parametrize("line", STORED, ids=str)
def test_the_answer_is_the_stored_one(line: str) -> None:
    now, then = answer(line), STORED[line]
    assert now["exit"] == then["exit"]
    if "numbers" in then:
        assert len(now["numbers"]) == len(then["numbers"])
        assert all(map(_same, now["numbers"], then["numbers"]))
        return
    was, rows = (list(csv.DictReader(io.StringIO(one["csv"]))) for one in (then, now))
    assert len(rows) == len(was)
    for row, old in zip(rows, was, strict=True):
        different = {name: (value, row.get(name)) for name, value in old.items() if not _same(row.get(name) or "", value)}
        assert not different
