"""Which layouts plans propose: usual ones by a loop over them, the laws between them and all layouts, and examples by hand."""

import math

import pytest

import roofcalc as rc
from roofcalc import units
from roofcalc.catalog import lookup
from roofcalc.deployment.parallelism import Layout, expert_counts
from roofcalc.solvers.layouts import layouts
from roofcalc.solvers.planner.usual import DOMAIN, DOMAINS, OTHER, layout_class
from tests.shell import run


def planned(model: str, device: str, **given: object) -> dict[str, object]:
    (row,) = rc.plan(model, device, **given).rows()  # type: ignore[arg-type]
    return dict(row)


def test_four_cards_of_24_gb_by_hand() -> None:
    """Llama 3.1 8B holds 16.06 GB of weights and 8,000 x 131,072 bytes a sequence: 7 sequences on one card, 30 on two, 53 on three, 76 on
    four.

    40 sequences take six cards by themselves, twice two of tp 2, three as pipeline stages, or four of tp 4. The last is proposed, since twice
    30 are less than four fifths of 76.
    """
    held = [math.floor((24e9 * cards - 16.06e9) / (8000 * 131_072)) for cards in (1, 2, 3, 4)]
    assert held == [7, 30, 53, 76] and [n * math.ceil(40 / most) for n, most in zip((1, 2, 3, 4), held, strict=True)] == [6, 4, 3, 4]
    assert 2 * 30 < 0.8 * 76
    given = {"seq": 8000, "interactivity": 20, "batch": 40}
    table = rc.plan("llama-3.1-8b", "rtx-4090", **given)  # type: ignore[arg-type]
    (row,) = table.rows()
    assert [row[name] for name in ("devices", "replicas", "tp", "pp", "layouts", "least_devices")] == [4, 1, 4, 1, "usual", 3]
    every = planned("llama-3.1-8b", "rtx-4090", layouts="all", **given)
    assert [every[name] for name in ("devices", "replicas", "tp", "pp", "layouts", "least_devices")] == [3, 1, 1, 3, "all", 3]
    (note,) = (one for one in table.notes if "usual layouts need" in one)
    speed, first = (units.significant(every[name]) for name in ("interactivity_tok_s", "ttft_ms"))  # type: ignore[arg-type]
    assert "1 replica of tp 4" in note and f"3 devices, 1 replica of tp 1 · pp 3, {speed} instead of" in note and f"after {first} instead of" in note


def test_sixteen_devices_for_twenty_requests_per_second() -> None:
    """70B in fp8, 4,000 tokens in and 500 out: what one replica serves by `max_batch`, and so replicas of 1, 2, 4 and 8 tensor ranks."""
    given = {"weights": "fp8", "isl": 4000, "osl": 500}
    each = {}
    for tp in (1, 2, 4, 8):
        (one,) = rc.max_batch("llama-3.1-70b", f"{tp}xh100-sxm", tp=tp, **given).rows()  # type: ignore[arg-type]
        each[tp] = tp * math.ceil(20 / one["requests_per_s"])  # type: ignore[operator]
    row = planned("llama-3.1-70b", "h100-sxm", requests_per_second=20, **given)
    assert row["devices"] == min(each.values()) == each[4] == 16 and (row["replicas"], row["tp"], row["pp"]) == (4, 4, 1)


def usual_by_loop(model: str, device: str, seq: int, speed: float, batch: int, domain: int) -> tuple[int, int]:
    """Devices, and devices of a replica, by a loop over tensor ranks that are powers of two, and for experts data ranks and both splits.

    The smallest replica of those that carry four fifths of the most on the fewest devices.
    """
    found = []
    for size in (2**power for power in range(domain.bit_length())):
        for layout in layouts(lookup.model(model)[0], size):
            if layout.pp > 1 or layout.tp not in (1, 2, 4, 8) or (layout.dp > 1 and not expert_counts(lookup.model(model)[0])):
                continue
            degrees = {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}
            (most,) = rc.max_batch(model, f"{size}x{device}", seq=seq, interactivity=speed, **degrees)["max_batch"]  # type: ignore[arg-type]
            if most > 0:
                found.append((size * math.ceil(batch / most), size, most / size))
    fewest = min(devices for devices, _, _ in found)
    each = [(size, carried) for devices, size, carried in found if devices == fewest]
    return fewest, min(size for size, carried in each if carried >= 0.8 * max(carried for _, carried in each))


@pytest.mark.parametrize(
    ("model", "device", "seq", "speed", "batch"),
    [
        ("llama-3.1-8b", "h100-sxm", 4000, 50, 200),
        ("llama-3.1-8b", "l40s", 8000, 20, 90),
        ("llama-3.1-70b", "h100-sxm", 8000, 40, 100),
        ("gpt-oss-120b", "h100-sxm", 16_000, 100, 64),
        ("qwen2.5-7b", "rtx-4090", 16_000, 30, 20),  # 28 heads: 1, 2 or 4 tensor ranks
    ],
)
def test_no_loop_over_usual_layouts_finds_fewer(model: str, device: str, seq: int, speed: float, batch: int) -> None:
    row = planned(model, device, seq=seq, interactivity=speed, batch=batch)
    assert row["layouts"] == "usual"
    assert (row["devices"], row["tp"] * row["dp"]) == usual_by_loop(model, device, seq, speed, batch, 8)  # type: ignore[operator]


def test_stages_only_where_a_model_does_not_fit_a_box() -> None:
    """405B in 16 bits is 812 GB: two boxes of 640 GB, a stage each. In fp8 it fits one, but not with a sequence of 460,000 tokens:
    640 GB less 406 GB hold 453,000 tokens of 126 x 8 x 128 x 2 x 2 bytes."""
    two = planned("llama-3.1-405b", "h100-sxm", seq=8000)
    assert [two[name] for name in ("devices", "tp", "pp", "layouts")] == [16, 8, 2, "usual"]
    tokens = (640e9 - 406e9) / (126 * 8 * 128 * 2 * 2)
    assert 450_000 < tokens < 460_000
    short, long = (planned("llama-3.1-405b", "h100-sxm", seq=seq, weights="all=fp8", interactivity=10) for seq in (450_000, 460_000))
    assert [[one[name] for name in ("devices", "tp", "pp", "layouts")] for one in (short, long)] == [[8, 8, 1, "usual"], [16, 8, 2, "usual"]]
    said = run("plan llama-3.1-405b h100-sxm --seq 460k --weights all=fp8 --interactivity 10").stderr
    assert "no usual layout within a scale-up domain of 8 devices meets the demand" in said


def test_what_no_usual_layout_meets() -> None:
    """On eight H100, 406 GB at 8 x 3.35 TB/s are 66 steps per second; more take ranks of two boxes."""
    given = {"seq": 8000, "weights": "all=fp8", "interactivity": 70}
    table = rc.plan("llama-3.1-405b", "h100-sxm", **given)  # type: ignore[arg-type]
    (row,) = table.rows()
    assert 8 * 3.35e12 / 406e9 < 70 and row["layouts"] == "all" and row["tp"] > 8  # type: ignore[operator]
    assert any("no usual layout meets the demand" in note for note in table.notes)
    assert dict(row) == planned("llama-3.1-405b", "h100-sxm", layouts="all", **given)


def test_degrees_that_are_given_are_taken() -> None:
    given = {"seq": 8000, "batch": 10}
    assert [planned("llama-3.1-8b", "h100-sxm", pp=2, **given)[name] for name in ("devices", "tp", "pp", "layouts")] == [2, 1, 2, "usual"]
    assert [planned("qwen2.5-7b", "h100-sxm", tp=7, **given)[name] for name in ("devices", "tp", "layouts")] == [7, 7, "usual"]  # 28 heads


def test_replicas_before_wider_ones_on_a_whole_machine() -> None:
    """An 8B model on eight devices, 16.06 GB and 1.0486 GB a sequence: 8 x 60 sequences are four fifths of the 595 that eight ranks hold.

    Five sequences are on five devices or on four replicas of two, 5 x 60 or 4 x 137; one is on one device, 60, or on all.
    """
    held = {tp: math.floor((80e9 * tp - 16.06e9) / (8000 * 131_072)) for tp in (1, 2, 8)}
    assert held == {1: 60, 2: 137, 8: 595} and 5 * 60 < 0.8 * 595 <= min(8 * 60, 4 * 137)
    machine = {batch: planned("llama-3.1-8b", "8xh100-sxm", seq=8000, batch=batch) for batch in (64, 5, 1)}
    assert [(one["replicas"], one["tp"]) for one in machine.values()] == [(8, 1), (4, 2), (1, 8)]


DEMANDS: list[tuple[str, str, dict[str, object], str, list[object]]] = [
    ("llama-3.1-70b", "h100-sxm", {"seq": 8000, "batch": 40, "weights": "fp8"}, "interactivity", [10, 40, 60, 100, 150, 250]),
    ("llama-3.1-70b", "h100-sxm", {"seq": 8000, "weights": "fp8"}, "batch", [1, 20, 60, 200, 700]),
    ("llama-3.1-8b", "rtx-4090", {"batch": 7, "interactivity": 15}, "seq", [1000, 8000, 40_000, 90_000, 128_000]),
    ("gpt-oss-120b", "h100-sxm", {"isl": 2000, "osl": 500}, "requests_per_second", [1, 10, 40, 90]),
    ("llama-3.1-70b", "h100-sxm", {"isl": 2000, "osl": 500, "weights": "fp8", "requests_per_second": 5}, "max_latency", [60, 10, 4]),
    ("llama-3.1-70b", "h100-sxm", {"isl": 2000, "osl": 500, "weights": "fp8", "requests_per_second": 5}, "ttft", [2, 0.5, 0.2, 0.1]),
]


@pytest.mark.parametrize(("model", "device", "given", "name", "harder"), DEMANDS, ids=[f"{one[0]}-{one[3]}" for one in DEMANDS])
def test_laws_of_layouts(model: str, device: str, given: dict[str, object], name: str, harder: list[object]) -> None:
    """All layouts never need more devices; a harder demand never takes an earlier class of layouts, nor fewer devices of the same."""
    usual, every = ([planned(model, device, **given, **{name: one}, layouts=which) for one in harder] for which in ("usual", "all"))  # type: ignore[arg-type]
    assert [one["least_devices"] for one in usual] == [one["devices"] for one in every]
    known = [one["devices"] if one["devices"] is not None else math.inf for one in every]
    assert known == sorted(known) and all(a["devices"] is None or a["devices"] >= b for a, b in zip(usual, known, strict=True))  # type: ignore[operator]

    def key(row: dict[str, object]) -> tuple[int, float]:
        if row["devices"] is None:
            return 3, math.inf
        within = row["tp"] * row["pp"] * row["dp"] <= 8  # type: ignore[operator]
        return (2 if row["layouts"] == "all" else 0 if within else 1), float(row["devices"])  # type: ignore[arg-type]

    keys = [key(row) for row in usual]
    assert keys == sorted(keys)


def test_classes_of_layouts() -> None:
    for layout, expected in (
        (Layout(4), DOMAIN),
        (Layout(8), DOMAIN),
        (Layout(6), OTHER),  # no power of two
        (Layout(16), OTHER),  # tensor ranks across domains
        (Layout(2, 7), OTHER),
        (Layout(8, 3), DOMAINS),
        (Layout(1, 1, 8, 8), DOMAIN),
        (Layout(1, 1, 6, 6), OTHER),
        (Layout(2, 1, 16, 32), DOMAINS),  # experts over four domains
    ):
        assert layout_class(layout, 8, 8) == expected, layout
    assert layout_class(Layout(1, 1, 72, 72), 72, 72) == DOMAIN  # all of a domain
    assert layout_class(Layout(7), 8, 4, {"tp"}) == layout_class(Layout(2, 7), 8, 8, {"pp"}) == DOMAIN


def test_the_time_to_the_last_token_is_that_to_the_first_and_of_every_token() -> None:
    for given in ({"requests_per_second": 2}, {"batch": 20}, {"batch": 20, "assume": "bound"}):
        row = planned("llama-3.1-8b", "h100-sxm", isl=4000, osl=300, **given)
        assert row["latency_s"] == pytest.approx(row["ttft_ms"] / 1e3 + 300 / row["interactivity_tok_s"])  # type: ignore[operator]


def test_a_batch_whose_last_tokens_come_in_time() -> None:
    """Against every batch of one replica by `interactivity`."""
    given = {"isl": 4000, "osl": 300, "interactivity": 1}
    limit = 5.0
    one = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=4000, osl=300, batch="1:80:1")
    most = sum(first / 1e3 + 300 / speed <= limit for first, speed in zip(one["ttft_ms"], one["interactivity_tok_s"], strict=True))
    row = planned("llama-3.1-8b", "h100-sxm", batch=200, max_latency=limit, tp=1, pp=1, **given)
    assert 1 < most < 80 and row["devices"] == math.ceil(200 / most) and row["limited_by"] == "latency"


def test_as_many_replicas_as_give_every_last_token_in_time() -> None:
    """Against the times of every number of replicas without the limit."""
    given = {"isl": 4000, "osl": 300, "requests_per_second": 12, "interactivity": 1, "tp": 1, "pp": 1}
    times = {n: planned("llama-3.1-8b", "h100-sxm", devices=n, **given)["latency_s"] for n in range(2, 12)}
    for limit in (3.0, 3.6, 5.0):
        row = planned("llama-3.1-8b", "h100-sxm", max_latency=limit, **given)
        assert row["devices"] == min(n for n, time in times.items() if time is not None and time <= limit)  # type: ignore[operator]
        assert row["latency_s"] <= limit and row["limited_by"] == "latency"  # type: ignore[operator]
    none = planned("llama-3.1-8b", "h100-sxm", max_latency=0.5, **given)
    assert (none["devices"], none["limited_by"]) == (None, "latency")
