"""Plans and frontiers worked by hand from what other questions say of one layout."""

import math
from pathlib import Path

import pytest

import roofcalc as rc


def test_eight_stages_hold_a_sequence_while_it_is_read() -> None:
    # 10 requests per second, each under way for its first token and 10 steps: so many at once, whole ones
    given = {"tp": 1, "pp": 8, "dp": 1}
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, requests_per_second=10, **given).rows()  # type: ignore[arg-type]
    (first,) = rc.prefill("llama-3.1-8b", "8xh100-sxm", seq=8000, **given).rows()  # type: ignore[arg-type]
    (step,) = rc.interactivity("llama-3.1-8b", "8xh100-sxm", isl=8000, osl=10, batch=1, **given).rows()  # type: ignore[arg-type]
    under_way = 10 * (first["ttft_ms"] / 1e3 + 10 / step["interactivity_tok_s"])  # type: ignore[operator]
    assert (row["devices"], row["batch"]) == (8, math.ceil(under_way)) and 1.5 < under_way < 2


def test_one_h100_takes_in_seven_requests_per_second() -> None:
    # 8,000 tokens · 2 · 7.5e9 weights and their attention over 989e12 FLOP/s: 0.13 s each, whatever the steps between take
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, requests_per_second=10, tp=1, pp=1).rows()
    assert row["devices"] == math.ceil(10 * 8000 * 2 * 7.5e9 / 989e12) == 2


def test_sixteen_h100_in_one_stage() -> None:
    # 405B in fp8: as many devices read as many bytes, but the second of two stages waits for the first
    (row,) = rc.plan("llama-3.1-405b", "16xh100-sxm", weights="fp8", seq=8000, batch=64, devices=16).rows()
    given = {"weights": "fp8", "seq": 8000, "batch": 64}
    one, two = (
        float(rc.interactivity("llama-3.1-405b", "16xh100-sxm", tp=tp, pp=16 // tp, dcp=tp // 8, **given)["interactivity_tok_s"][0])  # type: ignore[arg-type]
        for tp in (16, 8)  # the two copies of each of 8 KV heads hold half of it each
    )
    assert (row["tp"], row["pp"], row["dcp"]) == (16, 1, 2) and row["interactivity_tok_s"] == pytest.approx(one) and one > two


def test_a_hundred_replicas_more() -> None:
    # each device lost takes the eight of its replica with it
    (row,) = rc.plan("llama-3.1-405b", "h100-sxm", weights="fp8", seq=8000, spare=100, tp=8, pp=1).rows()
    assert row["devices"] == 8 * (1 + 100)


def test_two_kinds_of_requests(tmp_path: Path) -> None:
    # three of 4,000:200 and one of 1,000:1,000 generate 600 and 1,000 tokens: 4,200 and 2,000 are held in that ratio
    path = tmp_path / "mix.txt"
    path.write_text("4000:200 3\n1000:1000 1\n")
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", mix=str(path), requests_per_second=1, tp=1, pp=1).rows()
    assert row["seq"] == (600 * 4200 + 1000 * 2000) / 1600 == 2825


def test_two_pools_of_the_sizes_that_serve_as_many() -> None:
    # devices per request and second: of the readers TTFT, of the others osl over the tokens per second of one
    (first,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=4000).rows()
    (step,) = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=4000, osl=500, batch=32).rows()
    (row,) = rc.frontier("llama-3.1-8b", "h100-sxm", isl=4000, osl=500, batch=32, disaggregated=True).rows()
    readers, others = first["ttft_ms"] / 1e3, 500 / (32 * step["interactivity_tok_s"])  # type: ignore[operator]
    assert row["throughput_tok_s_per_device"] == pytest.approx(500 / (readers + others))
    assert row["prefill_per_decode"] == pytest.approx(readers / others)
