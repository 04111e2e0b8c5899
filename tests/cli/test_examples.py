"""The examples in every help run. Those that draw charts: tests/process/test_chart_layout.py."""

from pathlib import Path

import pytest

from tests.cli.examples import commands, draws, run_examples


@pytest.mark.parametrize("command", [command for command in commands() if not draws(command)])
def test_examples_in_every_help_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(command, tmp_path)
