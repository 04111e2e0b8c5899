"""Seconds of a pass through the stages of a deployment in `typical`, for the tokens of a step: GEMMs, experts, small kernels, messages."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Part, Routed, TokenLoad
from roofcalc.physics.timing.charge import Terms, add, run_constants
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
    keys = tuple(Key(one.rows, one.cols, one.copies, one.tensor) for part in here for one in part.matrices)
    return BlockWork(keys, tuple(part.routed for part in here if part.routed), sum(small_bytes(part, deployment.model.hidden) for part in here))


@formula("bytes per token, small kernels = 8·h + 3·widths")
def small_bytes(part: Part, hidden: int) -> float:
    """Bytes per token that the small kernels around a part move, in 16 bits.

    Norm with residual: two vectors read and two written, 8 bytes per element. Activations, rotary embeddings and cache writes: what
    matrices produce beside hidden vectors is read once, and half as much written.
    """
    return 8.0 * hidden + 3.0 * sum(one.cols * one.copies for one in part.matrices if one.cols != hidden)


def small_s(deployment: Deployment, name: str, tokens: Any) -> Any:
    """Seconds of the small kernels of one layer of a block: their bytes at the memory's bandwidth, with the factor of whole runs."""
    given = deployment.assumptions
    if given.mfu is not None or given.mbu is not None:
        return 0.0 * np.asarray(tokens, dtype=float)
    return run_constants(deployment).small * (np.asarray(tokens, dtype=float) * (block_work(deployment, name).small_bytes / deployment.memory_bytes_per_s))


def head_terms(deployment: Deployment, tokens: Any) -> Terms:
    """Seconds by resource of the LM head's GEMM for the tokens that it scores."""
    head = deployment.model.head(work.compute_sharding(deployment).tp)
    return gemm_terms(deployment, (Key(head.rows, head.cols, head.copies, head.tensor),), np.ones(1), tokens)


def work_terms(deployment: Deployment, load: TokenLoad, names: tuple[str, ...], layers: tuple[int, ...], head: Any = None) -> Terms:
    """Seconds by resource of one pass through a stage's blocks, all GEMMs evaluated at once; `head` the tokens that are scored."""
    each = [block_work(deployment, name) for name in names]
    keys = [key for one in each for key in one.keys]
    times = [float(count) for one, count in zip(each, layers, strict=True) for _ in one.keys]
    tokens = np.asarray(load.tokens, dtype=float)
    same = head is None or head is load.tokens
    if head is not None and same:
        one = deployment.model.head(work.compute_sharding(deployment).tp)
        keys.append(Key(one.rows, one.cols, one.copies, one.tensor))
        times.append(1.0)
    terms = gemm_terms(deployment, tuple(keys), np.array(times), tokens)
    for found, count in zip(each, layers, strict=True):
        for routed in found.routed:
            _merge(terms, expert_terms(deployment, routed, load.sharding, count, load.group_tokens))
    for name, count in zip(names, layers, strict=True):
        add(terms, "bandwidth", small_s(deployment, name, tokens) * count)
    if not same:
        _merge(terms, head_terms(deployment, head))
    return terms


def _merge(terms: Terms, more: Terms) -> None:
    for name, value in more.items():
        add(terms, name, value)
