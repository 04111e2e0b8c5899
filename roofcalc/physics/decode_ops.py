"""Operations and messages of a pipeline stage in a decode step: GEMMs, attention, recurrent updates and collectives.

The work of GEMMs depends on the batch alone; attention and recurrent updates are per sequence and depend on the context alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from roofcalc.deployment.assumptions import Assumptions
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, Stage
from roofcalc.physics.kv_span import Array, Span
from roofcalc.physics.ops.ffn import expected_experts_read, expert_gemms, prob_shard_hit
from roofcalc.physics.ops.gemm import gemm_to_operation, gemms, merge_same_intensity
from roofcalc.physics.ops.operation import Attended, Gemm, Message, Operation, TokenLoad, Updated
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import NO_SHARING, Cache, Recurrence, Sharding, SharedPrefix
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.formula import formula
from roofcalc.specs.model import Block
from roofcalc.specs.record import kept
from roofcalc.specs.stored_weights import WeightDtypes

EntriesRead = Callable[[Span], Array]
"""Entries of a span that a step reads per sequence: at one context (`at_context`) or on average (`averaged_over`)."""


@kept
def storage_sharding(deployment: Deployment) -> Sharding:
    """How weights and caches are divided over devices in memory."""
    reloads = deployment.profile.kv_reload_fraction if deployment.profile else 0.0
    return _storage_sharding(deployment.layout, deployment.kv, deployment.assumptions, reloads)


@lru_cache(maxsize=1024)
def _storage_sharding(layout: Layout, kv: Dtype, assumed: Assumptions, kv_reload_fraction: float) -> Sharding:
    return Sharding(
        tp=layout.tp,
        group=layout.tp * layout.dp,
        ep=layout.ep,
        dcp=layout.dcp,
        kv_bytes=kv.bytes_per_element,
        kv_scales=kv.is_fp8 and not assumed.is_bound,
        reserved=assumed.kv_policy == "full",
        one_vector=assumed.kv_policy == "minimal",
        imbalance=assumed.imbalance * assumed.chosen_experts.imbalance(layout.ep),
        routing=assumed.chosen_experts,
        redundant=assumed.redundant_experts,
        kv_reload_fraction=kv_reload_fraction,
    )


def compute_sharding(deployment: Deployment) -> Sharding:
    """How the work of a step is divided: as in memory, or in `bound` without any replication (`TokenLoad.spread`)."""
    if deployment.assumptions.is_bound:
        return Sharding(kv_bytes=deployment.kv.bytes_per_element, exact=True, one_vector=True, routing=deployment.assumptions.chosen_experts)
    return storage_sharding(deployment)


def ideal_split(deployment: Deployment) -> float:
    """Devices over which all work is taken to divide perfectly: t·d in `bound`, else 1."""
    return float(deployment.layout.tp * deployment.layout.dp) if deployment.assumptions.is_bound else 1.0


@formula("B_m = ceil(B/p)", "B_r = ceil(B_m/d)", "T = B_r·q", "T_g = B_m·q")
def token_load(deployment: Deployment, batch: Array, tokens: float = 1.0) -> tuple[TokenLoad, Array]:
    """Tokens that one device processes in a step, and the sequences of one data-parallel rank, B_r.

    In `bound` nothing is rounded up: a stage's work divides over its t·d devices.

    Parameters
    ----------
    batch : array
        Sequences over the whole system, B.
    tokens : float
        New tokens per sequence, q.
    """
    layout, sharding = deployment.layout, compute_sharding(deployment)
    if deployment.assumptions.is_bound:
        sequences = np.maximum(batch / np.float64(layout.pp), 1.0)
        return TokenLoad(sharding, sequences * tokens, sequences * tokens, ideal_split(deployment)), sequences
    micro = np.ceil(batch / np.float64(layout.pp))
    sequences = np.ceil(micro / layout.dp)
    return TokenLoad(sharding, sequences * tokens, micro * tokens), sequences


@kept
def batch_gemms(deployment: Deployment, stage: Stage) -> tuple[Gemm, ...]:
    """The GEMMs of a stage, block by block, and the LM head's in the last stage."""
    found = [one for name, layers in stage.groups for one in block_gemms(deployment, name, layers)]
    return (*found, *lm_head_gemms(deployment)) if stage.last else tuple(found)


def block_gemms(deployment: Deployment, name: str, layers: int = 1) -> list[Gemm]:
    """The GEMMs of `layers` layers of block `name`."""
    model, spread, activations = deployment.model, ideal_split(deployment), deployment.assumptions.activations
    return gemms_of_block(model.blocks[name], layers, model.hidden, compute_sharding(deployment), spread, deployment.stored, activations, f"{name}.")


def merged_block_gemms(deployment: Deployment, name: str) -> tuple[Gemm, ...]:
    """The GEMMs of one layer, those of equal arithmetic intensity merged (`roofcalc.physics.ops.gemm.merge_same_intensity`)."""
    model, spread, activations = deployment.model, ideal_split(deployment), deployment.assumptions.activations
    return _merged_gemms(model.blocks[name], model.hidden, compute_sharding(deployment), spread, deployment.stored, activations)


@lru_cache(maxsize=4096)
def _merged_gemms(block: Block, hidden: int, sharding: Sharding, spread: float, stored: WeightDtypes, activations: bool) -> tuple[Gemm, ...]:
    return tuple(merge_same_intensity(gemms_of_block(block, 1, hidden, sharding, spread, stored, activations)))


def gemms_of_block(
    block: Block, layers: int, hidden: int, sharding: Sharding, spread: float, stored: WeightDtypes, activations: bool, prefix: str = ""
) -> list[Gemm]:
    bytes_of = stored.bytes_of
    found: list[Gemm] = []
    for part in parts(block, hidden, sharding):
        found += gemms(part.matrices, layers, spread, bytes_of, activations, prefix)
        found += expert_gemms(part.routed, layers, sharding, spread, bytes_of, activations, prefix) if part.routed else []
    return found


def lm_head_gemms(deployment: Deployment) -> list[Gemm]:
    """The GEMM of the LM head."""
    head, dtype = deployment.model.head(compute_sharding(deployment).tp), deployment.weight_dtype("head")
    return gemms([head], 1, ideal_split(deployment), lambda _: dtype.bytes_per_element, deployment.assumptions.activations)


def batch_operations(deployment: Deployment, stage: Stage, load: TokenLoad) -> list[Operation]:
    """The GEMMs of a stage as operations, for the tokens of a step."""
    found = []
    for one in batch_gemms(deployment, stage):
        if one.routed is None:
            found.append(gemm_to_operation(one, load.tokens))
        else:
            found.append(gemm_to_operation(one, load.group_tokens, expected_experts_read(one.routed, one.imbalance, load.group_tokens)))
    return found


def sequence_operations(
    deployment: Deployment, stage: Stage, entries_read: EntriesRead, tokens: float = 1.0, shared_prefix: SharedPrefix = NO_SHARING
) -> list[Operation]:
    """Attention over each cache and recurrent updates of a stage, per sequence.

    Parameters
    ----------
    entries_read : EntriesRead
        How many entries of a span are read.
    tokens : float
        New tokens per sequence, q.
    shared_prefix : SharedPrefix
        With several streams, a sequence is a query of that many streams with `tokens` new tokens each.
    """
    each = (block_operations(deployment, name, layers, entries_read, tokens, shared_prefix) for name, layers in stage.groups)
    return [one for found in each for one in found]


def block_operations(
    deployment: Deployment, name: str, layers: int, entries_read: EntriesRead, tokens: float = 1.0, shared_prefix: SharedPrefix = NO_SHARING
) -> list[Operation]:
    """The sequence operations of `layers` layers of block `name`."""
    sharding, spread = compute_sharding(deployment), ideal_split(deployment)
    found: list[Operation] = []
    for part in parts(deployment.model.blocks[name], deployment.model.hidden, sharding):
        found += [attention_op(cache, layers, entries_read, tokens, spread, f"{name}.", shared_prefix) for cache in part.caches]
        found += [state_update_op(part.recurrence, layers, tokens, spread, f"{name}.", shared_prefix)] if part.recurrence else []
    return found


def at_context(seq: Array) -> EntriesRead:
    """Entries read at a context of `seq` tokens."""
    return lambda span: span.entries_read(seq)


def averaged_over(cached: Array, new: Array) -> EntriesRead:
    """Mean entries read over the contexts C+1 … C+P, in closed form."""
    return lambda span: span.pairs(cached, new) / new


@formula("FLOPs = q·f_entry·reads", "bytes = entry·loaded", "bytes, loaded again = entry·loaded·loads")
def attention_op(
    cache: Cache,
    layers: int,
    entries_read: EntriesRead,
    tokens: float = 1.0,
    spread: float = 1.0,
    prefix: str = "",
    shared_prefix: SharedPrefix = NO_SHARING,
) -> Operation:
    """Attention of one sequence over a cache in a decode step: scores and weighted sum; entries are loaded, the newest is written.

    Streams that share a prefix load its entries once (arXiv 2402.05099), but compute with them once each.
    """
    read = entries_read(cache.span)
    loaded = read if tokens == 1 and shared_prefix.is_single else entries_read(shared_prefix.of(cache.span.read_by_tokens(tokens)))
    return Operation(
        name=prefix + cache.name,
        layers=layers,
        flops=shared_prefix.count * tokens * cache.flops / spread * read,
        bytes=cache.entry_bytes * cache.loads / spread * loaded,
        role=cache.role,
        tensor="kv",
        per_sequence=True,
        shape=Attended(cache, shared_prefix.count * tokens, 0.0, loaded),
    )


@formula("FLOPs = q·f_state·N_s", "bytes = 2·N_s·b")
def state_update_op(
    state: Recurrence, layers: int, tokens: float = 1.0, spread: float = 1.0, prefix: str = "", shared_prefix: SharedPrefix = NO_SHARING
) -> Operation:
    """Update of the recurrent state of one sequence, or of each of its streams: read and written once."""
    return Operation(
        name=f"{prefix}state",
        layers=layers,
        flops=np.asarray(shared_prefix.count * tokens * state.flops * state.elements / spread, dtype=float)[()],
        bytes=np.asarray(2.0 * shared_prefix.count * state.elements * state.bytes_per_element / spread, dtype=float)[()],
        role="state",
        tensor="state",
        per_sequence=True,
        shape=Updated(float(state.elements), tokens * shared_prefix.count),
    )


def messages(deployment: Deployment, stage: Stage) -> list[Message]:
    """Collectives of a stage, per token of a rank.

    An all-reduce over t after attention or state and one after the feed-forward part (a single one where they run in
    parallel), and all-reduces within a part. Experts over t·d ranks with d > 1 use all-to-all dispatch and combine instead of
    the second all-reduce; the first is then split into a reduce-scatter before and an all-gather after, at the same cost.
    """
    return list(_messages(deployment, stage))


@kept
def _messages(deployment: Deployment, stage: Stage) -> tuple[Message, ...]:
    found = [one for name, layers in stage.groups for one in block_messages(deployment, name, layers)]
    return (*found, pipeline_send(deployment, stage.sends)) if stage.sends else tuple(found)


def block_messages(deployment: Deployment, name: str, layers: int = 1) -> list[Message]:
    """The collectives of `layers` layers of block `name`."""
    found: list[Message] = []
    model, layout = deployment.model, deployment.layout
    block = model.blocks[name]
    here = parts(block, model.hidden, storage_sharding(deployment))
    dispatched = [part.routed for part in here if part.routed] if layout.dp > 1 else []
    if layout.tp > 1 and (reductions := _reductions(block, model.parallel, bool(dispatched))):
        found.append(Message(f"{name}.all_reduce", "all_reduce", layers * reductions, float(model.hidden), layout.tp))
    for all_reduced in (part.all_reduced for part in here if part.all_reduced and layout.tp > 1):
        found.append(Message(f"{name}.inner_all_reduce", "all_reduce", layers, all_reduced, layout.tp))
    for routed in dispatched:
        choices = routed.top_k * routed.experts / routed.routed if layout.ep > 1 else 0.0
        found += expert_all_to_all(deployment, name, layers, float(routed.width), partial(prob_shard_hit, routed), choices)
    if layout.dcp > 1:
        for elements in (elements for part in here for elements in part.context_gathered):
            found.append(Message(f"{name}.context_gather", "all_gather", layers, elements, layout.dcp))
    return found


def pipeline_send(deployment: Deployment, wire: str) -> Message:
    """The hidden state that a stage sends to the next, divided over the t ranks."""
    model, layout = deployment.model, deployment.layout
    return Message("send", "send", 1, float(model.hidden) * (model.hyper_connections or 1) / layout.tp, 2, wire=wire)


def _reductions(block: Block, parallel: bool, dispatched: bool) -> int:
    mixing = block.attention is not None or block.state is not None
    feeding = block.mlp is not None and not dispatched
    return int(mixing or feeding) if parallel else int(mixing) + int(feeding)


def has_all_to_all(deployment: Deployment) -> bool:
    """Whether data-parallel ranks send tokens to each other's experts, so that their steps are synchronised."""
    return deployment.layout.dp > 1 and any(message.kind == "all_to_all" for stage in deployment.stages for message in messages(deployment, stage))


@formula("copies = (g − 1)·P_hit − (domains − 1)·P_hit_dom", "across = (domains − 1)·P_hit_dom")
def expert_all_to_all(deployment: Deployment, name: str, layers: int, width: float, hit: Callable[[float], float], choices: float) -> list[Message]:
    """MoE dispatch and combine: all-to-all of T/t tokens per device over the g = t·d ranks of the expert group.

    A token crosses to another scale-up domain once, over the scale-out network, and is forwarded there over the links to the
    ranks that need it; combine takes the same way back. `hit` gives the probability that a token needs one of so many shards.
    """
    layout = deployment.layout
    group = layout.tp * layout.dp
    domains = -(-group // deployment.hardware.domain)
    across = (domains - 1) * hit(domains if layout.ep > 1 else 1)
    copies = (group - 1) * hit(layout.ep) - across
    return [
        Message(f"{name}.{kind}", "all_to_all", layers, width / layout.tp, group, dtype=kind, copies=copies, across=across, choices=choices)
        for kind in ("dispatch", "combine")
    ]
