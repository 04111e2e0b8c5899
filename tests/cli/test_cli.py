"""The command line: every command and format, streams and exit codes."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

from roofcalc import __version__
from tests.shell import LLAMA, refused, rows, run

ASSUMED = "assume,overlap,network,compute,mbu,mfu,link,util,reserve_gb,capacity,kv_policy,kv_block,tp,pp,dp,ep,dcp"
COLUMNS = {  # the contract, copied from it and not from the code
    "max-batch": (
        "seq,min_interactivity_tok_s,max_batch,limited_by,batch_memory,batch_interactivity,interactivity_tok_s,step_ms,"
        "throughput_tok_s,throughput_tok_s_per_device,kv_gb_per_seq,weights_gb"
    ),
    "interactivity": "seq,batch,interactivity_tok_s,limited_by,step_ms,throughput_tok_s,throughput_tok_s_per_device,fits_memory",
    "memory": (
        "seq,batch,weights_gb,kv_gb,free_gb,capacity_gb,fits_memory,max_context,batch_memory,activations_gb,runtime_gb,kv_tokens,max_concurrency"
    ),
}


@pytest.mark.parametrize("command", COLUMNS)
def test_columns_are_the_contract(command: str) -> None:
    result = run(f"{command} {LLAMA} --seq 775 -f csv")
    expected = f"model,hardware,weights,kv,{COLUMNS[command]},{ASSUMED}"
    assert result.stdout.splitlines()[0] == expected
    row = json.loads(run(f"{command} {LLAMA} --seq 775 -f json").stdout)["rows"][0]
    assert ",".join(row) == expected


def test_csv_is_plain() -> None:
    text = run(f"max-batch {LLAMA} --seq 775,7661 --interactivity 30 -f csv").stdout
    assert text.isascii() and "\r" not in text and text.endswith("\n") and len(text.splitlines()) == 3
    one, other = csv.DictReader(io.StringIO(text))
    assert (one["max_batch"], one["limited_by"], other["max_batch"], other["limited_by"]) == ("385", "compute", "59", "capacity")
    assert 30 <= float(one["interactivity_tok_s"]) < 30.1 and len(one["interactivity_tok_s"]) > 10
    assert run(f"interactivity {LLAMA} --seq 775 --batch 1 -f csv").stdout.splitlines()[1].split(",")[11] == "true"


def test_json_is_one_object() -> None:
    result = json.loads(run(f"max-batch {LLAMA} --seq 775,7661 -f json").stdout)
    assert list(result) == ["schema", "command", "version", "catalog", "assumptions", "notes", "rows"]
    assert (result["schema"], result["command"], result["version"]) == (2, "max-batch", __version__)
    assert result["assumptions"]["tp"] == 8 and result["assumptions"]["overlap"] == "op"
    assert all(url.startswith("https://") for url in result["catalog"]["models"]["llama-3.1-405b"])
    assert result["notes"] == ["interactivity: at least 30 tok/s for each user (--interactivity)"]
    assert [row["max_batch"] for row in result["rows"]] == [385, 59]
    empty = json.loads(run("max-batch llama-3.1-405b h100-sxm --seq 1k -f json").stdout)["rows"][0]
    assert empty["max_batch"] == 0 and empty["limited_by"] == "weights" and empty["step_ms"] is None


def test_table_and_markdown_say_what_they_assume() -> None:
    table = run(f"max-batch {LLAMA} --seq 775,7661").stdout
    assert table.startswith("llama-3.1-405b on 8xh100-sxm, all=fp8 weights, bf16 KV\n")
    for part in ("tok/s/user", "385", "capacity", "assumed: preset roofline, overlap op", "tp 8", "reserve 0 GB"):
        assert part in table
    markdown = run(f"memory {LLAMA} --seq 1k --batch 32 -f md").stdout.splitlines()
    assert markdown[2].startswith("| context (tokens) | batch | weights (GB) |") and markdown[3].startswith("| ---: |")
    assert markdown[4].startswith("| 1,000 | 32 | 405.9 |") and markdown[-1].startswith("assumed: ")


def test_two_layouts_show_as_columns() -> None:
    table = run("max-batch llama-3.1-70b 8xh100-sxm --tp 4,8 --seq 1k").stdout
    assert "tp" in table.splitlines()[3] and "tp" not in table.splitlines()[-1]


def test_lists_cross_in_the_order_given() -> None:
    found = rows("max-batch llama-3.1-8b,qwen3-8b h200-sxm,h100-sxm --weights bf16,fp8 --kv bf16,fp8 --seq 2k,1k --interactivity 50,20")
    assert len(found) == 64
    keys = [tuple(row[name] for name in ("model", "hardware", "weights", "kv", "seq", "min_interactivity_tok_s")) for row in found]
    assert keys[0] == ("llama-3.1-8b", "h200-sxm", "bf16", "bf16", "2000", "50")
    assert keys[1][5] == "20" and keys[2][4] == "1000" and keys[4][3] == "fp8" and keys[8][2] == "fp8" and keys[16][1] == "h100-sxm"
    assert keys[32][0] == "qwen3-8b" and len(set(keys)) == 64


def test_defaults_are_said() -> None:
    found = rows("max-batch llama-2-7b h100-sxm")
    assert [row["seq"] for row in found] == ["1000", "2000", "4000"]  # the model ends at 4,096
    assert {row["min_interactivity_tok_s"] for row in found} == {"30"}
    assert "note: interactivity: at least 30" in run("max-batch llama-2-7b h100-sxm").stderr
    assert [row["batch"] for row in rows("interactivity llama-2-7b h100-sxm --seq 1k")] == [str(2**n) for n in range(9)]
    assert {row["batch"] for row in rows("memory llama-2-7b h100-sxm")} == {"1"}
    assert len(rows("max-batch llama-3.1-8b h100-sxm")) == 8


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("max-batch llama-3.1-8b a100-sxm-80gb --weights all=fp8 --seq 1k", "a100-sxm-80gb has no fp8 peak: GEMMs with fp8 weights compute in bf16"),
        ("max-batch llama-3.1-8b a100-sxm-80gb --kv fp8 --seq 1k", "attention over the fp8 cache computes in bf16"),
        ("max-batch llama-3.1-70b 16xh100-sxm --tp 16 --seq 1k", "8 KV heads on 16 tensor ranks: each is stored 2 times"),
        ("max-batch llama-2-7b h100-sxm --seq 8k", "context exceeds the model's maximum of 4096 tokens"),
        ("max-batch llama-2-7b h100 --seq 1k", "'h100' is an alias of h100-sxm"),
        (
            "max-batch llama-3.1-405b 8xh100-sxm --seq 1k",
            "llama-3.1-405b does not fit on 8xh100-sxm: bf16 weights need 811.8 GB, 640.0 GB available. "
            "With one 1,000-token sequence it needs at least 12 devices (--tp 4 --pp 3); with fp8 weights it fits on 8xh100-sxm",
        ),
        ("memory llama-2-7b h100-sxm --seq 1k", "the model supports 4096 tokens"),
    ],
)
def test_notes(line: str, note: str) -> None:
    result = run(line)
    assert result.exit_code == 0 and any(one.startswith("note: ") and note in one for one in result.stderr.splitlines()), result.stderr
    assert run(line + " --quiet").stderr == ""


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("llama-3.1-405b 8xh100-sxm --seq 1k", "it needs at least 12 devices (--tp 4 --pp 3); with fp8 weights it fits on 8xh100-sxm"),
        ("llama-2-7b 12xl40s --seq 1M --tp 1 --dp 12", "fits on these 12 devices with --tp 4 --pp 3; weights narrower down to"),
        ("llama-3.1-70b rtx-4090 --seq 1k", "it needs at least 7 devices (--tp 1 --pp 7); weights narrower down to"),
        (
            "llama-3.1-405b 8xh100-sxm --weights all=fp8 --seq 1M",
            "all=fp8 weights need 405.9 GB and the cache of one 1,000,000-token sequence 516.1 GB, 640.0 GB available. It needs at least 12",
        ),
        ("llama-3.1-405b 8xh100-sxm --seq 1G", "fits on no number of such devices up to 4,096"),
    ],
)
def test_what_would_fit(line: str, advice: str) -> None:
    assert advice in run(f"memory {line}").stderr


def test_what_would_fit_does_and_one_fewer_does_not() -> None:
    def fits(model: str, hardware: str, seq: str) -> bool:
        count = int(hardware.partition("x")[0])
        layouts = [(t, count // t) for t in range(1, count + 1) if count % t == 0]
        answers = [run(f"memory {model} {hardware} --tp {t} --pp {p} --seq {seq} -f json") for t, p in layouts]
        return any(result.exit_code == 0 and json.loads(result.stdout)["rows"][0]["batch_memory"] for result in answers)

    assert fits("llama-3.1-405b", "12xh100-sxm", "1k") and not fits("llama-3.1-405b", "11xh100-sxm", "1k")
    assert fits("llama-3.1-405b", "18xl40s", "8k") and not fits("llama-3.1-405b", "17xl40s", "8k")


def test_a_device_without_a_peak_has_memory_and_no_time(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    (row,) = rows(f"max-batch llama-3.1-8b {path} --seq 1k")
    assert int(row["batch_memory"]) > 0 and row["limited_by"] == "unknown"
    assert row["max_batch"] == row["step_ms"] == row["batch_interactivity"] == row["compute"] == ""
    (row,) = rows(f"interactivity llama-3.1-8b {path} --seq 1k --batch 1")
    assert (row["interactivity_tok_s"], row["limited_by"]) == ("", "unknown") and row["fits_memory"] == "true"
    stderr = run(f"interactivity llama-3.1-8b {path} --seq 1k --batch 1").stderr
    assert "bare: the catalog lists no peak FLOP/s for bf16 or wider; latency cannot be computed" in stderr


def test_what_if_sweeps_and_is_listed_last() -> None:
    found = rows("interactivity llama-3.1-8b h100-sxm --seq 1k --batch 1 --set hardware.memory.bandwidth_gb_s=1000:4000:1000 --set model.hidden=4096")
    assert [row["changes"] for row in found] == [f"hardware.memory.bandwidth_gb_s={n}000; model.hidden=4096" for n in (1, 2, 3, 4)]
    assert list(found[0])[-1] == "changes"
    speeds = [float(row["interactivity_tok_s"]) for row in found]
    assert speeds[3] == pytest.approx(4 * speeds[0], rel=1e-9)


def test_columns_and_require() -> None:
    result = run(f"max-batch {LLAMA} --seq 775,7661 --columns seq,max_batch -f csv --require 'max_batch>=59' --require limited_by!=network -q")
    assert (result.exit_code, result.stdout) == (0, "seq,max_batch\n775,385\n7661,59\n")
    result = run(f"max-batch {LLAMA} --seq 775,7661 --require 'max_batch>=60' -q")
    assert result.exit_code == 3 and result.stdout.startswith("llama")
    assert result.stderr == (
        "failed: required max_batch >= 60, got 59 (model llama-3.1-405b, hardware 8xh100-sxm, weights all=fp8, kv bf16, "
        "seq 7661, min_interactivity_tok_s 30)\n"
    )
    assert run("max-batch llama-3.1-405b h100-sxm --seq 1k --require step_ms<50").exit_code == 3  # no figure satisfies nothing
    assert run("interactivity llama-2-7b h100-sxm --seq 1k --batch 1 --require fits_memory==true").exit_code == 0
    assert run("interactivity llama-2-7b h100-sxm --seq 1k --batch 5000 --require fits_memory=true").exit_code == 3


def test_output_files(tmp_path: Path) -> None:
    line = f"max-batch {LLAMA} --seq 775"
    assert run(f"{line} -o {tmp_path / 'a.csv'}").stdout == ""
    assert (tmp_path / "a.csv").read_text() == run(f"{line} -f csv").stdout
    run(f"{line} -o {tmp_path / 'a.json'}")
    assert json.loads((tmp_path / "a.json").read_text())["command"] == "max-batch"
    run(f"{line} -o {tmp_path / 'a.txt'}")
    assert "assumed:" in (tmp_path / "a.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.txt"]
    assert run(f"{line} -o /dev/null").exit_code == 0


def test_numbers_and_names_in_every_spelling() -> None:
    line = "max-batch llama-3.1-8b h100-sxm --seq 4k"
    assert rows(f"{line} --kv-block 4Ki")[0]["kv_block"] == "4096"
    assert rows(f"{line} --compute FP8 --kv native")[0]["compute"] == "fp8"
    assert run(f"{line} -f csv -o - -q").stdout.startswith("model,")
    assert rows(f"{line} --set model.tied=true")[0]["changes"] == "model.tied=true"
    assert run("max-batch -h").exit_code == 0 and "Usage: roofcalc max-batch [OPTIONS] {MODEL} {HARDWARE}" in run("max-batch -h").stdout


def test_links_and_modes_of_outputs_are_kept(tmp_path: Path) -> None:
    target, link, locked = tmp_path / "a.csv", tmp_path / "link.csv", tmp_path / "locked.csv"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert run(f"max-batch {LLAMA} --seq 775 -o {link}").exit_code == 0
    assert link.is_symlink() and target.read_text().startswith("model,") and target.stat().st_mode & 0o777 == 0o600
    locked.write_text("old")
    locked.chmod(0o444)
    if not os.access(locked, os.W_OK):  # the superuser may write anything
        assert "Permission denied" in refused(f"max-batch {LLAMA} --seq 775 -o {locked}")


def test_paths_before_counts_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b").mkdir()
    for path in ("2x4.yaml", "a,b/2x4.yaml"):
        Path(path).write_text("name: 2x4\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {bf16: 100}\n")
        assert rows(f"max-batch llama-3.1-8b {path} --seq 1k")[0]["hardware"] == "2x4"


def test_windows_bound_cache_and_reads() -> None:
    # Gemma 3 27B: 52 layers hold at most 1,024 tokens, 10 hold all; 16 heads · 2 · 128 · 2 bytes = 8,192 per layer and token
    path = Path(__file__).parent.parent / "examples" / "models" / "windowed-tied.yaml"
    (row,) = rows(f"max-batch {path} h200-sxm --seq 100000")
    assert float(row["kv_gb_per_seq"]) == pytest.approx((52 * 1024 + 10 * 100_000) * 8192 / 1e9)
    (row,) = rows(f"max-batch {path} h200-sxm --seq 100000 --kv-policy reserved")
    assert float(row["kv_gb_per_seq"]) == pytest.approx(62 * 100_000 * 8192 / 1e9)


def test_catalog_commands() -> None:
    listed = rows("hardware list")
    assert {"h100-sxm", "dgx-h100", "mi300x"} <= {row["name"] for row in listed}
    assert next(row for row in listed if row["name"] == "dgx-h100")["memory_gb"] == "640"
    figures = {row["figure"]: row["value"] for row in rows("hardware show 8xh100-sxm")}
    assert figures["memory of 8, nominal"] == "640" and float(figures["memory per device, visible"]) == pytest.approx(85.52, abs=0.005)
    assert float(figures["ridge point bf16"]) == pytest.approx(989.4e12 / 3350e9) and figures["link per direction"] == "450"
    assert any(row["figure"] == "source" and row["value"].startswith("https://") for row in rows("hardware show h100-sxm"))
    models = {row["name"]: row for row in rows("models list")}
    assert models["llama-3.1-405b"]["params"] == "405853388800" and models["llama-3.1-405b"]["kv_bytes_per_token"] == "516096"
    shown = {row["figure"]: row["value"] for row in rows("models show llama-405b")}
    assert shown["parameters, counted"] == shown["parameters, published"] == "405853388800" and shown["layers"] == "126"
    assert shown["KV cache, fp8"] == "258048"
    for line in ("hardware list", "models list", "hardware show mi300x,dgx-h100", "models show qwen3-8b"):
        for format in ("table", "csv", "json", "md"):
            assert run(f"{line} -f {format}").exit_code == 0


def test_help_groups_options_under_their_headings() -> None:
    text = run("max-batch --help").stdout
    headings = ["─ Workload ─", "─ Precision ─", "─ Layout ─", "─ Assumptions ─", "─ What-if ─", "─ Output ─", "Examples:"]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert run("").exit_code == 0 and "─ Capacity and speed ─" in run("").stdout and "max-batch" in run("--help").stdout
    assert run("hardware").exit_code == 0 and run("--version").stdout == f"roofcalc {__version__}\n"
