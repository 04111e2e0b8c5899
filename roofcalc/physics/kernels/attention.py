"""Time of one layer's attention on one device: decode steps (split over blocks of the cache) and prompts (tiles of queries)."""

from dataclasses import dataclass

import numpy as np

from roofcalc.physics.kernels.facts import Array, DeviceFacts, Number, joined, memory_s

QUERY_TILE = 64  # query rows of a prompt that one block computes; 64 fits the tables better than 128
HEAD_TILE = 16  # query heads of one KV head are padded to this many rows of a tensor-core tile


@dataclass(frozen=True)
class DecodeParameters:
    """Fitted constants of decode attention of one device, engine, cache format and kernel.

    Attributes
    ----------
    t0_us
        Launch floor, the merge of splits included, µs.
    compute, bandwidth
        Fractions of the tensor peak and of the memory bandwidth.
    block_us
        Start and end of a block, for each round of blocks over the compute units after the first (whose own is part of t0), µs.
    split_tokens
        Cache entries that a block takes at least before the kernel splits a sequence further.
    block_gb_s
        Cache stream of one block, GB/s: the speed of a long sequence on few blocks.
    copies
        Copies of the cache over which the benchmark repeats (see `facts.memory_s`).
    head_ns
        Work per sequence and query head that no block hides (heads that are not packed into one tile, page tables), ns.
    """

    t0_us: float
    compute: float
    bandwidth: float
    block_us: float
    split_tokens: float
    block_gb_s: float
    copies: float
    head_ns: float


@dataclass(frozen=True)
class PromptParameters:
    """Fitted constants of prompt attention of one device, engine, cache format and kernel.

    Attributes
    ----------
    t0_us
        Launch floor, µs.
    compute, bandwidth
        Fractions of the tensor peak (dense causal work) and of the memory bandwidth.
    block_us
        Start and end of a block of query rows, for each round over the compute units after the first, µs.
    key_tile
        Keys that a block takes at a time: causal and window edges are padded by this many.
    token_bandwidth
        Fraction of the bandwidth at which queries, keys and values are written to the cache or converted before the kernel.
    sequence_us
        Work per sequence that nothing hides, µs.
    masked
        Share of the causal pairs outside a window that the kernel computes all the same (0: it skips them).
    copies
        Copies of the operands over which the benchmark repeats (see `facts.memory_s`).
    """

    t0_us: float
    compute: float
    bandwidth: float
    block_us: float
    key_tile: float
    token_bandwidth: float
    sequence_us: float
    masked: float
    copies: float


def decode_s(
    parameters: DecodeParameters,
    facts: DeviceFacts,
    sequences: Number,
    entries: Number,
    query_heads: Number,
    kv_heads: Number,
    entry_bytes: Number,
    entry_flops: Number,
    *,
    repeated: bool = False,
) -> Array:
    """Seconds of the attention of `sequences` new tokens over `entries` cache entries each.

    Blocks: sequences × KV heads × splits, splits as many as fill two rounds of the compute units but none below `split_tokens`.
    t = t0 + sequences·query_heads·head_ns + join(bytes/(η_b·β), FLOPs/(η·F), one block's stream + (rounds−1)·block_us).

    Parameters
    ----------
    entries
        Entries that each sequence reads, the window applied.
    query_heads, kv_heads
        Heads of this device. Latent attention has one KV head.
    entry_bytes
        Bytes of one entry of one KV head, key and value together.
    entry_flops
        FLOPs of one query head on one entry: 2·(d_k + d_v).
    """
    sequences, entries = np.asarray(sequences, dtype=float), np.asarray(entries, dtype=float)
    units = np.asarray(facts.compute_units, dtype=float)
    groups = sequences * kv_heads
    moved = groups * entries * entry_bytes
    padded = np.ceil(np.asarray(query_heads, dtype=float) / kv_heads / HEAD_TILE) * HEAD_TILE
    compute = groups * padded * entries * entry_flops / (parameters.compute * np.asarray(facts.peak_flop_s))
    splits = np.clip(entries / parameters.split_tokens, 1.0, np.maximum(1.0, 2.0 * units / groups))
    rounds = np.maximum(1.0, groups * splits / units)
    block = entries / splits * entry_bytes / (parameters.block_gb_s * 1e9) + (rounds - 1) * parameters.block_us * 1e-6
    busy = joined(memory_s(moved, parameters.bandwidth, facts, parameters.copies if repeated else None), compute, block)
    return np.asarray(parameters.t0_us * 1e-6 + sequences * query_heads * parameters.head_ns * 1e-9 + busy)


def causal_pairs(new: Number, before: Number, window: Number | None = None, tile: Number = 0.0) -> Array:
    """Pairs of query and key of `new` tokens after `before` others: each token sees itself, all before it, and at most `window`.

    `tile` adds the keys by which a block's edge is padded: half a tile per token, never beyond the window plus one tile.
    """
    new, before = np.asarray(new, dtype=float), np.asarray(before, dtype=float)
    if window is None:
        return np.asarray(new * (before + (new + 1) / 2 + np.asarray(tile) / 2))
    window = np.minimum(np.asarray(window, dtype=float), before + new)  # wider than all there is: no window
    rising = np.clip(window - before, 0, new)  # tokens that still see everything
    pairs = rising * (before + (rising + 1) / 2) + (new - rising) * window
    return np.asarray(pairs + new * np.asarray(tile) / 2)


def prompt_s(
    parameters: PromptParameters,
    facts: DeviceFacts,
    sequences: Number,
    new: Number,
    before: Number,
    query_heads: Number,
    kv_heads: Number,
    key_dim: Number,
    value_dim: Number,
    cache_bytes: Number = 2.0,
    window: Number | None = None,
    *,
    repeated: bool = False,
) -> Array:
    """Seconds of the causal attention of `new` prompt tokens per sequence, `before` others already cached.

    Blocks of 64 query rows, padded; work of a row: 2·(d_k + d_v) FLOPs per query head and visible key, edges padded by `key_tile`.
    t = t0 + sequences·sequence_us + tokens' bytes/(η_t·β) + join(FLOPs/(η·F), bytes/(η_b·β), last block alone, (rounds−1)·block_us).
    """
    sequences, new, before = np.asarray(sequences, dtype=float), np.asarray(new, dtype=float), np.asarray(before, dtype=float)
    units, peak = np.asarray(facts.compute_units, dtype=float), np.asarray(facts.peak_flop_s)
    rows = np.ceil(new / QUERY_TILE) * QUERY_TILE
    dims = np.asarray(key_dim, dtype=float) + value_dim
    pairs = causal_pairs(new, before, None, parameters.key_tile)
    if window is not None:
        inside = causal_pairs(new, before, window, parameters.key_tile)
        pairs = inside + parameters.masked * (pairs - inside)
    pairs = pairs * rows / np.maximum(new, 1)
    flops = 2.0 * dims * sequences * query_heads * pairs
    blocks = sequences * query_heads * rows / QUERY_TILE
    seen = before + new if window is None else np.minimum(before + new, np.asarray(window) + QUERY_TILE)
    alone = 2.0 * dims * QUERY_TILE * (seen + parameters.key_tile) / (parameters.compute * peak / units)
    tokens = sequences * new
    moved = tokens * query_heads * dims * 2.0 + sequences * seen * kv_heads * dims * cache_bytes
    written = tokens * (query_heads * dims + kv_heads * dims * 2.0) * 2.0
    rounds = (np.maximum(1.0, blocks / units) - 1) * parameters.block_us * 1e-6
    copies = parameters.copies if repeated else None
    busy = joined(flops / (parameters.compute * peak), memory_s(moved, parameters.bandwidth, facts, copies), alone, rounds)
    extra = sequences * parameters.sequence_us * 1e-6 + memory_s(written, parameters.token_bandwidth, facts, copies)
    return np.asarray(parameters.t0_us * 1e-6 + extra + busy)
