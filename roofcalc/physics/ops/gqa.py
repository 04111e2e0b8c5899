"""Grouped-query, multi-head and multi-query attention: caches whole, windowed, chunked, by blocks, or borrowed.

Sources: 4·heads·head_dim FLOPs per token and entry: arXiv 2307.08691, section 4.1; KV heads: arXiv 2305.13245; windows:
arXiv 2310.06825.
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Borrowed, Chunk, Full, Reserved, Span, Top, Window
from roofcalc.physics.ops.types import Cache, Part, Place
from roofcalc.specs.attention import GQA, Index
from roofcalc.specs.formula import formula

INDEX_SCALE_BYTES = 4.0  # of an index key, one fp8 byte per element beside it
LOG_SUM = 2.0  # a 32-bit logarithm of the sum, in 16-bit elements


@formula(
    "m = max(1, ceil(n_kv/t))",
    "entry bytes = m·(d_k + d_v)·c",
    "entry bytes, one vector for both = m·d_k·c",
    "FLOPs per entry = 2·n·(d_k + d_v)",
    "loads = 1 + ρ·(n/m − 1)",
)
def gqa(attention: GQA, hidden: int, place: Place) -> Part:
    """What a device does for grouped-query attention."""
    n = attention.heads // place.tp
    entry = attention.entry_elements(place.tp) * place.kv_bytes / place.dcp
    loads = 1.0 + place.repeated * (n / attention.kv_heads_on_device(place.tp) - 1.0) if place.repeated else 1.0
    caches = [Cache("attention", span(attention, place), entry, 2.0 * n * (attention.head_dim + attention.value_dim), loads=loads)]
    blocks = attention.blocks
    if blocks is not None and blocks.heads and blocks.dim:
        caches.append(index_cache(Index(blocks.heads, blocks.dim, blocks.top_k), Full(), place))
    idle = attention.idle(hidden, place.tp)
    return Part(
        tuple(one for one in attention.matrices(hidden, place.tp) if one not in idle),
        attention.vectors(hidden, place.tp),
        tuple(caches),
        idle=idle,
        gathered=(n * attention.head_dim, n * (attention.value_dim + LOG_SUM)),
    )


def span(attention: GQA, place: Place) -> Span:
    """The entries that a layer holds and reads."""
    found: Span = Full()
    if attention.window is not None:
        found = Window(attention.window)
    elif attention.chunk is not None:
        found = Chunk(attention.chunk, place.exact)
    elif attention.blocks is not None:
        found = Top(found, (attention.blocks.top_k + attention.blocks.local) * attention.blocks.size)
    if attention.kv == "shared":
        return Borrowed(found)
    return Reserved(found) if place.reserved and isinstance(found, (Window, Chunk)) else found


@formula("entry bytes = d_i + 4", "FLOPs per candidate = 2·n_i·d_i")
def index_cache(index: Index, candidates: Span, place: Place) -> Cache:
    """An indexer scores every candidate for every query token; its keys are whole on every tensor rank."""
    return Cache("index", candidates, (index.dim + INDEX_SCALE_BYTES) / place.dcp, 2.0 * index.heads * index.dim / place.dcp, "index")
