"""Whole generations: the mean step, memory, and throughput with the prompts' own work."""

import itertools
from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.speculative import with_drafts
from roofcalc.errors import RoofcalcError
from roofcalc.physics import decode_ops as work
from roofcalc.physics import memory
from roofcalc.physics.generation import mean_step, output_tok_s, prompt_waits
from roofcalc.physics.prefill import prefill
from roofcalc.physics.resources import operation_terms
from roofcalc.physics.roofline import Step, decode
from roofcalc.specs.attention import GQA
from roofcalc.specs.record import replace
from tests.physics.test_prefill import KINDS, on
from tests.shell import refused, rows
from tests.tiers import share

GENERATIONS = ((0, 1), (0, 100), (1000, 1000), (100, 7), (3000, 63), (8000, 20_000), (120, 65))
BATCHES = np.array([[1.0], [7.0], [64.0], [500.0]])
LAYOUTS = (("h100-sxm", 1), ("16xh100-sxm", 1), ("16xh100-sxm", 2), ("8xl40s", 4))


def is_chunked(deployment: Deployment) -> bool:
    attentions = (deployment.model.blocks[name].attention for name in deployment.model.groups)
    return any(isinstance(one, GQA) and one.chunk is not None for one in attentions)


@pytest.mark.parametrize("drafts", [0, 3])
@pytest.mark.parametrize("model", [name for name in KINDS if name != "llama-4-scout"])
def test_the_mean_step_is_the_mean_of_all_steps(model: str, drafts: int) -> None:
    layouts = [(machine, pp) for machine, pp in LAYOUTS if pp == 1 or not drafts]
    ways = ({}, {"overlap": "none"}, {"overlap": "full"}, {"overlap": "net"}, {"assume": "bound"})
    for (machine, pp), given in share(itertools.product(layouts, ways), 6, model):
        try:
            deployment = on(model, machine, pp=pp, **given)
        except RoofcalcError:  # the heads do not divide
            continue
        drafted = with_drafts(deployment, drafts or None, 0.7 if drafts else None)
        one_after_another = given in ({}, {"overlap": "none"}) and pp == 1
        for isl, osl in GENERATIONS:
            steps = decode(deployment, np.arange(isl + 1.0, isl + osl + 1), drafts + 1.0).seconds(BATCHES)
            mean = [mean_step(drafted, isl, osl).seconds(batch) for batch in BATCHES[:, 0]]
            np.testing.assert_allclose(mean, steps.mean(axis=1), rtol=1e-9 if one_after_another else 1e-3, err_msg=f"{machine} {pp} {given} {isl}")


def test_generations_pass_through_every_place_of_a_chunk() -> None:
    # Llama 4: one decode step takes the fullest chunk, the mean over a generation each step's own place in its chunk
    deployment = on("llama-3.1-8b", "8xh200-sxm")
    assert not is_chunked(deployment)
    deployment = on("llama-4-scout", "8xh200-sxm")
    assert is_chunked(deployment)

    def places(seq: float) -> Step:
        def entries_read(span: object) -> float:
            size = getattr(span, "size", None)
            return (seq - 1) % size + 1 if size else seq

        terms = (operation_terms(deployment, work.sequence_operations(deployment, stage, entries_read)) for stage in deployment.stages)
        return Step(deployment, tuple(terms))

    steps = [float(places(seq).seconds(16)) for seq in range(8001, 8401)]
    assert mean_step(deployment, 8000, 400).seconds(16) == pytest.approx(np.mean(steps), rel=1e-9)
    whole = mean_step(deployment, 0, 8192).seconds(16)
    assert whole == pytest.approx(mean_step(deployment, 0, 4096).seconds(16) / 2 + mean_step(deployment, 4096, 4096).seconds(16) / 2, rel=1e-9)
    assert mean_step(deployment, 8192, 8192).seconds(16) < decode(deployment, 16_384).seconds(16)


def test_resources_of_the_mean_step_add_up() -> None:
    for machine, pp in LAYOUTS:
        mean = mean_step(on("gpt-oss-20b", machine, pp=pp), np.array([10.0, 5000]), 1000)
        batch = np.array([3.0, 200])
        np.testing.assert_allclose(sum(mean.resources(batch).values()), mean.seconds(batch), rtol=1e-9)


def test_arrays_of_generations_are_loops_over_them() -> None:
    deployment = on("gemma-3n-e4b", "h100-sxm")
    isl, osl, batch = np.array([0.0, 300, 7000]), np.array([5.0, 64, 1000]), np.array([1.0, 8, 40])
    found = mean_step(deployment, isl, osl).seconds(batch)
    assert found.tolist() == [float(mean_step(deployment, i, o).seconds(b)) for i, o, b in zip(isl, osl, batch, strict=True)]


def test_throughput_by_hand() -> None:
    # Llama 3.1 8B on one H100: 7,504,658,432 weights that multiply, 525,336,576 of them the head's; 3,350 GB/s, 989.4 TFLOP/s.
    # A step at batch 1 reads 2 bytes of each, and 131,072 bytes per token of 1,001.5 tokens on average.
    step = (2 * 7_504_658_432 + 131_072 * 1001.5) / 3350e9
    # The prompt's 1,000 tokens compute: 2 per weight but the head's, and 4·32·32·128 per pair of 1000·1001/2; the head reads.
    prompt = (2 * 6_979_321_856 * 1000 + 524_288 * 500_500) / 989.4e12 + 2 * 525_336_576 / 3350e9
    row = next(rc.interactivity("llama-3.1-8b", "h100-sxm", isl=1000, osl=2, batch=1).rows())
    assert row["step_ms"] == pytest.approx(step * 1e3, rel=1e-9) and row["interactivity_tok_s"] == pytest.approx(1 / step, rel=1e-9)
    assert row["ttft_ms"] == pytest.approx(prompt * 1e3, rel=1e-9)
    assert row["throughput_tok_s"] == pytest.approx(2 / (2 * step + prompt), rel=1e-9)
    assert row["requests_per_s"] == pytest.approx(1 / (2 * step + prompt), rel=1e-9)
    # Ten at once wait for ten prompts; the weights are read once for all, attention ten times
    step = (2 * 7_504_658_432 + 10 * 131_072 * 1001.5) / 3350e9
    row = next(rc.interactivity("llama-3.1-8b", "h100-sxm", isl=1000, osl=2, batch=10).rows())
    assert row["throughput_tok_s"] == pytest.approx(20 / (2 * step + 10 * prompt), rel=1e-9)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "deepseek-v3", "qwen3-next-80b-a3b"])
@pytest.mark.parametrize(("tp", "pp", "dp"), [(8, 1, 1), (2, 1, 4), (2, 4, 1), (1, 2, 4)])
def test_throughput_lies_between_its_two_halves(model: str, tp: int, pp: int, dp: int) -> None:
    deployment = on(model, "8xh200-sxm", tp, pp, dp)
    batch = np.array([1.0, 2, 3, 4, 8, 33, 200])
    for isl, osl in ((0, 100), (10, 1000), (4000, 1000), (50_000, 3)):
        mean = mean_step(deployment, isl, osl)
        found = output_tok_s(deployment, isl, osl, batch, mean)
        alone = batch / mean.seconds(batch)
        assert (found <= alone * (1 + 1e-12)).all()
        if not isl:
            np.testing.assert_allclose(found, alone, rtol=1e-12)
            continue
        one = prefill(deployment, isl, 0, np.minimum(batch, dp))  # no prompt comes sooner than by itself
        assert (found <= batch * osl / one.ttft_s * (1 + 1e-12)).all()
        filled = prefill(deployment, isl, 0, float(dp * pp)).batch_prefill_s / pp  # a prompt on every rank, at the slowest stage's pace
        prompts_alone = osl * dp / filled
        assert (found <= prompts_alone * (1 + 1e-12)).all()
        assert (1 / found >= (1 / alone + 1 / prompts_alone) * (1 - 1e-12)).all()
        busy = batch >= pp * dp
        np.testing.assert_allclose(1 / found[busy], (1 / alone + 1 / prompts_alone)[busy], rtol=1e-9)


@pytest.mark.parametrize(("tp", "pp", "dp"), [(8, 1, 1), (2, 1, 4), (2, 4, 1), (1, 2, 4)])
def test_one_request_at_a_time_takes_its_first_token_and_its_steps(tp: int, pp: int, dp: int) -> None:
    # Little's law at one: 1 = rate · (TTFT + osl·T_step)
    row = next(rc.interactivity("llama-3.1-8b", "8xh200-sxm", isl=3000, osl=200, batch=1, tp=tp, pp=pp, dp=dp).rows())
    latency = row["ttft_ms"] / 1e3 + 200 * row["step_ms"] / 1e3  # type: ignore[operator]
    assert row["requests_per_s"] == pytest.approx(1 / latency, rel=1e-9)


def test_requests_and_columns_of_generations() -> None:
    for row in rows("interactivity llama-3.1-70b 8xh100-sxm --weights all=fp8 --isl 8k,100 --osl 1k,1 --batch 1,300 --tp 2,8"):
        assert float(row["requests_per_s"]) * int(row["osl"]) == pytest.approx(float(row["throughput_tok_s"]), rel=1e-12)
        assert int(row["seq"]) == int(row["isl"]) + int(row["osl"]) and row["kv_at"] == "end"
        assert float(row["decode_tok_s"]) == pytest.approx(1e3 / float(row["step_ms"]), rel=1e-12)
        # Little's law: a request's first token and its other tokens are all of its stay
        stay = float(row["ttft_ms"]) / 1e3 + int(row["osl"]) / float(row["interactivity_tok_s"])
        assert float(row["requests_per_s"]) == pytest.approx(int(row["batch"]) / stay, rel=1e-9)
        assert float(row["throughput_tok_s_per_device"]) == pytest.approx(float(row["throughput_tok_s"]) / 8, rel=1e-12)


def test_memory_holds_the_end_of_a_generation_or_its_mean() -> None:
    # Llama 3.1 8B: 131,072 bytes per token; 80e9 − 16,060,522,496 hold 81.3 sequences of 6,000 tokens and 139.3 of the mean,
    # 1000 + 5001/2 = 3,500.5, rounded up
    end = next(rc.max_batch("llama-3.1-8b", "h100-sxm", isl=1000, osl=5000, interactivity=1).rows())
    mean = next(rc.max_batch("llama-3.1-8b", "h100-sxm", isl=1000, osl=5000, interactivity=1, kv_at="mean").rows())
    assert (end["seq"], end["batch_memory"], mean["seq"], mean["batch_memory"]) == (6000, 81, 3501, 139)
    assert end["step_ms"] and mean["batch_interactivity"] == end["batch_interactivity"]  # time is the same


def test_the_largest_batch_of_a_generation_is_exact() -> None:
    for model, given in itertools.product(("llama-3.1-8b", "gpt-oss-20b", "deepseek-v3"), ({}, {"overlap": "full"})):
        deployment = on(model, "8xh200-sxm", **given)
        table = rc.max_batch(model, "8xh200-sxm", isl=[100, 20_000], osl=[1, 3000], interactivity=[20, 60], **given)
        for row in table.rows():
            mean, osl = mean_step(deployment, row["isl"], row["osl"]), float(row["osl"])  # type: ignore[arg-type]
            rate = float(row["min_interactivity_tok_s"])  # type: ignore[arg-type]
            most = float(row["batch_interactivity"])  # type: ignore[arg-type]
            prompt = float(prefill(deployment, row["isl"]).ttft_s)
            assert deployment.layout.dp == deployment.layout.pp == 1

            def tpot(batch: float, osl: float = osl, mean: Any = mean, prompt: float = prompt) -> float:
                # the prompts of all others, but for half a token's worth of them before the first token
                return float(mean.seconds(batch)) + (batch - 1) * prompt * (1 - 1 / (2 * osl)) / osl

            assert (most == 0 or tpot(most) * rate <= 1 + 1e-9) and tpot(most + 1) * rate > 1
            assert row["batch_memory"] == memory.batch_memory(deployment, float(row["seq"]))  # type: ignore[arg-type]


def test_chunks_too_small_to_amortise_the_weights_delay_the_first_token() -> None:
    whole, chunked = (next(rc.interactivity("llama-3.1-8b", "h100-sxm", isl=8000, osl=10, batch=4, chunk=c).rows()) for c in (None, 100))
    assert chunked["ttft_ms"] > whole["ttft_ms"] and chunked["throughput_tok_s"] < whole["throughput_tok_s"]  # type: ignore[operator]
    assert chunked["step_ms"] == whole["step_ms"] and chunked["chunk"] == 100
    alone = next(rc.prefill("llama-3.1-8b", "h100-sxm", seq=8000, chunk=100).rows())
    assert chunked["ttft_idle_ms"] == pytest.approx(alone["ttft_ms"], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--isl 1k", "--isl, --osl: a generation needs both"),
        ("--osl 1k", "--isl, --osl: a generation needs both"),
        ("--isl 1k --osl 1k --seq 2k", "seq: give either contexts"),
        ("--seq 1k --chunk 100", "--kv-at, --chunk: only for generations; give --isl and --osl"),
        ("--seq 1k --kv-at mean", "--kv-at, --chunk: only for generations; give --isl and --osl"),
        ("--isl 1k --osl 0", "osl: expected 1 to"),
        ("--isl -1 --osl 1", "isl: expected 0 to"),
        ("--isl 1.5 --osl 1", "isl: expected a whole number, got 1.5"),
        ("--isl 1k --osl 1k --kv-at begin", "--kv-at: invalid choice 'begin' (choose from end, mean)"),
        ("--isl 1k --osl 1k --chunk 0", "chunk: expected 1 to"),
        ("--isl 1k --osl 1k --chunk 100,200", "chunk: expected one number, got 2"),
        ("--isl 1G --osl 1k --chunk 1", "steps of 1 tokens; at most 10,000,000"),
    ],
)
def test_bad_generations(options: str, complaint: str) -> None:
    for command in ("max-batch", "interactivity"):
        assert complaint in refused(f"{command} llama-3.1-8b h100-sxm {options}")


def test_more_generations_than_fit_the_memory_are_refused() -> None:
    with pytest.raises(RoofcalcError, match="1,000,000 generations per model and system; at most 312,500"):
        mean_step(on("llama-3.1-8b", "h100-sxm"), np.arange(1e6), 10)
    many = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=np.arange(1, 2001), osl=10, batch=[1, 2])  # a question takes them piece by piece
    assert len(many) == 4000 and (np.diff(many["step_ms"][::2]) > 0).all()


@pytest.mark.parametrize("model", KINDS)
def test_throughput_of_presets_in_order(model: str) -> None:
    batch = np.array([1.0, 2, 5, 8, 64, 300])
    for (machine, pp), (isl, osl) in share(itertools.product(LAYOUTS, ((0, 50), (100, 1), (100, 1000), (20_000, 10))), 4, model):
        found = []
        for given in ({"assume": "bound"}, {"overlap": "full"}, {"overlap": "net"}, {}, {"overlap": "none"}):
            try:
                deployment = on(model, machine, pp=pp, **given)
            except RoofcalcError:  # the heads do not divide
                continue
            found.append(output_tok_s(deployment, isl, osl, batch, mean_step(deployment, isl, osl)))
        for faster, slower in itertools.pairwise(found):
            assert (faster >= slower * (1 - 1e-9)).all(), (machine, pp, isl, osl)


def test_generations_beyond_the_model_say_so() -> None:
    table = rc.interactivity("llama-2-7b", "h100-sxm", isl=4000, osl=97, batch=1)
    assert any("context exceeds the model's maximum of 4096 tokens" in note for note in table.notes)
    assert not any("context exceeds" in note for note in rc.interactivity("llama-2-7b", "h100-sxm", isl=4000, osl=96, batch=1).notes)


def test_a_note_says_that_prompts_of_others_count() -> None:
    def said(**given: object) -> int:
        return sum("includes the prefill of other requests" in note for note in rc.interactivity("llama-3.1-8b", "h100-sxm", batch=8, **given).notes)

    generations: dict[str, object] = {"isl": [1000, 2000], "osl": 500}
    assert said(**generations) == 1
    assert said(seq=1000) == said(prefill="separate", **generations) == said(assume="bound", **generations) == 0


@pytest.mark.parametrize("met", [0.001, 0.5, 2.0, 8.0])
def test_ranks_in_a_pipeline_wait_for_the_prompts_of_all_by_hand(met: float) -> None:
    """Two stages of four ranks that exchange tokens, answers of 100 tokens, `met` prompts in each of the two parts of a step on average.

    A part whose ranks have any prompt (a Poisson distribution, summed term by term) takes one pass of a stage with as many as there then
    are; two parts follow one another in a step, as long as a full pipeline takes for two times as many prompts.
    """
    deployment = on("qwen3-30b-a3b", "8xh100-sxm", tp=1, dp=4, ep=4, pp=2, assume="typical")
    count = np.arange(1.0, 100.0)
    chance = np.cumprod(met / count) * np.exp(-met)
    some, prompts = chance.sum(), (chance * count).sum() / chance.sum()
    expected = 100 * some * float(prefill(deployment, 2000, 0, 2 * prompts).batch_prefill_s)
    assert prompt_waits(deployment, 2000, 100.0, np.array(met * 2 * 100))[1] == pytest.approx(expected, rel=1e-9)


def test_ranks_wait_for_the_prompts_of_each_copy_of_a_drafter() -> None:
    """Two prompts in a step on average: some in 1 - e^-2 of the steps, which then take one pass of the model and one of each of three layers."""
    plain = on("deepseek-v3", "8xh200-sxm", tp=1, dp=8, dcp=1, assume="typical")
    drafted = with_drafts(plain, 3, 0.7, own_layers=True)
    assert drafted.draft is not None and drafted.draft.deployment is not None
    three = replace(drafted, draft=replace(drafted.draft, copies=3))
    steps, some = 1000 / (1 + 0.7 + 0.7**2 + 0.7**3), 1 - np.exp(-2)
    model, layer = (float(prefill(one, 2000, 0, 2 / some).batch_prefill_s) for one in (plain, drafted.draft.deployment))
    assert prompt_waits(three, 2000, 1000.0, np.array(2 * steps))[1] == pytest.approx(steps * some * (model + 3 * layer), rel=1e-9)
