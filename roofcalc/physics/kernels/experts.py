"""Time of the fused experts of one device: two grouped products over the experts hit, their tokens padded to a tile."""

from dataclasses import dataclass

import numpy as np

from roofcalc.physics.kernels.facts import Array, DeviceFacts, Number, joined, memory_s
from roofcalc.physics.kernels.routing import TILES, RoutedLoad

COLUMNS = 128  # output columns of a block


@dataclass(frozen=True)
class ExpertParameters:
    """Fitted constants of fused experts of one device, engine, number format and kernel.

    Attributes
    ----------
    t0_us
        Floor: sorting of tokens by expert, launches of both products, activation and final sum, µs.
    compute, bandwidth
        Fractions of the tensor peak and of the memory bandwidth.
    small_tile
        Exponent by which tiles of fewer than 128 rows lose speed: a tile of 128/r rows runs at r^-small_tile of the rate.
    wave_us
        Prologue and epilogue of a block, for each round over the compute units after the first, µs.
    copies
        Copies of the weights over which the benchmark repeats (see `facts.memory_s`).
    pair_bandwidth
        Fraction of the bandwidth at which tokens are permuted, quantised and summed again, per token–expert pair.
    expert_ns
        Bookkeeping per expert hit, ns.
    remote_pairs
        Share of the pairs routed to other devices that permutation, activation and sum go through all the same.
    """

    t0_us: float
    compute: float
    bandwidth: float
    small_tile: float
    wave_us: float
    copies: float
    pair_bandwidth: float
    expert_ns: float
    remote_pairs: float


def experts_s(
    parameters: ExpertParameters,
    facts: DeviceFacts,
    load: RoutedLoad,
    hidden: Number,
    inter: Number,
    weight_bytes: Number = 2.0,
    activation_bytes: Number = 2.0,
    gated: bool | Array = True,
    *,
    repeated: bool = False,
) -> Array:
    """Seconds of one layer's routed experts on one device.

    t = t0 + hit·expert_ns + (local + r·remote pairs)·(2·h + f)·2 bytes/(η_p·β) + min over tiles of join(rows' products in rounds of blocks,
    weights of the experts hit and activations at η_b·β).

    Parameters
    ----------
    load
        See `routing.RoutedLoad`.
    hidden, inter
        h and the expert width f of this device, after tensor parallelism.
    weight_bytes, activation_bytes
        Bytes per element, scales included.
    gated
        Three matrices (gated, default) or two.
    """
    hidden, inter = np.asarray(hidden, dtype=float), np.asarray(inter, dtype=float)
    units = np.asarray(facts.compute_units, dtype=float)
    up = np.where(gated, 2.0, 1.0) * inter
    moved = load.experts_hit * (up + inter) * hidden * weight_bytes + load.assignments * (hidden * 2 + up + inter) * activation_bytes
    memory = memory_s(moved, parameters.bandwidth, facts, parameters.copies if repeated else None)
    flop_s = parameters.compute * np.asarray(facts.peak_flop_s) / units
    best: Array | None = None
    for tile, rows in zip(TILES, load.rows, strict=True):
        step = 2.0 * tile * COLUMNS * (128 / tile) ** parameters.small_tile / flop_s
        blocks = rows / tile
        up_rounds = np.maximum(1.0, blocks * np.ceil(up / COLUMNS) / units)
        down_rounds = np.maximum(1.0, blocks * np.ceil(hidden / COLUMNS) / units)
        further = (up_rounds + down_rounds - 2) * parameters.wave_us * 1e-6
        products = up_rounds * hidden * step + down_rounds * inter * step + further
        time = joined(products, memory)
        best = time if best is None else np.minimum(best, time)
    assert best is not None
    pairs = load.assignments + parameters.remote_pairs * (load.routed - load.assignments)
    permuted = pairs * (2.0 * hidden + inter) * 2.0 / (parameters.pair_bandwidth * np.asarray(facts.bandwidth_bytes_s))
    return np.asarray(parameters.t0_us * 1e-6 + load.experts_hit * parameters.expert_ns * 1e-9 + permuted + best)
