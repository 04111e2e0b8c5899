"""What fills the memory of one device."""

import math
from typing import Any

from tests.reference import attention, formats, others
from tests.reference.case import Case, shard, stages


def weight_bytes(case: Case) -> list[float]:
    """On one device of each pipeline stage."""
    model, h = case.model, case.model.hidden
    found = []
    cut = stages(case)
    alike = {id(block): layer_bytes(case, block) for block in {id(one): one for blocks in cut for one in blocks}.values()}
    for number, blocks in enumerate(cut):
        first, last = number == 0, number == len(cut) - 1
        total, met = 0.0, dict.fromkeys(alike, 0)
        for block in blocks:
            met[id(block)] += 1
            if block.copies is None or met[id(block)] <= block.copies:  # later ones use the weights of an earlier layer
                total += alike[id(block)]
        if first:
            total += shard(model.vocab, case.t) * h * formats.size(case, "embed")
            total += (model.positions * h + (norm_width(model) if model.embed_norm else 0)) * formats.size(case, "norm")
            if model.altup:
                total += (model.altup - 1) * h * h * formats.size(case, "norm")
            if model.extra_embed and model.extra_embed.per_layer:
                total += (h * model.extra_embed.dim + model.extra_embed.per_layer) * formats.size(case, "norm")
            total += sum(model.excluded.values()) / case.t * formats.size(case, "norm")
            if model.extra_embed and not model.extra_embed.offload:
                total += model.extra_embed.rows * model.extra_embed.dim / case.t * formats.size(case, "embed")
        if last:
            total += (norm_width(model) + (model.vocab if model.head_bias else 0)) * formats.size(case, "norm")
            if model.altup:
                total += (model.altup - 1) * h * h * formats.size(case, "norm")
            if model.hyper_connections:
                m = model.hyper_connections
                total += (m * (m * h) + m + 1) * formats.size(case, "norm")
            if not (model.tied and first):
                total += h * shard(model.vocab, case.t) * formats.size(case, "head")
        found.append(total)
    return found


def norm_width(model: Any) -> int:
    return int(model.hidden * (2 if model.norm_bias else 1))


def layer_bytes(case: Case, block: Any) -> float:
    model, h = case.model, case.model.hidden
    parts = [one for one in (block.attention, block.state, block.mlp) if one]
    norms = block.norms
    if norms is None:
        norms = model.norms
    if norms is None:
        norms = (1 if block.attention or block.state else 0) + (1 if block.mlp else 0)
    vectors = norms * norm_width(model) + (1 if model.layer_scale else 0)
    if model.hyper_connections:
        m = model.hyper_connections
        for _ in parts:
            vectors += ((2 + m) * m) * (m * h) + (2 + m) * m + 3
    if model.altup:
        m = model.altup
        vectors += h + m * h + h + m * m + m * m * m  # norm, router, scale, corrections, predictions
    lins: list[attention.Lin] = []
    if block.attention:
        lins += attention.held_lins(block.attention, h, case.t)
        vectors += attention.vectors(block.attention, h, case.t)
    if block.state:
        lins += others.state_lins(block.state, h, case.t)
        vectors += others.state_vectors(block.state, case.t)
    if block.mlp:
        lins += others.every_token_lins(block.mlp, h, case.t)
        vectors += others.mlp_vectors(case, block.mlp, h)
    total = vectors * formats.size(case, "norm")
    for rows, cols, tensor in lins:
        total += rows * cols * formats.size(case, tensor)
    if block.mlp and block.mlp.type == "experts":
        for rows, cols, tensor in others.expert_lins(block.mlp, h):
            total += others.held_experts(case, block.mlp) * rows * cols * formats.size(case, tensor)
    return float(total)


def kv_bytes(case: Case, seq: int) -> list[float]:
    """Of one sequence, on one device of each pipeline stage."""
    found = []
    for blocks in stages(case):
        total = 0.0
        for block in blocks:
            if block.attention:
                for kind in attention.entries(case, block.attention, seq):
                    total += kind.held * kind.bytes_each
                total += attention.unfinished_bytes(block.attention)
            if block.state:
                total += others.state_numbers(block.state, case.t) * others.state_bytes_each(block.state)
                total += others.conv_numbers(block.state, case.t) * 2
        found.append(total)
    return found


def batch_memory(case: Case, seq: int) -> float:
    """Sequences that fit at the nominal capacity: d times those beside the weights of the fullest stage."""
    room = case.hardware.device.memory.capacity_gb * 1e9
    fits = []
    for weights, kept in zip(weight_bytes(case), kv_bytes(case, seq), strict=True):
        if weights > room:
            return 0
        fits.append(math.floor((room - weights) / kept) if kept else math.inf)
    return case.d * min(fits)
