"""Results of clients that work with any server: AIPerf and GenAI-Perf, GuideLLM; and of llama-bench.

- AIPerf `profile_export_aiperf.json`, GenAI-Perf `profile_export_genai_perf.json`: one object of metrics with `unit` and statistics
  (docs.nvidia.com/aiperf, JSON export schema).
- GuideLLM `benchmarks.json`: a list of benchmarks, one for each rate (github.com/vllm-project/guidellm, benchmark/schemas).
- `llama-bench -o json` and `-o jsonl`: a list of tests (github.com/ggml-org/llama.cpp, tools/llama-bench).
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from roofcalc.measurements import spellings
from roofcalc.measurements.results.run import Figures, Run, count, in_flight, number, positive, word

MILLISECONDS = {"ms": 1.0, "s": 1e3, "sec": 1e3, "seconds": 1e3, "us": 1e-3, "ns": 1e-6}
CACHES = {"f16": "fp16", "f32": "fp32"}


def is_aiperf(found: dict[str, Any]) -> bool:
    """Whether an object is an export of AIPerf or GenAI-Perf."""
    return isinstance(found.get("output_token_throughput"), dict) or isinstance(found.get("inter_token_latency"), dict)


def aiperf(found: dict[str, Any]) -> Figures:
    """An export of AIPerf or GenAI-Perf."""
    config = found.get("input_config") if isinstance(found.get("input_config"), dict) else {}
    isl, osl = (_statistic(found, name, "avg") for name in ("input_sequence_length", "output_sequence_length"))
    concurrency = positive(next(_values(config, "concurrency"), None))
    latency = _milliseconds(found, "request_latency", "avg")
    mean = in_flight(_statistic(found, "request_throughput", "avg"), latency / 1e3 if latency else None)
    model = next((name for key in ("model_names", "model", "models") for one in _values(config, key) if (name := _name(one))), None)
    cancelled = found.get("was_cancelled") is True
    return Figures(
        {
            "output_tok_s_total": _statistic(found, "output_token_throughput", "avg"),
            "tpot_ms": _milliseconds(found, "inter_token_latency", "p50", "avg"),
            "ttft_ms": _milliseconds(found, "time_to_first_token", "p50", "avg"),
        },
        Run(model=model, isl=isl, osl=osl, batch=concurrency or mean),
        date=word(found.get("start_time")),
        excluded="the run was cancelled" if cancelled else "",
    )


def _statistic(found: dict[str, Any], name: str, *statistics: str) -> float | None:
    block = found.get(name)
    if not isinstance(block, dict):
        return None
    return next((value for one in statistics if (value := positive(block.get(one)))), None)


def _milliseconds(found: dict[str, Any], name: str, *statistics: str) -> float | None:
    value, block = _statistic(found, name, *statistics), found.get(name)
    return value * MILLISECONDS.get(str(block.get("unit", "ms")).lower(), 1.0) if value and isinstance(block, dict) else None


def _values(tree: Any, key: str) -> Iterator[Any]:
    """Every value under `key` in nested objects, the outermost first; the place of a setting differs between releases."""
    if isinstance(tree, dict):
        if tree.get(key) is not None:
            yield tree[key]
        for value in tree.values():
            yield from _values(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _values(value, key)


def _name(value: Any) -> str | None:
    """The first name in a text, a list of them, or a list of objects with a `name`."""
    if isinstance(value, dict):
        return _name(value.get("name") or value.get("items"))
    return _name(value[0]) if isinstance(value, list) and value else word(value)


def is_guidellm(found: dict[str, Any]) -> bool:
    """Whether an object is a report of GuideLLM."""
    return isinstance(found.get("benchmarks"), list)


def guidellm(found: dict[str, Any]) -> list[Figures]:
    """The benchmarks of a report of GuideLLM. Its time per output token counts the first token, its inter-token latency does not."""
    return [_guidellm(one, found) for one in found["benchmarks"] if isinstance(one, dict)]


def _guidellm(one: dict[str, Any], report: dict[str, Any]) -> Figures:
    found = one.get("metrics")
    metrics: dict[str, Any] = found if isinstance(found, dict) else {}

    def of(name: str, *statistics: str) -> float | None:
        block = metrics.get(name)
        good = block.get("successful", block) if isinstance(block, dict) else None
        return next((value for key in statistics if (value := positive(good.get(key)))), None) if isinstance(good, dict) else None

    config = one.get("config") if isinstance(one.get("config"), dict) else one.get("args") if isinstance(one.get("args"), dict) else {}
    strategy: dict[str, Any] = next((value for value in _values(config, "strategy") if isinstance(value, dict)), {})
    kind = strategy.get("type_") or strategy.get("type")
    streams = positive(strategy.get("streams")) if kind == "concurrent" else 1.0 if kind == "synchronous" else None
    model = next((name for tree in (config, report.get("args")) for value in _values(tree, "model") if (name := _name(value))), None)
    return Figures(
        {
            "output_tok_s_total": of("output_tokens_per_second", "mean"),
            "tpot_ms": of("inter_token_latency_ms", "median", "mean"),
            "ttft_ms": of("time_to_first_token_ms", "median", "mean"),
        },
        Run(
            model=model,
            isl=of("prompt_token_count", "mean"),
            osl=of("output_token_count", "mean"),
            batch=streams or of("request_concurrency", "mean"),
        ),
    )


def is_llama_bench(found: dict[str, Any]) -> bool:
    """Whether an object is a test of llama-bench."""
    return "avg_ts" in found and "n_gen" in found


def llama_bench(found: dict[str, Any]) -> Figures:
    """A test of llama-bench: one sequence, a prompt of `n_prompt` tokens or `n_gen` generated ones after `n_depth` tokens."""
    prompt, generated, depth = (positive(found.get(name)) or 0.0 for name in ("n_prompt", "n_gen", "n_depth"))
    rate = positive(found.get("avg_ts"))
    file = PurePath(str(found.get("model_filename") or "").replace("\\", "/")).name or None
    devices = [name.strip() for name in str(found.get("gpu_info") or "").split(",") if name.strip()]
    rows = found.get("split_mode") == "row"
    values: dict[str, float | None] = {}
    if generated and not prompt:
        values["tok_s_user"] = rate
    elif prompt and not generated:
        values["prefill_tok_s"] = rate
    elif rate and prompt and generated:
        values["output_tok_s_total"] = rate * generated / (prompt + generated)  # avg_ts counts both
    run = Run(
        model=file,
        engine="llama.cpp",
        hardware=devices[0] if devices else None,
        kv=CACHES.get(str(found.get("type_k")), word(found.get("type_k"))),
        tp=len(devices) if devices and rows else None,
        pp=len(devices) if len(devices) > 1 and not rows else None,
        isl=prompt or depth,
        osl=generated or None,
        batch=1.0,
    )
    commit = word(found.get("build_commit"))
    return Figures(
        values,
        run,
        engine_version=f"b{found['build_number']}" if count(found.get("build_number")) else commit,
        n_devices=len(devices) or None,
        date=(word(found.get("test_time")) or "")[:10] or None,
        excluded=_on_host(found, file) or ("a prompt after cached tokens" if depth and prompt else ""),
    )


def _on_host(found: dict[str, Any], file: str | None) -> str:
    """Why a test did not run on the GPU alone; empty where it did."""
    if not found.get("gpu_info"):
        return "runs on the CPU"
    layers, model = number(found.get("n_gpu_layers")), spellings.model(file) if file else None
    if layers is not None and 0 <= layers < (model.depth if model else 1):
        return f"only {layers:.0f} layers are on the GPU"
    return "part of the experts are on the CPU" if number(found.get("n_cpu_moe")) else "the cache is on the CPU" if found.get("no_kv_offload") else ""
