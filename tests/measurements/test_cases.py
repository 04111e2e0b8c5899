"""What points ask of the calculator: spellings, shares of larger units, and the reasons why some cannot be compared."""

import re
from pathlib import Path
from typing import Any

import pytest

from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError
from roofcalc.measurements import spellings
from roofcalc.measurements.cases import OPEN_CONTEXT, REASONS, Case, cases
from roofcalc.measurements.compare import ROOFLINE, bound, most_likely_run
from roofcalc.measurements.metrics import METRICS
from roofcalc.measurements.points import Point, read
from roofcalc.specs import dtypes
from roofcalc.specs.record import replace

HERE = Path(__file__).parent
PLAIN = Point("p.csv:2", "P", "llama-3.1-8b", "h100-sxm", "tok_s_user", 100.0, n_devices=1, isl=1000, osl=100, batch=8.0)


def one(**changes: Any) -> Case | str:
    return cases([replace(PLAIN, **changes)])[0]


def case(**changes: Any) -> Case:
    found = one(**changes)
    assert isinstance(found, Case), found
    return found


@pytest.mark.parametrize("row", spellings.table(), ids=lambda row: row["spelling"])
def test_each_spelling_stands_for_something_that_there_is(row: dict[str, str]) -> None:
    assert tuple(row) == spellings.HEADER and row["why"] and re.fullmatch(r"https://\S+", row["source"])
    if row["kind"] == "dtypes":
        assert all(dtypes.dtype(word.split("=")[-1]) for word in row["name"].split())
        with pytest.raises(RoofcalcError):
            dtypes.dtype(row["spelling"])
    else:
        kind: Any = row["kind"]
        assert lookup.find(kind, row["name"]).name == row["name"]
        with pytest.raises(RoofcalcError):  # what the catalog knows by itself needs no row
            lookup.find(kind, row["spelling"])


@pytest.mark.parametrize("file", ["measured.csv", "offline.csv"])
def test_every_model_and_device_of_the_files_is_in_the_catalog(file: str) -> None:
    for point in read(HERE / file):
        assert spellings.model(point.model) and spellings.hardware(point.hardware) and point.metric in METRICS, point.id


def test_published_points_name_their_sources_and_are_read_but_for_devices_of_other_catalogs() -> None:
    points = read(HERE / "published_2026.csv")
    assert len(points) == 893 and (HERE / "published_2026.csv").stat().st_size < 150_000
    pages: dict[str | None, list[str | None]] = {}
    for point in points:
        pages.setdefault(point.source, []).append(point.source_url_or_path)
    assert all((found[0] or "").startswith("https://") and not any(found[1:]) for found in pages.values())  # the first row of a source says where
    missing = {point.hardware for point, found in zip(points, cases(points), strict=True) if not isinstance(found, Case)}
    assert missing <= {"Ascend 910B2", "MTT S4000", "RTX 3070 8GB", "RTX 4000 Ada", "RTX 5000 Ada 32GB", "V100S-PCIE-32GB"}


def test_what_the_files_points_are_not_compared_for() -> None:
    points = read(HERE / "measured.csv")
    reasons = {point.id: found for point, found in zip(points, cases(points), strict=True) if isinstance(found, str)}
    assert reasons == {
        "E0286": "repeated",  # 7.1 ms in the blog, 7 in the table: one run
        "E0290": "repeated",  # 12.5 and 12
        "E0311": "no context",  # DeepSeek's service over a day: no prompt or output lengths
        "E0313": "no context",
        "E0314": "no context",
    }


def test_every_reason_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hardware").mkdir()
    (tmp_path / "hardware" / "slow.yaml").write_text(
        "name: slow\nvendor: X\nmemory: {capacity_gb: 80, bandwidth_gb_s: 100}\npeak_tflop_s: {fp64: 1}\nsources: [https://example.org]\n"
    )
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    wanted: dict[str, dict[str, Any]] = {
        "not comparable": {"comparable": False},
        "unknown metric": {"metric": "vibes"},
        "unknown model": {"model": "llama-9"},
        "unknown hardware": {"hardware": "h900"},
        "unknown dtype": {"weights_dtype": "fp7"},
        "no context": {"isl": None},
        "no batch": {"batch": None},
        "impossible layout": {"n_devices": 6, "tp": 4},
        "no peak": {"hardware": "slow"},
        "speculation": {"accepted": 3.5, "draft": 2},
        "does not fit": {"model": "llama-3.1-405b", "metric": "decode_tok_s_total", "batch": None, "max_load": True},
    }
    assert {reason: one(**changes) for reason, changes in wanted.items()} == {reason: reason for reason in wanted}
    assert cases([PLAIN, replace(PLAIN, id="Q")])[1] == "repeated"
    assert set(REASONS) == {*wanted, "repeated", "unreadable"}
    assert one(metric="output_tok_s_total", osl=None) == one(metric="ttft_ms", isl=0) == one(metric="prefill_tok_s", isl=0) == "no context"
    assert one(kv_dtype="x") == one(compute_dtype="x") == one(weights_dtype="bf16 knees=fp8") == "unknown dtype"
    assert one(model=str(tmp_path / "none.yaml")) == "unknown model"
    assert one(n_devices=None, hardware="8xh900") == "unknown hardware"


def test_only_one_measurement_counts_once() -> None:
    other: list[dict[str, Any]] = [
        {"value": 101.0},
        {"batch": 9.0},
        {"isl": 1001},
        {"weights_dtype": "fp8"},
        {"engine": "another"},
        {"metric": "tpot_ms"},
    ]
    assert all(isinstance(found, Case) for found in cases([PLAIN, *(replace(PLAIN, **change) for change in other)]))
    rounded = [replace(PLAIN, metric="ttft_ms", value=value) for value in (7.0, 7.1, 7.6)]  # 7.1 may be printed as 7, and 7.6 not
    assert [isinstance(found, str) for found in cases(rounded)] == [False, True, False]


def test_a_share_of_a_larger_unit() -> None:
    # 8 devices of 72, with their 2048 sequences: the whole unit has nine times as many of both.
    found = case(model="deepseek-v3", hardware="h100-sxm", n_devices=8, tp=1, dp=72, ep=72, batch=2048.0, metric="decode_tok_s_total")
    assert (found.hardware.count, found.work.batch, found.share) == (72, 18432, 8 / 72)
    deployment = found.deployment(ROOFLINE)
    assert (deployment.layout.dp, deployment.layout.ep) == (72, 72)
    alone = case(model="deepseek-v3", n_devices=72, tp=1, dp=72, ep=72, batch=18432.0, metric="tok_s_user")
    assert alone.value(alone.deployment(ROOFLINE)) * 2048 == pytest.approx(found.value(deployment))


def test_attention_data_parallel_within_a_tensor_group() -> None:
    found = case(model="deepseek-r1", hardware="B200-180GB", n_devices=8, tp=8, pp=1, dp=8, ep=8, batch=3072.0)
    layout = found.deployment(ROOFLINE).layout
    assert (found.hardware.count, layout.tp, layout.dp, layout.ep) == (8, 1, 8, 8)


@pytest.mark.parametrize(
    ("given", "devices", "tp", "dp", "share"),
    [
        ({"n_devices": 8, "tp": 8, "dp": 2}, 8, 4, 2, 1.0),  # SGLang: attention of each of two ranks over four devices
        ({"n_devices": 16, "tp": 8, "dp": 8, "replicas": 2}, 8, 1, 8, 2.0),
        ({"n_devices": 16, "tp": 4, "replicas": 4}, 4, 4, None, 4.0),  # four engines of four devices
        ({"n_devices": None, "tp": 2, "replicas": 3}, 2, 2, None, 3.0),
        ({"n_devices": 64, "tp": 8, "dp": 8}, 64, 8, 8, 1.0),  # as many devices as ranks: vLLM's meaning
    ],
)
def test_replicas_and_data_parallel_attention(given: dict[str, Any], devices: int, tp: int, dp: int | None, share: float) -> None:
    found = case(model="deepseek-r1", hardware="b200-sxm", **given)
    assert (found.hardware.count, found.tp, found.dp, found.share) == (devices, tp, dp, share)
    assert one(n_devices=8, replicas=3) == "impossible layout"


def test_replicas_are_as_many_engines_with_a_part_of_the_batch() -> None:
    alone = case(model="mixtral-8x7b", n_devices=2, tp=2, batch=16.0, metric="decode_tok_s_total")
    four = case(model="mixtral-8x7b", n_devices=8, tp=2, replicas=4, batch=64.0, metric="decode_tok_s_total")
    assert four.value(four.deployment(ROOFLINE)) == pytest.approx(4 * alone.value(alone.deployment(ROOFLINE)))


def test_heads_are_padded_where_the_tensor_ranks_do_not_divide_them() -> None:
    # 40 query heads on 16 ranks: three on the fullest, 48 in all. Latent attention has no such padding here.
    found = case(model="llama-4-scout", hardware="trainium2", n_devices=16, tp=16)
    assert {block.attention.heads for block in found.model.blocks.values() if block.attention} == {48}
    assert one(n_devices=3, tp=3) != "impossible layout"  # 32 heads on 3 would be 33 in 8 groups: none, but 48 is a multiple of both
    assert one(model="deepseek-v3", n_devices=3, tp=3) == "impossible layout"


def test_the_context_of_one_sequence_may_be_unknown() -> None:
    found = case(isl=None, osl=None, batch=1.0, metric="tpot_ms")
    assert found.context_open and found.work.isl == OPEN_CONTEXT
    known = case(isl=1, osl=None, batch=1.0, metric="tpot_ms")
    assert bound(found).value == bound(known).value  # the shortest context
    assert one(isl=None, batch=2.0) == one(isl=None, batch=1.0, metric="ttft_ms") == "no context"


def test_maximum_load_is_the_batch_that_fits() -> None:
    # Llama-2-7B in fp16 keeps 524,288 B per token; of 80 GB the weights leave (80e9 − 13.48e9)/(1,100·524,288) = 115.4 sequences at the
    # mean length of 1,000 + 200/2 tokens.
    given: dict[str, Any] = {"model": "llama-2-7b", "hardware": "a100-sxm-80gb", "kv_dtype": "fp16", "isl": 1000, "osl": 200, "batch": None}
    found = case(**given, max_load=True, metric="output_tok_s_total")
    assert most_likely_run(found, ROOFLINE)[1].work.batch == 115
    assert case(**given, metric="output_tok_s_total").value(found.deployment(ROOFLINE)) == found.value(found.deployment(ROOFLINE))
    assert one(**given, max_load=True, metric="tok_s_user") == "no batch"


def test_speculation_with_an_accepted_length() -> None:
    # A step yields 1 + α + α² + α³ tokens with three drafts.
    found = case(accepted=2.4, draft=3)
    assert found.speculation is not None and found.speculation[0] == 3
    rate = found.speculation[1]
    assert 1 + rate + rate**2 + rate**3 == pytest.approx(2.4)
    assert found.deployment(ROOFLINE).accepted == pytest.approx(2.4)
    assert case(acceptance=0.5).speculation == (1, 0.5)
    assert case(model="deepseek-v3", n_devices=8, accepted=1.8).speculation == (1, pytest.approx(0.8))  # one layer drafts
    assert one(accepted=2.4, n_devices=2, pp=2) == one(draft=3) == "speculation"


def test_remarks_in_parentheses_are_no_part_of_a_name() -> None:
    found = case(weights_dtype="Q4_K_M (4.83 bit/w avg)", kv_dtype="fp16 (no flag given)", hardware="H100-SXM (HGX)")
    assert (found.weights, found.kv, found.hardware.device.name) == ("q4_k_m", "fp16", "h100-sxm")
    assert case(kv_dtype="auto").kv is None
    assert case(model="Qwen3-32B-AWQ").weights != "native" and case(model="Qwen3-32B-AWQ", weights_dtype="bf16").weights == "native"


def test_tokens_of_a_prefill_step_are_whole_prompts_of_each_device() -> None:
    # 16,384 tokens on each of 32 devices are 524.288 prompts of 1,000, and 16 whole ones on each.
    found = case(model="deepseek-v3", n_devices=8, tp=1, dp=32, ep=32, batch=None, tokens_per_device=16384.0, osl=1, metric="prefill_tok_s")
    assert found.work.batch == pytest.approx(524.288)
    assert most_likely_run(found, ROOFLINE)[1].work.batch == 512


def test_weights_by_class_of_tensor() -> None:
    found = case(model="deepseek-r1", hardware="b200-sxm", n_devices=8, weights_dtype="nvfp4 (MoE/FFN) + bf16 attention")
    deployment = found.deployment(ROOFLINE)
    assert {name: deployment.weight_dtype(name).name for name in ("attention", "mlp", "experts", "shared", "head")} == {
        "attention": "bf16",
        "mlp": "nvfp4",
        "experts": "nvfp4",
        "shared": "nvfp4",
        "head": "bf16",
    }
    assert case(model="deepseek-v3", n_devices=8, weights_dtype="fp8").weights == "native"  # whose experts are fp8 in blocks
    assert case(weights_dtype="bf16").weights == "native" and case(weights_dtype="fp8").weights == "all=fp8"


def test_a_source_says_what_int8_weights_compute_in() -> None:
    found = case(weights_dtype="int8", compute_dtype="bf16")
    assert found.deployment(ROOFLINE).compute_label == "bf16"
    assert case(weights_dtype="int8").deployment(ROOFLINE).compute_label == "int8"


def test_parts_and_multiples_of_systems_keep_their_links() -> None:
    eight = case(hardware="gb200-nvl72", n_devices=8)
    assert (eight.hardware.name, eight.hardware.count, eight.hardware.domain) == ("8xgb200", 8, 72)
    assert case(hardware="gb200-nvl72", n_devices=None).hardware.count == 72
    assert case(hardware="8xh100-sxm", n_devices=None).hardware.count == 8
    assert case(n_devices=None, tp=4).hardware.count == 4


def test_an_unknown_cache_is_16_bit_where_the_batch_fits_so() -> None:
    # Llama-2-13B keeps 819,200 B per token in fp16: 64 × 2,176 tokens take 114 GB beside 13 GB of fp8 weights of 151; 1,024 × 256 take 215.
    of_h200: dict[str, Any] = {"model": "Llama-2-13B", "hardware": "H200-SXM-141GB", "weights_dtype": "fp8"}
    assert most_likely_run(case(**of_h200, isl=2048, osl=128, batch=64.0), ROOFLINE)[0].kv.name == "fp16"
    assert most_likely_run(case(**of_h200, isl=128, osl=128, batch=1024.0), ROOFLINE)[0].kv.name == "fp8"


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("Dynamo TensorRT-LLM", "tensorrt-llm"),
        ("vLLM (ROCm)", "vllm"),
        ("Optimum Habana", "optimum-habana"),
        ("gpt-fast (PyTorch)", "gpt-fast"),
        (None, ""),
    ],
)
def test_engines_by_name(engine: str | None, name: str) -> None:
    assert case(engine=engine).engine == name


def test_speeds_of_servers_have_the_prompts_of_others_in_them() -> None:
    # Llama 3.1 8B in bf16 on one H100, 8 requests of 1,000:100: a prompt takes T_p = 14.5 ms, and seven others come while 100 tokens are
    # generated, a hundredth of whose half step is before the first token: TPOT = T_step + 7·T_p·(1 − 1/200)/100
    step, tpot = case(), case(notes="1/median TPOT, aggregated serving")
    deployment, _ = most_likely_run(step, ROOFLINE)
    prompt = 1e-3 * case(metric="ttft_ms", osl=None, batch=1.0).value(deployment)
    assert (step.itl, tpot.itl) == ("step", "tpot")
    assert 1 / tpot.value(deployment) == pytest.approx(1 / step.value(deployment) + 7 * prompt * (1 - 1 / 200) / 100, rel=1e-6)
    times = case(notes="median TPOT", metric="tpot_ms")
    assert times.value(deployment) == pytest.approx(1e3 / tpot.value(deployment))
    assert bound(tpot).value == bound(step).value  # no engine beats the pure step


@pytest.mark.parametrize(
    ("changes", "itl"),
    [
        ({"itl": "tpot"}, "tpot"),
        ({"itl": "step", "notes": "median TPOT"}, "step"),
        ({"notes": "median ITL, i.e. steps without a prompt; mean TPOT not given"}, "step"),
        ({"notes": "Server; Poisson arrivals"}, "tpot"),
        ({"notes": "median TPOT", "batch": 1.0}, "step"),
        ({"notes": "median TPOT", "osl": None}, "step"),
        ({"notes": "median TPOT", "metric": "output_tok_s_total"}, None),
    ],
)
def test_which_time_between_tokens(changes: dict[str, Any], itl: str | None) -> None:
    assert case(**changes).itl == itl
