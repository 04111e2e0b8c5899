"""Speculation: accepted tokens, what a step of drafts and verification reads and takes, and what the drafter weighs."""

import itertools

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.deployment import Draft
from roofcalc.deployment.speculative import with_drafts
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.decode_ops import at_context, sequence_operations
from roofcalc.physics.generation import mean_step, step_at
from roofcalc.physics.kv_span import Chunk, Full, Pool, Span, Sum, Top, Window
from roofcalc.physics.kv_storage import Reserved, SharedKV
from roofcalc.physics.roofline import decode
from roofcalc.solvers.max_batch import max_batch
from roofcalc.specs.parameter_count import count
from tests.physics.test_prefill import KINDS, on
from tests.shell import refused, rows, run

LLAMA_8B = 7_504_658_432  # weights that a token multiplies by: 8,030,261,248 less the embedding and the norms
LLAMA_1B = 1_235_746_816  # of Llama 3.2 1B, whose embedding is its head


@pytest.mark.parametrize("drafts", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.8, 0.99, 1.0])
def test_accepted_tokens_are_the_mean_over_all_outcomes(rate: float, drafts: int) -> None:
    # j drafts are accepted and the next is not, or all are; one token comes from the target itself
    outcomes = [(rate**j * (1 - rate), j + 1) for j in range(drafts)] + [(rate**drafts, drafts + 1)]
    assert sum(chance for chance, _ in outcomes) == pytest.approx(1)
    assert Draft(drafts, rate).accepted == pytest.approx(sum(chance * tokens for chance, tokens in outcomes), rel=1e-12)


def test_accepted_tokens_at_the_ends() -> None:
    assert Draft(5, 0.0).accepted == 1 and Draft(5, 1.0).accepted == 6
    assert Draft(3, 0.7).accepted == pytest.approx(1 + 0.7 + 0.49 + 0.343)


@pytest.mark.parametrize("context", [5, 1000, 100_000])
def test_a_step_of_a_dense_pair_by_hand(context: int) -> None:
    # One H100, bf16: each step reads its model's weights and its cache once, whatever it verifies; 3,350 GB/s.
    verify = (2 * LLAMA_8B + 131_072 * context) / 3350e9  # 2·32 layers·8 heads·128·2 bytes per token
    draft = (2 * LLAMA_1B + 32_768 * context) / 3350e9  # 2·16·8·64·2
    row = next(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=context, batch=1, draft=3, acceptance=0.7, draft_model="llama-3.2-1b").rows())
    assert row["step_ms"] == pytest.approx((verify + 3 * draft) * 1e3, rel=1e-9)
    assert row["interactivity_tok_s"] == pytest.approx(2.533 / (verify + 3 * draft), rel=1e-9)  # 1 + 0.7 + 0.49 + 0.343
    free = next(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=context, batch=1, draft=3, acceptance=0.7).rows())
    assert free["step_ms"] == pytest.approx(verify * 1e3, rel=1e-9)


def test_a_full_batch_computes_for_every_draft() -> None:
    # 400 sequences of 4 tokens: 2·1600 FLOPs per weight take longer than its 2 bytes; attention reads its cache once for 4 queries,
    # 4·524,288 FLOPs per token against 131,072 bytes: at 16 FLOP/B still memory
    deployment = with_drafts(on("llama-3.1-8b", "h100-sxm"), 3, 0.7)
    expected = 2 * 1600 * LLAMA_8B / 989.4e12 + 400 * 131_072 * 2000 / 3350e9
    assert step_at(deployment, 2000).seconds(400) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("span", "seq", "tokens", "expected"),
    [
        (Full(), 1000, 4, 1000),
        (Window(128), 1000, 4, 131),
        (Window(128), 100, 4, 100),
        (Window(128), 130, 4, 130),
        (Chunk(8192), 100, 4, 100),
        (Top(Full(), 64), 1000, 4, 256),
        (Top(Full(), 64), 200, 4, 200),
        (Top(Pool(4), 16), 1000, 4, 64),
        (Top(Pool(4), 16), 100, 4, 25),
        (Sum((Pool(128), Window(128))), 10_000, 4, 78 + 131),
        (Sum((Top(Pool(4), 16), Window(128))), 1000, 4, 64 + 131),
        (Reserved(Window(128)), 1000, 4, 131),
        (SharedKV(Window(128)), 1000, 4, 131),
    ],
)
def test_what_several_tokens_read_together(span: Span, seq: int, tokens: int, expected: int) -> None:
    assert float(span.read_by_tokens(tokens).entries_read(float(seq))) == expected
    assert span.read_by_tokens(1).entries_read(float(seq)) == span.entries_read(float(seq))


def test_verification_multiplies_flops_and_reads_the_cache_once() -> None:
    for model in KINDS:
        deployment = on(model, "8xh200-sxm")
        for stage in deployment.stages:
            for one, four in zip(*(sequence_operations(deployment, stage, at_context(5000.0), q) for q in (1.0, 4.0)), strict=True):
                assert float(four.flops) == pytest.approx(4 * float(one.flops))
                assert float(one.bytes) <= float(four.bytes) <= 4 * float(one.bytes), one.name
    dense = on("llama-3.1-8b", "h100-sxm")
    one, four = (sequence_operations(dense, dense.stages[0], at_context(5000.0), q)[0] for q in (1.0, 4.0))
    assert float(four.bytes) == float(one.bytes) == 5000 * 2 * 8 * 128 * 2  # a layer's keys and values


@pytest.mark.parametrize(("model", "machine"), [("deepseek-v3", "8xh200-sxm"), ("llama-3.1-70b", "4xh200-sxm"), ("gpt-oss-20b", "h100-sxm")])
def test_the_largest_batch_with_drafts_is_exact(model: str, machine: str) -> None:
    seqs, rates = np.array([1000.0, 30_000, 120_000]), np.array([[20.0], [60.0], [150.0]])
    base = on(model, machine)
    small = lookup.model("llama-3.2-1b")[0]
    ways = [with_drafts(base, 3, 0.7), with_drafts(base, 2, 0.9, small)]
    ways += [with_drafts(base, None, 0.8, own_layers=True)] if base.model.mtp else []
    for deployment in ways:
        found, step = max_batch(deployment, seqs, rates), step_at(deployment, seqs)
        accepted, most = deployment.accepted, found.batch_interactivity
        assert (np.where(most > 0, step.seconds(np.maximum(most, 1)) * rates, 0) <= accepted * (1 + 1e-9)).all()
        assert (step.seconds(most + 1) * rates > accepted).all()
        room, fits = deployment.usable_bytes, found.batch_memory / deployment.layout.dp
        held = memory.weight_bytes(deployment, deployment.stages[0]), memory.kv_bytes(deployment, deployment.stages[0], seqs)
        assert (held[0] + fits * held[1] <= room * (1 + 1e-9)).all() and (held[0] + (fits + 1) * held[1] > room).all()


def test_a_drafter_takes_memory() -> None:
    # Beside Llama 3.1 8B: Llama 3.2 1B's 1,235,814,400 parameters in bf16, and 32,768 bytes per token
    plain, drafted = (
        next(rc.max_batch("llama-3.1-8b", "h100-sxm", seq=10_000, interactivity=10, **given).rows())
        for given in ({}, {"draft": 3, "acceptance": 0.7, "draft_model": "llama-3.2-1b"})
    )
    assert drafted["weights_gb"] - plain["weights_gb"] == pytest.approx(2 * 1.2358144, rel=1e-9)  # type: ignore[operator]
    assert drafted["kv_gb_per_seq"] - plain["kv_gb_per_seq"] == pytest.approx(0.32768, rel=1e-9)  # type: ignore[operator]
    assert drafted["batch_memory"] == (80e9 - 2 * (8_030_261_248 + 1_235_814_400)) // (10_000 * (131_072 + 32_768))


def test_memory_counts_the_drafter() -> None:
    plain, drafted = (rows(f"memory deepseek-v3 8xh200-sxm --seq 8k --batch 4 {more}")[0] for more in ("", "--mtp --acceptance 0.8"))
    assert float(drafted["kv_gb"]) == pytest.approx(float(plain["kv_gb"]) * 62 / 61)  # one layer more
    assert float(drafted["weights_gb"]) > float(plain["weights_gb"]) + 11.6 and int(drafted["max_context"]) < int(plain["max_context"])


MTP = [name for name in sorted(lookup.entries("models")) if lookup.model(name)[0].mtp]


@pytest.mark.parametrize("model", MTP)
def test_own_layers_weigh_what_the_catalog_counts(model: str) -> None:
    base = on(model, "h200-sxm", weights="bf16")
    heads = base.model.mtp.heads  # type: ignore[union-attr]
    drafted = with_drafts(base, None, 0.5, own_layers=True)
    assert drafted.draft and drafted.draft.tokens == heads
    weights = memory.system_weight_bytes(drafted) - memory.system_weight_bytes(base)
    assert weights == 2 * count(base.model).mtp
    one = with_drafts(base, 1, 0.5, own_layers=True)  # the first alone is loaded
    assert (memory.system_weight_bytes(one) - memory.system_weight_bytes(base)) * heads == weights
    kv = memory.system_kv_bytes(drafted, 7) - memory.system_kv_bytes(base, 7)
    assert kv > 0 and kv == heads * (memory.system_kv_bytes(one, 7) - memory.system_kv_bytes(base, 7))


def test_deepseeks_own_layer_by_hand() -> None:
    # 11,610,068,224 parameters: the router's 256·7,168 in bf16 and, in the norms' 16 bits, 2·7,168 before the projection, 2·7,168 and
    # 1,536 + 512 + 256 in the layer, 7,168 after it; all else in fp8 with a scale of 4 bytes per 128·128. 1,152 bytes per token.
    base = on("deepseek-v3", "h200-sxm")
    drafted = with_drafts(base, None, 0.8, own_layers=True)
    wide = 256 * 7168 + 5 * 7168 + 2304
    narrow = 11_610_068_224 - wide
    weights = memory.system_weight_bytes(drafted) - memory.system_weight_bytes(base)
    assert weights == pytest.approx(2 * wide + narrow * (1 + 4 / 16384), rel=1e-12)
    assert memory.system_kv_bytes(drafted, 1000) - memory.system_kv_bytes(base, 1000) == 1_152_000
    # One draft for one sequence reads the projection, attention, 8 of 256 experts beside the shared one, and the head
    attention = 7168 * 1536 + 1536 * 24_576 + 7168 * 576 + 2 * 512 * 16_384 + 16_384 * 7168
    read = (2 * 7168**2 + attention + 9 * 3 * 7168 * 2048) * (1 + 4 / 16384) + 2 * (256 * 7168 + 129_280 * 7168)
    cache = max(278_528 * 1000 / 989.4e12, 1_152_000 / 4800e9)  # 2·128 heads·(2·512 + 64) FLOPs per entry of 1,152 bytes
    step, verify = step_at(drafted, 1000.0).seconds(1), decode(base, 1000.0, 2.0).seconds(1)
    assert step - verify == pytest.approx(read / 4800e9 + cache, rel=1e-9)


def test_own_layers_divide_as_their_model_does() -> None:
    for given in ({"tp": 8, "dcp": 8}, {"tp": 8, "ep": 1}, {"tp": 1, "dp": 8}):
        base = on("deepseek-v3", "8xh200-sxm", **given)  # type: ignore[arg-type]
        drafted = with_drafts(base, None, 0.8, own_layers=True)
        assert drafted.draft and drafted.draft.deployment and drafted.draft.deployment.layout == base.layout
        per_token = memory.system_kv_bytes(drafted, 8000) / memory.system_kv_bytes(base, 8000)
        assert per_token == pytest.approx(62 / 61, rel=1e-12)  # one layer more
    dense = with_drafts(on("mimo-v2-flash", "8xh200-sxm"), None, 0.8, own_layers=True)
    assert dense.layout.ep == 8 and dense.draft and dense.draft.deployment and dense.draft.deployment.layout.ep == 1


def test_generations_with_drafts() -> None:
    drafted = with_drafts(on("llama-3.1-8b", "h100-sxm"), 3, 0.7, lookup.model("llama-3.2-1b")[0])
    each = np.mean([float(step_at(drafted, seq).seconds(5)) for seq in range(2001, 2301)])
    assert mean_step(drafted, 2000, 300).seconds(5) == pytest.approx(each, rel=1e-9)
    row = next(rc.interactivity("llama-3.1-8b", "h100-sxm", isl=2000, osl=300, batch=5, draft=3, acceptance=0.7, draft_model="llama-3.2-1b").rows())
    assert row["step_ms"] == pytest.approx(each * 1e3, rel=1e-9) and row["decode_tok_s"] == pytest.approx(2.533 / each, rel=1e-9)
    # Both models read the prompt in: 2 FLOPs per weight but the heads' (525,336,576 and 262,668,288), and 4·heads·dim per pair
    pairs = 2000 * 2001 / 2
    prompts = (2 * (LLAMA_8B - 525_336_576) * 2000 + 4 * 32 * 32 * 128 * pairs) / 989.4e12 + 2 * 525_336_576 / 3350e9
    prompts += (2 * (LLAMA_1B - 262_668_288) * 2000 + 4 * 16 * 32 * 64 * pairs) / 989.4e12 + 2 * 262_668_288 / 3350e9
    assert row["ttft_idle_ms"] == pytest.approx(prompts * 1e3, rel=1e-9)
    assert row["throughput_tok_s"] == pytest.approx(5 * 300 / (300 / 2.533 * each + 5 * prompts), rel=1e-9)
    # four other prompts come in 300/2.533 steps: half a step's worth of them before the own one, the rest between tokens
    waits = 4 * prompts * 2.533 / 600
    assert row["ttft_ms"] == pytest.approx((prompts + waits) * 1e3, rel=1e-9)
    assert row["interactivity_tok_s"] == pytest.approx(1 / (each / 2.533 + (4 * prompts - waits) / 300), rel=1e-9)


def test_steps_with_drafts_never_get_shorter() -> None:
    seqs, batches = np.array([1.0, 130, 5000, 100_000]), np.arange(1.0, 200)[:, None]
    for model, overlap in itertools.product(("gpt-oss-20b", "deepseek-v3", "deepseek-v4-flash"), ("op", "full", "net", "none")):
        time = step_at(with_drafts(on(model, "8xh200-sxm", overlap=overlap), 3, 0.7), seqs).seconds(batches)
        assert (np.diff(time, axis=0) >= -1e-15).all() and (np.diff(time, axis=1) >= -1e-15).all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--draft 2", "acceptance: there is no default acceptance rate; give it too"),
        ("--mtp", "acceptance: there is no default"),
        ("--draft-model llama-3.2-1b --draft 3", "acceptance: there is no default"),
        ("--acceptance 0.7", "--draft: give the number of tokens drafted per step too"),
        ("--draft-model llama-3.2-1b --acceptance 0.7", "--draft: give the number of tokens drafted per step too"),
        ("--draft 0 --acceptance 0.7", "draft: expected 1 to 1000, got 0"),
        ("--draft 1.5 --acceptance 0.7", "draft: expected a whole number, got 1.5"),
        ("--draft 1,2 --acceptance 0.7", "draft: expected one number, got 2"),
        ("--draft 2 --acceptance 1.7", "acceptance: expected a rate from 0 to 1, got 1.7"),
        ("--draft 2 --acceptance -0.1", "acceptance: expected a rate from 0 to 1, got -0.1"),
        ("--draft 2 --acceptance nan", "acceptance: expected a rate"),
        ("--draft 2 --acceptance 0.7 --pp 8", "--draft: speculative decoding is not modelled with pipeline parallelism (pp 8); give --pp 1"),
        ("--draft 2 --acceptance 0.7 --mtp --draft-model llama-3.2-1b", "--draft-model, --mtp: give one drafter, not both"),
        ("--draft 2 --acceptance 0.7 --draft-model nope", "unknown model 'nope'"),
        ("--draft 2 --acceptance 0.7 --draft-model qwen2.5-0.5b", "tp: 8 does not divide the 14 query heads of qwen2.5-0.5b"),
    ],
)
def test_bad_speculation(options: str, complaint: str) -> None:
    for command in ("max-batch", "interactivity"):
        text = refused(f"{command} deepseek-v3 8xh200-sxm --seq 1k {options}")
        assert complaint in text and text.count("error: ") == 1


def test_models_without_such_layers_say_so() -> None:
    assert "mtp: llama-3.1-8b has no multi-token-prediction layers" in refused("max-batch llama-3.1-8b h100-sxm --mtp --acceptance 0.7")
    with pytest.raises(RoofcalcError, match="leave the draft options out"):
        rc.ops("llama-3.1-8b", "h100-sxm", seq=1000, draft=2, acceptance=0.7)
    with pytest.raises(RoofcalcError, match="leave out the draft options"):
        rc.explain("interactivity", "llama-3.1-8b", "h100-sxm", seq=1000, batch=1, draft=2, acceptance=0.7)


def test_rows_say_who_drafts() -> None:
    line = "interactivity deepseek-v3 8xh200-sxm --seq 1k --batch 1 --acceptance 0.7"
    (own,), (other,), (free,) = (rows(f"{line} {more}") for more in ("--mtp", "--draft 2 --draft-model llama-3.2-1b", "--draft 2"))
    assert (own["draft"], own["acceptance"], own["mtp"]) == ("1", "0.7", "true")
    assert (other["draft"], other["draft_model"]) == ("2", "llama-3.2-1b") and "mtp" not in other
    assert free["draft"] == "2" and "draft_model" not in free
    assert "note: 2 draft tokens per step are assumed free" in run(f"{line} --draft 2").stderr
    assert "assumed free" not in run(f"{line} --mtp").stderr
