"""Plans for requests per second: Little's law, queues of prompts, mixes; against loops over every batch and a simulation."""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.parallelism import Layout
from roofcalc.solvers.layouts import layouts
from roofcalc.solvers.planner import select
from roofcalc.solvers.planner.replica import max_load
from tests.catalogs import on
from tests.physics.test_queueing import simulated
from tests.shell import refused
from tests.solvers.test_pruning import asked


def every_layout(model: str, devices: int) -> list[Layout]:
    return layouts(lookup.model(model)[0], devices)


def in_flight_but(row: dict[str, Any], rate: float, osl: int) -> float:
    """Sequences in flight less those of Little's law: rate·(TTFT + osl·TPOT)."""
    return float(row["batch"] - rate * (row["ttft_ms"] / 1e3 + osl / row["interactivity_tok_s"]))


def degrees(layout: Layout) -> dict[str, int]:
    return {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}


@pytest.mark.parametrize(
    ("model", "machine", "given"),
    [
        ("llama-3.1-8b", "h100-sxm", {"assume": "typical"}),
        ("llama-3.1-8b", "h100-sxm", {"assume": "bound"}),
        ("llama-3.1-8b", "2xh100-sxm", {"tp": 2, "draft": 3, "acceptance": 0.7, "draft_model": "llama-3.2-1b"}),
        ("deepseek-v3", "8xh200-sxm", {"assume": "typical", "tp": 1, "dp": 8, "dcp": 1}),
        ("deepseek-v3", "8xh200-sxm", {"assume": "bound", "tp": 1, "dp": 8, "dcp": 1}),
    ],
)
def test_requests_per_second_are_those_of_the_frontier(model: str, machine: str, given: dict[str, object]) -> None:
    """In `typical` prompts are packed and ranks wait, in `bound` they ride along, and a drafter reads them too: as other questions say."""
    work = {"isl": 2000, "osl": 500}
    most = max(rc.frontier(model, machine, all=True, **work, **given)["requests_per_s"])  # type: ignore[arg-type]
    (row,) = rc.plan(model, machine, requests_per_second=0.7 * most, interactivity=1, **work, **given).rows()  # type: ignore[arg-type]
    assert row["replicas"] == 1
    if given.get("assume") != "bound":
        assert -1e-6 <= in_flight_but(row, 0.7 * most, 500) < 1.6
        return
    each = [row["batch"], row["batch"] - 1]  # type: ignore[operator]
    layout = {name: row[name] for name in ("tp", "pp", "dp", "ep", "dcp")}
    enough, short = rc.frontier(model, machine, batch=each, all=True, **work, **{**given, **layout})["requests_per_s"]  # type: ignore[arg-type]
    assert enough >= 0.7 * most * (1 - 1e-9) and short < 0.7 * most


def test_a_mix_of_one_kind_is_that_kind(tmp_path: Path) -> None:
    path = tmp_path / "mix.txt"
    path.write_text("2000:500 1\n2000:500 3\n")
    for given in ({}, {"assume": "bound"}, {"assume": "typical"}):
        asked = {"requests_per_second": 20, "interactivity": 10, **given}
        mixed, plain = (rc.plan("qwen3-30b-a3b", "2xh100-sxm", **asked, **work) for work in ({"mix": str(path)}, {"isl": 2000, "osl": 500}))  # type: ignore[arg-type]
        for name in ("devices", "replicas", "tp", "dp", "batch"):
            assert mixed[name][0] == plain[name][0]
        assert mixed["interactivity_tok_s"][0] == pytest.approx(plain["interactivity_tok_s"][0])


def served(model: str, machine: str, layout: Layout, isl: int, osl: int, batches: list[int], given: dict[str, str]) -> list[float]:
    """Requests per second of one replica for each number in flight: by Little's law, and with its prompts between its steps."""
    steps = rc.interactivity(model, machine, seq=isl + osl // 2, batch=batches, **degrees(layout), **given)  # type: ignore[arg-type]
    means = rc.interactivity(model, machine, isl=isl, osl=osl, batch=batches, **degrees(layout), **given)  # type: ignore[arg-type]
    found = []
    for batch, step, mean in zip(batches, steps.rows(), means.rows(), strict=True):
        by_little = batch / (mean["ttft_idle_ms"] / 1e3 + osl / mean["decode_tok_s"])  # type: ignore[operator]
        assert step["interactivity_tok_s"] == pytest.approx(mean["decode_tok_s"], rel=0.05)
        found.append(min(by_little, mean["requests_per_s"]) if mean["fits_memory"] else 0.0)  # type: ignore[type-var]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("model", "device", "isl", "osl", "rate", "speed", "upto", "given"),
    [
        ("llama-3.1-8b", "h100-sxm", 2000, 200, 60.0, 40.0, 4, {}),
        ("llama-3.1-8b", "l40s", 4000, 500, 3.0, 20.0, 4, {"weights": "all=fp8"}),
        ("gpt-oss-20b", "h100-sxm", 3000, 1000, 20.0, 100.0, 4, {}),
    ],
)
def test_requests_per_second_against_every_batch(
    model: str, device: str, isl: int, osl: int, rate: float, speed: float, upto: int, given: dict[str, str]
) -> None:
    best: tuple[float, float] = (math.inf, 0.0)
    for count in range(1, upto + 1):
        for layout in every_layout(model, count):
            machine = f"{count}x{device}"
            (limit,) = rc.max_batch(model, machine, isl=isl, osl=osl, interactivity=speed, **degrees(layout), **given)["max_batch"].tolist()  # type: ignore[arg-type]
            most = max(served(model, machine, layout, isl, osl, list(range(1, int(limit) + 1)), given)) if limit else 0.0
            replicas = math.ceil(rate / most * (1 - 1e-9)) if most else math.inf
            best = min(best, (count * replicas, count))
    table = rc.plan(model, device, isl=isl, osl=osl, requests_per_second=rate, interactivity=speed, **given)  # type: ignore[arg-type]
    (row,) = table.rows()
    assert row["devices"] == best[0]
    layout = Layout(*(int(row[name]) for name in ("tp", "pp", "dp", "ep")))  # type: ignore[arg-type]
    each, own = row["batch"] / row["replicas"], rate / row["replicas"]  # type: ignore[operator]
    machine = str(row["hardware"])
    (enough,) = served(model, machine, layout, isl, osl, [int(each)], given)
    assert each == int(each) and enough >= own * (1 - 1e-9)
    assert each == 1 or -1e-6 <= in_flight_but({**row, "batch": each}, own, osl) < 1.6  # no smaller batch holds those that wait too
    assert row["interactivity_tok_s"] >= speed * (1 - 1e-9)  # type: ignore[operator]


def test_littles_law_by_hand() -> None:
    """B = rate·(TTFT + osl·T_step/A), at the least batch that gives the rate, where prompts take no time from the steps."""
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=1, osl=1000, requests_per_second=4, interactivity=10).rows()
    seconds = row["ttft_ms"] / 1e3 + 1000 / row["interactivity_tok_s"]  # type: ignore[operator]
    assert row["devices"] == 1 and 0 <= row["batch"] - 4 * seconds < 1.5  # type: ignore[operator]


def test_first_tokens_that_must_be_in_time() -> None:
    given = {"isl": 16000, "osl": 200, "requests_per_second": 2}
    free, held = (next(rc.plan("llama-3.1-8b", "h100-sxm", ttft=ttft, **given).rows()) for ttft in (None, 0.2))  # type: ignore[arg-type]
    assert free["ttft_ms"] > 200 >= held["ttft_ms"] and held["devices"] >= free["devices"]  # type: ignore[operator]
    table = rc.plan("llama-3.1-8b", "h100-sxm", ttft=1e-4, tp=1, pp=1, **given)  # type: ignore[arg-type]
    (row,) = table.rows()
    assert (row["devices"], row["limited_by"], row["batch"]) == (None, "ttft", 0)
    assert any("meets the time to first token" in note for note in table.notes)


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


MIX = """# prompts and answers, and how many of each
4000:200 3

1000:1000, 1   # longer answers
"""


def test_what_prompts_wait_for_limits_requests() -> None:
    """8,000 tokens in and 10 out: a prompt takes 130 ms, ten steps of the largest batch, 60, take 0.3 s: prompts take 96 % of the time."""
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, requests_per_second=10).rows()
    (prompt,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=8000).rows()
    assert row["limited_by"] == prompt["limited_by"] == "compute" and row["relief"] == "FLOPs +10 %"
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=1, osl=1, requests_per_second=10).rows()  # the weights are read for each prompt
    assert row["limited_by"] == "bandwidth" and row["relief"] == "bandwidth +10 %"
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=1000, osl=1000, requests_per_second=10).rows()
    assert row["limited_by"] == "capacity"


def test_mixes(tmp_path: Path) -> None:
    def planned(text: str, **given: object) -> dict[str, object]:
        path = tmp_path / "mix.txt"
        path.write_text(text)
        (row,) = rc.plan("llama-3.1-8b", "h100-sxm", weights="all=fp8", requests_per_second=30, mix=str(path), **given).rows()  # type: ignore[arg-type]
        return dict(row)

    def alone(isl: int, osl: int) -> dict[str, object]:
        return dict(next(rc.plan("llama-3.1-8b", "h100-sxm", weights="all=fp8", requests_per_second=30, isl=isl, osl=osl).rows()))

    same = {name: value for name, value in planned("4k:200\n").items() if name != "mix"}
    assert same == alone(4000, 200) == {name: value for name, value in planned("4000:200 2\n4000:200 0.5\n").items() if name != "mix"}
    mixed, short, long = planned(MIX), alone(4000, 200), alone(1000, 1000)
    assert mixed["isl"] == 3250 and mixed["osl"] == 400  # (3·4000 + 1000)/4, (3·200 + 1000)/4
    # in flight by the tokens that each generates, 3·200 : 1000, and so is the mean of 4,200 and 2,000 tokens held
    assert mixed["seq"] == math.ceil((600 * 4200 + 1000 * 2000) / 1600)
    layout = {name: mixed[name] for name in ("tp", "pp", "dp")}
    given = {"weights": "all=fp8", **layout}
    longest, other = (float(rc.prefill("llama-3.1-8b", str(mixed["hardware"]), seq=seq, **given)["ttft_ms"][0]) / 1e3 for seq in (4000, 1000))  # type: ignore[arg-type]
    # the longest prompt's own time, a queue of three long prompts to one short (Pollaczek and Khinchine), and half of a step that gives 30 tok/s
    assert layout["pp"] == layout["dp"] == 1
    each, mean, square = 30 / mixed["replicas"], (3 * longest + other) / 4, (3 * longest**2 + other**2) / 4  # type: ignore[operator]
    wait = each * square / (2 * (1 - each * mean))
    assert longest + wait < mixed["ttft_ms"] / 1e3 < longest + wait + 1 / 30 / 2  # type: ignore[operator]
    assert min(short["devices"], long["devices"]) <= mixed["devices"] <= max(short["devices"], long["devices"])  # type: ignore[type-var, operator]


def test_the_mean_context_of_a_mix_is_not_rounded_up_by_float_noise(tmp_path: Path) -> None:
    path = tmp_path / "mix.txt"
    path.write_text("4000:100 2\n4000:100 7\n")  # 4100·2/9 + 4100·7/9 is 4100.000000000001 in floats
    assert rc.plan("llama-3.1-8b", "h100-sxm", mix=str(path))["seq"].tolist() == [4100]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("4000 200", "is not of the form `isl:osl weight`"),
        ("4000:200 1 2", "is not of the form `isl:osl weight`"),
        ("a:200", "isl: 'a' is not a number"),
        ("4000:0", "osl: expected 1 to"),
        ("4000:200 -1", "weight: expected"),
        ("# nothing\n", "0 kinds of requests"),
        ("\x00:1", "is not a number"),
    ],
)
def test_mixes_that_are_none(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mix.txt"
    path.write_text(f"1:1\n{text}\n" if complaint[0] != "0" else text)
    said = refused(f"plan llama-3.1-8b h100-sxm --mix {path} --requests-per-second 1")
    assert complaint in said and (complaint[0] == "0" or f"{path}:2: " in said)


@pytest.mark.parametrize(
    ("model", "device", "given"),
    [
        ("gpt-oss-120b", "h100-sxm", {"isl": 1000, "osl": 300, "requests_per_second": 20, "devices": 4}),
        ("deepseek-v3", "h200-sxm", {"isl": 2000, "osl": 500, "requests_per_second": 5, "devices": 8, "dcp": 1}),
        ("llama-3.1-70b", "h100-sxm", {"isl": 4000, "osl": 1000, "requests_per_second": 4, "assume": "typical"}),
        ("mixtral-8x7b", "l40s", {"isl": 1000, "osl": 500, "requests_per_second": 3, "interactivity": 15, "prefill": "chunked", "ttft": 1}),
        ("gpt-oss-20b", "l4", {"isl": 2000, "osl": 100, "requests_per_second": 20, "interactivity": 20, "assume": "bound"}),
        ("llama-3.1-8b", "l4", {"isl": 2000, "osl": 300, "requests_per_second": 2, "interactivity": 12, "max_latency": 60}),
    ],
)
def test_what_is_not_asked_for_its_prompts_would_not_be_chosen(
    model: str, device: str, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layouts are looked at in an order in which the best is neither first nor last: all of each, and with what is met skipped."""
    asked = select.max_load
    quick = list(rc.plan(model, device, **given).rows())  # type: ignore[arg-type]
    monkeypatch.setattr(select, "max_load", lambda demand, one, read, met: asked(demand, one, read))
    assert list(rc.plan(model, device, **given).rows()) == quick  # type: ignore[arg-type]


@pytest.mark.parametrize("prefill", ["colocated", "chunked"])
@pytest.mark.parametrize(("model", "machine", "layout", "preset"), [
    ("deepseek-v3", "8xh200-sxm", {"tp": 1, "pp": 1, "dp": 8, "dcp": 1}, "typical"),
    ("llama-3.1-8b", "h100-sxm", {"tp": 1, "pp": 1, "dp": 1}, "bound"),
    ("llama-3.1-8b", "h100-sxm", {"tp": 1, "pp": 1, "dp": 1}, "typical"),
    ("llama-3.1-70b", "8xh100-sxm", {"tp": 4, "pp": 2, "dp": 1}, "roofline"),
    ("llama-3.1-70b", "8xh100-sxm", {"tp": 4, "pp": 2, "dp": 1}, "typical"),
])  # fmt: skip
def test_a_plan_serves_as_interactivity_says(model: str, machine: str, layout: dict[str, int], preset: str, prefill: str) -> None:
    """One rule: the same requests at the same rate in the same layout, from nearly idle to nearly full."""
    asked = {"isl": 2000, "osl": 500, "assume": preset, "prefill": prefill, **layout}
    (most,) = rc.max_batch(model, machine, interactivity=1, **asked).rows()  # type: ignore[arg-type]
    for part in (0.02, 0.5):
        rate = part * most["requests_per_s"]  # type: ignore[operator]
        (row,) = rc.interactivity(model, machine, requests_per_second=rate, **asked).rows()  # type: ignore[arg-type]
        (plan,) = rc.plan(model, machine, requests_per_second=rate, interactivity=0.1, devices=lookup.hardware(machine)[0].count, **asked).rows()  # type: ignore[arg-type]
        assert plan["replicas"] == 1
        for name in ("batch", "interactivity_tok_s", "ttft_ms", "ttft_p95_ms", "busy"):
            assert plan[name] == (None if row[name] is None else pytest.approx(row[name], rel=1e-9)), name


def test_the_percentile_that_is_asked_for_is_printed() -> None:
    asked = {"isl": 8000, "osl": 200, "tp": 1, "pp": 1, "interactivity": 10, "ttft": 2}
    found = {
        percent: next(rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=4, ttft_percentile=percent, **asked).rows())  # type: ignore[arg-type]
        for percent in (50, 95, 99)
    }
    middle, late, last = (row["ttft_percentile_ms"] for row in found.values())
    assert found[99]["replicas"] == found[95]["replicas"] == 1 and late == found[95]["ttft_p95_ms"]
    assert middle < found[95]["ttft_ms"] < late and last == pytest.approx(queued(4, late=0.01) * 1e3, rel=1e-3)  # type: ignore[operator]


def test_no_limit_on_the_speed_between_two_that_are_met_is_missed() -> None:
    # the largest batch of one of them is followed by one whose prompts take a step more, so that it serves fewer requests
    given = {"weights": "fp8", "isl": 1000, "osl": 300, "assume": "typical"}
    speeds = np.arange(25.0, 40.25, 0.5)
    met = max_load(asked(1000, 300, speeds), on("llama-3.1-8b", "h100-sxm", weights="fp8", assume="typical"))
    assert (met.most >= 5).all() and not met.reason.any()
    table = rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=5, interactivity=[25, 32.5, 40], **given)  # type: ignore[arg-type]
    assert table["devices"].tolist() == [1, 1, 1]


def test_goodput_of_a_plan_is_that_of_each_replica() -> None:
    asked = {"isl": 2000, "osl": 300, "tp": 1, "pp": 1, "ttft": 0.5, "interactivity": 50, "goodput": True, "assume": "typical"}
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", requests_per_second=25, **asked).rows()  # type: ignore[arg-type]
    (each,) = rc.interactivity("llama-3.1-8b", "h100-sxm", requests_per_second=25 / row["replicas"], **asked).rows()  # type: ignore[arg-type, operator]
    assert row["replicas"] > 1 and 0.5 < row["goodput"] < 1 and row["goodput"] == pytest.approx(each["goodput"], rel=1e-9)  # type: ignore[operator]


@pytest.mark.parametrize("line", ["--isl 1k --osl 100 --ttft 1", "--isl 1k --osl 100 --requests-per-second 1"])
def test_goodput_needs_a_rate_and_both_limits(line: str) -> None:
    assert "--goodput: give --requests-per-second, --isl, --osl and --ttft" in refused(f"plan llama-3.1-8b h100-sxm --goodput {line}")


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
