"""Loads of experts as benchmarks draw them: by hand, and every pair placed once."""

import numpy as np
import pytest

from tools.calibrate.loads import balanced_load, routed_load, skewed_load


def test_balanced_by_hand() -> None:
    """64 tokens × 8 of 256 experts: 2 tokens for each; 4 tokens hit 32 experts; over 8 ranks each holds an eighth."""
    full = balanced_load(64, 8, 256)
    assert (full.experts_hit, full.assignments, full.rows[0]) == (256, 512, 256 * 16)
    few = balanced_load(4, 8, 256, 8)
    assert (few.experts_hit, few.assignments, few.routed) == (4, 4, 32)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.01, 1.2])
def test_skewed_loads_place_every_pair_once(exponent: float) -> None:
    tokens = np.array([1.0, 3.0, 17.0, 500.0, 16384.0])
    whole = skewed_load(tokens, 8, 256, 1, exponent)
    assert whole.assignments == pytest.approx(tokens * 8)
    assert (whole.experts_hit <= np.minimum(256, tokens * 8)).all()
    assert (whole.experts_hit >= 8).all()
    fullest = skewed_load(tokens, 8, 256, 16, exponent)
    assert (fullest.assignments >= tokens * 8 / 16 - 1e-9).all()


def test_no_expert_sees_a_token_twice() -> None:
    """With one expert on each rank the fullest rank is the fullest expert; rounding may add one token."""
    tokens = np.array([17.0, 500.0, 16384.0])
    for exponent in (0.6, 1.2, 2.0):
        assert (skewed_load(tokens, 2, 8, 8, exponent).assignments <= tokens + 1).all()


def test_skew_hits_fewer_experts_and_fills_one_rank_more() -> None:
    even, skewed = routed_load(256, 8, 256, 8, "uniform"), routed_load(256, 8, 256, 8, 1.2)
    assert skewed.experts_hit < even.experts_hit
    assert skewed.assignments > even.assignments


def test_ranks_that_do_not_divide_the_experts() -> None:
    assert skewed_load(100, 4, 60, 8, 1.2).assignments[0] >= 50
