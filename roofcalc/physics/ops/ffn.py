"""Feed-forward parts: a dense network, or routed experts with a router and a shared part.

Expected number of distinct experts: with uniform routing, without replacement within a token, each expert is missed by T tokens with
probability (1 − k/E)^T. Routers of trained models send real tokens to fewer; `roofcalc.specs.routing` has the other cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.gemm import gemm_to_operation
from roofcalc.physics.ops.operation import Gemm, Operation, TokenLoad
from roofcalc.physics.ops.types import ACTIVATION_BYTES, Part, Routed, Sharding
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.formula import formula


def dense(network: Dense, hidden: int, sharding: Sharding) -> Part:
    """A dense network; its width is divided over the tensor ranks."""
    return Part(network.matrices(hidden, sharding.tp), network.vectors(hidden, sharding.tp))


def experts(network: Experts, hidden: int, sharding: Sharding) -> Part:
    """Routed experts, divided over t·d; the shared part is divided over t; router and latent projections are replicated."""
    routed = Routed(network.expert(hidden), network.experts, network.routed, network.top_k, network.latent or hidden, sharding.routing)
    held = held_experts(routed, sharding)
    vectors = network.common_vectors(hidden) + held * network.expert_vectors(hidden)
    return Part(network.around(hidden, sharding.tp), vectors, routed=routed)


@formula("experts held, spread = ceil((E + R)/e)", "experts held, split = (E + R)/g")
def held_experts(routed: Routed, sharding: Sharding) -> float:
    """Expert weights on one device, in experts: whole experts with expert parallelism, else an equal slice of each."""
    copies = routed.experts + sharding.redundant
    return -(-copies // sharding.ep) if sharding.ep > 1 else copies / sharding.group


@formula("D = E·(1 − (1 − k_e/E_all)^T_g)", "D, skewed routing = k_e·E/E_all·min(1, T_g)")
def expected_active_experts(routed: Routed, tokens: Array) -> Array:
    """Expected number of distinct experts that `tokens` tokens are routed to, of E that compute among E_all to choose from.

    With measured shares each expert is chosen by a token with a probability p_e of its own: the sum of 1 − (1 − p_e)^T_g over the
    experts. With skewed routing all tokens choose the same.
    """
    routing = routed.routing
    if routing.is_skewed:
        return np.asarray(routed.top_k * routed.experts / routed.routed * np.minimum(1.0, tokens))
    if routing.shares:
        chances = routing.probabilities(routed.top_k, routed.experts, routed.routed)
        return np.asarray(sum(count * -np.expm1(tokens * _log_of_missing(chance)) for chance, count in chances))
    return routed.experts * -np.expm1(tokens * _log_missed(routed))


def _log_of_missing(chance: float) -> float:
    """log(1 − p_e); finite for p_e = 1, so that no tokens miss it too."""
    return math.log1p(-chance) if chance < 1 else -1e30


def _log_missed(routed: Routed) -> float:
    """log(1 − k/E_all): log-probability that one token is not routed to a given expert."""
    return math.log1p(-routed.top_k / routed.routed) if routed.top_k < routed.routed else -math.inf


def expert_gemms(
    routed: Routed, layers: int, sharding: Sharding, spread: float, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Gemm]:
    """One GEMM per expert matrix, divided over the g devices of the expert group; its tokens are those of the whole group."""
    imbalance = sharding.imbalance if sharding.ep > 1 else 1.0
    chosen = routed.top_k * routed.experts / routed.routed * imbalance / sharding.group / spread
    return [
        Gemm(
            name=prefix + matrix.name,
            layers=layers,
            tensor=matrix.tensor,
            flops=2.0 * matrix.elements * chosen,
            weights=matrix.elements * bytes_of(matrix.tensor) / sharding.group / spread,
            activation_bytes=(matrix.rows + matrix.cols) * ACTIVATION_BYTES * chosen if activations else 0.0,
            routed=routed,
            imbalance=imbalance,
            rows=matrix.rows,
            cols=matrix.cols,
            place=place,
        )
        for place, matrix in enumerate(routed.matrices)
    ]


@formula("read = min(imbalance·D, E)")
def expected_experts_read(routed: Routed, imbalance: float, tokens: Array) -> Array:
    """Expected experts whose weights a step of `tokens` tokens reads over the group, as if every rank were as busy as the busiest."""
    return np.minimum(imbalance * expected_active_experts(routed, tokens), routed.experts)


@formula(
    "FLOPs = 2·T_g·k_e·E/E_all·K·N/g·imbalance",
    "bytes = min(imbalance·D, E)·K·N·w/g",
    "bytes with activations = min(imbalance·D, E)·K·N·w/g + 2·T_g·k_e·E/E_all/g·imbalance·(K + N)",
)
def expert_operations(
    routed: Routed, layers: int, load: TokenLoad, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Operation]:
    """The expert GEMMs as operations, for the tokens of the whole group."""
    tokens = load.group_tokens
    found = expert_gemms(routed, layers, load.sharding, load.spread, bytes_of, activations, prefix)
    return [gemm_to_operation(one, tokens, expected_experts_read(routed, one.imbalance, tokens)) for one in found]


@formula("P_hit = 1 − binom(E_all − E/shards, k_e)/binom(E_all, k_e)")
def prob_shard_hit(routed: Routed, shards: float) -> float:
    """Probability that a token is routed to any expert of one of `shards` equal shards; 1 for one shard.

    Measured shares are taken as uniform here. With skewed routing the chosen experts are where the tokens are: none is sent.
    """
    if shards <= 1:
        return 1.0
    if routed.routing.is_skewed:
        return 0.0
    missed = 1.0
    for i in range(routed.top_k):  # C(E−s, k)/C(E, k), for any s
        missed *= max(0.0, routed.routed - routed.experts / shards - i) / (routed.routed - i)
    return 1.0 - missed
