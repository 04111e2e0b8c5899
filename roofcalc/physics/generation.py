"""Averages over a generation: mean decode step from isl+1 to isl+osl tokens, speculative decoding, and prefill interference.

Attention reads are summed over contexts in closed form (`roofcalc.physics.kv_span`), so that the mean is exact where operations run
one after another. Where they overlap, the generation is divided into 64 pieces, each with its exact mean, and the overlap is applied
to each. Sources: accepted tokens of speculative decoding arXiv 2211.17192, equation 1; Little's law doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import decode_ops as work
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.physics.prefill import piggybacked_prefill
from roofcalc.physics.prompt_cache import found_tokens, prompt_prefill
from roofcalc.physics.recent import recent_prefill
from roofcalc.physics.resources import RESOURCES, limit_of
from roofcalc.physics.roofline import Step, step_of
from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record, replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECES = 64
MAX_POINTS = 20_000_000


class Timed(Protocol):
    """The time of a step as solvers use it: of one context, the mean over a generation, or either with speculative decoding."""

    @property
    def deployment(self) -> Deployment:
        """The deployment that runs the step."""

    def seconds(self, batch: Any) -> Any:
        """Seconds of one step for global batches that broadcast with the context."""

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds attributed to each resource."""


class MeanStep(Record):
    """The mean step over a generation: the last axis of `step` holds pieces, `weights` the fraction of the tokens in each."""

    step: Step
    weights: Any

    @property
    def deployment(self) -> Deployment:
        return self.step.deployment

    def seconds(self, batch: Any) -> NDArray[Any]:
        """Mean seconds of a step."""
        return np.asarray((self.step.seconds(np.asarray(batch, dtype=float)[..., np.newaxis]) * self.weights).sum(axis=-1))

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Mean seconds attributed to each resource."""
        found = self.step.resources(np.asarray(batch, dtype=float)[..., np.newaxis])
        return {name: np.asarray((value * self.weights).sum(axis=-1)) for name, value in found.items()}


@formula("q = γ + 1", "T_step = T_verify + γ·T_draft")
class SpeculativeStep(Record):
    """A step of speculative decoding: the target model verifies q tokens, and the drafter, if it takes time, runs γ steps."""

    verify: Timed
    draft: Timed | None
    tokens: int

    @property
    def deployment(self) -> Deployment:
        return self.verify.deployment

    def seconds(self, batch: Any) -> NDArray[Any]:
        """Seconds from one verification to the next."""
        own = np.asarray(self.verify.seconds(batch))
        return own if self.draft is None else np.asarray(own + self.tokens * self.draft.seconds(batch))

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds attributed to each resource."""
        own = self.verify.resources(batch)
        if self.draft is None:
            return own
        drafts = self.draft.resources(batch)
        return {name: np.asarray(own[name] + self.tokens * drafts[name]) for name in RESOURCES}


def limited_by(step: Timed, batch: Any) -> NDArray[np.str_]:
    """The resource with the largest part of a step."""
    return limit_of(step.deployment, step.resources(batch))


@formula("interactivity = A/T_step")
def interactivity_tok_s(deployment: Deployment, step_s: Any) -> NDArray[Any]:
    """Output tokens per second of each user, from the seconds of a step; A tokens are accepted per step."""
    return np.asarray(deployment.accepted / np.asarray(step_s, dtype=float))


@formula("throughput = B·interactivity", "throughput per device = throughput/devices")
def decode_tok_s(deployment: Deployment, batch: Any, step_s: Any) -> NDArray[Any]:
    """Output tokens per second of the whole system while it only decodes: `batch` sequences, steps of `step_s` seconds."""
    return np.asarray(batch * deployment.accepted / np.asarray(step_s, dtype=float))


def step_at(deployment: Deployment, seq: Any) -> Timed:
    """The step at a context of `seq` tokens, with speculative decoding if the deployment has drafts."""
    return _timed(deployment, lambda one, tokens: step_of(one, work.at_context(np.asarray(seq, dtype=float)), tokens))


@formula("mean step = T_generation/osl")
def mean_step(deployment: Deployment, isl: Any, osl: Any, streams: float = 1.0, shares: Any = None) -> Timed:
    """The mean step of generations of `osl` tokens after prompts of `isl` tokens; the arguments broadcast.

    With several `streams` of `osl` tokens after each prompt, the batch counts prompts. With `shares`, the last axis of `isl` and `osl`
    holds kinds of generations, and the batch is a mix of them in these shares.

    Raises
    ------
    RoofcalcError
        More generations than can be computed at once.
    """
    isl, osl = np.broadcast_arrays(np.asarray(isl, dtype=float), np.asarray(osl, dtype=float))
    if isl.size * PIECES > MAX_POINTS:
        raise RoofcalcError(f"--isl, --osl: {isl.size:,} generations per model and system; at most {MAX_POINTS // PIECES:,} are computed at once")
    edges = np.round(osl[..., np.newaxis] * np.linspace(0.0, 1.0, PIECES + 1))
    lengths, begins = np.diff(edges, axis=-1), isl[..., np.newaxis] + edges[..., :-1]
    weights, prefix = lengths / osl[..., np.newaxis], isl[..., np.newaxis]
    if shares is not None:
        weights = weights * np.asarray(shares)[..., np.newaxis]
        weights, lengths, begins, prefix = (
            np.broadcast_to(one, weights.shape).reshape(*weights.shape[:-2], -1) for one in (weights, lengths, begins, prefix)
        )
    entries_read = work.averaged_over(begins, np.maximum(lengths, 1.0))
    shared_prefix = SharedPrefix(streams, prefix)
    return _timed(deployment, lambda one, tokens: averaged(step_of(one, entries_read, tokens, shared_prefix), weights))


def averaged(step: Step, weights: NDArray[Any]) -> Timed:
    """The mean of a step over the pieces on its last axis; a single step at mean reads where times only add up, which kernels' do not."""
    stages, overlap = step.deployment.stages, step.deployment.assumptions.overlap
    if overlap not in ("op", "none") or len(stages) > 1 or stages[0].count > 1 or step.shared is not None or step.attention:
        return MeanStep(step, weights)
    (terms,) = step.per_sequence
    return replace(step, per_sequence=({name: np.asarray((time * weights).sum(axis=-1)) for name, time in terms.items()},))


def _timed(deployment: Deployment, build: Any) -> Timed:
    draft = deployment.draft
    if draft is None:
        return build(deployment, 1.0)  # type: ignore[no-any-return]
    drafter = draft.deployment
    return SpeculativeStep(build(deployment, draft.tokens + 1.0), build(drafter, 1.0) if drafter else None, draft.tokens)


@formula("T_prompt = T_prefill/d")
def prefill_s_per_request(deployment: Deployment, isl: Any, chunk: float | None = None, cached: Any = 0.0, batch: Any = 1.0) -> NDArray[Any]:
    """System seconds per prefill of `isl` tokens with all data-parallel ranks busy and the pipeline full.

    `cached` tokens before them need no work. A drafter prefills the prompt too. In `typical` each rank prefills several short
    prompts of the batch together; a pack counts whole as soon as it has begun, so that more requests never take less time.
    """
    layout, draft, batch = deployment.layout, deployment.draft, np.asarray(batch, dtype=float)
    together = _together(deployment, isl, batch)
    ranks = layout.pp * layout.dp
    pace = recent_prefill(deployment, isl, cached, ranks * together, chunk).batch_prefill_s
    rounds = np.maximum(batch / (ranks * together), np.where(together > 1, 1.0, 0.0))
    own = np.asarray(pace * rounds / np.maximum(batch, 1e-300))
    return own + draft.copies * prefill_s_per_request(draft.deployment, isl, chunk, cached, batch) if draft and draft.deployment else own


def prompt_s_per_request(deployment: Deployment, isl: Any, chunk: float | None = None, batch: Any = 1.0) -> NDArray[Any]:
    """`prefill_s_per_request` of whole prompts, which start behind what is in the cache."""
    found = found_tokens(deployment, isl)
    return prefill_s_per_request(deployment, np.asarray(isl, dtype=float) - found, chunk, found, batch)


def packing_tokens(deployment: Deployment) -> float:
    """Tokens of prompts that are prefilled in one step: `--max-batched-tokens`, by default those of `typical`; else 0, each prompt by itself."""
    profile = deployment.profile
    return float(deployment.assumptions.max_batched_tokens or (0.0 if profile is None else profile.packed_prefill_tokens))


def _together(deployment: Deployment, isl: Any, batch: Any) -> Any:
    """Prompts that a rank prefills together: in `typical` as many as fit into the token budget of a step, else 1."""
    if deployment.profile is None:
        return 1.0
    fitting = np.floor(packing_tokens(deployment) / np.maximum(isl, 1.0))
    return np.maximum(np.minimum(fitting, np.ceil(np.asarray(batch) / (deployment.layout.dp * deployment.layout.pp))), 1.0)


def prompt_waits(
    deployment: Deployment, isl: Any, osl: Any, batch: NDArray[Any], chunk: float | None = None, parts: Any = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Seconds of a request's own prefill, and of all prefills on its rank while it is in flight, its own included.

    In `typical`, data-parallel ranks with expert parallelism wait for the prompts of all ranks (`_dp_sync_prefill_s`), unless all
    prefill at once in a burst. `parts` as in `output_tok_s`.
    """
    of_kind, tokens = batch if parts is None else batch[..., np.newaxis], _over_kinds(osl, parts)
    prompts = batch * _over_kinds(prompt_s_per_request(deployment, isl, chunk, of_kind), parts)
    if deployment.profile is not None and deployment.assumptions.arrivals != "burst" and work.has_all_to_all(deployment):
        prompts = np.maximum(prompts, _dp_sync_prefill_s(deployment, isl, tokens, batch, chunk, parts))
    return _over_kinds(_prefill_latency_s(deployment, isl, of_kind, chunk), parts), prompts


@formula("throughput = B·osl/(osl/A·T_step + max(TTFT, B·T_prompt))")
def output_tok_s(deployment: Deployment, isl: Any, osl: Any, batch: Any, mean: Timed, chunk: float | None = None, parts: Any = None) -> NDArray[Any]:
    """Output tokens per second of the whole system where the same devices also prefill each request's prompt.

    Decoding of a sequence stops while its rank prefills the prompts of other sequences, and at least for its own prompt where there are
    fewer sequences than ranks or stages. In `bound` prefill is fused with decode steps (`fewest_seconds`); in `typical`, data-parallel
    ranks with expert parallelism wait for the prompts of all ranks (`_dp_sync_prefill_s`). With `parts`, the last axis of `isl` and
    `osl` holds kinds of requests, `parts` is the fraction of each, and `mean` is the step of their mix.
    """
    batch = np.asarray(batch, dtype=float)
    tokens = _over_kinds(osl, parts)
    if deployment.assumptions.is_bound:
        return np.asarray(batch * tokens / fewest_seconds(deployment, isl, osl, batch, parts))
    decoding = tokens / deployment.accepted * mean.seconds(batch)
    first, prompts = prompt_waits(deployment, isl, osl, batch, chunk, parts)
    return np.asarray(batch * tokens / (decoding + np.maximum(first, prompts)))


def _over_kinds(values: Any, parts: Any) -> Any:
    """The mean over kinds of requests on the last axis, weighted by `parts`; the values themselves where there are no kinds."""
    return values if parts is None else np.asarray((values * parts).sum(axis=-1))


@formula("μ = B·A/(p·osl)", "p_any = 1 − exp(−μ)", "prompts_met = μ/p_any", "prompts = osl/A·p_any·T_prefill_met")
def _dp_sync_prefill_s(deployment: Deployment, isl: Any, osl: Any, batch: NDArray[Any], chunk: float | None, parts: Any = None) -> NDArray[Any]:
    """Prefill seconds of a batch where data-parallel ranks synchronise in every layer, and so all wait for any rank's prefill.

    Requests start as others end, independently on each rank: a step meets μ new prompts on average, and μ/p_any of them if it meets
    any (p_any is the probability of that). Source: "DP attention imbalance", lmsys.org/blog, 2025-05-05. A drafter prefills too.
    """
    steps, depth = osl / deployment.accepted, deployment.layout.pp
    mean = batch / (depth * steps)
    met = -np.expm1(-mean)
    together = mean / met * depth
    if parts is not None:
        together = together[..., np.newaxis]
    pace, draft = prompt_prefill(deployment, isl, together, chunk).batch_prefill_s, deployment.draft
    if draft and draft.deployment:
        pace = pace + draft.copies * prompt_prefill(draft.deployment, isl, together, chunk).batch_prefill_s
    return np.asarray(steps * met * _over_kinds(pace, parts))


@formula(
    "T_compute = (osl − 1)/A·compute + prefill_compute",
    "T_memory = (osl − 1)/A·memory + prefill_kv",
    "T_decode = (osl − 1)/A·T_step",
    "time = max(T_compute, T_memory, T_decode, T_prefill_all)",
)
def fewest_seconds(
    deployment: Deployment, isl: Any, osl: Any, batch: Any, parts: Any = None, streams: float = 1.0, prompts_per_request: Any = 1.0
) -> NDArray[Any]:
    """A lower bound on the time of `batch` requests, for `bound`: each resource is busy with the work of all of them.

    Chunked prefill fused with decode steps reads the weights once for both (arXiv 2308.16369). The first output token comes from the
    prefill; without a prompt it takes a decode step like the others. `parts` is as in `output_tok_s`; with several kinds of requests the
    time of the prompts alone is not a bound of its own. `streams` is as in `mean_step`; `prompts_per_request` is below 1 where several
    requests share the work of one prompt.
    """
    batch, after = np.asarray(batch, dtype=float), np.asarray(osl, dtype=float) - (np.asarray(isl) > 0)
    left = _over_kinds(after, parts)
    if parts is None:
        mean, of_kind = mean_step(deployment, isl, np.maximum(after, 1), streams), batch
    else:
        shares = after * parts / np.maximum(left, 1e-9)[..., np.newaxis]
        mean, of_kind = mean_step(deployment, isl, np.maximum(after, 1), shares=shares), batch[..., np.newaxis]
    steps = left / deployment.accepted
    decode = mean.resources(batch)
    read = _piggybacked(deployment, isl, of_kind)
    prompts = {name: _over_kinds(seconds, parts) * prompts_per_request for name, seconds in read.items()}
    if deployment.hardware.count > deployment.hardware.domain:  # decode may be limited by one link and prefill by the other
        prompts["network"] = np.zeros_like(prompts["network"])
    floors = [steps * decode[name] + prompts[name] for name in RESOURCES] + [steps * mean.seconds(batch)]
    if parts is None:
        floors.append(prompt_prefill(deployment, isl, batch).batch_prefill_s * prompts_per_request)
    return np.asarray(np.maximum.reduce(np.broadcast_arrays(*floors)))


def _piggybacked(deployment: Deployment, isl: Any, batch: Any) -> dict[str, NDArray[Any]]:
    found = found_tokens(deployment, isl)
    return piggybacked_prefill(deployment, np.asarray(isl, dtype=float) - found, batch, found)


def _prefill_latency_s(deployment: Deployment, isl: Any, batch: NDArray[Any], chunk: float | None) -> NDArray[Any]:
    """Seconds to prefill a sequence's own prompt, with prompts on all ranks at once; a drafter prefills too."""
    draft = deployment.draft
    own = prompt_prefill(deployment, isl, np.minimum(batch, deployment.layout.dp), chunk).ttft_s
    return own + draft.copies * _prefill_latency_s(draft.deployment, isl, batch, chunk) if draft and draft.deployment else own
