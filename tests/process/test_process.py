"""What only a real process shows: pipes, closed streams, encodings, the terminal, and what a start imports."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from roofcalc.cli.app import guarded

ROOFCALC = [sys.executable, "-c", "from roofcalc.__main__ import main; main()"]
LINE = ["max-batch", "llama-3.1-8b", "h100-sxm", "--seq", "1k:64k:100", "-f", "csv", "-q"]


def test_a_closed_pipe_ends_quietly() -> None:
    process = subprocess.Popen([*ROOFCALC, *LINE], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


@pytest.mark.parametrize(("redirect", "complaint"), [(">/dev/full", "No space left on device"), (">&-", "standard output is closed")])
def test_output_that_goes_nowhere(redirect: str, complaint: str) -> None:
    command = " ".join(f"'{word}'" for word in [*ROOFCALC, *LINE])
    result = subprocess.run(["sh", "-c", f"{command} {redirect}"], capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith("error: ") and complaint in result.stderr and len(result.stderr.splitlines()) == 1


ENDED = [(one, 128 + one, "") for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGUSR1)]


@pytest.mark.parametrize(("sent", "code", "said"), [(signal.SIGINT, 130, "error: interrupted\n"), *ENDED])
def test_an_interrupt_leaves_nothing(tmp_path: object, sent: signal.Signals, code: int, said: str) -> None:
    target = f"{tmp_path}/out.csv"
    long = ["interactivity", "llama-3.1-8b", "h100-sxm", "--seq", "1:40k:1", "--batch", "1:50:1", "-o", target]
    heard = partial(signal.signal, sent, signal.SIG_DFL)  # whoever runs the tests in the background may have it ignored
    process = subprocess.Popen([*ROOFCALC, *long], stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    until = time.monotonic() + 30
    while not os.listdir(str(tmp_path)) and time.monotonic() < until:  # its unfinished file appears
        time.sleep(0.02)
    process.send_signal(sent)
    process.send_signal(sent)  # a second one does not interrupt the tidying up
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == code and complaint == said
    assert os.listdir(str(tmp_path)) == []


def test_a_hangup_that_is_ignored_ends_nothing(tmp_path: object) -> None:
    ignored = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    target = f"{tmp_path}/out.csv"
    long = ["interactivity", "llama-3.1-8b", "h100-sxm", "--seq", "1:3k:1", "--batch", "1:50:1", "-o", target]
    process = subprocess.Popen([*ROOFCALC, *long], preexec_fn=ignored)
    until = time.monotonic() + 30
    while not os.listdir(str(tmp_path)) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0 and os.listdir(str(tmp_path)) == ["out.csv"]


def test_an_ascii_terminal_gets_question_marks_not_a_traceback() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    result = subprocess.run([*ROOFCALC, "max-batch", "llama-3.1-405b", "h100-sxm"], capture_output=True, env=environment)
    assert result.returncode == 0 and b"weights" in result.stdout


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "true"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_pipes_carry_no_escapes(environment: dict[str, str]) -> None:
    for arguments in (LINE[:-3], ["--help"], ["max-batch", "--help"], ["nope"]):
        result = subprocess.run([*ROOFCALC, *arguments], capture_output=True, env={**os.environ, **environment})
        assert b"\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize(("environment", "styled"), [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": ""}, False), ({"GITHUB_ACTIONS": "true"}, False)])
def test_forced_colour(environment: dict[str, str], styled: bool) -> None:
    result = subprocess.run([*ROOFCALC, *LINE[:3]], capture_output=True, env={**os.environ, **environment})
    assert (b"\x1b[" in result.stdout) is styled


def test_a_dumb_terminal_shows_whole_numbers() -> None:
    shown = in_terminal(200, "max-batch", "llama-3.1-8b", "h100-sxm", "--seq", "4k", TERM="dumb")
    assert "4,000" in shown and "bandwidth" in shown and "…" not in shown


def test_errors_that_nobody_hears_still_count() -> None:
    command = " ".join(f"'{word}'" for word in [*ROOFCALC, "nope", "nope"])
    for redirect in ("2>/dev/full", "2>&-"):
        result = subprocess.run(["sh", "-c", f"{command} {redirect}"], capture_output=True)
        assert (result.returncode, result.stdout) == (2, b"")


def test_notes_that_nobody_hears_do_not_join_the_rows(tmp_path: object) -> None:
    target = f"{tmp_path}/out.csv"
    command = " ".join(f"'{word}'" for word in [*ROOFCALC, "max-batch", "llama-3.1-8b", "h100", "--seq", "1M", "--columns", "max_batch", "-f", "csv"])
    heard = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    unheard = subprocess.run(["sh", "-c", f"{command} 2>&-"], capture_output=True, text=True)
    assert heard.stderr.startswith("note: ") and (unheard.returncode, unheard.stdout) == (0, heard.stdout)
    subprocess.run(["sh", "-c", f"{command} -o {target} 2>&- >&- <&-"], check=True)
    with open(target) as file:
        assert file.read() == heard.stdout


def test_a_file_needs_no_standard_output(tmp_path: object) -> None:
    command = " ".join(f"'{word}'" for word in [*ROOFCALC, *LINE, "-o", f"{tmp_path}/a.csv"])
    assert subprocess.run(["sh", "-c", f"{command} >&-"]).returncode == 0
    assert os.listdir(str(tmp_path)) == ["a.csv"]


def in_terminal(columns: int, *arguments: str, **environment: str) -> str:
    """What a terminal of that width shows."""
    parent, child = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen([*ROOFCALC, *arguments], stdout=child, stderr=subprocess.PIPE, env={**kept, "COLUMNS": str(columns), **environment})
    os.close(child)
    found = b""
    try:
        while block := os.read(parent, 65536):
            found += block
    except OSError:  # the terminal closed
        pass
    process.communicate()
    os.close(parent)
    return found.decode()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_tables_fit_the_terminal(columns: int) -> None:
    arguments = ("max-batch", "llama-3.1-405b", "8xh100-sxm", "--weights", "all=fp8", "--seq", "775,7661")
    shown = re.sub("\x1b\\[[0-9;]*m", "", in_terminal(columns, *arguments, NO_COLOR="1", TERM="xterm"))
    rows = [line for line in shown.splitlines() if line.strip()]
    assert all(len(line) <= max(columns, 50) for line in rows)  # the heading line alone is 50 wide
    assert "385" in shown and "capacity" in shown
    assert ("omitted to fit" in shown) == (columns < 120)


def test_long_words_fold_and_stay_whole() -> None:
    shown = in_terminal(80, "models", "show", "llama-3.1-405b", TERM="dumb")
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "405,853,388,800" in shown and "126*block" in shown


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    arguments = ("max-batch", "llama-3.1-8b", "h100-sxm", "--seq", "1k")
    assert "\x1b[1m" in in_terminal(120, *arguments, TERM="xterm")
    assert "\x1b" not in in_terminal(120, *arguments, TERM="dumb")
    plain = in_terminal(120, *arguments, TERM="xterm", NO_COLOR="1")  # bold is not a colour
    assert not re.search("\x1b\\[[0-9;]*(3|4|9|10)[0-9]", plain)


def imported(*arguments: str) -> set[str]:
    """Modules that a run imports, by the interpreter's own account."""
    result = subprocess.run([sys.executable, "-X", "importtime", *ROOFCALC[1:], *arguments], capture_output=True, text=True)
    assert result.returncode == 0
    return {line.rsplit("|", 1)[1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}


def test_a_start_imports_only_what_it_uses() -> None:
    version = imported("--version")
    assert not {"numpy", "yaml", "rich", "roofcalc.commands"} & version
    plain = imported(*LINE)
    assert "numpy" in plain
    heavy = {"pydantic", "matplotlib", "rich", "importlib.metadata", "dataclasses", "numpy.testing"}
    assert not heavy & plain
    assert not {name for name in plain if name.startswith(("roofcalc.commands.catalog", "roofcalc.commands.memory"))}
    assert "pydantic" not in imported(*LINE[:-3])


def test_garbage_is_collected_while_a_command_runs() -> None:
    code = "import atexit, gc, sys; atexit.register(lambda: print(gc.isenabled(), file=sys.stderr)); from roofcalc.__main__ import main; main()"
    assert subprocess.run([sys.executable, "-c", code, *LINE], capture_output=True, text=True).stderr == "True\n"


def test_only_failures_to_write_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(error: Exception) -> str:
        def run() -> None:
            raise error

        assert guarded(run) == 1
        return capsys.readouterr().err

    class Formatted(Exception):
        def format_message(self) -> str:
            return "looks like a usage error"

    assert fails(FileNotFoundError(2, "No such file", "x")).startswith("error: unexpected FileNotFoundError")
    assert fails(Formatted("x")).startswith("error: unexpected Formatted")


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, roofcalc; print(sorted(n for n in sys.modules if n.partition('.')[0] in ('numpy', 'yaml', 'typer', 'rich', 'roofcalc')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "['roofcalc']"
