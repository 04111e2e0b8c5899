"""Prefill: time to first token for P new tokens per sequence after C cached ones, in one step or in chunks.

Each chunk is a step that reads the weights, the earlier KV entries and the states again. Source: chunked prefill, arXiv 2308.16369;
the forms of MLA are in `roofcalc.physics.prefill_ops`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc import units
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.errors import RoofcalcError
from roofcalc.physics import decode_ops as work
from roofcalc.physics import overhead
from roofcalc.physics.adapters import adapter_operations
from roofcalc.physics.images import tower_operations
from roofcalc.physics.kv_span import Array
from roofcalc.physics.offload import HOST, HostWork, prefill_work
from roofcalc.physics.ops.operation import Message, Operation, TokenLoad
from roofcalc.physics.prefill_ops import prefill_operations
from roofcalc.physics.resources import LINKS, RESOURCES, Terms, add_messages, add_seconds, cache_savings_s, combined, limit_of, operation_terms
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_STEPS = 10_000_000


class Prefill(NamedTuple):
    """Times of prefills, arrays of one shape.

    Attributes
    ----------
    ttft_s : array
        Seconds to the first token: the sum of the stages; in `bound` prompts are pipelined over them.
    batch_prefill_s : array
        Seconds per batch with the pipeline full: pp times the slowest stage once there are as many sequences as stages.
    limited_by : array of str
        The resource that takes the largest part.
    """

    ttft_s: NDArray[Any]
    batch_prefill_s: NDArray[Any]
    limited_by: NDArray[np.str_]


class Chunks(NamedTuple):
    """The steps of a prefill along the last axis: tokens computed, tokens cached before, tokens scored; no step where 0 are computed."""

    new: NDArray[Any]
    cached: NDArray[Any]
    scored: NDArray[Any]


def chunks(new: NDArray[Any], cached: NDArray[Any], size: float | None) -> Chunks:
    """Divides P tokens into chunks of `size`, the last one shorter; one step where `size` is None.

    Raises
    ------
    RoofcalcError
        More steps than can be computed at once.
    """
    if size is None:
        return Chunks(new[..., np.newaxis], cached[..., np.newaxis], np.ones((*np.shape(new), 1)))
    count = int(np.ceil(new.max() / size))
    if count * new.size > MAX_STEPS:
        raise RoofcalcError(f"--chunk: {count * new.size:,} steps of {units.plain(size)} tokens; at most {MAX_STEPS:,} are computed at once")
    begins = np.arange(count) * float(size)
    part = np.clip(new[..., np.newaxis] - begins, 0.0, size)
    last = begins + part >= new[..., np.newaxis]
    return Chunks(part, cached[..., np.newaxis] + begins, np.where(last & (part > 0), 1.0, 0.0))


def prefill(deployment: Deployment, new: Any, cached: Any = 0.0, batch: Any = 1.0, chunk: float | None = None) -> Prefill:
    """Times of prefills; the arguments broadcast.

    Parameters
    ----------
    new, cached : tokens
        P and C of each sequence.
    batch : sequences
        Over the whole system.
    chunk : tokens, optional
        Chunk size; by default the prompt is one step.
    """
    new, cached, batch = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (new, cached, batch)))
    steps = chunks(new, cached, chunk)
    size = batch[..., np.newaxis]
    each = [stage_terms(deployment, index, steps, size) for index in range(len(deployment.stages))]
    runs = steps.new > 0
    seconds = [np.where(runs, combined(deployment, terms), 0.0).sum(axis=-1) for terms in each]
    through = _through(deployment, seconds)
    depth = deployment.layout.pp
    if deployment.assumptions.is_bound:
        ttft = through / pieces_at_once(deployment, new, cached, batch, through)
        pace = np.maximum(ttft, through * np.minimum(batch / depth, 1.0))
    else:
        ttft, pace = through, np.where(batch >= depth, depth * np.maximum.reduce(seconds), through)
    by_resource = _over_stages(deployment, each, runs)
    return Prefill(ttft + overhead.request_seconds(deployment), pace, limit_of(deployment, by_resource))


def _through(deployment: Deployment, seconds: list[NDArray[Any]]) -> NDArray[Any]:
    """Seconds of a pass through all stages."""
    return np.asarray(sum(stage.count * one for stage, one in zip(deployment.stages, seconds, strict=True)))


@formula("pieces, bound = min(p, P·max(B/d, 1), through/last)")
def pieces_at_once(deployment: Deployment, new: Array, cached: Array, batch: Array, through: Array) -> Any:
    """Pieces of prompts that the stages of a pipeline work on at the same time: 1, or in `bound` so many that the first token comes earliest.

    Pieces of one token at least fill the pipeline. `through` are the seconds of the prompts in all stages, `last` those of the last token of one
    prompt on each rank, which passes every stage and its weights after all other pieces.
    """
    if not deployment.assumptions.is_bound or deployment.layout.pp == 1:
        return 1.0
    nothing = np.zeros(np.shape(new))
    before, one = np.stack([nothing, np.maximum(cached + new - 1, 0.0)], axis=-1), np.stack([nothing, nothing + 1], axis=-1)
    steps = Chunks(one, before, one)  # the first step, of no tokens, takes what a prompt begins with
    prompts = np.minimum(batch, deployment.layout.dp)[..., np.newaxis]
    each = [stage_terms(deployment, index, steps, prompts) for index in range(len(deployment.stages))]
    last = _through(deployment, [np.where(one > 0, combined(deployment, terms), 0.0).sum(axis=-1) for terms in each])
    filled = np.clip(new * np.maximum(batch / deployment.layout.dp, 1.0), 1.0, deployment.layout.pp)
    return np.minimum(filled, np.maximum(through / last, 1.0))


def _resource(terms: Terms, name: str) -> Array:
    return sum((terms.get(wire, 0.0) for wire in LINKS), start=np.float64(0.0)) if name == "network" else terms.get(name, np.float64(0.0))


def piggybacked_prefill(deployment: Deployment, new: Any, batch: Any, cached: Any = 0.0) -> dict[str, NDArray[Any]]:
    """Seconds by resource that chunked prefill adds to the decode steps it is fused with, at least: weights are read for both at once."""
    new, batch, cached = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (new, batch, cached)))
    steps = chunks(new, cached, None)
    each = [stage_terms(deployment, index, steps, batch[..., np.newaxis], fused=True) for index in range(len(deployment.stages))]
    return _over_stages(deployment, each, steps.new > 0)


def _over_stages(deployment: Deployment, each: list[Terms], runs: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Seconds by resource, summed over the steps and the stages."""

    def total(name: str) -> NDArray[Any]:
        of_stage = (np.where(runs, np.asarray(_resource(terms, name)), 0.0).sum(axis=-1) for terms in each)
        return np.asarray(sum(stage.count * one for stage, one in zip(deployment.stages, of_stage, strict=True)))

    return {name: total(name) for name in RESOURCES}


def stage_terms(deployment: Deployment, index: int, steps: Chunks, batch: Array, fused: bool = False) -> Terms:
    """Seconds of each step by resource, in one kind of stage; without reading the weights and overhead if `fused` with decode steps."""
    operations, tokens, host = stage_work(deployment, index, steps, batch)
    if fused:
        operations = [replace(one, bytes=0.0) if one.role == "linear" else one for one in operations]
    terms = operation_terms(deployment, operations)
    if host:
        terms[HOST] = sum((one.seconds for one in host), start=np.float64(0.0))
    if not fused and (spared := cache_savings_s(deployment)):
        add_seconds(terms, "bandwidth", -spared)
    if deployment.profile and not fused:
        from roofcalc.physics.timing.step import small_s  # only `typical` needs it

        small = sum(small_s(deployment, name, tokens) * layers for name, layers in deployment.stages[index].groups)
        add_seconds(terms, "bandwidth", small)
    add_messages(deployment, terms, prefill_messages(deployment, deployment.stages[index]), tokens)
    if not fused and np.any(fixed := overhead.seconds(deployment, deployment.stages[index], prompt=True)):
        add_seconds(terms, "overhead", fixed)
    return terms


def prefill_messages(deployment: Deployment, stage: Stage) -> list[Message]:
    """The messages of a stage; those of decode context parallelism do not occur in prefill (`prefill_share`)."""
    return [message for message in work.messages(deployment, stage) if message.kind != "all_gather"]


def prefill_share(deployment: Deployment, batch: Array, tokens: Array) -> tuple[TokenLoad, Array]:
    """The work of one device for `tokens` new tokens per sequence, and the sequences of one rank.

    KV entries are sharded over context ranks in decode only: in prefill each tensor rank attends to all entries.
    """
    one, sequences = work.token_load(deployment, batch)
    return TokenLoad(replace(one.sharding, dcp=1), one.tokens * tokens, one.group_tokens * tokens, one.spread), sequences


def stage_work(deployment: Deployment, index: int, steps: Chunks, batch: Array) -> tuple[list[Operation], Array, list[HostWork]]:
    """The operations of each step in one kind of stage, the tokens of a rank in its messages, and the host's work."""
    safe = np.maximum(steps.new, 1.0)
    load, sequences = prefill_share(deployment, batch, safe)
    operations = prefill_operations(deployment, deployment.stages[index], load, sequences, safe, steps.cached, steps.scored)
    operations, host = prefill_work(deployment, deployment.stages[index], load, sequences, safe, steps.cached, operations)
    operations = [*operations, *further_operations(deployment, deployment.stages[index], load, sequences, steps.new.shape[-1])]
    return operations, load.tokens / deployment.layout.dp if deployment.assumptions.is_bound else load.tokens, host


def further_operations(deployment: Deployment, stage: Stage, load: TokenLoad, sequences: Array, steps: int = 1) -> list[Operation]:
    """The work of adapters, and in the first of `steps` steps that of the vision tower."""
    if deployment.lora is None and deployment.images is None:
        return []
    first = np.where(np.arange(steps) == 0, 1.0, 0.0)
    return [*tower_operations(deployment, stage, load, sequences, first), *adapter_operations(deployment, stage, load, sequences, prompt=True)]
