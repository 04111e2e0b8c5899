"""Engines' command lines: each flag that matters becomes an option, each other is listed."""

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
        ("llama-server -m m.gguf -ot exps=CPU", "weights or experts outside the device's memory"),
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
    special |= {"cpu_moe", "n_cpu_moe", "cpu_offload_gib", "adapters", "adapter_count", "adapter_rank"}
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
