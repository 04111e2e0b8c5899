"""Unsharded FLOPs and bytes of a model: what a token computes and a sequence stores, on any hardware.

Arrays of contexts may have any shape; results have the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Sharding
from roofcalc.physics.prefill_ops import flops_per_pair, use_expanded_form
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bytes_per_sequence(model: Model, sharding: Sharding, seq: Any) -> NDArray[Any]:
    """Bytes that one sequence of `seq` tokens stores: cache entries, recurrent states, and parts of fixed size."""
    seq = np.asarray(seq, dtype=float)
    total = np.zeros_like(seq)
    for name, layers in model.groups.items():
        for part in parts(model.blocks[name], model.hidden, sharding):
            state = part.recurrence.elements * part.recurrence.bytes_per_element if part.recurrence else 0.0
            total = total + layers * (part.fixed_bytes + state)
            for cache in part.caches:
                total = total + layers * cache.entry_bytes * cache.span.entries_stored(seq)
    return np.asarray(total)


def attention_flops(model: Model, sharding: Sharding, seq: Any) -> NDArray[Any]:
    """FLOPs of one token at a context of `seq`, without GEMMs by weights: attention, indexers, recurrent updates.

    4·heads·head_dim·S per layer for full attention (arXiv 2307.08691, section 4.1).
    """
    seq = np.asarray(seq, dtype=float)
    total = np.zeros_like(seq)
    for name, layers in model.groups.items():
        for part in parts(model.blocks[name], model.hidden, sharding):
            total = total + layers * (part.recurrence.flops * part.recurrence.elements if part.recurrence else 0.0)
            for cache in part.caches:
                total = total + layers * cache.flops * cache.span.entries_read(seq)
    return np.asarray(total)


def generation_attention_flops(model: Model, sharding: Sharding, new: Any, cached: Any = 0.0) -> NDArray[Any]:
    """`attention_flops` summed over the P tokens that one sequence generates after C."""
    new, cached = np.broadcast_arrays(np.asarray(new, dtype=float), np.asarray(cached, dtype=float))
    total = np.zeros(new.shape)
    for name, layers in model.groups.items():
        for part in parts(model.blocks[name], model.hidden, sharding):
            total = total + layers * new * (part.recurrence.flops * part.recurrence.elements if part.recurrence else 0.0)
            for cache in part.caches:
                total = total + layers * cache.flops * cache.span.pairs(cached, new)
    return np.asarray(total)


def linear_flops(model: Model, head: bool = True) -> float:
    """FLOPs of one token's GEMMs: two per weight, and for experts the top_k that it is routed to; with `head`, the LM head too."""
    total = 2.0 * model.head().elements if head else 0.0
    for name, layers in model.groups.items():
        for part in parts(model.blocks[name], model.hidden, Sharding()):
            elements = float(sum(matrix.elements for matrix in part.matrices))
            if part.routed:
                met = part.routed.top_k * part.routed.experts / part.routed.routed
                elements += met * sum(matrix.elements for matrix in part.routed.matrices)
            total += 2.0 * layers * elements
    return total


def prefill_flops(model: Model, sharding: Sharding, new: Any, cached: Any = 0.0) -> NDArray[Any]:
    """FLOPs of a prefill of P tokens of one sequence after C cached ones, with one LM head; MLA in the form with fewer FLOPs."""
    new, cached = np.broadcast_arrays(np.asarray(new, dtype=float), np.asarray(cached, dtype=float))
    total = np.full(new.shape, 2.0 * model.head().elements) + linear_flops(model, head=False) * new
    for name, layers in model.groups.items():
        for part in parts(model.blocks[name], model.hidden, sharding):
            total = total + layers * new * (part.recurrence.flops * part.recurrence.elements if part.recurrence else 0.0)
            expanded = use_expanded_form(part, new, cached)
            for cache in part.caches:
                total = total + layers * flops_per_pair(part, cache, expanded) * cache.span.pairs(cached, new)
            if part.expanded_form is not None:
                total = total + layers * expanded * part.expanded_form.entry_flops * cached
    return np.asarray(total)
