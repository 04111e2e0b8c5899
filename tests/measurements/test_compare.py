"""No engine is faster than the bound: not one of the measured points, and not one of the model's own other presets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roofcalc.deployment.assumptions import assumptions
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import BOUND, ROOFLINE, bound, caches, has_routed_experts, layouts, narrowest_cache
from roofcalc.measurements.metrics import METRICS, Work
from roofcalc.measurements.points import Point, read
from roofcalc.physics.memory import batch_memory
from roofcalc.specs.record import replace
from tests.each import each
from tests.tiers import share

HERE = Path(__file__).parent
FASTER_THAN_THE_BOUND: dict[str, str] = {}  # id: why the point is wrong. None is.
DOES_NOT_FIT: dict[str, str] = {}
PLAIN = Point("p.csv:2", "P", "llama-2-7b", "a100-sxm-80gb", "output_tok_s_total", 1.0, n_devices=1, isl=1000, osl=1000, batch=4.0)


def case(**changes: Any) -> Case:
    (found,) = cases([replace(PLAIN, **changes)])
    assert isinstance(found, Case), found
    return found


def comparable(file: str) -> list[Case]:
    return [found for found in cases(read(HERE / file)) if isinstance(found, Case)]


MEASURED = comparable("measured.csv")


@each(MEASURED)
def test_a_measured_point_is_no_faster_than_the_bound_and_fits(measured: Case) -> None:
    name, found = measured.point.id, bound(measured)
    assert (measured.speed(measured.point.value) > measured.speed(found.value)) == (name in FASTER_THAN_THE_BOUND)
    assert found.fits == (name not in DOES_NOT_FIT)
    fast, uniform = measured.speed(found.value), measured.speed(found.uniform)
    assert fast >= uniform * (1 - 1e-9) if has_routed_experts(measured.model) else fast == uniform


# llama-bench, several sequences of the same tokens at once: their routers choose fewer experts than uniform chance would.
FASTER_THAN_UNIFORM = {"F0623", "F0624", "F0630", "F0631", "F0636", "F0637", "F0638"}


def test_no_published_point_is_faster_than_the_bound_and_seven_are_with_uniform_routing() -> None:
    found = comparable("published_2026.csv")
    assert len(found) >= 868  # of 893; the catalog lacks the devices of the others
    those = [one for one in found if one.point.id in FASTER_THAN_UNIFORM]
    for one in [*share([one for one in found if one not in those], 6, "published"), *those]:
        limit, measured = bound(one), one.speed(one.point.value)
        assert measured <= one.speed(limit.value), one.point.id
        assert (measured > one.speed(limit.uniform)) == (one.point.id in FASTER_THAN_UNIFORM), one.point.id


def test_offline_throughputs_of_unknown_batches_are_below_the_best_of_any_batch_that_fits() -> None:
    """At the mean context of its generations, since requests come and go; attention of models with experts may be data-parallel."""
    points = [replace(point, batch=1.0) for point in read(HERE / "offline.csv")]
    found = cases([replace(one, tp=None) if one.model.startswith(("Qwen3", "Llama 4")) else one for one in points])
    assert len(found) == 192
    too_fast = {one.point.id for one in found if isinstance(one, Case) and not any(one.point.value <= value for value in values(one))}
    assert all(isinstance(one, Case) for one in found) and too_fast == set()


def values(one: Case) -> Iterator[float]:
    """The bound in every layout, at the largest batch that fits and at smaller ones."""
    for layout in layouts(one):
        deployment = one.deployment(BOUND, narrowest_cache(one.hardware.device), layout)
        room = float(batch_memory(deployment, one.work.isl + (one.work.osl or 0) / 2))
        if room >= 1:
            for batch in np.unique(np.floor(np.geomspace(1, room, 3)))[::-1]:
                yield float(one.metric.of(deployment, replace(one.work, batch=float(batch))))


def test_sequences_that_do_not_fit_wait() -> None:
    """Llama-2-7B in fp16 keeps 524,288 B a token; 80·2^30 − 13.48e9 B hold 69 sequences of 2,000 tokens."""
    many, fitting = (case(weights_dtype="fp16", kv_dtype="fp16", batch=batch, metric="tpot_ms") for batch in (400.0, 69.0))
    assert bound(many).value == pytest.approx(bound(fitting).value) and not bound(many).fits and bound(fitting).fits
    total = case(weights_dtype="fp16", kv_dtype="fp16", batch=400.0)
    assert bound(total).value >= bound(case(weights_dtype="fp16", kv_dtype="fp16", batch=69.0)).value  # how many wait is no limit there


SHAPES = [
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-70b", "8xa100-sxm-80gb", {"tp": 2, "pp": 2, "dp": 2}),
    ("llama-3.1-70b", "16xh100-sxm", {"tp": 16}),
    ("mixtral-8x7b", "4xmi300x", {"tp": 2, "dp": 2}),
    ("deepseek-v3", "16xh200-sxm", {"tp": 1, "dp": 16}),
    ("deepseek-v3", "8xh200-sxm", {"tp": 8}),
    ("gpt-oss-120b", "2xb200-sxm", {}),
    ("qwen3-next-80b-a3b", "4xh100-sxm", {}),
    ("falcon-mamba-7b", "rtx-4090", {}),
]


@pytest.mark.parametrize(("model", "hardware", "degrees"), SHAPES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("overlap", ["op", "full"])
def test_the_bound_is_faster_than_the_roofline_in_every_metric(model: str, hardware: str, degrees: dict[str, Any], metric: str, overlap: str) -> None:
    roof = assumptions("roofline", overlap=overlap)
    for isl, osl, batch in [(1, 1, 1), (128, 128, 64), (2000, 100, 16), (50, 3000, 256)]:
        one = case(model=model, hardware=hardware, n_devices=None, metric=metric, isl=isl, osl=osl, batch=float(batch), **degrees)
        fast, slow = (one.speed(one.value(one.deployment(assumed))) for assumed in (BOUND, roof))
        assert fast >= slow * (1 - 1e-9), (isl, osl, batch)


def test_prompts_that_ride_along_share_the_reading_of_the_weights() -> None:
    """By hand. Llama-2-7B: 32·(4·4096² + 3·4096·11008) = 6,476,005,376 weights in its layers, 131,072,000 in its head, 524,288 B of KV per token.

    A100: 2,039 GB/s, 40 MB of cache. 4 requests of 1000 + 1000 tokens: the first token comes with the prompt, 999 steps follow
    at contexts 1001 … 1999, on average 1500, each reading all weights and 4 caches; the prompts add 4·1000 entries written.
    """
    step = 2 * (6_476_005_376 + 131_072_000) - 40e6 + 4 * 1500 * 524_288
    seconds = (999 * step + 4 * 1000 * 524_288) / 2039e9
    one = case(weights_dtype="fp16", kv_dtype="fp16")
    assert bound(one).value == pytest.approx(4 * 1000 / seconds, rel=1e-9)


def test_many_prompts_are_limited_by_their_arithmetic() -> None:
    """By hand. 64 requests of 1000 + 2 tokens on the same: 312 TFLOP/s for products by weights, 624 (int8) for attention in the bound.

    Products take 2 FLOPs per weight and token, the head's for the last token of a prompt and the one decoded; attention 4·4096·32
    = 524,288 per pair: 1000·1001/2 pairs of the prompt, and 1001 of the one step.
    """
    products = 64 * 2 * (1001 * 6_476_005_376 + 2 * 131_072_000)
    pairs = 64 * 524_288 * (500_500 + 1001)
    one = case(weights_dtype="fp16", kv_dtype="fp16", batch=64.0, osl=2)
    assert bound(one).value == pytest.approx(64 * 2 / (products / 312e12 + pairs / 624e12), rel=1e-9)


def test_what_the_source_leaves_open_is_every_legal_layout() -> None:
    # 32 heads and 32 layers on 4 devices: tp × pp × dp = 4, and no experts to spread.
    found = {tuple(layout.values()) for layout in layouts(case(n_devices=4))}
    assert found == {(1, 1, 4, 1), (1, 2, 2, 1), (1, 4, 1, 1), (2, 1, 2, 1), (2, 2, 1, 1), (4, 1, 1, 1)}
    assert [tuple(layout.values()) for layout in layouts(case(n_devices=4, tp=2, dp=2))] == [(2, 1, 2, 1)]
    spread = {tuple(layout.values()) for layout in layouts(case(model="mixtral-8x7b", n_devices=2, pp=1))}
    assert spread == {(1, 1, 2, 1), (1, 1, 2, 2), (2, 1, 1, 1), (2, 1, 1, 2)}


@pytest.mark.parametrize("known", [{"tp": 4}, {"tp": 2, "pp": 2}, {"dp": 4}, {"kv_dtype": "bf16"}, {"kv_dtype": "fp8", "pp": 4}])
def test_to_know_less_never_lowers_the_bound(known: dict[str, Any]) -> None:
    for metric in ("output_tok_s_total", "ttft_ms", "tok_s_user"):
        less, more = (case(n_devices=4, batch=64.0, metric=metric, **given) for given in ({}, known))
        assert less.speed(bound(less).value) >= more.speed(bound(more).value)


def test_narrow_caches_are_those_that_a_device_computes_with() -> None:
    devices = {name: case(hardware=name).hardware.device for name in ("a100-sxm-80gb", "h100-sxm", "b200-sxm")}
    assert {name: caches(device) for name, device in devices.items()} == {
        "a100-sxm-80gb": ["int8"],
        "h100-sxm": ["fp8"],
        "b200-sxm": ["fp8", "nvfp4"],
    }


def test_every_metric_says_the_same_of_a_step() -> None:
    # One sequence, one step of the roofline: 1/T tokens per second for each user, T·1e3 ms, B/T in all.
    one = case(batch=8.0, osl=None, metric="tok_s_user")
    deployment, work = one.deployment(ROOFLINE), Work(1000, None, 8.0)
    rate = METRICS["tok_s_user"].of(deployment, work)
    assert METRICS["tpot_ms"].of(deployment, work) == pytest.approx(1e3 / rate)
    assert METRICS["decode_tok_s_total"].of(deployment, work) == pytest.approx(8 * rate)
    ttft, prompt = METRICS["ttft_ms"].of(deployment, work), METRICS["prefill_tok_s"].of(deployment, work)
    assert prompt == pytest.approx(8 * 1000 / (ttft / 1e3))
