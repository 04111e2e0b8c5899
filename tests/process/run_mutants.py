"""Runs the claims once per mutant, each in a fork of a process that has imported them: one line of JSON per mutant."""

import contextlib
import io
import json
import os
import sys

import pytest

from tests.claims import test_claims, test_claims_kinds, test_claims_plans
from tests.process.mutants import MUTANTS

CLAIMS = [str(module.__file__) for module in (test_claims, test_claims_kinds, test_claims_plans)]
AT_ONCE = 2


class _Recorder:
    """Keeps what failed; ends the run at the first claim that catches the mutant without being about it."""

    def __init__(self, about: tuple[str, ...]) -> None:
        self.about = about
        self.failed: list[str] = []
        self.errors: list[str] = []
        self.passed = 0

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None:
            self.failed.append(item.name.partition("[")[0])
            self.errors.append(call.excinfo.type.__name__)
            if not any(word in self.failed[-1] for word in self.about):
                item.session.shouldstop = "caught"
        elif call.when == "call":
            self.passed += 1


def _run(mutant: str) -> str:
    """The claims' outcome with `mutant` patched in, as a line of JSON."""
    recorder = _Recorder(MUTANTS[mutant][1] if mutant else ())
    with contextlib.redirect_stdout(io.StringIO()):
        if mutant:
            MUTANTS[mutant][0]()
        pytest.main(["-q", "-n0", "-p", "no:cacheprovider", "--tb=no", *CLAIMS], plugins=[recorder])
    return json.dumps({"mutant": mutant, "passed": recorder.passed, "failed": recorder.failed, "errors": sorted(set(recorder.errors))})


def _fork(mutant: str) -> tuple[int, int]:
    """Process id of a fork that runs `mutant`, and the end of a pipe that its answer can be read from."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            pipe.write(_run(mutant))
        os._exit(0)
    os.close(write)
    return child, read


def main() -> None:
    waiting = ["", *MUTANTS]
    running: list[tuple[int, int]] = []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            running.append(_fork(waiting.pop(0)))
        child, read = running.pop(0)
        with os.fdopen(read) as pipe:
            print(pipe.read(), flush=True)
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"a fork ended with status {child}")


if __name__ == "__main__":
    main()
