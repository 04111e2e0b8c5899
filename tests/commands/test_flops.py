"""FLOPs against context: by hand, and where they become the limit."""

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.physics.model_flops import attention_flops, linear_flops, prefill_flops
from roofcalc.physics.ops.types import Sharding
from roofcalc.physics.prefill import prefill
from roofcalc.solvers.max_batch import flop_limited_context, flop_limited_prompt
from roofcalc.specs.parameter_count import count
from tests.physics.test_prefill import KINDS, on
from tests.shell import refused, rows, run

LARGE = 405_853_388_800 - 128_256 * 16_384 - 253 * 16_384  # Llama 3.1 405B less the embedding and 2·126 + 1 norms
SMALL = 7_504_658_432  # Llama 3.1 8B alike: 8,030,261,248 − 525,336,576 − 65·4,096
HEAD = 525_336_576  # 128,256·4,096


def test_published_flops_of_llama_405b() -> None:
    # 126 layers · 4 · 128 heads · 128 = 8,257,536 per token of context; two per weight
    for row in rc.flops("llama-3.1-405b", seq=[1, 775, 7661, 131_072]).rows():
        seq = int(row["seq"])  # type: ignore[arg-type]
        assert row["sdpa_gflop_per_token"] == pytest.approx(8_257_536 * seq / 1e9, rel=1e-12)
        assert row["linear_gflop_per_token"] == pytest.approx(2 * LARGE / 1e9, rel=1e-12)
        assert row["total_gflop_per_token"] == pytest.approx((8_257_536 * seq + 2 * LARGE) / 1e9, rel=1e-12)


@pytest.mark.parametrize("new", [1, 1000, 131_072])
def test_a_prompt_of_llama_8b_by_hand(new: int) -> None:
    # 2 per weight and token, the head's for the last token alone; 4·32 layers·32 heads·128 per pair of tokens
    expected = 2 * (SMALL - HEAD) * new + 2 * HEAD + 4 * 32 * 32 * 128 * new * (new + 1) / 2
    (row,) = rc.flops("llama-3.1-8b", seq=new).rows()
    assert row["prefill_tflop"] == pytest.approx(expected / 1e12, rel=1e-12)
    ops = rc.ops("llama-3.1-8b", "h100-sxm", phase="prefill", seq=new, batch=3)
    assert ops["gflop"].sum() == pytest.approx(3 * expected / 1e9, rel=1e-12)


@pytest.mark.parametrize("model", KINDS)
def test_a_model_alone_computes_what_one_device_does(model: str) -> None:
    base = lookup.model(model)[0]
    place = Sharding()
    for new, cached in ((1, 0), (1, 999), (300, 0), (300, 20_000)):
        found = float(prefill_flops(base, place, new, cached))
        ops = rc.ops(model, "h100-sxm", phase="prefill", seq=new, cached=cached)
        assert ops["gflop"].sum() == pytest.approx(found / 1e9, rel=1e-9)
    decode = rc.ops(model, "h100-sxm", seq=5000)
    if model != "llama-4-scout":
        expected = float(attention_flops(base, place, 5000.0)) + linear_flops(base)
        assert decode["gflop"].sum() == pytest.approx(expected / 1e9, rel=1e-9)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "mixtral-8x7b", "deepseek-v3", "gemma-3-27b", "qwen3-32b"])
def test_products_are_two_per_active_weight(model: str) -> None:
    base = lookup.model(model)[0]
    vectors = sum(n * base.block_vectors(base.blocks[name]) for name, n in base.groups.items()) + base.outer_vectors()
    assert linear_flops(base) == 2 * (count(base).active - vectors)


def test_the_flop_limited_context_by_hand() -> None:
    # 8·1,978.9 TFLOP/s in fp8 for products, half for attention: 128 · 30 · (2·LARGE/F8 + 8,257,536·S/F16) = 1
    fp8, bf16 = 8 * 1978.9e12, 8 * 989.4e12
    context = (1 / (128 * 30) - 2 * LARGE / fp8) * bf16 / 8_257_536
    (row,) = rc.flops("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", seq=1000, batch=128, interactivity=30).rows()
    assert row["flop_limited_seq"] == int(context) == 200_728
    assert (row["batch"], row["min_interactivity_tok_s"]) == (128, 30)
    half = rc.flops("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", seq=1000, batch=64, interactivity=60)["flop_limited_seq"][0]
    assert half == row["flop_limited_seq"]  # as many tokens a second
    slower = rc.flops("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", seq=1000, batch=128, interactivity=30, mfu=0.5)["flop_limited_seq"][0]
    assert slower == int((0.5 / (128 * 30) - 2 * LARGE / fp8) * bf16 / 8_257_536)


def test_the_flop_limited_prompt_by_hand() -> None:
    # One H100 in bf16: 2·(SMALL − HEAD)·P + 2·HEAD + 524,288·P·(P + 1)/2 = 989.4e12 · 0.5 s
    (row,) = rc.flops("llama-3.1-8b", "h100-sxm", seq=1000, ttft=0.5).rows()
    prompt = int(row["flop_limited_seq"])  # type: ignore[arg-type]

    def flop(new: int) -> float:
        return 2 * (SMALL - HEAD) * new + 2 * HEAD + 262_144 * new * (new + 1)

    assert flop(prompt) <= 989.4e12 * 0.5 < flop(prompt + 1) and row["max_ttft_s"] == pytest.approx(0.5)
    # Nothing else is waited for in it: the time to first token itself is a little longer
    seconds = rc.prefill("llama-3.1-8b", "h100-sxm", seq=prompt)["ttft_ms"][0] / 1e3
    assert 0.5 <= seconds * (1 + 1e-6) < 0.501


@pytest.mark.parametrize("model", KINDS)
def test_limits_are_exact_for_every_kind(model: str) -> None:
    for machine in ("h100-sxm", "8xh200-sxm"):
        deployment = on(model, machine, network="ideal", overlap="full")
        prompt = float(flop_limited_prompt(deployment, 2.0, 1.0))
        if prompt == prompt:  # FLOPs alone set the time of a long prompt: all else is hidden in `full`
            assert float(prefill(deployment, prompt, 0, 2).ttft_s) <= 1 + 1e-9 < float(prefill(deployment, prompt + 1, 0, 2).ttft_s) + 1e-9
        context = float(flop_limited_context(deployment, 200.0, 50.0))
        assert context != context or context >= 0
        assert not flop_limited_context(deployment, 200.0, 100.0) > context


def test_where_flops_never_or_always_limit() -> None:
    (row,) = rows("flops mamba2-1.3b h100-sxm --seq 1k --batch 10")
    assert row["flop_limited_seq"] == ""  # attention does not grow
    (row,) = rows("flops llama-3.1-8b h100-sxm --seq 1k --batch 1000 --interactivity 1000")
    assert row["flop_limited_seq"] == "0"  # products alone want more
    (row,) = rows("flops gpt-oss-20b --seq 1k")
    assert row["hardware"] == row["weights"] == row["flop_limited_seq"] == "" and row["kv"] == "bf16" and "batch" not in row


def test_lists_of_batches_and_rates_cross_in_order() -> None:
    found = rows("flops llama-3.1-8b h100-sxm --seq 1k,2k --batch 1,8,64 --interactivity 20,50")
    keys = [(row["seq"], row["batch"], row["min_interactivity_tok_s"]) for row in found]
    assert keys[:4] == [("1000", "1", "20"), ("1000", "1", "50"), ("1000", "8", "20"), ("1000", "8", "50")] and len(set(keys)) == 12
    limits = {key[1:]: row["flop_limited_seq"] for key, row in zip(keys, found, strict=True)}
    for (batch, rate), limit in limits.items():
        one = rows(f"flops llama-3.1-8b h100-sxm --seq 1k --batch {batch} --interactivity {rate}")[0]
        assert one["flop_limited_seq"] == limit
    assert all(row["flop_limited_seq"] == limits[key[1:]] for key, row in zip(keys, found, strict=True))
    note = "note: flop_limited_seq: at 30 tok/s for each user (--interactivity)"
    assert note in run("flops llama-3.1-8b h100-sxm --seq 1k").stderr and note not in run("flops llama-3.1-8b --seq 1k").stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("flops llama-3.1-8b --batch 2", "flops: --batch, --interactivity and --ttft need hardware"),
        ("flops llama-3.1-8b --interactivity 2", "need hardware"),
        ("flops llama-3.1-8b --ttft 2", "need hardware"),
        ("flops llama-3.1-8b --tp 8", "flops: --tp: no effect on the FLOPs of a model without hardware; name the hardware too"),
        ("flops llama-3.1-8b --weights all=fp8 --mfu 0.5", "flops: --weights, --mfu: no effect on the FLOPs of a model"),
        ("flops llama-3.1-8b h100-sxm --ttft 1 --interactivity 30", "flops: give --interactivity or --ttft, not both"),
        ("flops llama-3.1-8b h100-sxm --ttft 0", "ttft: expected"),
        ("flops llama-3.1-8b h100-sxm --interactivity nan", "is not a number"),
        ("flops llama-3.1-8b h100-sxm --batch 1.5", "batch: expected a whole number"),
        ("flops llama-3.1-8b nope", "unknown hardware 'nope'"),
        ("flops nope", "unknown model 'nope'"),
        ("flops llama-3.1-8b --kv fp9", "unknown dtype 'fp9'"),
    ],
)
def test_bad_flops(line: str, complaint: str) -> None:
    text = refused(line)
    assert complaint in text and text.count("error: ") == 1


def test_times_to_first_token_are_shown_as_given() -> None:
    given = [49.0, 0.3, 1.1, 93.0]  # 1/(1/49) is 49.00000000000001 in floats
    assert rc.flops("llama-3.1-8b", "h100-sxm", seq=1000, ttft=given)["max_ttft_s"].tolist() == given
