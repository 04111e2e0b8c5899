"""A clean environment for every test: no colours forced, no user catalog; and the count of the fuzzing's cases."""

import sys
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "ROOFCALC_PATH", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many command lines the fuzzing tests held to the contract, where they ran."""
    outcome = sys.modules.get("tests.fuzz.outcome")
    if outcome is not None and outcome.COUNTED:
        each = ", ".join(f"{count:,} with {code}" for code, count in sorted(outcome.COUNTED.items()))
        terminalreporter.write_line(f"fuzzing: {outcome.COUNTED.total():,} cases ended without a traceback ({each})")
