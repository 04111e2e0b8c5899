"""Seconds of a pass through the stages of a deployment in `typical`, for the tokens of a step: GEMMs, experts, small kernels, messages."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import expert_host_layers
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import decode_ops as work
from roofcalc.physics.ops.operation import TokenLoad
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Part, Routed
from roofcalc.physics.resources import Terms, add_seconds, add_terms
from roofcalc.physics.timing.charge import has_launches, run_constants
from roofcalc.physics.timing.products import Key, expert_terms, gemm_terms
from roofcalc.specs.formula import formula


class BlockWork(NamedTuple):
    """The kernels of one layer of a block that see tokens, not contexts.

    Attributes
    ----------
    keys : tuple of Key
        Matrices.
    routed : tuple of Routed
        Experts.
    small_bytes : float
        Bytes per token that norms, activations, rotary embeddings and cache writes move.
    """

    keys: tuple[Key, ...]
    routed: tuple[Routed, ...]
    small_bytes: float


@lru_cache(maxsize=1024)
def block_work(deployment: Deployment, name: str) -> BlockWork:
    """The kernels of one layer of block `name`."""
    here = parts(deployment.model.blocks[name], deployment.model.hidden, work.storage_sharding(deployment))
    keys = tuple(Key(one.rows, one.cols, one.copies, one.tensor, one.fused) for part in here for one in part.matrices)
    return BlockWork(keys, tuple(part.routed for part in here if part.routed), sum(small_bytes(part, deployment.model.hidden) for part in here))


@formula("bytes per token, small kernels = 8·h + 3·widths")
def small_bytes(part: Part, hidden: int) -> float:
    """Bytes per token that the small kernels around a part move, in 16 bits.

    Norm with residual: two vectors read and two written, 8 bytes per element. Activations, rotary embeddings and cache writes: what
    matrices produce other than hidden vectors is read once, and half as much written.
    """
    return 8.0 * hidden + 3.0 * sum(one.cols * one.copies for one in part.matrices if one.cols != hidden)


def small_s(deployment: Deployment, name: str, tokens: Any) -> Any:
    """Seconds of the small kernels of one layer of a block: their bytes at the memory's bandwidth, with the factor of whole runs."""
    if not has_launches(deployment):
        return 0.0 * np.asarray(tokens, dtype=float)
    return run_constants(deployment).small * (
        np.asarray(tokens, dtype=float) * (block_work(deployment, name).small_bytes / deployment.memory_bytes_per_s)
    )


def head_key(deployment: Deployment) -> Key:
    """The LM head's matrix on one device."""
    head = deployment.model.head(work.compute_sharding(deployment).tp)
    return Key(head.rows, head.cols, head.copies, head.tensor)


def work_terms(deployment: Deployment, stage: Stage, load: TokenLoad, scored: Any = None) -> Terms:
    """Seconds by resource of one pass through a stage's blocks, all GEMMs evaluated at once; `scored` are the tokens that the head sees."""
    each = [(name, layers, block_work(deployment, name)) for name, layers in stage.groups]
    keys = [key for _, _, one in each for key in one.keys]
    times = [float(layers) for _, layers, one in each for _ in one.keys]
    tokens = np.asarray(load.tokens, dtype=float)
    if scored is load.tokens:
        keys.append(head_key(deployment))
        times.append(1.0)
    terms = gemm_terms(deployment, tuple(keys), np.array(times), tokens)
    elsewhere = expert_host_layers(deployment, stage) if deployment.offload is not None and deployment.offload.experts == "cpu" else {}
    for name, layers, one in each:
        for routed in one.routed:
            add_terms(terms, expert_terms(deployment, routed, load.sharding, layers - elsewhere.get(name, 0), load.group_tokens))
        add_seconds(terms, "bandwidth", small_s(deployment, name, tokens) * layers)
    if scored is not None and scored is not load.tokens:
        add_terms(terms, gemm_terms(deployment, (head_key(deployment),), np.ones(1), scored))
    return terms
