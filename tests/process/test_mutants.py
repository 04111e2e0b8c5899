"""A suite that cannot fail proves nothing: each known-wrong formula must fail a claim that is not about it by name.

The claims are imported once, in a process of their own that has computed nothing yet; each mutant is a fork of it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.mutants import MUTANTS

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """Per mutant ("" for none): names of the claims that failed, and the kinds of error they failed with."""
    line = [sys.executable, "-m", "tests.process.run_mutants"]
    result = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=900)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    found: dict[str, dict[str, Any]] = {}
    for answer in result.stdout.splitlines():
        one = json.loads(answer)
        found[one["mutant"]] = one
    return found


def test_nothing_fails_without_a_mutant(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes[""]["passed"] > 70 and outcomes[""]["failed"] == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_is_caught(mutant: str, outcomes: dict[str, dict[str, Any]]) -> None:
    failed, errors = outcomes[mutant]["failed"], outcomes[mutant]["errors"]
    assert set(errors) <= {"AssertionError", "Failed"}, errors  # a mutant that crashes proves nothing
    about = MUTANTS[mutant][1]
    assert [name for name in failed if not any(word in name for word in about)], f"{mutant} survives the claims"
