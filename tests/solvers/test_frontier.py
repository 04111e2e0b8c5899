"""The curve of throughput against interactivity, against every point asked for one by one and every pair of them compared."""

import math

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.parallelism import Layout
from roofcalc.solvers.layouts import layouts
from tests.shell import refused, rows, run

Point = tuple[float, float]


def every_layout(model: str, devices: int) -> list[Layout]:
    return layouts(lookup.model(model)[0], devices)


def degrees(layout: Layout) -> dict[str, int]:
    return {name: getattr(layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}


def asked_one_by_one(model: str, hardware: list[str], weights: list[str], kv: list[str], **given: object) -> list[Point]:
    """Every point that fits, by the question `interactivity`, a layout and precision at a time."""
    found = []
    for machine in hardware:
        for layout in every_layout(model, lookup.hardware(machine)[0].count):
            for one in weights:
                table = rc.interactivity(model, machine, weights=one, kv=kv, **degrees(layout), **given)  # type: ignore[arg-type]
                found += [(row["interactivity_tok_s"], row["throughput_tok_s_per_device"]) for row in table.rows() if row["fits_memory"]]
    return found  # type: ignore[return-value]


def not_beaten(points: list[Point]) -> list[Point]:
    """By looking at every pair, equal to nine digits."""
    rounded = sorted({(float(f"{x:.9e}"), float(f"{y:.9e}")) for x, y in points})
    return [one for one in rounded if not any(other != one and other[0] >= one[0] and other[1] >= one[1] for other in rounded)]


def close(one: list[Point], other: list[Point]) -> bool:
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=1e-8) for p, q in zip(one, other, strict=True) for a, b in zip(p, q, strict=True)
    )


def curve(table: rc.Table) -> list[Point]:
    return [(row["interactivity_tok_s"], row["throughput_tok_s_per_device"]) for row in table.rows()]  # type: ignore[misc]


BATCHES = [1, 2, 3, 5, 8, 13, 40, 41, 100, 500, 2000]


@pytest.mark.parametrize(
    ("model", "hardware", "weights", "kv"),
    [
        ("llama-3.1-8b", ["4xh100-sxm"], ["bf16", "fp8"], ["bf16", "fp8"]),
        ("gpt-oss-120b", ["4xh100-sxm"], ["native"], ["bf16"]),
        ("deepseek-v3", ["8xh200-sxm"], ["fp8"], ["bf16", "fp8"]),
        ("llama-3.1-70b", ["1xh100-sxm", "2xh100-sxm", "3xh100-sxm", "6xh100-sxm"], ["fp8"], ["bf16"]),
    ],
)
def test_the_curve_is_what_no_point_beats(model: str, hardware: list[str], weights: list[str], kv: list[str]) -> None:
    sizes = [lookup.hardware(one)[0].count for one in hardware]
    points = asked_one_by_one(model, hardware, weights, kv, seq=4000, batch=BATCHES)
    table = rc.frontier(model, hardware[0], seq=4000, batch=BATCHES, weights=weights, kv=kv, devices=sizes)
    assert close(curve(table), not_beaten(points)), (len(table), len(not_beaten(points)))
    everything = rc.frontier(model, hardware[0], seq=4000, batch=BATCHES, weights=weights, kv=kv, devices=sizes, all=True)
    assert close(sorted(curve(everything)), sorted(points))
    named = [row["hardware"] for row in table.rows()]
    assert set(named) <= set(hardware) and len(table) >= 3


def test_generations_take_in_their_prompts() -> None:
    given = {"isl": 3000, "osl": [200, 1000], "batch": BATCHES}
    points = {osl: asked_one_by_one("llama-3.1-8b", ["2xh100-sxm"], ["bf16"], ["bf16"], **{**given, "osl": osl}) for osl in (200, 1000)}
    table = rc.frontier("llama-3.1-8b", "2xh100-sxm", **given)  # type: ignore[arg-type]
    for osl, some in points.items():
        own = [(row["interactivity_tok_s"], row["throughput_tok_s_per_device"]) for row in table.rows() if row["osl"] == osl]
        assert close(own, not_beaten(some))  # type: ignore[arg-type]
    row = next(table.rows())
    assert row["requests_per_s"] == pytest.approx(row["throughput_tok_s_per_device"] * 2 / row["osl"])  # type: ignore[operator]


def test_a_late_first_token_is_no_point() -> None:
    given = {"isl": 8000, "osl": 500, "devices": [1, 2, 4]}
    free = list(rc.frontier("llama-3.1-8b", "h100-sxm", **given).rows())  # type: ignore[arg-type]
    middle = sorted(row["ttft_ms"] for row in free)[len(free) // 2] / 1e3  # type: ignore[type-var, operator]
    kept = list(rc.frontier("llama-3.1-8b", "h100-sxm", ttft=middle, **given).rows())  # type: ignore[arg-type]
    assert kept and all(row["ttft_ms"] <= middle * 1e3 for row in kept) and any(row["ttft_ms"] > middle * 1e3 for row in free)  # type: ignore[operator]


def test_the_ladder_ends_with_the_most_that_fit() -> None:
    table = rc.frontier("llama-3.1-70b", "8xh100-sxm", weights="all=fp8", seq=8000, tp=8, all=True)
    (most,) = rc.memory("llama-3.1-70b", "8xh100-sxm", weights="all=fp8", seq=8000, tp=8)["batch_memory"].tolist()
    batches = table["batch"].tolist()
    assert max(batches) == most and batches[:9] == [1, 2, 3, 4, 6, 8, 12, 16, 24] and len(set(batches)) == len(batches)
    pipeline = rc.frontier("llama-3.1-70b", "8xh100-sxm", weights="all=fp8", seq=8000, tp=4, pp=2, all=True)["batch"]
    assert pipeline[:4].tolist() == [2, 4, 6, 8]  # so many on each of two stages


def test_curves_fall_and_hold_the_extremes() -> None:
    table = rc.frontier("qwen3-235b-a22b", "8xh200-sxm", seq=[2000, 16_000], weights="all=fp8")
    for seq in (2000, 16_000):
        own = [(row["interactivity_tok_s"], row["throughput_tok_s_per_device"]) for row in table.rows() if row["seq"] == seq]
        assert own == sorted(own) and [y for _, y in own] == sorted((y for _, y in own), reverse=True)  # type: ignore[type-var]
        everything = list(rc.frontier("qwen3-235b-a22b", "8xh200-sxm", seq=seq, weights="all=fp8", all=True).rows())
        assert own[-1][0] == pytest.approx(max(row["interactivity_tok_s"] for row in everything))  # type: ignore[type-var]
        assert own[0][1] == pytest.approx(max(row["throughput_tok_s_per_device"] for row in everything))  # type: ignore[type-var]


def test_two_pools_serve_as_many_requests() -> None:
    """Prompts per second by the question `prefill`, decoding by `interactivity`, put together by hand."""
    isl, osl, machine = 4000, 500, "4xh100-sxm"
    best = 0.0
    for layout in every_layout("llama-3.1-8b", 4):
        at_once = layout.dp * layout.pp
        (row,) = rc.prefill("llama-3.1-8b", machine, seq=isl, batch=at_once, **degrees(layout)).rows()
        best = max(best, row["prefill_tok_s"] / isl / 4)  # type: ignore[operator]
    table = rc.frontier("llama-3.1-8b", machine, isl=isl, osl=osl, batch=[8, 64, 256], disaggregated=True)
    assert len(table) >= 2
    for row in table.rows():
        layout = {name: int(row[name]) for name in ("tp", "pp", "dp")}  # type: ignore[arg-type]
        (alone,) = rc.interactivity("llama-3.1-8b", machine, isl=isl, osl=osl, batch=row["batch"], **layout).rows()  # type: ignore[arg-type]
        assert row["interactivity_tok_s"] == pytest.approx(alone["decode_tok_s"])  # the decode pool reads no prompts
        decoding = row["batch"] * alone["decode_tok_s"] / osl / 4  # type: ignore[operator]  # requests per second and device
        assert row["throughput_tok_s_per_device"] == pytest.approx(osl / (1 / best + 1 / decoding))
        assert row["prefill_per_decode"] * best == pytest.approx(decoding)  # both pools serve as many
    assert set(table["prefill_devices"]) == {4}


def test_readers_that_must_be_in_time() -> None:
    given = {"isl": 16_000, "osl": 500, "devices": [1, 2, 4, 8], "disaggregated": True}
    free, held = (rc.frontier("llama-3.1-8b", "h100-sxm", ttft=ttft, **given) for ttft in (None, 0.2))  # type: ignore[arg-type]
    assert max(free["ttft_ms"]) > 200 >= max(held["ttft_ms"])
    assert max(held["throughput_tok_s_per_device"]) < max(free["throughput_tok_s_per_device"])
    (row,) = rc.frontier("llama-3.1-8b", "h100-sxm", ttft=1e-4, **given).rows()  # type: ignore[arg-type]
    assert (row["batch"], row["limited_by"], row["tp"], row["interactivity_tok_s"]) == (0, "ttft", None, None)


def test_drafts_are_moved_with_their_target() -> None:
    table = rc.frontier(
        "llama-3.1-70b", "4xh100-sxm", weights="all=fp8", seq=4000, batch=[1, 16], draft=3, acceptance=0.7, draft_model="llama-3.2-1b"
    )
    assert set(table["pp"]) == {1}
    for row in table.rows():
        (one,) = rc.interactivity(
            "llama-3.1-70b", "4xh100-sxm", weights="all=fp8", seq=4000, batch=row["batch"], tp=row["tp"], dp=row["dp"],
            draft=3, acceptance=0.7, draft_model="llama-3.2-1b",
        ).rows()  # type: ignore[arg-type]  # fmt: skip
        assert row["interactivity_tok_s"] == pytest.approx(one["interactivity_tok_s"])


def test_a_published_deployment_lies_below_the_curve() -> None:
    """DeepSeek-V3 on H800 nodes, decoding on EP144: 14.8k tok/s per node of 8 at 20 to 22 tok/s for each user, 4,989 tokens of
    context on average (deepseek-ai/open-infra-index, day 6). A roofline allows more, but not ten times as much."""
    table = rc.frontier("deepseek-v3", "h800-sxm", devices=144, seq=4989, tp=1, pp=1, overlap="net")
    enough = [row["throughput_tok_s_per_device"] for row in table.rows() if row["interactivity_tok_s"] >= 20]  # type: ignore[operator]
    assert 14_800 / 8 < max(enough) < 148_000 / 8  # type: ignore[type-var]


def test_what_does_not_fit_is_a_row() -> None:
    for line, limit in (("llama-3.1-405b 2xh100-sxm --seq 1k", "weights"), ("llama-3.1-8b h100-sxm --seq 2M", "capacity")):
        result = run(f"frontier {line}")
        assert result.exit_code == 0 and "does not fit on" in result.stderr
        (row,) = rows(f"frontier {line}")
        assert (row["batch"], row["limited_by"], row["tp"], row["throughput_tok_s_per_device"]) == ("0", limit, "", "")


def test_what_is_in_the_way_is_said_once() -> None:
    (note,) = (one for one in rc.frontier("llama-3.1-405b", "2xh100-sxm", seq="1k:128k:x2").notes if "fit" in one)
    assert "one 128,000-token sequence" in note
    table = rc.frontier("llama-3.1-8b", "2xh100-sxm", isl=1000, osl=1000, batch=100_000)
    most = max(rc.memory("llama-3.1-8b", "2xh100-sxm", seq=2000, **degrees(one))["batch_memory"][0] for one in every_layout("llama-3.1-8b", 2))  # type: ignore[arg-type]
    assert any(f"no layout has memory for 100,000 sequences of 2,000 tokens; at most {most:,.0f} fit" in note for note in table.notes)
    late = rc.frontier("llama-3.1-8b", "2xh100-sxm", isl=1000, osl=1000, ttft=1e-3)
    assert any("no layout that fits meets the time to first token" in note for note in late.notes)


def test_columns_are_the_contract() -> None:
    text = run("frontier llama-3.1-8b 2xh100-sxm --seq 1k -f csv").stdout
    named = "model,hardware,weights,kv,seq,tp,pp,dp,ep,dcp,batch,interactivity_tok_s,throughput_tok_s_per_device,limited_by,assume,overlap,network"
    assert text.splitlines()[0].startswith(named) and "dcp" not in text.splitlines()[0].removeprefix(named)
    assert "contexts of 8,000 tokens" in run("frontier llama-2-7b h100-sxm").stderr
    assert {row["seq"] for row in rows("frontier llama-2-7b h100-sxm")} == {"4096"}  # the model's own end


def test_devices_without_a_link_are_joined_over_pcie() -> None:
    assert {row["hardware"] for row in rows("frontier llama-3.2-1b rtx-4090 --devices 1,2 --all --seq 1k")} == {"1xrtx-4090", "2xrtx-4090"}
    assert "communicate over PCIe 4.0 x16, 15.8 GB/s" in run("frontier llama-3.2-1b rtx-4090 --devices 2 --seq 1k").stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--seq 1k --disaggregated", "--disaggregated: needs the tokens of a generation; give --isl and --osl"),
        ("--ttft 1", "--ttft: needs the tokens of a generation"),
        ("--isl 1k", "a generation needs both"),
        ("--devices 0", "devices: expected 1 to"),
        ("--devices 1.5", "devices: expected a whole number"),
        ("--tp 3", "no legal layout of llama-3.1-8b with tp 3"),
        ("--tp 2 --devices 3", "no legal layout of llama-3.1-8b with tp 2"),
        ("--batch 0", "batch: expected 1 to"),
        ("--ttft 0 --isl 1k --osl 1k", "ttft: expected"),
        ("--ttft 1,2 --isl 1k --osl 1k", "ttft: expected one number"),
        ("--weights fp7", "unknown dtype 'fp7'"),
    ],
)
def test_bad_requests(line: str, complaint: str) -> None:
    assert complaint in refused(f"frontier llama-3.1-8b 2xh100-sxm {line}")
