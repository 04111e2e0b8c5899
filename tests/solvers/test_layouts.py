"""The space of layouts against one written out, and the filter of points against every pair."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofcalc.catalog import lookup
from roofcalc.deployment.deployment import deploy
from roofcalc.deployment.parallelism import Layout, choose
from roofcalc.deployment.speculative import with_layout
from roofcalc.errors import RoofcalcError
from roofcalc.physics.resources import rates
from roofcalc.physics.roofline import decode
from roofcalc.solvers.layouts import layouts, with_device_count
from roofcalc.solvers.pareto import pareto, significant
from roofcalc.specs.record import replace
from tests.tiers import share


def beaten(x: list[float], y: list[float], one: int) -> bool:
    """Whether a point is beaten by any other, or is a later equal of one: by looking at every pair."""
    for other in range(len(x)):
        as_good = x[other] >= x[one] and y[other] >= y[one]
        better = x[other] > x[one] or y[other] > y[one]
        if as_good and (better or (other < one)):
            return True
    return False


NUMBERS = st.one_of(st.integers(0, 6).map(float), st.floats(1e-6, 1e9))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40))
def test_what_is_kept_is_what_no_other_point_beats(points: list[tuple[float, float]]) -> None:
    x, y = ([float(value) for value in significant([one[axis] for one in points])] for axis in (0, 1))
    assert pareto(x, y).tolist() == [not beaten(x, y, one) for one in range(len(points))]


def test_points_of_many_equals_and_none() -> None:
    assert pareto([], []).tolist() == []
    assert pareto([1, 1, 1], [2, 2, 2]).tolist() == [True, False, False]
    assert pareto([3, 2, np.nan, 1], [1, np.nan, 5, 2]).tolist() == [True, False, False, True]
    assert pareto([1, 1 + 1e-14], [1 + 1e-14, 1]).tolist() == [True, False]  # rounding makes no points
    assert pareto([0, 1], [1, 0]).tolist() == [True, True]


def test_a_million_points_take_no_pairs() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.random(10**6), rng.random(10**6)
    kept = pareto(x, y)
    best = x[kept][np.argsort(x[kept])], y[kept][np.argsort(x[kept])]
    assert (np.diff(best[0]) > 0).all() and (np.diff(best[1]) < 0).all()
    assert y[kept].max() == y.max() and x[kept].max() == x.max()


@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "llama-3.1-405b", "deepseek-v3", "qwen3-235b-a22b", "gpt-oss-120b", "qwen3-next", "falcon-mamba-7b"]
)
@pytest.mark.parametrize("devices", [1, 2, 6, 8, 9, 16, 48])
def test_every_legal_layout_and_no_other(name: str, devices: int) -> None:
    """Each five degrees either are refused by `choose`, which says why, or are among the layouts."""
    model = lookup.model(name)[0]
    hardware = with_device_count(lookup.hardware("8xh100-sxm")[0], devices)
    assert hardware is not None
    divisors = [n for n in range(1, devices + 1) if devices % n == 0]
    products = [place for place in itertools.product(divisors, repeat=3) if math.prod(place) == devices]
    others = share((place for place in itertools.product(divisors, repeat=3) if place not in products), 50, name)  # all are refused for their product
    expected = set()
    for t, p, d in products + others:
        for e, c in itertools.product(sorted({1, t * d, 2}), divisors):
            try:
                expected.add(choose(model, hardware, t, p, d, e, c))
            except RoofcalcError:
                continue
    found = layouts(model, devices)
    assert set(found) == expected and len(found) == len(set(found))
    assert all(one.devices == devices for one in found)


def test_degrees_that_are_held_and_drafters() -> None:
    model, small = lookup.model("llama-3.1-70b")[0], lookup.model("llama-3.2-1b")[0]  # 64 and 32 query heads
    assert layouts(model, 8, {"tp": {8}}) == [Layout(8, 1, 1)]
    assert layouts(model, 8, {"tp": {4}, "pp": {1}}) == [Layout(4, 1, 2)]
    assert layouts(model, 8, {"tp": {3}}) == []
    assert Layout(64, 1, 1) in layouts(model, 64) and all(one.tp <= 32 for one in layouts(model, 64, drafter=small))
    assert {one.pp for one in layouts(model, 8, pipelines=False)} == {1}
    deepseek = lookup.model("deepseek-v3")[0]
    assert {(one.ep, one.dcp) for one in layouts(deepseek, 8, {"tp": {4}, "pp": {1}})} == {(1, 1), (1, 2), (1, 4), (8, 1), (8, 2), (8, 4)}


def test_sizes_keep_their_links_and_names() -> None:
    box, rack = lookup.hardware("8xh100-sxm")[0], lookup.hardware("gb200-nvl72")[0]
    found = [with_device_count(box, count) for count in (4, 16)] + [with_device_count(rack, count) for count in (36, 72, 144)]
    names = [one.name for one in found if one]
    assert names == ["4xh100-sxm", "16xh100-sxm", "36 of gb200-nvl72", "gb200-nvl72", "2xgb200-nvl72"]
    pair = with_device_count(lookup.hardware("rtx-4090")[0], 2)
    assert pair.link is not None and (pair.link.domain, pair.link.kind) == (2, "PCIe 4.0 x16")  # no link of its own and no scale-out


def test_a_deployment_on_another_device_reaches_the_rates_of_that_device() -> None:
    """Rates are memoised by deployment: on the same device they are equal, with twice the bandwidth the memory time is half."""
    one = deploy(lookup.model("llama-3.1-8b")[0], lookup.hardware("8xh100-sxm")[0])
    step = decode(one, 8000.0)
    before = float(step.seconds(64))
    device = one.hardware.device
    fast = replace(one.hardware, device=replace(device, memory=replace(device.memory, bandwidth_gb_s=2 * device.memory.bandwidth_gb_s)))
    assert rates(with_layout(one, one.hardware, Layout(4, 1, 2)), "linear", "mlp") == rates(one, "linear", "mlp")
    faster = with_layout(one, fast, one.layout)
    assert float(decode(faster, 8000.0).resources(64)["bandwidth"]) == pytest.approx(float(step.resources(64)["bandwidth"]) / 2)
    assert float(decode(with_layout(one, one.hardware, one.layout), 8000.0).seconds(64)) == before
