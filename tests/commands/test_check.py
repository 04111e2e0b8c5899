"""`check`: assertions from a file, their differences and exit codes, JUnit, and what is wrong with a file."""

import csv
import inspect
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer

import roofcalc as rc
from roofcalc.cli.app import app
from roofcalc.cli.options import OUTPUT
from roofcalc.commands.assertions import Assertion, table_commands
from roofcalc.commands.options import Options
from roofcalc.errors import option_name
from tests.shell import refused, rows, run
from tools.examples import ROOT, script_output

# Llama 3.1 405B, fp8 weights, 8×H100: memory holds 59 sequences of 7,661 tokens and 585 of 775 (640e9 − 405.9e9 bytes over
# 516,096 per token); one user at 775 tokens reads the weights in 405e9 / (8 · 3.35e12) s = 15.1 ms where the network is ideal.
LLAMA = "model: llama-3.1-405b, hardware: 8xh100-sxm, weights: all=fp8"


def saved(folder: Path, *checks: str) -> Path:
    path = folder / "ci.yaml"
    path.write_text("checks:\n" + "".join(f"  - {{{check}}}\n" for check in checks))
    return path


def memory(name: str, rest: str, arguments: str = "seq: '775,7661'") -> str:
    return f"name: {name}, command: memory, arguments: {{{LLAMA}, {arguments}}}, {rest}"


@pytest.mark.parametrize(
    ("rest", "expected", "got", "ok"),
    [
        ("column: batch_memory, op: '>=', value: 59", "batch_memory >= 59", "585, 59", True),
        ("column: batch_memory, op: '>', value: 59", "batch_memory > 59", "59", False),
        ("column: batch_memory, op: '<=', value: 59, rows: any", "batch_memory <= 59 in any row", "59", True),
        ("column: batch_memory, op: '<', value: 59, rows: any", "batch_memory < 59 in any row", "585, 59", False),
        ("column: batch_memory, op: '==', value: 585, rows: first", "batch_memory == 585 in the first row", "585", True),
        ("column: batch_memory, op: '!=', value: 585, rows: first", "batch_memory != 585 in the first row", "585", False),
        ("column: batch_memory, op: '~', value: 60, tolerance: 0.02, rows: any", "batch_memory ~ 60 (+-2 %) in any row", "59", True),
        ("column: batch_memory, op: '~', value: 60, tolerance: 0.01, rows: any", "batch_memory ~ 60 (+-1 %) in any row", "585, 59", False),
        ("column: batch_memory, op: '>=', value: 0.05k", "batch_memory >= 50", "585, 59", True),
        ("column: fits_memory, op: '==', value: true", "fits_memory == true", "true", True),
        ("column: fits_memory, op: '!=', value: 'true'", "fits_memory != true", "true", False),
        ("column: kv, op: '==', value: bf16", "kv == bf16", "bf16", True),
        ("column: tp, op: '==', value: 8", "tp == 8", "8", True),
    ],
)
def test_each_op_and_choice_of_rows(tmp_path: Path, rest: str, expected: str, got: str, ok: bool) -> None:
    path = saved(tmp_path, memory("a", rest))
    result = run(f"check {path} -f csv")
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert (row["name"], row["expected"], row["got"], row["ok"]) == ("a", expected, got, str(ok).lower())
    assert result.exit_code == (0 if ok else 3) and ("failed: a: expected" in result.stderr) is not ok


def test_columns_and_the_api_are_the_contract(tmp_path: Path) -> None:
    path = saved(tmp_path, memory("a", "column: batch_memory, op: '>=', value: 59"), memory("b", "column: batch_memory, op: '>', value: 59"))
    assert run(f"check {path} -f csv").stdout.splitlines()[0] == "name,expected,got,ok"
    table = rc.check(path)
    assert table["ok"].tolist() == [True, False] and [row["got"] for row in table.rows()] == ["585, 59", 59] and len(table.failures) == 1
    assert rc.check(str(path))["name"].tolist() == ["a", "b"]


def test_the_difference_is_readable(tmp_path: Path) -> None:
    path = saved(tmp_path, memory("sixty-four fit", "column: batch_memory, op: '>=', value: 64"))
    result = run(f"check {path} -q")
    # 59 is 5 less than 64, and 5/64 = 7.8 %
    assert (result.exit_code, result.stderr) == (
        3,
        "failed: sixty-four fit: expected batch_memory >= 64, got 59: 5 less, 7.8% "
        "(model llama-3.1-405b, hardware 8xh100-sxm, weights all=fp8, kv bf16, seq 7661, batch 1)\n",
    )
    step = f"name: s, command: interactivity, arguments: {{{LLAMA}, seq: 775, batch: 1, network: ideal}}, column: step_ms"
    near = step + ", op: '~', value: 15.1, tolerance: 0.005"
    assert run(f"check {saved(tmp_path, near)}").exit_code == 0
    told = run(f"check {saved(tmp_path, step + ', op: <, value: 10')} -q").stderr
    assert "limited_by bandwidth" in told and re.search(r"got 15\.[01]\d*: 5\.[01]\d+ more, 5[01]\.\d% \(", told)


def test_many_rows_are_told_in_a_few_lines(tmp_path: Path) -> None:
    path = saved(tmp_path, memory("a", "column: batch_memory, op: '>', value: 1M", "seq: '1k:20k:1k'"))
    result = run(f"check {path} -q -f csv")
    assert len(result.stderr.splitlines()) == 6 and result.stderr.endswith("failed: a: and 15 more rows\n")
    assert result.stdout.splitlines()[1].count(",") == 7 and "and 15 more" in result.stdout  # four columns, five values in one of them


def test_no_figure_and_no_rows_hold_nothing(tmp_path: Path) -> None:
    nothing = "name: a, command: max-batch, arguments: {{model: llama-3.1-405b, hardware: h100-sxm, seq: 1k}}, column: step_ms, op: '{}', value: 1"
    for op in ("<", ">", "!="):
        result = run(f"check {saved(tmp_path, nothing.format(op))} -f json")
        assert result.exit_code == 3 and '"got": null' in result.stdout and "got nothing (" in result.stderr
    bare = tmp_path / "bare.yaml"
    bare.write_text("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    for which in ("all", "any", "first"):  # a device without a usable peak has no operations to show
        ops = f"name: a, command: ops, arguments: {{model: llama-3.1-8b, hardware: {bare}, seq: 1k}}, rows: {which}, column: time_us, "
        ops += "op: '>=', value: 0"
        assert "got no rows" in run(f"check {saved(tmp_path, ops)} -q").stderr


def test_options_by_either_name(tmp_path: Path) -> None:
    def got(arguments: str) -> str:
        path = saved(
            tmp_path, f"name: a, command: max_batch, arguments: {{{LLAMA}, seq: 7661, {arguments}}}, column: batch_memory, op: '>', value: 0"
        )
        return rows(f"check {path}")[0]["got"]

    # (8 · (80e9 − 5e9) − 405.9e9) / (7661 · 516,096) = 49.1; a 16-token block makes 7,664 of 7,661 tokens
    assert [got(f"{name}: 5") for name in ("reserve", "reserve_gb", "--reserve")] == ["49"] * 3
    assert got("kv-block: 16, interactivity: [20, 30]") == got("kv_block: 16") == "59"
    assert got("set: [hardware.memory.capacity_gb=75]") == got("changes: hardware.memory.capacity_gb=75") == "49"
    # in base 60, as YAML 1.1 reads it, 10:50:20 would be 39,020
    path = saved(
        tmp_path, "name: a, command: memory, arguments: {model: llama-2-7b, hardware: h100-sxm, seq: 10:50:20}, column: seq, op: '>', value: 0"
    )
    assert rows(f"check {path}")[0]["got"] == "10, 30, 50"


def test_junit_is_read_back(tmp_path: Path) -> None:
    name = """'<&"''> Größe 64'"""
    path = saved(tmp_path, memory(name, "column: batch_memory, op: '<', value: 64"), memory("good", "column: batch_memory, op: '>=', value: 59"))
    target = tmp_path / "out.xml"
    result = run(f"check {path} --junit {target} -f csv")
    assert result.exit_code == 3 and result.stdout.startswith("name,expected,got,ok\n")
    root = ElementTree.parse(target).getroot()
    assert root.tag == "testsuites" and target.read_text(encoding="utf-8").startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    (suite,) = root
    assert suite.tag == "testsuite" and {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "ci",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    bad, good = suite
    assert [case.tag for case in suite] == ["testcase"] * 2 and (good.get("name"), good.get("classname"), len(good)) == ("good", "ci.memory", 0)
    assert bad.get("name") == "<&\"'> Größe 64" and all(float(case.get("time", "x")) >= 0 for case in suite)
    (failure,) = bad
    assert failure.tag == "failure" and "expected batch_memory < 64, got 585: 521 more, 814.1%" in failure.get("message", "")
    assert failure.text is not None and failure.text.startswith(failure.get("message", "x"))
    assert "cannot be written" in refused(f"check {path} --junit /nonexistent/out.xml")
    assert "--junit: the value is empty" in refused(f"check {path} --junit ''")


def test_junit_has_no_characters_that_xml_lacks(tmp_path: Path) -> None:
    check = memory("a", 'column: kv, op: "==", value: "b\\a\\x01 f16"')
    run(f"check {saved(tmp_path, check)} --junit {tmp_path / 'out.xml'}")
    (failure,) = ElementTree.parse(tmp_path / "out.xml").iter("failure")
    assert "kv == b?? f16" in failure.get("message", "")


BAD = {
    "nam: a, command: memory": ["{line}: checks.{i}.nam: unknown key; did you mean name?", "{line}: checks.{i}: `name` is missing"],
    memory("b", "column: batch_memory, op: '=>', value: 1"): ["{line}: checks.{i}.op: expected one of >= <= == != > < = ~ in quotes, got '=>'"],
    memory("c", "column: batch_memory, op: ~, value: 1"): [
        "{line}: checks.{i}.op: expected one of >= <= == != > < = ~ in quotes, got nothing (a bare ~ is null)"
    ],
    memory("d", "column: batch_memory, op: '~', value: 1"): ["{line}: checks.{i}.tolerance: op '~' needs a tolerance"],
    memory("e", "column: batch_memory, op: '<', value: 1, tolerance: 0.1"): ["{line}: checks.{i}.tolerance: op '<' takes no tolerance"],
    memory("f", "column: batch_memory, op: '~', value: 1, tolerance: 5"): ["{line}: checks.{i}.tolerance: expected a number from 1e-09 to 1, got 5"],
    memory("g", "column: batch_memory, op: '<', value: 1, rows: last"): ["{line}: checks.{i}.rows: expected one of all, any, first, got 'last'"],
    memory("h", "column: batch_memry, op: '<', value: 1"): ["{line}: checks.{i}.column: unknown column 'batch_memry'; did you mean batch_memory"],
    memory("i", "column: batch_memory, op: '<', value: many"): ["{line}: checks.{i}.value: memory: 'many' is not a number"],
    memory("j", "column: kv, op: '<', value: bf16"): ["{line}: checks.{i}.value: memory: kv is not numeric; compare it with == or !="],
    memory("k", "column: fits_memory, op: '==', value: 1"): ["{line}: checks.{i}.value: memory: fits_memory is true or false, not '1'"],
    memory("l", "column: kv, op: '==', value: x", "weigths: fp8"): [
        "{line}: checks.{i}.arguments.weigths: unknown option of memory; did you mean weights?"
    ],
    memory("m", "column: kv, op: '==', value: x", "kv_block: 1, kv-block: 2"): ["{line}: checks.{i}.arguments.kv-block: already given as kv_block"],
    memory("n", "column: kv, op: '==', value: x", "seq: 0, kv_block: x"): ["{line}: checks.{i}.arguments.kv_block: --kv-block: 'x' is not a number"],
    memory("o", "column: kv, op: '==', value: x", "seq: 0"): ["{line}: checks.{i}.arguments.seq: --seq: expected 1 to"],
    "name: p, command: memory, arguments: {model: nope, hardware: h100-sxm}, column: kv, op: '==', value: x": [
        "{line}: checks.{i}.arguments.model: unknown model 'nope'"
    ],
    "name: q, command: memory, arguments: {model: nope}, column: kv, op: '==', value: x": ["{line}: checks.{i}.arguments: `hardware` is missing"],
    "name: r, command: max-bach, arguments: {}, column: kv, op: '==', value: x": [
        "{line}: checks.{i}.command: unknown command 'max-bach'; did you mean max-batch?"
    ],
    'name: "s\\n", command: memory, arguments: {model: a, hardware: b}, column: kv, op: "==", value: x': [
        "{line}: checks.{i}.name: expected one line of text"
    ],
    memory("t", "column: kv, op: '==', value: [1]"): ["{line}: checks.{i}.value: expected a number, got a list"],
    memory("u", "column: kv, op: '==', value: x", "seq: {a: 1}"): ["{line}: checks.{i}.arguments.seq: expected a number, got a mapping"],
}


@pytest.mark.parametrize("check", BAD)
def test_each_bad_check(tmp_path: Path, check: str) -> None:
    path = saved(tmp_path, memory("good", "column: batch_memory, op: '>=', value: 59"), check)
    told = refused(f"check {path} --junit {tmp_path / 'out.xml'}")
    for expected in BAD[check]:
        assert f"error: {path}:{expected.format(line=3, i=1)}" in told
    assert not (tmp_path / "out.xml").exists()


def test_all_errors_of_a_file_at_once_in_its_order(tmp_path: Path) -> None:
    path = saved(tmp_path, *BAD)
    told = refused(f"check {path}").splitlines()
    for i, expected in enumerate(BAD.values()):
        for sentence in expected:
            assert any(line.startswith(f"error: {path}:{sentence.format(line=i + 2, i=i)}") for line in told), sentence
    places = [int(match.group(1)) for line in told if (match := re.search(r":(\d+): checks", line))]
    assert places == sorted(places) and len(places) == len(told)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("checks: []\n", ":1: checks: expected at least one check"),
        ("check: []\n", "check: unknown key; did you mean checks?"),
        ("checks: {a: 1}\n", ":1: checks: expected a list, got a mapping"),
        ("checks: [1, 2]\n", ":1: checks.1: expected a mapping, got 2"),
        ("- name: a\n", "expected a mapping of keys to values"),
        ("checks:\n  - name: a\n    op: >=\n    value: 1\n", 'write an op in quotes: op: ">="'),
        ("checks: [{name: a, op: !=, value: 1}]\n", 'write an op in quotes: op: ">="'),
        ("checks:\n  - name: [\n", "not valid YAML"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "ci.yaml"
    path.write_text(text)
    assert complaint in refused(f"check {path}")


def test_files_that_are_not_there_and_names_used_twice(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused(f"check {tmp_path / 'nope.yaml'}")
    twice = memory("a", "column: kv, op: '==', value: bf16")
    assert ":3: checks.1.name: 'a' is the name of another check too" in refused(f"check {saved(tmp_path, twice, twice)}")


def test_every_table_of_the_shell_can_be_checked_by_every_option_of_the_shell() -> None:
    group = {name: app_command for name in table_commands() if (app_command := _command(name))}
    assert {"max-batch", "interactivity", "memory", "prefill", "flops", "ops", "attention"} <= set(group) and "explain" not in table_commands()
    for name, shell in group.items():
        check = Assertion(name="a", command=name, arguments={}, column="kv", op="==", value="x")
        taken = {*inspect.signature(check.function).parameters, *Options.__annotations__}
        for parameter in shell.params:
            if parameter.name in {option.name for option in OUTPUT} | {"help"} or parameter.name.startswith("no_"):
                continue
            spelt = {option_name(flag) for flag in (*parameter.opts, parameter.name) if not re.fullmatch("-[a-z]", flag)}
            if (name, parameter.name) == ("fit", "machine"):
                spelt.remove("hardware")  # under this key a file gives the argument `hardware`, which `fit` takes for a result file too
            assert spelt == {parameter.name} and parameter.name in taken, (name, parameter.opts)


def _command(name: str) -> Any:
    return typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]


def test_the_lines_of_the_page_on_ci_fail_for_a_model_that_no_longer_fits(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "in-ci.md").read_text(encoding="utf-8")
    (script,), (shown,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL), re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    code, printed = script_output(script, tmp_path)
    assert code == 3 and printed.rstrip("\n") == shown.rstrip("\n")
    # four times 80e9 bytes, less 70,553,706,496 weights of one byte, and one byte more for the two tables of 128,256 · 8,192, over
    # 80 layers · 8 heads · 256 · 2 bytes · 8,000 tokens
    assert int((320e9 - 70_553_706_496 - 2 * 128_256 * 8192) / (80 * 8 * 256 * 2 * 8000)) == 94 and " 94 " in shown
    failed = [case.get("name") for case in ElementTree.parse(tmp_path / "serving.xml").iter("testcase") if len(case)]
    assert failed == ["64 chats of 8k tokens"]
