"""Kernel times of products and experts: hand-worked values, laws, routing against simulation."""

from dataclasses import fields

import numpy as np
import pytest

from roofcalc.physics.kernels.experts import ExpertParameters, experts_s
from roofcalc.physics.kernels.facts import DeviceFacts, joined, memory_s, waves
from roofcalc.physics.kernels.gemm import GemmParameters, gemm_s
from roofcalc.physics.kernels.profile import fits
from roofcalc.physics.kernels.routing import TILES, RoutedLoad, uniform_load

# A round device: 1 PFLOP/s and 1 TB/s over 100 units, so that times can be worked by hand.
ROUND = DeviceFacts(1e15, 1e12, 100.0, 1e9, 50e6, 100e9)
PLAIN = GemmParameters(t0_us=2, compute=0.5, bandwidth=0.8, small_tile=0, wave_us=0, quantise_bandwidth=0.5, copies=3, feed_gb_s=1e9, split_us=1e6)


def test_joined_is_between_the_largest_and_their_sum() -> None:
    assert joined(3.0, 4.0) == pytest.approx((27 + 64) ** (1 / 3))  # 91^(1/3) = 4.4979
    assert joined(0.0, 0.0) == 0
    assert joined(5.0, 0.0) == 5


def test_waves_are_whole() -> None:
    assert waves(np.array([1, 132, 133]), 132).tolist() == [1, 1, 2]


def test_gemm_by_hand() -> None:
    """1280 × 1280 × 1000 in 16 bits.

    Tiles of 128 × 128: 100 blocks, one wave of 100 units; a unit makes 5 TFLOP/s, so 2·128·128·1000/5e12 = 6.5536 µs, and smaller tiles in
    2 or 4 waves the same; 128 × 256 half fills the device: 13.1 µs. Memory: (2·1280·1000 + 1280²)·2 bytes = 8.3968 MB at 0.8 TB/s = 10.496 µs.
    """
    expected = 2 + (6.5536**3 + 10.496**3) ** (1 / 3)
    assert expected == pytest.approx(13.286, abs=1e-3)
    assert gemm_s(PLAIN, ROUND, 1280, 1280, 1000) * 1e6 == pytest.approx(expected, rel=1e-9)


def test_one_more_row_than_fits_costs_a_wave() -> None:
    """With memory free, 1,280 rows are 4 waves of 64 × 64 tiles, 1,281 rows 420 tiles in 5 waves: 5/4 of the time, and no tile does better."""
    free = DeviceFacts(1e15, 1e18, 100.0, 1e9)
    times = gemm_s(PLAIN, free, np.array([1280, 1281]), 1280, 1e6) - 2e-6
    assert times[1] / times[0] == pytest.approx(5 / 4, rel=1e-6)


def test_rows_that_are_padding_alone_are_not_computed() -> None:
    """1 and 16 rows take the same tensor-core instructions, 64 rows four times as many, 17 twice; the memory is made free."""
    free = DeviceFacts(1e15, 1e18, 100.0, 1e9)
    one, sixteen, more, full = gemm_s(PLAIN, free, np.array([1, 16, 17, 64]), 12800, 4096) - 2e-6
    assert one == pytest.approx(sixteen, rel=1e-9) and full == pytest.approx(4 * one, rel=1e-6) and more == pytest.approx(2 * one, rel=1e-6)


def test_thin_tiles_wait_for_their_operands() -> None:
    """A unit that takes 1 GB/s streams (64 + 64)·2 bytes per step of k: 0.256 µs, far above the products; 100 tiles of 64 × 64 are one wave."""
    fed = GemmParameters(**{**PLAIN.__dict__, "feed_gb_s": 1.0})
    assert gemm_s(fed, DeviceFacts(1e15, 1e18, 100.0, 1e9), 64, 6400, 1000) * 1e6 == pytest.approx(2 + 256, rel=1e-6)


def test_quantising_the_input_by_hand() -> None:
    """fp8 weights and activations: m·k·(2 + 1) bytes at half of 1 TB/s are 7.68 µs more than bf16 activations of the same products."""
    narrow = gemm_s(PLAIN, ROUND, 1280, 1280, 1000, 1.0, 1.0)
    memory = (1280 * 1000 * 2 + 1280 * 1280 * 2) / 0.8e12
    expected = 2e-6 + 1280 * 1000 * 3 / 0.5e12 + ((6.5536e-6) ** 3 + memory**3) ** (1 / 3)
    assert narrow == pytest.approx(expected, rel=1e-9)


def test_a_benchmark_that_repeats_finds_small_operands_in_the_cache() -> None:
    small = memory_s(1e6, 1.0, ROUND, 1.0) / memory_s(1e6, 1.0, ROUND)
    large = memory_s(1e9, 1.0, ROUND, 1.0) / memory_s(1e9, 1.0, ROUND)
    assert small == pytest.approx(1 / 2.5, rel=1e-5)  # 1 MB in 50 MB of cache
    assert large == pytest.approx(1, abs=1e-4)  # 1 GB is not


def packaged(subject: str, record: type) -> list[object]:
    """Every set of constants of a subject."""
    rows = [values for group in fits().values[subject].values() for values in group.values()]
    names = [field.name for field in fields(record)]
    return [record(**dict(zip(names, row, strict=True))) for row in rows]


SIZES = np.array([1, 7, 16, 64, 65, 128, 500, 1024, 4096, 16384], dtype=float)


def test_packaged_products_are_monotone_and_never_beat_the_roofs() -> None:
    m, n, k = SIZES[:, None, None], SIZES[None, :, None], SIZES[None, None, :]
    for constants in packaged("gemm", GemmParameters):
        seconds = gemm_s(constants, ROUND, m, n, k, 1.0, 1.0)
        assert np.isfinite(seconds).all()
        assert (seconds >= 2 * m * n * k / ROUND.peak_flop_s).all()
        assert (seconds >= (m * k + k * n + 2 * m * n) / ROUND.bandwidth_bytes_s).all()
        for axis in range(3):
            assert (np.diff(seconds, axis=axis) >= -1e-12).all()


def test_products_of_arrays_equal_the_loop() -> None:
    m, n = np.array([1.0, 300.0, 5000.0]), np.array([512.0, 4097.0])
    together = gemm_s(PLAIN, ROUND, m[:, None], n, 4096)
    alone = [[float(gemm_s(PLAIN, ROUND, a, b, 4096)) for b in n] for a in m]
    np.testing.assert_allclose(together, alone, rtol=1e-14)


# Routing


@pytest.mark.parametrize("tokens", [1, 8, 100, 1000, 4096])
def test_uniform_against_simulation(tokens: int) -> None:
    """Distinct experts and padded rows of 400 random routings of 8 among 128 experts."""
    random = np.random.default_rng(1)
    hit, rows = [], []
    for _ in range(400 if tokens <= 100 else 40):
        picks = np.argpartition(random.random((tokens, 128)), 8, axis=1)[:, :8]
        counts = np.bincount(picks.ravel(), minlength=128)
        hit.append((counts > 0).sum())
        rows.append([np.ceil(counts / tile).sum() * tile for tile in TILES])
    load = uniform_load(np.array([tokens]), 8, 128)
    assert load.experts_hit[0] == pytest.approx(np.mean(hit), rel=0.02)
    for ours, theirs in zip(load.rows, np.mean(rows, axis=0), strict=True):
        assert ours[0] == pytest.approx(theirs, rel=0.08)


EXPERT = ExpertParameters(
    t0_us=10, compute=0.5, bandwidth=0.8, small_tile=0, wave_us=0, copies=3, pair_bandwidth=0.5, expert_ns=100, remote_pairs=0.5
)


def test_experts_by_hand() -> None:
    """8 experts of 1024 × 512, 64 tokens × 2 on one device, balanced: 16 tokens each, so one tile of 16 rows each.

    up: 8 blocks × 1024/128 = 64 on 100 units, one round of 1024 · 2·16·128/5e12 s = 0.838861 µs; down: 64 blocks of 512: 0.419430 µs.
    Weights 8·3·1024·512·2 = 25.165824 MB, activations 128·(2048 + 1536)·2 = 0.917504 MB: 26.083328 MB at 0.8 TB/s = 32.604160 µs.
    Pairs: 128·(2048 + 512)·2 bytes = 0.65536 MB at 0.5 TB/s = 1.31072 µs; 8 experts × 100 ns = 0.8 µs.
    """
    expected = 10 + 0.8 + 1.31072 + (1.258291**3 + 32.60416**3) ** (1 / 3)
    rows = tuple(np.asarray(8.0 * tile) for tile in TILES)
    seconds = experts_s(EXPERT, ROUND, RoutedLoad(np.asarray(8.0), np.asarray(128.0), np.asarray(128.0), rows), 1024, 512)
    assert seconds * 1e6 == pytest.approx(expected, rel=1e-6)


def test_pairs_of_other_devices_cost_their_share() -> None:
    """Half of the 64 remote pairs: 32·2560·2 bytes at 0.5 TB/s = 0.32768 µs."""
    load = RoutedLoad(np.asarray(4.0), np.asarray(64.0), np.asarray(128.0), tuple(np.asarray(4.0 * tile) for tile in TILES))
    without = ExpertParameters(**{**EXPERT.__dict__, "remote_pairs": 0.0})
    more = experts_s(EXPERT, ROUND, load, 1024, 512) - experts_s(without, ROUND, load, 1024, 512)
    assert more * 1e6 == pytest.approx(0.32768, rel=1e-6)


def test_packaged_experts_never_beat_the_roofs_and_grow_with_tokens() -> None:
    tokens = np.array([1, 4, 16, 64, 256, 1024, 4096, 16384], dtype=float)
    load = uniform_load(tokens, 8, 128)
    for constants in packaged("experts", ExpertParameters):
        seconds = experts_s(constants, ROUND, load, 4096, 1536, 1.0, 1.0)
        assert (seconds >= load.assignments * 6 * 4096 * 1536 / ROUND.peak_flop_s).all()
        assert (seconds >= load.experts_hit * 3 * 4096 * 1536 / ROUND.bandwidth_bytes_s).all()
        assert (np.diff(seconds) > -1e-9).all()
