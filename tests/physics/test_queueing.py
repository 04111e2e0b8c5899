"""Queues of prompts against a simulation of a replica with Poisson arrivals."""

import numpy as np
import pytest

from roofcalc.physics.queueing import Prompts, batch_in_flight, queue_wait_s, ttft_percentile_s
from roofcalc.physics.serving import PromptTimes, Served


def test_the_mean_wait_by_hand() -> None:
    # 4 requests/s of 0.2 s each: the load is 0.8; M/D/1 waits 0.8 x 0.2 / (2 x 0.2) = 0.4 s, and half a step of 20 ms on top
    prompts = Prompts(np.float64(0.2), np.float64(0.04), np.float64(0.02))
    assert queue_wait_s(4.0, prompts) == pytest.approx(0.41)
    assert queue_wait_s(5.0, prompts) == np.inf


def simulated(rate: float, prompt_s: list[float], step_s: float, seed: int = 3, count: int = 400_000) -> tuple[float, float]:
    """Mean and 95th percentile of the time to first token: prompts before steps, one at a time, Poisson arrivals.

    The replica always has something to decode; a prompt that comes in a step waits for its end.
    """
    draw = np.random.default_rng(seed)
    arrivals = np.cumsum(draw.exponential(1 / rate, count))
    lengths = draw.choice(prompt_s, count)
    free, waits = 0.0, []
    for arrival, length in zip(arrivals, lengths, strict=True):
        # an idle queue decodes: the step in progress ends at a multiple of step_s after the queue became free
        begin = free if arrival < free else free + np.ceil((arrival - free) / step_s) * step_s
        free = begin + length
        waits.append(free - arrival)
    settled = np.array(waits[count // 10 :])
    return float(settled.mean()), float(np.percentile(settled, 95))


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("lengths", [[0.1], [0.02, 0.05, 0.2]], ids=["equal", "mixed"])
def test_a_simulated_queue_agrees(load: float, lengths: list[float]) -> None:
    mean, square, step_s = float(np.mean(lengths)), float(np.mean(np.square(lengths))), 0.02
    rate = load / mean
    prompts = Prompts(np.float64(mean), np.float64(square), np.float64(step_s))
    ttft, late = simulated(rate, lengths, step_s)
    assert queue_wait_s(rate, prompts) + mean == pytest.approx(ttft, rel=0.1)
    parts = np.full(len(lengths), 1 / len(lengths))
    assert ttft_percentile_s(95, np.array(lengths), parts, rate, prompts) == pytest.approx(late, rel=0.2)


def test_littles_law_holds_and_is_tight() -> None:
    # T_step = 20 ms + 0.1 ms per sequence, prompts of 50 ms, 300 tokens: B = r (T_first + O T/(1 - r T_p)) in an open system
    def served(batch: np.ndarray) -> Served:
        step = 0.02 + 0.0001 * batch
        tpot = step + np.maximum(batch - 1, 0) * 0.05 / 300
        prompt = np.full_like(batch, 0.05)
        return Served(tpot, step, prompt, prompt, batch * 300 / (prompt + 300 * tpot), PromptTimes(prompt, prompt, prompt))

    rate = np.array([0.5, 2.0, 5.0, 10.0, 19.0, 30.0])
    found = batch_in_flight(rate, served, 0.01, 300.0, 2000.0)
    assert np.isnan(found[-1])
    for r, b in zip(rate[:-1], found[:-1], strict=True):
        if np.isnan(b):
            continue
        assert b >= r * (0.01 + 0.05 + 300 * served(np.array([b])).tpot_s[0])
        assert b == 1 or b - 1 < r * (0.01 + 0.05 + 300 * served(np.array([b - 1.0])).tpot_s[0])
    assert found[1] == pytest.approx(2 * (0.06 + 300 * (0.02 + 0.0001 * found[1]) / (1 - 0.1)), rel=0.05)


def test_the_percentile_by_hand() -> None:
    # hardly any requests, 100 ms each, steps of 20 ms: 95 % of them wait for up to 95 % of a step. At a load of 0.5 the queue's tail is
    # 0.5 exp(-0.5 t / 50 ms), as M/D/1 waits 50 ms on average, averaged over the rests of a step: at t = own + step + x that is
    # 0.5 exp(-x / 100 ms) (1 - exp(-0.2)) / 0.2 = 0.4532 exp(-x / 100 ms); 0.05 at x = 100 ms ln 9.063 = 220.4 ms
    prompts = Prompts(np.float64(0.1), np.float64(0.01), np.float64(0.02))
    assert ttft_percentile_s(95, np.array([0.1]), np.ones(1), 1e-9, prompts) == pytest.approx(0.1 + 0.95 * 0.02, rel=1e-6)
    assert ttft_percentile_s(95, np.array([0.1]), np.ones(1), 5.0, prompts) == pytest.approx(0.1 + 0.02 + 0.2204, rel=1e-3)
