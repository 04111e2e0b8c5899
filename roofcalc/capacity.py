"""What fills the memory: weights and caches per device, what is left, and the longest context that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment import Deployment
from roofcalc.layout import Stage
from roofcalc.operations.base import ALONE, Branches
from roofcalc.operations.feedforward import held_experts
from roofcalc.operations.kinds import parts
from roofcalc.operations.step import held_place
from roofcalc.solve import largest

if TYPE_CHECKING:  # a tenth of the start would go into it
    from numpy.typing import NDArray

MAX_CONTEXT = 2**40


def weight_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of weights on one device of a stage: matrices in their dtypes, norms and biases in 16 bits.

    Replicated KV heads, latent projections and routers weigh on each rank; experts as `held_experts` says.

    Formulas
    --------
    weights = layers·N·w
    experts = layers·held·N·w
    """
    model, tp, place = deployment.model, deployment.layout.tp, held_place(deployment)

    def bytes_of(tensor: str) -> float:
        return deployment.weight_dtype(tensor).bytes_per_element

    total = 0.0
    for name, count in stage.groups:
        block = model.blocks[name]
        layers = block.stored(count)
        total += layers * model.norm_vectors(block) * bytes_of("norm")
        for part in parts(block, model.hidden, place):
            one = sum(elements * bytes_of(tensor) for tensor, elements in part.elements.items()) + part.vectors * bytes_of("norm")
            if part.routed:
                one += held_experts(part.routed, place) * sum(m.elements * bytes_of(m.tensor) for m in part.routed.matrices)
            total += layers * one
    shared_table = model.tied and stage.first and stage.last
    if stage.first:
        extra = model.extra_embed.rows * model.extra_embed.dim / tp if model.extra_embed and not model.extra_embed.offload else 0.0
        total += model.embedding(tp).elements * bytes_of("embed") + extra * bytes_of("embed") + model.first_vectors * bytes_of("norm")
        total += sum(model.excluded.values()) / tp * bytes_of("norm")
    if stage.last:
        total += model.last_vectors * bytes_of("norm") + (0.0 if shared_table else model.head(tp).elements * bytes_of("head"))
    return total + sum(weight_bytes(drafter, drafter.stages[0]) for drafter in _drafters(deployment))


def _drafters(deployment: Deployment) -> list[Deployment]:
    draft = deployment.draft
    return [draft.deployment] * draft.copies if draft and draft.deployment else []


def kv_bytes(deployment: Deployment, stage: Stage, seq: Any, branches: Branches = ALONE) -> NDArray[Any]:
    """Bytes that one sequence of `seq` tokens keeps on one device of a stage: cache entries, states, what is kept besides.

    With `branches`, what all streams of one query keep: whole blocks of their prefix once.

    Formulas
    --------
    cache = layers·holds·entry
    state = layers·N_s·b
    kept = layers·kept
    """
    block = deployment.assumptions.kv_block
    kept = np.ceil(np.asarray(seq, dtype=float) / block) * block
    whole = Branches(branches.count, np.floor(branches.prefix / block) * block)
    total = np.zeros_like(kept)
    for name, layers in stage.groups:
        for part in parts(deployment.model.blocks[name], deployment.model.hidden, held_place(deployment)):
            fixed = part.kept_bytes
            if part.recurrence is not None:
                fixed += part.recurrence.elements * part.recurrence.bytes_per_element
            total = total + layers * fixed * branches.count
            for cache in part.caches:
                total = total + layers * (cache.entry_bytes * whole.of(cache.span).holds(kept))
    for drafter in _drafters(deployment):
        total = total + kv_bytes(drafter, drafter.stages[0], seq, branches)
    return total


def system_weight_bytes(deployment: Deployment) -> float:
    """Bytes of weights over all devices, replicas included."""
    ranks = deployment.layout.tp * deployment.layout.dp
    return sum(stage.count * weight_bytes(deployment, stage) for stage in deployment.stages) * ranks


def system_kv_bytes(deployment: Deployment, seq: Any, branches: Branches = ALONE) -> NDArray[Any]:
    """Bytes of cache of one sequence over all devices, replicated heads included."""
    held = [stage.count * kv_bytes(deployment, stage, seq, branches) for stage in deployment.stages]
    return np.asarray(sum(held)) * deployment.layout.tp


def system_capacity_bytes(deployment: Deployment) -> float:
    """Bytes over all devices that weights and caches may fill: the reading × util, less the reserve."""
    return deployment.hardware.count * deployment.usable_bytes


def weights_fit(deployment: Deployment) -> bool:
    """Whether the fullest stage has room for its weights."""
    return all(weight_bytes(deployment, stage) <= deployment.usable_bytes for stage in deployment.stages)


def batch_memory(deployment: Deployment, seq: Any, branches: Branches = ALONE) -> NDArray[Any]:
    """Sequences, or with `branches` queries, that fit the fullest stage; inf where nothing is kept per token.

    Formulas
    --------
    usable = M·util − reserve
    batch_memory = d·floor((usable − weights)/KV)
    """
    seq, usable = np.asarray(seq, dtype=float), deployment.usable_bytes
    rooms = [usable - weight_bytes(deployment, stage) for stage in deployment.stages]
    if min(rooms) < 0:
        return np.zeros_like(seq)
    fitting = []
    for room, stage in zip(rooms, deployment.stages, strict=True):
        with np.errstate(divide="ignore"):
            fitting.append(np.floor(room / kv_bytes(deployment, stage, seq, branches) * (1 + 1e-12)))
    return np.asarray(deployment.layout.dp * np.minimum.reduce(fitting))


def max_context(deployment: Deployment, batch: Any) -> NDArray[Any]:
    """The most tokens per sequence at which `batch` sequences fit; 0 where not even one does, inf where nothing grows."""
    batch = np.asarray(batch, dtype=float)
    found = largest(lambda seq: batch_memory(deployment, seq) >= batch, batch.shape, MAX_CONTEXT)
    return np.where(found >= MAX_CONTEXT, np.inf, found)
