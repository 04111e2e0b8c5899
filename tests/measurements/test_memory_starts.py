"""Logged starts beside the calculation: reading, names, releases, recipes, causes, and the command."""

import json
from pathlib import Path

import pytest

from roofcalc.errors import RoofcalcError
from roofcalc.measurements import memory_compare
from roofcalc.measurements.memory_compare import compare
from roofcalc.measurements.memory_starts import Start, read, release
from tests.shell import run

HEADER = "id,source,engine,engine_version,model,weights_dtype,kv_dtype,hardware,tp,gpu_memory_utilization,max_model_len,weights_gib_per_device"
HEADER += ",kv_cache_gib_per_device,kv_tokens,max_concurrency,notes"
ROWS = (
    "a,llm-d-planner accuracy report,vllm,0.18.0,Qwen/Qwen3-14B,bf16,bf16,H100 80GB,1,0.95,8192,27.52,45.23,,36.18,",
    "b,vllm issue 23278,vllm,(Aug 2025),openai/gpt-oss-120b,mxfp4,bf16,H100 80GB,1,0.9,,65.9651,-2.14,,,failed to start: negative KV",
    "c,Nemotron boot log,vllm,0.19.2rc1,NVIDIA-Nemotron-3-Nano-4B-BF16,bf16,fp8,GB10,1,0.95,49152,7.43,103.39,1934432,216.94,",
    "d,ik_llama.cpp issue 539,ik_llama.cpp,(2025),Qwen3-32B,q4_0,f16,,,,40960,17.413,10.0,40960,,file size; one sequence",
    "e,nobody,vllm,0.18.0,some-model-of-nobody,bf16,bf16,H100 80GB,1,0.95,8192,,,,,",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "starts.csv"
    path.write_text("\n".join((HEADER, *ROWS)) + "\n")
    return path


def test_starts_agree_with_their_logs(file: Path) -> None:
    found = [compare(start) for start in read(file)]
    assert [one.kind for one in found] == ["full", "windowed", "recurrent", "full", ""]
    assert found[0].error == pytest.approx(0, abs=0.002) and found[0].weights_error == pytest.approx(0, abs=0.001)
    assert found[1].started is False and found[1].fits is False and found[1].error is None
    assert found[2].error == pytest.approx(0, abs=0.02)
    assert (found[3].basis, found[3].error) == ("cache", pytest.approx(0, abs=1e-6)) and found[3].weights_error == pytest.approx(0, abs=0.005)
    assert "not in the catalog" in found[4].why_not


def test_the_command_prints_starts_and_their_summary(file: Path) -> None:
    rows = json.loads(run(f"validate --memory {file} -f json").stdout)["rows"]
    assert [row["id"] for row in rows] == list("abcde") and rows[1]["fits"] is False
    summary = json.loads(run(f"validate --memory {file} --summary -f json").stdout)["rows"]
    everything = next(row for row in summary if row["by"] == "all")
    assert (everything["points"], everything["compared"], everything["refused_but_fit"], everything["ran_and_fit"]) == (5, 3, 0, 2)


def test_a_start_that_fits_although_it_was_refused_ends_with_3(tmp_path: Path) -> None:
    path = tmp_path / "starts.csv"
    row = "a,x,vllm,0.18.0,Qwen/Qwen3-14B,bf16,bf16,H100 80GB,1,0.95,8192,27.52,,,,failed to start"
    path.write_text(f"{HEADER}\n{row}\n")
    assert run(f"validate --memory {path}").exit_code == 3


def test_bad_files_are_refused_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "starts.csv"
    path.write_text("model,engine,max_model_length\nqwen3-14b,vllm,1\n")
    with pytest.raises(RoofcalcError, match="did you mean max_model_len"):
        read(path)
    path.write_text("model,engine,tp\nqwen3-14b,vllm,two\n,vllm,1\n")
    with pytest.raises(RoofcalcError, match="expected a whole number"):
        read(path)
    result = run(f"validate --memory {path}")
    assert result.exit_code == 2 and "Traceback" not in result.output


def test_releases_follow_versions_and_dates() -> None:
    def named(engine: str, version: str) -> str:
        return release(Start(place="x", id="x", model="x", engine=engine, engine_version=version))

    assert named("vllm", "0.13.0 (nv26.01)") == "vllm-0.13.0"
    assert named("vllm", "0.9.2.dev (V0)") == "vllm-0.7"
    assert named("vllm", "(Jul 2025)") == "vllm-0.9"
    assert named("vllm", "nightly May 2026") == "vllm-0.20"
    assert named("ik_llama.cpp", "(2025)") == "llama.cpp-b1"
    assert named("tensorrt-llm", "(Oct 2023)") == "tensorrt-llm-0.6"


def test_names_lose_owner_precision_and_tuning() -> None:
    for text, name in (
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b"),
        ("BatsResearch/bonito-v1 (Mistral-7B)", "mistral-7b-v0.1"),
        ("typhoon-s-thaillm-8b (Qwen3-8B architecture)", "qwen3-8b"),
        ("Llama-3_1-Nemotron-Ultra-253B-v1", "llama-3.1-nemotron-ultra-253b"),
    ):
        found = memory_compare._model(text)
        assert found is not None and found.name == name


def test_weights_take_the_recipe_of_the_checkpoint_or_of_the_dtype() -> None:
    """The first is in models/checkpoints.csv; NVFP4 checkpoints keep attention in 16 bits; DeepSeek and Qwen publish fp8 in blocks of 128."""
    for name, dtype, recipe in (
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "fp8", "mlp@1-124=fp8"),
        ("meta-llama/Llama-3.1-8B-Instruct", "fp8", "fp8"),
        ("Qwen3-32B-FP8", "fp8", "fp8-block128"),
        ("Qwen3-32B-NVFP4", "nvfp4", "mlp=nvfp4"),
        ("openai/gpt-oss-20b", "mxfp4", "native"),
        ("deepseek-ai/DeepSeek-R1", "fp8", "native"),
        ("Qwen3-32B", "q4_k_m", "q4_k_m"),
        ("Qwen3-32B", "iq9_k", None),
        ("Qwen3-32B", "", "native"),
    ):
        model = memory_compare._model(name)
        assert model is not None
        row = Start(place="x", id="x", model=name, engine="vllm", weights_dtype=dtype)
        assert memory_compare.weights_recipe(row, model) == recipe
