"""The preset `typical`: its laws, its all-reduces and exchanges against published times, its kernels, what it says and how far off it is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.commands.explain import explain
from roofcalc.commands.interactivity import interactivity
from roofcalc.commands.prefill import prefill as first_token
from roofcalc.deployment import calibrated
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, Draft, deploy
from roofcalc.deployment.efficiency import RunConstants
from roofcalc.errors import RoofcalcError
from roofcalc.measurements import points
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import most_likely_run, typical
from roofcalc.physics import collectives, overhead
from roofcalc.physics import decode_ops as work
from roofcalc.physics.breakdown import OVERHEAD, lines, prefill_lines
from roofcalc.physics.generation import output_tok_s, step_at
from roofcalc.physics.memory import kv_bytes
from roofcalc.physics.ops.operation import Message
from roofcalc.physics.prefill import prefill
from roofcalc.physics.roofline import decode
from roofcalc.physics.timing.devices import table_format
from roofcalc.specs.dtypes import dtype
from roofcalc.specs.record import replace
from tests import catalogs

HERE = Path(__file__).parent
BATCHES = np.array([1.0, 2, 3, 8, 17, 64, 255, 256, 1000, 4096])
SEQS = np.array([1.0, 100, 1000, 8192, 100_000])
# Model, machine, weights, layout: dense, latent, experts, states, windows; switch, mesh, torus, PCIe, several domains, stages
CASES = [
    ("llama-3.1-8b", "h100-sxm", "bf16", {}),
    ("llama-3.1-8b", "rtx-4090", "q4_k_m", {}),
    ("llama-3.1-70b", "8xh100-sxm", "fp8", {"tp": 8}),
    ("llama-3.1-70b", "8xmi300x", "fp8", {"tp": 2, "pp": 4}),
    ("llama-3.1-70b", "8-way-l40s", "int4", {"tp": 8}),
    ("llama-3.1-405b", "16xh100-sxm", "fp8", {"tp": 16}),
    ("llama-3.1-405b", "v5e-16", "int8", {"tp": 16}),
    ("mixtral-8x7b", "2xa100-sxm-80gb", "int8", {"tp": 2}),
    ("deepseek-v3", "8xh200-sxm", "native", {"tp": 8}),
    ("deepseek-v3", "32xh800-sxm", "native", {"tp": 1, "dp": 32}),
    ("gpt-oss-120b", "gb200-nvl72", "native", {"tp": 1, "dp": 72}),
    ("jamba-1.5-mini", "8xb200-sxm", "bf16", {"tp": 8}),
    ("gemma-3-27b", "tpu-v6e", "bf16", {}),
    ("deepseek-v3.2", "16xgaudi3", "fp8", {"tp": 4, "dp": 4}),
]


def on(model: str, hardware: str, weights: str = "native", layout: dict[str, int] | None = None, **given: object) -> Deployment:
    return deploy(lookup.model(model)[0], lookup.hardware(hardware)[0], weights=weights, assumptions=assumptions(**given), **(layout or {}))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def test_typical_is_no_faster_than_the_roofline_nor_than_the_bound(case: tuple[str, str, str, dict[str, int]]) -> None:
    by_preset = {name: on(*case, assume=name) for name in ("bound", "roofline", "typical")}
    steps = {name: decode(one, SEQS).seconds(BATCHES[:, None]) for name, one in by_preset.items()}
    prompts = {name: prefill(one, SEQS, 0.0, BATCHES[:, None]).ttft_s for name, one in by_preset.items()}
    for times in (steps, prompts):
        assert np.isfinite(times["typical"]).all()
        assert (times["roofline"] <= times["typical"] * (1 + 1e-12)).all()
        assert (times["bound"] <= times["typical"] * (1 + 1e-12)).all()
    assert (np.diff(steps["typical"], axis=0) >= 0).all()  # a step never gets shorter with more sequences
    assert (np.diff(steps["typical"], axis=1) >= 0).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def test_arrays_equal_the_loop(case: tuple[str, str, str, dict[str, int]]) -> None:
    deployment = on(*case, assume="typical")
    grid, prompts = decode(deployment, SEQS).seconds(BATCHES[:, None]), prefill(deployment, SEQS, 0.0, BATCHES[:, None]).ttft_s
    for row, batch in enumerate(BATCHES):
        for column, seq in enumerate(SEQS):
            assert float(decode(deployment, seq).seconds(batch)) == pytest.approx(grid[row, column], rel=1e-12)
            assert float(prefill(deployment, seq, 0.0, batch).ttft_s) == pytest.approx(prompts[row, column], rel=1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def test_figures_given_by_hand_stand_in_the_place_of_the_profiles(case: tuple[str, str, str, dict[str, int]]) -> None:
    """With every fraction 1 and no overhead, what is left is the roofline with its activations; messages keep their ways."""
    ideal = {"network": "ideal", "activations": True}
    plain = decode(on(*case, **ideal), SEQS).seconds(BATCHES[:, None])
    by_hand = {"assume": "typical", "network": "ideal", "mbu": 1.0, "mfu": 1.0, "link": 1.0, "layer_overhead_us": 0.0, "step_overhead_us": 0.0}
    assert decode(on(*case, **by_hand), SEQS).seconds(BATCHES[:, None]) == pytest.approx(plain, rel=1e-12)
    halved = decode(on(*case, **{**by_hand, "mbu": 0.5, "mfu": 0.5}), SEQS).seconds(BATCHES[:, None])
    assert halved == pytest.approx(2 * plain, rel=1e-12)


def test_given_overheads_add_to_any_preset() -> None:
    """126 layers of 10 us and a step of 500 us, on one stage: 1.76 ms; in two stages each pass takes its own."""
    for preset in ("roofline", "bound", "typical"):
        without = {"assume": preset, "layer_overhead_us": 0.0, "step_overhead_us": 0.0}
        waiting = {"assume": preset, "layer_overhead_us": 10.0, "step_overhead_us": 500.0}
        for layout, waited in (({"tp": 8}, 1.76e-3), ({"tp": 4, "pp": 2}, 2.26e-3)):
            plain, longer = (on("llama-3.1-405b", "8xh100-sxm", "fp8", layout, **given) for given in (without, waiting))
            assert decode(longer, 1000).seconds(1) - decode(plain, 1000).seconds(1) == pytest.approx(waited, rel=1e-9)
            if preset != "bound":  # whose pieces overlap in a pipeline
                assert float(prefill(longer, 1000).ttft_s - prefill(plain, 1000).ttft_s) == pytest.approx(waited, rel=1e-9)
    assert rc.interactivity("llama-3.1-8b", "h100-sxm", seq=1, batch=1, step_overhead_us=10**6)["limited_by"][0] == "overhead"


def test_a_link_given_by_hand() -> None:
    """A fraction given by hand replaces bandwidths: (1 + 1/g)·M/(f·λ) of 1 GiB, reduced in the switch, at half of 450 GB/s: 5.37 ms."""
    message = Message("x", "all_reduce", 1, 1.0, 8)
    deployment = on("llama-3.1-70b", "8xh100-sxm", "fp8", {"tp": 8}, assume="typical", link=0.5, collective_latency_us=0.0)
    assert _seconds(deployment, message, 2**29) == pytest.approx(1.125 * 2**30 / 225e9, rel=1e-9)
    kept = kernels_alone(on("llama-3.1-70b", "8xh100-sxm", "fp8", {"tp": 8}, assume="typical", link=0.5))
    assert _seconds(kept, message, 2**29) - 1.125 * 2**30 / 225e9 == pytest.approx(4.58e-6, rel=3e-3)  # α2 of Hopper's, below α1: 4.88 µs
    assert _seconds(kept, message, 0.0) == pytest.approx(4.58e-6, rel=3e-3)


def test_a_fit_in_typical_predicts_what_it_was_fitted_to(tmp_path: Path) -> None:
    """The fit is the roofline at fractions, with overheads of its own and none of the preset's; the profile that it saves means the same."""
    line = ("llama-3.1-70b", "8xh100-sxm")
    at = [(1000, 1, 120.0), (1000, 16, 100.0), (4000, 64, 60.0), (8000, 200, 20.0), (500, 512, 18.0)]
    points = [f"seq={seq},batch={batch},interactivity={rate}" for seq, batch, rate in at]
    for fix in ("link=0.5", ["link=1", "latency_us=0", "mfu=1"]):
        profile = tmp_path / "typical.yaml"
        rows = rc.fit(*line, point=points, assume="typical", fix=fix, residuals=True, save_profile=profile).rows()
        for (seq, batch, _), row in zip(at, rows, strict=True):
            (again,) = rc.interactivity(*line, seq=seq, batch=batch, assume="typical", profile=profile).rows()
            assert again["interactivity_tok_s"] == pytest.approx(float(row["fitted"]), rel=1e-9)


def kernels_alone(deployment: Deployment) -> Deployment:
    """The deployment without the constants of whole runs: kernels as they were timed alone."""
    assert deployment.profile is not None
    return replace(deployment, profile=replace(deployment.profile, constants=RunConstants()))


def _seconds(deployment: Deployment, message: Message, tokens: float) -> float:
    return float(sum(np.asarray(one) for one in collectives.seconds(deployment, message, tokens)))


@pytest.mark.parametrize(
    ("machine", "ranks", "size", "us"),
    [
        # Two-regime fits to NVIDIA's own tables of custom all-reduces (ai-dynamo/aiconfigurator, systems/data/*/comm), by hand:
        ("8xh100-sxm", 8, 2**14, 3.4 + 7 * 2**14 / 325e3),  # α1 + (g − 1)·M/B1, B in bytes per microsecond
        ("8xh100-sxm", 8, 2**29, 47 + 1.75 * 2**29 / 450e3),  # α2 + 2(g − 1)/g·M/B2
        ("8xh100-sxm", 4, 2**14, 3.1 + 3 * 2**14 / 324e3),
        ("8xh100-sxm", 4, 2**29, 28 + 1.5 * 2**29 / 346e3),
        ("8xb200-sxm", 8, 2**14, 5.5 + 7 * 2**14 / 600e3),
        ("8xb200-sxm", 8, 2**29, 34 + 1.75 * 2**29 / 686e3),
        ("8xa100-sxm-80gb", 8, 2**29, 42 + 1.75 * 2**29 / 209e3),
        # MI300X, 8 ranks: 312.9 GB/s of bus bandwidth (stas00/ml-engineering, network/README.md), small messages aside
        ("8xmi300x", 8, 2**30, 1.75 * 2**30 / 312.9e3),
    ],
)
def test_all_reduces_take_what_libraries_take(machine: str, ranks: int, size: int, us: float) -> None:
    deployment = kernels_alone(on("llama-3.1-70b", machine, "bf16", {"tp": ranks, "pp": 8 // ranks}, assume="typical"))
    message = Message("x", "all_reduce", 1, 1.0, ranks)  # two bytes a token
    # other releases than those whose kernels are packaged; MI300X borrows the kernels of another vendor's switch
    assert _seconds(deployment, message, size / 2) * 1e6 == pytest.approx(us, rel=0.45)


@pytest.mark.parametrize(
    ("ranks", "dispatch_us", "combine_us"),
    [(16, 118, 195), (32, 155, 273), (64, 173, 314), (128, 192, 369)],  # 128 tokens: deepseek-ai/DeepEP, docs/legacy.md
)
def test_exchanges_between_domains_take_what_kernels_take(ranks: int, dispatch_us: float, combine_us: float) -> None:
    deployment = kernels_alone(on("deepseek-v3", f"{ranks}xh800-sxm", "native", {"tp": 1, "dp": ranks}, assume="typical"))
    found = {message.name: message for message in work.messages(deployment, deployment.stages[0])}
    assert _seconds(deployment, found["moe.dispatch"], 128) * 1e6 == pytest.approx(dispatch_us, rel=0.2)
    assert _seconds(deployment, found["moe.combine"], 128) * 1e6 == pytest.approx(combine_us, rel=0.2)


@pytest.mark.parametrize(
    ("machine", "tokens", "dispatch_us", "combine_us"),
    [  # DeepEP low-latency kernels, 8 ranks (aiconfigurator, wideep tables)
        ("8xh100-sxm", 1, 13.2, 14.4),
        ("8xh100-sxm", 128, 36.7, 67.0),
        ("8xb200-sxm", 1, 22.1, 22.1),
        ("8xb200-sxm", 128, 33.0, 40.9),
    ],
)
def test_exchanges_inside_a_domain_take_what_kernels_take(machine: str, tokens: int, dispatch_us: float, combine_us: float) -> None:
    deployment = kernels_alone(on("deepseek-v3", machine, "native", {"tp": 1, "dp": 8}, assume="typical"))
    found = {message.name: message for message in work.messages(deployment, deployment.stages[0])}
    assert _seconds(deployment, found["moe.dispatch"], tokens) * 1e6 == pytest.approx(dispatch_us, rel=0.3)
    assert _seconds(deployment, found["moe.combine"], tokens) * 1e6 == pytest.approx(combine_us, rel=0.3)


@pytest.mark.parametrize(
    ("device", "weights", "computed", "expected"),
    [
        ("h100-sxm", "bf16", "bf16", "bfloat16"),
        ("h100-sxm", "fp8", "fp8", "fp8"),
        ("h100-sxm", "fp8-block128", "fp8", "fp8_block"),
        ("a100-sxm-80gb", "fp8", "bf16", "int8_wo"),  # no fp8 arithmetic: unpacked
        ("a100-sxm-80gb", "int8", "int8", "sq"),
        ("h100-sxm", "mxfp4", "fp8", "w4a16_mxfp4"),
        ("b200-sxm", "mxfp4", "fp8", "w4a8_mxfp4_mxfp8"),
        ("b200-sxm", "nvfp4", "fp4", "nvfp4"),
        ("h100-sxm", "nvfp4", "fp8", "int4_wo"),
        ("rtx-4090", "q4_k", "bf16", "int4_wo"),
        ("rtx-4090", "q6_k", "bf16", "int8_wo"),
    ],
)
def test_formats_of_the_kernel_tables(device: str, weights: str, computed: str, expected: str) -> None:
    assert table_format(lookup.hardware(device)[0].device, dtype(weights), computed) == expected


def test_memory_is_what_the_driver_shows_less_a_reserve() -> None:
    """Without an engine 81,559 MiB of an H100, 5 % of 80 GB kept free; 2 GB of a small one, 6 of a large one; given ones come first."""
    none = {"assume": "typical", "engine": "none"}
    assert on("llama-3.1-8b", "h100-sxm", **none).usable_bytes == pytest.approx(81559 * 2**20 - 4e9)
    assert on("llama-3.1-8b", "rtx-4090", **none).assumptions.reserve_gb == 2
    assert on("llama-3.1-8b", "mi355x", **none).assumptions.reserve_gb == 6
    assert on("llama-3.1-8b", "tpu-v6e", **none).assumptions.capacity == "nominal"  # no driver's figure is known
    given = on("llama-3.1-8b", "h100-sxm", reserve_gb=1.0, capacity="binary", **none)
    assert given.usable_bytes == pytest.approx(80 * 2**30 - 1e9)
    # with the default engine 0.92 of the 79.19 GiB that the runtime reports; given ones come first
    assert on("llama-3.1-8b", "h100-sxm", assume="typical").usable_bytes == pytest.approx(0.92 * 79.19 * 2**30)
    given = on("llama-3.1-8b", "h100-sxm", assume="typical", util=0.8, reserve_gb=1.0, capacity="binary")
    assert given.usable_bytes == pytest.approx(0.8 * 80 * 2**30 - 1e9)


def test_short_prompts_are_taken_in_together() -> None:
    """64 prompts of 128 tokens make one step of 8,192: far less than 64 readings of the weights."""
    deployment = on("llama-2-7b", "h100-sxm", "fp8", assume="typical")
    mean = step_at(deployment, 200.0)
    one, all_ = (float(prefill(deployment, 128, 0.0, batch).batch_prefill_s) for batch in (1, 64))
    assert all_ < 0.5 * 64 * one
    assert output_tok_s(deployment, 128, 100, 64, mean) == pytest.approx(64 * 100 / (100 * float(mean.seconds(64)) + all_))


def test_ranks_that_step_together_wait_for_one_anothers_prompts() -> None:
    """1,024 sequences on 8 ranks, 2,048 tokens each: a step meets μ = 0.5 new prompts, any with probability 1 − e^−0.5 = 0.393469, and
    then 0.5/0.393469 = 1.27 of them: two whole ones, on two ranks. In 2,048 steps there are 805.825 such waits.
    """
    deployment = on("deepseek-v3", "8xh200-sxm", "native", {"tp": 1, "dp": 8}, assume="typical")
    mean = step_at(deployment, 2000.0)
    waits = 805.825 * float(prefill(deployment, 1024, 0.0, 2).batch_prefill_s)
    found = output_tok_s(deployment, 1024, 2048, 1024, mean)
    assert found == pytest.approx(1024 * 2048 / (2048 * float(mean.seconds(1024)) + waits), rel=1e-5)
    # A drafter none of whose drafts is accepted takes the same prompts in: here the model itself, so each wait is twice as long
    drafted = replace(deployment, draft=Draft(1, 0.0, deployment))
    mean = step_at(drafted, 2000.0)
    assert output_tok_s(drafted, 1024, 2048, 1024, mean) == pytest.approx(1024 * 2048 / (2048 * float(mean.seconds(1024)) + 2 * waits), rel=1e-5)
    # Ranks of a dense model are replicas: each takes in its own 128 prompts, eight at a time, and nobody waits
    dense = on("llama-3.1-8b", "8xh200-sxm", "bf16", {"tp": 1, "dp": 8}, assume="typical")
    mean = step_at(dense, 2000.0)
    own = 128 / 8 * float(prefill(dense, 1024, 0.0, 64).batch_prefill_s)
    assert output_tok_s(dense, 1024, 2048, 1024, mean) == pytest.approx(1024 * 2048 / (2048 * float(mean.seconds(1024)) + own))


@pytest.mark.parametrize("case", CASES[:11], ids=lambda case: f"{case[0]} on {case[1]}")
def test_operations_add_up(case: tuple[str, str, str, dict[str, int]]) -> None:
    deployment = on(*case, assume="typical")
    found = lines(decode(deployment, 1000.0), 1000.0, 16.0)
    assert sum(float(one.time_s) for one in found) == pytest.approx(float(decode(deployment, 1000.0).seconds(16.0)), rel=1e-12)
    assert {one.op.rpartition(".")[2] for one in found} >= {OVERHEAD}
    prompt = prefill_lines(deployment, 1000.0, 0.0, 16.0)
    assert sum(float(one.time_s) for one in prompt) == pytest.approx(float(prefill(deployment, 1000.0, 0.0, 16.0).ttft_s), rel=1e-12)
    waited = sum(
        overhead.seconds(deployment, stage, sequences=float(work.token_load(deployment, np.float64(16.0))[1])) * float(times)
        for stage, times in zip(deployment.stages, decode(deployment, 1000.0).passes(16.0), strict=True)
    )
    assert sum(float(one.overhead_s) for one in found if one.op.rpartition(".")[2] == OVERHEAD) == pytest.approx(waited)


@pytest.mark.parametrize("case", CASES[:11], ids=lambda case: f"{case[0]} on {case[1]}")
@pytest.mark.parametrize("command", ["interactivity", "prefill"])
def test_the_working_arrives_at_the_answer(command: str, case: tuple[str, str, str, dict[str, int]]) -> None:
    model, machine, weights, layout = case
    given = {"weights": weights, **layout, "seq": 1000, "batch": 8, "assume": "typical"}
    text = list(explain(command, model, machine, **given).text())
    name, label, factor = ("step_ms", "T_step", 1e3) if command == "interactivity" else ("ttft_ms", "TTFT", 1e3)
    answer = float((interactivity if command == "interactivity" else first_token)(model, machine, **given)[name][0]) / factor  # type: ignore[arg-type,operator]
    stages = [line for line in text if line.startswith(("  stage = ", f"  {label}"))]
    assert float(stages[-1].split(" = ")[-1].split()[0]) == pytest.approx(answer, rel=1e-6)
    assert any("the fastest kernel" in line for line in text) == (lookup.hardware(machine)[0].count > 1)
    assert any(line.startswith("  overhead = ") for line in text)


def test_engines() -> None:
    plain, own = (on("llama-3.1-8b", "h100-sxm", assume="typical", engine=engine) for engine in ("none", "sglang-0.4"))
    assert plain.profile is not None and plain.profile.engine == "pooled" and plain.profile.kernel_engine == "vllm"
    assert own.profile is not None and own.profile.engine == "sglang" and own.profile.kernel_engine == "sglang"
    row = next(iter(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=1000, batch=1, assume="typical", engine="sglang", layer_overhead_us=7).rows()))
    assert (row["engine"], row["layer_overhead_us"], row["mbu"], row["assume"]) == ("sglang", 7.0, None, "typical")
    with pytest.raises(RoofcalcError, match=r"engine: 'gpt-fats' is not known; did you mean gpt-fast.*; known: vllm, sglang"):
        on("llama-3.1-8b", "h100-sxm", assume="typical", engine="gpt-fats")
    assert on("llama-3.1-8b", "h100-sxm", engine="sglang").profile is None  # timing is typical's alone
    with pytest.raises(RoofcalcError, match="--layer-overhead-us: -1 is not a number of microseconds"):
        assumptions(layer_overhead_us=-1)


def test_constants_multiply_what_all_runs_say() -> None:
    """Made figures: 10 µs a layer, twice that under an engine, 0.5 of it in a family, 1.5 for both together: 15 µs."""
    figures = {"fields": "gemm layer_us", "all": "1 10", "vllm": "1 2", "hopper": "1.1 0.5", "vllm hopper": "1 1.5", "moe": "9 9"}
    file = replace(calibrated.read(), constants=figures)
    found = calibrated.constants(file, "vllm", "hopper", "dense")
    assert (found.gemm, found.layer_us) == (pytest.approx(1.1), pytest.approx(15.0))
    assert calibrated.constants(file, None, "ada", "dense").layer_us == 10.0
    assert calibrated.constants(file, "vllm-0.7", "ada", "dense").layer_us == 20.0  # a release is its engine's, and its own


def test_ranges_are_the_quantiles_of_errors_that_no_fit_saw() -> None:
    """Predictions 20 % too slow to 10 % too fast in 80 % of the runs: speeds from 0.9 to 1.2 times the prediction; 95 % is 1.529 times as wide."""
    profile = on("llama-3.1-8b", "h100-sxm", assume="typical").profile
    assert profile is not None
    file = replace(calibrated.read(), errors={"*": (9.0, 2.0, 0.1, 0.2, float(np.log(0.9)), float(np.log(1.2)))})
    assert calibrated.speed_range(file, profile, "decode", 80) == (pytest.approx(0.9), pytest.approx(1.2))
    assert calibrated.speed_range(file, profile, "decode", 95) == (pytest.approx(0.9**1.52939, rel=1e-4), pytest.approx(1.2**1.52939, rel=1e-4))
    row = next(iter(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=1000, batch=8, assume="typical", range=80).rows()))
    assert row["interactivity_low"] < row["interactivity_tok_s"] < row["interactivity_high"]  # type: ignore[operator]
    with pytest.raises(RoofcalcError, match="--range: only typical answers with a range"):
        rc.interactivity("llama-3.1-8b", "h100-sxm", seq=1000, batch=8, range=80)


def test_an_engine_whose_attention_does_not_share_heads() -> None:
    """Llama-2-70B, 64 query and 8 KV heads on 2 ranks: 32 query heads share 4, so that each entry is loaded 1 + ρ·7 times.

    One layer's entries of 1,000 tokens, 4·(128 + 128) bytes each in fp8: 1.024 MB a sequence.
    """
    share = calibrated.read().engines["tensorrt-llm-0.6"].kv_reload_fraction
    given = {"model": "llama-2-70b", "hardware": "2xh100-sxm", "weights": "all=fp8", "layout": {"tp": 2}}
    plain, old = (_fp8_cache(**given, assume="typical", engine=engine) for engine in ("tensorrt-llm-1.0", "tensorrt-llm-0.6"))
    one, again = (work.sequence_operations(each, each.stages[0], work.at_context(np.float64(1000.0)))[0] for each in (plain, old))
    assert float(one.bytes) == 1.024e6 and float(again.bytes) == pytest.approx(1.024e6 * (1 + 7 * share))
    assert float(one.flops) == float(again.flops) == 4 * 32 * 128 * 1000
    assert float(decode(kernels_alone(old), 1000).seconds(10)) > float(decode(kernels_alone(plain), 1000).seconds(10))
    assert (kv_bytes(plain, plain.stages[0], 1024) == kv_bytes(old, old.stages[0], 1024)).all()  # nothing more is held


def _fp8_cache(model: str, hardware: str, weights: str, layout: dict[str, int], **given: object) -> Deployment:
    return replace(on(model, hardware, weights, layout, **given), kv=dtype("fp8"))


def test_the_working_of_an_engine_whose_attention_does_not_share_heads() -> None:
    given = {"weights": "all=fp8", "kv": "fp8", "tp": 2, "seq": 1000, "batch": 8, "assume": "typical", "engine": "tensorrt-llm-0.6"}
    text = list(explain("interactivity", "llama-2-70b", "2xh100-sxm", **given).text())
    answer = float(interactivity("llama-2-70b", "2xh100-sxm", **given)["step_ms"][0]) / 1e3  # type: ignore[arg-type]
    stages = [line for line in text if line.startswith("  stage = ")]
    assert float(stages[-1].split(" = ")[-1].split()[0]) == pytest.approx(answer, rel=1e-6)
    assert any(line.startswith("  loads = 1 + ρ·(n/m − 1) = ") for line in text)


@pytest.mark.parametrize(
    ("engine", "version", "expected"),
    [
        ("TensorRT-LLM (gptSessionBenchmark, static batch)", "0.5.0", "tensorrt-llm-0.6"),
        ("TensorRT-LLM", "0.6.1", "tensorrt-llm-0.6"),
        ("TensorRT-LLM", "0.7a", None),
        ("TensorRT-LLM (PyTorch backend)", None, None),
        ("SGLang", "0.5", None),
        (None, "0.5", None),
    ],
)
def test_releases_with_kernels_of_their_own(engine: str | None, version: str | None, expected: str | None) -> None:
    case = next(one for one in cases(points.read(HERE / "measured.csv")) if isinstance(one, Case))
    case = replace(case, point=replace(case.point, engine=engine, engine_version=version, date="2025-01-01"))
    assert case.generation == expected
    assumed = typical()
    assert assumed is not None
    deployment, _ = most_likely_run(case, assumed)
    assert deployment.profile is not None and (deployment.profile.kv_reload_fraction > 0) == (expected is not None)


def test_the_file_is_read_for_this_preset_alone() -> None:
    asked = "rc.max_batch('llama-3.1-8b', 'h100-sxm', seq=1000{})"
    script = f"import sys, roofcalc as rc; {asked}; print('roofcalc.deployment.calibrated' in sys.modules)"
    for given, expected in (("", "False"), (", assume='bound'", "False"), (", assume='typical'", "True")):
        printed = subprocess.run([sys.executable, "-c", script.format(given)], capture_output=True, text=True, check=True).stdout
        assert printed.strip() == expected


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_the_host_handles_a_request_alike_whatever_the_model_and_device(engine: str) -> None:
    """HTTP, tokenising and scheduling know nothing of experts or of compute units: within 15 % for all models and devices of an engine."""
    every = [
        calibrated.profile(catalogs.machine(device).device, catalogs.model(model), engine).constants.request_ms
        for device in ("a100-sxm-80gb", "h100-sxm", "b200-sxm", "mi300x", "l40s", "rtx-5090")
        for model in ("llama-3.1-8b", "gpt-oss-120b", "deepseek-v3")
    ]
    assert min(every) > 5 and max(every) < 1.15 * min(every) < 40
