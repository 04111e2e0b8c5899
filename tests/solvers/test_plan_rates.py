"""Plans for requests per second: Little's law, against loops over every batch, the frontier and `interactivity`, and with what is met skipped."""

import math
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


def test_what_prompts_wait_for_limits_requests() -> None:
    """8,000 tokens in and 10 out: a prompt takes 130 ms, ten steps of the largest batch, 60, take 0.3 s: prompts take 96 % of the time."""
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, requests_per_second=10).rows()
    (prompt,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=8000).rows()
    assert row["limited_by"] == prompt["limited_by"] == "compute" and row["relief"] == "FLOPs +10 %"
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=1, osl=1, requests_per_second=10).rows()  # the weights are read for each prompt
    assert row["limited_by"] == "bandwidth" and row["relief"] == "bandwidth +10 %"
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=1000, osl=1000, requests_per_second=10).rows()
    assert row["limited_by"] == "capacity"


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
