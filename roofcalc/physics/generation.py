"""Whole generations: the mean step from isl+1 to isl+osl tokens, speculation, and the prompt's own work beside it.

A step's attention grows with the context along closed-form sums (`roofcalc.physics.kv_span`), so that the mean is exact
wherever operations run one after another; where they overlap, the mean of 64 pieces, each exact, decides piece by piece what
is hidden. Sources: accepted tokens of speculative decoding arXiv 2211.17192, equation 1; Little's law doi.org/10.1287/opre.9.3.383.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import decode_ops as work
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.physics.prefill import beside, prefill
from roofcalc.physics.roofline import RESOURCES, Step, limit_of, step_of
from roofcalc.specs.record import Record, replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECES = 64
MAX_POINTS = 20_000_000


class Timed(Protocol):
    """What the solvers ask of a step: `decode`, a mean over a generation, or either with drafts."""

    @property
    def deployment(self) -> Deployment:
        """What the step runs on."""

    def seconds(self, batch: Any) -> Any:
        """Seconds of one step for global batches that broadcast with the context."""

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds by the resource that takes them."""


class Mean(Record):
    """The mean step over a generation: `step` has a last axis of pieces, `weights` how long each is."""

    step: Step
    weights: Any

    @property
    def deployment(self) -> Deployment:
        return self.step.deployment

    def seconds(self, batch: Any) -> NDArray[Any]:
        """Mean seconds of a step."""
        return np.asarray((self.step.seconds(np.asarray(batch, dtype=float)[..., np.newaxis]) * self.weights).sum(axis=-1))

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Mean seconds by resource."""
        found = self.step.resources(np.asarray(batch, dtype=float)[..., np.newaxis])
        return {name: np.asarray((value * self.weights).sum(axis=-1)) for name, value in found.items()}


class Drafted(Record):
    """Steps that verify drafts: the target's step on q tokens and γ steps of whatever drafts.

    Formulas
    --------
    q = γ + 1
    T_step = T_verify + γ·T_draft
    """

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
        """Seconds by resource."""
        own = self.verify.resources(batch)
        if self.draft is None:
            return own
        drafts = self.draft.resources(batch)
        return {name: np.asarray(own[name] + self.tokens * drafts[name]) for name in RESOURCES}


def limited_by(step: Timed, batch: Any) -> NDArray[np.str_]:
    """The resource that takes the largest part of a step."""
    return limit_of(step.deployment, step.resources(batch))


def step_at(deployment: Deployment, seq: Any) -> Timed:
    """The step at a context of `seq` tokens, drafts included where the deployment has them."""
    return _timed(deployment, lambda one, tokens: step_of(one, work.at_context(np.asarray(seq, dtype=float)), tokens))


def mean_step(deployment: Deployment, isl: Any, osl: Any, streams: float = 1.0, shares: Any = None) -> Timed:
    """The mean step of generations of `osl` tokens after prompts of `isl`; arrays that broadcast.

    With several `streams`, each of `osl` tokens, after one prompt, its batch counts prompts. With `shares` the last axis
    holds kinds of generations, and its batch has those shares of each.

    Formulas
    --------
    mean T = ΣT_step/osl

    Raises
    ------
    RoofcalcError
        More generations than can be computed at once.
    """
    isl, osl = np.broadcast_arrays(np.asarray(isl, dtype=float), np.asarray(osl, dtype=float))
    if isl.size * PIECES > MAX_POINTS:
        raise RoofcalcError(f"isl, osl: {isl.size:,} generations of one model on one machine; at most {MAX_POINTS // PIECES:,} are computed at once")
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
    """The mean of a step over the pieces of its last axis: where each piece only adds its own, a step at their mean."""
    stages, overlap = step.deployment.stages, step.deployment.assumptions.overlap
    if overlap not in ("op", "none") or len(stages) > 1 or stages[0].count > 1:
        return Mean(step, weights)
    (terms,) = step.per_sequence
    return replace(step, per_sequence=({name: np.asarray((time * weights).sum(axis=-1)) for name, time in terms.items()},))


def _timed(deployment: Deployment, build: Any) -> Timed:
    draft = deployment.draft
    if draft is None:
        return build(deployment, 1.0)  # type: ignore[no-any-return]
    drafter = draft.deployment
    return Drafted(build(deployment, draft.tokens + 1.0), build(drafter, 1.0) if drafter else None, draft.tokens)


def prompt_s(deployment: Deployment, isl: Any, chunk: float | None = None, cached: Any = 0.0, batch: Any = 1.0) -> NDArray[Any]:
    """Seconds of the whole system that one prompt takes: every rank takes in another, with stages at their pace.

    `cached` tokens before it are there already. A drafter takes in the prompt as well. In `typical` a rank takes in several short
    prompts of a batch together.

    Formulas
    --------
    prompt = T_prefill/d
    """
    layout, draft = deployment.layout, deployment.draft
    together = _together(deployment, isl, batch)
    pace = prefill(deployment, isl, cached, layout.dp * layout.pp * together, chunk).pace_s
    own = np.asarray(pace / (layout.pp * layout.dp * together))
    return own + draft.copies * prompt_s(draft.deployment, isl, chunk, cached, batch) if draft and draft.deployment else own


def _together(deployment: Deployment, isl: Any, batch: Any) -> Any:
    """Prompts that a rank of a stage takes in at a time: as many of its batch as the profile's tokens hold."""
    if deployment.profile is None:
        return 1.0
    fitting = np.floor(deployment.profile.packed_tokens / np.maximum(isl, 1.0))
    return np.maximum(np.minimum(fitting, np.floor(np.asarray(batch) / (deployment.layout.dp * deployment.layout.pp))), 1.0)


def output_tok_s(deployment: Deployment, isl: Any, osl: Any, batch: Any, mean: Timed, chunk: float | None = None, parts: Any = None) -> NDArray[Any]:
    """Output tokens per second of the whole system where the same devices also take in each request's prompt.

    Each sequence's decoding waits while its rank takes in the prompts of the others, with stages at their pace; and at least
    for its own prompt, where there are fewer sequences than ranks or stages. In `bound` prompts ride along with steps, as
    `fewest_seconds` says, and in `typical` ranks may wait for one another's (`_in_step_s`). With `parts` the last axis of `isl` and
    `osl` holds kinds of requests, of which each is so large a part, and `mean` is the step of their mix.

    Formulas
    --------
    throughput = B·osl/(osl/A·T + max(T_first, B/d·T_prefill))
    """
    batch = np.asarray(batch, dtype=float)
    of_kind, tokens = batch if parts is None else batch[..., np.newaxis], _over_kinds(osl, parts)
    if deployment.assumptions.is_bound:
        return np.asarray(batch * tokens / fewest_seconds(deployment, isl, osl, batch, parts))
    decoding = tokens / deployment.accepted * mean.seconds(batch)
    prompts = batch * _over_kinds(prompt_s(deployment, isl, chunk, batch=of_kind), parts)
    if deployment.profile is not None and work.has_all_to_all(deployment):
        prompts = np.maximum(prompts, _in_step_s(deployment, isl, tokens, batch, chunk, parts))
    first = _over_kinds(_first_s(deployment, isl, of_kind, chunk), parts)
    return np.asarray(batch * tokens / (decoding + np.maximum(first, prompts)))


def _over_kinds(values: Any, parts: Any) -> Any:
    """The mean over kinds of requests, on the last axis; the values themselves where there are no kinds."""
    return values if parts is None else np.asarray((values * parts).sum(axis=-1))


def _in_step_s(deployment: Deployment, isl: Any, osl: Any, batch: NDArray[Any], chunk: float | None, parts: Any = None) -> NDArray[Any]:
    """Seconds that prompts take where all ranks wait in each step in which any of them takes one in.

    Data-parallel ranks that exchange tokens in every layer step together. Requests come as others end, on each rank by itself, so
    that a step meets the μ prompts of all ranks by chance, k of them where it meets any. Source: "DP attention imbalance", lmsys.org/blog,
    2025-05-05. A drafter takes the prompt in as well.

    Formulas
    --------
    μ = B·A/(p·osl)
    met = 1 − e^−μ
    k = μ/met
    prompts = osl/A·met·T_prefill(k)
    """
    steps, depth = osl / deployment.accepted, deployment.layout.pp
    mean = batch / (depth * steps)
    met = -np.expm1(-mean)
    together = mean / met * depth
    if parts is not None:
        together = together[..., np.newaxis]
    pace, draft = prefill(deployment, isl, 0.0, together, chunk).pace_s, deployment.draft
    if draft and draft.deployment:
        pace = pace + draft.copies * prefill(draft.deployment, isl, 0.0, together, chunk).pace_s
    return np.asarray(steps * met * _over_kinds(pace, parts))


def fewest_seconds(deployment: Deployment, isl: Any, osl: Any, batch: Any, parts: Any = None) -> NDArray[Any]:
    """The least time in which `batch` requests can pass, for `bound`: each resource is busy for the work of all of them.

    An engine may take in prompts piece by piece beside its decode steps, whose reading of the weights serves both. The first
    output token comes with the prompt. Source of such mixed steps: arXiv 2308.16369. `parts` are as `output_tok_s` takes them;
    that prompts alone take as long as they do is then no floor of its own.

    Formulas
    --------
    T ≥ (osl − 1)/A·compute + prompts' compute
    T ≥ (osl − 1)/A·memory + prompts' cache
    T ≥ (osl − 1)/A·T_step
    T ≥ T_prefill of all prompts at once
    """
    batch, after = np.asarray(batch, dtype=float), np.asarray(osl, dtype=float) - 1
    left = _over_kinds(after, parts)
    if parts is None:
        mean, of_kind = mean_step(deployment, isl, np.maximum(after, 1)), batch
    else:
        shares = after * parts / np.maximum(left, 1e-9)[..., np.newaxis]
        mean, of_kind = mean_step(deployment, isl, np.maximum(after, 1), shares=shares), batch[..., np.newaxis]
    steps = left / deployment.accepted
    decode = mean.resources(batch)
    prompts = {name: _over_kinds(seconds, parts) for name, seconds in beside(deployment, isl, of_kind).items()}
    if deployment.hardware.count > deployment.hardware.domain:  # the one may wait for the link, the other for the scale-out
        prompts["network"] = np.zeros_like(prompts["network"])
    floors = [steps * decode[name] + prompts[name] for name in RESOURCES] + [steps * mean.seconds(batch)]
    if parts is None:
        floors.append(prefill(deployment, isl, 0.0, batch).pace_s)
    return np.asarray(np.maximum.reduce(np.broadcast_arrays(*floors)))


def _first_s(deployment: Deployment, isl: Any, batch: NDArray[Any], chunk: float | None) -> NDArray[Any]:
    """Seconds that a prompt takes itself, others beside it on other ranks; a drafter takes it in as well."""
    draft = deployment.draft
    own = prefill(deployment, isl, 0.0, np.minimum(batch, deployment.layout.dp), chunk).ttft_s
    return own + draft.copies * _first_s(draft.deployment, isl, batch, chunk) if draft and draft.deployment else own
