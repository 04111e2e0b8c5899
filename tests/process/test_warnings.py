"""No warning of a library reaches a person: every command's examples and odd requests, with each warning an error."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.examples import commands, draws, examples, put_files

ROOT = Path(__file__).parent.parent.parent

# Requests that divide by zero or overflow where a formula is not careful.
ODD = """
max-batch llama-3.1-8b h100-sxm --isl 0 --osl 1 --assume bound
interactivity llama-3.1-8b h100-sxm --isl 0 --osl 1 --assume bound,roofline,typical
plan llama-3.1-8b h100-sxm --isl 0 --osl 1 --assume bound --requests-per-second 1
frontier llama-3.1-8b h100-sxm --isl 0 --osl 1 --assume bound
frontier deepseek-v3 8xh200-sxm --isl 0 --osl 1 --assume bound --disaggregated
interactivity llama-3.1-405b h100-sxm --seq 1,1G --batch 1,1M
max-batch llama-3.1-8b mi308x --seq 1k --interactivity 1000000000
memory mamba-2.8b h100-sxm --seq 1,1G --batch 1,1G
prefill deepseek-v3 8xh200-sxm --seq 1 --cached 0,1G --batch 1M
vote llama-3.1-8b h100-sxm --streams 1,1M --prefix 0 --suffix 1
ops gpt-oss-120b h100-sxm --seq 1 --batch 1M
cost llama-3.1-8b h100-sxm --query 0:1 --assume bound --usd-per-hour 1
"""

# Runs each line of standard input in a fork, which is much faster than a start for each; prints its exit code and standard error as JSON.
FORKS = """
import json, os, sys, tempfile
import numpy, rich.console, rich.table, typer, typer.core, yaml
for line in json.load(sys.stdin):
    said = tempfile.TemporaryFile()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(said.fileno(), 2)
        sys.argv = ["roofcalc", *line]
        from roofcalc.__main__ import main
        try:
            main()
        except SystemExit as exit:
            sys.stdout.flush()
            os._exit(exit.code or 0)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said.seek(0)
    print(json.dumps([code, said.read().decode()]), flush=True)
"""


def test_no_command_warns(tmp_path: Path) -> None:
    every = {command: examples(command) for command in commands()}
    lines = [one for command, some in every.items() for one in (some[:1] if draws(command) else some)]  # charts: test_chart_layout.py
    lines += [f"roofcalc {one}" for one in ODD.strip().splitlines()]
    put_files(tmp_path)
    given = json.dumps([shlex.split(line)[1:] for line in lines])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})" + FORKS],
        input=given,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    answers = [json.loads(answer) for answer in run.stdout.splitlines()]
    assert len(answers) == len(lines) > 80, run.stderr
    wrong = {
        line: said
        for line, (code, said) in zip(lines, answers, strict=True)
        if not (code == 0 or (code == 2 and line.removeprefix("roofcalc ") in ODD))
        or not all(one.startswith(("note: ", "error: ")) for one in said.splitlines())
    }
    assert not wrong


@pytest.mark.parametrize(("options", "heard"), [([], False), (["-W", "default"], True)])
def test_warnings_of_libraries_are_not_for_those_who_ask_a_question(options: list[str], heard: bool) -> None:
    code = "import warnings; from roofcalc.cli import app; run = app.guarded; app.guarded = lambda one: (warnings.warn('old'), run(one))[1]"
    line = [sys.executable, *options, "-c", code + "; from roofcalc.__main__ import main; main()", "--version"]
    result = subprocess.run(line, capture_output=True, text=True, cwd=ROOT)
    assert (result.returncode, "UserWarning: old" in result.stderr) == (0, heard)
