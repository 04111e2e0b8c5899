"""Machines side by side: each row is what the other commands say of it."""

import pytest

import roofcalc as rc
from tests.shell import refused, rows, run

SERVICE = {"isl": 2000, "osl": 500, "interactivity": 30}
MACHINES = ["8xh100-sxm", "8xmi300x", "4xb200-sxm"]


def test_each_row_is_that_of_max_batch() -> None:
    """Users, speed, first token and tokens per second of every machine as named, and money and energy by hand from them."""
    table = rc.compare("llama-3.1-70b", MACHINES, weights="fp8", usd_per_hour=2.5, **SERVICE)  # type: ignore[arg-type]
    for row, machine in zip(table.rows(), MACHINES, strict=True):
        (one,) = rc.max_batch("llama-3.1-70b", machine, weights="fp8", **SERVICE).rows()  # type: ignore[arg-type]
        assert (row["hardware"], row["users"], row["limited_by"]) == (one["hardware"], one["max_batch"], one["limited_by"])
        for name in ("interactivity_tok_s", "ttft_ms", "throughput_tok_s"):
            assert row[name] == pytest.approx(one[name]), name
        devices = int(machine[0])
        assert row["usd_per_hour"] == pytest.approx(2.5 * devices)
        assert row["usd_per_mtok_out"] == pytest.approx(2.5 * devices / 3600 / one["throughput_tok_s"] * 1e6)  # type: ignore[operator]
        assert row["latency_s"] == pytest.approx(row["ttft_ms"] / 1e3 + 500 / row["interactivity_tok_s"])  # type: ignore[operator]
    watts = next(rc.compare("llama-3.1-70b", MACHINES[:2], weights="fp8", **SERVICE).rows())  # type: ignore[arg-type]
    assert watts["joule_per_token"] == pytest.approx(8 * 700 / watts["throughput_tok_s"])  # type: ignore[operator]  # an H100 SXM: 700 W


def test_one_context_and_precisions() -> None:
    found = rows("compare llama-3.1-70b 4xh100-sxm --weights bf16,fp8,int4 --seq 8k --interactivity 30")
    expected = rows("max-batch llama-3.1-70b 4xh100-sxm --weights bf16,fp8,int4 --seq 8k --interactivity 30")
    assert [(row["weights"], row["users"]) for row in found] == [(row["weights"], row["max_batch"]) for row in expected]
    assert [float(row["users_ratio"]) for row in found] == pytest.approx([int(row["max_batch"]) / int(expected[0]["max_batch"]) for row in expected])


def test_for_a_rate_each_row_is_that_of_plan() -> None:
    given = {"isl": 2000, "osl": 500, "requests_per_second": 10, "ttft": 1}
    table = rc.compare("gpt-oss-120b", ["h100-sxm", "l40s"], **given)  # type: ignore[arg-type]
    for row, machine in zip(table.rows(), ("h100-sxm", "l40s"), strict=True):
        (plan,) = rc.plan("gpt-oss-120b", machine, **given).rows()  # type: ignore[arg-type]
        names = ("hardware", "devices", "replicas", "interactivity_tok_s", "ttft_ms", "usd_per_mtok_out", "limited_by", "usd_per_hour", "latency_s")
        assert {name: row[name] for name in names} == pytest.approx({name: plan[name] for name in names})
        assert row["users"] == plan["batch"] and row["throughput_tok_s"] == pytest.approx(10 * 500)


def test_what_is_best_is_marked() -> None:
    found = rows("compare llama-3.1-70b 8xh100-sxm 8xh200-sxm --weights fp8 --isl 2k --osl 500 --usd-per-hour 3")
    assert float(found[1]["users_ratio"]) > 1 and "users" in found[1]["best"] and "cost" in found[1]["best"] and "users" not in found[0]["best"]
    assert [float(found[0][name]) for name in ("users_ratio", "speed_ratio", "cost_ratio")] == [1, 1, 1]
    same = rows("compare llama-3.1-70b 8xh100-sxm 8xh100-sxm --weights fp8 --isl 2k --osl 500")
    assert [row["best"] for row in same] == ["", ""]  # none is better than the other


def test_limits_hold_and_what_is_not_met_is_a_row() -> None:
    tight, loose = (rows(f"compare llama-3.1-8b h100-sxm l40s --isl 4k --osl 300 --interactivity 1 --max-latency {limit}") for limit in (8, 500))
    for a, b in zip(tight, loose, strict=True):
        assert int(a["users"]) < int(b["users"]) and float(a["latency_s"]) <= 8 and a["limited_by"] == "latency"
    none, some = rows("compare llama-3.1-70b rtx-4090 8xh100-sxm --seq 8k")
    assert (none["users"], none["limited_by"], none["interactivity_tok_s"]) == ("0", "weights", "") and int(some["users"]) > 0
    unmet, met = rows("compare llama-3.1-8b l4 h100-sxm --isl 1k --osl 100 --requests-per-second 5 --interactivity 2000")
    assert (unmet["devices"], unmet["users"], unmet["limited_by"]) == ("", "0", "interactivity") and met["devices"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("llama-3.1-8b h100-sxm --seq 8k", "compare: one combination alone; name two or more machines"),
        ("llama-3.1-8b h100-sxm l40s --seq 4k,8k", "compare: one demand at a time"),
        ("llama-3.1-8b h100-sxm l40s --requests-per-second 3", "--requests-per-second: give the tokens of a request too"),
        ("llama-3.1-8b h100-sxm l40s --isl 1k", "a generation needs both"),
        ("llama-3.1-8b h100-sxm l40s --isl 1k --osl 1k --ttft 0", "--ttft: expected"),
        ("llama-3.1-8b h100-sxm nope", "unknown hardware 'nope'"),
    ],
)
def test_refusals(line: str, complaint: str) -> None:
    assert complaint in refused(f"compare {line}")


def test_formats() -> None:
    line = "compare llama-3.1-8b h100-sxm,l40s --isl 1k --osl 200"
    assert run(f"{line} -f csv").stdout.startswith("model,hardware,weights,kv,devices,replicas,users,interactivity_tok_s,ttft_ms,usd_per_mtok_out,")
    assert '"schema": 2' in run(f"{line} -f json").stdout and "| hardware |" in run(f"{line} -f md").stdout
