"""Requests that start together, as benchmarks send them: by hand, and against a simulation of the burst."""

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.chunk_time import chunk_s
from roofcalc.physics.generation import mean_step
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import served
from tests.catalogs import on
from tests.shell import refused, rows


def of(deployment: Deployment, isl: float, osl: float, batch: object, mode: str, chunk: float | None = None) -> object:
    return served(deployment, isl, osl, batch, mean_step(deployment, isl, osl), mode, chunk)


def test_a_burst_by_hand() -> None:
    # Llama 3.1 8B on one H100, 8 prompts of 4,000 at once, each T_p: the first token comes after 1, 2, … 8 of them, 4.5 on average,
    # and between tokens a request waits for those after it, 3.5 on average
    deployment = on("llama-3.1-8b", "h100-sxm", arrivals="burst")
    prompt, step = float(prefill(deployment, 4000).ttft_s), float(mean_step(deployment, 4000, 500).seconds(8))
    one = of(deployment, 4000, 500, 8, "colocated")
    assert one.ttft_s == pytest.approx(4.5 * prompt) and one.tpot_s == pytest.approx(step + 3.5 * prompt / 500)  # type: ignore[attr-defined]
    assert one.ttft_idle_s == pytest.approx(prompt)  # type: ignore[attr-defined]


def test_a_packed_burst_by_hand() -> None:
    # 4 prompts in one step of up to 8,192 tokens, as a server that took 1,219 ms where one prompt alone takes 337: all wait for all four,
    # and nothing is left to wait for between tokens
    deployment = on("llama-3.1-8b", "h100-sxm", arrivals="burst", max_batched_tokens=8192)
    prompt, step = float(prefill(deployment, 2000).ttft_s), float(mean_step(deployment, 2000, 500).seconds(4))
    one = of(deployment, 2000, 500, 4, "colocated")
    assert one.ttft_s == pytest.approx(4 * prompt) and one.tpot_s == pytest.approx(step)  # type: ignore[attr-defined]
    twelve = of(deployment, 2000, 500, 12, "colocated")  # three packs: the mean prompt ends with the eighth
    assert twelve.ttft_s == pytest.approx(8 * prompt)  # type: ignore[attr-defined]


def simulated(deployment: Deployment, isl: float, osl: int, batch: int, mode: str, chunk: float) -> tuple[float, float]:
    """Mean seconds between tokens and to the first token of `batch` requests that start at once: event by event."""
    mean = mean_step(deployment, isl, osl)
    count = int(np.ceil(isl / chunk)) if mode == "chunked" else 1
    step_s = [0.0, *(float(mean.seconds(n)) for n in range(1, batch + 1))]
    prompt = (np.array([isl]), np.array([float(count)]))
    added = [float(chunk_s(deployment, mean, max(n, 1), *prompt)[0]) for n in range(batch + 1)] if mode == "chunked" else []
    alone = float(prefill(deployment, isl).ttft_s)
    waiting, left, first, now, done = batch, {}, {}, 0.0, 0
    gaps: list[float] = []
    while len(gaps) < batch:
        carries = waiting > 0
        if carries and mode == "colocated":
            now, waiting = now + alone, waiting - 1
            left[waiting], first[waiting] = osl, now
            continue
        n = len(left)
        now += (step_s[n] if n else step_s[1]) + (added[n] if carries else 0.0)  # a chunk without decoding reads the weights all the same
        for user in list(left):
            left[user] -= 1
            if left[user] == 0:
                del left[user]
                gaps.append((now - first[user]) / osl)
        if carries:
            done += 1
            if done == count:
                waiting, done = waiting - 1, 0
                left[waiting], first[waiting] = osl, now
    return float(np.mean(gaps)), float(np.mean(list(first.values())))


@pytest.mark.parametrize(("isl", "osl", "batch", "mode"), [
    (2000.0, 200, 24, "colocated"),
    (6000.0, 300, 8, "colocated"),
    (2000.0, 400, 24, "chunked"),
    (6000.0, 300, 16, "chunked"),
    (6000.0, 100, 60, "chunked"),  # the first requests end before the last prompts begin
])  # fmt: skip
def test_a_simulated_burst_agrees(isl: float, osl: int, batch: int, mode: str) -> None:
    deployment, chunk = on("llama-3.1-8b", "h100-sxm", arrivals="burst"), 1024.0
    tpot, ttft = simulated(deployment, isl, osl, batch, mode, chunk)
    found = of(deployment, isl, osl, float(batch), mode, chunk if mode == "chunked" else None)
    assert found.tpot_s == pytest.approx(tpot, rel=0.001 if mode == "colocated" else 0.06)  # type: ignore[attr-defined]
    assert found.ttft_s == pytest.approx(ttft, rel=0.001 if mode == "colocated" else 0.06)  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["colocated", "chunked"])
@pytest.mark.parametrize("given", [{}, {"assume": "typical"}, {"tp": 1, "dp": 2, "assume": "typical"}, {"tp": 1, "pp": 2}], ids=str)
def test_laws(given: dict[str, object], mode: str) -> None:
    """One request of a rank is alone; nothing falls with the batch; what a burst gains between tokens it loses before the first one."""
    burst, today = (on("qwen3-30b-a3b", "2xh100-sxm", arrivals=arrivals, **given) for arrivals in ("burst", "staggered"))
    batch = np.unique(np.geomspace(1, 500, 40).round()) * burst.layout.dp
    one, other = (of(deployment, 3000.0, 300.0, batch, mode) for deployment in (burst, today))
    np.testing.assert_allclose(batch * 300 / one.throughput_tok_s, 300 * one.tpot_s + one.ttft_s, rtol=1e-9)  # type: ignore[attr-defined]
    alone = float(mean_step(burst, 3000.0, 300.0).seconds(batch[0]))
    assert one.tpot_s[0] == pytest.approx(alone)  # type: ignore[attr-defined]
    assert (np.diff(one.tpot_s) >= -1e-12).all() and (np.diff(one.ttft_s) >= -1e-12).all()  # type: ignore[attr-defined]
    if mode == "colocated" and burst.layout.dp == 1:  # ranks that exchange tokens wait for each other's prompts unless all prefill at once
        assert (one.ttft_s >= other.ttft_s * (1 - 1e-12)).all() and (one.tpot_s <= other.tpot_s * (1 + 1e-12)).all()  # type: ignore[attr-defined]
        np.testing.assert_allclose(one.throughput_tok_s, other.throughput_tok_s, rtol=1e-9)  # type: ignore[attr-defined]


def test_rows_state_it() -> None:
    line = "interactivity llama-3.1-8b h100-sxm --isl 4k --osl 500 --batch 8"
    (staggered,), (burst,) = rows(line), rows(f"{line} --arrivals burst")
    assert burst["arrivals"] == "burst" and "arrivals" not in staggered
    assert float(burst["ttft_ms"]) == pytest.approx(4.5 * float(staggered["ttft_idle_ms"]))
    for command in ("max-batch llama-3.1-8b h100-sxm --isl 4k --osl 500", "cost llama-3.1-8b h100-sxm --query 4k:500"):
        assert rows(f"{command} --arrivals burst")[0]["arrivals"] == "burst"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("interactivity llama-3.1-8b h100-sxm --seq 4k --batch 8 --arrivals burst", "--arrivals: only for whole generations; give --isl and --osl"),
        ("interactivity llama-3.1-8b h100-sxm --isl 4k --osl 9 --prefill separate --arrivals burst", "--arrivals: another pool prefills"),
        ("frontier llama-3.1-8b h100-sxm --isl 4k --osl 9 --disaggregated --arrivals burst", "--arrivals: another pool prefills"),
        ("plan llama-3.1-8b h100-sxm --isl 4k --osl 9 --requests-per-second 1 --arrivals burst", "--arrivals: requests per second arrive at random"),
        ("max-batch llama-3.1-8b h100-sxm --isl 4k --osl 9 --arrivals flood", "--arrivals: invalid choice 'flood'"),
    ],
)
def test_refused(line: str, words: str) -> None:
    assert words in refused(line)
