"""Operations of a pipeline stage in a prefill of P new tokens per sequence after C cached ones.

All operations are of the whole micro-batch, since in the expanded form of MLA the GEMMs depend on batch and context at once.
Source of the two forms of latent attention: arXiv 2405.04434, section 2.1, and 2412.19437.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import expert_operations
from roofcalc.physics.ops.gemm import gemm_operations
from roofcalc.physics.ops.operation import Attended, Operation, TokenLoad, Updated
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Cache, Part
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace
from roofcalc.specs.weights import Matrix


def prefill_operations(
    deployment: Deployment, stage: Stage, load: TokenLoad, sequences: Array, new: Array, cached: Array, scored: Array = 1.0
) -> list[Operation]:
    """All operations of a stage on one device.

    Parameters
    ----------
    load : TokenLoad
        With tokens T = B_r·P and T_g = B_m·P.
    sequences : array
        Sequences of one data-parallel rank, B_r.
    new, cached : array
        P and C, in the shape of the batch.
    scored : array
        Tokens per sequence whose logits the LM head computes: 1, or 0 before the last chunk.
    """
    model, activations = deployment.model, deployment.assumptions.activations
    prefix = float(deployment.assumptions.shared_prefix) if deployment.assumptions.is_bound else 0.0

    def bytes_of(tensor: str) -> float:
        return deployment.weight_dtype(tensor).bytes_per_element

    found: list[Operation] = []
    for name, layers in stage.groups:
        for part in parts(model.blocks[name], model.hidden, load.sharding):
            name_prefix = f"{name}."
            expanded = use_expanded_form(part, new, cached, attention_to_gemm_rate_ratio(deployment) if part.expanded_form else 1.0)
            replaced = () if part.expanded_form is None else part.expanded_form.replaces
            found += gemm_operations([m for m in part.matrices if m.name not in replaced], layers, load, bytes_of, activations, name_prefix)
            found += mla_up_projection_ops(part, replaced, layers, load, expanded, new, cached, bytes_of, activations, name_prefix)
            found += expert_operations(part.routed, layers, load, bytes_of, activations, name_prefix) if part.routed else []
            for cache in part.caches:
                flops = flops_per_pair(part, cache, expanded)
                found.append(attention_op(cache, layers, sequences, new, cached, flops, load.spread, name_prefix, prefix))
            if part.recurrence is not None:
                elements, spread = float(part.recurrence.elements), load.spread
                moved = 2.0 * elements * part.recurrence.bytes_per_element * sequences / spread
                flops = part.recurrence.flops * elements * new * sequences / spread
                updated = Updated(elements, new, sequences)
                found.append(Operation(f"{name_prefix}state", layers, flops, moved, "state", "state", prompt=True, shape=updated))
    if stage.last:
        last = replace(load, tokens=sequences * scored)
        head = gemm_operations([model.head(load.sharding.tp)], 1, last, bytes_of, activations)[0]
        found.append(replace(head, bytes=head.bytes * np.minimum(scored, 1.0)))
    return found


@formula("FLOPs = B_r·f_entry·pairs", "bytes = B_r·entry·moved")
def attention_op(
    cache: Cache, layers: int, sequences: Array, new: Array, cached: Array, flops: Array, spread: float = 1.0, prefix: str = "", common: float = 0.0
) -> Operation:
    """Attention of P new tokens over C cached ones and each other: cached entries are loaded once, new ones that stay are written.

    Of `common` cached tokens that all sequences share the loads are left out, for a bound: they may be loaded once for many.
    """
    moved = cache.span.prefill_traffic(cached, new)
    if common:
        moved = np.minimum(moved, cache.span.prefill_traffic(np.maximum(cached - common, 0.0), new))
    return Operation(
        name=prefix + cache.name,
        layers=layers,
        flops=sequences * flops * cache.span.pairs(cached, new) / spread,
        bytes=sequences * (cache.entry_bytes / spread) * moved,
        role=cache.role,
        tensor="kv",
        prompt=True,
        shape=Attended(cache, new, cached, sequences=sequences),
    )


def attention_to_gemm_rate_ratio(deployment: Deployment) -> float:
    """Peak FLOP/s of attention over that of its GEMMs: 0.5 where GEMMs run in fp8 and attention in bf16."""
    attention, gemm = (deployment.flop_per_s(deployment.format_of(role, "attention")) for role in ("attention", "linear"))
    assert attention is not None and gemm is not None  # callers check Deployment.has_time first
    return attention / gemm


@formula("absorbed = f_entry·pairs + v·P·f_up", "expanded = f_pair·pairs + v·(C + P)·f_up")
def use_expanded_form(part: Part, new: Array, cached: Array, value: float = 1.0) -> Array:
    """1 where MLA's expanded form takes less time than the absorbed form, else 0.

    `value`, v in the formulas, is `attention_to_gemm_rate_ratio`; with 1 the form with fewer FLOPs is chosen.
    """
    if part.expanded_form is None:
        return 0.0
    cache = part.caches[0]
    pairs = cache.span.pairs(cached, new)
    saved = (cache.flops - part.expanded_form.flops) * pairs
    return np.where(saved > value * part.expanded_form.entry_flops * cached, 1.0, 0.0)


def flops_per_pair(part: Part, cache: Cache, expanded: Array) -> Array:
    """FLOPs of one query token with one entry, in the chosen form."""
    if part.expanded_form is None or cache.name != "attention":
        return cache.flops
    return cache.flops + (part.expanded_form.flops - cache.flops) * expanded


@formula("T, expanded = T·(C + P)/P")
def mla_up_projection_ops(
    part: Part,
    names: tuple[str, ...],
    layers: int,
    load: TokenLoad,
    expanded: Array,
    new: Array,
    cached: Array,
    bytes_of: Callable[[str], float],
    activations: bool,
    prefix: str,
) -> list[Operation]:
    """MLA's up-projections: for every new token, or in the expanded form for every entry, cached ones included."""
    if not names:
        return []
    entries = load.tokens * (1.0 + expanded * (cached / new))
    matrices: list[Matrix] = [matrix for matrix in part.matrices if matrix.name in names]
    return gemm_operations(matrices, layers, replace(load, tokens=entries), bytes_of, activations, prefix)
