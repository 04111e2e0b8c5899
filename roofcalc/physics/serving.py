"""Served generations: what a user of a replica gets while the same devices also read the prompts of others.

A pure decode step is what one user would see if nobody else sent a prompt. On a replica that serves B requests at a time,
every decode waits for the prompts of the others (colocated, prompts before decode), or shares its steps with their chunks
(chunked prefill), unless other devices read them (separate pools). In `bound` the step is the pure one: no engine beats it; the throughput
is that of all work of the requests, or in separate pools that of the decode steps.

Symbols: A accepted tokens per step, O output tokens, B_r sequences of one data-parallel rank, c tokens of a chunk,
N chunks of a prompt, Δ what a chunk adds to the step that it rides on, T_mix = T_step + Δ.
Sources: chunked prefill arXiv 2308.16369; separate pools arXiv 2401.09670; Little's law doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics import overhead
from roofcalc.physics.chunk_time import added_s
from roofcalc.physics.generation import MeanStep, SpeculativeStep, Timed, fewest_seconds, limited_by, packing_tokens, prompt_waits
from roofcalc.physics.prefill import chunks
from roofcalc.physics.prompt_cache import fetch_s, found_tokens, prompt_prefill
from roofcalc.physics.roofline import Step
from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BATCHED_TOKENS = 8192.0  # of one step of a rank, without an engine: vLLM's default for serving on devices of 70 GiB and more


class PromptTimes(NamedTuple):
    """What the prefill of one prompt takes of its rank; arrays in the shape of `Served`.

    Attributes
    ----------
    own_s : array
        From its beginning to the first token.
    occupied_s : array
        Until the next prompt can begin: as long, or less in a pipeline or where a step carries several.
    added_s : array
        By which it delays each sequence that decodes meanwhile.
    """

    own_s: NDArray[Any]
    occupied_s: NDArray[Any]
    added_s: NDArray[Any]


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
    prompt : PromptTimes, optional
        Of the prompts that this system prefills itself; None in `bound` and where another pool does.
    """

    tpot_s: NDArray[Any]
    decode_s: NDArray[Any]
    ttft_s: NDArray[Any]
    ttft_idle_s: NDArray[Any]
    throughput_tok_s: NDArray[Any]
    prompt: PromptTimes | None = None


def combine(one: Served, other: Served, each: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]) -> Served:
    """Two results as one: `each` is applied to every pair of arrays."""
    tpot, decode, ttft, idle, throughput = (each(a, b) for a, b in zip(one[:5], other[:5], strict=True))
    prompt = None
    if one.prompt is not None and other.prompt is not None:
        prompt = PromptTimes(*(each(a, b) for a, b in zip(one.prompt, other.prompt, strict=True)))
    return Served(tpot, decode, ttft, idle, throughput, prompt)


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
    idle : bool
        Whether the time to first token on an idle replica is asked for too; in searches it is not, and nan where prompts are chunked.
    """

    step: Timed
    isl: Any
    osl: Any
    chunk: float | None = None
    parts: Any = None
    idle: bool = True

    @property
    def deployment(self) -> Deployment:
        return self.step.deployment

    @property
    def answer(self) -> NDArray[Any]:
        """Mean output tokens of a request."""
        return np.asarray(self.osl if self.parts is None else (self.osl * self.parts).sum(axis=-1), dtype=float)

    def served(self, batch: Any) -> Served:
        """What each of `batch` requests gets, in the mode of the deployment's assumptions."""
        deployment = self.deployment
        mode = deployment.assumptions.prefill
        return served(deployment, self.isl, self.osl, batch, self.step, mode, self.chunk, parts=self.parts, idle_s=self._idle_s)

    @cached_property
    def _idle_s(self) -> NDArray[Any] | None:
        """Own time of the prompts on an idle replica where they are read in chunks: the same whatever the batch."""
        if self.deployment.assumptions.prefill != "chunked" or self.deployment.assumptions.is_bound:
            return None
        isl = np.asarray(self.isl, dtype=float)
        each, of_each = (isl[..., np.newaxis], np.ones(1)) if self.parts is None else (isl, np.asarray(self.parts))
        chunk = self.chunk or _step_budget(self.deployment)
        if not self.idle:
            found = found_tokens(self.deployment, each)
            chunks(each - found, found, chunk)  # refuses more steps than can be computed at once
            return np.asarray(np.nan)
        return _idle_first_s(self.deployment, each, of_each, chunk)

    def seconds(self, batch: Any) -> NDArray[Any]:
        """Seconds per accepted tokens: A times the TPOT."""
        return np.asarray(self.served(batch).tpot_s * self.deployment.accepted)

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds of the pure step by resource."""
        return self.step.resources(batch)


PROMPTS = "prompts"  # limited_by where the prompts of others take most of the time between tokens


def served_limit(paced: Timed, batch: Any) -> NDArray[np.str_]:
    """What takes the most time between two tokens: a resource of the decode step, or the prompts of others if they take longer than all of it."""
    limit = limited_by(paced, batch)
    if not isinstance(paced, ServedStep):
        return limit
    one = paced.served(batch)
    return np.asarray(np.where(one.tpot_s > 2 * one.decode_s, PROMPTS, limit))


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
    max_batched_tokens: float | None = None,
    parts: Any = None,
    idle_s: NDArray[Any] | None = None,
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
        Largest prefill step. By default the whole prompt; in `chunked` what decode tokens leave of the step's budget.
    max_batched_tokens : tokens, optional
        That budget; by default as `--max-batched-tokens` says, else the engine's, else 8192.
    parts : array, optional
        With it the last axis of `isl` and `osl` holds kinds of requests, of which each is so large a part.
    idle_s : array, optional
        Seconds to the first token of chunked prompts on an idle replica, where they are known.
    """
    isl, osl, batch = (np.asarray(one, dtype=float) for one in (isl, osl, batch))
    if parts is None:
        isl, osl, batch = np.broadcast_arrays(isl, osl, batch)
    answer = osl if parts is None else np.asarray((osl * parts).sum(axis=-1))
    fetched = fetch_s(deployment, isl)
    if np.any(fetched):
        plain = _served(deployment, isl, osl, answer, batch, mean, mode, chunk, max_batched_tokens, parts, idle_s)
        return _after_fetching(plain, fetched if parts is None else np.asarray((fetched * parts).sum(axis=-1)), answer, batch)
    return _served(deployment, isl, osl, answer, batch, mean, mode, chunk, max_batched_tokens, parts, idle_s)


@formula("TTFT, fetched = fetch + TTFT")
def _after_fetching(plain: Served, fetched: NDArray[Any], osl: NDArray[Any], batch: NDArray[Any]) -> Served:
    """With the time to fetch what prompts find in another tier, while the other requests of the batch go on."""
    prompt = None if plain.prompt is None else plain.prompt._replace(own_s=plain.prompt.own_s + fetched)
    return plain._replace(
        ttft_s=plain.ttft_s + fetched,
        ttft_idle_s=plain.ttft_idle_s + fetched,
        prompt=prompt,
        throughput_tok_s=batch * osl / (batch * osl / plain.throughput_tok_s + fetched),
    )


def _served(
    deployment: Deployment,
    isl: NDArray[Any],
    osl: NDArray[Any],
    answer: NDArray[Any],
    batch: NDArray[Any],
    mean: Timed,
    mode: str,
    chunk: float | None,
    max_batched_tokens: float | None,
    parts: Any,
    idle_s: NDArray[Any] | None,
) -> Served:
    """`served` where nothing is fetched; `answer` is the mean of `osl`."""
    if mode == "chunked" and not deployment.assumptions.is_bound:
        each, of_each = (isl[..., np.newaxis], np.ones(1)) if parts is None else (isl, np.asarray(parts))
        found = _chunked(deployment, each, of_each, answer, batch, mean, chunk, max_batched_tokens or _step_budget(deployment), idle_s)
        prompted = (each * of_each).sum(axis=-1) > 0
        return found if prompted.all() else combine(found, _without_prompts(deployment, answer, batch, mean), lambda a, b: np.where(prompted, a, b))
    step_s = np.asarray(mean.seconds(batch)) / deployment.accepted
    first, prompts = prompt_waits(deployment, isl, osl, batch, chunk, parts)
    if deployment.assumptions.is_bound:  # of separate pools the one that decodes
        least = answer * step_s if mode == "separate" else fewest_seconds(deployment, isl, osl, batch, parts)
        return Served(step_s, step_s, first, first, np.asarray(batch * answer / least))
    if mode == "separate":
        return Served(step_s, step_s, first, first, batch * answer / (answer * step_s + first))
    others = np.maximum(0.0, prompts - first)
    if deployment.assumptions.arrivals == "burst":
        new = isl - found_tokens(deployment, isl)
        prompt = new if parts is None else np.asarray((new * parts).sum(axis=-1))
        wait = others * _share_before_first(deployment, prompt, batch)
    else:
        wait = others * np.minimum(deployment.accepted / (2.0 * answer), 0.5)
    occupied = prompts / np.maximum(batch / deployment.layout.dp, 1.0)
    throughput = batch * answer / (answer * step_s + others + first)
    return Served(step_s + (others - wait) / answer, step_s, first + wait, first, throughput, PromptTimes(first, occupied, occupied))


def _without_prompts(deployment: Deployment, osl: NDArray[Any], batch: NDArray[Any], mean: Timed) -> Served:
    """Generations that begin with nothing in their context: pure decode steps."""
    step_s = np.asarray(mean.seconds(batch)) / deployment.accepted
    none = np.zeros(step_s.shape)
    return Served(step_s, step_s, none, none, batch / step_s + np.zeros_like(osl), PromptTimes(none, none, none))


def _share_before_first(deployment: Deployment, prompt: NDArray[Any], batch: NDArray[Any]) -> NDArray[Any]:
    """How much of the prefill of the others in a burst comes before a request's first token, on average.

    The prompts of a rank are prefilled k at a time, each group after those before it: on average (B_r + k)/2 prompts end with one's own.
    """
    of_rank = np.maximum(batch / deployment.layout.dp, 1.0)
    packed = np.clip(np.floor(packing_tokens(deployment) / np.maximum(prompt, 1.0)), 1.0, of_rank)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(of_rank > 1, (of_rank + packed - 2.0) / (2.0 * (of_rank - 1.0)), 0.5)


@formula(
    "chunks = ceil(isl/chunk)",
    "carried = (B_r − 1)·chunks·A/osl",
    "TPOT, chunked = T_step/A + carried·Δ/A",
    "decoding = osl/(A·chunks)",
    "TPOT, every step full = T_mix/A",
    "TTFT, every step full = (B_r − decoding)·osl·T_mix/(A·decoding)",
    "T_first, chunked = chunks·(T_step + Δ_stages)",
    "TTFT, burst = (B_r/packed + 1)/2·chunks·T_mix + chunks·(Δ_stages − Δ)",
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
    idle_s: NDArray[Any] | None,
) -> Served:
    """Chunks of prompts that ride on decode steps; `isl` has a last axis of kinds of requests, which come in `parts`.

    While fewer chunks come than there are steps, a share ρ of the steps carries one. Beyond, every step is full: D sequences
    of a rank decode at once, and the others wait for their prompts, which is time to first token. Short prompts are packed,
    several into a step. In a pipeline a chunk delays the others by its slowest stage, itself by all. In `typical`, data-parallel
    ranks that exchange tokens all wait in a step in which any has a chunk.
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
    is_burst, groups = deployment.assumptions.arrivals == "burst", np.maximum(of_rank / packed, 1.0)
    if is_burst:
        prompts, ranks = np.minimum(packed, of_rank), np.full_like(of_rank, float(layout.dp))
    elif deployment.profile is not None and work.has_all_to_all(deployment):
        mu = np.maximum(layout.dp * np.minimum(offered, packed), 1e-12)
        met = -np.expm1(-mu)
        carried, ranks = np.maximum(carried, met), np.clip(mu / met / prompts, 1.0, layout.dp)
    held = np.where(of_rank <= at_once, batch, at_once * layout.dp)
    step_s = np.asarray(mean.seconds(held))
    extra, through = ((one * counts * parts).sum(axis=-1) / count for one in added_s(deployment, mean, held, new, counts, prompts, ranks, found))
    mixed = step_s + extra
    own = count * (step_s + through)
    if is_burst:
        # all chunks of a rank follow one another, on average beside half of the sequences; a request meets those after its own while it decodes
        after = (groups - 1.0) * count
        with np.errstate(divide="ignore", invalid="ignore"):
            carried = np.where(after <= steps, after / 2.0, steps - steps**2 / (2.0 * after)) / steps
        tpot = (step_s + carried * extra) / accepted
        ttft = (groups + 1.0) / 2.0 * count * (np.asarray(mean.seconds(np.maximum(held / 2.0, 1.0))) + extra) + count * (through - extra)
    else:
        tpot = (step_s + carried * extra) / accepted
        full = (of_rank - decoding) * steps * mixed / decoding
        ttft = np.maximum(own + np.minimum(offered, 1.0) * mixed / 2.0, full)
    ttft = ttft + overhead.request_seconds(deployment)
    pure = (step_s if np.array_equal(held, batch) else np.asarray(mean.seconds(batch))) / accepted
    prompt_times = PromptTimes(own + overhead.request_seconds(deployment), count * mixed / prompts, count * extra / prompts)
    idle_s = _idle_first_s(deployment, isl, parts, chunk or budget) if idle_s is None else idle_s
    return Served(tpot, pure, ttft, idle_s + np.zeros_like(ttft), batch * osl / (osl * tpot + ttft), prompt_times)


def _idle_first_s(deployment: Deployment, isl: NDArray[Any], parts: NDArray[Any], chunk: float) -> NDArray[Any]:
    """Mean seconds to the first token of prompts on an idle replica; `isl` has a last axis of kinds of requests, which come in `parts`."""
    return np.asarray((prompt_prefill(deployment, isl, float(deployment.layout.dp), chunk).ttft_s * parts).sum(axis=-1))


def _step_budget(deployment: Deployment) -> float:
    """Tokens of the largest step of a rank: decode tokens and chunks of prompts together."""
    rules = deployment.rules
    default = MAX_BATCHED_TOKENS if rules is None else float(rules.step(deployment.hardware.device).batched_tokens)
    return float(deployment.assumptions.max_batched_tokens or default)


def _step_tokens(mean: Timed) -> float:
    """Tokens of each request in a decode step: drafts and all streams included."""
    if isinstance(mean, SpeculativeStep):
        return _step_tokens(mean.verify)
    step = mean.step if isinstance(mean, MeanStep) else mean
    assert isinstance(step, Step)
    return step.tokens
