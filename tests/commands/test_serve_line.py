"""Command lines that serve an answer (`--for`): `from` reads each again as the same model, layout, limits and memory."""

import itertools
import json
import shlex

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.commands.engine_flags import TABLES, engine_flag
from roofcalc.commands.engine_start import parse
from roofcalc.commands.serve import SERVERS, TARGETS, target
from tests.shell import refused, rows, run

CASES = [  # model, machine, options that engines have flags for
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-8b", "2xl40s", {"weights": "fp8"}),
    ("llama-3.1-70b", "4xh100-sxm", {"weights": "fp8", "max_batched_tokens": 4096}),
    ("qwen3-32b", "2xh100-sxm", {"weights": "awq"}),
    ("gemma-3-27b", "2xa100-sxm-80gb", {}),
    ("gpt-oss-120b", "8xh100-sxm", {"tp": 4, "dp": 2}),
    ("deepseek-v3", "8xh200-sxm", {"tp": 8, "ep": 1}),
    ("deepseek-v3", "8xh200-sxm", {"tp": 1, "ep": 8}),
    ("llama-3.1-70b", "8xh100-sxm", {"tp": 4, "pp": 2}),
]
GRID = [(server, *case) for server, case in itertools.product(("vllm", "sglang", "trtllm-serve"), CASES)]


def served(model: str, machine: str, server: str, **given: object) -> dict[str, object]:
    """The row of 24 sequences, at most as many of which the engine admits."""
    given = {"engine": SERVERS[server.removeprefix("docker-")], "seq": 8192, "batch": 24, "serve": server, **given}
    (row,) = rc.memory(model, machine, **given).rows()  # type: ignore[arg-type]
    (row,) = rc.memory(model, machine, max_seqs=-(-24 // row["dp"]), **given).rows()  # type: ignore[arg-type, operator]
    return dict(row)


@pytest.mark.parametrize(("server", "model", "machine", "given"), GRID)
def test_from_reads_the_line_again(server: str, model: str, machine: str, given: dict[str, object]) -> None:
    row = served(model, machine, server, **given)
    start = parse(str(row["serve"]))
    assert start.engine == SERVERS[server] and start.seq == 8192
    assert start.options["max_seqs"] == -(-24 // int(str(row["dp"])))
    found = lookup.find("models", start.model)
    assert found.name == model
    if row["dp"] == 1 or server != "trtllm-serve":  # its data-parallel attention is no flag
        again = next(rc.from_command(str(row["serve"]), machine, batch=24).rows())
        names = ("model", "hardware", "weights_gb", "kv_gb", "free_gb", "activations_gb", "runtime_gb", "tp", "pp", "dp", "ep", "dcp", "kv", "util")
        assert {name: again[name] for name in names} == {name: row[name] for name in names}
    container = served(model, machine, f"docker-{server}", **given)
    inside = parse(str(container["serve"]))
    assert (inside.model, inside.options, inside.seq) == (start.model, start.options, start.seq)


@pytest.mark.parametrize(
    ("model", "machine", "given"),
    [
        ("qwen3-30b-a3b", "rtx-4090", {"weights": "q4_k_m"}),
        ("llama-3.1-8b", "rtx-4090", {"weights": "q8_0", "kv": "q8_0"}),
        ("llama-3.1-70b", "2xrtx-3090", {"weights": "iq2_m", "tp": 1, "pp": 2}),
        ("llama-3.1-8b", "2xrtx-3090", {"weights": "bf16", "tp": 2}),
    ],
)
def test_slots_of_llama_cpp(model: str, machine: str, given: dict[str, object]) -> None:
    (row,) = rc.memory(model, machine, seq=4096, batch=3, serve="llama-server", engine="llama.cpp", **given).rows()  # type: ignore[arg-type]
    start = parse(str(row["serve"]))
    assert (start.seq, start.batch) == (4096, 3) and "--ctx-size 12288 --parallel 3" in str(row["serve"])
    again = next(rc.from_command(str(row["serve"]), machine).rows())
    names = ("model", "weights", "kv_gb", "weights_gb", "free_gb", "tp", "pp", "kv", "batch")
    assert {name: again[name] for name in names} == {name: row[name] for name in names}


def test_every_command_prints_a_line() -> None:
    """Below a table, in a column of CSV; of a plan the line of one replica."""
    shown = run("max-batch llama-3.1-8b h100-sxm --seq 8k --engine vllm --for vllm").stdout.splitlines()[-1]
    (row,) = rows("max-batch llama-3.1-8b h100-sxm --seq 8k --engine vllm --for vllm")
    assert shown == row["serve"] and f"--max-num-seqs {row['max_batch']}" in shown and list(row)[-1] == "serve"
    (row,) = rows("plan llama-3.1-70b h100-sxm --weights fp8 --isl 4000 --osl 500 --requests-per-second 20 --for sglang")
    (most,) = rows("max-batch llama-3.1-70b 4xh100-sxm --weights fp8 --isl 4000 --osl 500")
    each = most["max_batch"]  # requests that come at random are not always as many as the mean in flight
    assert f"--tp {row['tp']}" in row["serve"] and f"--context-length 4500 --max-running-requests {each}" in row["serve"]
    found = rows("frontier llama-3.1-8b 2xh100-sxm --seq 8k --batch 4,64 --for trtllm-serve")
    assert all(parse(row["serve"]).options["tp"] == int(row["tp"]) for row in found)
    several = run("max-batch llama-3.1-8b h100-sxm --seq 8k,16k --for vllm -q").stdout
    assert "# row 1\n" in several and "# row 2\n" in several
    assert "```sh\n" in run("max-batch llama-3.1-8b h100-sxm --seq 8k --for vllm -f md").stdout
    nothing = rows("max-batch llama-3.1-70b rtx-4090 --seq 8k --for vllm")
    assert [row["serve"] for row in nothing] == [""]


def test_speculation() -> None:
    """vLLM's JSON, SGLang's flags and llama.cpp's; TensorRT-LLM reads it from a file."""
    given = {"seq": 4096, "draft": 3, "acceptance": 0.7}
    line = {
        server: next(rc.max_batch("llama-3.1-70b", "4xh100-sxm", serve=server, draft_model="llama-3.2-1b", **given).rows())["serve"]
        for server in SERVERS
    }  # type: ignore[arg-type]
    words = shlex.split(str(line["vllm"]))
    config = json.loads(words[words.index("--speculative-config") + 1])
    assert (config["method"], config["num_speculative_tokens"]) == ("draft_model", 3) and lookup.find(
        "models", config["model"]
    ).name == "llama-3.2-1b"
    assert "--speculative-algorithm STANDALONE --speculative-num-steps 3 --speculative-eagle-topk 1 --speculative-num-draft-tokens 4" in str(
        line["sglang"]
    )
    assert "--spec-draft-n-max 3" in str(line["llama-server"]) and "spec" not in str(line["trtllm-serve"])
    mtp = next(rc.max_batch("deepseek-v3", "8xh200-sxm", serve="vllm", seq=4096, mtp=True, acceptance=0.8).rows())
    assert '"method": "mtp"' in str(mtp["serve"])


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("llama-3.1-70b 8xh100-sxm --tp 8 --kv fp8 --for trtllm-serve", "TensorRT-LLM has no flag for a fp8 cache: `kv_cache_config: {dtype: fp8}`"),
        ("deepseek-v3 8xh200-sxm --tp 8 --dcp 4 --for sglang", "SGLang has no decode context parallelism: dcp 4 is left out"),
        ("deepseek-v3 8xh200-sxm --tp 1 --for trtllm-serve", "`enable_attention_dp: true` in the file of --config"),
        ("llama-3.1-8b 4xh100-sxm --tp 2 --dp 2 --for trtllm-serve", "a start is one replica; start it 2 times"),
        ("deepseek-v3 8xh200-sxm --tp 1 --for llama-server", "no data or expert parallelism"),
        ("llama-3.1-8b h100-sxm --weights all=fp8 --for vllm", "keeps embedding and LM head in 16 bit"),
        ("llama-3.1-8b h100-sxm --weights w4a16 --for vllm", "stands for a checkpoint with weights w4a16"),
        ("llama-3.1-8b h100-sxm --weights fp8 --for llama-server", "GGUF files have no weights fp8"),
        ("llama-3.1-8b mi300x --for docker-vllm", "the image is for devices of NVIDIA"),
        ("llama-3.1-8b mi300x --for trtllm-serve", "runs on devices of NVIDIA alone"),
        ("llama-3.1-405b 16xh100-sxm --tp 8 --pp 2 --for vllm", "several nodes"),
        ("llama-3.1-8b h100-sxm --for vllm", "calculated without the memory rules of vLLM, which may hold less (--engine vllm)"),
        ("llama-3.1-8b h100-sxm --engine vllm --for sglang", "calculated without the memory rules of SGLang"),
    ],
)
def test_what_an_engine_cannot_do_is_said(line: str, note: str) -> None:
    assert note in run(f"memory {line} --seq 4k").stderr


def test_refusals() -> None:
    assert f"--for: invalid choice 'ollama' (choose from {', '.join(TARGETS)})" in refused("memory llama-3.1-8b h100-sxm --for ollama")
    assert "--for: two pools need a router" in refused("frontier llama-3.1-8b h100-sxm --isl 1k --osl 1k --disaggregated --for vllm")


def test_an_engine_is_named_by_its_server_or_by_itself() -> None:
    assert target("llama.cpp") == target("llama-server") and target("docker-llama.cpp") == target("docker-llama-server")
    assert target("TensorRT-LLM") == target("trtllm-serve")


def test_one_table_reads_and_writes() -> None:
    """Every word that is written for a value is read as that value again."""
    for engine, table in TABLES.items():
        for flag in table.values():
            for value, word in (flag.written or {}).items():
                assert flag.value(word) == value, (engine, word)
    assert engine_flag("tensorrt-llm", "tp")[0] == "--tp_size"
