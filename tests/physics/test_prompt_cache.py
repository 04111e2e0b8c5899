"""Shared prefixes and cache hits: laws over every kind of attention, agreement with streams of one query, and refusals."""

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import mean_step, step_at
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.physics.prefill import prefill
from roofcalc.physics.prompt_cache import found_tokens, prompt_prefill
from roofcalc.physics.serving import served
from roofcalc.solvers.max_batch import max_batch
from tests.catalogs import on
from tests.shell import refused, run

KINDS = (
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-70b", "8xh100-sxm", {"weights": "fp8", "assume": "typical"}),
    ("llama-3.1-8b", "4xh100-sxm", {"tp": 2, "pp": 2}),
    ("gemma-3-27b", "2xh100-sxm", {"engine": "vllm"}),
    ("llama-4-scout", "8xh100-sxm", {}),
    ("gpt-oss-120b", "2xh100-sxm", {"assume": "bound"}),
    ("deepseek-v3", "8xh200", {"dp": 8, "tp": 1}),
    ("deepseek-v3.2", "8xh200", {}),
    ("qwen3-next-80b-a3b", "4xh100-sxm", {"assume": "typical"}),
    ("mamba2-2.7b", "h100-sxm", {}),
)
BATCHES = np.unique(np.geomspace(1, 2000, 40).round())
each_kind = pytest.mark.parametrize("case", KINDS, ids=lambda case: f"{case[0]} {case[2]}")


def of(case: tuple[str, str, dict[str, object]], **more: object) -> Deployment:
    return on(case[0], case[1], **{**case[2], **more})  # type: ignore[arg-type]


def test_found_tokens_by_hand() -> None:
    deployment = on("llama-3.1-8b", "h100-sxm", shared_prefix=1000, hit_rate=0.3)
    # 1000 + floor(0.3 · 3000), nothing but the prefix, all but one token of it, an empty prompt
    np.testing.assert_array_equal(found_tokens(deployment, np.array([4000, 1001, 1000, 0])), [1900, 1000, 999, 0])


@pytest.mark.parametrize("hit_rate", [0.99999, 1.0])
def test_a_prompt_that_is_known_leaves_its_last_token(hit_rate: float) -> None:
    deployment = on("llama-3.1-8b", "h100-sxm", hit_rate=hit_rate)
    assert float(prompt_prefill(deployment, 4000).ttft_s) == float(prefill(deployment, 1, 3999).ttft_s)


@each_kind
def test_nothing_shared_and_nothing_found_is_as_before(case: tuple[str, str, dict[str, object]]) -> None:
    today, none = of(case), of(case, shared_prefix=0, hit_rate=0.0)
    mean = [mean_step(one, 3000.0, 300.0) for one in (today, none)]
    for mode in ("colocated", "chunked"):
        figures = [served(one, 3000.0, 300.0, BATCHES, step, mode) for one, step in zip((today, none), mean, strict=True)]
        for one, other in zip(*figures, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(memory.batch_memory(today, 3000), memory.batch_memory(none, 3000))


@each_kind
def test_sharing_and_finding_never_cost(case: tuple[str, str, dict[str, object]]) -> None:
    """Longer prefixes and more hits: no step, first token or batch gets worse, in any mode; and rows stay consistent."""
    isl, osl = 4000.0, 300.0
    today = of(case)
    before = {mode: served(today, isl, osl, BATCHES, mean_step(today, isl, osl), mode) for mode in ("colocated", "chunked", "separate")}
    fits = memory.batch_memory(today, isl + osl)
    for given in ({"hit_rate": 0.3}, {"hit_rate": 1.0}, {"shared_prefix": 1500}, {"shared_prefix": 1500, "hit_rate": 0.5}, {"shared_prefix": 4000}):
        one = of(case, **given)
        mean = mean_step(one, isl, osl)
        assert (mean.seconds(BATCHES) <= before["separate"].decode_s * today.accepted * (1 + 1e-9)).all()
        assert (np.diff(mean.seconds(BATCHES)) >= -1e-12).all()
        room = memory.batch_memory(one, isl + osl)
        recurrent = case[0] in ("mamba2-2.7b", "qwen3-next-80b-a3b")
        windows = case[0] in ("gemma-3-27b", "gpt-oss-120b", "llama-4-scout")  # these keep a window, or states, more
        assert room >= fits - (today.layout.dp * (2 if recurrent or windows else 0)) if "shared_prefix" in given else room == fits
        for mode, old in before.items():
            new = served(one, isl, osl, BATCHES, mean, mode)
            # chunked, where every step is full: fewer chunks let more sequences decode at once, so that tokens take longer and requests do not;
            # uneven stages: what the slowest adds to a prompt's own way through all of them
            if mode != "chunked" and today.layout.pp == 1:
                assert (new.tpot_s <= old.tpot_s * (1 + 1e-6)).all() and (new.ttft_s <= old.ttft_s * (1 + 1e-6)).all(), (given, mode)
            assert (new.throughput_tok_s >= old.throughput_tok_s * (1 - 1e-4)).all(), (given, mode)  # found entries are read
            if not today.assumptions.is_bound:
                np.testing.assert_allclose(BATCHES * osl / new.throughput_tok_s, osl * new.tpot_s + new.ttft_s, rtol=1e-9)


@each_kind
def test_a_rank_is_one_query_of_many_streams(case: tuple[str, str, dict[str, object]]) -> None:
    """The step of B sequences that share a prefix is that of one query of B streams on each rank, as `vote` counts it."""
    plain, shared = of(case), of(case, shared_prefix=2000)
    ranks = plain.layout.dp * plain.layout.pp
    for streams in (1.0, 2.0, 17.0, 200.0):
        query = mean_step(plain, 2000.0, 400.0, streams).seconds(ranks)
        assert float(mean_step(shared, 2000.0, 400.0).seconds(streams * ranks)) == pytest.approx(float(query), rel=1e-9)


@pytest.mark.parametrize("streams", [1, 5, 64])
def test_memory_is_that_of_one_query(streams: int) -> None:
    """Where every layer keeps the whole context; windows and states of the prefix stay besides for requests to come."""
    for name, machine in (("llama-3.1-8b", "h100-sxm"), ("deepseek-v3.2", "8xh200"), ("gemma-3-27b", "2xh100-sxm"), ("mamba2-2.7b", "h100-sxm")):
        plain, shared = (on(name, machine, tp=None, dp=1, shared_prefix=prefix) for prefix in (0, 3000))
        kept = memory.system_kept(shared, 3700)
        query = float(memory.system_kv_bytes(plain, 3700, SharedPrefix(float(streams), 3000.0)))
        whole = float(kept.once + streams * kept.each)
        assert whole == pytest.approx(query) if name in ("llama-3.1-8b", "deepseek-v3.2") else whole > query


def test_prefixes_are_kept_in_whole_blocks() -> None:
    # blocks of 64: 2,000 tokens have 31 whole ones; a request of 4,500 has 71, 40 of its own
    kept = memory.system_kept(on("llama-3.1-8b", "h100-sxm", kv_block=64, shared_prefix=2000), 4500)
    assert (float(kept.once), float(kept.each)) == (31 * 64 * 131_072, 40 * 64 * 131_072)


def test_every_data_parallel_rank_keeps_the_prefix() -> None:
    deployment = on("deepseek-v3", "8xh200", tp=1, dp=8, shared_prefix=1000)
    assert float(memory.system_kept(deployment, 1100).once) == 8 * 1000 * 70_272


def test_a_batch_that_fits_and_one_more() -> None:
    for case in KINDS:
        deployment = of(case, shared_prefix=1500)
        fits = float(memory.batch_memory(deployment, 4000)) / deployment.layout.dp
        room = min(
            float(memory.budget(deployment, stage, 4000.0).cache) - float(kept.once) - fits * float(kept.each)
            for stage, kept in zip(deployment.stages, memory.kept_by_stage(deployment, 4000), strict=True)
        )
        most = max(float(kept.each) for kept in memory.kept_by_stage(deployment, 4000))
        assert -1 <= room < most, case


def test_bound_is_a_floor_with_cached_prompts_too() -> None:
    for name, machine in (("llama-3.1-8b", "h100-sxm"), ("gemma-3-27b", "2xh100-sxm"), ("deepseek-v3.2", "8xh200")):
        given = {"shared_prefix": 1500, "hit_rate": 0.4}
        bound, roofline = on(name, machine, assume="bound", **given), on(name, machine, **given)  # type: ignore[arg-type]
        for mode in ("colocated", "chunked"):
            best, one = (served(d, 4000.0, 300.0, BATCHES, mean_step(d, 4000.0, 300.0), mode) for d in (bound, roofline))
            assert (best.throughput_tok_s >= one.throughput_tok_s * (1 - 1e-9)).all()
            assert (best.tpot_s <= one.tpot_s).all() and (best.ttft_s <= one.ttft_s).all()


def test_the_largest_batch_is_exact() -> None:
    deployment = on("llama-3.1-8b", "h100-sxm", shared_prefix=2000)
    found = max_batch(deployment, np.array([4000.0]), np.array([60.0]))
    step = step_at(deployment, np.array([4000.0]))
    largest = found.batch_interactivity
    assert (step.seconds(largest) * 60 <= 1 + 1e-12).all() and (step.seconds(largest + 1) * 60 > 1).all()


def test_every_command_takes_them() -> None:
    """Rows state them, and a command's figures change."""
    given = {"shared_prefix": 2000, "hit_rate": 0.5}
    generation = {"isl": 4000, "osl": 500}
    calls = (
        (rc.max_batch, generation, "max_batch"),
        (rc.interactivity, {**generation, "batch": 32}, "ttft_ms"),
        (rc.frontier, {**generation, "batch": 32}, "throughput_tok_s_per_device"),
        (rc.frontier, {**generation, "batch": 32, "disaggregated": True}, "throughput_tok_s_per_device"),
        (rc.plan, {**generation, "requests_per_second": 30}, "batch"),
        (rc.cost, {"query": "4000:500"}, "usd_per_query"),
        (rc.prefill, {"seq": 4000}, "ttft_ms"),
    )
    for function, arguments, column in calls:
        (before,), (after,) = (list(function("llama-3.1-8b", "h100-sxm", **arguments, **more).rows()) for more in ({}, given))  # type: ignore[operator]
        assert after[column] != before[column] and (after["shared_prefix"], after["hit_rate"]) == (2000, 0.5), function
        assert "shared_prefix" not in before and "hit_rate" not in before


def test_cost_agrees_with_max_batch() -> None:
    given = {"shared_prefix": 2000, "hit_rate": 0.5, "interactivity": 30}
    (one,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=4000, osl=500, **given).rows()  # type: ignore[arg-type]
    (cost,) = rc.cost("llama-3.1-8b", "h100-sxm", query="4000:500", usd_per_hour=3.6, **given).rows()  # type: ignore[arg-type]
    assert cost["usd_per_query"] == pytest.approx(0.001 / one["requests_per_s"])  # type: ignore[operator]


def test_vote_finds_queries_in_the_cache() -> None:
    line = {"streams": 4, "prefix": 4000, "suffix": 200}
    (before,), (after,) = (list(rc.vote("llama-3.1-8b", "h100-sxm", **line, **more).rows()) for more in ({}, {"hit_rate": 0.9}))  # type: ignore[arg-type]
    assert after["latency_s"] < before["latency_s"] and after["usd_per_query"] < before["usd_per_query"]  # type: ignore[operator]
    assert after["kv_gb"] == before["kv_gb"]


def test_hybrids_say_that_hits_need_states() -> None:
    assert "a cache hit needs the recurrent states" in run("prefill qwen3-next-80b-a3b 4xh100-sxm --seq 4k --hit-rate 0.5").stderr
    assert "recurrent states" not in run("prefill llama-3.1-8b h100-sxm --seq 4k --hit-rate 0.5").stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max-batch llama-3.1-8b h100-sxm --seq 1k,4k --shared-prefix 2k", "contexts must be longer than its 2,000 tokens; got --seq 1000"),
        ("max-batch llama-3.1-8b h100-sxm --shared-prefix 200k", "contexts must be longer than its 200,000 tokens"),
        ("interactivity llama-3.1-8b h100-sxm --isl 1k --osl 100 --shared-prefix 2k", "prompts include its 2,000 tokens; one has 1000"),
        ("cost llama-3.1-8b h100-sxm --query 1k:100 --shared-prefix 2k", "prompts include its 2,000 tokens; one has 1000"),
        ("max-batch llama-3.1-8b h100-sxm --seq 4k --hit-rate 0.5", "--hit-rate: applies to the prefill of prompts; give --isl and --osl"),
        ("prefill llama-3.1-8b h100-sxm --seq 4k --cached 1k --hit-rate 0.5", "--cached: give either the tokens found in the cache"),
        ("prefill llama-3.1-8b h100-sxm --seq 4k --hit-rate 1.5", "--hit-rate: 1.5 is not a fraction from 0 to 1"),
        ("max-batch llama-3.1-8b h100-sxm --seq 4k --shared-prefix 1.5", "--shared-prefix: 1.5 is not a whole number of tokens"),
    ],
)
def test_refused(line: str, words: str) -> None:
    assert words in refused(line)


def test_commands_without_them_refuse() -> None:
    for function, given in ((rc.vote, {"prefix": 1000, "suffix": 100}), (rc.ops, {"seq": 4000}), (rc.rollouts, {})):
        with pytest.raises(rc.RoofcalcError, match="--shared-prefix: not an option of"):
            function("llama-3.1-8b", "h100-sxm", shared_prefix=500, **given)  # type: ignore[operator]


def test_the_derivation_arrives_at_the_figures() -> None:
    given = {"seq": 4000, "shared_prefix": 2000}
    for name, machine in (("llama-3.1-8b", "h100-sxm"), ("gemma-3-27b", "2xh100-sxm"), ("deepseek-v3.2", "8xh200")):
        (row,) = rc.interactivity(name, machine, batch=32, **given).rows()  # type: ignore[arg-type]
        lines = "\n".join(rc.explain("interactivity", name, machine, batch=32, **given).text())  # type: ignore[arg-type]
        assert f"= {row['interactivity_tok_s']:.8g} tok/s/user"[:12] in lines
        (row,) = rc.memory(name, machine, batch=1, **given).rows()  # type: ignore[arg-type]
        lines = "\n".join(rc.explain("memory", name, machine, batch=1, **given).text())  # type: ignore[arg-type]
        assert f"yes, {row['batch_memory']:.0f} fit" in lines
