"""Files, names and surroundings that mean harm or are broken: one line each, quickly, and nothing half written."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roofcalc.report.csv_json import csv_lines
from roofcalc.report.table import Block, Column, Table
from tests.shell import refused, rows, run

LINE = "max-batch llama-3.1-8b h100-sxm --seq 1k"
MODEL = (Path(__file__).parent.parent.parent / "models" / "meta" / "llama-3.1-8b.yaml").read_text(encoding="utf-8")


def given(folder: Path, content: bytes, name: str = "given.yaml") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12))
MERGES = "a: &a {k: 1}\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{', '.join([f'*{chr(97 + n)}'] * 9)}]}}\n" for n in range(4))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (BOMB.encode(), "nested too deeply or too large"),
        (MERGES.encode(), "unknown key"),
        (b"a: " + b"[" * 500 + b"]" * 500, "nested"),
        (b"a: " + b"{b: " * 500 + b"1" + b"}" * 500, "nested"),
        (b"a: &a [*a]", "nested too deeply"),
        (b"name: given\nvocab: !!python/object/apply:os.system [ls]\n", "vocab: expected a whole number, got a list"),
        (b"name: given\nvocab: !!bool maybe\n", "'maybe' is not a valid bool"),
        (b"name: given\nvocab: !!timestamp soon\n", "'soon' is not a valid timestamp"),
        (b"name: given\nvocab: !!int ''\n", "'' is not a valid int"),
        (b"name: given\nvocab: 0x" + b"f" * 5000, "integers of 20,000 bits are not supported"),
        (b"name: given\nblocks: {b: {attention: {type: [mla]}}}\n", "unknown kind a list"),
        (b"name: given\nvocab: 1\x000\n", "control characters are not allowed"),
        (b"\xff\xfen\x00a\x00", "is not UTF-8 text"),
        (b"", "expected a mapping"),
        (b"a: 1\n---\na: 2\n", "but found another document"),
    ],
)
def test_files_that_no_catalog_has(tmp_path: Path, content: bytes, complaint: str) -> None:
    assert complaint in refused(f"models show {given(tmp_path, content)}")


def many(form: str, count: int) -> str:
    return "".join(form.format(number) for number in range(count))


@pytest.mark.parametrize(
    ("begins", "form", "count", "complaint"),
    [
        (MODEL, "key{:05}: 1\n", 20_000, "key00000: unknown key"),
        (MODEL, "k{}: 1\n", 60_000, "k0: unknown key"),
        (MODEL, "k{0}: 1\nk{0}: 1\n", 20_000, "k0: given more than once"),
        (MODEL + "extra:\n", "  key{:05}: 1\n", 20_000, "extra: unknown key"),
        ("name: given\nblocks:\n", "  k{}: {{x: 1}}\n", 20_000, "blocks.k0.x: unknown key"),
    ],
)
def test_files_of_very_many_keys_are_refused_within_a_second(tmp_path: Path, begins: str, form: str, count: int, complaint: str) -> None:
    """Each key in constant time, nearest names for the first hundred: a second of this process's own time, three where a machine is slow."""
    path = given(tmp_path, (begins + many(form, count)).encode())
    begun = time.process_time()
    said = refused(f"models show {path}")
    assert time.process_time() - begun < 3
    assert complaint in said and len(said.splitlines()) in (1, 101)


def test_tables_of_very_many_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for the nearest of 240 names takes some milliseconds: it ends with the hundredth."""
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    (tmp_path / "hardware").mkdir()
    head = "provider,hardware,usd_per_hour,terms,date,source,notes\n"
    (tmp_path / "hardware" / "prices.csv").write_text(head + many("a,card-{:05},1,on_demand,2026-01,https://example.com/,\n", 15_000))
    begun = time.process_time()
    said = refused("cost llama-3.1-8b h100-sxm --query 1k:100")
    assert "prices.csv:2: hardware: no catalog entry 'card-00000'" in said and "not checked from here on" in said
    assert time.process_time() - begun < 5


def test_a_file_of_100_mb_is_refused_by_its_size(tmp_path: Path) -> None:
    for name, limit in (("given.yaml", "1,000,000"), ("given.json", "16,000,000")):
        path = tmp_path / name
        path.touch()
        os.truncate(path, 100_000_000)  # a hole: it takes no room
        assert f"larger than the limit of {limit} bytes" in refused(f"models show {path}")


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "round.yaml").symlink_to("round.yaml")
    kinds = {
        "folder": "not a regular file",
        "pipe": "not a regular file",
        "zero": "not a regular file",
        "round": "symbolic links",
    }
    for name, complaint in kinds.items():
        assert complaint in refused(f"models show {tmp_path / f'{name}.yaml'}")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "again").symlink_to(tmp_path)
    assert run(f"models check {tmp_path / 'models'}").exit_code in (0, 2)


LOAD = "plan llama-3.1-8b h100-sxm --batch 8 --mix"


@pytest.mark.parametrize("line", [LOAD, "check", "validate", "fit"])
def test_files_of_requests_checks_and_points_that_are_none(line: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 100_000_000)
    given(tmp_path, b"4000:500\n\xff\xfe", "latin")
    given(tmp_path, b"", "empty")
    for name, complaint in {
        "folder": "not a regular file",
        "pipe": "not a regular file",
        "zero": "not a regular file",
        "round": "symbolic links",
        "large": "larger than the limit of 1,000,000 bytes",
        "latin": "byte 9 is not UTF-8 text",
        "empty": "",
        "nowhere": "cannot be read: No such file or directory",
    }.items():
        said = refused(f"{line} {tmp_path / name}")
        assert f"{tmp_path / name}" in said and complaint in said


def test_a_file_that_is_wrong_in_every_line_is_told_in_a_hundred(tmp_path: Path) -> None:
    few, many = given(tmp_path, b"x\ny\n", "few"), given(tmp_path, b"x\n" * 20_000, "many")
    assert len(refused(f"{LOAD} {few}").splitlines()) == 2
    said = refused(f"{LOAD} {many}").splitlines()
    assert len(said) == 101 and said[-1] == "error: and 19,900 more"


@pytest.mark.parametrize(
    "line",
    ["check 'a\0'", "validate 'a\0'", "fit 'a\0'", f"{LOAD} 'a\0'", f"{LINE} -o 'a\0'", f"report {LINE[10:]} -o 'a\0.html'", "models show './a\0'"],
)
def test_a_zero_byte_in_the_name_of_a_file(line: str) -> None:
    assert "a\\x00" in refused(line)


@pytest.mark.parametrize("key", [".nan{checks", "checks.x", "a.b.c"])
def test_checks_under_a_key_with_points(tmp_path: Path, key: str) -> None:
    assert "unknown key" in refused(f"check {given(tmp_path, f'{key}: 1'.encode())}")


def test_marks_and_line_ends_in_files_of_requests_checks_and_points(tmp_path: Path) -> None:
    checks = b"checks:\n  - name: a\n    command: memory\n    arguments: {model: llama-3.1-8b, hardware: h100-sxm, seq: 1k}\n    column: batch\n"
    points = b"model,hardware,weights_dtype,isl,batch_or_concurrency,metric,value\nllama-3.1-8b,h100-sxm,bf16,1000,1,tok_s_user,100\n"
    files = {LOAD: b"4000:500 0.7\n200:50, 0.3\n", "check": checks + b'    op: "=="\n    value: 1\n', "validate": points, "fit": points}
    for line, content in files.items():
        plainly = run(f"{line} {given(tmp_path, content)} -f csv")
        assert plainly.exit_code == 0, plainly.stderr
        for changed in (b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r\n")):
            assert run(f"{line} {given(tmp_path, changed)} -f csv").stdout == plainly.stdout


@pytest.mark.parametrize("change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")])
def test_marks_and_line_ends_of_other_systems(tmp_path: Path, change: object) -> None:
    assert callable(change)
    path = given(tmp_path, change(MODEL.encode()), "llama-3.1-8b.yaml")
    assert rows(f"max-batch {path} h100-sxm --seq 1k") == rows(LINE)


@pytest.mark.parametrize(
    "name", ["=cmd|calc!A0", "@SUM(A1)", "+1+1", "-rf", "../up", "a/b", "a b", "a,b", "\u202egpj", "a\u200bb", "模型", "\u00e9", "x" * 201, "a\tb"]
)
def test_names_that_break_the_rule(tmp_path: Path, name: str) -> None:
    text = f'name: "{name}"\nlike: llama-3.1-8b\n'.replace("\t", "\\t")
    said = refused(f"models show {given(tmp_path, text.encode())}")
    assert "name: expected a name of letters, digits and . _ + -" in said and "\u202e" not in said and "\u200b" not in said


def test_a_spreadsheet_computes_no_text() -> None:
    table = Table("test", (Column("a", "a", "", "", "text"), Column("b", "b", "", "")))
    for text in ("=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "plain", "a=b", "=a,b"):
        table.blocks.append(Block(1, {"a": text, "b": -1.5}))
    found = "\n".join(csv_lines(table)).split("\n")[1:]
    assert found == ["'=1+1,-1.5", "'@SUM(A1),-1.5", "'+1,-1.5", "'-1,-1.5", "'\t=1,-1.5", "plain,-1.5", "a=b,-1.5", '"\'=a,b",-1.5']


@pytest.mark.parametrize("number", ["nan", "inf", "1e309", "0x10", "-0", "9" * 5000, "-9223372036854775809", "18446744073709551616", "1__x"])
def test_numbers_that_are_none(number: str) -> None:
    assert "seq: " in refused(f"max-batch llama-3.1-8b h100-sxm --seq={number}")


def test_underscores_part_digits() -> None:
    assert rows("max-batch llama-3.1-8b h100-sxm --seq 1_000") == rows(LINE)


def test_terminals_get_no_control_characters() -> None:
    said = refused("max-batch $'\\e[31m' h100-sxm".replace("$'\\e", "'\x1b"))
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "environment",
    [
        {"COLUMNS": "0"},
        {"COLUMNS": "-5"},
        {"COLUMNS": "wide"},
        {"TERM": ""},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"ROOFCALC_PATH": os.pathsep.join(["", "/nonexistent", "/dev/null", "/proc/self/mem", "~", "relative", "a" * 5000])},
        {"HOME": ""},
    ],
)
def test_odd_environments(environment: dict[str, str], tmp_path: Path) -> None:
    line = [sys.executable, "-c", "from roofcalc.__main__ import main; main()", *LINE.split()]
    root = str(Path(__file__).parent.parent.parent)
    result = subprocess.run(line, capture_output=True, env={**os.environ, "PYTHONPATH": root, **environment}, cwd=tmp_path)
    assert result.returncode == 0 and b"llama-3.1-8b" in result.stdout and b"Traceback" not in result.stderr


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roofcalc.report.streams._put", full)
    assert "a.csv: cannot be written: No space left on device" in refused(f"{LINE} -o {target}")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
