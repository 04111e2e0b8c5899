"""Time of one matrix product: launch floor, quantising of the input, tiles in waves over the compute units, and the memory's roof."""

from dataclasses import dataclass

import numpy as np

from roofcalc.physics.kernels.facts import CACHE_SPEED, Array, DeviceFacts, Number, joined, memory_s, waves

TILES = ((64, 64), (64, 128), (128, 128), (128, 256))  # rows × columns of the output that one block computes
FRAGMENT = 16  # rows of the output that one tensor-core instruction computes: a tile leaves out those that are all padding
SPLITS = (1, 8)  # parts of the inner dimension that blocks share before a reduction


@dataclass(frozen=True)
class GemmParameters:
    """Fitted constants of the products of one device, engine and number format.

    Attributes
    ----------
    t0_us
        Launch floor: what the smallest product takes, the launches of quantising kernels included, µs.
    compute, bandwidth
        Fractions of the tensor peak and of the memory bandwidth that a large product reaches.
    small_tile
        Exponent by which tiles below 128 × 256 lose speed: a tile of 1/r the size runs at r^-small_tile of the rate.
    wave_us
        Prologue and epilogue of a block, paid for each wave after the first (whose own is part of t0), µs.
    quantise_bandwidth
        Fraction of the memory bandwidth at which 16-bit inputs are read and written back narrower (only where activations are quantised).
    copies
        Copies of the operands over which the benchmark repeats (see `facts.memory_s`); unused for served models.
    feed_gb_s
        Operand stream that one compute unit can take, GB/s: what bounds thin tiles over a long inner dimension.
    split_us
        Cost of splitting the inner dimension: a reduction between blocks, µs.
    """

    t0_us: float
    compute: float
    bandwidth: float
    small_tile: float
    wave_us: float
    quantise_bandwidth: float
    copies: float
    feed_gb_s: float
    split_us: float


def gemm_s(
    parameters: GemmParameters,
    facts: DeviceFacts,
    m: Number,
    n: Number,
    k: Number,
    weight_bytes: Number = 2.0,
    activation_bytes: Number = 2.0,
    count: Number = 1.0,
    *,
    repeated: bool = False,
) -> Array:
    """Seconds of a product of m × k activations by k × n weights.

    t = t0 + q + min over tiles and splits of join(w·k/s·max(2·min(tm, 16·ceil(m/16))·tn/(η·F/U), (tm·a + tn·b)/feed) + (w−1)·wave, bytes/(η_b·β)),
    with w = ceil(ceil(m/tm)·ceil(n/tn)·s/U) waves over U compute units.

    Parameters
    ----------
    m, n, k
        Tokens, output width, inner dimension; they broadcast.
    weight_bytes, activation_bytes
        Bytes per element as the tensor cores read them, scales included. Activations below 2 bytes are quantised from 16 bits first,
        if the weights are narrower than 16 bits too.
    count
        Independent products of this shape in one launch (a batched product, one per head).
    repeated
        True to compare with a benchmark that repeats on the same operands.
    """
    m, n, k = np.asarray(m, dtype=float), np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    units = np.asarray(facts.compute_units, dtype=float)
    moved = (m * k * activation_bytes + k * n * weight_bytes + m * n * 2.0) * count
    memory = memory_s(moved, parameters.bandwidth, facts, parameters.copies if repeated else None)
    flop_s = parameters.compute * np.asarray(facts.peak_flop_s) / units
    best: Array | None = None
    for rows, columns in TILES:
        slower = (128 * 256 / (rows * columns)) ** parameters.small_tile
        computed = np.minimum(rows, np.ceil(m / FRAGMENT) * FRAGMENT)
        step = np.maximum(
            2.0 * computed * columns * slower / flop_s, (rows * activation_bytes + columns * weight_bytes) / (parameters.feed_gb_s * 1e9)
        )
        blocks = np.ceil(m / rows) * np.ceil(n / columns) * count
        for split in SPLITS:
            rounds = waves(blocks * split, units)
            time = joined(rounds * k / split * step + (rounds - 1) * parameters.wave_us * 1e-6, memory)
            if split > 1:
                partial = m * n * count * 4.0 * split / (CACHE_SPEED * parameters.bandwidth * np.asarray(facts.bandwidth_bytes_s))
                time = time + partial + parameters.split_us * 1e-6
            best = time if best is None else np.minimum(best, time)
    assert best is not None
    narrow = (np.asarray(activation_bytes) < 2) & (np.asarray(weight_bytes) < 2)
    quantised = m * k * count * (2.0 + activation_bytes) / (parameters.quantise_bandwidth * np.asarray(facts.bandwidth_bytes_s))
    return np.asarray(parameters.t0_us * 1e-6 + best + np.where(narrow, quantised, 0.0))
