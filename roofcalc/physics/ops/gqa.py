"""Work of grouped-query attention (multi-head and multi-query included), with any span, and of indexers.

Sources: 4·heads·head_dim FLOPs per token and entry: arXiv 2307.08691, section 4.1; KV heads: arXiv 2305.13245; windows:
arXiv 2310.06825.
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Chunk, Full, Span, Top, Window
from roofcalc.physics.kv_storage import Reserved, SharedKV
from roofcalc.physics.ops.types import Cache, FormulaUse, Heads, Part, Sharding
from roofcalc.specs.attention import GQA
from roofcalc.specs.attention_spec import Index
from roofcalc.specs.formula import formula

INDEX_SCALE_BYTES = 4.0  # one 32-bit scale per index key, whose elements are fp8
LOG_SUM = 2.0  # a 32-bit log-sum-exp, in 16-bit elements


@formula(
    "m = max(1, ceil(n_kv/t))",
    "entry bytes = m·(d_k + d_v)·c",
    "entry bytes, one vector for both = m·d_k·c",
    "FLOPs per entry = 2·n·(d_k + d_v)",
    "loads = 1 + ρ·(n/m − 1)",
)
def gqa(attention: GQA, hidden: int, sharding: Sharding) -> Part:
    """Work of grouped-query attention on one device."""
    n = attention.heads // sharding.tp
    entry = attention.cached_elements(sharding.tp, sharding.one_vector) * sharding.kv_bytes / sharding.dcp
    loads = 1.0 + sharding.kv_reload_fraction * (n / attention.kv_heads_on_device(sharding.tp) - 1.0) if sharding.kv_reload_fraction else 1.0
    formulas = (
        FormulaUse(gqa, "m", unit="KV heads"),
        FormulaUse(gqa, "entry bytes, one vector for both" if attention.shared_kv and sharding.one_vector else "entry bytes", "entry bytes", "B"),
        FormulaUse(gqa, "FLOPs per entry", "f_entry"),
        *((FormulaUse(gqa, "loads", unit="of each entry, by query heads that do not share them"),) if sharding.kv_reload_fraction else ()),
    )
    flops = 2.0 * n * (attention.head_dim + attention.value_dim)
    kind = "sparse" if attention.blocks is not None else "grouped"
    heads = Heads(kind, n, attention.kv_heads_on_device(sharding.tp), attention.head_dim, attention.value_dim, attention.window)
    caches = [Cache("attention", span(attention, sharding), entry, flops, loads=loads, formulas=formulas, heads=heads)]
    if attention.blocks is not None and (index := attention.blocks.index):
        caches.append(index_cache(index, Full(), sharding))
    unused = attention.unused_weights(hidden, sharding.tp)
    return Part(
        tuple(one for one in attention.matrices(hidden, sharding.tp) if one not in unused),
        attention.vectors(hidden, sharding.tp),
        tuple(caches),
        unused=unused,
        context_gathered=(n * attention.head_dim, n * (attention.value_dim + LOG_SUM)),
    )


def span(attention: GQA, sharding: Sharding) -> Span:
    """The entries that a layer stores and reads."""
    found: Span = Full()
    bounded = attention.window is not None or attention.chunk is not None
    if attention.window is not None:
        found = Window(attention.window)
    elif attention.chunk is not None:
        found = Chunk(attention.chunk, sharding.exact)
    elif attention.blocks is not None:
        found = Top(found, (attention.blocks.top_k + attention.blocks.local) * attention.blocks.size)
    if attention.kv == "shared":
        return SharedKV(found)
    return Reserved(found) if sharding.reserved and bounded else found


@formula("entry bytes = d_i + 4", "FLOPs per candidate = 2·n_i·d_i")
def index_cache(index: Index, candidates: Span, sharding: Sharding) -> Cache:
    """The key cache of an indexer, which scores every candidate for every query token; replicated on every tensor rank."""
    formulas = (FormulaUse(index_cache, "entry bytes", unit="B"), FormulaUse(index_cache, "FLOPs per candidate", "f_entry"))
    entry_bytes, flops = (index.dim + INDEX_SCALE_BYTES) / sharding.dcp, 2.0 * index.heads * index.dim / sharding.dcp
    return Cache("index", candidates, entry_bytes, flops, "index", formulas=formulas, heads=Heads("index", index.heads, 1, index.dim, 0))
