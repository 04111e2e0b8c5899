"""First tokens of plans for requests per second: queues of prompts by hand and simulated, mean and percentiles."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest

import roofcalc as rc
from tests.physics.test_queueing import simulated

QUEUED = {"isl": 8000, "osl": 200, "tp": 1, "pp": 1, "interactivity": 10}


@lru_cache
def of_each_batch() -> tuple[float, list[float]]:
    """Seconds of a prompt of Llama 3.1 8B on one H100, and of the mean decode step of each batch from 0 (as of 1) up."""
    (one,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=8000).rows()
    steps = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=8000, osl=200, batch="1:80:1")["step_ms"] / 1e3
    return one["ttft_ms"] / 1e3, [float(steps[0]), *steps.tolist()]  # type: ignore[operator, return-value]


def waiting(rate: float) -> float:
    """Mean wait in an M/D/1 queue, without the step that is running."""
    prompt, _ = of_each_batch()
    load = rate * prompt
    return load * prompt / (2 * (1 - load))


def flight(rate: float, batch: float) -> float:
    """Requests in flight by Little's law if each is served like one of `batch` and one more: prompts of the others come between its tokens."""
    prompt, steps = of_each_batch()
    step = float(np.interp(batch + 1, range(len(steps)), steps))
    between = step + batch * prompt * (1 - 1 / 400) / 200  # of 200 tokens the first waits for half of a step's
    return rate * (prompt + step / 2 + waiting(rate) + 200 * between)


def solved(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where `holds` begins to fail."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def queued(rate: float, late: float | None = None) -> float:
    """Seconds to the first token of Llama 3.1 8B on one H100 at `rate` requests per second: an M/D/1 queue by hand.

    The mean, or where 1 in 1/`late` requests comes later: an arriving prompt waits with the chance that is the load, and then as long as an
    exponential distribution with the queue's mean has it; before that for the rest of a step, of which 20,000 parts are averaged.
    """
    prompt, steps = of_each_batch()
    batch = solved(lambda some: flight(rate, some) > some, 0.0, len(steps) - 2.0)
    step, wait, load = float(np.interp(batch + 1, range(len(steps)), steps)), waiting(rate), rate * prompt
    if late is None:
        return prompt + step / 2 + wait
    rests = (np.arange(20_000) + 0.5) / 20_000 * step

    def later(time: float) -> float:
        left = time - prompt - rests
        return float(np.where(left < 0, 1.0, load * np.exp(-np.maximum(left, 0.0) * load / wait)).mean())

    return solved(lambda time: later(time) > late, prompt, prompt + 100 * (wait + step))


def test_first_tokens_under_the_load_by_hand() -> None:
    for rate in (0.5, 2.0, 3.0):
        (row,) = rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=rate, devices=1, **QUEUED).rows()  # type: ignore[arg-type]
        assert row["devices"] == 1 and row["ttft_ms"] == pytest.approx(queued(rate) * 1e3, rel=1e-9)
        assert row["ttft_p95_ms"] == pytest.approx(queued(rate, 0.05) * 1e3, rel=1e-6)
        assert 0 < row["busy"] < 1  # type: ignore[operator]


def test_first_tokens_under_the_load_simulated() -> None:
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=9, devices=3, **QUEUED).rows()  # type: ignore[arg-type]
    (one,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=8000).rows()
    (most,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=8000, osl=200, interactivity=10).rows()
    assert row["replicas"] == 3
    mean, late = simulated(3.0, [one["ttft_ms"] / 1e3], most["step_ms"] / 1e3)  # type: ignore[operator]
    assert row["ttft_ms"] == pytest.approx(mean * 1e3, rel=0.1) and row["ttft_p95_ms"] == pytest.approx(late * 1e3, rel=0.2)


@pytest.mark.parametrize("percentile", [None, 50, 95, 99])
def test_as_many_replicas_as_keep_the_queue_short(percentile: int | None) -> None:
    rate, limit = 12.0, 0.25
    given = {"requests_per_second": rate, "ttft": limit, **QUEUED}
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", ttft_percentile=percentile, **given).rows()  # type: ignore[arg-type]
    (free,) = rc.plan("llama-3.1-8b", "h100-sxm", **{**given, "ttft": None}).rows()  # type: ignore[arg-type]
    late = None if percentile is None else 1 - percentile / 100
    by_time = next(n for n in range(1, 50) if rate / n < 1 / 0.15 and queued(rate / n, late) <= limit)
    assert row["devices"] == max(by_time, free["devices"])  # type: ignore[type-var]
    if by_time > free["devices"]:  # type: ignore[operator]
        assert row["limited_by"] == "ttft" and percentile in (95, 99)


def test_a_batch_whose_first_tokens_come_in_time() -> None:
    given = {"isl": 8000, "osl": 50, "tp": 1, "pp": 1, "interactivity": 1, "batch": 64}
    (free,) = rc.plan("llama-3.1-8b", "h100-sxm", **given).rows()  # type: ignore[arg-type]
    limit = free["ttft_ms"] / 1e3 * 0.9  # type: ignore[operator]
    (held,) = rc.plan("llama-3.1-8b", "h100-sxm", ttft=limit, **given).rows()  # type: ignore[arg-type]
    # the largest batch of one replica by the question `interactivity`
    times = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=8000, osl=50, batch="1:64:1")["ttft_ms"]
    most = int((times <= limit * 1e3).sum())
    assert held["devices"] == math.ceil(64 / most) > free["devices"]  # type: ignore[operator]
    assert held["ttft_ms"] <= limit * 1e3  # type: ignore[operator]


def test_a_full_plan_says_so() -> None:
    (most,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=8000, osl=200, interactivity=10).rows()
    full = float(most["max_batch"])  # type: ignore[arg-type]
    possible = solved(lambda rate: flight(rate, full) < full, 0.0, 1 / of_each_batch()[0] * (1 - 1e-9))
    assert possible < most["requests_per_s"]  # type: ignore[operator]
    for part, says in ((0.85, False), (0.95, True)):
        rate = part * possible
        table = rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=rate, devices=1, **QUEUED)  # type: ignore[arg-type]
        assert next(table.rows())["busy"] == pytest.approx(part, rel=1e-6)
        assert any("% busy" in note for note in table.notes) is says


def test_the_percentile_that_is_asked_for_is_printed() -> None:
    asked = {"isl": 8000, "osl": 200, "tp": 1, "pp": 1, "interactivity": 10, "ttft": 2}
    found = {
        percent: next(rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=4, ttft_percentile=percent, **asked).rows())  # type: ignore[arg-type]
        for percent in (50, 95, 99)
    }
    middle, late, last = (row["ttft_percentile_ms"] for row in found.values())
    assert found[99]["replicas"] == found[95]["replicas"] == 1 and late == found[95]["ttft_p95_ms"]
    assert middle < found[95]["ttft_ms"] < late and last == pytest.approx(queued(4, late=0.01) * 1e3, rel=1e-3)  # type: ignore[operator]


def test_chunked_first_tokens_in_time() -> None:
    """A percentile is met by as many replicas as by hand, each at its share of the rate as `interactivity` says."""
    asked = {"isl": 8000, "osl": 200, "prefill": "chunked", "tp": 1, "pp": 1}
    limit, rate = 0.4, 12.0
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=rate, interactivity=10, ttft=limit, ttft_percentile=95, **asked).rows()  # type: ignore[arg-type]
    late = [
        next(rc.interactivity("llama-3.1-8b", "h100-sxm", requests_per_second=rate / n, **asked).rows())["ttft_p95_ms"]  # type: ignore[arg-type]
        for n in (row["replicas"], row["replicas"] - 1)  # type: ignore[operator]
    ]
    assert row["limited_by"] == "ttft" and row["ttft_p95_ms"] == pytest.approx(late[0])
    assert late[0] <= limit * 1e3 < (late[1] or math.inf)  # type: ignore[operator]
