"""Plans against naive loops over every number of devices, layout, replica and batch, with the other questions as the judge."""

import itertools
import math

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.parallelism import Layout
from roofcalc.solvers.layouts import layouts
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
    (row,) = rc.plan(model, device, seq=seq, interactivity=rate, batch=batch, spare=spare, layouts="all", **given).rows()  # type: ignore[arg-type]
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
    given = {"seq": 8000, "batch": 100, "interactivity": 30, "usd_per_hour": 2, "layouts": "all"}
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


def test_chunks_may_be_written_with_a_suffix() -> None:
    short, long = (rc.plan("llama-3.1-8b", "h100-sxm", isl=1000, osl=1000, chunk=chunk) for chunk in ("2k", 2000))
    assert list(short.rows()) == list(long.rows()) and short["chunk"].tolist() == [2000]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--requests-per-second 1", "--requests-per-second: give the tokens of a request too: --isl and --osl, or --mix"),
        ("--isl 1k --osl 1k --requests-per-second 1 --batch 2", "--batch, --requests-per-second: give one of them"),
        ("--mix nope.txt", "mix: nope.txt: cannot be read: No such file"),
        ("--mix /", "mix: /: not a regular file"),
        ("--mix nope.txt --seq 1k", "mix"),
        ("--layouts narrow", "--layouts: invalid choice 'narrow' (choose from usual, all)"),
        ("--max-latency 3", "--max-latency: give the tokens of a request too: --isl and --osl, or --mix"),
        ("--isl 1k --osl 1k --max-latency 0", "--max-latency: expected"),
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
        ("--isl 1k --osl 1k --requests-per-second 1 --ttft 1 --ttft-percentile 95 --assume bound", "not in bound, where prompts do not queue"),
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


def test_a_limit_on_sequences_is_named() -> None:
    # 80 GB less 16.06 GB of weights hold 60 sequences of 8,000 x 131,072 bytes: 10 is less, 1,000 is more
    for most, limit in ((10, "max_seqs"), (1000, "capacity")):
        (row,) = rc.plan("llama-3.1-8b", "h100-sxm", seq=8000, interactivity=30, max_seqs=most).rows()
        assert row["limited_by"] == limit
