"""Result files of benchmark clients, in the shape that each client writes: what is read of them, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from roofcalc.errors import RoofcalcError
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import ROOFLINE
from roofcalc.measurements.points import Point
from roofcalc.measurements.results.files import load
from roofcalc.measurements.results.run import Run
from tests.shell import refused, rows, run

FILES = Path(__file__).with_name("results")
H100 = Run(hardware="h100-sxm")


def by_id(name: str, given: Run = H100) -> dict[str, Point]:
    found = load(FILES / name, given)
    assert not found.problems
    return {point.id: point for point in found.points}


def written(folder: Path, tree: Any, name: str = "result.json") -> Path:
    path = folder / name
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def test_vllm() -> None:
    # SemiAnalysisAI/InferenceX-app, glm-4.7/results/glm47_conc16.json: 163,840 prompt tokens and 117,008 outputs of 160 requests.
    found = by_id("vllm.json", Run(hardware="8xgaudi3", weights="fp8", tp=8))
    total, tpot, ttft = (found[f"vllm-1 {metric}"] for metric in ("output_tok_s_total", "tpot_ms", "ttft_ms"))
    assert (total.model, total.hardware, total.engine, total.batch, total.isl, total.osl) == ("zai-org/GLM-4.7", "8xgaudi3", "vllm", 16, 1024, 731.3)
    assert (total.value, tpot.value, ttft.value) == (186.47558779609227, 81.24676168279643, 388.99113400111673)
    assert (total.weights_dtype, total.tp, total.date) == ("fp8", 8, "20260314-193625")
    assert total.comparable and tpot.comparable and not ttft.comparable  # 16 prompts wait for one another
    assert all(isinstance(one, Case) for one in cases([total, tpot]))


def test_sglang_a_line_for_each_run() -> None:
    found = by_id("sglang.jsonl", Run(model="llama-3.1-8b", hardware="h100-sxm"))
    first, second = found["sglang-1 output_tok_s_total"], found["sglang-2 tpot_ms"]
    # 4.889 requests a second of 2.4095 s each: 11.78 in flight, by Little's law, of at most 256.
    assert first.batch == pytest.approx(4.88909229058201 * 2.409499004891637)
    assert (first.isl, first.osl, first.engine, first.accepted) == (302.118, 195.775, "sglang", None)
    assert (second.batch, second.accepted, second.value) == (4, 2.3, 3.65)  # Infinity requests a second: the limit is reached
    (case,) = cases([second])
    assert isinstance(case, Case) and case.speculation is not None and case.deployment(ROOFLINE).accepted == pytest.approx(2.3)


def test_aiperf_and_genai_perf() -> None:
    aiperf, genai = by_id("aiperf.json"), by_id("genai_perf.json")
    one = aiperf["aiperf-1 tpot_ms"]
    assert (one.model, one.batch, one.isl, one.osl, one.value) == ("meta-llama/Llama-3.1-8B-Instruct", 8, 1024, 128, 14.4)
    assert aiperf["aiperf-1 output_tok_s_total"].value == 512
    assert genai["genai_perf-1 ttft_ms"].comparable and genai["genai_perf-1 ttft_ms"].batch == 1


def test_aiperf_without_a_concurrency_takes_the_mean_and_other_units(tmp_path: Path) -> None:
    tree = json.loads((FILES / "aiperf.json").read_text())
    del tree["input_config"]["loadgen"]
    tree["request_latency"] = {"unit": "s", "avg": 2.0}
    tree["input_config"] = {"models": {"items": [{"name": "meta-llama/Llama-3.1-8B"}]}}
    (point, *_) = load(written(tmp_path, tree), H100).points
    assert (point.batch, point.model) == (8.0, "meta-llama/Llama-3.1-8B")  # 4 requests a second of 2 s each


def test_guidellm_a_point_for_each_rate() -> None:
    found = by_id("guidellm.json")
    first, second = found["guidellm-1 tpot_ms"], found["guidellm-2 tpot_ms"]
    assert (first.model, first.isl, first.osl, first.batch, first.value) == ("Qwen/Qwen3-8B", 512, 256, 8, 9.8)  # not 9.96, with the first token
    assert (second.batch, second.value) == (4.25, 8)
    assert found["guidellm-1 output_tok_s_total"].value == 793


def test_llama_bench() -> None:
    # ggml-org/llama.cpp, tools/llama-bench/README.md
    found = by_id("llama_bench.json", Run())
    prompt, generated = found["llama_bench-1 prefill_tok_s"], found["llama_bench-2 tok_s_user"]
    assert (prompt.value, prompt.isl, prompt.osl, prompt.batch) == (7100.002165, 512, None, 1)
    assert (generated.value, generated.isl, generated.osl) == (118.881588, 0, 128)
    assert (generated.model, generated.hardware, generated.kv_dtype) == ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "NVIDIA GeForce RTX 4080", "fp16")
    case = cases([generated])[0]
    assert isinstance(case, Case) and (case.model.name, case.weights, case.hardware.name) == ("qwen2.5-7b", "q4_k_m", "rtx-4080")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"n_gpu_layers": 20}, "only 20 layers are on the GPU"),
        ({"gpu_info": ""}, "runs on the CPU"),
        ({"no_kv_offload": True}, "the cache is on the CPU"),
        ({"n_gpu_layers": 99}, None),
    ],
)
def test_llama_bench_on_the_host(tmp_path: Path, change: dict[str, Any], why: str | None) -> None:
    test = json.loads((FILES / "llama_bench.json").read_text())[1] | change
    (point,) = load(written(tmp_path, [test]), Run(hardware="rtx-4080")).points
    assert (point.comparable, point.notes) == (why is None, why)


def test_llama_bench_lines_of_two_cards_with_prompt_and_answer(tmp_path: Path) -> None:
    test = json.loads((FILES / "llama_bench.json").read_text())[1]
    test |= {"gpu_info": "NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090", "n_prompt": 384, "n_gen": 128, "avg_ts": 400.0}
    points = load(written(tmp_path, "\n".join([json.dumps(test), json.dumps(test | {"split_mode": "row"})]), "bench.jsonl")).points
    assert [(point.value, point.n_devices, point.pp, point.tp) for point in points] == [(100.0, 2, 2, None), (100.0, 2, None, 2)]


def test_inferencex() -> None:
    found = by_id("inferencex.json", Run())
    sglang, spread = found["inferencex-1 output_tok_s_total"], found["inferencex-2 tpot_ms"]
    assert (sglang.value, sglang.n_devices, sglang.hardware, sglang.weights_dtype) == (1600, 8, "h200", "fp8")
    assert (spread.value, spread.tp, spread.dp, spread.ep, spread.weights_dtype, spread.engine) == (41, 8, 8, 8, "nvfp4", "TensorRT-LLM")
    layouts = [
        (case.deployment(ROOFLINE).layout.tp, case.deployment(ROOFLINE).layout.dp) for case in cases([sglang, spread]) if isinstance(case, Case)
    ]
    assert layouts == [(8, 1), (1, 8)]
    assert found["inferencex-3 tpot_ms"].notes == "speculative decoding (mtp) without its acceptance (--accepted)"
    assert by_id("inferencex.json", Run(draft=3, accepted=2.4))["inferencex-3 tpot_ms"].comparable
    row = found["inferencex-4 output_tok_s_total"]  # of the API: figures in `metrics`
    assert (row.value, row.hardware, row.weights_dtype, row.comparable) == (2000, "mi355x", "mxfp4", True)
    tree = json.loads((FILES / "inferencex.json").read_text())[0]
    assert tree["disagg"] is False


def test_inferencex_with_separate_pools_is_not_compared(tmp_path: Path) -> None:
    tree = json.loads((FILES / "inferencex.json").read_text())[0] | {"disagg": True}
    assert {point.notes for point in load(written(tmp_path, tree)).points} == {"separate pools of prefill and decode devices"}


def test_a_folder_of_results() -> None:
    found = load(FILES, Run(model="llama-3.1-8b", hardware="8xh100-sxm"))
    assert len({point.source for point in found.points}) == len(list(FILES.iterdir())) == 7 and not found.problems


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "not a result of a known format (vllm bench serve"),
        ("[]", "contains no results"),
        ("not json", "not JSON"),
        ('{"output_throughput": 0, "total_output_tokens": 0}', "holds no throughput and no time above 0"),
        ('{"a": 1}\n{"b": 2}\n', "not a result of a known format"),
        ("[" * 100_000, "not JSON"),
        ('[{"avg_ts": 5, "n_gen": 0, "n_prompt": -1}]', "holds no throughput"),
        ('[{"conc": 1, "hw": "h100", "tp": 8, "median_tpot": 1e308, "output_tput_per_gpu": -3}]', "holds no throughput"),
        ('{"output_throughput": 1e999, "total_output_tokens": [], "completed": {}}', "holds no throughput"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(RoofcalcError) as caught:
        load(written(tmp_path, text), Run(model="llama-3.1-8b", hardware="h100-sxm"))
    assert complaint in str(caught.value) or "nested too deeply" in str(caught.value)


def test_one_bad_line_does_not_stop_a_file(tmp_path: Path) -> None:
    good = (FILES / "sglang.jsonl").read_text().splitlines()[0]
    path = written(tmp_path, f"{good}\n{{broken\n{good}\n", "runs.jsonl")
    line = f"validate {path} --model llama-3.1-8b --hardware h100-sxm"
    found = run(f"{line} -f json")
    assert found.exit_code == 0 and f"note: {path}:2: not a result of a known format" in found.stderr
    assert sum(row["why_not"] is None for row in json.loads(found.stdout)["rows"]) == 2  # the third line is the first again
    assert f"{path}:2: not a result of a known format" in refused(f"{line} --strict")


def test_from_the_shell() -> None:
    file = FILES / "vllm.json"
    found = rows(f"validate {file} --hardware 8xgaudi3 --weights fp8")
    assert [row["why_not"] for row in found] == ["", "", "not comparable"] and {row["model"] for row in found} == {"glm-4.7"}
    assert float(found[0]["ratio"]) == pytest.approx(float(found[0]["measured"]) / float(found[0]["predicted"]))
    assert f"{file}: names no hardware; give --hardware" in refused(f"validate {file}")
    assert "--model" in refused(f"validate {FILES / 'sglang.jsonl'} --hardware h100-sxm")
    assert "unknown model 'llama-99'" in refused(f"validate {file} --model llama-99 --hardware h100-sxm")
    assert "unknown hardware" in refused(f"validate {file} --hardware h900")
    assert "--tp" in refused(f"validate {file} --hardware 8xh100-sxm --tp 0")
    csv = Path(__file__).with_name("measured.csv")
    assert "--model: only for result files" in refused(f"validate {csv} --model llama-3.1-8b")
