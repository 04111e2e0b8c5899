"""Layouts: what is filled in, what is refused, and how a pipeline is cut."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment.parallelism import Layout, choose, stages
from roofcalc.errors import RoofcalcError


def model(name: str = "llama-3.1-8b"):  # type: ignore[no-untyped-def]
    return lookup.model(name)[0]


def machine(name: str):  # type: ignore[no-untyped-def]
    return lookup.hardware(name)[0]


@pytest.mark.parametrize(
    ("given", "layout"),
    [
        ({}, Layout(8, 1, 1)),
        ({"tp": 4}, Layout(4, 2, 1)),
        ({"pp": 2}, Layout(4, 2, 1)),
        ({"dp": 2}, Layout(4, 1, 2)),
        ({"tp": 2, "pp": 2}, Layout(2, 2, 2)),
        ({"tp": 1, "dp": 8}, Layout(1, 1, 8)),
        ({"pp": 4, "dp": 2}, Layout(1, 4, 2)),
    ],
)
def test_what_is_left_open_is_filled_in(given: dict[str, int], layout: Layout) -> None:
    assert choose(model(), machine("8xh100-sxm"), **given) == layout


def test_an_odd_number_of_devices_becomes_a_pipeline() -> None:
    assert choose(model(), machine("6xh100-sxm")) == Layout(2, 3, 1)
    assert choose(model(), machine("7xh100-sxm")) == Layout(1, 7, 1)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"tp": 3}, "tp 3 does not match the 8 devices"),
        ({"tp": 2, "pp": 2, "dp": 1}, "tp 2 × pp 2 × dp 1 does not match the 8 devices of 8xh100-sxm"),
        ({"pp": 16}, "does not match"),
    ],
)
def test_degrees_that_do_not_multiply(given: dict[str, int], complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=complaint):
        choose(model(), machine("8xh100-sxm"), **given)


def test_heads_that_do_not_divide_name_what_does() -> None:
    with pytest.raises(RoofcalcError, match=r"tp: 8 does not divide the 28 query heads of qwen2.5-7b; possible on 8xh100-sxm: 1, 2, 4"):
        choose(model("qwen2.5-7b"), machine("8xh100-sxm"), tp=8)


def test_more_stages_than_layers() -> None:
    with pytest.raises(RoofcalcError, match="only 32 layers"):
        choose(model(), machine("64xh100-sxm"), pp=64)


def test_the_first_stages_hold_what_does_not_divide() -> None:
    cut = stages(model("llama-3.1-405b"), Layout(1, 4, 1), domain=8)  # 126 layers: 32, 32, 31, 31
    found = {(s.groups[0][1], s.first, s.last): s.count for s in cut}
    assert found == {(32, True, False): 1, (32, False, False): 1, (31, False, False): 1, (31, False, True): 1}


def test_sends_between_domains_take_the_scale_out_link() -> None:
    wires = [s.sends for s in stages(model(), Layout(8, 4, 1), domain=16) for _ in range(s.count)]
    assert sorted(wires) == ["", "link", "link", "scale_out"]
