"""A stage's whole step: the operations and messages of its groups of equal layers, head and embedding included."""

from __future__ import annotations

import numpy as np

from roofcalc.deployment import Deployment
from roofcalc.layout import Stage
from roofcalc.operations.attention import gqa
from roofcalc.operations.base import Array, Message, Operation, Share
from roofcalc.operations.kinds import attention_of
from roofcalc.operations.linear import linear


def share_of(deployment: Deployment, batch: Array) -> tuple[Share, Array]:
    """What one device works on for a global batch, and the sequences of one rank, B_r.

    Micro-batches B_m = ceil(B/p), B_r = ceil(B_m/d). In `bound` no ceil: a stage's work divides over its t·d devices.
    """
    layout = deployment.layout
    if deployment.assumptions.is_bound:
        sequences = np.maximum(batch / np.float64(layout.pp), 1.0)
        return Share(1, sequences, float(layout.tp * layout.dp)), sequences
    sequences = np.ceil(np.ceil(batch / np.float64(layout.pp)) / layout.dp)
    return Share(layout.tp, sequences), sequences


def batch_operations(deployment: Deployment, stage: Stage, share: Share) -> list[Operation]:
    """Products by weights: they depend on the batch alone."""
    hidden = deployment.model.hidden

    def bytes_of(tensor: str) -> float:
        return deployment.weight_dtype(tensor).bytes_per_element

    found: list[Operation] = []
    for name, layers in stage.groups:
        attention_of(deployment.model, name)
        for one in deployment.model.blocks[name].parts:
            found += linear(one.matrices(hidden, share.tp), layers, share, bytes_of)
    if stage.last:
        found += linear([deployment.model.head(share.tp)], 1, share, bytes_of)
    return found


def sequence_operations(deployment: Deployment, stage: Stage, seq: Array) -> list[Operation]:
    """Attention over the caches: per sequence, they depend on the context alone."""
    share, _ = share_of(deployment, 1.0)
    found = []
    for name, layers in stage.groups:
        attention = attention_of(deployment.model, name)
        if attention is not None:
            found.append(gqa(attention, layers, seq, share, deployment.kv.bytes_per_element))
    return found


def messages(deployment: Deployment, stage: Stage) -> list[Message]:
    """An all-reduce after attention and one after the feed-forward part (one if parallel); a send to the next stage."""
    found = []
    hidden, layout = float(deployment.model.hidden), deployment.layout
    for name, layers in stage.groups:
        block = deployment.model.blocks[name]
        parts = (block.attention is not None) + (block.mlp is not None)
        reductions = min(parts, 1) if deployment.model.parallel else parts
        if layout.tp > 1 and reductions:
            found.append(Message("all_reduce", layers * reductions, hidden))
    if stage.sends:
        found.append(Message("send", 1, hidden / layout.tp, stage.sends))
    return found
