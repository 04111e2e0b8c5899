"""Plans and frontiers worked by hand from what other questions say of one layout."""

import math
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import deploy
from roofcalc.physics.generation import mean_step, output_tok_s
from roofcalc.physics.prefill import prefill


def test_eight_stages_hold_a_sequence_while_it_is_read() -> None:
    # 10 requests per second, each under way for its first token and 10 steps: so many at once, whole ones
    given = {"tp": 1, "pp": 8, "dp": 1}
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, requests_per_second=10, **given).rows()  # type: ignore[arg-type]
    (first,) = rc.prefill("llama-3.1-8b", "8xh100-sxm", seq=8000, **given).rows()  # type: ignore[arg-type]
    (step,) = rc.interactivity("llama-3.1-8b", "8xh100-sxm", isl=8000, osl=10, batch=1, **given).rows()  # type: ignore[arg-type]
    under_way = 10 * (first["ttft_ms"] / 1e3 + 10 / step["interactivity_tok_s"])  # type: ignore[operator]
    assert (row["devices"], row["batch"]) == (8, math.ceil(under_way)) and 1.5 < under_way < 2


def test_two_cards_with_room_for_one_sequence_serve_one_after_another() -> None:
    # (2 x 24e9 - 16.06e9 bytes) over 126,000 x 131,072: one at a time, so a request occupies both stages from its first token to its last.
    # One in flight on average leaves time for that and for the wait: between it alone and an M/D/1
    # queue of it, load 2 - sqrt(2) with one in the system
    given = {"tp": 1, "pp": 2, "dp": 1}
    (row,) = rc.plan("llama-3.1-8b", "rtx-4090", isl=125_000, osl=1000, requests_per_second=0.01, interactivity=1, **given).rows()  # type: ignore[arg-type]
    (first,) = rc.prefill("llama-3.1-8b", "2xrtx-4090", seq=125_000, **given).rows()  # type: ignore[arg-type]
    (step,) = rc.interactivity("llama-3.1-8b", "2xrtx-4090", isl=125_000, osl=1000, batch=1, **given).rows()  # type: ignore[arg-type]
    taken_s = first["ttft_ms"] / 1e3 + 1000 * step["step_ms"] / 1e3  # type: ignore[operator]
    assert math.floor((48e9 - 16.06e9) / (126_000 * 131_072)) == 1 and row["devices"] == 2
    assert 0.01 * taken_s < row["busy"] < 0.01 * taken_s / (2 - math.sqrt(2)) and 0.6 < 0.01 * taken_s < 0.7  # type: ignore[operator]


def test_one_h100_takes_in_seven_requests_per_second() -> None:
    # 8,000 tokens · 2 · 7.5e9 weights and their attention over 989e12 FLOP/s: 0.13 s each, whatever the steps between take
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, requests_per_second=10, tp=1, pp=1, interactivity=1).rows()
    assert row["devices"] == math.ceil(10 * 8000 * 2 * 7.5e9 / 989e12) == 2


def test_sixteen_h100_in_one_stage() -> None:
    # 405B in fp8: as many devices read as many bytes, but the second of two stages waits for the first
    (row,) = rc.plan("llama-3.1-405b", "16xh100-sxm", weights="all=fp8", seq=8000, batch=64, devices=16, layouts="all").rows()
    given = {"weights": "all=fp8", "seq": 8000, "batch": 64}
    one, two = (
        float(rc.interactivity("llama-3.1-405b", "16xh100-sxm", tp=tp, pp=16 // tp, dcp=tp // 8, **given)["interactivity_tok_s"][0])  # type: ignore[arg-type]
        for tp in (16, 8)  # the two copies of each of 8 KV heads hold half of it each
    )
    assert (row["tp"], row["pp"], row["dcp"]) == (16, 1, 2) and row["interactivity_tok_s"] == pytest.approx(one) and one > two


def test_a_hundred_replicas_more() -> None:
    # each device lost takes the eight of its replica with it
    (row,) = rc.plan("llama-3.1-405b", "h100-sxm", weights="all=fp8", seq=8000, spare=100, tp=8, pp=1).rows()
    assert row["devices"] == 8 * (1 + 100)


def test_four_cards_and_not_three() -> None:
    # 24 GB each, 16.06 GB of weights, 8,000 x 131,072 bytes a sequence: three stages hold 53 sequences, two ranks 30, four 76
    held = [math.floor((24e9 * cards - 16.06e9) / (8000 * 131_072)) for cards in (2, 3, 4)]
    (row,) = rc.plan("llama-3.1-8b", "rtx-4090", seq=8000, batch=40, interactivity=20).rows()
    assert held == [30, 53, 76] and (row["devices"], row["tp"], row["pp"], row["least_devices"]) == (4, 4, 1, 3)


def test_the_end_of_an_answer() -> None:
    # the first token, and 300 more at the speed of a user
    (row,) = rc.plan("llama-3.1-8b", "h100-sxm", isl=4000, osl=300, requests_per_second=2).rows()
    assert row["latency_s"] == pytest.approx(row["ttft_ms"] / 1e3 + 300 / row["interactivity_tok_s"])  # type: ignore[operator]


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
    readers, others = first["ttft_ms"] / 1e3, 500 / (32 * step["decode_tok_s"])  # type: ignore[operator]
    assert row["throughput_tok_s_per_device"] == pytest.approx(500 / (readers + others))
    assert row["prefill_per_decode"] == pytest.approx(readers / others)


def test_one_prompt_in_four_is_long(tmp_path: Path) -> None:
    """In `bound` answers of two tokens leave the prompts' arithmetic: a mix takes the mean of what its two kinds take by themselves."""
    path = tmp_path / "mix.txt"
    given = {"assume": "bound", "tp": 1, "pp": 1, "interactivity": 1}
    path.write_text("32000:2 1\n8000:2 3\n")
    long, short = (float(rc.prefill("llama-3.1-8b", "h100-sxm", seq=seq, assume="bound")["ttft_ms"][0]) / 1e3 for seq in (32_000, 8000))
    for times, devices in ((0.99, 1), (1.02, 2)):
        rate = times / ((long + 3 * short) / 4)
        assert rc.plan("llama-3.1-8b", "h100-sxm", mix=str(path), requests_per_second=rate, **given)["devices"][0] == devices  # type: ignore[arg-type]


def test_a_mix_decodes_and_reads_as_its_kinds_do() -> None:
    """In `typical`, 40 sequences on one H100: steps by the tokens of each kind, prompts by its requests."""
    isl, osl, parts = np.array([[4000.0, 1000.0]]), np.array([[100.0, 400.0]]), np.array([0.25, 0.75])
    one = deploy(lookup.model("llama-3.1-8b")[0], lookup.hardware("h100-sxm")[0], assumptions=assumptions("typical", prefill="colocated"))
    each = [mean_step(one, isl[0, kind], osl[0, kind]) for kind in (0, 1)]
    mixed = mean_step(one, isl, osl, shares=np.array([25, 300]) / 325)  # of every 325 tokens
    step = (25 * float(each[0].seconds(40)) + 300 * float(each[1].seconds(40))) / 325
    assert float(mixed.seconds(np.array([40.0]))[0]) == pytest.approx(step)
    # 4,000 tokens are read two prompts at a time, 1,000 eight (8,192 a step)
    prompts = 40 * (0.25 * float(prefill(one, 4000, 0.0, 2).batch_prefill_s) / 2 + 0.75 * float(prefill(one, 1000, 0.0, 8).batch_prefill_s) / 8)
    found = output_tok_s(one, isl, osl, np.array([40.0]), mixed, parts=parts)
    assert float(found[0]) == pytest.approx(40 * 325 / (325 * step + prompts))
