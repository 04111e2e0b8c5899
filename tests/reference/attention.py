"""Attention on one tensor rank: its products by weights, vectors, and what its caches hold and read."""

import math
from typing import Any, NamedTuple

from tests.reference.case import Case, shard

Lin = tuple[int, int, str]  # rows, columns, class of tensor


class Entries(NamedTuple):
    """What a sequence keeps and reads of one kind of entry, on one device, with FLOPs per query token and entry read."""

    read: float
    scored: float
    held: float
    bytes_each: float
    flops_each: float
    peak: str


def kv_heads(attention: Any, t: int) -> int:
    return max(1, shard(attention.kv_heads, t))


def value_dim(attention: Any) -> int:
    return int(attention.head_dim if attention.v_dim is None else attention.v_dim)


def entry_width(attention: Any, t: int) -> int:
    """Numbers of one token's keys and values."""
    total = 0
    for _ in range(kv_heads(attention, t)):
        total += attention.head_dim
        if not attention.shared_kv:
            total += value_dim(attention)
    return total


def cached_width(attention: Any, t: int) -> int:
    """Numbers of one token's entry in the cache: keys and values, twice the same where one projection serves as both."""
    return kv_heads(attention, t) * (int(attention.head_dim) + value_dim(attention))


def held_lins(attention: Any, h: int, t: int) -> list[Lin]:
    """Every weight matrix on a device."""
    return used_lins(attention, h, t) + idle_lins(attention, h, t)


def idle_lins(attention: Any, h: int, t: int) -> list[Lin]:
    """Projections that exist but make nothing, since the layer borrows its cache (Gemma 3n)."""
    if attention.type == "gqa" and attention.kv == "shared" and attention.kv_proj:
        return [(attention.inputs * h, entry_width(attention, t), "attention")]
    return []


def used_lins(attention: Any, h: int, t: int) -> list[Lin]:
    """Every weight matrix that a token is multiplied by."""
    n = attention.heads // t
    if attention.type == "mla":
        return mla_lins(attention, h, n)
    if attention.type == "pooled":
        return pooled_lins(attention, h, n, t)
    found: list[Lin] = []
    source = attention.inputs * h
    if attention.q_rank:
        found += [(source, attention.q_rank, "attention"), (attention.q_rank, n * attention.head_dim, "attention")]
    else:
        found.append((source, n * attention.head_dim, "attention"))
    if attention.kv == "own":
        found.append((source, entry_width(attention, t), "attention"))
    if attention.gate:
        found.append((h, n * value_dim(attention), "attention"))
    if attention.head_gate:
        found.append((h, n, "attention"))
    if attention.blocks and attention.blocks.heads:
        found += [(h, attention.blocks.heads * attention.blocks.dim, "index"), (h, attention.blocks.dim, "index")]
    return [*found, (n * value_dim(attention), h, "attention")]


def mla_lins(a: Any, h: int, n: int) -> list[Lin]:
    """The absorbed form: latents are never expanded."""
    found: list[Lin] = []
    if a.q_rank:
        found += [(h, a.q_rank, "attention"), (a.q_rank, n * (a.nope_dim + a.rope_dim), "attention")]
    else:
        found.append((h, n * (a.nope_dim + a.rope_dim), "attention"))
    found.append((h, a.kv_rank + a.rope_dim, "attention"))
    for _ in range(n):  # queries into the latent space, latent outputs out of it
        found += [(a.nope_dim, a.kv_rank, "attention"), (a.kv_rank, a.v_dim, "attention")]
    if a.gate:
        found.append((h, n * a.v_dim, "attention"))
    if a.head_gate:
        found.append((h, n, "attention"))
    found.append((n * a.v_dim, h, "attention"))
    if a.index and not a.index.shared:
        found += [(a.q_rank, a.index.heads * a.index.dim, "index"), (h, a.index.dim, "index"), (h, a.index.heads, "index")]
    return found


def pooled_lins(a: Any, h: int, n: int, t: int) -> list[Lin]:
    found: list[Lin] = [(h, a.q_rank, "attention"), (a.q_rank, n * a.head_dim, "attention"), (h, a.head_dim, "attention")]
    overlap = 2 if a.pool.ratio == 4 else 1
    if a.pool.ratio:
        found.append((h, 2 * overlap * a.head_dim, "index"))
    if a.pool.index and not a.pool.index.shared:
        i = a.pool.index
        found += [(a.q_rank, i.heads * i.dim, "index"), (h, i.heads, "index"), (h, 2 * overlap * i.dim, "index")]
    for _ in range(n):  # block-diagonal: each head meets its own group's matrix
        found.append((a.head_dim, a.output.rank, "attention"))
    return [*found, (shard(a.output.groups, t) * a.output.rank, h, "attention")]


def vectors(a: Any, h: int, t: int) -> int:
    """Norms, biases and sinks."""
    n = a.heads // t
    if a.type == "mla":
        return (a.q_rank or 0) + a.kv_rank + (2 * a.index.dim if a.index and not a.index.shared else 0)
    if a.type == "pooled":
        overlap = 2 if a.pool.ratio == 4 else 1
        total = a.q_rank + a.head_dim + (n if a.sinks else 0)
        for width in compressed(a):
            total += a.pool.ratio * overlap * width + width  # a position for each input, and a norm
        return int(total)
    total = a.q_rank or 0
    if a.bias in ("qkv", "qkvo"):
        total += n * a.head_dim + (entry_width(a, t) if a.kv_proj else 0)
    if a.bias == "qkvo":
        total += h
    if a.qk_norm == "head":
        total += 2 * a.head_dim
    if a.qk_norm == "full":
        total += n * a.head_dim + kv_heads(a, t) * a.head_dim
    if a.qk_norm == "head" and a.blocks and a.blocks.heads:
        total += 2 * a.blocks.dim
    return int(total + (n if a.sinks else 0))


def compressed(a: Any) -> list[int]:
    """Widths that a layer's compressors make."""
    widths = [a.head_dim] if a.pool.ratio else []
    return widths + ([a.pool.index.dim] if a.pool.index and not a.pool.index.shared else [])


def entries(case: Case, a: Any, seq: int) -> list[Entries]:
    """What one sequence of `seq` tokens holds and reads, q tokens at its end being computed."""
    n, q, stripes = a.heads // case.t, case.q, case.dcp
    kept = math.ceil(seq / case.kv_block) * case.kv_block
    c = {"fp8": 1.0, "bf16": 2.0, "fp16": 2.0}[case.kv]
    if a.type == "mla":
        latent, rope = a.kv_rank, a.rope_dim
        each = (latent + rope) * c if case.kv != "fp8" or not a.index else latent + 4 * math.ceil(latent / 128) + 2 * rope
        read, scored = (min(seq, q * a.index.top_k), min(seq, a.index.top_k)) if a.index else (seq, seq)
        found = [Entries(read, scored, kept, each / stripes, 2 * n * (latent + rope) + 2 * n * latent, "kv")]
        return found + (index(a.index, seq, kept, stripes) if a.index and not a.index.shared else [])
    if a.type == "pooled":
        return pooled_entries(case, a, seq, kept, c)
    read = scored = seq
    held = kept
    if a.window:
        read, scored, held = min(seq, a.window + q - 1), min(seq, a.window), min(kept, a.window)
    if a.chunk:
        read, scored, held = min(seq, a.chunk), min(seq, a.chunk), min(kept, a.chunk)
    if a.blocks:
        chosen = (a.blocks.top_k + a.blocks.local) * a.blocks.size
        read, scored = min(seq, q * chosen), min(seq, chosen)
    if case.reserved:
        held = kept
    if a.kv == "shared":
        held = 0
    flops = 2 * n * a.head_dim + 2 * n * value_dim(a)
    found = [Entries(read, scored, held, cached_width(a, case.t) * c / stripes, flops, "kv")]
    return found + (index(a.blocks, seq, kept, stripes) if a.blocks and a.blocks.heads else [])


def index(i: Any, candidates: float, held: float, stripes: int) -> list[Entries]:
    """Keys that an indexer scores: one fp8 byte per number and a 4-byte scale."""
    return [Entries(candidates, candidates, held, (i.dim + 4) / stripes, 2 * i.heads * i.dim / stripes, "scores")]


def pooled_entries(case: Case, a: Any, seq: int, kept: int, c: float) -> list[Entries]:
    n, q, r = a.heads // case.t, case.q, a.pool.ratio
    pool, pool_held = (seq // r, kept // r) if r else (0, 0)
    read, scored = pool, pool
    if a.pool.index:
        read, scored = min(pool, q * a.pool.index.top_k), min(pool, a.pool.index.top_k)
    read += min(seq, a.pool.window + q - 1)
    scored += min(seq, a.pool.window)
    held = pool_held + min(kept, a.pool.window)
    found = [Entries(read, scored, held, a.head_dim * c / case.dcp, 4 * n * a.head_dim, "kv")]
    own = a.pool.index and not a.pool.index.shared
    return found + (index(a.pool.index, pool, pool_held, case.dcp) if own else [])


def unfinished_bytes(a: Any) -> float:
    """Of blocks that a compressor has not filled yet: 2·(o·r)·(o·x)·4 per sequence."""
    if a.type != "pooled":
        return 0.0
    overlap = 2 if a.pool.ratio == 4 else 1
    return float(sum(2 * (overlap * a.pool.ratio) * (overlap * width) * 4 for width in compressed(a)))


def sent_to_each(a: Any, t: int) -> list[float]:
    """16-bit numbers per token to each other context rank: queries, and partial outputs with a 32-bit log-sum per head."""
    n = a.heads // t
    if a.type == "mla":
        return [n * (a.kv_rank + a.rope_dim), n * (a.kv_rank + 2)]
    out = a.head_dim if a.type == "pooled" else value_dim(a)
    return [n * a.head_dim, n * (out + 2)]
