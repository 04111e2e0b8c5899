"""What is given counts: values that would be dropped or misread, and options without effect, are refused in one line."""

from pathlib import Path

import pytest

import roofcalc as rc
from roofcalc.cli.commands import COMMANDS
from roofcalc.errors import RoofcalcError
from tests.shell import refused, rows, run

LLAMA = "llama-3.1-8b h100-sxm"


def test_an_option_given_twice_is_refused_in_every_command() -> None:
    for name, spec in COMMANDS.items():
        flags = [option.flags.split("|")[0] for option in spec.options if option.flags and not option.many and option.kind is not bool]
        for flag in (*flags[:: max(1, len(flags) // 4)], "--output"):
            message = (
                refused(f"{name} a b {flag} 1 {flag} 2") if name not in ("columns", "check", "overtrain") else refused(f"{name} {flag} 1 {flag} 2")
            )
            assert f"{flag}: given twice" in message, (name, flag)
    assert "--format: given twice" in refused(f"max-batch {LLAMA} -f csv --format json")
    assert "--sort: given twice" in refused("hardware list --sort year --sort memory_gb")
    assert run(f"max-batch {LLAMA} --seq 8k -q -q").exit_code == 0  # says the same twice
    assert len(rows("cost llama-3.1-8b h100-sxm --query 10:10 --query 20:20")) == 2  # repeatable


def test_an_empty_value_is_refused() -> None:
    for option in ("assume", "weights", "kv", "engine", "seq", "overlap", "tp", "columns", "interactivity", "format"):
        assert f"--{option}" in refused(f"max-batch {LLAMA} --{option} ''"), option
    assert "'' does not start a known engine" in refused("from '' h100-sxm") and "model: an empty name" in refused("memory '' h100-sxm")
    with pytest.raises(RoofcalcError, match="--assume"):
        rc.max_batch("llama-3.1-8b", "h100-sxm", seq=8000, assume="")


def test_variants_use_all_of_what_they_say() -> None:
    def message(variant: str) -> str:
        return refused(f"attention llama-3.1-8b --seq 8k --variant '{variant}'")

    assert "shared takes no value, got '2'" in message("shared=2") and "shared takes no value, got 'banana'" in message("shared=banana:1of2")
    assert "shared needs a part of the layers" in message("shared")
    for variant, dropped in (
        ("window=1024,window=2048", "window=1024"),
        ("window=1024,window=2048:1of2,window=512", "window=1024"),
        ("window=1024,chunk=2048", "window=1024"),
        ("kv_heads=1,mla=512", "kv_heads=1"),
        ("kv=fp8,kv=int8", "kv=fp8"),
        ("window=1024,linear=lightning", "window=1024"),
    ):
        assert f"{dropped} has no effect" in message(variant), variant
    # half of the layers each, by hand: 16 · 1,024 + 16 · 512 entries of 4,096 bytes
    assert float(rows("attention llama-3.1-8b --seq 8k --variant window=1024,window=512:1of2")[1]["kv_gb_per_seq"]) == pytest.approx(
        16 * (1024 + 512) * 4096 / 1e9
    )
    assert rows("attention llama-3.1-8b --seq 8k --variant window=1024:1of2,kv_heads=1,kv=fp8")
    assert rows("attention gemma-3-27b --seq 8k --variant window=1024,kv=fp8")  # as five of six layers are


@pytest.mark.parametrize("option", ["--imbalance 1.5", "--redundant-experts 2", "--dispatch-dtype fp8", "--combine-dtype bf16", "--routing skewed"])
def test_options_of_experts_need_experts(option: str) -> None:
    for line in (f"max-batch {LLAMA} --seq 8k", f"plan {LLAMA}", f"frontier {LLAMA}", f"cost {LLAMA} --query 10:10", f"ops {LLAMA} --seq 8k"):
        assert f"{option.split()[0]}: llama-3.1-8b has no experts" in refused(f"{line} {option}")
    assert run(f"max-batch gpt-oss-20b 2xh100-sxm --seq 8k {option}").exit_code == 0


def test_separators_that_may_mean_thousands_are_refused() -> None:
    for value in ("1.000,5", "1.000.000,5", "12.500,75", "12,000", "4,096,000", "1,050", "8k,004"):
        assert "mixes separators" in refused(f"interactivity {LLAMA} --seq {value} --batch 1"), value
    assert "mixes separators" in refused("prefill llama-3.1-8b h100-sxm --seq 100 --cached 4,000")
    for value, wanted in (("1,500", 2), ("0.125,0.5", 2), ("0,0.5", 2), ("1.125,2.5", 2), ("1.5,20", 2), ("30,0", 2)):
        assert len(rows(f"max-batch {LLAMA} --seq 8k --interactivity {value}")) == wanted, value


def test_machines_are_used_as_a_whole() -> None:
    assert "--devices: 8xh100-sxm is used as a whole; give multiples of 8" in refused("plan llama-3.1-8b 8xh100-sxm --devices 3")
    assert "dgx-h100 is used as a whole; give multiples of 8" in refused("plan llama-3.1-8b dgx-h100 --devices 1:7:1")
    (row,) = rows("plan llama-3.1-8b 8xh100-sxm --devices 3,16,20")
    assert row["devices"] == "16"
    (row,) = rows("plan llama-3.1-8b h100-sxm --devices 3")
    assert row["devices"] == "3"
    assert "3xh100-sxm: the line starts 1 of its devices" in run("from 'vllm serve Qwen/Qwen3-8B' 3xh100-sxm --seq 8k").stderr


def test_negative_memory_is_refused() -> None:
    assert "--min-memory-gb: expected GB from 0, got -1" in refused("hardware list --min-memory-gb -1")


def test_a_long_chain_of_entries_is_no_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tmp_path / "hardware"
    places.mkdir()
    for number in range(40):
        base = f"dev-{number - 1}" if number else "h100-sxm"
        (places / f"dev-{number}.yaml").write_text(f"name: dev-{number}\nlike: {base}\n")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    assert rows("memory llama-3.1-8b dev-20 --seq 8k")[0]["hardware"] == "dev-20"
    assert "a chain of more than 32 entries" in refused("memory llama-3.1-8b dev-39 --seq 8k")
    (places / "dev-0.yaml").write_text("name: dev-0\nlike: dev-3\n")
    assert "a circle: dev-2 → dev-1 → dev-0 → dev-3 → dev-2" in refused("memory llama-3.1-8b dev-2 --seq 8k")


def test_notes_say_what_applies() -> None:
    # rates that are given are not said to be assumed
    line = "reliability llama-3.1-8b h100-sxm --tokens 1k"
    assert "per device-hour: 2.8e-07 silent errors and 1.9e-05 other failures (--error-rate, --failure-rate)" in run(line).stderr
    assert "per device-hour: 1.9e-05 other failures (--failure-rate)" in run(f"{line} --error-rate 2").stderr
    assert "per device-hour" not in run(f"{line} --error-rate 2 --failure-rate 3").stderr
    # a floor on the cost of both pools does not depend on where prompts are prefilled; one on the pool that decodes has no prompts
    line = f"max-batch {LLAMA} --isl 2k --osl 100 --assume bound"
    assert "--prefill changes nothing there" in run(f"{line} --prefill chunked").stderr
    said = run(f"{line} --prefill separate").stderr
    assert "--prefill changes nothing there" not in said and "--prefill separate: another pool prefills" in said
    for line in (f"cost {LLAMA} --query 2k:100", f"vote {LLAMA} --prefix 2k --suffix 100"):
        assert "--prefill changes nothing there" in run(f"{line} --assume bound --prefill separate").stderr
        assert "--prefill changes nothing there" not in run(f"{line} --prefill chunked").stderr
        # of several presets each gets its notes
        said = run(f"{line} --assume bound,roofline --prefill separate").stderr
        assert "--prefill changes nothing there" in said and "--prefill separate: " in said
    assert "admits 14 sequences at a time" in run("interactivity gpt-oss-20b 2xh100-sxm --tp 1 --dp 2 --seq 8k --batch 64 --max-seqs 7").stderr
    assert "at a time" not in run("interactivity gpt-oss-20b 2xh100-sxm --tp 1 --dp 2 --seq 8k --batch 14 --max-seqs 7").stderr
