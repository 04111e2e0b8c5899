"""A suite that cannot fail proves nothing: each known-wrong formula must fail a test that is not about it by name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import MUTANTS

CLAIMS = ("tests/test_claims.py", "tests/test_claims_kinds.py", "tests/test_claims_plans.py")


def failures(mutant: str) -> list[str]:
    """Names of the claims that fail with `mutant` patched in (none for "")."""
    line = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants", "-p", "no:cacheprovider", "--tb=no", "-rf", *CLAIMS]
    root = Path(__file__).parent.parent
    result = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "ROOFCALC_MUTANT": mutant, "COLUMNS": "1000"}, cwd=root)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    failed = re.findall(r"^FAILED \S+?::(\w+)\S* - (\w+)", result.stdout, re.MULTILINE)
    assert {why for _, why in failed} <= {"assert", "AssertionError"}, result.stdout  # a mutant that crashes proves nothing
    found = [name for name, _ in failed]
    assert bool(found) == bool(result.returncode), result.stdout + result.stderr
    return found


def test_nothing_fails_without_a_mutant() -> None:
    assert failures("") == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_is_caught(mutant: str) -> None:
    about = MUTANTS[mutant][1]
    assert [name for name in failures(mutant) if not any(word in name for word in about)], f"{mutant} survives the claims"
