"""A stage's prefill of P new tokens per sequence after C cached ones: operations of the whole micro-batch.

Nothing here is per sequence: where latents are rebuilt, FLOPs and bytes depend on batch and context at once. Source of the
two forms of latent attention: arXiv 2405.04434, section 2.1, and 2412.19437.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import expert_operations
from roofcalc.physics.ops.gemm import linear
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Cache, Operation, Part, Share
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace
from roofcalc.specs.weights import Matrix


def prefill_operations(
    deployment: Deployment, stage: Stage, share: Share, sequences: Array, new: Array, cached: Array, scored: Array = 1.0
) -> list[Operation]:
    """Every operation of a stage on one device.

    Parameters
    ----------
    share : Share
        With tokens T = B_r·P and T_g = B_m·P.
    sequences : array
        Of one rank, B_r.
    new, cached : array
        P and C, in one shape with the batch.
    scored : array
        Tokens of each sequence that the head scores: the last one, or none before the last chunk.
    """
    model, activations = deployment.model, deployment.assumptions.activations

    def bytes_of(tensor: str) -> float:
        return deployment.weight_dtype(tensor).bytes_per_element

    found: list[Operation] = []
    for name, layers in stage.groups:
        for part in parts(model.blocks[name], model.hidden, share.place):
            prefix = f"{name}."
            expanded = is_expanded(part, new, cached, worth(deployment) if part.rebuilt else 1.0)
            again = () if part.rebuilt is None else part.rebuilt.instead_of
            found += linear([m for m in part.matrices if m.name not in again], layers, share, bytes_of, activations, prefix)
            found += linear_again(part, again, layers, share, expanded, new, cached, bytes_of, activations, prefix)
            found += expert_operations(part.routed, layers, share, bytes_of, activations, prefix) if part.routed else []
            for cache in part.caches:
                flops = per_pair(part, cache, expanded)
                found.append(attended(cache, layers, sequences, new, cached, flops, share.spread, prefix))
            if part.recurrence is not None:
                elements, spread = float(part.recurrence.elements), share.spread
                moved = 2.0 * elements * part.recurrence.bytes_per_element * sequences / spread
                flops = part.recurrence.flops * elements * new * sequences / spread
                found.append(Operation(f"{prefix}state", layers, flops, moved, "state", "state", prompt=True))
    if stage.last:
        last = replace(share, tokens=sequences * scored)
        head = linear([model.head(share.place.tp)], 1, last, bytes_of, activations)[0]
        found.append(replace(head, bytes=head.bytes * np.minimum(scored, 1.0)))
    return found


@formula("FLOPs = B_r·f_entry·pairs", "bytes = B_r·entry·moved")
def attended(
    cache: Cache, layers: int, sequences: Array, new: Array, cached: Array, flops: Array, spread: float = 1.0, prefix: str = ""
) -> Operation:
    """Attention of P new tokens over C cached ones and one another: entries of C loaded once, those held of P written."""
    return Operation(
        name=prefix + cache.name,
        layers=layers,
        flops=sequences * flops * cache.span.pairs(cached, new) / spread,
        bytes=sequences * (cache.entry_bytes / spread) * cache.span.moved(cached, new),
        role=cache.role,
        tensor="kv",
        prompt=True,
    )


def worth(deployment: Deployment) -> float:
    """FLOPs of attention in the time of one of a product by its weights: half in fp8 products beside bf16 attention."""
    attention, product = (deployment.flop_per_s(deployment.format_of(role, "attention")) for role in ("attention", "linear"))
    assert attention is not None and product is not None  # whoever asks for times checks Deployment.has_time first
    return attention / product


@formula("absorbed = f_entry·pairs + v·P·f_up", "expanded = f_pair·pairs + v·(C + P)·f_up")
def is_expanded(part: Part, new: Array, cached: Array, value: float = 1.0) -> Array:
    """Where rebuilding keys and values of all heads is done sooner than attending to the latents (1, else 0).

    `value`, v in the formulas, is what `worth` says; at 1 the form with fewer FLOPs is taken.
    """
    if part.rebuilt is None:
        return 0.0
    cache = part.caches[0]
    pairs = cache.span.pairs(cached, new)
    saved = (cache.flops - part.rebuilt.flops) * pairs
    return np.where(saved > value * part.rebuilt.entry_flops * cached, 1.0, 0.0)


def per_pair(part: Part, cache: Cache, expanded: Array) -> Array:
    """FLOPs of one query with one entry, in the form that is taken."""
    if part.rebuilt is None or cache.name != "attention":
        return cache.flops
    return cache.flops + (part.rebuilt.flops - cache.flops) * expanded


@formula("T, expanded = T·(C + P)/P")
def linear_again(
    part: Part,
    names: tuple[str, ...],
    layers: int,
    share: Share,
    expanded: Array,
    new: Array,
    cached: Array,
    bytes_of: Callable[[str], float],
    activations: bool,
    prefix: str,
) -> list[Operation]:
    """The per-head products of latent attention: for every new token, or, expanded, for every entry, cached ones included."""
    if not names:
        return []
    entries = share.tokens * (1.0 + expanded * (cached / new))
    matrices: list[Matrix] = [matrix for matrix in part.matrices if matrix.name in names]
    return linear(matrices, layers, replace(share, tokens=entries), bytes_of, activations, prefix)
