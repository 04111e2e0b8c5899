"""Kernel times of attention, modules and recurrences: hand-worked values and laws."""

from dataclasses import fields

import numpy as np
import pytest

from roofcalc.physics.kernels.attention import DecodeParameters, PromptParameters, causal_pairs, decode_s, prompt_s
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.modules import ModuleParameters, module_s
from roofcalc.physics.kernels.profile import fits
from roofcalc.physics.kernels.recurrent import RecurrentParameters, recurrent_s

ROUND = DeviceFacts(1e15, 1e12, 100.0, 1e9, 50e6, 100e9)
DECODE = DecodeParameters(t0_us=5, compute=0.5, bandwidth=0.8, block_us=1, split_tokens=256, block_gb_s=20, copies=3, head_ns=1)
PROMPT = PromptParameters(t0_us=5, compute=0.5, bandwidth=0.8, block_us=0, key_tile=0, token_bandwidth=0.5, sequence_us=0.1, masked=0, copies=3)


@pytest.mark.parametrize(("new", "before", "window"), [(1, 0, None), (5, 7, None), (10, 0, 4), (10, 3, 4), (10, 6, 8), (3, 100, 8), (6, 2, 100)])
def test_pairs_against_counting(new: int, before: int, window: int | None) -> None:
    counted = sum(min(before + i + 1, window or 10**9) for i in range(new))
    assert causal_pairs(new, before, window) == counted


def test_decode_by_hand() -> None:
    """100 sequences × 2 KV heads × 1,000 entries of 512 bytes, 16 query heads of 512 FLOPs per entry.

    Memory: 102.4 MB at 0.8 TB/s = 128 µs. Compute: 8 heads per KV head padded to 16: 200·16·1000·512/5e14 = 3.2768 µs.
    Blocks: 200 on 100 units, one split each (two rounds are full): 1000·512 bytes at 20 GB/s = 25.6 µs, and 1 µs for the second round = 26.6 µs.
    Heads: 100·16 ns = 1.6 µs.
    """
    expected = 5 + 1.6 + (128**3 + 3.2768**3 + 26.6**3) ** (1 / 3)
    assert decode_s(DECODE, ROUND, 100, 1000, 16, 2, 512, 512) * 1e6 == pytest.approx(expected, rel=1e-9)


def test_one_long_sequence_is_split_over_the_device() -> None:
    """1 sequence, 1 KV head, 51,200 entries: 200 splits of 256 (two rounds), 256·512 bytes at 20 GB/s = 6.5536 µs + 1 µs, memory 32.768 µs."""
    expected = 5 + 0.001 + (32.768**3 + (51200 * 16 * 512 / 5e14 * 1e6) ** 3 + 7.5536**3) ** (1 / 3)
    assert decode_s(DECODE, ROUND, 1, 51200, 1, 1, 512, 512) * 1e6 == pytest.approx(expected, rel=1e-9)


def test_prompt_by_hand() -> None:
    """10 sequences of 640 tokens, 8 heads and 2 KV heads of 128: blocks 10·8·10 = 800.

    Pairs 640·641/2 = 205,120; FLOPs 2·256·10·8·205,120 = 8.4018e12·1e-3: 8.401715 GFLOP at 0.5 PFLOP/s = 16.803430 µs; the last block alone:
    2·256·64·640/5e12 = 4.194304 µs. Bytes: 6400·8·256·2 + 10·640·2·256·2 = 26.2144 + 6.5536 MB at 0.8 TB/s = 40.96 µs.
    Written: 6400·(2048 + 1024)... (8·256 + 2·256·2)·2 bytes = 6144 B per token: 39.3216 MB at 0.5 TB/s = 78.6432 µs. Sequences: 1 µs.
    """
    flops = 2 * 256 * 10 * 8 * 205120
    assert flops / 5e14 * 1e6 == pytest.approx(16.80343, abs=1e-5)
    expected = 5 + 1 + 78.6432 + (16.80343**3 + 40.96**3 + 4.194304**3) ** (1 / 3)
    assert prompt_s(PROMPT, ROUND, 10, 640, 0, 8, 2, 128, 128) * 1e6 == pytest.approx(expected, rel=1e-6)


def test_a_window_saves_what_is_masked_only_if_the_kernel_skips_it() -> None:
    full = prompt_s(PROMPT, ROUND, 1, 16384, 0, 8, 8, 128, 128)
    skipped = prompt_s(PROMPT, ROUND, 1, 16384, 0, 8, 8, 128, 128, window=128)
    computed = prompt_s(PromptParameters(**{**PROMPT.__dict__, "masked": 1.0}), ROUND, 1, 16384, 0, 8, 8, 128, 128, window=128)
    assert skipped < 0.5 * full
    assert computed == pytest.approx(full, rel=0.02)
    for wide in (10**9, np.inf):
        assert prompt_s(PROMPT, ROUND, 1, 1000, 0, 8, 8, 128, 128, window=wide) == prompt_s(PROMPT, ROUND, 1, 1000, 0, 8, 8, 128, 128)


def packaged(subject: str, record: type) -> list[object]:
    """Every set of constants of a subject."""
    names = [field.name for field in fields(record)]
    return [record(**dict(zip(names, row, strict=True))) for group in fits().values[subject].values() for row in group.values()]


BATCH = np.array([1, 2, 8, 64, 256, 1024], dtype=float)[:, None]
CONTEXT = np.array([1, 16, 128, 1000, 8192, 131072], dtype=float)


def test_packaged_decode_is_monotone_and_never_beats_the_roofs() -> None:
    for constants in packaged("decode", DecodeParameters):
        seconds = decode_s(constants, ROUND, BATCH, CONTEXT, 32, 8, 512, 512)
        assert (seconds >= BATCH * CONTEXT * 8 * 512 / ROUND.bandwidth_bytes_s).all()
        assert (seconds >= BATCH * CONTEXT * 32 * 512 / ROUND.peak_flop_s).all()
        assert (np.diff(seconds, axis=0) > 0).all()
        assert (np.diff(seconds, axis=1) >= -1e-12).all()


def test_packaged_prompts_grow_and_never_beat_the_roofs() -> None:
    for constants in packaged("prompt", PromptParameters):
        seconds = prompt_s(constants, ROUND, BATCH, CONTEXT, 0, 32, 8, 128, 128)
        pairs = CONTEXT * (CONTEXT + 1) / 2
        assert (seconds >= 4 * 128 * 32 * BATCH * pairs / ROUND.peak_flop_s).all()
        assert (np.diff(seconds, axis=0) > 0).all()
        assert (np.diff(seconds, axis=1) > -1e-12).all()


def test_attention_of_arrays_equals_the_loop() -> None:
    decode = decode_s(DECODE, ROUND, BATCH, CONTEXT, 32, 8, 512, 512)
    prompt = prompt_s(PROMPT, ROUND, BATCH, CONTEXT, 0, 32, 8, 128, 128, window=512)
    for i, batch in enumerate(BATCH[:, 0]):
        for j, context in enumerate(CONTEXT):
            assert decode[i, j] == pytest.approx(float(decode_s(DECODE, ROUND, batch, context, 32, 8, 512, 512)), rel=1e-14)
            assert prompt[i, j] == pytest.approx(float(prompt_s(PROMPT, ROUND, batch, context, 0, 32, 8, 128, 128, window=512)), rel=1e-14)


def test_module_by_hand() -> None:
    """Projections 2e9 FLOPs at half the peak 4 µs, 40 MB at 0.8 TB/s 50 µs; core of 8 heads padded to 16: 2 · 1e9/5e14 = 4 µs, 8 MB at 0.8 10 µs;
    indexer 1e9 at a quarter 4 µs, 0.8 MB 1 µs; 100 tokens × (10 ns + 1000 candidates × 10 ps) = 2 µs; floor 20 µs.
    """
    constants = ModuleParameters(20, 0.5, 0.8, 0.5, 0.8, 16, 10, 0.25, 10)
    expected = 20 + 2 + (4**3 + 50**3) ** (1 / 3) + (4**3 + 10**3) ** (1 / 3) + (4**3 + 1) ** (1 / 3)
    seconds = module_s(constants, ROUND, 100, 2e9, 40e6, 8, 1e9, 8e6, None, 1e9, 0.8e6, 1000)
    assert seconds * 1e6 == pytest.approx(expected, rel=1e-9)


def test_recurrence_by_hand() -> None:
    """8 sequences × 32 heads = 256 blocks on 100 units, 2.56 rounds of 10 steps of 1 µs: 25.6 µs; 8 MB at 0.8 TB/s 10 µs; 1 GFLOP at half 2 µs."""
    constants = RecurrentParameters(3, 0.5, 0.8, 1, 0.1, 3)
    expected = 3 + 0.8 + (25.6**3 + 10**3 + 2**3) ** (1 / 3)
    assert recurrent_s(constants, ROUND, 8, 256, 10, 1e9, 8e6) * 1e6 == pytest.approx(expected, rel=1e-9)
