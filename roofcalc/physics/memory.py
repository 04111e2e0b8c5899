"""Memory of one device: weights, KV cache and states, and the batch that fits."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, Stage
from roofcalc.physics import engine_memory, offload
from roofcalc.physics.adapters import adapter_bytes
from roofcalc.physics.decode_ops import storage_sharding
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import held_experts
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import NO_SHARING, Sharding, SharedPrefix
from roofcalc.specs.formula import formula
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace
from roofcalc.specs.stored_weights import WeightDtypes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def weight_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of weights in the memory of one device of a stage: all that it uses, less what lies in the host's memory."""
    stored = stored_bytes(deployment, stage)
    return stored - offload.weights_in_host(deployment, stage, stored)


@formula("weights = layers·elements·w", "experts = layers·held·elements·w")
def stored_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of weights that one device of a stage uses: matrices in their storage dtypes, norms and biases in 16 bits (32 in GGUF files).

    Replicated KV heads, latent projections and routers count on every rank; for experts see `held_experts`.
    """
    model, sharding, stored = deployment.model, storage_sharding(deployment), deployment.stored
    total = sum(model.blocks[name].stored(count) * layer_bytes(model, name, sharding, stored) for name, count in stage.groups)
    if stage.first or stage.last:
        total += _ends_bytes(model, sharding.tp, stored, stage.first, stage.last)
    total += engine_memory.padding_bytes(deployment, stage) + adapter_bytes(deployment, stage)
    return total + sum(weight_bytes(drafter, drafter.stages[0]) for drafter in _drafters(deployment))


@lru_cache(maxsize=1024)
def layer_bytes(model: Model, name: str, sharding: Sharding, stored: WeightDtypes) -> float:
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

    With several `shared_prefix.count`, the bytes of all streams of one query; whole blocks of their common prefix count once. Engines
    that group layers take whole pages instead (`roofcalc.physics.engine_memory`).
    """
    return _kept(deployment, [stage], seq, shared_prefix)[0]


def _kept(deployment: Deployment, stages: list[Stage], seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> list[NDArray[Any]]:
    """Bytes that one sequence keeps on one device of each stage: in pages where the engine groups layers, else layer by layer."""
    found: list[NDArray[Any]] = []
    per_layer: dict[str, Array] | None = None
    for stage in stages:
        page = engine_memory.grouped_pages(deployment, stage)
        if page is not None:
            found.append(engine_memory.blocks(deployment, page, seq, shared_prefix) * page.bytes)
            continue
        per_layer = _kept_per_layer(deployment, seq, shared_prefix) if per_layer is None else per_layer
        found.append(_of_stage(stage, per_layer))
    return found


def _of_stage(stage: Stage, per_layer: dict[str, Array]) -> NDArray[Any]:
    return np.asarray(per_layer[""] + sum(layers * per_layer[name] for name, layers in stage.groups))


def _kept_per_layer(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> dict[str, Array]:
    """Bytes that one sequence keeps on one device in one layer of each block; under "", in the drafters."""
    block = deployment.kv_block
    kept = np.ceil(np.asarray(seq, dtype=float) / block) * block
    whole = SharedPrefix(shared_prefix.count, np.floor(shared_prefix.prefix / block) * block)
    found: dict[str, Array] = {"": np.zeros_like(kept)}
    for name in deployment.model.groups:
        found[name] = 0.0
        for part in parts(deployment.model.blocks[name], deployment.model.hidden, storage_sharding(deployment)):
            state = part.recurrence.elements * part.recurrence.bytes_per_element if part.recurrence else 0.0
            copies = engine_memory.states_per_sequence(deployment) if part.recurrence else 1.0
            found[name] += (part.fixed_bytes + state) * copies * shared_prefix.count
            for cache in part.caches:
                found[name] = found[name] + cache.entry_bytes * engine_memory.entries_stored(deployment, cache.span, kept, whole)
    for drafter in _drafters(deployment):
        found[""] = found[""] + kv_bytes(drafter, drafter.stages[0], seq, shared_prefix)
    return found


def system_weight_bytes(deployment: Deployment) -> float:
    """Bytes of weights on all devices, replicas included."""
    ranks = deployment.layout.tp * deployment.layout.dp
    return sum(stage.count * weight_bytes(deployment, stage) for stage in deployment.stages) * ranks


def system_kv_bytes(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> NDArray[Any]:
    """Bytes that one sequence keeps on all devices, replicated KV heads included."""
    kept = _kept(deployment, deployment.stages, seq, shared_prefix)
    return np.asarray(sum(stage.count * one for stage, one in zip(deployment.stages, kept, strict=True))) * deployment.layout.tp


def system_draft_weight_bytes(deployment: Deployment) -> float:
    """Of these the weights of drafters, which run on one pipeline stage."""
    ranks = deployment.layout.tp * deployment.layout.dp
    return sum(weight_bytes(drafter, drafter.stages[0]) for drafter in _drafters(deployment)) * ranks


class Kept(NamedTuple):
    """Bytes of caches and states, arrays in the shape of the context.

    Attributes
    ----------
    once : array
        What a data-parallel rank keeps of the prefix that its sequences share (`--shared-prefix`); 0 without one.
    each : array
        What each sequence keeps besides.
    """

    once: NDArray[Any]
    each: NDArray[Any]


def kept_by_stage(deployment: Deployment, seq: Any) -> list[Kept]:
    """What a device of each stage keeps of sequences of `seq` tokens.

    The shared prefix counts in whole blocks, as the KV cache and the states of one sequence of its length, which have to stay for the
    prompts that follow; a sequence counts its own entries, windows and states. Where contexts are not longer than the prefix, it
    is shortened to them.
    """
    seq, stages = np.asarray(seq, dtype=float), deployment.stages
    if not deployment.assumptions.shared_prefix:
        return [Kept(np.zeros_like(one), one) for one in _kept(deployment, stages, seq)]
    prefix = np.maximum(np.minimum(seq - 1, deployment.assumptions.shared_prefix), 0.0)
    one, two = (_kept(deployment, stages, seq, SharedPrefix(count, prefix)) for count in (1.0, 2.0))
    found = []
    for stage, alone, both in zip(stages, one, two, strict=True):
        page = engine_memory.grouped_pages(deployment, stage)
        block = deployment.kv_block if page is None else page.block
        whole = np.floor(prefix / block) * block
        (once,) = _kept(deployment, [stage], whole)
        found.append(Kept(np.where(whole > 0, once, 0.0), both - alone))
    return found


def system_kept(deployment: Deployment, seq: Any) -> Kept:
    """What all devices keep: of the shared prefix in all data-parallel ranks together, and of each sequence."""
    layout, stages = deployment.layout, deployment.stages
    pairs = list(zip(stages, kept_by_stage(deployment, seq), strict=True))
    once, each = (np.asarray(sum(stage.count * getattr(one, name) for stage, one in pairs)) for name in ("once", "each"))
    return Kept(once * layout.tp * layout.dp, each * layout.tp)


class Budget(NamedTuple):
    """Division of the memory of one device of a stage, in bytes, in the shape of the context.

    Attributes
    ----------
    usable : array
        What weights, caches, activations and runtime may fill together.
    weights, runtime : float
        Weights; the engine's context, graphs and buffers.
    activations : array
        Of the engine's largest step.
    cache : array
        What is left for caches; negative where the engine does not start.
    """

    usable: NDArray[Any]
    weights: float
    activations: NDArray[Any]
    runtime: float
    cache: NDArray[Any]


@formula("cache = usable − weights − activations − runtime", "cache, share of the rest = util·(capacity − weights − activations − runtime)")
def budget(deployment: Deployment, stage: Stage, seq: Any = 0.0) -> Budget:
    """The division of the memory of one device of a stage, for sequences of up to `seq` tokens."""
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
    """Usable bytes on all devices: capacity × util, less the reserve."""
    return deployment.hardware.count * deployment.usable_bytes


def system_overhead_bytes(deployment: Deployment, seq: Any) -> tuple[NDArray[Any], float, NDArray[Any]]:
    """Bytes on all devices of activations, in the shape of the context; of the runtime; and the usable bytes, which include both."""
    ranks = deployment.layout.tp * deployment.layout.dp
    budgets = [(stage.count * ranks, budget(deployment, stage, seq)) for stage in deployment.stages]
    activations = sum(count * one.activations for count, one in budgets)
    usable = sum(count * one.usable for count, one in budgets)
    return np.asarray(activations), sum(count * one.runtime for count, one in budgets), np.asarray(usable)


def weights_fit(deployment: Deployment, seq: Any = 0.0) -> bool:
    """Whether the weights fit in every stage, together with an engine's activations and runtime."""
    return all(bool((budget(deployment, stage, seq).cache >= 0).all()) for stage in deployment.stages)


def seqs_cap(deployment: Deployment) -> float:
    """Largest batch of the whole system that `--max-seqs` admits; inf where it is not given."""
    most = deployment.assumptions.max_seqs
    return math.inf if most is None else float(most) * deployment.layout.dp


def batch_limit(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING, shares: Any = None) -> NDArray[Any]:
    """Largest batch that fits in memory and that `--max-seqs` admits; parameters of `batch_memory`."""
    fits = batch_memory(deployment, seq, shared_prefix, shares)
    return np.asarray(np.minimum(fits, np.floor(seqs_cap(deployment) / shared_prefix.count)))


@formula("concurrency = cache/KV", "concurrency, pages = floor(cache/page)/pages_per_seq")
def max_concurrency(deployment: Deployment, seq: Any) -> NDArray[Any]:
    """Sequences of `seq` tokens in the cache of one data-parallel rank, not rounded, as engines print it at their start."""
    seq = np.asarray(seq, dtype=float)
    kept, found = _kept(deployment, deployment.stages, seq), []
    for stage, one in zip(deployment.stages, kept, strict=True):
        room = np.maximum(budget(deployment, stage, seq).cache, 0.0)
        page = engine_memory.grouped_pages(deployment, stage)
        room = np.floor(room / page.bytes) * page.bytes if page is not None else room
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.where(one > 0, room / one, np.inf))
    return np.asarray(np.minimum.reduce(found))


@formula("tokens = floor(concurrency·S)", "tokens, pages = floor(floor(cache/page)/groups)·block")
def kv_tokens(deployment: Deployment, seq: Any) -> NDArray[Any]:
    """Tokens in the cache of one data-parallel rank as the engine's log counts them; nan without an engine."""
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


@formula(
    "usable = capacity·util − reserve",
    "batch_memory = d·floor((usable − weights)/KV)",
    "batch_memory, shared prefix = d·floor((usable − weights − KV_prefix)/KV)",
)
def batch_memory(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING, shares: Any = None) -> NDArray[Any]:
    """Sequences (with several `shared_prefix`: queries) that fit in the fullest stage; inf where nothing is kept per sequence.

    With `shares`, the last axis of `seq` holds kinds of sequences, and the batch is a mix of them in these shares.
    """
    seq = np.asarray(seq, dtype=float)
    longest = seq if shares is None else seq.max(axis=-1)
    rooms = [budget(deployment, stage, longest).cache for stage in deployment.stages]
    if shared_prefix.is_single:
        kept = kept_by_stage(deployment, seq)
    else:
        kept = [Kept(np.zeros_like(one), one) for one in _kept(deployment, deployment.stages, seq, shared_prefix)]
    if shares is not None:
        kept = [Kept(one.once.max(axis=-1), np.asarray((one.each * shares).sum(axis=-1))) for one in kept]
    rooms = [np.where(room < one.once, -1.0, room - one.once) for room, one in zip(rooms, kept, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        fitting = [np.where(room < 0, 0.0, np.floor(room / one.each * (1 + 1e-12))) for room, one in zip(rooms, kept, strict=True)]
    return np.asarray(np.minimum(deployment.layout.dp * np.minimum.reduce(fitting), _batch_of_host(deployment, seq, shared_prefix, shares)))


def _batch_of_host(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix, shares: Any) -> Array:
    """Sequences for which the host's memory has room; inf where it holds nothing of them, or its size is not known."""
    if deployment.offload is None or deployment.offload.host.memory_gb is None:
        return np.float64(np.inf)
    room = (deployment.offload.host.memory_gb - deployment.offload.kv_host_gb) * 1e9 - offload.host_weight_bytes(deployment)
    if room < 0:
        return np.float64(0.0)
    kept = host_kv_bytes(deployment, seq, shared_prefix)
    kept = kept if shares is None else (kept * shares).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(kept > 0, np.floor(room / kept * (1 + 1e-12)), np.inf))


def host_bytes(deployment: Deployment, seq: Any) -> NDArray[Any]:
    """Bytes that the host's memory must hold for one sequence: weights, the caches of earlier requests, and of the layers that it holds."""
    kept = deployment.offload.kv_host_gb * 1e9 if deployment.offload is not None else 0.0
    return np.asarray(kept + offload.host_weight_bytes(deployment) + host_kv_bytes(deployment, seq))


def host_kv_bytes(deployment: Deployment, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> NDArray[Any]:
    """Bytes that one sequence keeps in the host's memory: the caches of the layers that it holds."""
    if deployment.offload is None or deployment.offload.gpu_layers is None:
        return np.zeros(np.shape(seq))
    whole = replace(deployment, layout=Layout())  # the host holds each entry once
    return offload.host_kv_bytes(deployment, _kept_per_layer(whole, seq, shared_prefix))


@formula("kept sessions = (kv_host + kv_nvme)/KV_all")
def tier_sessions(deployment: Deployment, seq: Any) -> NDArray[Any]:
    """Sequences of `seq` tokens whose caches the tiers outside the devices keep, what they share kept once; nan without a tier."""
    offloaded = deployment.offload
    if offloaded is None or not offloaded.has_tier:
        return np.full(np.shape(seq), np.nan)
    kept = system_kept(deployment, seq)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.maximum((offloaded.kv_host_gb + offloaded.kv_nvme_gb) * 1e9 - kept.once, 0.0) / kept.each)
