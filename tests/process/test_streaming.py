"""Rows by the million: in the same memory however many, their ends for people, a bar while they are computed."""

import csv
import io
import json
import os
import pty
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import roofcalc as rc
from roofcalc.commands.request import MAX_KEPT
from roofcalc.report.table import CHUNK_ROWS
from roofcalc.solvers import progress
from roofcalc.solvers.progress import Progress
from tests.shell import refused, rows, run

ROOFCALC = [sys.executable, "-c", "from roofcalc.__main__ import main; main()"]
GRID = ["interactivity", "llama-3.1-8b", "h100-sxm", "--seq", "1:1000:1"]

# Reads a pipe as a shell's would, and tells the rows and the writer's greatest memory: in a process of its own, whose only
# child it is.
READER = """
import resource, subprocess, sys
writer = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
rows = 0
while block := writer.stdout.read(1 << 16):
    rows += block.count(b"\\n")
assert writer.wait() == 0
print(rows, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def rows_and_memory(*arguments: str) -> tuple[int, int]:
    result = subprocess.run([sys.executable, "-c", READER, *ROOFCALC, *arguments], capture_output=True, text=True, check=True)
    lines, peak = map(int, result.stdout.split())
    return lines - 1, peak


def test_ten_times_the_rows_take_no_more_memory() -> None:
    few, peak = rows_and_memory(*GRID, "--batch", "1:55:1", "-f", "csv")
    many, higher = rows_and_memory(*GRID, "--batch", "1:550:1", "-f", "csv")
    assert (few, many) == (55_000, 550_000) and few > MAX_KEPT  # a number kept of each row would take 4 MB more: of each cell, 70 MB
    assert higher <= 1.1 * peak


def test_generations_are_computed_in_chunks_too() -> None:
    given = ["max-batch", "llama-3.1-8b", "h100-sxm", "--isl", "1:60:1", "-f", "csv"]
    few, peak = rows_and_memory(*given, "--osl", "1:900:1")
    many, higher = rows_and_memory(*given, "--osl", "1:2700:1")
    assert (few, many) == (54_000, 162_000) and few > MAX_KEPT and higher <= 1.1 * peak


def test_chunks_are_the_rows_of_one_piece() -> None:
    """A table too long to keep equals its parts, asked for one by one."""
    assert MAX_KEPT < 300 * 400
    table = rc.interactivity("llama-3.1-8b", "h100-sxm", seq="1:300:1", batch="1:400:1")
    for seq in (1, 150, 300):
        part = list(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=seq, batch="1:400:1").rows())
        cut = table.select(table.columns).cells(400 * (seq - 1), 400 * seq)
        assert [dict(zip(row, cells, strict=True)) for row, cells in zip(part, cut, strict=True)] == part
    assert table["batch"].size == len(table) == 120_000 and table["batch"][-1] == 400


def test_csv_of_chunks_is_csv_of_rows() -> None:
    text = run(f"interactivity llama-3.1-8b h100-sxm --seq 1:{CHUNK_ROWS // 8}:1 --batch 1:50:1 -f csv").stdout
    found = list(csv.DictReader(io.StringIO(text)))
    assert len(found) == CHUNK_ROWS // 8 * 50 > MAX_KEPT
    last = rows(f"interactivity llama-3.1-8b h100-sxm --seq {CHUNK_ROWS // 8} --batch 50")
    assert found[-1] == last[0] and found[0] == rows("interactivity llama-3.1-8b h100-sxm --seq 1 --batch 1")[0]


def test_people_see_the_ends_and_machines_all() -> None:
    line = "interactivity llama-3.1-8b h100-sxm --seq 1k --batch 1:1000:1"
    table = run(line).stdout.splitlines()
    (gap,) = (place for place, text in enumerate(table) if "rows omitted" in text)
    assert table[gap].startswith("… 800 rows omitted (use -f csv|json|md or -o FILE to see all)")
    assert table[gap - 1].split()[1] == "100" and table[gap + 1].split()[1] == "901"
    assert len(rows(line)) == len(json.loads(run(f"{line} -f json").stdout)["rows"]) == 1000
    assert sum(text.startswith("| 1,000 |") for text in run(f"{line} -f md").stdout.splitlines()) == 1000
    assert "rows omitted" not in run(line.replace("1:1000:1", "1:200:1")).stdout


def test_files_for_people_have_every_row(tmp_path: Path) -> None:
    target = tmp_path / "all.txt"
    run(f"interactivity llama-3.1-8b h100-sxm --seq 1k --batch 1:1000:1 -o {target}")
    assert "rows omitted" not in target.read_text() and len(target.read_text().splitlines()) > 1000


def test_a_billion_rows_show_their_ends_at_once() -> None:
    begun = time.monotonic()
    text = run("interactivity llama-3.1-8b h100-sxm --seq 1:1M:1 --batch 1:1000:1").stdout
    assert "… 999,999,800 rows omitted" in text and time.monotonic() - begun < 20


ENDLESS = ("--seq", "1:1000000:1", "--batch", "1:1000000:1")


def first_lines(*arguments: str) -> tuple[list[str], int, str, float, float]:
    """Two lines of a command whose output is then no longer read: they, its exit code, errors, processor seconds, and peak memory in MB."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen([*ROOFCALC, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        lines = [process.stdout.readline() for _ in range(2)]
        process.stdout.close()
        complaint = process.stderr.read()
        code = process.wait(60)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return lines, code, complaint, ended.ru_utime - begun.ru_utime, ended.ru_maxrss / 1e3


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (("interactivity", "llama-3.1-8b", "h100-sxm", *ENDLESS, "-f", "csv"), "llama-3.1-8b,h100-sxm,bf16,bf16,1,1,"),
        (("interactivity", "llama-3.1-8b", "h100-sxm", *ENDLESS, "-f", "json"), '  {"model": "llama-3.1-8b"'),
        (("memory", "llama-3.1-8b", "h100-sxm", *ENDLESS, "-f", "csv"), "llama-3.1-8b,h100-sxm,bf16,bf16,1,1,"),
        (("prefill", "llama-3.1-8b", "h100-sxm", *ENDLESS, "--cached", "1:1000000:1", "-f", "csv"), "llama-3.1-8b,h100-sxm,bf16,bf16,1,1,1,"),
        (("max-batch", "llama-3.1-8b", "h100-sxm", "--isl", "1:1000000:1", "--osl", "1:1000000:1", "-f", "csv"), "llama-3.1-8b,h100-sxm,"),
    ],
)
def test_grids_without_end_begin_at_once_and_end_with_their_reader(arguments: tuple[str, ...], begins: str) -> None:
    """10^12 and 10^18 rows: `head -2` ends them, within some seconds of processor time and 500 MB."""
    lines, code, complaint, seconds, peak = first_lines(*arguments)
    assert lines[1].startswith(begins) and code == 0 and "error" not in complaint
    assert seconds < 10 and peak < 500


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("interactivity llama-3.1-8b h100-sxm --seq 1:1M:1 --batch 1:1M:1 -o {}.txt", "too many for a table of text (at most 1,000,000)"),
        ("plot interactivity llama-3.1-8b h100-sxm --seq 1:1M:1 --batch 1:1M:1 -o {}.svg", "too many for a chart (at most 300,000)"),
        ("frontier llama-3.1-8b h100-sxm --seq 1:1M:1 --batch 1:1M:1", "are searched at once: give fewer contexts or batches"),
        ("max-batch llama-3.1-8b h100-sxm --isl 1:1M:1 --osl 1:1M:1 --interactivity 1:1M:1 --set model.vocab=1k,2k", "rows of one model"),
    ],
)
def test_what_cannot_be_streamed_is_refused(tmp_path: Path, line: str, says: str) -> None:
    assert says in refused(line.format(tmp_path / "given")) and os.listdir(tmp_path) == []


def test_a_table_in_python_refuses_to_keep_what_does_not_fit() -> None:
    table = rc.interactivity("llama-3.1-8b", "h100-sxm", seq="1:1M:1", batch="1:1M:1")
    with pytest.raises(rc.RoofcalcError, match="1,000,000,000,000 rows are too many to keep"):
        table["batch"]
    assert next(table.rows())["batch"] == 1 and next(iter(table.cells(10**12 - 1)))[5] == 1_000_000


def test_catalogs_are_listed_whole() -> None:
    listed = run("hardware list").stdout
    assert "rows omitted" not in listed and listed.count("\n") > 150


def test_requirements_are_checked_in_every_chunk() -> None:
    result = run("interactivity llama-3.1-8b h100-sxm --seq 1k --batch 1:60000:1 -f csv --require batch<59999 --columns batch")
    assert result.exit_code == 3 and result.stderr.count("failed: required batch") == 2


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Exit code, and what a terminal on stderr shows of a run whose rows go to a file."""
    parent, child = pty.openpty()
    process = subprocess.Popen([*ROOFCALC, *arguments], stdout=subprocess.DEVNULL, stderr=child, env={**os.environ, "COLUMNS": "80"})
    os.close(child)
    found = b""
    try:
        while block := os.read(parent, 65536):
            found += block
    except OSError:  # the terminal closed
        pass
    os.close(parent)
    return process.wait(60), found.decode()


def test_a_bar_on_a_terminal_and_none_elsewhere() -> None:
    long = (*GRID, "--batch", "1:700:1", "-f", "csv")
    code, shown = on_a_terminal(*long)
    done = [int(part) for part in re.findall(r"(\d+)%", shown)]
    assert code == 0 and len(set(done)) >= 2 and done == sorted(done)
    assert shown.endswith("\x1b[1A\x1b[2K")  # a line up, and erased
    assert "%" not in subprocess.run([*ROOFCALC, *long], capture_output=True, text=True).stderr


def test_short_work_shows_no_bar() -> None:
    code, shown = on_a_terminal("interactivity", "llama-3.1-8b", "h100-sxm", "--seq", "1k")
    assert (code, shown) == (0, "")


def test_a_library_draws_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    progress.enable(False)
    bar = Progress(2)
    bar.advance()
    assert capsys.readouterr().err == ""
    progress.enable()
    bar = Progress(2)
    bar.advance()
    bar.clear()
    progress.enable(False)
    assert " 50%" in capsys.readouterr().err


def test_an_interrupted_search_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "curve.csv"
    long = ["frontier", "deepseek-v3", "h200-sxm", "--devices", "1:512:1", "--seq", "1k:64k:x2", "-o", str(target)]
    process = subprocess.Popen(
        [*ROOFCALC, *long], stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (130, "error: interrupted\n") and os.listdir(tmp_path) == []


def test_a_requirement_fails_where_the_table_is_cut_off() -> None:
    """`--require … | head -1`: the reader stops before the table ends, and the exit code is still 3."""
    line = "max-batch llama-3.1-8b h100-sxm --seq 1k:20k:1 -f csv --require 'max_batch>=1e9'"
    script = f"{shlex.join(ROOFCALC)} {line} 2>/dev/null | head -1; exit ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert found.returncode == 3 and found.stdout.startswith("model,")
