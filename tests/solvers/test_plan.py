"""Plans against naive loops over every number of devices, layout, replica and batch, with the other questions as the judge."""

import itertools
import math
from pathlib import Path

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.parallelism import Layout
from roofcalc.solvers.layouts import layouts
from roofcalc.solvers.planner import select
from tests.physics.test_queueing import simulated
from tests.shell import refused, rows, run


def every_layout(model: str, devices: int) -> list[Layout]:
    return layouts(lookup.model(model)[0], devices)


def degrees(layout: Layout) -> dict[str, int]:
    return {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}


def most(model: str, device: str, layout: Layout, seq: int, rate: float, **given: object) -> int:
    """The largest batch of a replica, by the question `max_batch`."""
    try:
        table = rc.max_batch(model, f"{layout.devices}x{device}", seq=seq, interactivity=rate, **degrees(layout), **given)  # type: ignore[arg-type]
    except rc.RoofcalcError:  # devices that cannot reach one another
        return 0
    return int(table["max_batch"][0])


def speed(model: str, device: str, layout: Layout, seq: int, batch: int, **given: object) -> float:
    """tok/s for each user of one replica, by the question `interactivity`."""
    table = rc.interactivity(model, f"{layout.devices}x{device}", seq=seq, batch=batch, **degrees(layout), **given)  # type: ignore[arg-type]
    return float(table["interactivity_tok_s"][0])


def least(model: str, device: str, seq: int, rate: float, batch: int, upto: int, spare: int = 0, **given: object) -> tuple[int, Layout]:
    """The fewest devices by a loop over every size and layout of a replica and every number of replicas.

    And of all layouts of so many devices the fastest at the sequences of the fullest replica, of those the one of fewest stages and
    then of most tensor ranks.
    """
    meeting: list[tuple[int, int, Layout]] = []
    for count in range(1, upto + 1):
        for layout in every_layout(model, count):
            each = most(model, device, layout, seq, rate, **given)
            replicas = next((n for n in range(1, upto + 1) if each * n >= batch), None)
            if replicas:
                meeting.append((count * (replicas + spare), replicas, layout))
    fewest = min(devices for devices, _, _ in meeting)
    alike = [(replicas, layout) for devices, replicas, layout in meeting if devices == fewest]
    speeds = [speed(model, device, layout, seq, math.ceil(batch / replicas), **given) for replicas, layout in alike]
    fastest = [layout for (_, layout), one in zip(alike, speeds, strict=True) if one > max(speeds) * (1 - 1e-9)]
    return fewest, min(fastest, key=lambda one: (one.pp, -one.tp))


@pytest.mark.parametrize(
    ("model", "device", "seq", "rate", "batch", "upto", "spare", "given"),
    [
        ("llama-3.1-8b", "h100-sxm", 4000, 50, 200, 4, 0, {}),
        ("llama-3.1-8b", "rtx-4090", 8000, 20, 40, 20, 0, {}),
        ("llama-3.1-70b", "h100-sxm", 8000, 30, 100, 12, 0, {"weights": "all=fp8"}),
        ("llama-3.1-70b", "h100-sxm", 8000, 30, 1, 6, 0, {"weights": "bf16"}),
        ("llama-3.1-70b", "h100-sxm", 8000, 60, 150, 24, 1, {"weights": "all=fp8"}),
        ("gpt-oss-120b", "h100-sxm", 16_000, 100, 64, 10, 0, {}),
        ("qwen3-30b-a3b", "l40s", 16_000, 40, 30, 8, 2, {"weights": "all=fp8"}),
    ],
)
def test_no_loop_finds_fewer_devices(
    model: str, device: str, seq: int, rate: float, batch: int, upto: int, spare: int, given: dict[str, str]
) -> None:
    (row,) = rc.plan(model, device, seq=seq, interactivity=rate, batch=batch, spare=spare, **given).rows()  # type: ignore[arg-type]
    fewest, best = least(model, device, seq, rate, batch, upto, spare, **given)
    assert row["devices"] == fewest and [row[name] for name in ("tp", "pp", "dp", "ep")] == [best.tp, best.pp, best.dp, best.ep]
    layout = {name: row[name] for name in ("tp", "pp", "dp", "ep")}
    (one,) = rc.max_batch(model, str(row["hardware"]), seq=seq, interactivity=rate, **layout, **given).rows()  # type: ignore[arg-type]
    working = row["replicas"] - spare  # type: ignore[operator]
    assert one["max_batch"] * working >= batch and row["batch"] == batch  # type: ignore[operator]
    size = int(str(row["hardware"]).partition("x")[0])
    assert row["devices"] == size * row["replicas"] and row["interactivity_tok_s"] >= rate * (1 - 1e-9)  # type: ignore[operator]


def test_of_as_many_devices_the_fastest() -> None:
    """100 sequences on eight H100: two stages hold them too, but each sequence would pass both, one after the other."""
    given = {"seq": 8000, "batch": 100, "interactivity": 30, "usd_per_hour": 2}
    (row,) = rc.plan("llama-3.1-70b", "8xh100-sxm", **given).rows()  # type: ignore[arg-type]
    (stages,) = rc.plan("llama-3.1-70b", "8xh100-sxm", pp=2, **given).rows()  # type: ignore[arg-type]
    assert (row["tp"], row["pp"], stages["tp"], stages["pp"]) == (8, 1, 4, 2) and row["devices"] == stages["devices"]
    assert row["interactivity_tok_s"] > 1.3 * stages["interactivity_tok_s"]  # type: ignore[operator]
    dearer = row["interactivity_tok_s"] / stages["interactivity_tok_s"]  # type: ignore[operator]
    assert stages["usd_per_mtok_out"] == pytest.approx(dearer * row["usd_per_mtok_out"])  # type: ignore[operator]


def test_devices_that_must_be_taken_work_too() -> None:
    """A machine of eight, and a model that one device holds: eight replicas share the sequences where one rank is all that is legal.

    900 sequences on three of its devices would be 300 each; on all eight they are 113, and a single sequence takes one replica.
    """
    given = {"seq": 4000, "tp": 1, "pp": 1}
    (row,) = rc.plan("llama-3.1-8b", "8xh100-sxm", batch=900, interactivity=20, **given).rows()  # type: ignore[arg-type]
    (alone,) = rc.interactivity("llama-3.1-8b", "h100-sxm", batch=math.ceil(900 / 8), **given).rows()  # type: ignore[arg-type]
    assert (row["devices"], row["replicas"]) == (8, 8) and row["interactivity_tok_s"] == pytest.approx(alone["interactivity_tok_s"])
    assert [rc.plan("llama-3.1-8b", "8xh100-sxm", batch=batch, **given)["replicas"][0] for batch in (1, 5)] == [1, 5]  # type: ignore[arg-type]
    # of requests per second all share; one device that may be lost leaves seven
    rate = {"isl": 1000, "osl": 100, "requests_per_second": 1, "tp": 1, "pp": 1}
    assert [rc.plan("llama-3.1-8b", "8xh100-sxm", spare=spare, **rate)["replicas"][0] for spare in (0, 1)] == [8, 8]  # type: ignore[arg-type]
    (row,) = rc.plan("llama-3.1-8b", "8xh100-sxm", spare=1, **rate).rows()  # type: ignore[arg-type]
    assert row["batch"] % 7 == 0  # as many on each of the seven
    # and of one replica's layouts the fastest, which takes all eight
    (row,) = rc.plan("llama-3.1-8b", "8xh100-sxm", seq=4000).rows()
    assert (row["replicas"], row["tp"]) == (1, 8)


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


def test_what_fits_so_many_devices_does_not_fit_one_more() -> None:
    """Eight H100 serve Llama 3.1 405B, fp8, at 30 tok/s; nine do not (128 heads divide by 8, not by 9 or 3), sixteen do again."""

    def serves(count: int) -> bool:
        return any(most("llama-3.1-405b", "h100-sxm", one, 8000, 30, weights="all=fp8") for one in every_layout("llama-3.1-405b", count))

    assert [serves(count) for count in (7, 8, 9, 15, 16)] == [False, True, False, False, True]
    (row,) = rc.plan("llama-3.1-405b", "h100-sxm", seq=8000, interactivity=30, weights="all=fp8").rows()
    assert (row["devices"], row["tp"], row["pp"]) == (8, 8, 1)
    (row,) = rc.plan("llama-3.1-405b", "h100-sxm", seq=8000, interactivity=30, weights="all=fp8", devices=[9, 20]).rows()
    assert (row["devices"], row["replicas"], row["hardware"]) == (9, 1, "8xh100-sxm")  # one of the nine stands idle


def test_whole_machines_and_lists_of_numbers() -> None:
    given = {"seq": 8000, "batch": 100, "interactivity": 30, "weights": "all=fp8"}
    any_number, boxes = (next(rc.plan("llama-3.1-70b", name, **given).rows())["devices"] for name in ("h100-sxm", "8xh100-sxm"))  # type: ignore[arg-type]
    assert boxes == math.ceil(any_number / 8) * 8  # type: ignore[operator]
    (system,) = rc.plan("llama-3.1-70b", "dgx-h100", **given).rows()  # type: ignore[arg-type]
    assert system["devices"] == 8
    (row,) = rc.plan("llama-3.1-70b", "h100-sxm", devices="3:30:9", **given).rows()  # type: ignore[arg-type]
    assert row["devices"] == next(n for n in (3, 12, 21, 30) if n >= any_number)  # type: ignore[operator]
    (row,) = rc.plan("llama-3.1-70b", "h100-sxm", devices=[1, 2], **given).rows()  # type: ignore[arg-type]
    assert (row["devices"], row["batch"], row["limited_by"]) == (None, 0, "devices")


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
    fewer, enough = served(model, machine, layout, isl, osl, [max(1, int(each) - 1), int(each)], given)
    assert each == int(each) and enough >= own * (1 - 1e-9)
    assert each == 1 or fewer < own  # no smaller batch serves as many
    assert row["interactivity_tok_s"] >= speed * (1 - 1e-9)  # type: ignore[operator]


def test_littles_law_by_hand() -> None:
    """B = rate·(TTFT + osl·T_step/A), at the least batch that gives the rate, where prompts take no time from the steps."""
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=1, osl=1000, requests_per_second=4, interactivity=10).rows()
    seconds = row["ttft_ms"] / 1e3 + 1000 / row["interactivity_tok_s"]  # type: ignore[operator]
    assert row["devices"] == 1 and 0 <= row["batch"] - 4 * seconds < 1.5  # type: ignore[operator]


def test_money_by_hand() -> None:
    """64 sequences at their speed, eight devices at 2 dollars: 16/3600 dollars per second over the tokens of a second."""
    (row,) = rc.plan("llama-3.1-405b", "8xh100-sxm", seq=2000, batch=64, weights="all=fp8", usd_per_hour=2).rows()
    assert row["devices"] == 8 and row["usd_per_hour"] == 16
    assert row["usd_per_mtok_out"] == pytest.approx(16 / 3600 / (64 * row["interactivity_tok_s"]) * 1e6)  # type: ignore[operator]
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=2000, osl=200, requests_per_second=100, spare=1, usd_per_hour=2).rows()
    assert row["usd_per_mtok_out"] == pytest.approx(2 * row["devices"] / 3600 / (100 * 200) * 1e6)  # type: ignore[operator]


def test_the_cheapest_machine_comes_first() -> None:
    given = "--weights all=fp8 --seq 8k --batch 64 --interactivity 30"
    by_devices = rows(f"plan llama-3.1-405b h100-sxm h200-sxm,mi300x {given}")
    by_money = rows(f"plan llama-3.1-405b h100-sxm h200-sxm mi300x {given} --least usd")
    assert [int(row["devices"]) for row in by_devices] == sorted(int(row["devices"]) for row in by_devices)
    assert [float(row["usd_per_hour"]) for row in by_money] == sorted(float(row["usd_per_hour"]) for row in by_money)
    assert len(by_devices) == len(by_money) == 3
    equal = rows(f"plan llama-3.1-405b h100-sxm h200-sxm {given} --least usd --usd-per-hour 3")
    assert [float(row["usd_per_hour"]) for row in equal] == [3 * int(row["devices"]) for row in equal]


def test_first_tokens_that_must_be_in_time() -> None:
    given = {"isl": 8000, "osl": 200, "requests_per_second": 2}
    free, held = (next(rc.plan("llama-3.1-70b", "h100-sxm", weights="all=fp8", ttft=ttft, **given).rows()) for ttft in (None, 0.2))  # type: ignore[arg-type]
    assert free["ttft_ms"] > 200 >= held["ttft_ms"] and held["devices"] >= free["devices"]  # type: ignore[operator]
    table = rc.plan("llama-3.1-70b", "h100-sxm", weights="all=fp8", ttft=1e-4, **given)  # type: ignore[arg-type]
    (row,) = table.rows()
    assert (row["devices"], row["limited_by"], row["batch"]) == (None, "ttft", 0)
    assert any("meets the time to first token" in note for note in table.notes)


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("llama-3.1-405b h100-sxm --interactivity 5k", "interactivity"),
        ("llama-3.1-405b rtx-4090 --devices 1:4:1", "weights"),
        ("llama-3.2-1b rtx-4090 --seq 1M --weights bf16 --devices 1", "capacity"),
    ],
)
def test_what_cannot_be_is_a_row(line: str, limit: str) -> None:
    (row,) = rows(f"plan {line}")
    assert (row["devices"], row["batch"], row["limited_by"], row["tp"], row["interactivity_tok_s"]) == ("", "0", limit, "", "")
    assert run(f"plan {line}").exit_code == 0


def test_relief_is_what_more_of_a_figure_gives() -> None:
    """The same replica with the figure set a tenth higher, or with the narrower cache, by the question `max_batch`."""
    given = {"seq": 8000, "interactivity": 30, "weights": "all=fp8"}
    table = rc.plan("llama-3.1-405b", "8xh100-sxm", batch=56, **given)  # type: ignore[arg-type]
    (row,) = table.rows()
    usual, wide, narrow = (
        rc.max_batch("llama-3.1-405b", "8xh100-sxm", changes=changes, kv=kv, **given)["max_batch"][0]  # type: ignore[arg-type]
        for changes, kv in ((None, None), ("hardware.memory.capacity_gb=88", None), (None, "fp8"))
    )
    (note,) = (one for one in table.notes if "can carry" in one)
    assert row["limited_by"] == "capacity" and usual == 56  # 234.1 GB over 4.129 GB
    assert "can carry 56 sequences, limited by capacity; more with" in note
    assert f"capacity +10 % ({(wide / usual - 1) * 100:+.1f} %)" in note and f"fp8 KV ({(narrow / usual - 1) * 100:+.1f} %)" in note
    assert row["relief"] == ("fp8 KV" if narrow > wide else "capacity +10 %") and row["relief_gain"] == pytest.approx(max(narrow, wide) / usual - 1)


QUEUED = {"isl": 8000, "osl": 200, "tp": 1, "pp": 1, "interactivity": 10}


def queued(rate: float, late: float | None = None) -> float:
    """Seconds to the first token of Llama 3.1 8B on one H100 at `rate` requests per second: an M/D/1 queue by hand.

    The mean, or where 1 in 1/`late` requests comes later: an arriving prompt waits with the chance that is the load, and then as long as an
    exponential distribution with the queue's mean has it.
    """
    (one,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=8000).rows()
    (most,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=8000, osl=200, interactivity=10).rows()
    prompt, step = one["ttft_ms"] / 1e3, most["step_ms"] / 1e3  # type: ignore[operator]
    load = rate * prompt
    wait = load * prompt / (2 * (1 - load))
    if late is None:
        return prompt + step / 2 + wait  # type: ignore[no-any-return]
    return prompt + step / 2 + max(0.0, wait / load * math.log(load / late))  # type: ignore[no-any-return]


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
    for part, says in ((0.85, False), (0.95, True)):
        rate = part * most["requests_per_s"]  # type: ignore[operator]
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


def test_spare_devices_leave_replicas_their_size() -> None:
    """405B in fp8 needs six H100 for its weights alone: a hundred spare ones are a hundred replicas more, not a smaller one."""
    given = {"seq": 8000, "interactivity": 30, "weights": "all=fp8"}
    (one,) = rc.plan("llama-3.1-405b", "h100-sxm", **given).rows()  # type: ignore[arg-type]
    (row,) = rc.plan("llama-3.1-405b", "h100-sxm", spare=100, **given).rows()  # type: ignore[arg-type]
    assert (one["devices"], row["devices"], row["replicas"]) == (8, 8 * 101, 101)
    (four,) = rc.plan("llama-3.1-405b", "h100-sxm", spare=3, devices=[24, 40], **given).rows()  # type: ignore[arg-type]
    assert (four["devices"], four["replicas"]) == (40, 4)  # 4 replicas of 8 are 32
    assert next(rc.plan("llama-3.1-8b", "h100-sxm", devices=4, spare=4).rows())["limited_by"] == "devices"
    assert next(rc.plan("llama-3.1-405b", "h100-sxm", devices=4).rows())["limited_by"] == "weights"


def test_notes_say_each_thing_once() -> None:
    few, many = (rc.plan("llama-3.1-8b", "h100-sxm", seq=4000, interactivity=20, batch=f"100:{last}:100") for last in (800, 900))
    assert sum("can carry" in note for note in few.notes) >= 1 and not any("can carry" in note for note in many.notes)
    assert sum("relief: the single change" in note for note in many.notes) == 1
    idle, full = (rc.plan("llama-3.1-8b", "8xh100-sxm", seq=4000, batch=batch, tp=1, pp=1) for batch in (1, 900))
    assert any("are idle; name h100-sxm for any number" in note for note in idle.notes) and not any("idle" in note for note in full.notes)
    (note,) = (one for one in rc.plan("llama-3.1-405b", "rtx-4090", devices=4).notes if "no layout" in one)
    assert "up to 4 devices fits" in note


def test_no_peak_no_figures() -> None:
    """Cerebras publishes no dense peak for 16-bit weights: nothing is known, which is neither 0 nor a limit."""
    for table in (rc.plan("llama-3.1-8b", "cs-3"), rc.frontier("llama-3.1-8b", "cs-3", seq=8000)):
        (row,) = table.rows()
        assert (row["batch"], row["limited_by"], row["tp"], row["interactivity_tok_s"]) == (None, "unknown", None, None)


def test_mixes(tmp_path: Path) -> None:
    def planned(text: str, **given: object) -> dict[str, object]:
        path = tmp_path / "mix.txt"
        path.write_text(text)
        (row,) = rc.plan("llama-3.1-70b", "h100-sxm", weights="all=fp8", requests_per_second=30, mix=str(path), **given).rows()  # type: ignore[arg-type]
        return dict(row)

    def alone(isl: int, osl: int) -> dict[str, object]:
        return dict(next(rc.plan("llama-3.1-70b", "h100-sxm", weights="all=fp8", requests_per_second=30, isl=isl, osl=osl).rows()))

    same = {name: value for name, value in planned("4k:200\n").items() if name != "mix"}
    assert same == alone(4000, 200) == {name: value for name, value in planned("4000:200 2\n4000:200 0.5\n").items() if name != "mix"}
    mixed, short, long = planned(MIX), alone(4000, 200), alone(1000, 1000)
    assert mixed["isl"] == 3250 and mixed["osl"] == 400  # (3·4000 + 1000)/4, (3·200 + 1000)/4
    # in flight by the tokens that each generates, 3·200 : 1000, and so is the mean of 4,200 and 2,000 tokens held
    assert mixed["seq"] == math.ceil((600 * 4200 + 1000 * 2000) / 1600)
    layout = {name: mixed[name] for name in ("tp", "pp", "dp")}
    given = {"weights": "all=fp8", **layout}
    longest, other = (float(rc.prefill("llama-3.1-70b", str(mixed["hardware"]), seq=seq, **given)["ttft_ms"][0]) / 1e3 for seq in (4000, 1000))  # type: ignore[arg-type]
    # the longest prompt's own time, a queue of three long prompts to one short (Pollaczek and Khinchine), and half of a step that gives 30 tok/s
    assert layout["pp"] == layout["dp"] == 1
    each, mean, square = 30 / mixed["replicas"], (3 * longest + other) / 4, (3 * longest**2 + other**2) / 4  # type: ignore[operator]
    wait = each * square / (2 * (1 - each * mean))
    assert longest + wait < mixed["ttft_ms"] / 1e3 < longest + wait + 1 / 30 / 2  # type: ignore[operator]
    assert min(short["devices"], long["devices"]) <= mixed["devices"] <= max(short["devices"], long["devices"])  # type: ignore[type-var, operator]


def test_chunks_may_be_written_with_a_suffix() -> None:
    short, long = (rc.plan("llama-3.1-8b", "h100-sxm", isl=1000, osl=1000, chunk=chunk) for chunk in ("2k", 2000))
    assert list(short.rows()) == list(long.rows()) and short["chunk"].tolist() == [2000]


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
    ("line", "complaint"),
    [
        ("--requests-per-second 1", "--requests-per-second: give the tokens of a request too: --isl and --osl, or --mix"),
        ("--isl 1k --osl 1k --requests-per-second 1 --batch 2", "--batch, --requests-per-second: give one of them"),
        ("--mix nope.txt", "mix: nope.txt: cannot be read: No such file"),
        ("--mix /", "mix: /: not a regular file"),
        ("--mix nope.txt --seq 1k", "mix"),
        ("--least euros", "--least: invalid choice 'euros' (choose from devices, usd)"),
        ("--spare 1.5", "spare: expected a whole number"),
        ("--spare -1", "spare: expected 0 to"),
        ("--devices 0", "devices: expected 1 to"),
        ("--batch 0", "batch: expected 1 to"),
        ("--isl 1k", "a generation needs both"),
        ("--interactivity -1", "interactivity: expected"),
        ("--isl 1k --osl 1k --ttft 1 --ttft-percentile 95", "--ttft-percentile: give --ttft and --requests-per-second too"),
        ("--isl 1k --osl 1k --requests-per-second 1 --ttft-percentile 95", "--ttft-percentile: give --ttft and --requests-per-second too"),
        ("--isl 1k --osl 1k --requests-per-second 1 --ttft 1 --ttft-percentile 80", "invalid choice '80' (choose from 50, 90, 95, 99)"),
        ("--isl 1k --osl 1k --requests-per-second 1 --ttft 1 --ttft-percentile 95 --assume bound", "only known where prompts queue"),
        ("--usd-per-hour -1", "--usd-per-hour: expected"),
        ("--batch 1:1000:1 --kv bf16,fp8 --interactivity 10,20", "4,000 plans; at most 2,000 are computed at once"),
        ("--tp 3", "no legal layout of llama-3.1-8b with tp 3 on 1 to 64 devices"),
        ("--ep 2 --devices 4", "no legal layout of llama-3.1-8b with ep 2 on 1 to 4 devices"),
    ],
)
def test_bad_requests(line: str, complaint: str) -> None:
    assert complaint in refused(f"plan llama-3.1-8b h100-sxm {line}")


def test_columns_and_lists() -> None:
    text = run("plan llama-3.1-8b h100-sxm -f csv").stdout
    named = "model,hardware,weights,kv,devices,replicas,tp,pp,dp,ep,batch,interactivity_tok_s,ttft_ms,usd_per_mtok_out,limited_by,assume,"
    assert text.splitlines()[0].startswith(named) and "contexts of 8,000 tokens" in run("plan llama-3.1-8b h100-sxm").stderr
    found = rows("plan llama-3.1-8b h100-sxm,l40s --weights bf16,fp8 --seq 4k,8k --batch 10,100 --interactivity 20,30")
    keys = [(row["seq"], row["interactivity_tok_s"] != "", row["batch"], row["min_interactivity_tok_s"]) for row in found]
    assert len(found) == 32 and len({(row["hardware"].partition("x")[2], row["weights"]) for row in found}) == 4
    each = [list(group) for _, group in itertools.groupby(found, key=lambda row: (row["seq"], row["batch"], row["min_interactivity_tok_s"]))]
    assert len(each) == 8 and all([int(row["devices"]) for row in one] == sorted(int(row["devices"]) for row in one) for one in each) and keys


@pytest.mark.parametrize(
    ("model", "device", "given"),
    [
        ("gpt-oss-120b", "h100-sxm", {"isl": 1000, "osl": 300, "requests_per_second": 40, "devices": 8}),
        ("deepseek-v3", "h200-sxm", {"isl": 2000, "osl": 500, "requests_per_second": 30, "devices": [8, 16, 24]}),
        ("llama-3.1-70b", "h100-sxm", {"isl": 4000, "osl": 1000, "requests_per_second": 4, "assume": "typical"}),
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


def test_a_limit_on_sequences_is_named() -> None:
    # 80 GB less 16.06 GB of weights hold 60 sequences of 8,000 x 131,072 bytes: 10 is less, 1,000 is more
    for most, limit in ((10, "max_seqs"), (1000, "capacity")):
        (row,) = rc.plan("llama-3.1-8b", "h100-sxm", seq=8000, interactivity=30, max_seqs=most).rows()
        assert row["limited_by"] == limit
