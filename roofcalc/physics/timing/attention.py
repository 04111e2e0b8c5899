"""Seconds of attention, indexers and recurrent updates in `typical`, for the sequences of one rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.kernels.attention import DecodeParameters, PromptParameters, decode_s, prompt_s
from roofcalc.physics.kernels.modules import ModuleParameters, core_s, index_s
from roofcalc.physics.kernels.recurrent import RecurrentParameters, recurrent_s
from roofcalc.physics.ops.operation import Attended, Operation, Updated
from roofcalc.physics.ops.types import Cache, Heads
from roofcalc.physics.resources import Terms
from roofcalc.physics.timing.charge import charge, launches, run_constants
from roofcalc.physics.timing.devices import Chosen, chosen

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENERIC_HEADS = 16  # query heads that one tile of tensor cores holds: of a kind of attention whose heads are not known
STATE_BLOCK = 128 * 128  # elements of a head's recurrent state that one block updates
CHUNK = 64.0  # tokens of a chunk in the scans of prompts


class Busy(NamedTuple):
    """Seconds of a kernel without its launch, and of its launch."""

    seconds: NDArray[Any]
    launch_s: float


def heads_of(cache: Cache) -> Heads:
    """The heads of a cache's kernel; one block per sequence for a kind whose heads are not known."""
    return cache.heads or Heads("grouped", GENERIC_HEADS)


def constants(deployment: Deployment, cache: Cache, prompt: bool) -> Chosen:
    """Constants of the kernel over a cache: grouped, latent or sparse; of decode or of prompts."""
    heads = heads_of(cache)
    peak = deployment.format_of(cache.role, "kv") or "bf16"
    narrow = deployment.kv.bytes_per_element < 2
    form = "fp8" if peak == "fp8" and prompt else "bf16-kv8" if narrow else "bf16"
    if heads.kind in ("sparse", "index"):
        word = "dsa" if heads.kv == 1 else "msa"
        linear = deployment.weight_dtype("attention")
        projected = "bfloat16" if linear.bits >= 16 else "fp8_block" if linear.bits > 4 else "nvfp4"
        subject = "sparse_prompt" if prompt else "sparse_decode"
        form = "bf16-kv8" if narrow else "bf16"
        return chosen(deployment, ModuleParameters, subject, f"{form}+{projected}", word, peak)
    if heads.kind == "latent":
        if prompt:
            return chosen(deployment, PromptParameters, "latent_prompt", "bf16-kv8" if narrow else "bf16", None, peak)
        return chosen(deployment, DecodeParameters, "latent_decode", "bf16-kv8" if narrow else "bf16", None, peak)
    wide = " wide" if max(heads.key_dim, heads.value_dim) > 256 else ""
    if prompt:
        return chosen(deployment, PromptParameters, "prompt", form, wide.strip() or None, peak)
    kernel = f"{wide} window" if heads.window else wide
    return chosen(deployment, DecodeParameters, "decode", form, kernel.strip() or None, peak)


def decode_busy(deployment: Deployment, operation: Operation, sequences: Any) -> Busy:
    """Seconds of one layer's decode attention over one cache, by sequences of a rank that broadcast with the contexts."""
    shape = operation.shape
    assert isinstance(shape, Attended)
    cache, heads = shape.cache, heads_of(shape.cache)
    found = constants(deployment, cache, prompt=False)
    if isinstance(found.parameters, ModuleParameters):
        return _module_busy(operation, found, sequences * shape.new, sequences)
    loaded = np.maximum(np.asarray(shape.loaded, dtype=float), 1e-9)
    query = np.asarray(shape.new, dtype=float) * heads.query
    entry_bytes = operation.bytes / loaded / heads.kv
    entry_flops = operation.flops / loaded / query
    launch = found.parameters.t0_us * 1e-6
    seconds = decode_s(found.parameters, found.facts, sequences, loaded, query, heads.kv, entry_bytes, entry_flops) - launch
    return Busy(np.asarray(seconds), launch)


def prompt_busy(deployment: Deployment, operation: Operation) -> Busy:
    """Seconds of one layer's prompt attention over one cache, for the batch of the operation."""
    shape = operation.shape
    assert isinstance(shape, Attended) and shape.sequences is not None
    heads = heads_of(shape.cache)
    found = constants(deployment, shape.cache, prompt=True)
    new = np.maximum(np.asarray(shape.new, dtype=float), 1.0)
    sequences = np.asarray(shape.sequences, dtype=float)
    if isinstance(found.parameters, ModuleParameters):
        return _module_busy(operation, found, sequences * new, 1.0)
    pairs = np.maximum(np.asarray(shape.cache.span.pairs(np.asarray(shape.cached), new)), 1e-9)
    dims = operation.flops / np.maximum(sequences, 1e-9) / pairs / (2.0 * heads.query)
    kv = heads.query if heads.kind == "latent" else heads.kv
    launch = found.parameters.t0_us * 1e-6
    half = np.asarray(dims) / 2.0
    width = deployment.kv.bytes_per_element
    seconds = prompt_s(found.parameters, found.facts, sequences, new, shape.cached, heads.query, kv, half, half, width, heads.window) - launch
    return Busy(np.asarray(seconds), launch)


def _module_busy(operation: Operation, found: Chosen, tokens: Any, times: Any) -> Busy:
    """Seconds of the core or the indexer of a sparse module; its projections are GEMMs of their own."""
    parameters, shape = found.parameters, operation.shape
    assert isinstance(shape, Attended)
    heads = heads_of(shape.cache)
    flops, moved = operation.flops * times, operation.bytes * times
    if heads.kind == "index":
        candidates = shape.loaded
        if operation.prompt:
            candidates = np.asarray(shape.cache.span.pairs(np.asarray(shape.cached), np.asarray(shape.new))) / shape.new
        return Busy(index_s(parameters, found.facts, tokens, candidates, flops, moved), 0.0)
    return Busy(core_s(parameters, found.facts, tokens, heads.query, flops, moved), parameters.t0_us * 1e-6)


def state_constants(deployment: Deployment, prompt: bool) -> Chosen:
    """Constants of the fused update of decode steps, or of the chunked scan of prompts."""
    phase, kernel = ("context", "chunk_gated_delta_rule gdn") if prompt else ("generation", "fused_recurrent_gated_delta_rule gdn")
    return chosen(deployment, RecurrentParameters, "recurrent", phase, kernel, deployment.format_of("state", "state") or "bf16")


def state_busy(deployment: Deployment, operation: Operation, sequences: Any) -> Busy:
    """Seconds of one layer's recurrent update: the fused update of decode steps, or the chunked scan of prompts."""
    shape = operation.shape
    assert isinstance(shape, Updated)
    found = state_constants(deployment, operation.prompt)
    times = 1.0 if operation.prompt else sequences
    blocks = np.asarray(sequences, dtype=float) * max(1.0, shape.elements / STATE_BLOCK)
    steps = np.ceil(np.asarray(shape.new, dtype=float) / CHUNK) if operation.prompt else shape.new
    launch = found.parameters.t0_us * 1e-6
    seconds = recurrent_s(found.parameters, found.facts, sequences, blocks, steps, operation.flops * times, operation.bytes * times) - launch
    return Busy(np.asarray(seconds), launch)


def sequence_terms(deployment: Deployment, operation: Operation, sequences: Any, layers: float) -> Terms:
    """Seconds by resource of an operation on caches or states, in so many layers.

    Parameters
    ----------
    sequences : array
        Sequences of a rank where the operation is of one sequence; unused where it is of a whole batch.
    """
    run = run_constants(deployment)
    shape = operation.shape
    if isinstance(shape, Updated):
        rows = shape.sequences if operation.prompt else sequences
        busy = state_busy(deployment, operation, rows)
    else:
        busy = prompt_busy(deployment, operation) if operation.prompt else decode_busy(deployment, operation, sequences)
    times = 1.0 if operation.prompt else sequences
    rate = deployment.flop_per_s(deployment.format_of(operation.role, operation.tensor)) or np.inf
    compute, memory = np.asarray(operation.flops * times / rate), np.asarray(operation.bytes * times / deployment.memory_bytes_per_s)
    factor = run.prompt_attention if operation.prompt else run.attention
    terms: Terms = {}
    charge(terms, deployment, (factor, factor), busy.seconds, compute, memory, layers)
    launches(terms, deployment, busy.launch_s * layers)
    return terms
