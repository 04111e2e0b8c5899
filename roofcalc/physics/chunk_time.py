"""The time that a chunk of a prompt adds to the decode step that it rides on.

Linear layers and adapters read their weights once for the chunk and the decoding sequences; attention of the chunk and a vision tower
come on top, on the devices and in the layers that the host holds.
Source: chunked prefill arXiv 2308.16369.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics import overhead
from roofcalc.physics.adapters import adapter_operations
from roofcalc.physics.generation import MeanStep, SpeculativeStep, Timed
from roofcalc.physics.images import TENSOR as TOWER
from roofcalc.physics.kv_span import Array
from roofcalc.physics.offload import HOST
from roofcalc.physics.ops.operation import Product, TokenLoad
from roofcalc.physics.prefill import chunks, stage_work
from roofcalc.physics.resources import Terms, add_terms, combined, operation_terms
from roofcalc.physics.roofline import Step
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Added(NamedTuple):
    """Seconds that a chunk adds to a decode step: in the slowest pipeline stage, and in all stages, which it passes one after another."""

    slowest: NDArray[Any]
    through: NDArray[Any]


def chunk_s(
    deployment: Deployment, mean: Timed, batch: Array, new: Array, count: Array, prompts: Array = 1.0, ranks: Array = 1.0, cached: Array = 0.0
) -> NDArray[Any]:
    """Seconds that a chunk adds to the decode step that it rides on, in the slowest pipeline stage: those by which it delays the others."""
    return added_s(deployment, mean, batch, new, count, prompts, ranks, cached).slowest


@formula("Δ = T_mix − T_step")
def added_s(
    deployment: Deployment, mean: Timed, batch: Array, new: Array, count: Array, prompts: Array = 1.0, ranks: Array = 1.0, cached: Array = 0.0
) -> Added:
    """Seconds that a chunk adds to the decode step of `batch` sequences that it rides on: Δ.

    Linear layers work on decode tokens and the chunk's together and read their weights once; what is the chunk's own, the mean
    over all chunks of a prompt, comes on top. A drafter reads the chunk as well.

    Parameters
    ----------
    batch : array
        Sequences that decode.
    new, count : array
        With a last axis of kinds of requests more than `batch`: tokens of a prompt to compute, and the equal chunks that they are cut into.
    prompts : array
        Chunks in one step, in the shape of `batch`.
    ranks : array
        Data-parallel ranks that have a chunk in the same step, for experts that all of them share.
    cached : array
        Tokens of a prompt that are in the cache already, in the shape of `new`.

    Returns
    -------
    Added
        In the shape of `new`.
    """
    if isinstance(mean, SpeculativeStep):
        added = added_s(deployment, mean.verify, batch, new, count, prompts, ranks, cached)
        if mean.draft is not None and deployment.draft is not None:
            drafter = added_s(mean.draft.deployment, mean.draft, batch, new, count, prompts, ranks, cached)
            added = Added(*(own + deployment.draft.copies * more for own, more in zip(added, drafter, strict=True)))
        return added
    step, weights = (mean.step, mean.weights) if isinstance(mean, MeanStep) else (mean, None)
    assert isinstance(step, Step)
    load, sequences = work.token_load(deployment, np.asarray(batch, dtype=float)[..., np.newaxis], step.tokens)
    prompts, ranks = (np.asarray(one, dtype=float)[..., np.newaxis] for one in (prompts, ranks))
    size = new / count * prompts
    adds_up = bool(step.attention) and deployment.assumptions.overlap == "op"  # what both steps have in common cancels
    each, of_rank = (step.per_sequence, np.float64(0.0)) if adds_up else _of_contexts(step, weights, sequences)
    mixed = replace(load, tokens=load.tokens + size, group_tokens=load.group_tokens + size * ranks)
    found = []
    for index, context in enumerate(each):
        stage = deployment.stages[index]
        contexts: Terms = {} if adds_up else {name: of_rank * time for name, time in context.items()}
        own: Terms = {name: time * prompts for name, time in _own_terms(deployment, index, new, count, cached).items()}
        if HOST in own:  # which one host does for all ranks
            own[HOST] = own[HOST] * ranks / deployment.layout.dp
        if deployment.profile:
            own["overhead"] = own.get("overhead", 0.0) + overhead.seconds(deployment, stage, prompt=True)
        plain = _stage_s(step, index, load, load.tokens, sequences, contexts)
        carrying = (_stage_s(one, index, mixed, load.tokens, sequences + prompts, contexts, own) for one in _ways(step))
        found.append(np.maximum(reduce(np.minimum, carrying) - plain, 0.0))
    through = sum(stage.count * one for stage, one in zip(deployment.stages, found, strict=True))
    return Added(np.asarray(reduce(np.maximum, found)), np.asarray(through))


def _stage_s(step: Step, index: int, load: TokenLoad, scored: Array, sequences: Array, *more: Terms) -> NDArray[Any]:
    """Seconds of one pass through a stage for the tokens of `load`, of so many sequences, and more work."""
    adapters = operation_terms(step.deployment, adapter_operations(step.deployment, step.deployment.stages[index], load, sequences))
    terms = step.of_tokens(index, load, scored)
    for some in (adapters, *more):
        add_terms(terms, some, 1)
    return combined(step.deployment, terms)


def _ways(step: Step) -> list[Step]:
    """The step, and where the CPUs compute experts in decode steps the one that streams them to the devices, as `prefill_work` chooses."""
    deployment = step.deployment
    if deployment.offload is None or deployment.offload.experts != "cpu":
        return [step]
    streams = replace(step, deployment=replace(deployment, offload=replace(deployment.offload, experts=HOST)))
    return [streams] if deployment.offload.host.tflop_s is None else [step, streams]


def _of_contexts(step: Step, weights: NDArray[Any] | None, sequences: Array) -> tuple[tuple[Terms, ...], Any]:
    """Seconds by resource that depend on the context, with a last axis of one, and how many of them a rank has.

    With `weights` the mean over the contexts' last axis; `sequences` have a last axis of one.
    """
    if weights is None:
        each, of_rank = step.sequence_terms(np.asarray(sequences)[..., 0])
        found: tuple[Terms, ...] = tuple({name: np.asarray(time)[..., np.newaxis] for name, time in terms.items()} for terms in each)
        return found, np.asarray(of_rank)[..., np.newaxis]
    each, of_rank = step.sequence_terms(sequences)
    means: list[Terms] = []
    for terms in each:
        means.append({name: np.asarray((np.asarray(time) * weights).sum(axis=-1, keepdims=True)) for name, time in terms.items()})
    return tuple(means), of_rank


def _own_terms(deployment: Deployment, index: int, new: Array, count: Array, cached: Array) -> Terms:
    """Seconds by resource of what a chunk does not share with the decode step, on average over the chunks of a prompt.

    Attention and recurrent updates, also those of layers on the host, and the vision tower. Latents that are expanded again for cached
    tokens add their FLOPs; the weights are read by the step anyway.
    """
    new, count, cached = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (new, count, cached)))
    layout = deployment.layout
    steps = chunks(new, cached, None) if count.max() <= 1 else _equal_chunks(new, count, cached)
    operations, _, host = stage_work(deployment, index, steps, np.float64(layout.dp * layout.pp))
    plain = {one.name: one for one in work.batch_gemms(deployment, deployment.stages[index])}
    runs, kept = steps.new > 0, []
    for one in operations:
        if one.role != "linear" or one.name.startswith(f"{TOWER}."):
            kept.append(one)
        elif one.name in plain and plain[one.name].routed is None and one.name != "head":
            again = np.where(runs, one.flops - plain[one.name].flops * steps.new, 0.0)
            again = np.where(again > 1e-6 * one.flops, again, 0.0)
            if np.any(again):
                assert isinstance(one.shape, Product)
                kept.append(replace(one, flops=again, bytes=0.0, shape=one.shape._replace(tokens=one.shape.tokens * again / one.flops)))
    terms = operation_terms(deployment, kept)
    if not all(one.shared for one in host):
        terms[HOST] = sum((one.seconds for one in host if not one.shared), start=np.float64(0.0))
    return {name: np.asarray(np.where(runs, value, 0.0).sum(axis=-1) / count) for name, value in terms.items()}


def _equal_chunks(new: NDArray[Any], count: NDArray[Any], cached: NDArray[Any]) -> Any:
    """The steps of prompts of which `new` tokens are each cut into `count` equal chunks, along a last axis, after `cached` ones."""
    places = np.arange(int(count.max()))
    size = (new / count)[..., np.newaxis]
    runs = places < count[..., np.newaxis]
    cut = chunks(np.ones(1), np.zeros(1), None)
    return cut._replace(
        new=np.where(runs, size, 0.0), cached=np.where(runs, cached[..., np.newaxis] + places * size, 0.0), scored=np.zeros(runs.shape)
    )
