"""Claims for every kind of layer that is not dense: each expected literal is worked by hand here or published."""

from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import memory
from roofcalc.physics.decode_ops import at_context, batch_operations, sequence_operations, token_load
from roofcalc.physics.ops.operation import Operation
from roofcalc.physics.roofline import decode
from tests.claims.test_claims import on

EXAMPLES = Path(__file__).parent.parent / "examples" / "models"


def example(name: str) -> str:
    return str(EXAMPLES / f"{name}.yaml")


def per_device(deployment: Deployment, seq: int) -> float:
    """Bytes of cache of one sequence on one device."""
    (stage,) = deployment.stages
    return float(memory.kv_bytes(deployment, stage, np.float64(seq)))


def reading(deployment: Deployment, seq: int, word: str) -> tuple[float, float]:
    """FLOPs and bytes per sequence of the operations over caches and states whose name ends so, in all layers."""
    (stage,) = deployment.stages
    found = [one for one in sequence_operations(deployment, stage, at_context(np.float64(seq))) if one.name.endswith(f".{word}")]
    assert found
    return sum(one.layers * float(one.flops) for one in found), sum(one.layers * float(one.bytes) for one in found)


def products(deployment: Deployment, batch: int, word: str) -> list[Operation]:
    (stage,) = deployment.stages
    load, _ = token_load(deployment, np.float64(batch))
    return [one for one in batch_operations(deployment, stage, load) if word in one.name]


def weights(deployment: Deployment) -> float:
    stages: list[Stage] = deployment.stages
    return max(memory.weight_bytes(deployment, stage) for stage in stages)


# DeepSeek-V3: (512 + 64) · 2 bytes in 61 layers; as fp8 kernels keep it 512 + 4 scales of 4 bytes + 64 · 2 = 656 bytes


def test_deepseek_v3_keeps_70_272_bytes_of_a_token() -> None:
    assert per_device(on("deepseek-v3", "h200-sxm"), 1) == 70_272
    assert per_device(on("deepseek-v3", "h200-sxm", kv="fp8"), 1) == 61 * 576 == 35_136
    # the sparse kernel of V3.2 keeps 512 latents, four scales and 64 rotary numbers in 16 bits, and an index key of 132 bytes
    assert per_device(on("deepseek-v3.2", "h200-sxm", kv="fp8"), 1) == 61 * (656 + 132)


def test_eight_tensor_ranks_hold_eight_copies_and_context_or_data_ranks_one() -> None:
    for layout, each, together in (({"tp": 8}, 70_272, 8 * 70_272), ({"tp": 8, "dcp": 8}, 8_784, 70_272), ({"tp": 1, "dp": 8}, 70_272, 70_272)):
        deployment = on("deepseek-v3", "8xh200-sxm", **layout)
        assert per_device(deployment, 1) == each
        assert memory.system_kv_bytes(deployment, 1) == together


def test_eight_devices_of_deepseek_v3_serve_as_many_as_their_memory_holds() -> None:
    # fp8 weights of a tensor rank: 58 layers of 32 experts · 3 · 7,168 · 2,048 and the rest by hand below; 141 GB per device, 10,000 tokens
    attention = 7_168 * 1_536 + 1_536 * 16 * 192 + 7_168 * 576 + 512 * 16 * 256 + 16 * 128 * 7_168
    dense = 3 * (attention + 3 * 7_168 * 2_304)
    moe = 58 * (attention + 3 * 7_168 * 256 + 32 * 3 * 7_168 * 2_048)
    tables = 2 * 16_160 * 7_168
    wide = 58 * (7_168 * 256 + 256) + 61 * (2 * 7_168 + 1_536 + 512) + 7_168  # routers, their corrections, norms: 16-bit
    room = 141e9 - (dense + moe + tables) - 2 * wide
    for layout, copies in (({"tp": 8}, 1), ({"tp": 8, "dcp": 8}, 8)):
        assert memory.batch_memory(on("deepseek-v3", "8xh200-sxm", weights="all=fp8", **layout), 10_000) == room // (10_000 * 70_272 / copies)


def test_deepseek_v3_at_one_user_on_eight_devices() -> None:
    # The same weights but the embedding, read at 4,800 GB/s: 8 of 256 experts, an eighth of each; 16-bit routers; 1,000 entries of
    # 1,152 bytes per layer, whole on each rank
    attention = 7_168 * 1_536 + 1_536 * 16 * 192 + 7_168 * 576 + 512 * 16 * 256 + 16 * 128 * 7_168
    read = 61 * attention + 3 * 3 * 7_168 * 2_304 + 58 * (3 * 7_168 * 256 + 8 / 8 * 3 * 7_168 * 2_048) + 16_160 * 7_168
    read += 2 * 58 * 7_168 * 256 + 61 * 1_152 * 1_000
    assert decode(on("deepseek-v3", "8xh200-sxm", weights="all=fp8", network="ideal"), 1_000).seconds(1) == pytest.approx(read / 4800e9, rel=1e-12)


def test_absorbed_attention_flops() -> None:
    # 128 heads meet a latent of 512 and a rotary key of 64, and sum latents: 2 · 128 · (576 + 512) in 61 layers
    flops, moved = reading(on("deepseek-v3", "h200-sxm"), 10_000, "attention")
    assert (flops, moved) == (61 * 2 * 128 * 1_088 * 10_000, 70_272 * 10_000)


def test_deepseek_v32_scores_all_and_reads_2048() -> None:
    # Of 100,000 tokens 2,048 entries of 1,152 bytes are read, all keys of 128 fp8 bytes and a scale are scored by 64 heads; all held
    deployment = on("deepseek-v3.2", "h200-sxm")
    assert reading(deployment, 100_000, "attention") == (61 * 2 * 128 * 1_088 * 2_048, 61 * 1_152 * 2_048)
    assert reading(deployment, 100_000, "index") == (61 * 2 * 64 * 128 * 100_000, 61 * 132 * 100_000)
    assert reading(deployment, 1_000, "attention")[1] == 61 * 1_152 * 1_000
    assert per_device(deployment, 100_000) == 61 * (1_152 + 132) * 100_000


def test_deepseek_v4_pro_at_a_million_tokens() -> None:
    # 30 layers: floor(10^6/4) pool entries of which 1,024 are read, beside 128 raw ones, 512 · 2 bytes each; every pool entry's key,
    # 132 bytes, is scored. 31 layers: floor(10^6/128) = 7,812 and 128. Half-filled blocks: 2·(2·4)·(2·512)·4 + 2·(2·4)·(2·128)·4
    # and 2·128·512·4 bytes
    deployment = on("deepseek-v4-pro", "b200-sxm")
    assert reading(deployment, 10**6, "attention")[1] == (30 * (1_024 + 128) + 31 * (7_812 + 128)) * 1_024
    assert reading(deployment, 10**6, "attention")[0] == (30 * (1_024 + 128) + 31 * (7_812 + 128)) * 4 * 128 * 512
    assert reading(deployment, 10**6, "index") == (30 * 2 * 64 * 128 * 250_000, 30 * 132 * 250_000)
    held = 30 * (250_128 * 1_024 + 250_000 * 132 + 65_536 + 16_384) + 31 * (7_940 * 1_024 + 524_288)
    assert per_device(deployment, 10**6) == held == 8_944_690_048
    # a million tokens of DeepSeek-V3's cache would be 70.3 GB
    assert held < 70_272e6 / 7


def test_deepseek_v4_output_of_more_ranks_than_groups() -> None:
    # Flash: 8 groups of 8 heads; on 16 ranks 4 heads of 512 each meet 1,024 columns of their group, then 1,024 rows to 4,096
    for ranks, heads in ((16, 4), (8, 8), (4, 16)):
        found = products(on("deepseek-v4-flash", f"{ranks}xh200-sxm", tp=ranks), 1, ".o")
        assert {one.flops for one in found} == {2.0 * heads * 512 * 1_024, 2.0 * max(1, 8 // ranks) * 1_024 * 4_096}


def test_minimax_m3_reads_seventeen_blocks() -> None:
    # 57 layers read 16 chosen blocks of 128 and the local one, 3 layers everything; 2 · 4 heads · 128 · 2 bytes; 4 index heads of 128
    deployment = on("minimax-m3", "b200-sxm")
    assert reading(deployment, 100_000, "attention")[1] == (57 * (16 + 1) * 128 + 3 * 100_000) * 2_048
    assert reading(deployment, 100_000, "index") == (57 * 2 * 4 * 128 * 100_000, 57 * 132 * 100_000)
    assert per_device(deployment, 100_000) == 100_000 * (60 * 2_048 + 57 * 132)


def test_gpt_oss_windows_and_the_pages_that_engines_reserve() -> None:
    # 2 · 8 heads · 64 · 2 bytes in 36 layers: 73,728 per token in vLLM's own log, whose pages all layers share
    assert memory.system_kv_bytes(on("gpt-oss-120b", "h100-sxm", kv_policy="reserved"), 1_000) == 73_728_000
    # as built, 18 layers keep 128 tokens
    assert memory.system_kv_bytes(on("gpt-oss-120b", "h100-sxm"), 131_072) == 18 * 2_048 * (131_072 + 128) == 4_836_556_800
    assert reading(on("gpt-oss-120b", "h100-sxm", kv_policy="reserved"), 131_072, "attention")[1] == 4_836_556_800
    assert reading(on("gpt-oss-120b", "h100-sxm"), 131_072, "attention")[0] == 18 * 4 * 64 * 64 * (131_072 + 128)


def test_gemma_3_27b_at_128k() -> None:
    # 2 · 16 heads · 128 · 2 bytes: 10 layers keep 131,072 tokens, 52 keep 1,024
    assert memory.system_kv_bytes(on("gemma-3-27b", "h100-sxm"), 131_072) == 8_192 * (10 * 131_072 + 52 * 1_024) == 11_173_625_856
    assert memory.system_kv_bytes(on("gemma-3-27b", "h100-sxm"), 1_000) == 8_192 * 62 * 1_000


def test_llama_4_scout_keeps_chunks() -> None:
    # 2 · 8 heads · 128 · 2 bytes: 36 layers keep the newest 8,192 tokens at most, 12 all
    deployment = on("llama-4-scout", "h200-sxm")
    assert per_device(deployment, 20_000) == reading(deployment, 20_000, "attention")[1] == 4_096 * (12 * 20_000 + 36 * 8_192)
    assert per_device(deployment, 5_000) == 4_096 * 48 * 5_000


def test_borrowed_caches_are_read_twice_and_held_once() -> None:
    # Hunyuan-Large: 64 layers in pairs, 2 · 8 heads · 80 · 2 bytes in this example
    deployment = on(example("borrowed"), "h200-sxm")
    assert per_device(deployment, 1_000) == 32 * 2_560 * 1_000
    assert reading(deployment, 1_000, "attention")[1] == 64 * 2_560 * 1_000


@pytest.mark.parametrize(("batch", "distinct"), [(1, 2.0), (8, 7.199_096_679_687_5), (64, 7.999_999_919_274_481)])
def test_mixtral_step(batch: int, distinct: float) -> None:
    # D = 8·(1 − 0.75^B) of 8 experts are read, 3 · 4,096 · 14,336 weights each, beside attention 4,096 · 6,144 + 4,096², router
    # 4,096 · 8 and head 32,000 · 4,096, two bytes each; 32 layers · 2 · 8 heads · 128 · 2 bytes of 1,000 tokens per sequence
    layer = 4_096 * 6_144 + 4_096**2 + 4_096 * 8 + distinct * 3 * 4_096 * 14_336
    read = 2 * (32 * layer + 32_000 * 4_096) + batch * 131_072 * 1_000
    assert decode(on("mixtral-8x7b", "h100-sxm"), 1_000).seconds(batch) == pytest.approx(read / 3350e9, rel=1e-12)


def test_mixtral_on_data_ranks() -> None:
    # One expert on each of 8 ranks, a sequence each: D(8)/8 experts of every layer are read; a token reaches 7 · (1 − 21/28) = 1.75
    # others, twice 8,192 bytes at 450 GB/s
    layer = 4_096 * 6_144 + 4_096**2 + 4_096 * 8 + 7.199_096_679_687_5 / 8 * 3 * 4_096 * 14_336
    read = 2 * (32 * layer + 32_000 * 4_096) + 131_072 * 1_000
    sent = 32 * 2 * 1.75 * 8_192
    seconds = decode(on("mixtral-8x7b", "8xh100-sxm", tp=1, dp=8), 1_000).seconds(8)
    assert seconds == pytest.approx(read / 3350e9 + sent / 450e9, rel=1e-12)
    # a busiest rank with 1.1 times the mean reads 1.1 · 7.199 = 7.919 of 8 experts' worth; with twice the mean no more than all 8
    for imbalance, load in ((1.1, 1.1 * 7.199_096_679_687_5), (2.0, 8.0), (100.0, 8.0)):
        more = decode(on("mixtral-8x7b", "8xh100-sxm", tp=1, dp=8, imbalance=imbalance), 1_000).seconds(8) - seconds
        assert more == pytest.approx(2 * 32 * (load - 7.199_096_679_687_5) / 8 * 3 * 4_096 * 14_336 / 3350e9, rel=1e-9)


def test_mixtral_computes_two_experts_per_token() -> None:
    # 4,096 sequences of one token on one H200: 2 · T · (attention + router + 2 experts) FLOPs in 32 layers and the head at
    # 989.4 TFLOP/s, attention by bandwidth: 131,072 bytes per sequence
    layer = 4_096 * 6_144 + 4_096**2 + 4_096 * 8 + 2 * 3 * 4_096 * 14_336
    flops = 2 * 4_096 * (32 * layer + 32_000 * 4_096)
    expected = flops / 989.4e12 + 4_096 * 131_072 / 4800e9
    assert decode(on("mixtral-8x7b", "h200-sxm"), 1).seconds(4_096) == pytest.approx(expected, rel=1e-12)


def test_mixtral_weights_of_a_tensor_rank() -> None:
    # Split over 8: an eighth of attention and of every expert; the router whole; 4,000 rows of both tables; 65 norms of 4,096
    rank = 32 * ((4_096 * 6_144 + 4_096**2) // 8 + 4_096 * 8 + 8 * 3 * 4_096 * 14_336 // 8) + 2 * 4_000 * 4_096 + 65 * 4_096
    for ep in (1, 8):
        assert weights(on("mixtral-8x7b", "8xh100-sxm", tp=8, ep=ep)) == 2 * rank


def test_experts_that_do_not_divide_fill_the_fullest_rank() -> None:
    # 8 experts on 6 ranks: two on the fullest, 3 · 4,096 · 14,336 · 2 bytes each in 32 layers; split evenly 8/6 of one
    def gap(ep: int) -> float:
        return weights(on("mixtral-8x7b", "6xh100-sxm", tp=2, dp=3, ep=ep))

    assert gap(6) - gap(1) == pytest.approx((2 - 8 / 6) * 32 * 3 * 4_096 * 14_336 * 2, rel=1e-9)
    # DeepSeek-V3 with 32 copies more on 16 ranks: (256 + 32)/16 = 18 experts instead of 16
    one, more = (weights(on("deepseek-v3", "16xh200-sxm", weights="all=fp8", tp=1, dp=16, redundant_experts=copies)) for copies in (0, 32))
    assert more - one == 58 * 2 * 3 * 7_168 * 2_048


def test_longcat_experts_that_compute_nothing() -> None:
    # 12 of 768 are chosen, 512 of which compute: 8 real ones per token, 512·(1 − (1 − 12/768)^100) = 406.0 by 100 tokens
    (up, down) = products(on("longcat-flash", "h200-sxm", weights="bf16"), 1, ".expert_")
    assert up.flops + down.flops == pytest.approx(2 * 8 * 3 * 6_144 * 2_048, rel=1e-12)
    assert up.bytes + down.bytes == pytest.approx(2 * 8 * 3 * 6_144 * 2_048, rel=1e-12)
    (up, down) = products(on("longcat-flash", "h200-sxm", weights="bf16"), 100, ".expert_")
    assert up.bytes + down.bytes == pytest.approx(2 * 405.994_717_452_342 * 3 * 6_144 * 2_048, rel=1e-12)


def test_kimi_k3_experts_work_on_a_smaller_hidden_state() -> None:
    # 16 of 896 experts of 3 · 3,584 · 3,072 weights at 0.53125 bytes; 7,168 ↔ 3,584 around them, whole on each of 8 ranks
    deployment = on("kimi-k3", "8xb200-sxm", tp=8)
    for block in ("kda", "mla"):
        (up, down) = products(deployment, 1, f"{block}.expert_")[-2:]
        assert up.bytes + down.bytes == pytest.approx(16 / 8 * 3 * 3_584 * 3_072 * 0.53125, rel=1e-12)
    assert {one.flops for one in products(deployment, 1, ".latent_")} == {2.0 * 7_168 * 3_584}


def test_qwen3_next_state() -> None:
    # 36 layers: 32 heads · 128 · 128 numbers of 4 bytes, and 3 inputs of a convolution 2·16·128 + 32·128 wide in 2 bytes: 73.7 MiB;
    # 12 layers keep 2 · 2 heads · 256 · 2 bytes per token
    state = 36 * (32 * 128 * 128 * 4 + 3 * 8_192 * 2)
    assert state / 2**20 == pytest.approx(73.7, abs=0.05)
    assert per_device(on("qwen3-next-80b-a3b", "h200-sxm"), 1_000) == state + 12 * 2_048 * 1_000
    # the recurrent part is read and written, 8 FLOPs per number and token
    assert reading(on("qwen3-next-80b-a3b", "h200-sxm"), 1_000, "state") == (36 * 8 * 524_288, 36 * 2 * 524_288 * 4)


def test_falcon_mamba_never_slows_down() -> None:
    # 64 layers of 8,192 · 16 numbers in 4 bytes and 3 inputs of 8,192 in 2 bytes, whatever the context
    deployment = on("falcon-mamba-7b", "h100-sxm")
    assert per_device(deployment, 10) == per_device(deployment, 10**6) == 64 * (8_192 * 16 * 4 + 3 * 8_192 * 2)
    # in 4,096 → 2 · 8,192, x 8,192 → 256 + 2 · 16, dt 256 → 8,192, out 8,192 → 4,096, head 65,024 · 4,096 at two bytes; of 5
    # sequences the state twice
    layer = 4_096 * 16_384 + 8_192 * 288 + 256 * 8_192 + 8_192 * 4_096
    moved = 2 * (64 * layer + 65_024 * 4_096) + 5 * 64 * 2 * 8_192 * 16 * 4
    for seq in (1, 10**6):
        assert decode(deployment, seq).seconds(5) == pytest.approx(moved / 3350e9, rel=1e-12)


def test_jamba_states_divide_over_tensor_ranks() -> None:
    # 28 Mamba layers: 8,192/8 channels · 16 in 4 bytes and 3 inputs in 2 bytes; 4 of attention: one KV head of 128 on each of 8 ranks
    expected = 28 * (1_024 * 16 * 4 + 3 * 1_024 * 2) + 4 * 2 * 128 * 2 * 10_000
    assert per_device(on("jamba-1.5-mini", "8xh100-sxm", tp=8), 10_000) == expected


@pytest.mark.parametrize(("model", "gib"), [("gpt-oss-20b", 12.8), ("gpt-oss-120b", 60.8)])
def test_checkpoints_in_their_own_mix(model: str, gib: float) -> None:
    # arXiv 2508.10925, table 1: checkpoint size
    table = rc.memory(model, "h100-sxm", seq=1, batch=1)
    assert table["weights_gb"][0] * 1e9 / 2**30 == pytest.approx(gib, rel=0.01)


def test_one_answer_for_every_question() -> None:
    # gpt-oss-120b beside 65.2 GB of weights in 80 GB: as engines reserve, (80 − W)/73,728 tokens
    table = rc.memory("gpt-oss-120b", "h100-sxm", seq=1_000, batch=1, kv_policy="reserved")
    free = 80e9 - table["weights_gb"][0] * 1e9
    assert table["batch_memory"][0] == free // 73_728_000 and table["max_context"][0] == free // 73_728
