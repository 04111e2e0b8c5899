"""Messages: what a layout sends over which wire, by hand and by law."""

import math
from pathlib import Path

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import collectives
from roofcalc.physics.decode_ops import batch_operations, messages, token_load
from roofcalc.physics.ops.operation import Message
from roofcalc.physics.roofline import decode
from roofcalc.specs.record import replace
from tests import catalogs
from tests.catalogs import on

MOES = [name for name in catalogs.MODELS if any(block.mlp and block.mlp.type == "experts" for block in catalogs.model(name).blocks.values())]


def sent(deployment: Deployment, kind: str) -> list[Message]:
    return [message for stage in deployment.stages for message in messages(deployment, stage) if message.kind == kind]


def network_s(name: str, machine: str, batch: int = 8, **given: object) -> float:
    """Seconds that messages add to a step."""
    with_, without = (decode(on(name, machine, network=network, **given), 100).seconds(batch) for network in ("bandwidth", "ideal"))
    return float(with_ - without)


@pytest.mark.parametrize("group", [2, 3, 4, 8, 16, 24, 64])
@pytest.mark.parametrize("assume", ["roofline", "bound"])
def test_in_switch_sums_are_never_slower_than_a_ring(group: int, assume: str) -> None:
    hardware = catalogs.machine("8xh100-sxm")
    assert hardware.link is not None
    message = Message("m", "all_reduce", 1, 1000.0, group)
    deployments = (
        on("mixtral-8x7b", replace(hardware, count=group, link=replace(hardware.link, reduce=reduce)), tp=1, assume=assume)
        for reduce in (True, False)
    )
    switch, ring = (sum(collectives.seconds(one, message, 1.0)) for one in deployments)
    assert switch <= ring
    if group == 2 and assume == "roofline":
        assert switch == ring == pytest.approx(2000 / 450e9, rel=1e-12)  # a ring of two moves M each way, a switch M·1.5


def test_split_experts_of_data_ranks_gather_and_scatter() -> None:
    # Mixtral 8x7B, 8 data ranks of one sequence each, experts split over all: in each of 32 layers every device gets the hidden
    # states of the 7 others, 4,096 · 2 bytes, and sends its part of their outputs back, all at 450 GB/s
    expected = 32 * (7 * 8_192 + 7 * 8_192) / 450e9
    assert network_s("mixtral-8x7b", "8xh100-sxm", dp=8, tp=1, ep=1) == pytest.approx(expected, rel=1e-9)
    # the same in a mesh of 64 GB/s per pair, 7 pairs; and on 16 devices of two domains: 15 pieces, one of them over 50 GB/s
    assert network_s("mixtral-8x7b", "8xmi300x", dp=8, tp=1, ep=1) == pytest.approx(32 * 14 * 8_192 / 448e9, rel=1e-9)
    wide = 32 * 2 * 8_192 * (14 / 450e9 + 1 / 50e9)
    assert network_s("mixtral-8x7b", "16xh100-sxm", batch=16, dp=16, tp=1, ep=1) == pytest.approx(wide, rel=1e-9)


def test_a_token_reaches_the_ranks_that_hold_its_experts() -> None:
    # Mixtral, one expert on each of 8 ranks, 2 per token: P = 1 − C(7,2)/C(8,2) = 1 − 21/28 = 0.25, so 7 · 0.25 = 1.75 other ranks
    one = on("mixtral-8x7b", "8xh100-sxm", dp=8, tp=1, ep=8)
    assert [message.copies for message in sent(one, "all_to_all")] == [1.75, 1.75]
    # 16-bit weights compute in 16 bits: two bytes each way; fp8 experts dispatch in one
    assert network_s("mixtral-8x7b", "8xh100-sxm", dp=8, tp=1, ep=8) == pytest.approx(32 * 1.75 * 8_192 * 2 / 450e9, rel=1e-9)
    assert network_s("mixtral-8x7b", "8xh100-sxm", dp=8, tp=1, ep=8, weights="all=fp8") == pytest.approx(32 * 1.75 * 4_096 * 3 / 450e9, rel=1e-9)


def test_experts_of_two_domains() -> None:
    # DeepSeek-V3, 16 ranks of 16 experts, 8 of 256 per token: C(240,8)/C(256,8) miss a rank, C(128,8)/C(256,8) a domain;
    # 58 layers, 7,168 wide, 1 byte out and 2 back; one copy per domain over 50 GB/s, the others over 450 GB/s
    rank, domain = 1 - math.comb(240, 8) / math.comb(256, 8), 1 - math.comb(128, 8) / math.comb(256, 8)
    one_way = (15 * rank - domain) / 450e9 + domain / 50e9
    assert network_s("deepseek-v3", "16xh100-sxm", batch=16, dp=16, tp=1) == pytest.approx(58 * 7_168 * 3 * one_way, rel=1e-9)


def test_context_ranks_gather_queries_and_scatter_outputs() -> None:
    # DeepSeek-V3, tp 8, 16 heads a rank: each gets the other seven's 16 · 576 numbers of queries, and their 16 · 512 outputs with
    # a 32-bit log-sum each, 2 bytes per number, in 61 layers
    striped, whole = (network_s("deepseek-v3", "8xh100-sxm", batch=1, tp=8, dcp=dcp) for dcp in (8, 1))
    assert striped - whole == pytest.approx(61 * 7 * 2 * 16 * (576 + 512 + 2) / 450e9, rel=1e-9)


def test_messages_of_one_width_and_number_stay_apart() -> None:
    # Kimi-Linear, 8 tensor and 2 data ranks: 7 latent layers gather 4 heads · 576 = 2,304 numbers, the hidden size that they also
    # reduce, and scatter 4 · (512 + 2). One token per rank: 27 all-reduces after attention and state and one after the dense
    # layer at 450 GB/s, 1.125 times; split experts of 26 layers exchange 288 numbers with 15 others, one over 50 GB/s
    reduced = 28 * 2_304 * 2 * 1.125 / 450e9
    gathered = 7 * 7 * (2_304 + 4 * 514) * 2 / 450e9
    exchanged = 26 * 288 * 2 * 2 * (14 / 450e9 + 1 / 50e9)
    found = network_s("kimi-linear-48b-a3b", "16xh100-sxm", batch=2, tp=8, dp=2, ep=1, dcp=8)
    assert found == pytest.approx(reduced + gathered + exchanged, rel=1e-9)


def test_an_all_to_all_on_a_torus_of_two_neighbours_takes_one_port() -> None:
    # Two devices of a torus have one port of 200/4 = 50 GB/s between them: Mixtral's 4 experts each, 1 − C(4,2)/C(8,2) = 22/28
    # of the tokens, 32 layers of 8,192 bytes both ways
    expected = 32 * 2 * 8_192 * (22 / 28) / 50e9
    assert network_s("mixtral-8x7b", "torus-2", batch=2, dp=2, tp=1, ep=2) == pytest.approx(expected, rel=1e-9)


def test_an_all_reduce_on_a_torus_uses_every_axis() -> None:
    # 16 devices as 4 × 4 lines of the 16 × 16 torus: each axis has 100 GB/s both ways, half where it does not close: 2·M·15/16
    # over 100 GB/s. Llama 3.1 8B: 64 messages of 8,192 bytes
    assert network_s("llama-3.1-8b", "torus-16", batch=1, tp=16) == pytest.approx(64 * 2 * 8_192 * 15 / 16 / 100e9, rel=1e-9)


def test_mamba_adds_up_its_inner_products() -> None:
    # Falcon-Mamba 7B on 8 ranks: in 64 layers the sum of the hidden 4,096 and that of dt, B and C, 256 + 2 · 16, in 16 bits
    expected = 64 * (4_096 + 288) * 2 * 1.125 / 450e9
    assert network_s("falcon-mamba-7b", "8xh100-sxm", batch=1, tp=8) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", MOES, ids=catalogs.short)
def test_data_ranks_always_talk_where_there_are_experts(name: str) -> None:
    for ep in {1, 8 if min(block.mlp.experts for block in catalogs.model(name).blocks.values() if hasattr(block.mlp, "experts")) >= 8 else 1}:
        one = on(name, "8xh100-sxm", tp=1, dp=8, ep=ep)
        assert decode(one, 1000).resources(np.array([8.0]))["network"] > 0
        assert all(0 < message.copies <= 7 for message in sent(one, "all_to_all"))


@pytest.mark.parametrize("name", MOES, ids=catalogs.short)
def test_no_imbalance_reads_more_experts_than_there_are(name: str) -> None:
    model = catalogs.model(name)
    experts = {block.mlp.experts for block in model.blocks.values() if hasattr(block.mlp, "experts")}
    if min(experts) < 8:
        return
    read = []
    for imbalance in (1.0, 100.0):
        one = on(name, "8xh100-sxm", weights="bf16", tp=1, dp=8, ep=8, imbalance=imbalance)
        load, _ = token_load(one, 512.0)
        operations = [op for op in batch_operations(one, one.stages[0], load) if ".expert_" in op.name]
        read.append(sum(op.layers * float(op.bytes) for op in operations) * 8)
    all_experts = 0
    for block_name, layers in model.groups.items():
        mlp = model.blocks[block_name].mlp
        if mlp and mlp.type == "experts":
            all_experts += layers * mlp.experts * (2 if mlp.plain else 3) * (mlp.latent or model.hidden) * mlp.width * 2
    assert read[0] <= read[1] == pytest.approx(all_experts, rel=1e-12)


def test_parallel_blocks_reduce_once_and_serial_ones_twice() -> None:
    parallel = str(Path(__file__).parent.parent / "examples" / "models" / "parallel.yaml")
    for name, per_layer in ((parallel, 1), ("llama-3.1-70b", 2), ("mixtral-8x7b", 2), ("qwen3-next-80b-a3b", 2)):
        layers = sum(message.layers for message in sent(on(name, "2xh100-sxm", tp=2), "all_reduce"))
        assert layers == per_layer * catalogs.model(name).depth
    # experts of data ranks exchange tokens instead of the second all-reduce
    assert sum(message.layers for message in sent(on("mixtral-8x7b", "8xh100-sxm", tp=2, dp=4), "all_reduce")) == 32
