"""Work of latent and pooled attention, where all heads share one cache entry per token or per block of tokens.

Sources: MLA and its absorbed form: arXiv 2405.04434, 2412.19437; the indexer: arXiv 2512.02556; compressed pools: the
DeepSeek V4 configs and report.
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Full, Pool, Span, Sum, Top, Window
from roofcalc.physics.ops.gqa import LOG_SUM, index_cache
from roofcalc.physics.ops.types import Cache, ExpandedMLA, FormulaUse, Heads, Part, Sharding
from roofcalc.specs.formula import formula
from roofcalc.specs.latent_attention import MLA, Pooled

LATENTS_PER_SCALE = 128  # fp8 latents that share one scale
SCALE_BYTES = 4.0
PARTIAL_BLOCK_BYTES = 4.0  # per element of a block that is not full yet: 32 bits


@formula(
    "FLOPs per entry = 2·n·(2·r_kv + d_rope)",
    "FLOPs per pair, expanded = 2·n·(d_nope + d_rope + d_v)",
    "FLOPs per entry rebuilt = 2·r_kv·n·(d_nope + d_v)",
)
def mla(attention: MLA, hidden: int, sharding: Sharding) -> Part:
    """Work of multi-head latent attention on one device, in the absorbed form; every tensor rank holds the whole entry."""
    n = attention.heads // sharding.tp
    latent, rope = attention.kv_rank, attention.rope_dim
    candidates = Full()
    chosen = Top(candidates, attention.index.top_k) if attention.index else candidates
    formulas = (
        FormulaUse(latent_bytes, "entry bytes in fp8, sparse" if sharding.kv_scales and attention.index else "entry bytes", "entry bytes", "B"),
        FormulaUse(mla, "FLOPs per entry", "f_entry"),
    )
    heads = Heads("sparse" if attention.index else "latent", n, 1, latent + rope, latent)
    entry_bytes, flops = latent_bytes(attention, sharding) / sharding.dcp, 2.0 * n * (2 * latent + rope)
    caches = [Cache("attention", chosen, entry_bytes, flops, formulas=formulas, heads=heads)]
    if attention.index and not attention.index.shared:
        caches.append(index_cache(attention.index, candidates, sharding))
    expanded = ExpandedMLA(
        flops=2.0 * n * (attention.nope_dim + rope + attention.v_dim),
        entry_flops=2.0 * latent * n * (attention.nope_dim + attention.v_dim),
        replaces=("k_up", "v_up"),
        formula=FormulaUse(mla, "FLOPs per pair, expanded", "f_entry"),
    )
    return Part(
        attention.matrices(hidden, sharding.tp),
        attention.vectors(hidden, sharding.tp),
        tuple(caches),
        expanded_form=expanded,
        context_gathered=(n * (latent + rope), n * (latent + LOG_SUM)),
    )


@formula("entry bytes = (r_kv + d_rope)·c", "entry bytes in fp8, sparse = r_kv + 4·ceil(r_kv/128) + 2·d_rope")
def latent_bytes(attention: MLA, sharding: Sharding) -> float:
    """Bytes of one cache entry; in fp8 with an indexer one scale per 128 latents, and the rotary part in 16 bits.

    The latter are the 656 bytes of FlashMLA's sparse kernel, which vLLM calls `fp8_ds_mla` and uses for DeepSeek-V3.2; caches of
    dense latent attention are fp8 throughout, 576 bytes.
    """
    if sharding.kv_scales and attention.index is not None:
        return attention.kv_rank + SCALE_BYTES * -(-attention.kv_rank // LATENTS_PER_SCALE) + 2.0 * attention.rope_dim
    return (attention.kv_rank + attention.rope_dim) * sharding.kv_bytes


@formula("entry bytes = d_k·c", "FLOPs per entry = 4·n·d_k", "bytes of a partial block = 2·(overlap·r)·(overlap·d_c)·4")
def pooled(attention: Pooled, hidden: int, sharding: Sharding) -> Part:
    """Work of attention over a compressed pool and a window of raw entries; one vector serves as key and value."""
    n, pool = attention.heads // sharding.tp, attention.pool
    compressed = Pool(pool.ratio) if pool.ratio else None
    spans: list[Span] = [Window(pool.window)]
    caches: list[Cache] = []
    if compressed is not None:
        spans.insert(0, Top(compressed, pool.index.top_k) if pool.index else compressed)
        if pool.index and not pool.index.shared:
            caches.append(index_cache(pool.index, compressed, sharding))
    formulas = (FormulaUse(pooled, "entry bytes", unit="B"), FormulaUse(pooled, "FLOPs per entry", "f_entry"))
    entry_bytes, flops = attention.head_dim * sharding.kv_bytes / sharding.dcp, 4.0 * n * attention.head_dim
    heads = Heads("sparse", n, 1, attention.head_dim, attention.head_dim)
    caches.insert(0, Cache("attention", Sum(tuple(spans)), entry_bytes, flops, formulas=formulas, heads=heads))
    squeezed = sum(attention.compressed_widths)
    return Part(
        attention.matrices(hidden, sharding.tp),
        attention.vectors(hidden, sharding.tp),
        tuple(caches),
        fixed_bytes=2.0 * pool.overlap * pool.ratio * pool.overlap * squeezed * PARTIAL_BLOCK_BYTES,
        context_gathered=(n * attention.head_dim, n * (attention.head_dim + LOG_SUM)),
    )
