"""Errors during a generation: published rates, limits, and a simulation's exact counterpart."""

import numpy as np
import pytest

from roofcalc.economics.reliability import ERROR_RATE, FAILURE_RATE, device_hours, expected_lost_tokens, hit_probability
from tests.cli.test_cli import ASSUMED
from tests.shell import LLAMA, refused, rows, run


def test_published_rates() -> None:
    # Llama 3: 419 and 6 in 54 days of 24 hours on 16,384 devices = 21,233,664 device-hours
    assert pytest.approx(2.0e-5, abs=0.05e-5) == ERROR_RATE + FAILURE_RATE and pytest.approx(2.8e-7, abs=0.05e-7) == ERROR_RATE
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


def test_columns_are_the_contract() -> None:
    header = run(f"reliability {LLAMA} --tokens 1k -f csv").stdout.splitlines()[0]
    assert header == f"model,hardware,weights,kv,devices,tokens,hit_probability,expected_lost_tokens,with_votes,{ASSUMED}"


def test_a_generation_by_hand() -> None:
    # Llama 3.1 8B on one H100 with room for one sequence only: 10,000 tokens at a mean context of 5,000.5 take
    # (15,009,316,864 + 5,000.5 · 131,072) / 3,350e9 s each
    line = "reliability llama-3.1-8b h100-sxm --tokens 10000 --set hardware.memory.capacity_gb=18 --error-rate 0.001 --failure-rate 0.003"
    (row,) = rows(f"{line} --streams 3")
    hours = 10_000 * (15_009_316_864 + 5_000.5 * 131_072) / 3350e9 / 3600
    hit = 1 - np.exp(-0.004 * hours)
    assert float(row["hit_probability"]) == pytest.approx(hit, rel=1e-9) and row["devices"] == "1"
    assert float(row["expected_lost_tokens"]) == pytest.approx(10_000 * 0.003 * hours / 2, rel=1e-3)
    assert float(row["with_votes"]) == pytest.approx(3 * hit**2 - 2 * hit**3, rel=1e-9)
    (single,) = rows(f"{line} --streams 1")
    assert float(single["with_votes"]) == pytest.approx(float(single["hit_probability"]), rel=1e-12)


def test_published_rates_are_the_default_and_said() -> None:
    (row,) = rows(f"reliability {LLAMA} --tokens 10k")
    (given,) = rows(f"reliability {LLAMA} --tokens 10k --error-rate 0 --failure-rate {419 / 21_233_664}")
    assert float(row["hit_probability"]) == pytest.approx(float(given["hit_probability"]), rel=1e-9)
    notes = run(f"reliability {LLAMA} --tokens 10k").stderr
    assert "419 unexpected interruptions, 6 of them silent, in 54 days of training on 16,384 H100 (https://arxiv.org/abs/2407.21783)" in notes
    assert [one["tokens"] for one in rows(f"reliability {LLAMA}")] == ["1000", "10000", "100000"]


def test_devices_that_meet_a_generation() -> None:
    def devices(line: str) -> str:
        return rows(f"reliability {line} --tokens 1k")[0]["devices"]

    assert devices("llama-3.1-8b 8xh100-sxm --tp 2 --pp 2 --dp 2") == "4"  # its replica's alone
    assert devices("deepseek-v3 16xh200-sxm") == "16"  # experts on every rank


def test_without_a_speed_there_is_no_chance() -> None:
    (row,) = rows("reliability llama-3.1-405b h100-sxm --tokens 1k")
    assert row["hit_probability"] == row["expected_lost_tokens"] == row["with_votes"] == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--tokens 0", "tokens: expected 1 to"),
        ("--error-rate -1", "--error-rate: expected 0 to"),
        ("--failure-rate many", "--failure-rate: 'many' is not a number"),
        ("--streams 0", "streams: expected 1 to"),
        ("--streams 1.5", "streams: expected a whole number"),
        ("--streams 1,3", "streams: expected one number, got 2"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    assert complaint in refused(f"reliability llama-3.1-8b h100-sxm {line}")
