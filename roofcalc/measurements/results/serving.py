"""Results of the benchmark clients of vLLM and SGLang, which share a family of names, and of InferenceX, which builds on them.

- `vllm bench serve --save-result` and benchmark_serving.py before it: one JSON object
  (github.com/vllm-project/vllm, vllm/benchmarks/serve.py).
- `python -m sglang.bench_serving --output-file`: one JSON object a line (github.com/sgl-project/sglang, python/sglang/bench_serving.py).
- InferenceX (InferenceMAX): an object or list of aggregates, seconds instead of milliseconds (github.com/SemiAnalysisAI/InferenceX,
  utils/process_result.py), and the rows of its API, whose figures are in `metrics`.
"""

from typing import Any

from roofcalc.measurements.results.run import Figures, Run, count, in_flight, latency_s, number, positive, word

ENGINES = {"trt": "TensorRT-LLM", "trtllm": "TensorRT-LLM", "dynamo-trt": "TensorRT-LLM", "dynamo-trtllm": "TensorRT-LLM"}
PRECISIONS = {"fp4": "nvfp4"}
AMD_PRECISIONS = {"fp4": "mxfp4"}


def is_serving(found: dict[str, Any]) -> bool:
    """Whether an object is a result of vLLM's or SGLang's client."""
    return "output_throughput" in found and "total_output_tokens" in found


def serving(found: dict[str, Any]) -> Figures:
    """A result of vLLM's or SGLang's client."""
    completed = positive(found.get("completed"))
    isl, osl = (_mean(found.get(name), completed) for name in ("total_input_tokens", "total_output_tokens"))
    tpot, ttft = (positive(found.get(name)) for name in ("median_tpot_ms", "median_ttft_ms"))
    engine = _engine(word(found.get("backend")) or word(found.get("endpoint_type")))
    drafts, drafted = positive(found.get("spec_decode_num_drafts")), positive(found.get("spec_decode_draft_tokens"))
    accepted = positive(found.get("spec_decode_acceptance_length")) or positive(found.get("accept_length"))
    run = Run(
        model=word(found.get("model_id")),
        engine=engine,
        isl=isl,
        osl=osl,
        batch=_concurrency(found, osl),
        draft=round(drafted / drafts) or None if drafts and drafted else None,
        accepted=accepted if accepted and accepted > 1 else None,
    )
    failed = number(found.get("failed")) or 0
    return Figures(
        {"output_tok_s_total": positive(found.get("output_throughput")), "tpot_ms": tpot, "ttft_ms": ttft},
        run,
        date=word(found.get("date")),
        excluded=f"{failed:.0f} requests failed" if completed and failed > 0.05 * completed else "" if completed else "no request was completed",
        itl="tpot",
    )


def _mean(total: Any, completed: float | None) -> float | None:
    tokens = positive(total)
    return tokens / completed if tokens and completed else None


def _concurrency(found: dict[str, Any], osl: float | None) -> float | None:
    """Requests in flight: the client's limit where it sends as fast as it may, else their mean, measured or by Little's law."""
    limit = positive(found.get("max_concurrency"))
    if limit and number(found.get("request_rate")) is None:  # "inf", Infinity, or not given
        return limit
    measured = positive(found.get("concurrency"))
    mean_s = positive(found.get("mean_e2el_ms")) or positive(found.get("mean_e2e_latency_ms"))
    seconds = mean_s / 1e3 if mean_s else latency_s(positive(found.get("mean_ttft_ms")), positive(found.get("mean_tpot_ms")), osl)
    mean = measured or in_flight(positive(found.get("request_throughput")), seconds)
    return min(limit, mean) if limit and mean else mean


def _engine(backend: str | None) -> str | None:
    """The engine behind a client's `backend`; protocols such as openai name none."""
    name = (backend or "").lower()
    for known in ("sglang", "tensorrt", "trt", "vllm", "lmdeploy", "tgi", "llama.cpp"):
        if name.startswith(known):
            return ENGINES.get(known, "TensorRT-LLM" if known == "tensorrt" else known)
    return None


def is_inferencex(found: dict[str, Any]) -> bool:
    """Whether an object is an aggregate of InferenceX, or a row of its API."""
    return "conc" in found and any(name in found for name in ("hw", "hardware", "device", "infmax_model_prefix"))


def inferencex(found: dict[str, Any]) -> Figures:
    """An aggregate of InferenceX: figures per device and in seconds."""
    row = {**found, **(found["metrics"] if isinstance(found.get("metrics"), dict) else {})}
    split = _true(row.get("disagg")) or bool(count(row.get("decode_num_workers")))
    tp, ep = (count(row.get(name)) or count(row.get(f"decode_{name}")) for name in ("tp", "ep"))
    devices = count(row.get("num_gpus")) or count(row.get("num_decode_gpu")) or (tp or 0) * (count(row.get("pp")) or 1) or None
    attention_dp = _true(row.get("dp_attention")) or _true(row.get("decode_dp_attention"))
    per_device = positive(row.get("output_tput_per_gpu"))
    total = per_device * devices if per_device and devices else positive(row.get("output_tput_tps"))
    hardware = (word(row.get("hw")) or word(row.get("hardware")) or word(row.get("device")) or "").rpartition(":")[2]
    precision = (word(row.get("precision")) or "").lower()
    tpot, ttft = (_seconds_ms(row, name) for name in ("tpot", "ttft"))
    drafting = word(row.get("spec_decoding")) or word(row.get("spec_method")) or word(row.get("mtp")) or "none"
    accepted = positive(row.get("observed_tokens_per_step")) or positive(row.get("acceptance_length"))
    excluded = "separate pools of prefill and decode devices" if split else ""
    speculates = drafting not in ("none", "off", "false") and not accepted
    if word(row.get("scenario_type")) not in (None, "fixed-seq-len") or word(row.get("benchmark_type")) not in (None, "single_turn"):
        excluded = excluded or "requests that share prefixes"
    framework = (word(row.get("framework")) or "").lower()
    run = Run(
        engine=ENGINES.get(framework, framework) or None,
        model=word(row.get("model")) or word(row.get("infmax_model_prefix")),
        hardware=hardware.partition("-")[0] or None,
        weights=(AMD_PRECISIONS if hardware.lower().startswith("mi") else PRECISIONS).get(precision, precision) or None,
        tp=tp,
        pp=count(row.get("pp")),
        dp=tp if attention_dp else None,
        ep=ep,
        isl=positive(row.get("isl")),
        osl=positive(row.get("osl")),
        batch=positive(row.get("conc")),
        accepted=accepted if accepted and accepted > 1 else None,
    )
    return Figures(
        {"output_tok_s_total": total, "tpot_ms": tpot, "ttft_ms": ttft},
        run,
        n_devices=devices,
        date=word(row.get("date")),
        excluded=excluded,
        unknown_acceptance=f"speculative decoding ({drafting}) without its acceptance (--accepted)" if speculates else "",
        itl="tpot",
    )


def _seconds_ms(row: dict[str, Any], name: str) -> float | None:
    seconds = positive(row.get(f"median_{name}")) or positive(row.get(f"mean_{name}")) or positive(row.get(f"p50_{name}"))
    return seconds * 1e3 if seconds else None


def _true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")
