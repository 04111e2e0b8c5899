"""Attention over a cache: how many entries a sequence holds and reads, and the FLOPs per entry.

Sources: 4·heads·head_dim FLOPs per token and entry: arXiv 2307.08691, section 4.1; KV heads: arXiv 2305.13245; windows:
arXiv 2310.06825.
"""

from __future__ import annotations

import numpy as np

from roofcalc.architecture.attention import GQA
from roofcalc.operations.base import Array, Operation, Share


def reads(attention: GQA, seq: Array) -> Array:
    """Cache entries that one sequence of `seq` tokens reads per step: S, min(S, W), or min(S, C)."""
    limit = attention.window or attention.chunk
    return seq if limit is None else np.minimum(seq, limit)


def holds(attention: GQA, seq: Array, kv_policy: str) -> Array:
    """Cache entries that one sequence of `seq` tokens keeps; a borrower keeps none of its own."""
    if attention.kv == "shared":
        return 0.0 * seq
    return seq if kv_policy == "reserved" else reads(attention, seq)


def gqa(attention: GQA, layers: int, seq: Array, share: Share, bytes_per_element: float, tokens_per_sequence: float = 1.0) -> Operation:
    """Scores and weighted sum over the cache, of one sequence.

    FLOPs 2·n·(d_k+d_v) per query token and entry read, the textbook 4·heads·head_dim·S; bytes: each entry once per
    sequence, S−1 read and one written.
    """
    heads = attention.heads // share.tp
    entries = reads(attention, seq)
    return Operation(
        name="attention",
        layers=layers,
        flops=tokens_per_sequence * 2.0 * heads * (attention.head_dim + attention.value_dim) * entries / share.spread,
        bytes=entries * (attention.entry_elements(share.tp) * bytes_per_element) / share.spread,
        role="attention",
        tensor="kv",
        per_sequence=True,
    )
