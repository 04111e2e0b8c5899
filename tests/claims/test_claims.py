"""Published and hand-worked figures: each expected literal says where it comes from."""

import math
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.deployment.parallelism import Layout
from roofcalc.physics import memory
from roofcalc.physics.decode_ops import at_context, sequence_operations
from roofcalc.physics.roofline import decode
from roofcalc.solvers.max_batch import max_batch
from roofcalc.solvers.max_context import max_context


def on(model: str, hardware: str, weights: str = "native", kv: str | None = None, **rest: object) -> Deployment:
    layout = {name: rest.pop(name) for name in ("tp", "pp", "dp", "ep", "dcp", "compute", "comm") if name in rest}
    return deploy(
        lookup.model(model)[0],
        lookup.hardware(hardware)[0],
        weights=weights,
        kv=kv,
        assumptions=assumptions(**rest),  # type: ignore[arg-type]
        **layout,  # type: ignore[arg-type]
    )


ARTICLE = {"weights": "all=fp8", "network": "ideal"}  # Llama 3.1 405B on 8×H100, fp8 weights, 16-bit KV, no network


@pytest.mark.parametrize(
    ("seq", "by_time", "by_memory"),
    [
        (775, 505, 585),  # 640e9 − 405.9e9 over 775 · 516,096
        (7_661, 123, 59),  # worked by hand from data-sheet peaks; 59.2 sequences beside the weights
    ],
)
def test_article_pure_roofline(seq: int, by_time: int, by_memory: int) -> None:
    found = max_batch(on("llama-3.1-405b", "8xh100-sxm", **ARTICLE), seq, 30)
    assert (found.batch_interactivity, found.batch_memory) == (by_time, by_memory)


@pytest.mark.parametrize("mbu", [0.7708, 0.775])
def test_article_batches_come_out_at_one_pair_of_efficiencies(mbu: float) -> None:
    # "token economics": 72 sequences at 7,661 tokens and 368 at 775, hence more than 5 × the cost per token
    deployment = on("llama-3.1-405b", "8xh100-sxm", mbu=mbu, mfu=0.717, **ARTICLE)
    found = max_batch(deployment, [7_661, 775], 30).batch_interactivity
    assert found[0] == 72
    if mbu == 0.775:
        assert found[1] == 368
        assert found[1] / found[0] == pytest.approx(5.11, abs=0.01)


@pytest.mark.parametrize(("mbu", "mfu", "pair"), [(0.7700, 0.717, False), (0.7757, 0.717, False), (0.775, 0.7150, False), (0.775, 0.7178, False)])
def test_article_batches_need_just_those_efficiencies(mbu: float, mfu: float, pair: bool) -> None:
    # Solved by hand: mbu in 0.7707–0.7750; at mbu 0.775 mfu in 0.7152–0.7176
    found = max_batch(on("llama-3.1-405b", "8xh100-sxm", mbu=mbu, mfu=mfu, **ARTICLE), [7_661, 775], 30).batch_interactivity
    assert (tuple(found) == (72, 368)) is pair


def test_second_reading_of_the_article_is_memory() -> None:
    # 8 × 80 GiB hold 71.2 sequences of 7,661 tokens beside 405.9 GB, by hand: (687.19 − 405.92) / 3.9538
    deployment = on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", capacity="binary")
    room = memory.system_capacity_bytes(deployment) - memory.system_weight_bytes(deployment)
    assert room / memory.system_kv_bytes(deployment, 7_661) == pytest.approx(71.2, abs=0.1)
    # and 72.2 beside the weights that are neither embedding nor head, 2 · 128,256 · 16,384
    assert (room + 2 * 128_256 * 16_384) / memory.system_kv_bytes(deployment, 7_661) == pytest.approx(72.2, abs=0.1)


def test_kv_bytes_per_token() -> None:
    # 2 · 126 layers · 8 heads · 128 · 2 bytes
    assert memory.system_kv_bytes(on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8"), 1) == 516_096
    assert memory.system_kv_bytes(on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", kv="fp8"), 1) == 258_048


def test_heads_that_outnumber_the_cache_are_copied() -> None:
    # Llama 3.1 70B: 2 · 80 · 8 · 128 · 2 = 327,680 bytes; on 16 tensor ranks each of the 8 heads is held twice
    assert memory.system_kv_bytes(on("llama-3.1-70b", "16xh100-sxm", tp=16), 1) == 655_360
    assert memory.system_kv_bytes(on("llama-3.1-70b", "16xh100-sxm", tp=8), 1) == 327_680


def test_head_dim_is_the_config_s_own() -> None:
    # Qwen3 32B: head_dim 128 although 5120 / 64 = 80; 64 layers · 8 heads · 2 · 128 · 2 bytes
    assert memory.system_kv_bytes(on("qwen3-32b", "h200-sxm"), 1) == 262_144


def test_article_memory() -> None:
    # 405,853,388,800 weights in fp8 and 4.1M norms in 16 bits on each of 8 devices; 640 − 405.9 = 234.1 GB
    deployment = on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8")
    assert memory.system_weight_bytes(deployment) / 1e9 == pytest.approx(405.9, abs=0.05)
    left = memory.system_capacity_bytes(deployment) - memory.system_weight_bytes(deployment)
    assert left / 1e9 == pytest.approx(234.1, abs=0.05)
    # at batch 32 KV alone fills 640 GB at 38,752 tokens (article: about 39k), the rest at 14.2k (article: about 16k)
    assert 640e9 / memory.system_kv_bytes(deployment, 1) / 32 == pytest.approx(38_752, abs=1)
    assert max_context(deployment, 32) == pytest.approx(14_177, abs=5)


def test_a_published_run_fits_the_largest_reading_only() -> None:
    # Llama 2 7B, fp16, 60 sequences of 2,176 tokens on an 80 GB A100: 13.48e9 + 60 · 2,176 · 524,288 = 81.9e9 bytes
    assert memory.batch_memory(on("llama-2-7b", "a100-sxm-80gb", assume="bound"), 2_176) >= 60
    assert memory.batch_memory(on("llama-2-7b", "a100-sxm-80gb"), 2_176) < 60


def test_attention_flops_per_token() -> None:
    # 4 · 128 heads · 128 · 126 layers = 8,257,536 per token of context, on all devices together
    deployment = on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8")
    (stage,) = deployment.stages
    (attention,) = sequence_operations(deployment, stage, at_context(np.float64(1000.0)))
    assert attention.flops * attention.layers * 8 == 8_257_536 * 1000
    assert attention.bytes * attention.layers * 8 == 516_096 * 1000


def test_one_user_on_one_device_reads_weights_and_cache_once() -> None:
    # Llama 3.1 8B on one H100: (8,030,261,248 − embedding 525,336,576 − norms 266,240) · 2 + 1,000 · 131,072 = 15,140,388,864 bytes
    seconds = decode(on("llama-3.1-8b", "h100-sxm"), 1000).seconds(1)
    assert seconds == pytest.approx(15_140_388_864 / 3350e9, rel=1e-12)


def test_weights_over_bandwidth() -> None:
    # Two other calculators print 15.1 ms for Llama 3.1 405B, fp8, 8×H100, one user at 775 tokens: 405e9 / (8 · 3.35e12)
    assert decode(on("llama-3.1-405b", "8xh100-sxm", **ARTICLE), 775).seconds(1) * 1e3 == pytest.approx(15.1, abs=0.05)


def test_large_batches_take_flops_over_peak() -> None:
    # Llama 3.1 8B, 4,096 sequences of one token: 2 · 7,504,658,432 · 4,096 FLOPs at 989.4 TFLOP/s,
    # and attention by bandwidth: 4,096 · 131,072 bytes at 3,350 GB/s
    expected = 2 * 7_504_658_432 * 4096 / 989.4e12 + 4096 * 131_072 / 3350e9
    assert decode(on("llama-3.1-8b", "h100-sxm"), 1).seconds(4096) == pytest.approx(expected, rel=1e-12)


def test_without_overlap_all_times_add_up() -> None:
    # Llama 3.1 8B on one H100, one user at 100,000 tokens: 2 · 7,504,658,432 FLOPs of products and
    # 4 · 32 heads · 128 · 32 layers = 524,288 FLOPs per token of context, beside 15,009,316,864 + 100,000 · 131,072 bytes
    expected = (2 * 7_504_658_432 + 524_288 * 100_000) / 989.4e12 + (15_009_316_864 + 131_072 * 100_000) / 3350e9
    assert decode(on("llama-3.1-8b", "h100-sxm", overlap="none"), 100_000).seconds(1) == pytest.approx(expected, rel=1e-12)


def test_everything_overlapped_takes_the_longest() -> None:
    # The same at 4,096 sequences of one token: FLOPs take 62.1 ms + 2.2 µs, bytes 4.6 ms
    expected = (2 * 7_504_658_432 + 524_288) * 4096 / 989.4e12
    assert decode(on("llama-3.1-8b", "h100-sxm", overlap="full"), 1).seconds(4096) == pytest.approx(expected, rel=1e-12)


def test_qwen3_32b_by_hand() -> None:
    # 32,762,123,264 parameters − embedding 777,912,320 − norms 676,864, two bytes each, and 1,000 · 262,144 of cache
    expected = (31_983_534_080 * 2 + 262_144_000) / 4800e9
    assert decode(on("qwen3-32b", "h200-sxm"), 1000).seconds(1) == pytest.approx(expected, rel=1e-12)


def test_sixteen_tensor_ranks_hold_fewer_sequences_than_eight() -> None:
    # Llama 3.1 70B, one of 16 ranks: 80 · (8,192 · 768 + 512 · 8,192 + 3 · 8,192 · 1,792) + 2 · 8,016 · 8,192 + 161 · 8,192
    # = 4,494,729,216 weights of two bytes; (80e9 − 8,989,458,432) / (80 · 256 · 2 · 4,000) = 433.4
    assert memory.batch_memory(on("llama-3.1-70b", "16xh100-sxm", weights="bf16", tp=16), 4_000) == 433


def test_all_reduce_in_the_switch() -> None:
    # 126 layers · 2 messages of 16,384 · 2 bytes, each moved 1 + 1/8 times at 450 GB/s
    with_network = decode(on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8"), 775).seconds(1)
    without = decode(on("llama-3.1-405b", "8xh100-sxm", **ARTICLE), 775).seconds(1)
    assert with_network - without == pytest.approx(252 * 32_768 * 1.125 / 450e9, rel=1e-9)


def test_all_reduce_in_a_mesh_has_only_the_group_s_links() -> None:
    # MI300X, two devices: a ring moves 2 · M · 1/2 over one pair of 64 GB/s; Llama 3.1 8B: 64 messages of 8,192 bytes
    with_network = decode(on("llama-3.1-8b", "2xmi300x"), 1).seconds(1)
    without = decode(on("llama-3.1-8b", "2xmi300x", network="ideal"), 1).seconds(1)
    assert with_network - without == pytest.approx(64 * 8_192 / 64e9, rel=1e-9)


def test_all_reduce_wider_than_a_domain() -> None:
    # 16 H100 in two domains of 8: inside 2·M·7/8 at 450 GB/s, across M/8 · 2 · 1/2 at 50 GB/s; 160 messages of 16,384 bytes
    with_network = decode(on("llama-3.1-70b", "16xh100-sxm", tp=16), 1).seconds(1)
    without = decode(on("llama-3.1-70b", "16xh100-sxm", tp=16, network="ideal"), 1).seconds(1)
    m = 16_384
    assert with_network - without == pytest.approx(160 * (1.75 * m / 450e9 + m / 8 / 50e9), rel=1e-9)


def test_pipeline_of_four_takes_four_times_its_slowest_stage() -> None:
    # Llama 3.1 8B on 4 H100, pp 4: each stage 8 layers of 218,103,808 weights; the last also the head, 525,336,576
    deployment = on("llama-3.1-8b", "4xh100-sxm", pp=4, network="ideal")
    layers = 8 * 218_103_808 * 2 / 3350e9
    head, cache = 525_336_576 * 2 / 3350e9, 131_072 / 4 * 1000 / 3350e9
    step = decode(deployment, 1000)
    assert step.seconds(1) == pytest.approx(4 * (layers + cache) + head, rel=1e-12)
    assert step.seconds(4) == pytest.approx(4 * (layers + cache + head), rel=1e-12)
    assert step.seconds(8) == pytest.approx(4 * (layers + 2 * cache + head), rel=1e-12)


def test_data_parallel_replicas_share_the_batch() -> None:
    # Two replicas with 3 sequences: the fuller one has 2
    one, two = decode(on("llama-3.1-8b", "h100-sxm"), 1000), decode(on("llama-3.1-8b", "2xh100-sxm", dp=2), 1000)
    assert two.seconds(3) == one.seconds(2)


@pytest.mark.parametrize(
    ("weights", "gb"),
    [("bf16", 16.06), ("all=fp8", 8.03), ("all=int4", 4.14), ("all=nvfp4", 4.52), ("all=mxfp4", 4.27), ("all=q8_0", 8.53)],
)
def test_weight_bytes_by_dtype(weights: str, gb: float) -> None:
    # 8,030,261,248 parameters × 2, 1, 0.5 + 2/128, 0.5 + 1/16, 0.5 + 1/32, 8.5/8 bytes
    assert memory.system_weight_bytes(on("llama-3.1-8b", "h100-sxm", weights=weights)) / 1e9 == pytest.approx(gb, abs=0.005)


def test_tied_embedding_is_held_once() -> None:
    # Llama 3.2 1B: 1,235,814,400 parameters with the shared table, 16-bit
    assert memory.system_weight_bytes(on("llama-3.2-1b", "h100-sxm")) == 2 * 1_235_814_400


def test_default_layouts() -> None:
    assert on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8").layout == Layout(8, 1, 1)
    assert on("llama-3.1-405b", "16xh100-sxm").layout == Layout(8, 2, 1)
    assert on("llama-3.1-8b", "8xl40s").layout == Layout(8, 1, 1)  # PCIe joins all eight
    assert on("qwen2.5-7b", "8xh100-sxm").layout == Layout(4, 2, 1)  # 28 heads


def test_published_comparison_of_two_contexts_as_the_shell_asks_it() -> None:
    table = rc.max_batch("llama-405b", "8xh100", seq="7661,775", interactivity=30, weights="all=fp8", network="ideal", mbu=0.775, mfu=0.717)
    assert table["batch_interactivity"].tolist() == [72, 368]
    assert table["model"].tolist() == ["llama-3.1-405b"] * 2 and table["hardware"].tolist() == ["8xh100-sxm"] * 2
    assert table["limited_by"].tolist() == ["capacity", "compute"]
    assert math.isclose(table["throughput_tok_s"][1], 368 * table["interactivity_tok_s"][1])


def test_eight_h100_serve_145_users_at_thirty_tokens_per_second() -> None:
    # Llama 3.1 70B, fp8 on 8 H100, 7,000 tokens in and 1,000 out. A step with B in flight takes 23.916 ms at 217 (1/41.81 tok/s) and
    # 98.26 µs less for each sequence less: 7,500.5 tokens of mean context x 327,680 bytes / (8 x 3,350 GB/s) = 91.7 µs, and 160 all-
    # reduces of 16,384 bytes, 1.125 times at 450 GB/s, 6.55 µs. A prompt takes the machine 114.56 ms. In a stay of 1,000 steps come 216
    # other prompts: 23.916 + 216 x 0.11456 = 48.66 ms per token, 20.55 tok/s; 217 users of whom each is one prompt and 1,000 tokens make
    # 217,000 / (23.916 + 217 x 0.11456) = 4,449 tok/s. 30 tok/s: 23.916 - 98.26e-3 (217 - B) + 0.11456 (B - 1) = 33.33 + 0.008 (half a
    # token's wait before the first token), so that B = 145.03
    table = rc.interactivity("llama-3.1-70b", "8xh100-sxm", weights="all=fp8", isl=7000, osl=1000, batch=217)
    assert table["decode_tok_s"][0] == pytest.approx(41.81, abs=0.01)
    assert table["interactivity_tok_s"][0] == pytest.approx(20.55, abs=0.01)
    assert table["throughput_tok_s"][0] == pytest.approx(4449, abs=1)
    assert table["ttft_idle_ms"][0] == pytest.approx(114.56, abs=0.05)
    # 216 other prompts in 1,000 tokens: half a token's worth of them comes before the prompt
    assert table["ttft_ms"][0] == pytest.approx(114.56 * (1 + 216 / 2000), abs=0.05)
    assert rc.max_batch("llama-3.1-70b", "8xh100-sxm", weights="all=fp8", isl=7000, osl=1000, interactivity=30)["max_batch"][0] == 145


def test_a_chunk_rides_on_a_step() -> None:
    # Llama 3.1 8B, bf16, one H100, 64 in flight, 2,048 tokens in and 500 out, --prefill chunked --chunk 2048: 63/500 of the steps carry
    # a prompt. 64 tokens read 13.96 GB in 4.167 ms, 2,112 take 13.96e9 x 2112 / 989.4e12 = 29.80 ms: 25.63 ms more,
    # and 1.11 ms of the chunk's attention: 26.74 ms, where reading the weights again would add 4.17 ms
    table = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=2048, osl=500, batch=64, chunk=2048, prefill="chunked")
    more = 1e3 / table["interactivity_tok_s"][0] - 1e3 / table["decode_tok_s"][0]
    linear, weights = 2 * 32 * 218_103_808 / 989.4e12, 2 * 32 * 218_103_808 / 3350e9
    attention = 32 * 4 * 4096 * 2048 * 2049 / 2 / 989.4e12
    assert more == pytest.approx(63 / 500 * (2112 * linear - weights + attention) * 1e3, rel=2e-3)


def test_bound_by_hand() -> None:
    # B200: 15,140,388,864 bytes less the 126.5 MB that its cache may keep, at the 8,000 GB/s of the highest sheet
    seconds = decode(on("llama-3.1-8b", "b200-sxm", assume="bound"), 1000).seconds(1)
    assert seconds == pytest.approx((15_140_388_864 - 126.5e6) / 8000e9, rel=1e-12)
    # 8 H100: 64 messages of 4,096 half bytes, each moved once at 450 GB/s; 5 tokens
    network = decode(on("llama-3.1-8b", "8xh100-sxm", assume="bound"), 1000).resources(5)["network"]
    assert network == pytest.approx(64 * 5 * 4096 * 0.5 / 450e9, rel=1e-12)


def test_bound_has_no_copies_of_cache_heads() -> None:
    # Llama 3.1 70B, 16 ranks: 327,680 bytes per token spread over 16, where engines hold 655,360; memory-bound, no network
    step = [decode(on("llama-3.1-70b", "16xh100-sxm", tp=16, network="ideal", assume="bound"), seq).seconds(64) for seq in (1000, 2000)]
    assert step[1] - step[0] == pytest.approx(64 * 1000 * 327_680 / 16 / 3350e9, rel=1e-9)


def test_narrower_messages_take_less() -> None:
    # fp8 all-reduces halve the 252 · 32,768 · 1.125 bytes of the 16-bit ones
    network = decode(on("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", comm="fp8"), 775).resources(1)["network"]
    assert network == pytest.approx(252 * 16_384 * 1.125 / 450e9, rel=1e-12)


def test_parallel_blocks_reduce_once() -> None:
    # Falcon 40B: 60 layers, one message of 8,192 · 2 bytes each, attention beside the network
    path = str(Path(__file__).parent.parent / "examples" / "models" / "parallel.yaml")
    network = decode(on(path, "8xh100-sxm"), 100).resources(1)["network"]
    assert network == pytest.approx(60 * 16_384 * 1.125 / 450e9, rel=1e-12)


def test_usable_memory() -> None:
    # 8 · (80 GB · 0.9 − 2 GB)
    assert memory.system_capacity_bytes(on("llama-3.1-8b", "8xh100-sxm", util=0.9, reserve_gb=2)) == pytest.approx(560e9)
    assert memory.system_kv_bytes(on("llama-3.1-8b", "h100-sxm", kv_block=16), 17) == 32 * 131_072
