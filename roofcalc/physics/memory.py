"""What fills the memory: weights and caches per device, what is left, and the longest context that fits."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment, stored
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import engine_memory
from roofcalc.physics.decode_ops import held_place
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import held_experts
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import ALONE, Branches, Place
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def weight_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of weights on one device of a stage: matrices in their dtypes, norms and biases in 16 bits.

    Replicated KV heads, latent projections and routers weigh on each rank; experts as `held_experts` says.

    Formulas
    --------
    weights = layers·N·w
    experts = layers·held·N·w
    """
    model, place, weights = deployment.model, held_place(deployment), deployment.weights
    total = sum(model.blocks[name].stored(count) * _layer_bytes(model, name, place, weights) for name, count in stage.groups)
    if stage.first or stage.last:
        total += _ends_bytes(model, place.tp, weights, stage.first, stage.last)
    total += engine_memory.padding_bytes(deployment, stage)
    return total + sum(weight_bytes(drafter, drafter.stages[0]) for drafter in _drafters(deployment))


@lru_cache(maxsize=1024)
def _layer_bytes(model: Model, name: str, place: Place, weights: str) -> float:
    """Bytes of one layer of a block: its norms, and its parts' matrices and vectors."""

    def bytes_of(tensor: str) -> float:
        return stored(model.dtypes, weights, tensor).bytes_per_element

    block = model.blocks[name]
    total = model.norm_vectors(block) * bytes_of("norm")
    for part in parts(block, model.hidden, place):
        total += sum(elements * bytes_of(tensor) for tensor, elements in part.elements.items()) + part.vectors * bytes_of("norm")
        if part.routed:
            total += held_experts(part.routed, place) * sum(m.elements * bytes_of(m.tensor) for m in part.routed.matrices)
    return total


@lru_cache(maxsize=1024)
def _ends_bytes(model: Model, tp: int, weights: str, first: bool, last: bool) -> float:
    """Bytes of what stands before the first layer and after the last: tables, which both may share, and vectors."""
    embed, head, norm = (stored(model.dtypes, weights, tensor).bytes_per_element for tensor in ("embed", "head", "norm"))
    total = 0.0
    if first:
        extra = model.extra_embed.rows * model.extra_embed.dim / tp if model.extra_embed and not model.extra_embed.offload else 0.0
        total += (model.embedding(tp).elements + extra) * embed + (model.first_vectors + sum(model.excluded.values()) / tp) * norm
    if last:
        total += model.last_vectors * norm + (0.0 if model.tied and first else model.head(tp).elements * head)
    return total


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
    kept in pages = blocks·layers of a group·page
    """
    return _kept(deployment, [stage], seq, branches)[0]


def _kept(deployment: Deployment, stages: list[Stage], seq: Any, branches: Branches = ALONE) -> list[NDArray[Any]]:
    """Bytes that one sequence keeps on one device of each stage: by pages where the engine groups layers, else layer by layer."""
    found: list[NDArray[Any]] = []
    per_layer: dict[str, Array] | None = None
    for stage in stages:
        page = engine_memory.grouped_pages(deployment, stage)
        if page is not None:
            found.append(engine_memory.blocks(deployment, page, seq, branches) * page.bytes)
            continue
        per_layer = _kept_per_layer(deployment, seq, branches) if per_layer is None else per_layer
        found.append(_of_stage(stage, per_layer))
    return found


def _of_stage(stage: Stage, per_layer: dict[str, Array]) -> NDArray[Any]:
    return np.asarray(per_layer[""] + sum(layers * per_layer[name] for name, layers in stage.groups))


def _kept_per_layer(deployment: Deployment, seq: Any, branches: Branches = ALONE) -> dict[str, Array]:
    """Bytes that one sequence keeps on one device in one layer of each block; under "" what drafters keep."""
    block = deployment.assumptions.kv_block
    kept = np.ceil(np.asarray(seq, dtype=float) / block) * block
    whole = Branches(branches.count, np.floor(branches.prefix / block) * block)
    found: dict[str, Array] = {"": np.zeros_like(kept)}
    for name in deployment.model.groups:
        found[name] = 0.0
        for part in parts(deployment.model.blocks[name], deployment.model.hidden, held_place(deployment)):
            state = part.recurrence.elements * part.recurrence.bytes_per_element if part.recurrence else 0.0
            copies = engine_memory.states_per_sequence(deployment) if part.recurrence else 1.0
            found[name] += (part.kept_bytes + state) * copies * branches.count
            for cache in part.caches:
                found[name] = found[name] + cache.entry_bytes * engine_memory.held(deployment, cache.span, kept, whole)
    for drafter in _drafters(deployment):
        found[""] = found[""] + kv_bytes(drafter, drafter.stages[0], seq, branches)
    return found


def system_weight_bytes(deployment: Deployment) -> float:
    """Bytes of weights over all devices, replicas included."""
    ranks = deployment.layout.tp * deployment.layout.dp
    return sum(stage.count * weight_bytes(deployment, stage) for stage in deployment.stages) * ranks


def system_kv_bytes(deployment: Deployment, seq: Any, branches: Branches = ALONE) -> NDArray[Any]:
    """Bytes of cache of one sequence over all devices, replicated heads included."""
    kept = _kept(deployment, deployment.stages, seq, branches)
    return np.asarray(sum(stage.count * one for stage, one in zip(deployment.stages, kept, strict=True))) * deployment.layout.tp


class Budget(NamedTuple):
    """One device of a stage, in the shape of the context: what an engine takes, what its step and runtime need of it, what caches get."""

    usable: NDArray[Any]
    weights: float
    activations: NDArray[Any]
    runtime: float
    cache: NDArray[Any]


def budget(deployment: Deployment, stage: Stage, seq: Any = 0.0) -> Budget:
    """How the memory of one device of a stage is divided, for sequences of up to `seq` tokens; `cache` < 0: it does not start.

    Formulas
    --------
    usable = M·util − reserve
    cache = usable − weights − activations − runtime
    cache, a share of the rest = util·(M − weights − activations − runtime)
    """
    usable, weights = deployment.usable_bytes, weight_bytes(deployment, stage)
    activations = engine_memory.activation_bytes(deployment, stage, seq)
    rules = deployment.rules
    runtime = 0.0 if rules is not None and rules.share_of == "free" else engine_memory.runtime_bytes(deployment)
    cache = usable - weights - activations - runtime
    if rules is not None and rules.share_of == "rest":
        cache = np.where(cache > 0, cache * (1.0 if deployment.assumptions.util is None else deployment.assumptions.util), cache)
        return Budget(weights + activations + runtime + np.maximum(cache, 0.0), weights, activations, runtime, cache)
    return Budget(np.full(np.shape(cache), usable), weights, activations, runtime, np.asarray(cache))


def system_capacity_bytes(deployment: Deployment) -> float:
    """Bytes over all devices that may be filled: the reading × util, less the reserve."""
    return deployment.hardware.count * deployment.usable_bytes


def system_overhead_bytes(deployment: Deployment, seq: Any) -> tuple[NDArray[Any], float, NDArray[Any]]:
    """Over all devices: activations, in the shape of the context; runtime; and all that is taken, weights and caches included."""
    ranks = deployment.layout.tp * deployment.layout.dp
    shares = [(stage.count * ranks, budget(deployment, stage, seq)) for stage in deployment.stages]
    taken = sum(count * one.usable for count, one in shares)
    return np.asarray(sum(count * one.activations for count, one in shares)), sum(count * one.runtime for count, one in shares), np.asarray(taken)


def weights_fit(deployment: Deployment, seq: Any = 0.0) -> bool:
    """Whether the fullest stage has room for its weights, and for what an engine needs besides."""
    return all(bool((budget(deployment, stage, seq).cache >= 0).all()) for stage in deployment.stages)


def seqs_cap(deployment: Deployment) -> float:
    """Sequences that the whole system serves at once where they are capped on each replica; inf where they are not."""
    most = deployment.assumptions.max_seqs
    return math.inf if most is None else float(most) * deployment.layout.dp


def batch_limit(deployment: Deployment, seq: Any, branches: Branches = ALONE, shares: Any = None) -> NDArray[Any]:
    """Sequences that fit, and that the engine admits."""
    return np.asarray(np.minimum(batch_memory(deployment, seq, branches, shares), np.floor(seqs_cap(deployment) / branches.count)))


def max_concurrency(deployment: Deployment, seq: Any) -> NDArray[Any]:
    """Sequences of `seq` tokens, not rounded, that the fullest stage of one data-parallel rank holds: what engines print at start.

    Formulas
    --------
    concurrency = cache/KV
    concurrency in pages = floor(cache/page)/blocks
    """
    seq = np.asarray(seq, dtype=float)
    kept, found = _kept(deployment, deployment.stages, seq), []
    for stage, one in zip(deployment.stages, kept, strict=True):
        room = np.maximum(budget(deployment, stage, seq).cache, 0.0)
        page = engine_memory.grouped_pages(deployment, stage)
        room = np.floor(room / page.bytes) * page.bytes if page is not None else room
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.where(one > 0, room / one, np.inf))
    return np.asarray(np.minimum.reduce(found))


def kv_tokens(deployment: Deployment, seq: Any) -> NDArray[Any]:
    """Tokens of the cache of one data-parallel rank as the engine's log counts them; nan without an engine.

    Formulas
    --------
    tokens = floor(concurrency·S)
    tokens in pages, before = floor(pages/groups)·b
    """
    seq = np.asarray(seq, dtype=float)
    rules = deployment.rules
    if rules is None:
        return np.full(seq.shape, np.nan)
    found = np.floor(max_concurrency(deployment, seq) * seq)
    pages = [engine_memory.grouped_pages(deployment, stage) for stage in deployment.stages]
    if rules.tokens == "blocks":
        counted = []
        for stage, page in zip(deployment.stages, pages, strict=True):
            room = np.maximum(budget(deployment, stage, seq).cache, 0.0)
            if page is not None:
                counted.append(np.floor(np.floor(room / page.bytes) / page.all_groups) * page.block)
        found = np.minimum.reduce(counted) if counted else found
    return np.asarray(found)


def batch_memory(deployment: Deployment, seq: Any, branches: Branches = ALONE, shares: Any = None) -> NDArray[Any]:
    """Sequences, or with `branches` queries, that fit the fullest stage; inf where nothing is kept per token.

    With `shares` the last axis of contexts holds kinds of sequences, and the batch has those shares of each.

    Formulas
    --------
    usable = M·util − reserve
    batch_memory = d·floor((usable − weights)/KV)
    """
    seq = np.asarray(seq, dtype=float)
    longest = seq if shares is None else seq.max(axis=-1)
    rooms = [budget(deployment, stage, longest).cache for stage in deployment.stages]
    kept = _kept(deployment, deployment.stages, seq, branches)
    if shares is not None:
        kept = [np.asarray((one * shares).sum(axis=-1)) for one in kept]
    with np.errstate(divide="ignore", invalid="ignore"):
        fitting = [np.where(room < 0, 0.0, np.floor(room / one * (1 + 1e-12))) for room, one in zip(rooms, kept, strict=True)]
    return np.asarray(deployment.layout.dp * np.minimum.reduce(fitting))
