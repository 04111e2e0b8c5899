"""The loads of experts that timed kernels received: balanced, uniformly random, or skewed by a power law, as the collector draws them."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from roofcalc.physics.kernels.facts import Array, Number
from roofcalc.physics.kernels.routing import TILES, RoutedLoad, uniform_load

SHUFFLES = 4  # fixed placements of a skewed distribution's experts on ranks that are averaged


def balanced_load(tokens: Number, top_k: int, experts: int, ranks: int = 1) -> RoutedLoad:
    """Every expert receives the same number of tokens; with fewer pairs than experts, each pair hits another expert."""
    pairs = np.asarray(tokens, dtype=float) * top_k
    hit = np.ceil(np.minimum(experts, pairs) / ranks)
    load = np.maximum(1.0, pairs / experts)
    return RoutedLoad(hit, hit * load, pairs, tuple(np.asarray(hit * np.ceil(load / tile) * tile) for tile in TILES))


@lru_cache(maxsize=64)
def _placements(experts: int) -> npt.NDArray[np.float64]:
    """Quantiles (i + ½)/E in `SHUFFLES` fixed random orders, shape (SHUFFLES, E)."""
    random = np.random.default_rng(experts)
    middle = (np.arange(experts) + 0.5) / experts
    return np.stack([random.permutation(middle) for _ in range(SHUFFLES)])


def skewed_load(tokens: Number, top_k: int, experts: int, ranks: int, exponent: float) -> RoutedLoad:
    """Loads drawn from a power law with density x^-exponent, on the rank that receives most.

    Between 1 and 0.8·T tokens per expert where there are more pairs than experts, else between 0.01 and 2, scaled so that all pairs
    are placed and no expert receives a token twice. This is how aiconfigurator's collector draws them; it keeps the fullest rank.
    Quantiles stand in for random draws, in a few fixed placements of experts on ranks.
    """
    tokens = np.atleast_1d(np.asarray(tokens, dtype=float))
    pairs = tokens * top_k
    many = pairs > experts
    low, high = np.where(many, 1.0, 0.01), np.where(many, np.maximum(0.8 * tokens, 1.0001), 2.0)
    quantiles = _placements(experts)
    power = 1.0 - exponent
    if abs(power) < 1e-9:
        drawn = low[:, None, None] * (high / low)[:, None, None] ** quantiles
    else:
        start, end = low[:, None, None] ** power, high[:, None, None] ** power
        drawn = (start + (end - start) * quantiles) ** (1 / power)
    loads = drawn * (pairs[:, None] / drawn.sum(-1))[..., None]
    for _ in range(4):  # what exceeds one visit per token goes to the other experts
        capped = np.minimum(loads, tokens[:, None, None])
        missing = pairs[:, None] - capped.sum(-1)
        free = np.where(loads < tokens[:, None, None], capped, 0.0)
        loads = capped + free * (missing / np.maximum(free.sum(-1), 1e-12))[..., None]
    loads = np.minimum(loads, tokens[:, None, None])
    loads = _whole(loads, pairs)
    spare = -experts % ranks  # ranks hold equally many places; where experts run out, a place stays empty
    loads = np.concatenate([loads, np.zeros((*loads.shape[:-1], spare))], axis=-1)
    placed = loads.reshape(len(tokens), SHUFFLES, ranks, (experts + spare) // ranks)
    fullest = placed.sum(-1).argmax(-1)
    local = np.take_along_axis(placed, fullest[..., None, None], axis=2)[:, :, 0]
    padded = tuple(np.asarray((np.ceil(local / tile) * tile).sum(-1).mean(-1)) for tile in TILES)
    return RoutedLoad((local > 0).sum(-1).mean(-1), local.sum(-1).mean(-1), pairs, padded)


def _whole(loads: Array, pairs: Array) -> Array:
    """Loads rounded to whole tokens; what rounding lost or won is taken from, or given to, the fullest experts one by one."""
    whole = np.rint(loads)
    order = np.argsort(-loads, axis=-1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(loads.shape[-1]), order.shape), axis=-1)
    missing = np.rint(pairs)[:, None] - whole.sum(-1)
    each = np.trunc(missing / loads.shape[-1])
    rest = missing - each * loads.shape[-1]
    return np.asarray(np.maximum(0.0, whole + each[..., None] + np.sign(rest)[..., None] * (rank < np.abs(rest)[..., None])))


def routed_load(tokens: Number, top_k: int, experts: int, ranks: int = 1, routing: str | float = "uniform") -> RoutedLoad:
    """The load of one device by name: "balanced", "uniform", or the exponent of a power law."""
    if routing == "balanced":
        return balanced_load(tokens, top_k, experts, ranks)
    if routing == "uniform":
        return uniform_load(tokens, top_k, experts, ranks)
    return skewed_load(tokens, top_k, experts, ranks, float(routing))
