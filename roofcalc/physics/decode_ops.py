"""A stage's whole decode step: the operations and messages of its groups of equal layers, head and embedding included."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from roofcalc.deployment.assumptions import Assumptions
from roofcalc.deployment.deployment import Deployment, stored
from roofcalc.deployment.parallelism import Layout, Stage
from roofcalc.physics.kv_span import Array, Span
from roofcalc.physics.ops.ffn import expert_products, reached, read_experts
from roofcalc.physics.ops.gemm import products, served, together
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import ALONE, Branches, Cache, Message, Operation, Place, Product, Recurrence, Share
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.formula import formula
from roofcalc.specs.model import Block, Dtypes

Reads = Callable[[Span], Array]


def held_place(deployment: Deployment) -> Place:
    """How weights and caches lie in memory."""
    repeated = deployment.profile.repeated if deployment.profile else 0.0
    return _held_place(deployment.layout, deployment.kv, deployment.assumptions, repeated)


@lru_cache(maxsize=1024)
def _held_place(layout: Layout, kv: Dtype, assumed: Assumptions, repeated: float) -> Place:
    return Place(
        tp=layout.tp,
        group=layout.tp * layout.dp,
        ep=layout.ep,
        dcp=layout.dcp,
        kv_bytes=kv.bytes_per_element,
        kv_scales=kv.is_fp8 and not assumed.is_bound,
        reserved=assumed.kv_policy == "reserved",
        imbalance=assumed.imbalance,
        redundant=assumed.redundant_experts,
        repeated=repeated,
    )


def work_place(deployment: Deployment) -> Place:
    """How the work of a step is divided: as the weights lie; in `bound` perfectly, nothing replicated (`Share.spread`)."""
    if deployment.assumptions.is_bound:
        return Place(kv_bytes=deployment.kv.bytes_per_element, exact=True)
    return held_place(deployment)


def spread_of(deployment: Deployment) -> float:
    """Devices over which all work divides perfectly: those of a stage in `bound`, else one."""
    return float(deployment.layout.tp * deployment.layout.dp) if deployment.assumptions.is_bound else 1.0


@formula("B_m = ceil(B/p)", "B_r = ceil(B_m/d)", "T = B_r·q", "T_g = B_m·q")
def share_of(deployment: Deployment, batch: Array, tokens: float = 1.0) -> tuple[Share, Array]:
    """What one device works on for a global batch with `tokens` new tokens per sequence, and the sequences of one rank, B_r.

    In `bound` nothing is rounded up: a stage's work divides over its t·d devices.
    """
    layout, place = deployment.layout, work_place(deployment)
    if deployment.assumptions.is_bound:
        sequences = np.maximum(batch / np.float64(layout.pp), 1.0)
        return Share(place, sequences * tokens, sequences * tokens, spread_of(deployment)), sequences
    micro = np.ceil(batch / np.float64(layout.pp))
    sequences = np.ceil(micro / layout.dp)
    return Share(place, sequences * tokens, micro * tokens), sequences


def batch_products(deployment: Deployment, stage: Stage) -> list[Product]:
    """Products by weights: what they take depends on the batch alone."""
    found = [one for name, layers in stage.groups for one in block_products(deployment, name, layers)]
    return [*found, *head_products(deployment)] if stage.last else found


def block_products(deployment: Deployment, name: str, layers: int = 1) -> list[Product]:
    """Those of `layers` layers of a block."""
    model, spread, activations = deployment.model, spread_of(deployment), deployment.assumptions.activations
    return _products(
        model.blocks[name], layers, model.hidden, work_place(deployment), spread, model.dtypes, deployment.weights, activations, f"{name}."
    )


def block_products_together(deployment: Deployment, name: str) -> tuple[Product, ...]:
    """Those of one layer, as few as can be (`roofcalc.physics.ops.gemm.together`)."""
    model, spread, activations = deployment.model, spread_of(deployment), deployment.assumptions.activations
    return _together(model.blocks[name], model.hidden, work_place(deployment), spread, model.dtypes, deployment.weights, activations)


@lru_cache(maxsize=4096)
def _together(block: Block, hidden: int, place: Place, spread: float, dtypes: Dtypes, weights: str, activations: bool) -> tuple[Product, ...]:
    return tuple(together(_products(block, 1, hidden, place, spread, dtypes, weights, activations)))


def _products(
    block: Block, layers: int, hidden: int, place: Place, spread: float, dtypes: Dtypes, weights: str, activations: bool, prefix: str = ""
) -> list[Product]:
    def bytes_of(tensor: str) -> float:
        return stored(dtypes, weights, tensor).bytes_per_element

    found: list[Product] = []
    for part in parts(block, hidden, place):
        found += products(part.matrices, layers, spread, bytes_of, activations, prefix)
        found += expert_products(part.routed, layers, place, spread, bytes_of, activations, prefix) if part.routed else []
    return found


def head_products(deployment: Deployment) -> list[Product]:
    """That of the head."""
    head, dtype = deployment.model.head(work_place(deployment).tp), deployment.weight_dtype("head")
    return products([head], 1, spread_of(deployment), lambda _: dtype.bytes_per_element, deployment.assumptions.activations)


def batch_operations(deployment: Deployment, stage: Stage, share: Share) -> list[Operation]:
    """The same for the tokens of a step."""
    found = []
    for one in batch_products(deployment, stage):
        if one.routed is None:
            found.append(served(one, share.tokens))
        else:
            found.append(served(one, share.group_tokens, read_experts(one.routed, one.load, share.group_tokens)))
    return found


def sequence_operations(deployment: Deployment, stage: Stage, reads: Reads, tokens: float = 1.0, branches: Branches = ALONE) -> list[Operation]:
    """Attention over the caches and recurrent updates: per sequence, they depend on the context alone.

    `reads` says how many entries of a span are read: at one context (`at`), or on average over several (`over`). With
    `branches` a sequence is a query of several streams, each with its `tokens`.
    """
    each = (block_operations(deployment, name, layers, reads, tokens, branches) for name, layers in stage.groups)
    return [one for found in each for one in found]


def block_operations(
    deployment: Deployment, name: str, layers: int, reads: Reads, tokens: float = 1.0, branches: Branches = ALONE
) -> list[Operation]:
    """Those of `layers` layers of a block."""
    place, spread = work_place(deployment), spread_of(deployment)
    found: list[Operation] = []
    for part in parts(deployment.model.blocks[name], deployment.model.hidden, place):
        found += [attended(cache, layers, reads, tokens, spread, f"{name}.", branches) for cache in part.caches]
        found += [updated(part.recurrence, layers, tokens, spread, f"{name}.", branches)] if part.recurrence else []
    return found


def at(seq: Array) -> Reads:
    """Entries read at a context of `seq` tokens."""
    return lambda span: span.reads(seq)


def over(cached: Array, new: Array) -> Reads:
    """Entries read on average over the contexts C+1 … C+P, exactly."""
    return lambda span: span.pairs(cached, new) / new


@formula("FLOPs = q·f_entry·reads", "bytes = entry·loaded", "bytes, loaded again = entry·loaded·loads")
def attended(
    cache: Cache, layers: int, reads: Reads, tokens: float = 1.0, spread: float = 1.0, prefix: str = "", branches: Branches = ALONE
) -> Operation:
    """Scores and weighted sum over a cache, of one sequence: each entry is loaded, as often as the kernel does, the newest written.

    Streams that share a prefix load its entries once (arXiv 2402.05099), but each multiplies by them.
    """
    read = reads(cache.span)
    loaded = read if tokens * branches.count == 1 else reads(branches.of(cache.span.together(tokens)))
    return Operation(
        name=prefix + cache.name,
        layers=layers,
        flops=branches.count * tokens * cache.flops / spread * read,
        bytes=cache.entry_bytes * cache.loads / spread * loaded,
        role=cache.role,
        tensor="kv",
        per_sequence=True,
    )


@formula("FLOPs = q·f_state·N_s", "bytes = 2·N_s·b")
def updated(state: Recurrence, layers: int, tokens: float = 1.0, spread: float = 1.0, prefix: str = "", branches: Branches = ALONE) -> Operation:
    """A recurrent state of one sequence, or of each of its streams, read and written once."""
    return Operation(
        name=f"{prefix}state",
        layers=layers,
        flops=np.float64(branches.count * tokens * state.flops * state.elements / spread),
        bytes=np.float64(2.0 * branches.count * state.elements * state.bytes_per_element / spread),
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
    return [*found, sent(deployment, stage.sends)] if stage.sends else found


def block_messages(deployment: Deployment, name: str, layers: int = 1) -> list[Message]:
    """Those of `layers` layers of a block."""
    found: list[Message] = []
    model, layout = deployment.model, deployment.layout
    block = model.blocks[name]
    here = parts(block, model.hidden, held_place(deployment))
    exchanged = [part.routed for part in here if part.routed] if layout.dp > 1 else []
    if layout.tp > 1 and (reductions := _reductions(block, model.parallel, bool(exchanged))):
        found.append(Message(f"{name}.all_reduce", "all_reduce", layers * reductions, float(model.hidden), layout.tp))
    for summed in (part.summed for part in here if part.summed and layout.tp > 1):
        found.append(Message(f"{name}.inner_all_reduce", "all_reduce", layers, summed, layout.tp))
    for routed in exchanged:
        choices = routed.top_k * routed.experts / routed.routed if layout.ep > 1 else 0.0
        found += exchange(deployment, name, layers, float(routed.width), partial(reached, routed), choices)
    if layout.dcp > 1:
        for elements in (elements for part in here for elements in part.gathered):
            found.append(Message(f"{name}.context_gather", "all_gather", layers, elements, layout.dcp))
    return found


def sent(deployment: Deployment, wire: str) -> Message:
    """What a stage passes on to the next."""
    model, layout = deployment.model, deployment.layout
    return Message("send", "send", 1, float(model.hidden) * (model.hyper_connections or 1) / layout.tp, 2, wire=wire)


def _reductions(block: Block, parallel: bool, exchanged: bool) -> int:
    mixing = block.attention is not None or block.state is not None
    feeding = block.mlp is not None and not exchanged
    return int(mixing or feeding) if parallel else int(mixing) + int(feeding)


def exchanges(deployment: Deployment) -> bool:
    """Whether data-parallel ranks send tokens to one another's experts, so that they step together."""
    return deployment.layout.dp > 1 and any(message.kind == "all_to_all" for stage in deployment.stages for message in messages(deployment, stage))


@formula("copies = (g − 1)·P_hit − (domains − 1)·P_hit_dom", "across = (domains − 1)·P_hit_dom")
def exchange(deployment: Deployment, name: str, layers: int, width: float, hit: Callable[[float], float], choices: float) -> list[Message]:
    """Dispatch to the ranks whose experts a token needs, and combine; T/t tokens per device.

    A token goes to another domain once, over the scale-out link, and from there to the other ranks that need it over the
    links; combining goes the same way back.
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
