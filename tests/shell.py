"""Commands as a shell gives them, run in process."""

import csv
import io
import shlex

from typer.testing import CliRunner, Result

from roofcalc.cli.app import app

RUNNER = CliRunner()
LLAMA = "llama-3.1-405b 8xh100-sxm --weights all=fp8"


def run(line: str) -> Result:
    return RUNNER.invoke(app, shlex.split(line))


def rows(line: str) -> list[dict[str, str]]:
    result = run(f"{line} -f csv")
    assert result.exit_code == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


def refused(line: str) -> str:
    """stderr of a command that must be refused: exit code 2, nothing on stdout, `error:` lines only."""
    result = run(line)
    assert (result.exit_code, result.stdout) == (2, ""), (result.exit_code, result.stdout, result.stderr)
    lines = [one for one in result.stderr.splitlines() if not one.startswith("note: ")]
    assert lines and all(one.startswith("error: ") for one in lines), result.stderr
    assert "error: unexpected" not in result.stderr
    return result.stderr
