"""Errors during a generation: published rates, limits, and a simulation's exact counterpart."""

import numpy as np
import pytest

from roofcalc.economics.reliability import ERROR_RATE, FAILURE_RATE, INTERRUPTION_RATE, device_hours, expected_lost_tokens, hit_probability


def test_published_rates() -> None:
    # Llama 3: 419 and 6 in 54 days of 24 hours on 16,384 devices = 21,233,664 device-hours
    assert pytest.approx(2.0e-5, abs=0.05e-5) == INTERRUPTION_RATE and pytest.approx(2.8e-7, abs=0.05e-7) == ERROR_RATE
    assert pytest.approx(419 / 21_233_664) == ERROR_RATE + FAILURE_RATE


def test_device_hours_by_hand() -> None:
    # 8 devices, 1,080,000 tokens at 30 per second: 10 hours each
    assert float(device_hours(8, 1_080_000, 30)) == pytest.approx(80)


def test_hit_probability_in_small_steps() -> None:
    # a chance of rate/1000 in each of 80,000 thousandths of an hour
    assert float(hit_probability(1e-3, 80)) == pytest.approx(1 - (1 - 1e-6) ** 80_000, rel=1e-6)
    assert float(hit_probability(0, 80)) == 0 and float(hit_probability(1e-15, 1)) == pytest.approx(1e-15) and float(hit_probability(1, 1e9)) == 1


@pytest.mark.parametrize("x", [1e-7, 1e-3, 0.5, 3.0])
def test_lost_tokens_as_expected_one_token_at_a_time(x: float) -> None:
    # With a chance f of failing after each token, runs of T: the mean number of tokens tried before a run gets through is
    # ((1 − f)^−T − 1)/f (a geometric renewal), T of which count
    tokens = 1_000_000
    fail = -np.expm1(-x / tokens)
    expected = np.expm1(x) * (1 - fail) / fail - tokens
    assert float(expected_lost_tokens(x, 1.0, tokens)) == pytest.approx(expected, rel=1e-3, abs=1)


def test_lost_tokens_at_the_ends() -> None:
    assert float(expected_lost_tokens(0, 80, 1000)) == 0
    assert float(expected_lost_tokens(1e-9, 1, 1000)) == pytest.approx(1000 * 1e-9 / 2)
    assert float(expected_lost_tokens(np.nextafter(1e-5, 0), 1, 1)) == pytest.approx(float(expected_lost_tokens(1e-5, 1, 1)), rel=1e-5)
    assert np.isinf(expected_lost_tokens(1, 1e6, 1000))
