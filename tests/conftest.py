"""Test tiers, a clean environment for every test, and the count of fuzzed command lines.

`pytest` runs the fast tier, `pytest --process` the tier that starts processes (wheels, mutants, fuzzing, README), and
`pytest --nightly` everything, over every architecture of the catalog and with the full number of fuzzed cases.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROCESS = Path(__file__).parent / "process"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--process", action="store_true", help="run the tier that starts processes instead of the fast one")
    parser.addoption("--nightly", action="store_true", help="run everything, at full length")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--nightly"):
        os.environ["ROOFCALC_NIGHTLY"] = "1"  # read by tests.catalogs and tests.fuzz when they are imported, in workers too
    # Workers and some 200 child processes keep what they compile: without bytecode a start of roofcalc takes twice as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the files of the other tier unread; tests that are named on the command line always run."""
    if config.getoption("--nightly") or any(PROCESS in (path, *path.parents) for path in _named(config)):
        return None
    in_process = PROCESS in (collection_path, *collection_path.parents)
    if not config.getoption("--process"):
        return True if in_process else None
    return None if in_process or collection_path in PROCESS.parents else True


def _named(config: pytest.Config) -> list[Path]:
    return [Path(str(argument).partition("::")[0]).resolve() for argument in config.args]


@pytest.fixture(autouse=True, scope="session")
def plain_environment() -> Iterator[None]:
    """No colours forced, no user catalog."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "ROOFCALC_PATH", "PY_COLORS"):
            environment.delenv(name, raising=False)
        environment.setenv("COLUMNS", "200")
        yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints how many fuzzed command lines ended without a traceback, added up over the workers."""
    counted: dict[str, int] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()) or ():
                if name.startswith("exit code ") and getattr(report, "when", "") == "call":
                    counted[name] = counted.get(name, 0) + value
    if counted:
        each = ", ".join(f"{count:,} with {code}" for code, count in sorted(counted.items()))
        terminalreporter.write_line(f"fuzzing: {sum(counted.values()):,} cases ended without a traceback ({each})")
