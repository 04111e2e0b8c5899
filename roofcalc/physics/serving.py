"""Served generations: what a user of a replica gets while the same devices also read the prompts of others.

A pure decode step is what one user would see if nobody else sent a prompt. On a replica that serves B requests at a time,
every decode waits for the prompts of the others (colocated, prompts before decode), or shares its steps with their chunks
(chunked prefill), unless other devices read them (separate pools). In `bound` the step is the pure one: no engine beats it.

Symbols: A accepted tokens per step, O output tokens, B_r sequences of one data-parallel rank, c tokens of a chunk,
N chunks of a prompt, Δ what a chunk adds to the step that it rides on, T_mix = T_step + Δ.
Sources: chunked prefill arXiv 2308.16369; separate pools arXiv 2401.09670; Little's law doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics import overhead
from roofcalc.physics.generation import MeanStep, SpeculativeStep, Timed, fewest_seconds, prompt_waits
from roofcalc.physics.kv_span import Array
from roofcalc.physics.prefill import chunks, stage_work
from roofcalc.physics.prompt_cache import found_tokens, prompt_prefill
from roofcalc.physics.roofline import Step, Terms, combined, operation_terms
from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record, replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BATCHED_TOKENS = 8192.0  # of one step of a rank: vLLM's default for serving on devices of 70 GiB and more


class Served(NamedTuple):
    """Arrays in the broadcast shape of prompts, answers and batch.

    Attributes
    ----------
    tpot_s : array
        Mean seconds between two output tokens of a user (TPOT).
    decode_s : array
        The same with nobody else's prompts: the pure decode step over the accepted tokens.
    ttft_s : array
        Seconds to the first token while B requests are in flight.
    ttft_idle_s : array
        Seconds to the first token of a prompt on an idle replica.
    throughput_tok_s : array
        Output tokens per second of the whole system.
    """

    tpot_s: NDArray[Any]
    decode_s: NDArray[Any]
    ttft_s: NDArray[Any]
    ttft_idle_s: NDArray[Any]
    throughput_tok_s: NDArray[Any]


class ServedStep(Record):
    """The mean decode step with the waits for the prompts of others spread over it: what the speed of a user follows.

    Attributes
    ----------
    step : Timed
        The pure mean step.
    isl, osl : array
        Tokens of the requests; with a last axis of kinds where `parts` gives the fraction of each.
    chunk : float, optional
    parts : array, optional
    """

    step: Timed
    isl: Any
    osl: Any
    chunk: float | None = None
    parts: Any = None

    @property
    def deployment(self) -> Deployment:
        return self.step.deployment

    def served(self, batch: Any) -> Served:
        """What each of `batch` requests gets, in the mode of the deployment's assumptions."""
        deployment = self.deployment
        return served(deployment, self.isl, self.osl, batch, self.step, deployment.assumptions.prefill, self.chunk, parts=self.parts)

    def seconds(self, batch: Any) -> NDArray[Any]:
        """Seconds per accepted tokens: A times the TPOT."""
        return np.asarray(self.served(batch).tpot_s * self.deployment.accepted)

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds of the pure step by resource."""
        return self.step.resources(batch)


@formula(
    "others = max(0, prompts − T_first)",
    "wait = others·min(A/(2·osl), 0.5)",
    "wait, burst = others·(B_r + packed − 2)/(2·(B_r − 1))",
    "TTFT = T_first + wait",
    "TPOT = T_step/A + (others − wait)/osl",
    "throughput = B·osl/(osl·TPOT + TTFT)",
)
def served(
    deployment: Deployment,
    isl: Any,
    osl: Any,
    batch: Any,
    mean: Timed,
    mode: str = "colocated",
    chunk: float | None = None,
    max_batched_tokens: float = MAX_BATCHED_TOKENS,
    parts: Any = None,
) -> Served:
    """What each of `batch` requests in flight gets, of `osl` tokens after a prompt of `isl`; arrays that broadcast.

    Requests arrive as others end (`--arrivals staggered`), or all at once (`burst`): then their prompts stand in line, some packed
    into one step, and those that come first wait between tokens for the rest. All of a request's time is waiting for the prompts of its
    rank or decoding, so that B·O/throughput = O·TPOT + TTFT in every mode but `bound`.

    Parameters
    ----------
    mean : Timed
        The mean decode step of these generations.
    mode : "colocated", "chunked" or "separate"
        Prompts before decode on the same devices, in chunks that ride on decode steps, or on other devices.
    chunk : tokens, optional
        Largest prefill step. By default the whole prompt; in `chunked` what decode tokens leave of `max_batched_tokens`.
    parts : array, optional
        With it the last axis of `isl` and `osl` holds kinds of requests, of which each is so large a part.
    """
    isl, osl, batch = (np.asarray(one, dtype=float) for one in (isl, osl, batch))
    if parts is None:
        isl, osl, batch = np.broadcast_arrays(isl, osl, batch)
    answer = osl if parts is None else np.asarray((osl * parts).sum(axis=-1))
    if mode == "chunked" and not deployment.assumptions.is_bound:
        each, of_each = (isl[..., np.newaxis], np.ones(1)) if parts is None else (isl, np.asarray(parts))
        found = _chunked(deployment, each, of_each, answer, batch, mean, chunk, max_batched_tokens)
        prompted = (each * of_each).sum(axis=-1) > 0
        return found if prompted.all() else _where(prompted, found, _without_prompts(deployment, answer, batch, mean))
    step_s = np.asarray(mean.seconds(batch)) / deployment.accepted
    first, prompts = prompt_waits(deployment, isl, osl, batch, chunk, parts)
    if deployment.assumptions.is_bound:
        return Served(step_s, step_s, first, first, np.asarray(batch * answer / fewest_seconds(deployment, isl, osl, batch, parts)))
    if mode == "separate":
        return Served(step_s, step_s, first, first, batch * answer / (answer * step_s + first))
    others = np.maximum(0.0, prompts - first)
    if deployment.assumptions.arrivals == "burst":
        new = isl - found_tokens(deployment, isl)
        prompt = new if parts is None else np.asarray((new * parts).sum(axis=-1))
        wait = others * _share_before_first(deployment, prompt, batch)
    else:
        wait = others * np.minimum(deployment.accepted / (2.0 * answer), 0.5)
    return Served(step_s + (others - wait) / answer, step_s, first + wait, first, batch * answer / (answer * step_s + others + first))


def _without_prompts(deployment: Deployment, osl: NDArray[Any], batch: NDArray[Any], mean: Timed) -> Served:
    """Generations that begin with nothing in their context: pure decode steps."""
    step_s = np.asarray(mean.seconds(batch)) / deployment.accepted
    none = np.zeros(step_s.shape)
    return Served(step_s, step_s, none, none, batch / step_s + np.zeros_like(osl))


def _where(chosen: NDArray[Any], one: Served, other: Served) -> Served:
    return Served(*(np.where(chosen, a, b) for a, b in zip(one, other, strict=True)))


def _share_before_first(deployment: Deployment, prompt: NDArray[Any], batch: NDArray[Any]) -> NDArray[Any]:
    """How much of the prefill of the others in a burst comes before a request's first token, on average.

    The prompts of a rank are prefilled k at a time, each group after those before it: on average (B_r + k)/2 prompts end with one's own.
    """
    of_rank, profile = np.maximum(batch / deployment.layout.dp, 1.0), deployment.profile
    budget = deployment.assumptions.max_batched_tokens if profile is None else profile.packed_prefill_tokens
    packed = np.ones_like(of_rank) if budget is None else np.clip(np.floor(budget / np.maximum(prompt, 1.0)), 1.0, of_rank)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(of_rank > 1, (of_rank + packed - 2.0) / (2.0 * (of_rank - 1.0)), 0.5)


@formula(
    "chunks = ceil(isl/chunk)",
    "carried = (B_r − 1)·chunks·A/osl",
    "TPOT, chunked = T_step/A + carried·Δ/A",
    "decoding = osl/(A·chunks)",
    "TPOT, every step full = T_mix/A",
    "TTFT, every step full = (B_r − decoding)·osl·T_mix/(A·decoding)",
    "TTFT, burst = (B_r/packed + 1)/2·chunks·T_mix",
)
def _chunked(
    deployment: Deployment,
    isl: NDArray[Any],
    parts: NDArray[Any],
    osl: NDArray[Any],
    batch: NDArray[Any],
    mean: Timed,
    chunk: float | None,
    budget: float,
) -> Served:
    """Chunks of prompts that ride on decode steps; `isl` has a last axis of kinds of requests, which come in `parts`.

    While fewer chunks come than there are steps, a share ρ of the steps carries one. Beyond, every step is full: D sequences
    of a rank decode at once, and the others wait for their prompts, which is time to first token. Short prompts are packed,
    several into a step. In `typical`, data-parallel ranks that exchange tokens all wait in a step in which any has a chunk.
    """
    layout, accepted = deployment.layout, deployment.accepted
    tokens = _step_tokens(mean)
    of_rank = np.maximum(batch / layout.dp, 1.0)
    steps = np.maximum(osl / accepted, 1.0)
    found = found_tokens(deployment, isl)
    new = isl - found
    prompt = (new * parts).sum(axis=-1)
    # decode tokens and the chunk share a step's budget: D·q + D·A·isl/O = budget where every step is full
    most = layout.pp * budget / (tokens + layout.pp * prompt / steps)
    room = np.maximum(budget - tokens * np.minimum(of_rank, most + 1.0) / layout.pp, 1.0) if chunk is None else np.full(most.shape, float(chunk))
    counts = np.maximum(np.ceil(new / room[..., np.newaxis]), 1.0)
    count = (counts * parts).sum(axis=-1)
    packed = np.where(count > 1, 1.0, np.maximum(np.floor(room / np.maximum(prompt, 1.0)), 1.0))  # whole prompts that fit one step
    decoding = steps * packed / count
    offered = np.maximum(of_rank - 1.0, 0.0) * count / steps  # chunks per step
    at_once = np.minimum(of_rank, decoding + 1.0)
    prompts = np.clip(offered, 1.0, packed)
    carried = np.minimum(offered, 1.0)
    ranks = np.ones_like(of_rank)
    if deployment.profile is not None and work.has_all_to_all(deployment):
        mu = np.maximum(layout.dp * np.minimum(offered, packed), 1e-12)
        met = -np.expm1(-mu)
        carried, ranks = np.maximum(carried, met), np.clip(mu / met / prompts, 1.0, layout.dp)
    held = np.where(of_rank <= at_once, batch, at_once * layout.dp)
    step_s = np.asarray(mean.seconds(held))
    each = chunk_s(deployment, mean, held, new, counts, prompts, ranks, found)
    extra = (each * counts * parts).sum(axis=-1) / count
    mixed = step_s + extra
    if deployment.assumptions.arrivals == "burst":
        # all chunks of a rank follow one another; a request meets those after its own, for as long as it decodes
        groups = np.maximum(of_rank / packed, 1.0)
        after = (groups - 1.0) * count
        with np.errstate(divide="ignore", invalid="ignore"):
            carried = np.where(after <= steps, after / 2.0, steps - steps**2 / (2.0 * after)) / steps
        tpot = (step_s + carried * extra) / accepted
        ttft = (groups + 1.0) / 2.0 * count * mixed
    else:
        tpot = (step_s + carried * extra) / accepted
        full = (of_rank - decoding) * steps * mixed / decoding
        ttft = np.maximum(count * mixed + np.minimum(offered, 1.0) * mixed / 2.0, full)
    idle = prompt_prefill(deployment, isl, float(layout.dp), chunk or budget).ttft_s
    pure = np.asarray(mean.seconds(batch)) / accepted
    return Served(tpot, pure, ttft, np.asarray((idle * parts).sum(axis=-1)) + np.zeros_like(ttft), batch * osl / (osl * tpot + ttft))


def _step_tokens(mean: Timed) -> float:
    """Tokens of each request in a decode step: drafts and all streams included."""
    if isinstance(mean, SpeculativeStep):
        return _step_tokens(mean.verify)
    step = mean.step if isinstance(mean, MeanStep) else mean
    assert isinstance(step, Step)
    return step.tokens


@formula("Δ = T_mix − T_step")
def chunk_s(
    deployment: Deployment, mean: Timed, batch: Array, new: Array, count: Array, prompts: Array = 1.0, ranks: Array = 1.0, cached: Array = 0.0
) -> NDArray[Any]:
    """Seconds that a chunk adds to the decode step of `batch` sequences that it rides on: Δ.

    Linear layers work on decode tokens and the chunk's together and read their weights once; attention of the chunk, the mean
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
    array
        In the shape of `new`.
    """
    if isinstance(mean, SpeculativeStep):
        added = chunk_s(deployment, mean.verify, batch, new, count, prompts, ranks, cached)
        if mean.draft is not None and deployment.draft is not None:
            added = added + deployment.draft.copies * chunk_s(mean.draft.deployment, mean.draft, batch, new, count, prompts, ranks, cached)
        return added
    step, weights = (mean.step, mean.weights) if isinstance(mean, MeanStep) else (mean, None)
    assert isinstance(step, Step)
    load, sequences = work.token_load(deployment, np.asarray(batch, dtype=float)[..., np.newaxis], step.tokens)
    prompts, ranks = (np.asarray(one, dtype=float)[..., np.newaxis] for one in (prompts, ranks))
    size = new / count * prompts
    adds_up = bool(step.attention) and deployment.assumptions.overlap == "op"  # what both steps have in common cancels
    each, of_rank = (step.per_sequence, np.float64(0.0)) if adds_up else _of_contexts(step, weights, sequences)
    mixed = replace(load, tokens=load.tokens + size, group_tokens=load.group_tokens + size * ranks)
    slowest: NDArray[Any] | None = None
    for index, context in enumerate(each):
        plain, full = step.of_tokens(index, load, load.tokens), step.of_tokens(index, mixed, load.tokens)
        for terms in () if adds_up else (plain, full):
            _add(terms, {name: of_rank * time for name, time in context.items()})
        if deployment.profile:
            _add(full, {"overhead": overhead.seconds(deployment, deployment.stages[index], prompt=True)})
        _add(full, {name: time * prompts for name, time in _attention_terms(deployment, index, new, count, cached).items()})
        added = combined(deployment, full) - combined(deployment, plain)
        slowest = added if slowest is None else np.maximum(slowest, added)
    assert slowest is not None
    return np.asarray(slowest)


def _of_contexts(step: Step, weights: NDArray[Any] | None, sequences: Array) -> tuple[tuple[Terms, ...], Any]:
    """Seconds by resource that depend on the context, with a last axis of one, and how many of them a rank has.

    With `weights` the mean over the contexts' last axis; `sequences` have a last axis of one.
    """
    if weights is None:
        each, of_rank = step.sequence_terms(np.asarray(sequences)[..., 0])
        found: tuple[Terms, ...] = tuple({name: np.asarray(time)[..., np.newaxis] for name, time in terms.items()} for terms in each)
        return found, np.asarray(of_rank)[..., np.newaxis]
    each, of_rank = step.sequence_terms(sequences)
    return tuple(
        {name: np.asarray((np.asarray(time) * weights).sum(axis=-1, keepdims=True)) for name, time in terms.items()} for terms in each
    ), of_rank


def _attention_terms(deployment: Deployment, index: int, new: Array, count: Array, cached: Array) -> Terms:
    """Seconds by resource of one chunk's attention and recurrent updates, on average over the chunks of a prompt.

    Latents that are expanded again for cached tokens add their FLOPs; the weights are read by the step anyway.
    """
    new, count, cached = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (new, count, cached)))
    layout = deployment.layout
    steps = chunks(new, cached, None) if count.max() <= 1 else _equal_chunks(new, count, cached)
    operations, _, _ = stage_work(deployment, index, steps, np.float64(layout.dp * layout.pp))
    plain = {one.name: one for one in work.batch_gemms(deployment, deployment.stages[index])}
    kept = []
    for one in operations:
        if one.role != "linear":
            kept.append(one)
        elif one.name in plain and plain[one.name].routed is None and one.name != "head":
            again = one.flops - plain[one.name].flops * steps.new
            if np.any(again > 1e-6 * one.flops):
                kept.append(replace(one, flops=np.maximum(again, 0.0), bytes=0.0))
    runs = steps.new > 0
    return {name: np.asarray(np.where(runs, value, 0.0).sum(axis=-1) / count) for name, value in operation_terms(deployment, kept).items()}


def _equal_chunks(new: NDArray[Any], count: NDArray[Any], cached: NDArray[Any]) -> Any:
    """The steps of prompts of which `new` tokens are each cut into `count` equal chunks, along a last axis, after `cached` ones."""
    places = np.arange(int(count.max()))
    size = (new / count)[..., np.newaxis]
    runs = places < count[..., np.newaxis]
    cut = chunks(np.ones(1), np.zeros(1), None)
    return cut._replace(
        new=np.where(runs, size, 0.0), cached=np.where(runs, cached[..., np.newaxis] + places * size, 0.0), scored=np.zeros(runs.shape)
    )


def _add(terms: Terms, more: Terms) -> None:
    for name, value in more.items():
        terms[name] = terms.get(name, 0.0) + value
