"""Latent and pooled attention: one entry per token, or per block of tokens, that all heads share.

Sources: MLA and its absorbed form: arXiv 2405.04434, 2412.19437; the indexer: arXiv 2512.02556; compressed pools: the
DeepSeek V4 configs and report.
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Full, Pool, Span, Sum, Top, Window
from roofcalc.physics.ops.gqa import LOG_SUM, index_cache
from roofcalc.physics.ops.types import Cache, Part, Place, Rebuilt
from roofcalc.specs.attention import MLA, Pooled
from roofcalc.specs.formula import formula

LATENTS_PER_SCALE = 128
SCALE_BYTES = 4.0
PARTIAL_BLOCK_BYTES = 4.0  # of one element of a block that is not full yet, 32-bit


@formula(
    "FLOPs per entry = 2·n·(2·r_kv + d_rope)",
    "FLOPs per pair, expanded = 2·n·(d_nope + d_rope + d_v)",
    "FLOPs per entry rebuilt = 2·r_kv·n·(d_nope + d_v)",
)
def mla(attention: MLA, hidden: int, place: Place) -> Part:
    """What a device does for multi-head latent attention in its absorbed form. Entries are not divided by t."""
    n = attention.heads // place.tp
    latent, rope = attention.kv_rank, attention.rope_dim
    candidates = Full()
    chosen = Top(candidates, attention.index.top_k) if attention.index else candidates
    caches = [Cache("attention", chosen, latent_bytes(attention, place) / place.dcp, 2.0 * n * (2 * latent + rope))]
    if attention.index and not attention.index.shared:
        caches.append(index_cache(attention.index, candidates, place))
    expanded = Rebuilt(
        2.0 * n * (attention.nope_dim + rope + attention.v_dim), 2.0 * latent * n * (attention.nope_dim + attention.v_dim), ("k_up", "v_up")
    )
    return Part(
        attention.matrices(hidden, place.tp),
        attention.vectors(hidden, place.tp),
        tuple(caches),
        rebuilt=expanded,
        gathered=(n * (latent + rope), n * (latent + LOG_SUM)),
    )


@formula("entry bytes = (r_kv + d_rope)·c", "entry bytes in fp8 = r_kv + 4·ceil(r_kv/128) + 2·d_rope")
def latent_bytes(attention: MLA, place: Place) -> float:
    """Bytes of one entry; in fp8 the scales of 128 latents each, and the rotary part in 16 bits."""
    if place.kv_scales:
        return attention.kv_rank + SCALE_BYTES * -(-attention.kv_rank // LATENTS_PER_SCALE) + 2.0 * attention.rope_dim
    return (attention.kv_rank + attention.rope_dim) * place.kv_bytes


@formula("entry bytes = d_k·c", "FLOPs per entry = 4·n·d_k", "bytes of a partial block = 2·(overlap·r)·(overlap·d_c)·4")
def pooled(attention: Pooled, hidden: int, place: Place) -> Part:
    """What a device does for attention over a compressed pool beside a raw window; one vector is key and value."""
    n, pool = attention.heads // place.tp, attention.pool
    compressed = Pool(pool.ratio) if pool.ratio else None
    spans: list[Span] = [Window(pool.window)]
    caches: list[Cache] = []
    if compressed is not None:
        spans.insert(0, Top(compressed, pool.index.top_k) if pool.index else compressed)
        if pool.index and not pool.index.shared:
            caches.append(index_cache(pool.index, compressed, place))
    caches.insert(0, Cache("attention", Sum(tuple(spans)), attention.head_dim * place.kv_bytes / place.dcp, 4.0 * n * attention.head_dim))
    squeezed = sum(attention.compressed_widths)
    return Part(
        attention.matrices(hidden, place.tp),
        attention.vectors(hidden, place.tp),
        tuple(caches),
        kept_bytes=2.0 * pool.overlap * pool.ratio * pool.overlap * squeezed * PARTIAL_BLOCK_BYTES,
        gathered=(n * attention.head_dim, n * (attention.head_dim + LOG_SUM)),
    )
