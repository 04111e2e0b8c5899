"""The contract of every command line, whatever it says; and the count of the cases that were held to it."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from roofcalc.cli.app import app
from tests.shell import RUNNER

USUAL = (500, 10_000)  # cases of the process tier and of `pytest --nightly`, the same ones each time
WANTED = int(os.environ.get("ROOFCALC_FUZZ", USUAL[bool(os.environ.get("ROOFCALC_NIGHTLY"))]))
COUNTED: Counter[str] = Counter()
_ANSWERED, _REFUSED, _FAILED = 0, 2, 3


def held(arguments: Sequence[str]) -> None:
    """Runs a command line: it answers, refuses or fails a requirement, and says so where it should."""
    result = RUNNER.invoke(app, list(arguments))
    seen = (list(arguments), result.exit_code, result.stdout[:500], result.stderr[:2000])
    assert result.exit_code in (_ANSWERED, _REFUSED, _FAILED), seen
    assert "Traceback" not in result.stderr and "error: unexpected" not in result.stderr, seen
    errors = [line for line in result.stderr.split("\n") if line.startswith("error: ")]
    if result.exit_code == _REFUSED and "check" not in arguments:  # `check` prints the errors of files as its answer
        assert result.stdout == "" and errors, seen
    if result.exit_code != _REFUSED:
        assert not errors, seen
    others = [line for line in result.stderr.split("\n")[:-1] if not line.startswith(("error: ", "note: ", "failed: "))]
    assert "check" in arguments or not others, seen
    COUNTED[f"exit code {result.exit_code}"] += 1


def cases(share: float, strategy: SearchStrategy[Any], case: Callable[[Any], None]) -> None:
    """Runs a share of all cases; fails where the strategy has fewer."""
    wanted = round(share * WANTED)
    before = COUNTED.total()
    quiet = settings(
        max_examples=wanted, derandomize=WANTED in USUAL, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    quiet(given(strategy)(case))()
    assert COUNTED.total() - before >= wanted
