"""Runs the claims once per mutant, each in a fork of a process that has collected them: one line of JSON per mutant."""

import contextlib
import io
import json
import os
import sys

import pytest

from tests.claims import test_claims, test_claims_adapters, test_claims_kinds, test_claims_plans, test_claims_serving
from tests.process.mutants import MUTANTS

CLAIMS = [str(module.__file__) for module in (test_claims, test_claims_kinds, test_claims_plans, test_claims_serving, test_claims_adapters)]
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


def _run(session: pytest.Session, mutant: str) -> str:
    """The claims' outcome with `mutant` patched in, as a line of JSON."""
    recorder = _Recorder(MUTANTS[mutant][1] if mutant else ())
    session.config.pluginmanager.register(recorder)
    if mutant:
        MUTANTS[mutant][0]()
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldstop:
            break
    return json.dumps({"mutant": mutant, "passed": recorder.passed, "failed": recorder.failed, "errors": sorted(set(recorder.errors))})


def _fork(session: pytest.Session, mutant: str) -> tuple[int, int]:
    """Process id of a fork that runs `mutant`, and the end of a pipe that its answer can be read from."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            with os.fdopen(write, "w") as pipe:
                pipe.write(_run(session, mutant))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    return child, read


class _Mutants:
    """A session's loop over its tests, replaced: a fork per mutant, `AT_ONCE` at a time. Collection is paid for once."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.ended_badly: list[str] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        waiting = ["", *MUTANTS]
        running: list[tuple[str, int, int]] = []
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                mutant = waiting.pop(0)
                running.append((mutant, *_fork(session, mutant)))
            mutant, child, read = running.pop(0)
            with os.fdopen(read) as pipe:
                self.answers.append(pipe.read())
            if os.waitpid(child, 0)[1] != 0:
                self.ended_badly.append(mutant)
        return True


def main() -> None:
    mutants = _Mutants()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "--tb=no", "-s"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        pytest.main([*options, *CLAIMS], plugins=[mutants])
    print(*mutants.answers, sep="\n")
    if mutants.ended_badly or not mutants.answers:
        sys.exit(f"forks that ended with an error: {', '.join(mutants.ended_badly)}\n{said.getvalue()}")


if __name__ == "__main__":
    main()
