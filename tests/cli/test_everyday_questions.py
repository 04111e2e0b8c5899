"""Questions as people with one card ask them: refusals name what works, notes are said once, advice is of the same kind of file."""

import json

import pytest

from tests.shell import refused, rows, run

LLAMA_SERVER = "llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -ngl 99 -c 32768"


def test_experts_on_the_host_with_every_layer_on_the_card() -> None:
    """`-ngl 99 --n-cpu-moe 20` is llama.cpp's usual start: all layers on the card, but for the experts of the first 20."""
    moe = run(f"from '{LLAMA_SERVER} --n-cpu-moe 20' rtx-4070 --host memory_gb_s=80 -f json")
    without_layers = run(f"from '{LLAMA_SERVER.replace(' -ngl 99', '')} --n-cpu-moe 20' rtx-4070 --host memory_gb_s=80 -f json")
    (row,), (same,) = json.loads(moe.stdout)["rows"], json.loads(without_layers.stdout)["rows"]
    assert row["weights_gb"] == same["weights_gb"]
    assert "--gpu-layers: cannot be combined" in refused(f"from '{LLAMA_SERVER.replace('99', '30')} --n-cpu-moe 20' rtx-4070 --host memory_gb_s=80")


def test_more_experts_on_the_host_are_proposed_where_a_model_does_not_fit() -> None:
    """The number that is proposed fits, and one fewer does not."""
    line = f"from '{LLAMA_SERVER} --n-cpu-moe {{}}' rtx-4070 --host memory_gb_s=80"
    said = run(line.format(20)).stderr
    layers = int(said.partition("it would fit with --offload experts=cpu:")[2].split()[0])
    assert "does not fit" not in run(line.format(layers)).stderr and "does not fit" in run(line.format(layers - 1)).stderr


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        # 8.03e9 parameters at 6.56 bits are 6.6 GB, and 32,000 tokens of 131,072 bytes 4.2 GB: 10.8 of 12 GB; at 8.5 bits 12.7 GB
        ("memory llama-3.1-8b rtx-3060-12gb --weights q8_0 --seq 32k", "with q6_k weights it fits on rtx-3060-12gb"),
        # an RTX 4090 has no fp4 peak: 32.8e9 parameters at about 4.25 bits are 17.4 GB
        ("memory qwen3-32b rtx-4090 --weights fp8 --seq 1k", "with int4 weights it fits on rtx-4090"),
        ("memory qwen3-32b rtx-5090 --weights fp8 --seq 1k", "with nvfp4 weights it fits on rtx-5090"),
        # 70.55e9 bf16 parameters are 141.1 GB
        ("interactivity llama-3.3-70b h100-sxm --seq 8k --batch 1", "bf16 weights need 141.1 GB, 80.0 GB available"),
    ],
)
def test_what_would_fit(line: str, advice: str) -> None:
    assert advice in run(line).stderr


GPU_LAYERS = "--gpu-layers 20 --host memory_gb_s=90,tflop_s=1,memory_gb=64,link_gb_s=25"


@pytest.mark.parametrize("command", ["max-batch", "memory", "interactivity", "frontier", "plan", "frontier --devices 1,2"])
def test_layers_on_the_host_have_no_pipeline(command: str) -> None:
    """Layouts that are searched, and those that advice tries, have one stage."""
    words = command.split()
    line = " ".join([words[0], "llama-3.1-70b", "2xh100-sxm" if len(words) == 1 and words[0] == "frontier" else "h100-sxm", *words[1:]])
    assert run(f"{line} --seq 8k {GPU_LAYERS}").exit_code == 0


def test_a_host_that_is_too_small_is_what_is_said() -> None:
    # 61 of 80 layers of 855.7 million 16-bit weights, and of 8,000 tokens of 4,096 bytes a layer
    weights_gb, cache_gb = 61 * 855_654_400 * 2 / 1e9, 61 * 8000 * 4096 / 1e9
    said = run(f"max-batch llama-3.1-70b h100-sxm --seq 8k {GPU_LAYERS}").stderr
    assert f"the host must hold {weights_gb + cache_gb:.1f} GB of weights and caches, and has 64 GB (--host memory_gb=…)" in said
    assert "devices" not in said and "narrower" not in said


def test_one_note_on_a_peak_that_the_device_lacks() -> None:
    said = run("interactivity llama-3.3-70b m3-max --weights q4_k_m --seq 1k --batch 1").stderr
    assert said.count("has no int8 peak") == 1 and "GEMMs with q4_k, q6_k, q5_k weights compute in fp16" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        # two channels of 8 bytes at 5600 MT/s are 89.6 GB/s
        ("interactivity llama-3.3-70b rtx-4090 --weights q4_k_m --gpu-layers 40", "as in --host memory_gb_s=90 (two channels of DDR5-5600"),
        ("from 'rtx-4090' 'llama-server -m Qwen3-8B-Q4_K_M.gguf'", "the command line of the engine comes first, then the hardware"),
    ],
)
def test_refusals_say_what_works(line: str, message: str) -> None:
    assert message in refused(line)


def test_a_cost_that_no_user_is_fast_enough_for_says_so() -> None:
    # 15.0e9 bytes of weights without the embedding, and 1,100 tokens of 131,072 bytes on average, at 300 GB/s: 50.5 ms
    said = run("cost llama-3.1-8b l4 --query 1k:200 --usd-per-hour 1").stderr
    speed = float(said.partition("llama-3.1-8b on l4: a single user gets ")[2].split()[0])
    assert speed == pytest.approx(300e9 / (15.01e9 + 1100 * 131_072), rel=2e-3) and "less than the 30 required" in said
    # the same of one context: 15.01e9 bytes and 8,000 tokens
    said = run("max-batch llama-3.1-8b l4 --seq 8k").stderr
    speed = float(said.partition("llama-3.1-8b on l4: a single user gets ")[2].split()[0])
    assert speed == pytest.approx(300e9 / (15.01e9 + 8000 * 131_072), rel=2e-3)
    assert "a single user gets" not in run("max-batch llama-3.1-8b l4 --seq 8k --interactivity 18,40").stderr
    assert "a single user gets" not in run("cost llama-3.1-8b l4 --query 1k:200 --usd-per-hour 1 --interactivity 15").stderr


def test_a_result_file_that_is_not_there_is_named_once() -> None:
    assert refused("validate nope.json --hardware l4").count("nope.json") == 1


def test_plans_state_the_percentile_of_the_first_token() -> None:
    line = "plan llama-3.1-8b h100-sxm --isl 1k --osl 100 --requests-per-second 1 --ttft 1 --usd-per-hour 2"
    assert "first-token percentile 95" in run(f"{line} --ttft-percentile 95").stdout
    assert "first-token percentile" not in run(line).stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("max-batch llama-3.1-8b h100-sxm --seq 8k --max-batched-tokens 100", "--max-batched-tokens: changes nothing without an engine"),
        ("memory llama-3.1-8b rtx-4090 --gpu-layers 0 --host memory_gb_s=90", "--gpu-layers: a model that the CPUs run alone is not calculated"),
    ],
)
def test_options_that_change_nothing_are_refused(line: str, message: str) -> None:
    assert message in refused(line)


def test_a_peak_of_cpus_that_compute_nothing_is_said() -> None:
    line = "interactivity deepseek-v3 8xh200-sxm --offload weights=host:10 --host memory_gb_s=500,link_gb_s=50"
    without, given = run(line), run(f"{line},tflop_s=7")
    assert "--host: tflop_s changes nothing here: what is streamed is computed by the devices" in given.stderr
    assert "tflop_s" not in without.stderr


def test_a_block_of_one_token_replaces_the_engines() -> None:
    # 131,072 bytes a token: 1,000 tokens in blocks of one, and in 63 of vLLM's blocks of 16
    given, default = (rows(f"memory llama-3.1-8b h100-sxm --engine vllm --seq 1k{more}")[0]["kv_gb"] for more in (" --kv-block 1", ""))
    assert float(given) == pytest.approx(1000 * 131_072 / 1e9) and float(default) == pytest.approx(63 * 16 * 131_072 / 1e9)


def test_the_note_on_typical_is_of_what_is_timed() -> None:
    """Decode steps and prompts have errors of their own in the calibration file; a memory table has none."""
    line = "llama-3.1-70b 4xh100-sxm --seq 4k --assume typical"
    said = {command: run(f"{command} {line}").stderr for command in ("interactivity", "prefill", "memory")}
    assert "decode steps off by a factor" in said["interactivity"] and "prompts off by" not in said["interactivity"]
    assert "prompts off by a factor" in said["prefill"] and "decode steps" not in said["prefill"]
    assert "off by a factor" not in said["memory"]


def test_adapters_are_not_weights_where_they_do_not_fit() -> None:
    # rank 16 in 16 bits, llama-3.1-70b: 80 layers of seven matrices of 8,192, 10,240 (q, k, v), 28,672: 207 million parameters an adapter
    each = 80 * 16 * (8192 + 8192 + 2 * (8192 + 1024) + 8192 + 8192 + 2 * (8192 + 28672) + 28672 + 8192)
    said = run("memory llama-3.1-70b h100-sxm --lora rank=16,count=40 --weights fp8 --seq 1k").stderr
    assert f"fp8 weights need 72.7 GB, adapters {40 * each * 2 / 1e9:.1f} GB" in said


def test_machines_that_hold_no_sequence_say_what_would_fit() -> None:
    assert "llama-3.1-405b does not fit on h200-sxm" in run("compare llama-3.1-405b h100-sxm h200-sxm").stderr


@pytest.mark.parametrize(
    ("case", "engine"), [("m4-max", "mlx"), ("m4-max --weights q4_k_m", "llama.cpp"), ("rtx-4090 --weights q4_k_m", "llama.cpp")]
)
def test_typical_takes_an_engine_that_runs_such_weights_there(case: str, engine: str) -> None:
    line = f"interactivity llama-3.1-8b {case} --seq 1k --batch 1 --assume typical"
    found, named = run(line), run(f"{line} --engine {engine}")
    assert found.stdout == named.stdout and f"engine {engine}" in " ".join(found.stdout.split())
    assert f"typical: --engine {engine}, since" in found.stderr and "since" not in named.stderr
    assert "--engine llama.cpp, since" not in run(f"{line} --engine vllm").stderr


def test_llama_cpp_divides_layers_over_devices() -> None:
    # one token passes both cards one after the other: no faster than the bytes of all weights at the bandwidth of one
    line = "interactivity llama-3.1-70b 2xrtx-3090 --weights q4_k_m --seq 1k --batch 1"
    (row,) = rows(f"{line} --engine llama.cpp")
    assert (row["tp"], row["pp"], row["dp"]) == ("1", "2", "1") and "layers divided over 2 devices" in run(f"{line} --engine llama.cpp").stderr
    assert float(row["interactivity_tok_s"]) < 936e9 / 42.0e9  # 42.5 GB with the embedding, of which one token reads a row
    (asked,) = rows(f"{line} --engine llama.cpp --tp 2")
    assert (asked["tp"], asked["pp"]) == ("2", "1") and float(asked["interactivity_tok_s"]) > 1.8 * float(row["interactivity_tok_s"])
    (started,) = rows("from 'llama-server -m Llama-3.1-70B-Instruct-Q4_K_M.gguf -ngl 99 -c 1000' 2xrtx-3090")
    assert (started["tp"], started["pp"]) == ("1", "2")


def test_plans_for_llama_cpp_have_no_ranks_that_it_lacks() -> None:
    for command in ("plan gpt-oss-120b rtx-5090 --seq 8k --interactivity 10", "frontier gpt-oss-20b 2xrtx-4090 --seq 8k"):
        found = rows(f"{command} --engine llama.cpp")
        assert found and {(row["tp"], row["dp"], row["ep"], row["dcp"]) for row in found} == {("1", "1", "1", "1")}
    (given,) = rows("plan gpt-oss-20b rtx-4090 --seq 8k --engine llama.cpp --tp 2 --pp 1 --devices 2")
    assert given["tp"] == "2"
