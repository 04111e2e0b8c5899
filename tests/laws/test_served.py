"""Laws of served generations, over models, machines, presets and places of prefill: rows of different commands agree."""

import math

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.solvers.max_batch import MAX_BATCH

CASES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-8b", "h100-sxm", {"assume": "typical"}),
    ("llama-3.1-8b", "h100-sxm", {"prefill": "chunked"}),
    ("llama-3.1-8b", "8xl40s", {"tp": 1, "dp": 8, "chunk": 2048}),
    ("llama-3.1-70b", "8xh100-sxm", {"weights": "fp8"}),
    ("llama-3.1-70b", "8xh100-sxm", {"tp": 4, "pp": 2, "assume": "typical"}),
    ("gemma-3-27b", "2xh100-sxm", {"overlap": "full"}),
    ("gpt-oss-120b", "2xh200-sxm", {"prefill": "chunked", "assume": "typical"}),
    ("qwen3-30b-a3b", "4xh100-sxm", {"tp": 1, "dp": 4, "ep": 4, "assume": "typical"}),
    ("deepseek-v3", "8xh200-sxm", {"draft": 1, "acceptance": 0.8}),
    ("llama-3.1-8b", "h100-sxm", {"assume": "bound"}),
)
WORK = ((2000, 300), (8000, 20), (500, 1))


@pytest.mark.parametrize(("model", "machine", "given"), CASES, ids=str)
def test_a_query_costs_what_the_largest_batch_serves(model: str, machine: str, given: dict[str, object]) -> None:
    # a machine of so many devices that completes so many requests per second is paid by the hour
    devices, price = lookup.hardware(machine)[0].count, 2.5
    for isl, osl in WORK:
        for speed in (5, 30):
            asked = {"interactivity": speed, **given}
            (most,) = rc.max_batch(model, machine, isl=isl, osl=osl, **asked).rows()  # type: ignore[arg-type]
            (query,) = rc.cost(model, machine, query=(isl, osl), usd_per_hour=price, **asked).rows()  # type: ignore[arg-type]
            assert query["batch"] == most["max_batch"]
            if most["max_batch"]:
                assert query["usd_per_query"] == pytest.approx(price * devices / 3600 / most["requests_per_s"], rel=1e-9)  # type: ignore[operator]
                parts = query["usd_per_mtok_in"] * isl + query["usd_per_mtok_out"] * osl  # type: ignore[operator]
                assert query["usd_per_query"] == pytest.approx(parts / 1e6, rel=1e-9)
                assert query["usd_per_mtok_in"] >= 0  # type: ignore[operator]


@pytest.mark.parametrize(("model", "machine", "given"), CASES, ids=str)
def test_one_user_more_is_too_slow(model: str, machine: str, given: dict[str, object]) -> None:
    for isl, osl in WORK:
        for speed in (8.0, 33.0):
            (row,) = rc.max_batch(model, machine, isl=isl, osl=osl, interactivity=speed, **given).rows()  # type: ignore[arg-type]
            most = int(row["batch_interactivity"])  # type: ignore[call-overload]
            if most == MAX_BATCH:  # where every step has a chunk, more users wait for their first token and not between tokens
                assert given["prefill"] == "chunked"
                continue
            at, beyond = rc.interactivity(model, machine, isl=isl, osl=osl, batch=[max(most, 1), most + 1], **given)["interactivity_tok_s"]
            assert not most or at >= speed * (1 - 1e-9)
            assert beyond < speed


@pytest.mark.parametrize(("model", "machine", "given"), [case for case in CASES if case[2].get("assume") != "bound"], ids=str)
def test_all_of_a_stay_is_the_first_token_or_the_others(model: str, machine: str, given: dict[str, object]) -> None:
    # Little's law: B in flight, each for TTFT + osl·TPOT, complete B / (TTFT + osl·TPOT) requests per second
    for isl, osl in WORK:
        for row in rc.interactivity(model, machine, isl=isl, osl=osl, batch=[1, 2, 7, 32, 150, 1000], **given).rows():  # type: ignore[arg-type]
            stay = row["ttft_ms"] / 1e3 + osl / row["interactivity_tok_s"]  # type: ignore[operator]
            assert row["batch"] * osl / row["throughput_tok_s"] == pytest.approx(stay, rel=1e-9)  # type: ignore[operator]
            assert row["requests_per_s"] == pytest.approx(row["batch"] / stay, rel=1e-9)  # type: ignore[operator]
            assert row["interactivity_tok_s"] <= row["decode_tok_s"] * (1 + 1e-12) or given.get("prefill") == "chunked"  # type: ignore[operator]
            assert row["ttft_ms"] >= row["ttft_idle_ms"] * (1 - 1e-12) or row["batch"] < 8 or given.get("prefill") == "chunked"  # type: ignore[operator]


def test_another_pool_reads_the_prompts() -> None:
    given = {"isl": 4000, "osl": 300, "batch": [1, 8, 100]}
    table = rc.interactivity("llama-3.1-8b", "h100-sxm", prefill="separate", **given)  # type: ignore[arg-type]
    np.testing.assert_array_equal(table["interactivity_tok_s"], table["decode_tok_s"])
    together = rc.interactivity("llama-3.1-8b", "h100-sxm", **given)  # type: ignore[arg-type]
    np.testing.assert_array_equal(table["decode_tok_s"], together["decode_tok_s"])
    assert any("its devices are not counted" in note for note in table.notes)
    assert math.isclose(table["interactivity_tok_s"][0], together["interactivity_tok_s"][0])  # one user alone
