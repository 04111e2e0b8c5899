"""Time of a whole attention module of one layer: projections, core, and for sparse kinds the indexer, under one floor.

Engines time latent and sparse attention as modules, because their small kernels (norms, rotary, quantising, cache writes) are
fused or interleaved with the products.
"""

from dataclasses import dataclass

import numpy as np

from roofcalc.physics.kernels.facts import Array, DeviceFacts, Number, joined, memory_s


@dataclass(frozen=True)
class ModuleParameters:
    """Fitted constants of one kind of module on one device and engine.

    Attributes
    ----------
    t0_us
        Floor: the launches of all its kernels, µs.
    linear_compute, linear_bandwidth
        Fractions of peak and bandwidth that the projections reach.
    core_compute, core_bandwidth
        Fractions that the attention core reaches.
    head_tile
        Query heads that a block computes at least: fewer heads than this take as long.
    token_ns
        Small kernels: norms, rotary, quantising, cache writes, per token, ns.
    index_compute
        Fraction of the peak that the indexer's scores reach (1 where there is none).
    candidate_ps
        Selecting the best entries, per token and candidate, ps.
    """

    t0_us: float
    linear_compute: float
    linear_bandwidth: float
    core_compute: float
    core_bandwidth: float
    head_tile: float
    token_ns: float
    index_compute: float
    candidate_ps: float


def module_s(
    parameters: ModuleParameters,
    facts: DeviceFacts,
    tokens: Number,
    linear_flops: Number,
    linear_bytes: Number,
    heads: Number,
    core_flops: Number,
    core_bytes: Number,
    linear_peak_flop_s: Number | None = None,
    index_flops: Number = 0.0,
    index_bytes: Number = 0.0,
    candidates: Number = 0.0,
) -> Array:
    """Seconds of one module.

    t = t0 + join(projections) + join(core, heads padded) + tokens·token_ns + join(indexer) + tokens·candidates·candidate_ps.

    Parameters
    ----------
    tokens
        New tokens of all sequences.
    linear_flops, linear_bytes
        FLOPs and weight bytes of the projections (and of the indexer's own).
    heads
        Query heads of this device; core FLOPs are scaled up to `head_tile` heads where there are fewer.
    core_flops, core_bytes
        FLOPs over the pairs that the core computes, cache bytes that it reads.
    linear_peak_flop_s
        Peak of the projections' format where it differs from the core's, FLOP/s.
    index_flops, index_bytes, candidates
        The indexer's FLOPs and bytes, and the entries that each token chooses from.
    """
    linear_peak = np.asarray(facts.peak_flop_s if linear_peak_flop_s is None else linear_peak_flop_s)
    linear = joined(
        linear_flops / (parameters.linear_compute * linear_peak),
        memory_s(linear_bytes, parameters.linear_bandwidth, facts),
    )
    core = core_s(parameters, facts, tokens, heads, core_flops, core_bytes)
    index = index_s(parameters, facts, tokens, candidates, index_flops, index_bytes)
    return np.asarray(parameters.t0_us * 1e-6 + linear + core + index)


def core_s(parameters: ModuleParameters, facts: DeviceFacts, tokens: Number, heads: Number, flops: Number, moved_bytes: Number) -> Array:
    """Seconds of the attention core of `tokens` new tokens, heads padded to `head_tile`, and of the small kernels."""
    heads = np.asarray(heads, dtype=float)
    padded = np.maximum(heads, parameters.head_tile) / heads
    core = joined(flops * padded / (parameters.core_compute * np.asarray(facts.peak_flop_s)), memory_s(moved_bytes, parameters.core_bandwidth, facts))
    return np.asarray(core + np.asarray(tokens, dtype=float) * parameters.token_ns * 1e-9)


def index_s(parameters: ModuleParameters, facts: DeviceFacts, tokens: Number, candidates: Number, flops: Number, moved_bytes: Number) -> Array:
    """Seconds of the indexer's scores of `tokens` new tokens, each with so many candidates, and of the selection."""
    scores = joined(flops / (parameters.index_compute * np.asarray(facts.peak_flop_s)), memory_s(moved_bytes, parameters.core_bandwidth, facts))
    return np.asarray(scores + np.asarray(tokens, dtype=float) * np.asarray(candidates) * parameters.candidate_ps * 1e-12)
