"""Feed-forward parts: one dense network, or routed experts beside what every token passes.

Source of the expected number of different experts: uniform routing of T tokens without replacement within a token, so
that each expert is missed with probability (1 − k/E)^T.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.gemm import served
from roofcalc.physics.ops.types import ACTIVATION_BYTES, Operation, Part, Place, Product, Routed, Share
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.formula import formula


def dense(network: Dense, hidden: int, place: Place) -> Part:
    """A network whose width is divided over the tensor ranks."""
    return Part(network.matrices(hidden, place.tp), network.vectors(hidden, place.tp))


def experts(network: Experts, hidden: int, place: Place) -> Part:
    """Router and latent projections whole on each rank, the shared part divided over t, the experts over t·d."""
    routed = Routed(network.expert(hidden), network.experts, network.routed, network.top_k, network.latent or hidden)
    held = held_experts(routed, place)
    vectors = network.common_vectors(hidden) + held * network.expert_vectors(hidden)
    return Part(network.around(hidden, place.tp), vectors, routed=routed)


@formula("experts held, spread = ceil((E + R)/e)", "experts held, split = (E + R)/g")
def held_experts(routed: Routed, place: Place) -> float:
    """Experts' worth of weights on one device: whole ones of an expert rank, or its share of all."""
    copies = routed.experts + place.redundant
    return -(-copies // place.ep) if place.ep > 1 else copies / place.group


@formula("D = E·(1 − (1 − k_e/E_all)^T_g)")
def distinct(routed: Routed, tokens: Array) -> Array:
    """Different experts that `tokens` tokens hit together, on average, of E that compute among E_all to choose from."""
    return routed.experts * -np.expm1(tokens * _log_missed(routed))


def _log_missed(routed: Routed) -> float:
    """log(1 − k/E): of the chance that one token does not hit a given expert."""
    return math.log1p(-routed.top_k / routed.routed) if routed.top_k < routed.routed else -math.inf


def expert_products(
    routed: Routed, layers: int, place: Place, spread: float, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Product]:
    """One product per expert matrix, over the g devices that hold the experts together; tokens are the whole group's."""
    load = place.imbalance if place.ep > 1 else 1.0
    chosen = routed.top_k * routed.experts / routed.routed * load / place.group / spread
    return [
        Product(
            prefix + matrix.name,
            layers,
            matrix.tensor,
            2.0 * matrix.elements * chosen,
            matrix.elements * bytes_of(matrix.tensor) / place.group / spread,
            (matrix.rows + matrix.cols) * ACTIVATION_BYTES * chosen if activations else 0.0,
            routed,
            load,
        )
        for matrix in routed.matrices
    ]


@formula("read = min(imbalance·D, E)")
def read_experts(routed: Routed, load: float, tokens: Array) -> Array:
    """Experts whose weights a step of `tokens` tokens reads over the whole group, the busiest rank's load on all of them."""
    return np.minimum(load * distinct(routed, tokens), routed.experts)


@formula(
    "FLOPs = 2·T_g·k_e·E/E_all·K·N/g·imbalance",
    "bytes = min(imbalance·D, E)·K·N·w/g",
    "bytes with activations = min(imbalance·D, E)·K·N·w/g + 2·T_g·k_e·E/E_all/g·imbalance·(K + N)",
)
def expert_operations(
    routed: Routed, layers: int, share: Share, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Operation]:
    """The operations of `expert_products` for the tokens of the whole group."""
    tokens = share.group_tokens
    found = expert_products(routed, layers, share.place, share.spread, bytes_of, activations, prefix)
    return [served(one, tokens, read_experts(routed, one.load, tokens)) for one in found]


@formula("P_hit = 1 − binom(E_all − E/shards, k_e)/binom(E_all, k_e)")
def reached(routed: Routed, shards: float) -> float:
    """Probability that a token needs a given one of `shards` equal shards of the experts; 1 for one shard."""
    if shards <= 1:
        return 1.0
    missed = 1.0
    for i in range(routed.top_k):  # C(E−s, k)/C(E, k), for any s
        missed *= max(0.0, routed.routed - routed.experts / shards - i) / (routed.routed - i)
    return 1.0 - missed
