"""Streams that share a prefix: entries counted one by one against the closed forms, and steps put together by hand."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.physics import memory
from roofcalc.physics.decode_ops import at_context, sequence_operations
from roofcalc.physics.generation import mean_step
from roofcalc.physics.kv_span import Chunk, Full, Pool, Span, Sum, Top, Window
from roofcalc.physics.kv_storage import Reserved, SharedKV
from roofcalc.physics.ops.types import NO_SHARING, SharedPrefix
from roofcalc.physics.roofline import decode, step_of

EXAMPLES = Path(__file__).parent.parent / "examples" / "models"
LEAVES = (Full(), Window(5), Window(40), Chunk(8, True), Pool(4))
COMBINED = (Top(Full(), 12), Top(Pool(4), 3), Sum((Pool(4), Window(5))), Sum((Top(Pool(2), 4), Window(7))), Reserved(Window(5)), Top(Full(), 100))
CASES = [(n, prefix) for n in (2, 5) for prefix in (0, 1, 7, 8, 21, 64)]


def entries(span: Span, prefix: int, seq: int, stream: int) -> set[tuple[object, ...]]:
    """Which entries a stream reads at a context of `seq` tokens: those of the prefix have no stream's name."""

    def name(token: int) -> tuple[object, ...]:
        return ("prefix", token) if token <= prefix else (stream, token)

    if isinstance(span, Full):
        return {name(token) for token in range(1, seq + 1)}
    if isinstance(span, Window):
        return {name(token) for token in range(max(1, int(seq - span.size) + 1), seq + 1)}
    if isinstance(span, Chunk):
        return {name(token) for token in range((seq - 1) // span.size * span.size + 1, seq + 1)}
    assert isinstance(span, Pool)
    return {name(block * span.ratio) for block in range(1, seq // span.ratio + 1)}  # named by its last token


@pytest.mark.parametrize("span", LEAVES, ids=str)
@pytest.mark.parametrize(("n", "prefix"), CASES)
def test_different_entries_one_by_one(span: Span, n: int, prefix: int) -> None:
    together = span.with_shared_prefix(n, float(prefix))
    for own in range(1, 50):
        distinct = set().union(*(entries(span, prefix, prefix + own, stream) for stream in range(n)))
        assert float(together.entries_read(np.float64(prefix + own))) == len(distinct), own


def test_the_fullest_chunk_is_a_window() -> None:
    for n, prefix in CASES:
        for own in range(1, 30):
            seq = np.float64(prefix + own)
            assert Chunk(8).with_shared_prefix(n, prefix).entries_read(seq) == Window(8).with_shared_prefix(n, prefix).entries_read(seq)


@pytest.mark.parametrize("span", [*LEAVES, *COMBINED], ids=str)
@pytest.mark.parametrize(("n", "prefix"), CASES)
def test_sums_over_a_generation_are_the_sums_of_its_steps(span: Span, n: int, prefix: int) -> None:
    together = span.with_shared_prefix(n, float(prefix))
    for begin, length in itertools.product((0, 1, 3, 30), (1, 2, 13, 60)):
        each = sum(float(together.entries_read(np.float64(prefix + begin + u))) for u in range(1, length + 1))
        assert float(together.pairs(np.float64(prefix + begin), np.float64(length))) == pytest.approx(each), (begin, length)


@pytest.mark.parametrize("span", [*LEAVES, *COMBINED, Chunk(8)], ids=str)
@pytest.mark.parametrize("prefix", [0, 7, 64])
def test_between_one_stream_and_several_of_their_own(span: Span, prefix: int) -> None:
    for own in (1, 5, 40):
        seq = np.float64(prefix + own)
        for n in (2, 5):
            together = span.with_shared_prefix(n, float(prefix))
            assert span.entries_read(seq) <= together.entries_read(seq) <= n * span.entries_read(seq)
            assert span.entries_stored(seq) <= together.entries_stored(seq) <= n * span.entries_stored(seq)
            if not prefix:
                assert (together.entries_read(seq), together.entries_stored(seq)) == (n * span.entries_read(seq), n * span.entries_stored(seq))


def test_what_is_held() -> None:
    seq = np.float64(1000 + 10)
    assert Full().with_shared_prefix(5, 1000.0).entries_stored(seq) == 1000 + 5 * 10
    assert Window(100).with_shared_prefix(5, 1000.0).entries_stored(seq) == 90 + 5 * 10  # own min(U, W), shared min(P, max(0, W − U))
    assert Window(8).with_shared_prefix(5, 1000.0).entries_stored(seq) == 5 * 8
    assert Top(Full(), 64).with_shared_prefix(5, 1000.0).entries_stored(seq) == 1050  # all candidates stay
    assert Reserved(Window(100)).with_shared_prefix(5, 1000.0).entries_stored(seq) == 1050
    assert (
        SharedKV(Full()).with_shared_prefix(5, 1000.0).entries_stored(seq) == 0
        and SharedKV(Full()).with_shared_prefix(5, 1000.0).entries_read(seq) == 1050
    )


def test_picks_of_an_indexer() -> None:
    # 5 streams pick 64 each of 1,010: at most 320; of a prefix of 40 and 10 of their own all, 40 + 50
    assert Top(Full(), 64).with_shared_prefix(5, 1000.0).entries_read(np.float64(1010)) == 320
    assert Top(Full(), 64).with_shared_prefix(5, 40.0).entries_read(np.float64(50)) == 90


def on(model: str, hardware: str, kv: str | None = None, **given: object) -> Deployment:
    return deploy(lookup.model(model)[0], lookup.hardware(hardware)[0], kv=kv, assumptions=assumptions(**given))  # type: ignore[arg-type]


def test_flops_of_all_streams_bytes_of_one_prefix() -> None:
    # Llama 3.1 8B: 131,072 bytes and 4 · 32 · 128 · 32 = 524,288 FLOPs per token of context
    deployment = on("llama-3.1-8b", "h100-sxm")
    (operation,) = sequence_operations(deployment, deployment.stages[0], at_context(np.float64(1100)), shared_prefix=SharedPrefix(5, 1000.0))
    assert operation.flops * operation.layers == 5 * 1100 * 524_288
    assert operation.bytes * operation.layers == (1000 + 5 * 100) * 131_072


def test_states_are_read_by_every_stream() -> None:
    deployment = on("mamba2-2.7b", "h100-sxm")
    (one,) = sequence_operations(deployment, deployment.stages[0], at_context(np.float64(1100)))
    (five,) = sequence_operations(deployment, deployment.stages[0], at_context(np.float64(1100)), shared_prefix=SharedPrefix(5, 1000.0))
    assert (five.flops, five.bytes) == (5 * one.flops, 5 * one.bytes)
    held = [memory.system_kv_bytes(deployment, 1100, shared_prefix) for shared_prefix in (NO_SHARING, SharedPrefix(5, 1000.0))]
    assert held[1] == 5 * held[0]


def test_a_step_by_hand() -> None:
    # One query of 5 streams on one H100: weights once, (1000 + 5 · 100) entries; as in the claims, 15,009,316,864 bytes of weights
    step = step_of(on("llama-3.1-8b", "h100-sxm"), at_context(np.float64(1100)), shared_prefix=SharedPrefix(5, 1000.0))
    assert step.seconds(1) == pytest.approx((15_009_316_864 + 1500 * 131_072) / 3350e9, rel=1e-12)
    # 2,000 queries: 10,000 tokens of 2 · 7,504,658,432 FLOPs
    linear = 2 * 7_504_658_432 * 10_000 / 989.4e12
    assert step.seconds(2000) == pytest.approx(linear + 2000 * 1500 * 131_072 / 3350e9, rel=1e-9)


def test_attention_computes_where_much_is_shared() -> None:
    # 640 streams with all but one token shared: 640 · 100,001 · 524,288 FLOPs take longer than (100,000 + 640) · 131,072 bytes
    step = step_of(on("llama-3.1-8b", "h100-sxm"), at_context(np.float64(100_001)), shared_prefix=SharedPrefix(640, 100_000.0))
    flops = 640 * (2 * 7_504_658_432 + 100_001 * 524_288) / 989.4e12
    assert step.seconds(1) == pytest.approx(flops, rel=1e-9) and step.limited_by(1) == "compute"


def test_nothing_shared_is_as_many_sequences() -> None:
    for name in ("llama-3.1-8b", f"{EXAMPLES}/windowed-tied.yaml", f"{EXAMPLES}/compressed.yaml"):
        deployment = on(name, "8xh200-sxm")
        with_shared_prefix = step_of(deployment, at_context(np.float64(3000)), shared_prefix=SharedPrefix(4, 0.0))
        layout = deployment.layout
        queries = np.array([1.0, 2, 8]) * layout.dp
        np.testing.assert_allclose(with_shared_prefix.seconds(queries), decode(deployment, 3000).seconds(4 * queries), rtol=1e-12)
        mean = mean_step(deployment, 0, 3000, 4).seconds(queries)
        np.testing.assert_allclose(mean, mean_step(deployment, 0, 3000).seconds(4 * queries), rtol=1e-12)


def test_the_mean_is_the_mean_of_the_steps() -> None:
    for name in ("llama-3.1-8b", f"{EXAMPLES}/windowed-tied.yaml"):
        deployment = on(name, "h200-sxm")
        each = [float(step_of(deployment, at_context(np.float64(700 + u)), shared_prefix=SharedPrefix(5, 700.0)).seconds(3)) for u in range(1, 401)]
        assert float(mean_step(deployment, 700, 400, 5).seconds(3)) == pytest.approx(np.mean(each), rel=1e-9)


def test_memory_of_queries() -> None:
    # Llama 3.1 8B on one H100: (80e9 − 16,060,522,496) / (131,072 · (4000 + 5 · 500)) = 75.0
    deployment = on("llama-3.1-8b", "h100-sxm")
    shared_prefix = SharedPrefix(5, 4000.0)
    assert memory.system_kv_bytes(deployment, 4500, shared_prefix) == 131_072 * 6500
    assert memory.batch_memory(deployment, 4500, shared_prefix) == (80e9 - 16_060_522_496) // (131_072 * 6500)
    # in blocks of 64: 62 whole blocks are shared, and each stream has ⌈4500/64⌉ − 62 = 9 of its own
    assert memory.system_kv_bytes(on("llama-3.1-8b", "h100-sxm", kv_block=64), 4500, shared_prefix) == 131_072 * 64 * (62 + 5 * 9)
