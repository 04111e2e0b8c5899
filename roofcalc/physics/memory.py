"""Memory of one device: weights, KV cache and states, and the batch that fits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.decode_ops import storage_sharding
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import held_experts
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import NO_SHARING, Sharding, SharedPrefix
from roofcalc.specs.formula import formula
from roofcalc.specs.model import Model
from roofcalc.specs.stored_weights import WeightDtypes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@formula("weights = layers·elements·w", "experts = layers·held·elements·w")
def weight_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of weights on one device of a stage: matrices in their storage dtypes, norms and biases in 16 bits (32 in GGUF files).

    Replicated KV heads, latent projections and routers count on every rank; for experts see `held_experts`.
    """
    model, sharding, stored = deployment.model, storage_sharding(deployment), deployment.stored
    total = sum(model.blocks[name].stored(count) * _layer_bytes(model, name, sharding, stored) for name, count in stage.groups)
    if stage.first or stage.last:
        total += _ends_bytes(model, sharding.tp, stored, stage.first, stage.last)
    return total + sum(weight_bytes(drafter, drafter.stages[0]) for drafter in _drafters(deployment))


@lru_cache(maxsize=1024)
def _layer_bytes(model: Model, name: str, sharding: Sharding, stored: WeightDtypes) -> float:
    """Bytes of one layer of a block: its norms, and its parts' matrices and vectors."""
    bytes_of, block = stored.bytes_of, model.blocks[name]
    total = model.norm_vectors(block) * bytes_of("norm")
    for part in parts(block, model.hidden, sharding):
        total += sum(elements * bytes_of(tensor) for tensor, elements in part.elements.items()) + part.vectors * bytes_of("norm")
        if part.routed:
            total += held_experts(part.routed, sharding) * sum(m.elements * bytes_of(m.tensor) for m in part.routed.matrices)
    return total


@lru_cache(maxsize=1024)
def _ends_bytes(model: Model, tp: int, stored: WeightDtypes, first: bool, last: bool) -> float:
    """Bytes of what stands before the first layer and after the last: tables, which both may share, and vectors."""
    embed, head, norm, tower = map(stored.bytes_of, ("embed", "head", "norm", "tower"))
    total = 0.0
    if first:
        extra = model.extra_embed.rows * model.extra_embed.dim / tp if model.extra_embed and not model.extra_embed.offload else 0.0
        total += (model.embedding(tp).elements + extra) * embed + model.first_vectors * norm
        total += sum(model.excluded.values()) / tp * tower
    if last:
        total += model.last_vectors * norm + (0.0 if model.tied and first else model.head(tp).elements * head)
    return total


def _drafters(deployment: Deployment) -> list[Deployment]:
    draft = deployment.draft
    return [draft.deployment] * draft.copies if draft and draft.deployment else []


@formula("cache = layers·holds·entry", "state = layers·N_s·b", "kept = layers·kept")
def kv_bytes(deployment: Deployment, stage: Stage, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> NDArray[Any]:
    """Bytes that one sequence of `seq` tokens keeps on one device of a stage: KV entries, states, partial blocks.

    With several `branches`, the bytes of all streams of one query; whole blocks of their common prefix count once.
    """
    return _of_stage(stage, _kept_per_layer(deployment, seq, shared_prefix))


def _of_stage(stage: Stage, per_layer: dict[str, Array]) -> NDArray[Any]:
    return np.asarray(per_layer[""] + sum(layers * per_layer[name] for name, layers in stage.groups))


def _kept_per_layer(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> dict[str, Array]:
    """Bytes that one sequence keeps on one device in one layer of each block; under "", in the drafters."""
    block = deployment.assumptions.kv_block
    kept = np.ceil(np.asarray(seq, dtype=float) / block) * block
    whole = SharedPrefix(shared_prefix.count, np.floor(shared_prefix.prefix / block) * block)
    found: dict[str, Array] = {"": np.zeros_like(kept)}
    for name in deployment.model.groups:
        found[name] = 0.0
        for part in parts(deployment.model.blocks[name], deployment.model.hidden, storage_sharding(deployment)):
            state = part.recurrence.elements * part.recurrence.bytes_per_element if part.recurrence else 0.0
            found[name] += (part.fixed_bytes + state) * shared_prefix.count
            for cache in part.caches:
                found[name] = found[name] + cache.entry_bytes * whole.of(cache.span).entries_stored(kept)
    for drafter in _drafters(deployment):
        found[""] = found[""] + kv_bytes(drafter, drafter.stages[0], seq, shared_prefix)
    return found


def system_weight_bytes(deployment: Deployment) -> float:
    """Bytes of weights on all devices, replicas included."""
    ranks = deployment.layout.tp * deployment.layout.dp
    return sum(stage.count * weight_bytes(deployment, stage) for stage in deployment.stages) * ranks


def system_kv_bytes(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> NDArray[Any]:
    """Bytes that one sequence keeps on all devices, replicated KV heads included."""
    per_layer = _kept_per_layer(deployment, seq, shared_prefix)
    return np.asarray(sum(stage.count * _of_stage(stage, per_layer) for stage in deployment.stages)) * deployment.layout.tp


def system_capacity_bytes(deployment: Deployment) -> float:
    """Bytes on all devices for weights and caches: capacity × util, less the reserve."""
    return deployment.hardware.count * deployment.usable_bytes


def weights_fit(deployment: Deployment) -> bool:
    """Whether the weights fit in every stage."""
    return all(weight_bytes(deployment, stage) <= deployment.usable_bytes for stage in deployment.stages)


@formula("usable = capacity·util − reserve", "batch_memory = d·floor((usable − weights)/KV)")
def batch_memory(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING, shares: Any = None) -> NDArray[Any]:
    """Sequences (with several `shared_prefix`: queries) that fit in the fullest stage; inf where nothing is kept per sequence.

    With `shares`, the last axis of `seq` holds kinds of sequences, and the batch is a mix of them in these shares.
    """
    seq, usable = np.asarray(seq, dtype=float), deployment.usable_bytes
    rooms = [usable - weight_bytes(deployment, stage) for stage in deployment.stages]
    if min(rooms) < 0:
        return np.zeros(seq.shape if shares is None else seq.shape[:-1])
    per_layer = _kept_per_layer(deployment, seq, shared_prefix)
    if shares is not None:
        per_layer = {name: np.asarray((held * shares).sum(axis=-1)) for name, held in per_layer.items()}
    with np.errstate(divide="ignore"):
        fitting = [np.floor(room / _of_stage(stage, per_layer) * (1 + 1e-12)) for room, stage in zip(rooms, deployment.stages, strict=True)]
    return np.asarray(deployment.layout.dp * np.minimum.reduce(fitting))
