"""Recurrent states and feed-forward parts on one device."""

from typing import Any

from tests.reference.attention import Lin
from tests.reference.case import Case, shard


def state_lins(s: Any, h: int, t: int) -> list[Lin]:
    """Every weight matrix of a recurrent layer on one tensor rank."""
    if s.type == "mamba1":
        inner = shard(s.inner, t)
        shapes = [(h, inner), (h, inner), (inner, s.dt_rank), (inner, s.state), (inner, s.state), (s.dt_rank, inner), (inner, h)]
    elif s.type == "mamba2":
        heads, groups = shard(s.heads, t), max(1, shard(s.groups, t))
        inner = heads * s.head_dim
        shapes = [(h, inner), (h, inner), (h, groups * s.state), (h, groups * s.state), (h, heads), (inner, h)]
    elif s.type == "gated_deltanet":
        keys, values = shard(s.k_heads, t) * s.k_dim, shard(s.v_heads, t) * s.v_dim
        shapes = [(h, keys), (h, keys), (h, values), (h, values), (h, shard(s.v_heads, t)), (h, shard(s.v_heads, t)), (values, h)]
    elif s.type == "kda":
        wide = shard(s.heads, t) * s.head_dim
        decay = [(h, wide)] if s.full_forget else [(h, s.head_dim), (s.head_dim, wide)]
        gate = [(h, wide)] if s.full_gate else [(h, s.head_dim), (s.head_dim, wide)]
        shapes = [(h, wide), (h, wide), (h, wide), *decay, *gate, (h, shard(s.heads, t)), (wide, h)]
    elif s.type == "short_convolution":
        wide = shard(s.width, t)
        shapes = [(h, wide)] * 3 + [(wide, h)]
    else:
        wide = shard(s.heads, t) * s.head_dim
        shapes = [(h, wide)] * 4 + [(wide, h)]
    return [(rows, cols, "state") for rows, cols in shapes]


def state_numbers(s: Any, t: int) -> int:
    """Of the recurrent state of one sequence."""
    if s.type == "mamba1":
        return int(shard(s.inner, t) * s.state)
    if s.type == "mamba2":
        return int(shard(s.heads, t) * s.head_dim * s.state)
    if s.type == "gated_deltanet":
        return int(shard(s.v_heads, t) * s.k_dim * s.v_dim)
    if s.type == "short_convolution":
        return 0
    return int(shard(s.heads, t) * s.head_dim * s.head_dim)


def conv_numbers(s: Any, t: int) -> int:
    """That a sequence's convolutions remember: all but one of their inputs, in every channel."""
    return channels(s, t) * (s.conv - 1) if s.type != "lightning" else 0


def channels(s: Any, t: int) -> int:
    if s.type == "mamba1":
        return shard(s.inner, t)
    if s.type == "mamba2":
        return int(shard(s.heads, t) * s.head_dim + 2 * max(1, shard(s.groups, t)) * s.state)
    if s.type == "gated_deltanet":
        return int(2 * shard(s.k_heads, t) * s.k_dim + shard(s.v_heads, t) * s.v_dim)
    if s.type == "short_convolution":
        return shard(s.width, t)
    return int(3 * shard(s.heads, t) * s.head_dim)


def update_flops(s: Any) -> int:
    """Per token and number of the state: decay, outer product, sum, read-out; the delta rule reads once more."""
    return 8 if s.type in ("gated_deltanet", "kda") else 6


def state_bytes_each(s: Any) -> int:
    return {"fp32": 4, "bf16": 2, "fp16": 2}[s.dtype]


def summed_inside(s: Any) -> int:
    """Numbers per token that tensor ranks must add up within the layer: Mamba's dt, B and C come from divided channels."""
    return int(s.dt_rank + 2 * s.state) if s.type == "mamba1" else 0


def state_vectors(s: Any, t: int) -> int:
    """Convolutions, rates per head, norms."""
    if s.type == "mamba1":
        inner = shard(s.inner, t)
        inner_norms = s.dt_rank + 2 * s.state if s.norms else 0
        return int(inner * s.conv + inner + inner + inner * s.state + inner + inner_norms)  # kernel, bias, dt bias, A, D
    if s.type == "short_convolution":
        return channels(s, t) * int(s.conv)
    heads = shard(s.v_heads if s.type == "gated_deltanet" else s.heads, t)
    if s.type == "mamba2":
        inner = heads * s.head_dim
        return int(channels(s, t) * s.conv + channels(s, t) + 3 * heads + (inner if s.norm else 0))
    if s.type == "gated_deltanet":
        return int(channels(s, t) * s.conv + 2 * heads + s.v_dim)
    if s.type == "kda":
        return int(channels(s, t) * s.conv + heads + heads * s.head_dim + s.head_dim)
    return int(heads * s.head_dim + (2 * s.head_dim if s.qk_norm else 0))


def network(h: int, width: int, plain: bool, tensor: str) -> list[Lin]:
    """A gated network of three matrices, or a plain one of two."""
    up = [(h, width, tensor)] if plain else [(h, width, tensor), (h, width, tensor)]
    return [*up, (width, h, tensor)]


def every_token_lins(mlp: Any, h: int, t: int) -> list[Lin]:
    """What every token passes: the dense network; or router, latent projections and the shared part."""
    if mlp.type == "dense":
        beside = network(h, mlp.side, True, "mlp") if mlp.side else []
        return network(h, shard(mlp.width, t), mlp.plain, "mlp") + beside
    found: list[Lin] = [(h, mlp.experts + mlp.zero_experts, "router")]
    if mlp.latent:
        found += [(h, mlp.latent, "experts"), (mlp.latent, h, "experts")]
    return found + (network(h, shard(mlp.shared, t), mlp.plain, "shared") if mlp.shared else [])


def expert_lins(mlp: Any, h: int) -> list[Lin]:
    """One whole expert."""
    return network(mlp.latent or h, mlp.width, mlp.plain, "experts")


def experts_hit(mlp: Any, tokens: int) -> float:
    """Different experts that compute, of those that so many tokens choose independently."""
    chosen = mlp.top_k / (mlp.experts + mlp.zero_experts)
    missed = 1.0
    for _ in range(tokens):
        missed *= 1 - chosen
    return float(mlp.experts * (1 - missed))


def held_experts(case: Case, mlp: Any) -> float:
    """Experts' worth of weights on one device."""
    copies = mlp.experts + case.redundant
    return shard(copies, case.e) if case.e > 1 else copies / case.g


def mlp_vectors(case: Case, mlp: Any, h: int) -> float:
    """Biases, the router's corrections and the shared part's gate."""
    if mlp.type == "dense":
        width = shard(mlp.width, case.t)
        return (width * (1 if mlp.plain else 2) + h) if mlp.bias else 0
    routed = mlp.experts + mlp.zero_experts
    total = routed * (int(mlp.bias) + int(mlp.router_bias)) + (h if mlp.shared_gate else 0)
    each = mlp.width * (1 if mlp.plain else 2) + (mlp.latent or h) if mlp.bias else 0
    return float(total + held_experts(case, mlp) * each)


def needs_shard(mlp: Any, shards: int) -> float:
    """Probability that a token's k choices fall at least once on one of `shards` equal parts of the experts."""
    if shards == 1:
        return 1.0
    routed, part = mlp.experts + mlp.zero_experts, mlp.experts / shards
    nowhere = 1.0
    for already in range(mlp.top_k):
        nowhere *= max(0.0, (routed - part - already) / (routed - already))
    return 1 - nowhere
