"""How many tokens the experts of a device receive where all tokens choose at random.

Fused expert kernels do not see probabilities but loads: distinct experts hit (weights read) and tokens per expert, padded to a tile.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from roofcalc.physics.kernels.facts import Array, Number

TILES = (16, 64, 128)  # token rows that a block of a fused expert kernel may take
QUANTILES = 31  # samples of a random load's distribution


@dataclass(frozen=True)
class RoutedLoad:
    """What one device's experts receive; arrays over the numbers of tokens.

    Attributes
    ----------
    experts_hit
        Distinct experts with at least one token.
    assignments
        Token–expert pairs of this device.
    routed
        Token–expert pairs of all devices: tokens × top_k.
    rows
        For each tile of `TILES`: token rows after every expert's load is padded to a multiple of the tile.
    """

    experts_hit: Array
    assignments: Array
    routed: Array
    rows: tuple[Array, ...]


@lru_cache(maxsize=1)
def _normal_quantiles() -> tuple[float, ...]:
    from statistics import NormalDist

    return tuple(NormalDist().inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES))


def uniform_load(tokens: Number, top_k: int, experts: int, ranks: int = 1) -> RoutedLoad:
    """Every token picks `top_k` of the experts at random: distinct experts E·(1 − (1 − k/E)^T) (PHYSICS §2), loads binomial.

    Padded rows: one tile for each expert hit, exactly, and the further tiles of full experts by a normal approximation of the binomial.
    """
    tokens = np.asarray(tokens, dtype=float)
    share = top_k / experts
    local = experts / ranks
    hit = local * -np.expm1(tokens * math.log1p(-share)) if share < 1 else local * np.minimum(1.0, tokens)
    mean, deviation = tokens * share, np.sqrt(tokens * share * (1 - share))
    loads = np.maximum(0.0, mean[..., None] + deviation[..., None] * np.array(_normal_quantiles()))
    rows = tuple(hit * tile + np.maximum(0.0, np.ceil(np.rint(loads) / tile) - 1).mean(-1) * tile * local for tile in TILES)
    return RoutedLoad(np.asarray(hit), np.asarray(mean * local), tokens * top_k, rows)
