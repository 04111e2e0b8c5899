"""A stage's whole decode step: the operations and messages of its groups of equal layers, head and embedding included."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from roofcalc.deployment.assumptions import Assumptions
from roofcalc.deployment.deployment import Deployment, stored
from roofcalc.deployment.parallelism import Layout, Stage
from roofcalc.physics.kv_span import Array, Span
from roofcalc.physics.ops.ffn import expected_experts_read, expert_gemms, prob_shard_hit
from roofcalc.physics.ops.gemm import gemm_to_operation, gemms, merge_same_intensity
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import NO_SHARING, Cache, Gemm, Message, Operation, Recurrence, Sharding, SharedPrefix, TokenLoad
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.model import Block, Dtypes

EntriesRead = Callable[[Span], Array]


def storage_sharding(deployment: Deployment) -> Sharding:
    """How weights and caches lie in memory."""
    repeated = deployment.profile.repeated if deployment.profile else 0.0
    return _storage_sharding(deployment.layout, deployment.kv, deployment.assumptions, repeated)


@lru_cache(maxsize=1024)
def _storage_sharding(layout: Layout, kv: Dtype, assumed: Assumptions, repeated: float) -> Sharding:
    return Sharding(
        tp=layout.tp,
        group=layout.tp * layout.dp,
        ep=layout.ep,
        dcp=layout.dcp,
        kv_bytes=kv.bytes_per_element,
        kv_scales=kv.is_fp8 and not assumed.is_bound,
        reserved=assumed.kv_policy == "reserved",
        imbalance=assumed.imbalance,
        redundant=assumed.redundant_experts,
        kv_reload_fraction=repeated,
    )


def compute_sharding(deployment: Deployment) -> Sharding:
    """How the work of a step is divided: as the weights lie; in `bound` perfectly, nothing replicated (`Share.spread`)."""
    if deployment.assumptions.is_bound:
        return Sharding(kv_bytes=deployment.kv.bytes_per_element, exact=True)
    return storage_sharding(deployment)


def ideal_split(deployment: Deployment) -> float:
    """Devices over which all work divides perfectly: those of a stage in `bound`, else one."""
    return float(deployment.layout.tp * deployment.layout.dp) if deployment.assumptions.is_bound else 1.0


def token_load(deployment: Deployment, batch: Array, tokens: float = 1.0) -> tuple[TokenLoad, Array]:
    """What one device works on for a global batch with `tokens` new tokens per sequence, and the sequences of one rank, B_r.

    In `bound` nothing is rounded up: a stage's work divides over its t·d devices.

    Formulas
    --------
    B_m = ceil(B/p)
    B_r = ceil(B_m/d)
    T = B_r·q
    T_g = B_m·q
    """
    layout, sharding = deployment.layout, compute_sharding(deployment)
    if deployment.assumptions.is_bound:
        sequences = np.maximum(batch / np.float64(layout.pp), 1.0)
        return TokenLoad(sharding, sequences * tokens, sequences * tokens, ideal_split(deployment)), sequences
    micro = np.ceil(batch / np.float64(layout.pp))
    sequences = np.ceil(micro / layout.dp)
    return TokenLoad(sharding, sequences * tokens, micro * tokens), sequences


def batch_gemms(deployment: Deployment, stage: Stage) -> list[Gemm]:
    """Products by weights: what they take depends on the batch alone."""
    found = [one for name, layers in stage.groups for one in block_gemms(deployment, name, layers)]
    return [*found, *lm_head_gemms(deployment)] if stage.last else found


def block_gemms(deployment: Deployment, name: str, layers: int = 1) -> list[Gemm]:
    """Those of `layers` layers of a block."""
    model, spread, activations = deployment.model, ideal_split(deployment), deployment.assumptions.activations
    return _gemms_of_block(
        model.blocks[name], layers, model.hidden, compute_sharding(deployment), spread, model.dtypes, deployment.weights, activations, f"{name}."
    )


def merged_block_gemms(deployment: Deployment, name: str) -> tuple[Gemm, ...]:
    """Those of one layer, as few as can be (`roofcalc.physics.ops.gemm.together`)."""
    model, spread, activations = deployment.model, ideal_split(deployment), deployment.assumptions.activations
    return _merged_gemms(model.blocks[name], model.hidden, compute_sharding(deployment), spread, model.dtypes, deployment.weights, activations)


@lru_cache(maxsize=4096)
def _merged_gemms(block: Block, hidden: int, sharding: Sharding, spread: float, dtypes: Dtypes, weights: str, activations: bool) -> tuple[Gemm, ...]:
    return tuple(merge_same_intensity(_gemms_of_block(block, 1, hidden, sharding, spread, dtypes, weights, activations)))


def _gemms_of_block(
    block: Block, layers: int, hidden: int, sharding: Sharding, spread: float, dtypes: Dtypes, weights: str, activations: bool, prefix: str = ""
) -> list[Gemm]:
    def bytes_of(tensor: str) -> float:
        return stored(dtypes, weights, tensor).bytes_per_element

    found: list[Gemm] = []
    for part in parts(block, hidden, sharding):
        found += gemms(part.matrices, layers, spread, bytes_of, activations, prefix)
        found += expert_gemms(part.routed, layers, sharding, spread, bytes_of, activations, prefix) if part.routed else []
    return found


def lm_head_gemms(deployment: Deployment) -> list[Gemm]:
    """That of the head."""
    head, dtype = deployment.model.head(compute_sharding(deployment).tp), deployment.weight_dtype("head")
    return gemms([head], 1, ideal_split(deployment), lambda _: dtype.bytes_per_element, deployment.assumptions.activations)


def batch_operations(deployment: Deployment, stage: Stage, load: TokenLoad) -> list[Operation]:
    """The same for the tokens of a step."""
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
    """Attention over the caches and recurrent updates: per sequence, they depend on the context alone.

    `reads` says how many entries of a span are read: at one context (`at`), or on average over several (`over`). With
    `branches` a sequence is a query of several streams, each with its `tokens`.
    """
    each = (block_operations(deployment, name, layers, entries_read, tokens, shared_prefix) for name, layers in stage.groups)
    return [one for found in each for one in found]


def block_operations(
    deployment: Deployment, name: str, layers: int, entries_read: EntriesRead, tokens: float = 1.0, shared_prefix: SharedPrefix = NO_SHARING
) -> list[Operation]:
    """Those of `layers` layers of a block."""
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
    """Entries read on average over the contexts C+1 … C+P, exactly."""
    return lambda span: span.pairs(cached, new) / new


def attention_op(
    cache: Cache,
    layers: int,
    entries_read: EntriesRead,
    tokens: float = 1.0,
    spread: float = 1.0,
    prefix: str = "",
    shared_prefix: SharedPrefix = NO_SHARING,
) -> Operation:
    """Scores and weighted sum over a cache, of one sequence: each entry is loaded, as often as the kernel does, the newest written.

    Streams that share a prefix load its entries once (arXiv 2402.05099), but each multiplies by them.

    Formulas
    --------
    FLOPs = q·f·reads
    bytes = entry·loaded
    bytes, loaded again = entry·loaded·loads
    """
    read = entries_read(cache.span)
    loaded = read if tokens * shared_prefix.count == 1 else entries_read(shared_prefix.of(cache.span.read_by_tokens(tokens)))
    return Operation(
        name=prefix + cache.name,
        layers=layers,
        flops=shared_prefix.count * tokens * cache.flops / spread * read,
        bytes=cache.entry_bytes * cache.loads / spread * loaded,
        role=cache.role,
        tensor="kv",
        per_sequence=True,
    )


def state_update_op(
    state: Recurrence, layers: int, tokens: float = 1.0, spread: float = 1.0, prefix: str = "", shared_prefix: SharedPrefix = NO_SHARING
) -> Operation:
    """A recurrent state of one sequence, or of each of its streams, read and written once.

    Formulas
    --------
    FLOPs = q·f·N_s
    bytes = 2·N_s·b
    """
    return Operation(
        name=f"{prefix}state",
        layers=layers,
        flops=np.float64(shared_prefix.count * tokens * state.flops * state.elements / spread),
        bytes=np.float64(2.0 * shared_prefix.count * state.elements * state.bytes_per_element / spread),
        role="state",
        tensor="state",
        per_sequence=True,
    )


def messages(deployment: Deployment, stage: Stage) -> list[Message]:
    """What a device sends and sums, per token of its rank.

    An all-reduce over t after attention or state and one after the feed-forward part (one if parallel), and what a part
    adds up within itself. Experts over t·d ranks with d > 1 exchange tokens instead of the second: the first is then a
    reduce-scatter before and an all-gather after, at the same cost.
    """
    found = [one for name, layers in stage.groups for one in block_messages(deployment, name, layers)]
    return [*found, pipeline_send(deployment, stage.sends)] if stage.sends else found


def block_messages(deployment: Deployment, name: str, layers: int = 1) -> list[Message]:
    """Those of `layers` layers of a block."""
    found: list[Message] = []
    model, layout = deployment.model, deployment.layout
    block = model.blocks[name]
    here = parts(block, model.hidden, storage_sharding(deployment))
    exchanged = [part.routed for part in here if part.routed] if layout.dp > 1 else []
    if layout.tp > 1 and (reductions := _reductions(block, model.parallel, bool(exchanged))):
        found.append(Message(f"{name}.all_reduce", "all_reduce", layers * reductions, float(model.hidden), layout.tp))
    for all_reduced in (part.all_reduced for part in here if part.all_reduced and layout.tp > 1):
        found.append(Message(f"{name}.inner_all_reduce", "all_reduce", layers, all_reduced, layout.tp))
    for routed in exchanged:
        choices = routed.top_k * routed.experts / routed.routed if layout.ep > 1 else 0.0
        found += expert_all_to_all(deployment, name, layers, float(routed.width), partial(prob_shard_hit, routed), choices)
    if layout.dcp > 1:
        for elements in (elements for part in here for elements in part.context_gathered):
            found.append(Message(f"{name}.context_gather", "all_gather", layers, elements, layout.dcp))
    return found


def pipeline_send(deployment: Deployment, wire: str) -> Message:
    """What a stage passes on to the next."""
    model, layout = deployment.model, deployment.layout
    return Message("send", "send", 1, float(model.hidden) * (model.hyper_connections or 1) / layout.tp, 2, wire=wire)


def _reductions(block: Block, parallel: bool, exchanged: bool) -> int:
    mixing = block.attention is not None or block.state is not None
    feeding = block.mlp is not None and not exchanged
    return int(mixing or feeding) if parallel else int(mixing) + int(feeding)


def has_all_to_all(deployment: Deployment) -> bool:
    """Whether data-parallel ranks send tokens to one another's experts, so that they step together."""
    return deployment.layout.dp > 1 and any(message.kind == "all_to_all" for stage in deployment.stages for message in messages(deployment, stage))


def expert_all_to_all(deployment: Deployment, name: str, layers: int, width: float, hit: Callable[[float], float], choices: float) -> list[Message]:
    """Dispatch to the ranks whose experts a token needs, and combine; T/t tokens per device.

    A token goes to another domain once, over the scale-out link, and from there to the other ranks that need it over the
    links; combining goes the same way back.

    Formulas
    --------
    copies = (g − 1)·P_hit − (m − 1)·P_hit_m
    across = (m − 1)·P_hit_m
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
