"""Laws of served generations, over models, machines, presets and places of prefill: rows of different commands agree."""

import math

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.speculative import with_drafts
from roofcalc.physics.generation import mean_step
from roofcalc.physics.serving import ServedStep
from tests.catalogs import on
from tests.tiers import share

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
WORK = ((2000, 300), (8000, 20), (500, 1), (100, 100), (0, 100), (0, 1))


@pytest.mark.parametrize(("model", "machine"), [("llama-3.1-70b", "8xh200-sxm"), ("qwen3-30b-a3b", "4xh100-sxm"), ("gemma-3-27b", "2xh100-sxm")])
@pytest.mark.parametrize("preset", ["roofline", "bound", "typical"])
def test_a_query_costs_what_the_largest_batch_serves(model: str, machine: str, preset: str) -> None:
    # a machine of so many devices that completes so many requests per second is paid by the hour
    for prefill in ("colocated", "chunked"):
        for isl, osl in share(WORK, 1, model + preset + prefill):
            _same_price(model, machine, isl, osl, assume=preset, prefill=prefill, interactivity=20)


@pytest.mark.parametrize(("model", "machine", "given"), [case for case in CASES if case[2]], ids=str)
def test_a_query_costs_what_the_largest_batch_serves_in_other_layouts(model: str, machine: str, given: dict[str, object]) -> None:
    for (isl, osl), speed in zip(WORK[:2], (5, 30), strict=True):
        _same_price(model, machine, isl, osl, **{"interactivity": speed, **given})


def _same_price(model: str, machine: str, isl: int, osl: int, **asked: object) -> None:
    """Compares `cost`, `vote` with one stream, and `rollouts` with one rollout, with the requests per second of `max-batch`."""
    devices, price = lookup.hardware(machine)[0].count, 2.5
    (most,) = rc.max_batch(model, machine, isl=isl, osl=osl, **asked).rows()  # type: ignore[arg-type]
    (query,) = rc.cost(model, machine, query=(isl, osl), usd_per_hour=price, **asked).rows()  # type: ignore[arg-type]
    assert query["batch"] == most["max_batch"]
    if not most["max_batch"]:
        return
    expected = price * devices / 3600 / most["requests_per_s"]  # type: ignore[operator]
    assert query["usd_per_query"] == pytest.approx(expected, rel=1e-9)
    parts = (query["usd_per_mtok_in"] or 0.0) * isl + query["usd_per_mtok_out"] * osl  # type: ignore[operator]
    assert query["usd_per_query"] == pytest.approx(parts / 1e6, rel=1e-9)
    assert (query["usd_per_mtok_in"] is None) == (isl == 0) and (isl == 0 or query["usd_per_mtok_in"] >= 0)  # type: ignore[operator]
    (vote,) = rc.vote(model, machine, streams=1, prefix=isl, suffix=osl, usd_per_hour=price, **asked).rows()  # type: ignore[arg-type]
    assert vote["queries"] == most["max_batch"]
    assert vote["usd_per_query"] == pytest.approx(expected, rel=1e-9)
    if "chunk" not in asked:
        training = {"verifier_passes": 0, "kept": 0, "problems": 10**10, "rollouts": 1}
        (made,) = rc.rollouts(model, machine, prefix=isl, tokens=osl, usd_per_hour=price, **training, **asked).rows()  # type: ignore[arg-type]
        assert made["usd"] / 1e10 == pytest.approx(expected, rel=1e-9)  # type: ignore[operator]


@pytest.mark.parametrize(("model", "machine"), [("llama-3.1-70b", "8xh200-sxm"), ("deepseek-v3", "8xh200-sxm")])
def test_another_pool_is_paid_too(model: str, machine: str) -> None:
    # the machine of the decode pool by the requests that it completes, and that of the prefill pool by the prompts that it reads:
    # `prefill` with a prompt on each rank
    price = 2.5
    for isl, osl in ((4000, 500), (500, 20)):
        (most,) = rc.max_batch(model, machine, isl=isl, osl=osl, prefill="separate", interactivity=20).rows()
        ranks = most["dp"] * most["pp"]  # type: ignore[operator]
        (read,) = rc.prefill(model, machine, seq=isl, batch=ranks).rows()
        seconds = 1 / most["requests_per_s"] + isl / read["prefill_tok_s"]  # type: ignore[operator]
        table = rc.cost(model, machine, query=(isl, osl), prefill="separate", interactivity=20, usd_per_hour=price)
        assert table["usd_per_query"][0] == pytest.approx(seconds * 8 * price / 3600, rel=1e-9)
        assert any("the cost counts their time too" in note for note in table.notes)
        votes = rc.vote(model, machine, streams=1, prefix=isl, suffix=osl, prefill="separate", interactivity=20, usd_per_hour=price)
        assert votes["usd_per_query"][0] == pytest.approx(table["usd_per_query"][0], rel=1e-9)


def test_more_answers_to_one_prompt_share_its_price() -> None:
    # in `bound`, too: n answers of a shared prefix cost at least as much as one, and at most as n queries with prompts of their own
    for preset in ("roofline", "bound", "typical"):
        for prefill in ("colocated", "chunked"):
            given = {"assume": preset, "prefill": prefill, "interactivity": 5, "usd_per_hour": 1}
            one, eight = rc.vote("llama-3.1-70b", "8xh200-sxm", streams=[1, 8], prefix=8000, suffix=200, **given)["usd_per_query"]  # type: ignore[arg-type]
            assert one < eight < 8 * one
            # and rollouts the price of their decode steps with an eighth of a prompt each
            made = [
                rc.rollouts("llama-3.1-70b", "8xh200-sxm", problems=10**9, rollouts=r, prefix=8000, tokens=200, verifier_passes=0, kept=0, **given)
                for r in (1, 8)  # type: ignore[arg-type]
            ]
            alone, of_eight = (table["usd"][0] / 1e9 / r for table, r in zip(made, (1, 8), strict=True))
            assert alone == pytest.approx(one, rel=1e-9) and one / 8 < of_eight < one


@pytest.mark.parametrize(("model", "machine", "given"), CASES, ids=str)
def test_one_user_more_is_too_slow(model: str, machine: str, given: dict[str, object]) -> None:
    for isl, osl in WORK[:3]:
        for speed in (8.0, 33.0):
            (row,) = rc.max_batch(model, machine, isl=isl, osl=osl, interactivity=speed, **given).rows()  # type: ignore[arg-type]
            if row["batch_interactivity"] is None:  # where every step has a chunk, more users wait for their first token and not between tokens
                assert given["prefill"] == "chunked"
                continue
            most = int(row["batch_interactivity"])  # type: ignore[call-overload]
            at, beyond = rc.interactivity(model, machine, isl=isl, osl=osl, batch=[max(most, 1), most + 1], **given)["interactivity_tok_s"]
            assert not most or at >= speed * (1 - 1e-9)
            assert beyond < speed


@pytest.mark.parametrize(("model", "machine", "given"), [case for case in CASES if case[2].get("assume") != "bound"], ids=str)
def test_all_of_a_stay_is_the_first_token_or_the_others(model: str, machine: str, given: dict[str, object]) -> None:
    # Little's law: B in flight, each for TTFT + osl·TPOT, complete B / (TTFT + osl·TPOT) requests per second
    for isl, osl in WORK[:3]:
        for row in rc.interactivity(model, machine, isl=isl, osl=osl, batch=[1, 2, 7, 32, 150, 1000], **given).rows():  # type: ignore[arg-type]
            stay = row["ttft_ms"] / 1e3 + osl / row["interactivity_tok_s"]  # type: ignore[operator]
            assert row["batch"] * osl / row["throughput_tok_s"] == pytest.approx(stay, rel=1e-9)  # type: ignore[operator]
            assert row["requests_per_s"] == pytest.approx(row["batch"] / stay, rel=1e-9)  # type: ignore[operator]
            chunked = given.get("prefill", "chunked" if given.get("assume") == "typical" else "") == "chunked"
            assert row["interactivity_tok_s"] <= row["decode_tok_s"] * (1 + 1e-12) or chunked  # type: ignore[operator]
            assert row["ttft_ms"] >= row["ttft_idle_ms"] * (1 - 1e-12) or row["batch"] < 8 or chunked  # type: ignore[operator]


def test_another_pool_reads_the_prompts() -> None:
    given = {"isl": 4000, "osl": 300, "batch": [1, 8, 100]}
    table = rc.interactivity("llama-3.1-8b", "h100-sxm", prefill="separate", **given)  # type: ignore[arg-type]
    np.testing.assert_array_equal(table["interactivity_tok_s"], table["decode_tok_s"])
    together = rc.interactivity("llama-3.1-8b", "h100-sxm", **given)  # type: ignore[arg-type]
    np.testing.assert_array_equal(table["decode_tok_s"], together["decode_tok_s"])
    assert any("its devices are not counted" in note for note in table.notes)
    assert math.isclose(table["interactivity_tok_s"][0], together["interactivity_tok_s"][0])  # one user alone


def test_chunks_fill_the_largest_step() -> None:
    # a step of 2,048 tokens of which 16 sequences take one each has room for a chunk of 2,032
    given = {"isl": 6000, "osl": 300, "batch": 16, "prefill": "chunked"}
    for budget, chunk, more in ((2048, 2032, {}), (512, 496, {}), (8192, 8176, {}), (None, 2032, {"engine": "vllm"})):
        whole = rc.interactivity("llama-3.1-8b", "a100-sxm-80gb", max_batched_tokens=budget, **more, **given)  # type: ignore[arg-type]
        cut = rc.interactivity("llama-3.1-8b", "a100-sxm-80gb", chunk=chunk, **more, **given)  # type: ignore[arg-type]
        assert whole["interactivity_tok_s"][0] == pytest.approx(cut["interactivity_tok_s"][0], rel=1e-12), budget


def test_chunks_leave_room_for_all_streams() -> None:
    # 16 prompts with 8 streams each: a step of 8,192 tokens has room for a chunk of 8,192 − 128, and with 2 drafts for each sequence of
    # 8,192 − 3 · 16; the prompts need five chunks of these, and four of 8,192 − 16
    deployment, osl = on("llama-3.1-8b", "h100-sxm", prefill="chunked"), np.array([300.0])
    for one, streams, isl, chunk in ((deployment, 8.0, 32400.0, 8064.0), (with_drafts(deployment, 2, 0.5), 1.0, 32650.0, 8144.0)):
        mean = mean_step(one, np.array([isl]), osl, streams)
        whole, cut, four = (ServedStep(mean, np.array([isl]), osl, size).served(np.array([16.0])).tpot_s[0] for size in (None, chunk, 8176.0))
        assert whole == pytest.approx(cut, rel=1e-12) and whole != pytest.approx(four, rel=1e-6)
