"""prefill, flops, ops, attention and explain as shell commands: columns, formats, notes, bad input."""

import csv
import io
import json

import pytest

from tests.cli.test_cli import ASSUMED
from tests.shell import LLAMA, refused, rows, run

CASE = "model,hardware,weights,kv"
# The contract, copied from it and not from the code; what follows the assumptions was added behind
COLUMNS = {
    f"prefill {LLAMA} --seq 775": f"{CASE},seq,cached,batch,ttft_ms,prefill_tok_s,limited_by,{ASSUMED}",
    f"prefill {LLAMA} --seq 775 --chunk 100": f"{CASE},seq,cached,batch,ttft_ms,prefill_tok_s,limited_by,{ASSUMED},chunk",
    "flops llama-3.1-405b --seq 775": (
        f"{CASE},seq,sdpa_gflop_per_token,linear_gflop_per_token,total_gflop_per_token,prefill_tflop,flop_limited_seq,{ASSUMED}"
    ),
    f"flops {LLAMA} --seq 775 --batch 2": (
        f"{CASE},seq,sdpa_gflop_per_token,linear_gflop_per_token,total_gflop_per_token,prefill_tflop,flop_limited_seq,{ASSUMED},"
        "batch,min_interactivity_tok_s"
    ),
    f"ops {LLAMA} --seq 775": (
        f"{CASE},seq,batch,op,layers,gflop,mb,intensity_flop_per_byte,compute_us,memory_us,network_us,time_us,share,limited_by,{ASSUMED},format"
    ),
    f"ops {LLAMA} --seq 775 --phase prefill --cached 5": (
        f"{CASE},seq,batch,op,layers,gflop,mb,intensity_flop_per_byte,compute_us,memory_us,network_us,time_us,share,limited_by,{ASSUMED},cached,format"
    ),
    "attention llama-3.1-405b --seq 775": (
        f"{CASE},variant,seq,kv_gb_per_seq,kv_mb_per_token,sdpa_gflop_per_token,relative_kv,relative_flop,kv_exponent,flop_exponent,{ASSUMED}"
    ),
    f"interactivity {LLAMA} --isl 775 --osl 10 --batch 1": (
        f"{CASE},seq,batch,interactivity_tok_s,limited_by,step_ms,throughput_tok_s,throughput_tok_s_per_device,fits_memory,{ASSUMED},"
        "isl,osl,kv_at,ttft_ms,requests_per_s,ttft_idle_ms,decode_tok_s"
    ),
}


@pytest.mark.parametrize("line", COLUMNS)
def test_columns_are_the_contract(line: str) -> None:
    result = run(f"{line} -f csv")
    assert result.stdout.splitlines()[0] == COLUMNS[line], result.stderr
    answer = json.loads(run(f"{line} -f json").stdout)
    assert ",".join(answer["rows"][0]) == COLUMNS[line] and answer["command"] == line.split()[0]
    assert all(value == value for row in answer["rows"] for value in row.values())


@pytest.mark.parametrize("line", COLUMNS)
def test_no_two_columns_of_a_table_read_alike(line: str) -> None:
    markdown = next(one for one in run(f"{line} -f md").stdout.splitlines() if one.startswith("| "))
    heads = [head.strip() for head in markdown.strip("|").split("|")]
    assert len(set(heads)) == len(heads), heads


def test_prefill_lists_cross_in_the_order_given() -> None:
    found = rows("prefill llama-3.1-8b h100-sxm --seq 1k,2k --cached 0,500 --batch 1,4")
    keys = [(row["seq"], row["cached"], row["batch"]) for row in found]
    assert keys[:4] == [("1000", "0", "1"), ("1000", "0", "4"), ("1000", "500", "1"), ("1000", "500", "4")] and len(set(keys)) == 8
    for row in found:
        tokens = int(row["seq"]) * int(row["batch"])
        assert float(row["prefill_tok_s"]) == pytest.approx(tokens / float(row["ttft_ms"]) * 1e3, rel=1e-9)
    assert [row["seq"] for row in rows("prefill llama-2-7b h100-sxm")] == ["1000", "2000", "4000"]


def test_a_device_without_a_peak_prefills_in_no_time_that_is_known(tmp_path: object) -> None:
    path = f"{tmp_path}/bare.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    (row,) = rows(f"prefill llama-3.1-8b {path} --seq 1k")
    assert (row["ttft_ms"], row["prefill_tok_s"], row["limited_by"]) == ("", "", "unknown")
    (row,) = rows(f"flops llama-3.1-8b {path} --seq 1k")
    assert row["flop_limited_seq"] == "" and float(row["linear_gflop_per_token"]) > 15
    (row,) = rows(f"interactivity llama-3.1-8b {path} --isl 1k --osl 10 --batch 1")
    assert row["ttft_ms"] == row["requests_per_s"] == row["step_ms"] == "" and row["fits_memory"] == "true"


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("prefill llama-2-7b h100-sxm --seq 5k", "context exceeds the model's maximum of 4096 tokens"),
        ("prefill llama-2-7b h100-sxm --seq 4k --cached 97", "context exceeds the model's maximum of 4096 tokens"),
        ("ops llama-2-7b h100-sxm --phase prefill --seq 4k --cached 97", "context exceeds the model's maximum of 4096 tokens"),
        ("prefill llama-3.1-405b h100-sxm --seq 1k", "llama-3.1-405b does not fit on h100-sxm"),
        ("prefill llama-3.1-8b h100-sxm --seq 100k --batch 1,50", "some batches do not fit in memory; their times are computed as if they did"),
        ("prefill llama-3.1-8b a100-sxm-80gb --weights all=fp8 --seq 1k", "a100-sxm-80gb has no fp8 peak: GEMMs with fp8 weights compute in bf16"),
    ],
)
def test_notes(line: str, note: str) -> None:
    result = run(line)
    assert result.exit_code == 0 and any(one.startswith("note: ") and note in one for one in result.stderr.splitlines()), result.stderr
    assert run(line + " --quiet").stderr == ""
    assert run("prefill llama-2-7b h100-sxm --seq 4000 --cached 96").stderr == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("prefill llama-3.1-8b", "Missing argument 'HARDWARE'"),
        ("prefill llama-3.1-8b h100-sxm --seq 0", "seq: expected 1 to"),
        ("prefill llama-3.1-8b h100-sxm --cached -1", "cached: expected 0 to"),
        ("prefill llama-3.1-8b h100-sxm --cached 0.5", "cached: expected a whole number, got 0.5"),
        ("prefill llama-3.1-8b h100-sxm --batch 0", "batch: expected 1 to"),
        ("prefill llama-3.1-8b h100-sxm --chunk 0", "chunk: expected 1 to"),
        ("prefill llama-3.1-8b h100-sxm --chunk 1k,2k", "chunk: expected one number, got 2"),
        ("prefill llama-3.1-8b h100-sxm --seq 1G --chunk 1", "chunk: 1,000,000,000 steps of 1 tokens in each row; at most 10,000,000"),
        ("ops llama-3.1-8b h100-sxm --seq 1k --cached 1", "--cached, --chunk: only for a prefill; give --phase prefill"),
        ("ops llama-3.1-8b h100-sxm --seq 1k --chunk 1", "--cached, --chunk: only for a prefill; give --phase prefill"),
        ("ops llama-3.1-8b h100-sxm --phase prefil", "--phase: invalid choice 'prefil' (choose from decode, prefill); did you mean prefill?"),
        ("ops llama-3.1-8b h100-sxm --phase prefill --seq 1G --chunk 1", "at most 10,000,000 are computed at once"),
        ("attention llama-3.1-8b --variant window", "variant: window needs a value, such as window=1024:5of6"),
        ("attention llama-3.1-8b --variant windw=4", "cannot read 'windw=4'; did you mean window?"),
        ("attention llama-3.1-8b --variant kv_heads=5", "kv_heads"),
        ("attention mamba2-1.3b --variant kv_heads=1", "has no attention layers"),
        ("explain prefil llama-3.1-8b h100-sxm", "unknown command 'prefil'; did you mean prefill?"),
        ("explain prefill llama-3.1-8b h100-sxm --chunk 5", "No such option"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    text = refused(line)
    assert complaint in text and text.count("error: ") == 1


def test_every_format_and_require() -> None:
    for line in COLUMNS:
        for format in ("table", "csv", "json", "md"):
            assert run(f"{line} -f {format}").exit_code == 0
    assert run("prefill llama-3.1-8b h100-sxm --seq 1k --require 'ttft_ms<100'").exit_code == 0
    failed = run("prefill llama-3.1-8b h100-sxm --seq 100k --require 'ttft_ms<100'")
    assert failed.exit_code == 3 and "failed: " in failed.stderr
    narrow = list(csv.reader(io.StringIO(run("prefill llama-3.1-8b h100-sxm --seq 1k -f csv --columns ttft_ms,seq").stdout)))
    assert narrow[0] == ["ttft_ms", "seq"] and narrow[1][1] == "1000"


def test_a_table_says_what_it_is_about() -> None:
    text = run("prefill llama-3.1-8b h100-sxm --seq 1k --cached 2k").stdout.splitlines()
    heads = " ".join(text[1:4])
    for word in ("new", "cached", "first", "token", "ms", "prefill", "tok/s", "limited"):
        assert word in heads
    ops = run("ops llama-3.1-8b h100-sxm --phase prefill --seq 1k").stdout
    assert "new" in ops.splitlines()[1] and "the first token of `roofcalc prefill`" in ops
    decode = run("ops llama-3.1-8b h100-sxm --seq 1k").stdout
    assert "context" in decode.splitlines()[1] and "the step of `roofcalc interactivity`" in decode
