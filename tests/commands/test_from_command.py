"""Engines' command lines: each flag that matters becomes an option, each other is listed."""

import json

import pytest

import roofcalc as rc
from roofcalc.commands.engine_flags import TABLES, hint
from roofcalc.commands.engine_start import parse
from roofcalc.commands.options import Options
from tests.shell import refused, run

VLLM = (
    "vllm serve Qwen/Qwen3-32B-AWQ --tensor-parallel-size 4 --max-model-len 32768 --gpu-memory-utilization 0.92 --kv-cache-dtype fp8 "
    "--port 8000 --enable-prefix-caching --served-model-name big"
)


def test_the_issue_line_is_the_same_as_our_options() -> None:
    """`vllm serve … -tp 4 …` on L40S, against `memory` and `max-batch` with the options by hand."""
    (row,) = rc.from_command(VLLM, "4xl40s", util=0.92, engine="none").rows()
    given = {"seq": 32768, "util": 0.92, "kv": "fp8", "weights": "awq", "tp": 4}
    (held,) = rc.memory("qwen3-32b", "4xl40s", **given).rows()  # type: ignore[arg-type]
    (most,) = rc.max_batch("qwen3-32b", "4xl40s", interactivity=0, **given).rows()  # type: ignore[arg-type]
    assert {name: row[name] for name in ("weights", "weights_gb", "kv_gb", "free_gb", "max_context", "batch_memory")} == {
        name: held[name] for name in ("weights", "weights_gb", "kv_gb", "free_gb", "max_context", "batch_memory")
    }
    assert (row["max_batch"], row["step_ms"]) == (most["max_batch"], most["step_ms"])
    said = run(f"from '{VLLM}' 4xl40s").stderr
    assert "without effect here: --port 8000, --enable-prefix-caching, --served-model-name big" in said
    assert "--weights awq, as the name says" in said


@pytest.mark.parametrize(
    ("line", "engine", "model", "seq", "devices", "options"),
    [
        (VLLM, "vllm", "Qwen/Qwen3-32B-AWQ", 32768, 4, {"tp": 4, "util": 0.92, "kv": "fp8"}),
        ("vllm serve m -tp 2 -pp 2 -dp 2 --enable-expert-parallel", "vllm", "m", None, 8, {"tp": 2, "pp": 2, "dp": 2, "ep": 4}),
        ("vllm serve m --max-model-len=32k --tensor_parallel_size=2", "vllm", "m", 32000, 2, {"tp": 2}),
        ("vllm serve m --max-model-len 32K --dtype half -q awq_marlin", "vllm", "m", 32768, 1, {"weights": "awq"}),
        ("CUDA_VISIBLE_DEVICES=0,1 vllm serve m \\\n  --tensor-parallel-size 2 \\\n  --kv-cache-dtype auto", "vllm", "m", None, 2, {"tp": 2}),
        ("python -m vllm.entrypoints.openai.api_server --model org/m --port 80 -tp 8", "vllm", "org/m", None, 8, {"tp": 8}),
        ("docker run --gpus all -p 8000:8000 vllm/vllm-openai:latest --model org/m --tensor-parallel-size 2", "vllm", "org/m", None, 2, {"tp": 2}),
        ("python3 -m sglang.launch_server --model-path m --tp 8 --mem-fraction-static 0.85", "sglang", "m", None, 8, {"tp": 8, "util": 0.85}),
        ("sglang serve --model-path m --tp-size 8 --dp-size 8 --enable-dp-attention", "sglang", "m", None, 8, {"tp": 1, "dp": 8}),
        ("python -m sglang.launch_server --model m --tp 16 --ep-size 16 --context-length 65536", "sglang", "m", 65536, 16, {"tp": 16, "ep": 16}),
        ("trtllm-serve org/m --tp_size 8 --ep_size 8 --max_seq_len 8192 --backend pytorch", "tensorrt-llm", "org/m", 8192, 8, {"tp": 8, "ep": 8}),
        ("trtllm-serve serve org/m --pp_size 2", "tensorrt-llm", "org/m", None, 2, {"pp": 2}),
        ("llama-server -m x/Qwen3-8B-Q4_K_M.gguf -c 32768 -np 4 -ctk q8_0", "llama.cpp", "x/Qwen3-8B-Q4_K_M.gguf", 8192, None, {"kv": "q8_0"}),
        ("./llama-server -hf unsloth/Qwen3-8B-GGUF:Q8_0 -ngl 99 -fa", "llama.cpp", "unsloth/Qwen3-8B-GGUF:Q8_0", None, None, {"tp": 1}),
        ("ollama run deepseek-r1:70b", "llama.cpp", "deepseek-r1:70b", None, None, {"tp": 1, "dp": 1}),
    ],
)
def test_starts(line: str, engine: str, model: str, seq: int | None, devices: int | None, options: dict[str, object]) -> None:
    start = parse(line)
    assert (start.engine, start.model, start.seq, start.devices) == (engine, model, seq, devices)
    assert options.items() <= start.options.items()


def test_what_matters_and_is_not_calculated_is_said() -> None:
    for line, word in (
        ("FOO=1 BAR=2 vllm serve m", "variables that are not counted: FOO, BAR"),
        ("CUDA_VISIBLE_DEVICES=0 vllm serve m -tp 2", "the variables show 1 device to the engine, and its line takes 2"),
        ("vllm serve m --enable-lora", "adapters of rank 16, as --max-lora-rank is not given"),
        ("llama-server -m m.gguf --lora a.gguf", "the rank is in the adapter's file: give --lora rank=16"),
        ('vllm serve m --speculative-config \'{"method": "ngram", "num_speculative_tokens": 3}\'', "--draft with --acceptance"),
    ):
        assert any(word in note for note in parse(line).notes), line


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("from 'uvicorn app:app' h100", "does not start a known engine"),
        ("from 'vllm serve --tensor-parallel-size 2' h100", "names no model"),
        ("from 'vllm serve llama-3.1-8b --tensor-parallel-size two' h100", "--tensor-parallel-size 'two': expected a whole number"),
        ("from 'vllm serve llama-3.1-8b --max-model-len' h100", "--max-model-len needs a value"),
        ("from 'vllm serve llama-3.1-8b -tp 4' dgx-h100", "dgx-h100 has 8 devices, and the line starts 4 (tp × pp × dp); name 4 of them"),
        ("from 'vllm serve gpt-4o' h100", "its architecture is not published"),
        ("from 'OLLAMA_NUM_PARALLEL=two ollama run qwen3:8b' l4", "OLLAMA_NUM_PARALLEL 'two': expected a whole number above 0"),
        ("from 'mlx_lm.server --model mlx-community/Qwen3-8B-4bit' m4-max", "`roofcalc max-batch MODEL APPLE-DEVICE --engine mlx`"),
        ("from 'python -m mlx_lm.server --model mlx-community/Qwen3-8B-4bit' m4-max", "mlx_lm's command lines are not read"),
        ("max-batch llama-3.1-8b h100 --tensor-parallel-size 4", "--tensor-parallel-size is a flag of vLLM; here --tp"),
        ("memory llama-3.1-8b h100 --max-model-len 8k", "here --seq"),
        ("memory llama-3.1-8b h100 --gpu-memory-utilization 0.9", "here --util"),
        ("memory llama-3.1-8b h100 --mem-fraction-static 0.9", "is a flag of SGLang; here --util"),
        ("memory llama-3.1-8b h100 --ctx-size 8192", "is a flag of llama.cpp; here --seq"),
        ("memory llama-3.1-8b h100 --kv-cache-dtype fp8", "here --kv"),
        ("memory llama-3.1-8b h100 --kv_cache_free_gpu_memory_fraction 0.9", "is a flag of TensorRT-LLM"),
    ],
)
def test_refusals(line: str, complaint: str) -> None:
    assert complaint in refused(line)


def test_devices_are_those_of_the_line() -> None:
    """A bare device is taken as often as the degrees say, and a start without degrees uses one device of eight."""
    rows = [next(rc.from_command(f"vllm serve llama-3.1-8b {flags}", name).rows())["hardware"] for flags, name in (("-tp 2", "l4"), ("", "8xh100"))]
    assert rows == ["2xl4", "1xh100-sxm"]
    (row,) = rc.from_command("llama-server -m Qwen3-32B-Q4_K_M.gguf -c 8192", "2xrtx-3090").rows()
    assert (row["hardware"], row["tp"], row["pp"], row["weights"]) == ("2xrtx-3090", 1, 2, "q4_k_m")  # layers over both


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("vllm serve m --cpu-offload-gb 10", "offload", "weights=host:10.7374"),  # vLLM counts GiB
        ("llama-server -m m.gguf --n-cpu-moe 20", "offload", "experts=cpu:20"),
        ("llama-server -m m.gguf --cpu-moe -ngl 99", "offload", "experts=cpu"),
        ("llama-server -m m.gguf -ngl 20", "gpu_layers", 20),
        ("vllm serve m --enable-lora --max-loras 4 --max-lora-rank 32", "lora", "rank=32,count=4"),
        ("python -m sglang.launch_server --model-path m --enable-lora --max-lora-rank 64", "lora", "rank=64,count=8"),
    ],
)
def test_host_memory_and_adapters(line: str, option: str, value: object) -> None:
    assert parse(line).options[option] == value


def test_every_flag_leads_somewhere() -> None:
    """Options exist, reasons are given, and each flag has a hint."""
    special = {"model", "seq", "slots", "split", "draft", "dp_attention", "gpu_layers", "kv_values", "max_seqs", "max_batched_tokens", ""}
    special |= {"cpu_moe", "n_cpu_moe", "override_tensor", "cpu_offload_gib", "adapters", "adapter_count", "adapter_rank"}
    for table in TABLES.values():
        for name, flag in table.items():
            assert flag.option in special or flag.option in Options.__annotations__, name
            assert flag.option or flag.why, name
            assert hint(name), name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vllm serve m --quantization foo", "--quantization 'foo': not known here"),
        ("vllm serve m --max-num-seqs 0", "--max-num-seqs '0': expected a whole number above 0"),
        ("vllm serve m --max-num-batched-tokens 0", "--max-num-batched-tokens '0': expected a number of tokens above 0"),
        ("vllm serve m -pp 0", "-pp '0': expected a whole number above 0"),
        ("vllm serve m --gpu-memory-utilization 2", "--gpu-memory-utilization '2': expected a fraction above 0 and up to 1"),
        ("llama-server -m m -ngl foo", "-ngl 'foo': expected a whole number above 0"),
        ("llama-server -m m -ngl 0", "the least is 1, the output layer"),
    ],
)
def test_values_that_an_engine_refuses_are_refused(line: str, said: str) -> None:
    assert said in refused(f"from '{line}' h100-sxm")


def test_what_changes_nothing_is_listed() -> None:
    start = parse("vllm serve m --max-lora-rank 64 -q torchao --max-model-len auto two words")
    assert start.ignored == ("--max-lora-rank 64", "-q torchao", "--max-model-len auto", "two", "words")
    assert parse("vllm serve --model m other").ignored == ("other",)


def test_variables_of_ollama() -> None:
    """The context is of each request (docs/faq.mdx), so that four of them hold four times as much."""
    start = parse("OLLAMA_NUM_PARALLEL=4 OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:8b")
    assert (start.seq, start.batch, start.options["kv"], start.options["max_seqs"]) == (8192, 4, "q8_0", 4)
    (row,) = rc.from_command("OLLAMA_NUM_PARALLEL=4 OLLAMA_CONTEXT_LENGTH=8192 ollama run qwen3:8b", "rtx 3060").rows()
    assert (row["seq"], row["batch"], row["max_batch"]) == (8192, 4, 4)


def test_ollama_has_a_context_of_its_own() -> None:
    """4k below 24 GiB, 32k below 48 GiB, else 256k (docs/context-length.mdx), and not more than the model's 40,960."""
    table = rc.from_command("ollama run qwen3:8b", ["rtx-3060-12gb", "rtx-4090", "2xrtx-4090", "h100-sxm"])
    assert [row["seq"] for row in table.rows()] == [4096, 32768, 40960, 40960]
    assert any("ollama: 4,096 tokens, its default on rtx-3060-12gb" in note and "OLLAMA_CONTEXT_LENGTH=…" in note for note in table.notes)
    (given,) = rc.from_command("ollama run qwen3:8b", "rtx-3060-12gb", seq=16000).rows()
    assert given["seq"] == 16000


def test_devices_that_a_variable_shows() -> None:
    (row,) = rc.from_command("CUDA_VISIBLE_DEVICES=0,1 llama-server -m Qwen3-32B-Q4_K_M.gguf -c 8192", "4xrtx-3090").rows()
    assert (row["hardware"], row["pp"]) == ("2xrtx-3090", 2)


@pytest.mark.parametrize(
    ("flags", "offload"),
    [
        ("-ot exps=CPU", "experts=cpu"),
        ("-ot .ffn_.*_exps.=CPU", "experts=cpu"),
        ("--override-tensor 'ffn_(gate|up|down)_exps=CPU'", "experts=cpu"),
        (r"-ot 'blk\.(2[0-9]|3[0-9])\.ffn_.*_exps\.=CPU'", "experts=cpu:20"),
        (r"-ot 'blk\.(4[0-9]|5[0-9])\.ffn_.*_exps\.=CPU'", "experts=cpu:8"),  # of 48 layers
        (r"-ot 'blk\.1\.ffn_.*_exps=CPU' -ot 'blk\.2\.ffn_.*_exps=CPU'", "experts=cpu:2"),
        ("--cpu-moe -ot exps=CPU", "experts=cpu"),
        ("-ot ffn_up_exps=CPU", None),
        ("-ot ffn_.*=CPU", None),
        ("-ot exps=CUDA1", None),
        ("-ot '(exps=CPU'", None),
        ("-ot nothing=CPU", None),
    ],
)
def test_tensors_that_llama_cpp_moves(flags: str, offload: str | None) -> None:
    table = rc.from_command(
        f"llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -c 8192 {flags}", "rtx-4090", **({"host": "memory_gb_s=90"} if offload else {})
    )  # type: ignore[arg-type]
    (row,) = table.rows()
    assert row.get("offload") == offload
    assert any("not calculated here: of moved tensors" in note for note in table.notes) == (offload is None)


@pytest.mark.parametrize(
    ("line", "engine"),
    [
        ("docker run --gpus all vllm/vllm-openai:v0.11.0 --model m", "vllm-0.11"),
        ("docker run --gpus all lmsysorg/sglang:v0.5.5-cu129 python3 -m sglang.launch_server --model-path m", "sglang-0.5"),
        ("docker run --gpus all vllm/vllm-openai:latest --model m", "vllm"),
        ("docker run --gpus all vllm/vllm-openai:nightly --model m", "vllm"),
        ("vllm serve m", "vllm"),
    ],
)
def test_the_tag_of_an_image_names_the_release(line: str, engine: str) -> None:
    assert parse(line).options["engine"] == engine


def test_options_in_json_and_in_parts_are_one() -> None:
    """vLLM joins `--speculative-config.method mtp` and its like to one object."""
    given = {"method": "mtp", "num_speculative_tokens": 1}
    whole = parse(f"vllm serve m --speculative-config '{json.dumps(given)}' -tp 2")
    parts = parse("vllm serve m --speculative-config.method mtp -tp 2 --speculative-config.num_speculative_tokens=1")
    assert parts == whole and any("--draft with --acceptance" in note for note in parts.notes)
