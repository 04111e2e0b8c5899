"""Streams that share a prefix, their cost against one stream, and what votes make of it: limits, hand computations, bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.economics.shared_prefix import independent_machine_s, shared
from roofcalc.physics.decode_ops import at_context
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.physics.prefill import prefill
from roofcalc.physics.roofline import step_of
from roofcalc.specs.record import replace
from tests.cli.test_cli import ASSUMED
from tests.shell import LLAMA, refused, rows, run

OWN = "streams,prefix,suffix,kv_gb,kv_gb_unshared,queries,usd_per_query,cost_multiple,cost_multiple_unshared,latency_s"
VOTE = f"vote {LLAMA} --usd-per-hour 3"
MODELS = ("llama-3.1-405b", "gemma-3-27b", "deepseek-v3", "llama-4-scout", "mamba2-2.7b")


def on(model: str, hardware: str, **given: object) -> Deployment:
    return deploy(lookup.model(model)[0], lookup.hardware(hardware)[0], assumptions=assumptions(**given))  # type: ignore[arg-type]


def test_columns_are_the_contract() -> None:
    line = f"{VOTE} --prefix 1k --suffix 100"
    assert run(f"{line} -f csv").stdout.splitlines()[0] == f"model,hardware,weights,kv,{OWN},{ASSUMED}"
    accuracy = f"model,hardware,weights,kv,{OWN},pass_at_k,majority_accuracy,verifier_accuracy,usd_per_solved,{ASSUMED}"
    assert run(f"{line} --accuracy 0.5 -f csv").stdout.splitlines()[0] == accuracy


def test_the_more_is_shared_the_further_below_five_times() -> None:
    # a speed that the largest batches meet, with prefixes of others read in between
    found = rows(f"{VOTE} --streams 5 --prefix 0,1k,4k,16k,64k --suffix 1k --interactivity 1")
    multiples = [float(row["cost_multiple"]) for row in found]
    assert multiples == sorted(multiples, reverse=True)
    # nothing shared: five times the cost; (640e9 − 405.86e9) / (5,000 · 516,096) = 90.7 queries fit
    assert multiples[0] == pytest.approx(5, rel=1e-6) and found[0]["queries"] == "90"
    assert 2 < multiples[1] < 3 and 1 < multiples[-1] < 1.02
    for row in found:
        assert 5 - 1e-9 <= float(row["cost_multiple_unshared"]) < 5.3  # whole queries: at most four sequences less


def test_one_stream_is_one_stream() -> None:
    (row,) = rows(f"{VOTE} --streams 1 --prefix 1k --suffix 1k")
    assert row["cost_multiple"] == row["cost_multiple_unshared"] == "1" and row["kv_gb"] == row["kv_gb_unshared"]
    (same,) = rows(f"cost {LLAMA} --usd-per-hour 3 --query 1k:1k")
    assert (row["queries"], row["usd_per_query"]) == (same["batch"], same["usd_per_query"])
    assert [one["streams"] for one in rows(f"{VOTE} --prefix 1k --suffix 100,200")] == ["1", "1", "5", "5"]


def test_cache_by_hand() -> None:
    # 516,096 bytes per token: 4,000 once and 5 · 1,000; unshared 5 · 5,000
    (row,) = rows(f"{VOTE} --streams 5 --prefix 4k --suffix 1k --interactivity 1")
    assert float(row["kv_gb"]) == pytest.approx(516_096 * 9000 / 1e9) and float(row["kv_gb_unshared"]) == pytest.approx(516_096 * 25_000 / 1e9)
    # (640e9 − 405.86e9) / 4.645e9 = 50.4 queries fit
    assert row["queries"] == "50"


def test_a_query_by_hand() -> None:
    # Llama 3.1 8B on one H100, 5 streams of one token after 10,000. The prompt: layers 2 · 6,979,321,856 FLOPs per token,
    # attention 524,288 · 10,000 · 10,001/2, the head's 1,050,673,152 bytes
    (row,) = rows("vote llama-3.1-8b h100-sxm --streams 5 --prefix 10k --suffix 1 --interactivity 1 --usd-per-hour 3.6")
    prompt = (10_000 * 2 * 6_979_321_856 + 524_288 * 10_000 * 10_001 / 2) / 989.4e12 + 1_050_673_152 / 3350e9
    # a step reads 15,009,316,864 + Q · (10,000 + 5) · 131,072 bytes; half of the Q − 1 other prompts, before or after the only
    # token, delay it: 1 s = step + (Q − 1)/2 · prompt
    per_query = 10_005 * 131_072 / 3350e9
    queries = int((1 - 15_009_316_864 / 3350e9 + prompt / 2) / (per_query + prompt / 2))
    assert int(row["queries"]) == queries
    step = 15_009_316_864 / 3350e9 + queries * per_query
    assert float(row["usd_per_query"]) == pytest.approx((prompt + step / queries) / 1000, rel=1e-9)
    assert float(row["latency_s"]) == pytest.approx(queries * prompt + step, rel=1e-9)  # every prompt in flight, and the step


def test_everything_shared_costs_the_flops_alone() -> None:
    # All but one token of 50,000 shared. Where only FLOPs count, n streams take n times as long; where only bytes count,
    # they take as long as one but for the n − 1 entries more
    deployment = on("llama-3.1-8b", "h100-sxm", overlap="full")
    device = deployment.hardware.device

    def steps(memory: float, peak: float) -> np.ndarray:
        fast = replace(device, memory=replace(device.memory, bandwidth_gb_s=memory), peak_tflop_s={"bf16": peak})
        there = replace(deployment, hardware=replace(deployment.hardware, device=fast))
        return np.array(
            [float(step_of(there, at_context(np.float64(50_000)), shared_prefix=SharedPrefix(n, 49_999.0)).seconds(10)) for n in (1, 5, 25)]
        )

    flops = steps(1e12, 1000)
    np.testing.assert_allclose(flops / flops[0], [1, 5, 25], rtol=1e-12)
    moved = steps(3350, 1e12)
    expected = 15_009_316_864 + 10 * 131_072 * np.array([50_000, 50_004, 50_024])
    np.testing.assert_allclose(moved, expected / 3350e9, rtol=1e-12)


def test_where_flops_stop_being_spare() -> None:
    notes = run(f"{VOTE} --streams 5 --prefix 0,1k,64k --suffix 1k").stderr
    assert "5 streams are limited by compute at a prefix of 1000 tokens; a single stream is not" in notes
    assert "no longer spare" not in run(f"{VOTE} --streams 5 --prefix 64k --suffix 1k").stderr
    many = run("vote llama-3.1-8b h100-sxm --streams 200 --prefix 1k:8k:1k --suffix 100 --usd-per-hour 1").stderr
    assert "1000, 2000, 3000, 4000, 5000, … tokens" in many


@pytest.mark.parametrize("model", MODELS)
def test_never_cheaper_than_one_nor_dearer_than_apart(model: str) -> None:
    deployment = on(model, "8xh200-sxm", network="ideal")
    prefix, suffix = np.array([0.0, 1000, 8000, 30_000]), 500.0
    one = shared(deployment, 1, prefix, suffix, 1)
    for n in (2, 5):
        several = shared(deployment, n, prefix, suffix, 1)
        apart = independent_machine_s(deployment, n, prefix, suffix, 1)
        assert (several.queries <= one.queries).all() and (several.queries >= np.floor(one.queries / n / deployment.layout.dp)).all()
        assert (several.machine_s >= one.machine_s * (1 - 1e-9)).all()
        assert (several.machine_s <= apart * 1.05).all()  # whole queries on each rank


def test_no_more_queries_fit_or_stay_fast_enough() -> None:
    deployment = on("llama-3.1-70b", "8xh100-sxm")
    for prefix, suffix, n in ((1000.0, 500.0, 5), (20_000.0, 2000.0, 8), (0.0, 100.0, 64)):
        found = shared(deployment, n, prefix, suffix, 40)
        queries = float(found.queries)

        def fits(count: float, n: float = n, prefix: float = prefix, suffix: float = suffix) -> bool:
            held = 327_680 * (prefix + n * suffix) * count + 2 * 70_553_706_496
            return held <= 640e9

        def mean(count: float, n: float = n, prefix: float = prefix, suffix: float = suffix) -> float:
            steps = [
                float(step_of(deployment, at_context(np.float64(prefix + u)), shared_prefix=SharedPrefix(n, prefix)).seconds(count))
                for u in range(1, int(suffix) + 1)
            ]
            prompt = float(prefill(deployment, prefix).ttft_s) if prefix else 0.0
            # the other prompts of `count` queries, less the half token's worth of them that comes before the first token
            return float(np.mean(steps)) + (count - 1) * prompt * (1 - 1 / (2 * suffix)) / suffix

        assert fits(queries) and mean(queries) <= 1 / 40 * (1 + 1e-9)
        assert not fits(queries + 1) or mean(queries + 1) > 1 / 40


def test_accuracy_and_what_a_solved_query_costs() -> None:
    first, second = rows(f"{VOTE} --prefix 1k --suffix 100 --accuracy 0.6")
    assert [float(first[name]) for name in ("pass_at_k", "majority_accuracy")] == pytest.approx([0.6, 0.6]) and first["verifier_accuracy"] == ""
    # as worked out in the tests of votes: 1 − 0.4^5, 0.68256
    assert [float(second[name]) for name in ("pass_at_k", "majority_accuracy")] == pytest.approx([1 - 0.4**5, 0.68256])
    assert float(second["usd_per_solved"]) == pytest.approx(float(second["usd_per_query"]) / 0.68256)
    (perfect,) = rows(f"{VOTE} --prefix 1k --suffix 100 --accuracy 0.6 --streams 5 --recall 1")
    assert float(perfect["verifier_accuracy"]) == pytest.approx(1 - 0.4**5)
    assert float(perfect["usd_per_solved"]) == pytest.approx(float(second["usd_per_query"]) / (1 - 0.4**5))
    notes = run(f"{VOTE} --prefix 1k --suffix 100 --accuracy 0.6 --recall 0.9").stderr
    assert "accepts 0.9 of the right answers and 0 of the wrong" in notes and "answers are independent" in notes
    for p, right in (("0", "0"), ("1", "1")):
        (row,) = rows(f"{VOTE} --prefix 1k --suffix 100 --streams 5 --accuracy {p}")
        assert (row["pass_at_k"], row["majority_accuracy"], row["usd_per_solved"] == "") == (right, right, p == "0")


def test_a_verifier_is_paid_and_waited_for() -> None:
    line = "vote llama-3.1-70b 4xh100-sxm --weights all=fp8 --prefix 2k --suffix 1k --usd-per-hour 3.6"
    one, five = rows(f"{line} --streams 1,5 --verifier llama-3.1-8b")
    without = rows(f"{line} --streams 1,5")
    assert one == without[0]  # one answer leaves nothing to choose
    # Llama 3.1 8B, fp8 on four devices: 2,000 tokens once and 5 · 1,000 answers after them; 2 · 6,979,321,856 FLOPs each and
    # attention of 524,288 per pair, at 4 · 1,978.9e12 and (16-bit cache) 4 · 989.4e12; heads and all-reduces come on top
    extra = float(five["usd_per_query"]) - float(without[1]["usd_per_query"])
    pairs = 2000 * 2001 / 2 + 5 * (2000 * 1000 + 1000 * 1001 / 2)
    floor = (7000 * 2 * 6_979_321_856 / (4 * 1978.9e12) + 524_288 * pairs / (4 * 989.4e12)) * 4 * 3.6 / 3600
    assert floor < extra < 2.5 * floor
    assert float(five["latency_s"]) > float(without[1]["latency_s"])
    notes = run(f"{line} --verifier llama-3.1-8b").stderr
    assert "verifier: llama-3.1-8b on a separate 4xh100-sxm, all=fp8 weights, tp 4, pp 1, dp 1" in notes


def test_records_drafts_and_defaults() -> None:
    judge = lookup.model("llama-3.1-8b")[0]
    table = rc.vote("llama-3.1-70b", "4xh100-sxm", prefix=1000, suffix=[100, 200], verifier=judge, weights="all=fp8", usd_per_hour=1, accuracy=0.7)
    assert len(table) == 4 and (table["verifier_accuracy"][2:] > 0.7).all()
    assert "streams: 1,5 (--streams)" in table.notes and any("at least 30 tok/s for each stream" in text for text in table.notes)
    given = {"streams": 5, "prefix": 1000, "suffix": 500, "weights": "all=fp8", "usd_per_hour": 1, "interactivity": 150}
    plain = rc.vote("llama-3.1-70b", "4xh100-sxm", **given)  # type: ignore[arg-type]
    drafted = rc.vote("llama-3.1-70b", "4xh100-sxm", draft=3, acceptance=0.8, **given)  # type: ignore[arg-type]
    assert drafted["queries"][0] > plain["queries"][0] and drafted["usd_per_query"][0] < plain["usd_per_query"][0]


def test_without_times_or_room(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    for row in rows(f"vote llama-3.1-8b {path} --prefix 1k --suffix 100 --usd-per-hour 1"):
        assert float(row["kv_gb"]) > 0
        assert row["queries"] == row["usd_per_query"] == row["cost_multiple"] == row["latency_s"] == ""
    result = json.loads(run("vote llama-3.1-405b h100-sxm --prefix 1k --suffix 100 -f json").stdout)
    assert all(row["queries"] == 0 and row["usd_per_query"] is None for row in result["rows"])
    assert any("does not fit" in text for text in result["notes"])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--prefix 1k", "--prefix, --suffix: give both"),
        ("--suffix 1k", "--prefix, --suffix: give both"),
        ("--prefix -1 --suffix 1", "prefix: expected 0 to"),
        ("--prefix 1.5 --suffix 1", "prefix: expected a whole number"),
        ("--prefix 1 --suffix 0", "suffix: expected 1 to"),
        ("--prefix 1 --suffix 1 --streams 0", "streams: expected 1 to"),
        ("--prefix 1 --suffix 1 --streams 2.5", "streams: expected a whole number"),
        ("--prefix 1 --suffix 1 --accuracy 1.5", "accuracy: expected 0 to 1, got 1.5"),
        ("--prefix 1 --suffix 1 --accuracy 0.5 --recall 2", "recall: expected 0 to 1"),
        ("--prefix 1 --suffix 1 --recall 0.5", "give --accuracy too"),
        ("--prefix 1 --suffix 1 --interactivity 20,30", "interactivity: expected one number, got 2"),
        ("--prefix 1 --suffix 1 --verifier nope", "unknown model 'nope'"),
        ("--prefix 1 --suffix 1 --verifier llama-3.1-405b", "--verifier: llama-3.1-405b does not fit on h100-sxm"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    text = refused(f"vote llama-3.1-8b h100-sxm {line}")
    assert complaint in text and len([one for one in text.splitlines() if one.startswith("error")]) == 1
