"""Fused experts in `typical`: the load of the fullest rank by hand, and no routing that beats skewed routing."""

import math
from typing import Any

import numpy as np
import pytest

from roofcalc.deployment.efficiency import RunConstants
from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels.experts import experts_s
from roofcalc.physics.ops.types import Routed, Sharding
from roofcalc.physics.prefill import prefill
from roofcalc.physics.roofline import decode
from roofcalc.physics.timing.products import expert_constants, expert_load, expert_terms, fullest
from roofcalc.physics.timing.step import block_work
from roofcalc.specs.record import replace
from roofcalc.specs.routing import Routing
from tests import catalogs
from tests.catalogs import on

MOES = [name for name in catalogs.MODELS if any(block.mlp and block.mlp.type == "experts" for block in catalogs.model(name).blocks.values())]
LAYOUTS: tuple[tuple[str, dict[str, int]], ...] = (
    ("8xh200-sxm", {"tp": 1, "dp": 8}),
    ("8xh200-sxm", {"tp": 8}),
    ("8xh200-sxm", {"tp": 2, "dp": 4}),
    ("16xh100-sxm", {"tp": 1, "dp": 16}),
    ("8xb200-sxm", {"tp": 8, "ep": 1}),
    ("8xmi300x", {"tp": 8}),
)
BATCHES, PROMPTS = np.array([1.0, 4, 64, 256, 1024, 8192]), np.array([1.0, 16, 500, 4000, 16_000])


@pytest.mark.parametrize("name", MOES, ids=catalogs.short)
def test_no_routing_beats_the_skewed_one(name: str) -> None:
    """Against uniform chance, and against shares that fall by a tenth from one expert to the next."""
    routed = next(block.mlp for block in catalogs.model(name).blocks.values() if block.mlp and block.mlp.type == "experts")
    shares = np.maximum(0.9 ** np.arange(routed.experts), 0.2)
    measured = Routing("measured", tuple(shares / shares.sum()))
    possible = [(machine, layout) for machine, layout in LAYOUTS if is_possible(name, machine, layout)]
    assert possible
    for machine, layout in possible:
        skewed, uniform = (on(name, machine, **layout, assume="typical", routing=one) for one in ("skewed", "uniform"))
        assert (decode(skewed, 2000.0).seconds(BATCHES) <= decode(uniform, 2000.0).seconds(BATCHES) * (1 + 1e-12)).all(), (machine, layout)
        slower, faster = (prefill(one, PROMPTS, 0.0, np.array([[1.0], [64.0]])).ttft_s for one in (uniform, skewed))
        assert (faster <= slower * (1 + 1e-12)).all(), (machine, layout)
    sharding = Sharding(ep=4, group=4)
    for tokens in (1.0, 30.0, 4000.0):
        loads = [expert_load(_routed(routed, one), sharding, np.array([tokens])) for one in (Routing("skewed"), measured, Routing())]
        for more in loads[1:]:
            assert loads[0].experts_hit <= more.experts_hit * (1 + 1e-12) and loads[0].assignments <= more.assignments
            assert all(fewer <= rows * (1 + 1e-12) for fewer, rows in zip(loads[0].rows, more.rows, strict=True))


def is_possible(name: str, machine: str, layout: dict[str, int]) -> bool:
    try:
        return bool(on(name, machine, **layout))
    except RoofcalcError:
        return False


def _routed(part: Any, routing: Routing) -> Routed:
    return Routed((), part.experts, part.routed, part.top_k, 1, routing)


def test_the_fullest_of_ranks() -> None:
    """Blom: the largest of n normal numbers is Φ⁻¹((n − 3/8)/(n + 1/4)) on average; of two it is 1/√π, of three 3/(2·√π)."""
    assert fullest(1) == 0
    assert fullest(2) == pytest.approx(1 / math.sqrt(math.pi), rel=0.05)
    assert fullest(3) == pytest.approx(1.5 / math.sqrt(math.pi), rel=0.03)
    drawn = np.random.default_rng(1).normal(size=(100_000, 64)).max(axis=1).mean()
    assert fullest(64) == pytest.approx(drawn, rel=0.01)


def test_the_fullest_rank_by_hand() -> None:
    """DeepSeek-V3, 8 of 256 experts, 8 ranks of 32, 64 tokens; beyond the mean 1.4342 deviations (7.625/8.25 = 0.9242 below it).

    A rank is hit in 32·(1 − (31/32)^64) = 27.8047 experts, deviation √(27.8047·(1 − 27.8047/32)) = 1.9093; it takes 64 pairs, deviation
    √(64·7/8) = 7.4833.
    """
    assert fullest(8) == pytest.approx(1.4342, abs=2e-4)
    hit = 32 * (1 - (31 / 32) ** 64)
    load = expert_load(Routed((), 256, 256, 8, 1), Sharding(ep=8, group=8), np.array([64.0]))
    assert load.experts_hit[0] == pytest.approx(hit + 1.4342 * math.sqrt(hit * (1 - hit / 32)), rel=1e-4)
    assert load.assignments[0] == pytest.approx(64 + 1.4342 * math.sqrt(64 * 7 / 8), rel=1e-4)
    alike = expert_load(Routed((), 256, 256, 8, 1, Routing("skewed")), Sharding(ep=8, group=8), np.array([64.0]))
    assert (alike.experts_hit[0], alike.assignments[0]) == (pytest.approx(1), pytest.approx(64))  # one of the 8 chosen experts on each rank


def test_fused_experts_by_hand() -> None:
    """DeepSeek-V3's layer: 256 experts of 7,168 × 2,048, three matrices in one byte; 32 experts on each of 8 ranks, 64 tokens."""
    deployment = on("deepseek-v3", "8xh200-sxm", tp=1, dp=8, assume="typical")
    ((routed,),) = [block_work(deployment, name).routed for name in deployment.model.groups if block_work(deployment, name).routed]
    sharding = Sharding(ep=8, group=8)
    assert deployment.profile is not None
    run = RunConstants(experts=2.0, experts_compute=3.0, launch=0.5)
    deployment = replace(deployment, profile=replace(deployment.profile, constants=run))
    found = expert_constants(deployment, "experts")[0]
    load, launch = expert_load(routed, sharding, np.array([64.0])), found.parameters.t0_us * 1e-6
    width = deployment.weight_dtype("experts").bytes_per_element
    assert width == pytest.approx(1 + 4 / 128**2, rel=1e-4)
    busy = experts_s(found.parameters, found.facts, load, 7168, 2048, width, 1 + 4 / 128, gated=True).item() - launch
    read = 256 * (1 - (1 - 8 / 256) ** 64) / 8
    compute = 2 * 3 * 7168 * 2048 * 64 * 8 / 8 / 1978.9e12
    moved = read * 3 * 7168 * 2048 * width + (2 * 7168 + 3 * 2048) * 2 * 64 * 8 / 8  # gate and up are one matrix of 4,096 columns
    memory = moved / 4800e9
    weight = compute**3 / (compute**3 + memory**3)
    expected = busy * (2 + (3 - 2) * weight)
    assert expected > memory > compute
    terms = expert_terms(deployment, routed, sharding, 58, np.array([64.0]))
    assert np.asarray(terms["bandwidth"]).item() == pytest.approx(58 * expected, rel=1e-9)
    assert np.asarray(terms["overhead"]).item() == pytest.approx(58 * launch * 0.5, rel=1e-12)


@pytest.mark.parametrize("machine", ["4xh200-sxm", "4xb200-sxm", "4xl40s", "4xmi300x"])
def test_experts_with_one_scale_are_as_fast_as_with_block_scales(machine: str) -> None:
    # both read one byte an element (and 32 bits per 128 x 128 with blocks, 0.02 %) by the kernels that engines run for either
    one, blocks = (float(decode(on("qwen3-30b-a3b", machine, weights=kind, assume="typical"), 2000).seconds(8)) for kind in ("fp8", "fp8-block128"))
    assert one == pytest.approx(blocks, rel=0.05)


@pytest.mark.parametrize(
    ("machine", "engine", "name"),
    [
        ("rtx-4090", "llama.cpp", "mmq_compute"),
        ("m3-max", "llama.cpp", "dequantised_compute"),  # no int8 peak
        ("rtx-4090", "vllm", "dequantised_compute"),
    ],
)
def test_which_factor_limits_a_prompt_of_a_quantised_mixture(machine: str, engine: str, name: str) -> None:
    """A prompt of 8,192 tokens, which compute limits: with one factor ten times as large, GEMMs and experts in int8 take ten times as long."""
    weights = "q4_k_m" if engine == "llama.cpp" else "int4"
    deployment = on("qwen3-30b-a3b", machine, weights, assume="typical", engine=engine)
    assert deployment.profile is not None
    times = {}
    for factor in ("mmq_compute", "dequantised_compute", "experts_compute"):
        constants = deployment.profile.constants._replace(**{factor: 10 * getattr(deployment.profile.constants, factor)})
        changed = replace(deployment, profile=replace(deployment.profile, constants=constants))
        times[factor] = float(prefill(changed, 8192).ttft_s) / float(prefill(deployment, 8192).ttft_s)
    experts_apart = [] if name == "mmq_compute" else ["experts_compute"]
    assert [factor for factor, slower in times.items() if slower > 1.2] == [name, *experts_apart]
    assert name != "mmq_compute" or times[name] > 4
