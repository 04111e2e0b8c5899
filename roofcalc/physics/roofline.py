"""Time of a decode step: operations by the roofline, combined by the overlap in force, and the limiting resource.

The time on each resource is `fixed(B) + B_r · per_sequence(S)`, so that a grid of batches and contexts costs one multiplication and
one addition per point.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline", doi.org/10.1145/1498765.1498785: time = max(FLOPs / peak,
bytes / bandwidth). Overlaps:

- `op`: Σ max(compute, memory) + Σ communication: operations and messages one after another.
- `net`: max(Σ max(compute, memory), Σ communication): communication hidden behind another micro-batch.
- `full`: max(Σ compute, Σ memory, Σ communication): everything hidden behind the slowest resource.
- `none`: Σ (compute + memory + communication).

Overhead and the latency of messages are never hidden. In `bound` the scale-up and scale-out links overlap too, and the last-level
cache saves as many bytes of memory traffic as it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import expert_host_layers
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import decode_ops as work
from roofcalc.physics import gemm_time, offload, overhead
from roofcalc.physics.adapters import adapter_operations
from roofcalc.physics.collectives import LinkTime
from roofcalc.physics.kv_span import Array
from roofcalc.physics.offload import HOST
from roofcalc.physics.ops.operation import Message, Operation, TokenLoad
from roofcalc.physics.ops.types import NO_SHARING, SharedPrefix
from roofcalc.physics.resources import (
    LINKS,
    RESOURCES,
    Fixed,
    Terms,
    add_messages,
    add_seconds,
    add_terms,
    cache_savings_s,
    fixed_seconds,
    fixed_terms,
    limit_of,
    operation_terms,
    overlapped,
    rates,
    tokens_of_rank,
)
from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record, kept, replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT_POINTS, KEPT_STEPS = 4096, 8  # of how many points the seconds of steps are kept, and of how many steps
HEAD, SENDS = "(head)", {"link": "(link)", "scale_out": "(scale_out)"}  # keys that no block name can equal


class SharedReads(NamedTuple):
    """What the sequences of a rank read whose contexts begin with the same tokens: less together than each for itself.

    Attributes
    ----------
    entries_read : callable
        Entries of a span that a step reads (`roofcalc.physics.decode_ops`).
    prefix : float
        Tokens that all contexts begin with.
    """

    entries_read: work.EntriesRead
    prefix: float


class Step(Record):
    """The time of decode steps of one deployment at given contexts, for any batch.

    Build it with `decode`. Batches broadcast with the contexts: a column of batches and a row of contexts make a grid.

    Attributes
    ----------
    per_sequence : tuple of dict
        For each kind of stage, seconds by resource that each sequence of a rank adds, in the shape of the contexts.
    tokens : float
        New tokens of each sequence.
    shared : SharedReads, optional
        With `--shared-prefix`: the seconds of a rank's sequences then depend on their number and not on `per_sequence` alone.
    attention : tuple of tuple of Operation
        In `typical`, for each kind of stage the operations on caches and states: their kernels' times are not proportional to the
        sequences, and `per_sequence` holds what the host's part takes.
    streams : float
        Streams of each query, where the batch counts queries: engines schedule each as a sequence of its own.
    """

    deployment: Deployment
    per_sequence: tuple[Terms, ...]
    tokens: float = 1.0
    shared: SharedReads | None = None
    attention: tuple[tuple[Operation, ...], ...] = ()
    streams: float = 1.0

    def sequence_terms(self, sequences: Array) -> tuple[tuple[Terms, ...], Array]:
        """For each kind of stage the seconds by resource that depend on the context, and how many of them a rank has."""
        if self.attention and self.shared is None:
            return _kernel_terms(self.deployment, self.attention, self.per_sequence, sequences), np.float64(1.0)
        if self.shared is None:
            return self.per_sequence, sequences
        streams = SharedPrefix(sequences, self.shared.prefix)
        if self.attention:
            operations = _context_operations(self.deployment, self.shared.entries_read, self.tokens, streams)
            return _kernel_terms(self.deployment, operations, tuple({} for _ in operations), np.float64(1.0)), np.float64(1.0)
        return _context_terms(self.deployment, self.shared.entries_read, self.tokens, streams), np.float64(1.0)

    @formula("T_step, B ≥ p = p·slowest_stage")
    def seconds(self, batch: Any) -> Any:
        """Seconds of one step for global batches that broadcast with the contexts.

        A token passes all stages: pp times the slowest stage once there are as many sequences as stages, else the sum of the stages.
        """
        batch = np.asarray(batch, dtype=float)
        each = self.stage_seconds(batch)
        stages = self.deployment.stages
        if len(each) == 1 and stages[0].count == 1:
            return each[0]
        through = sum(stage.count * time for stage, time in zip(stages, each, strict=True))
        if self.deployment.assumptions.is_bound:  # engines may balance the stages
            return through
        depth = self.deployment.layout.pp
        return np.where(batch >= depth, depth * reduce(np.maximum, each), through)

    def passes(self, batch: Any) -> list[NDArray[Any]]:
        """How often the time of each kind of stage counts in a step: pp times for the slowest, or once for each stage."""
        batch = np.asarray(batch, dtype=float)
        return self._passes(batch, self.stage_seconds(batch))

    def _passes(self, batch: NDArray[Any], times: list[NDArray[Any]]) -> list[NDArray[Any]]:
        slowest = np.argmax(np.stack(np.broadcast_arrays(*times)), axis=0)
        depth = self.deployment.layout.pp
        paced = (batch >= depth) & (depth > 1) & (not self.deployment.assumptions.is_bound)
        stages = enumerate(self.deployment.stages)
        return [np.where(paced, np.where(slowest == index, float(depth), 0.0), float(stage.count)) for index, stage in stages]

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds of a step attributed to each resource, in the order of `RESOURCES`."""
        batch = np.asarray(batch, dtype=float)
        fixed, of_rank = self._of_batch(batch, fixed_terms)
        each, sequences = self.sequence_terms(of_rank)
        parts = [self._by_resource(*terms, sequences) for terms in zip(fixed, each, strict=True)]
        if len(parts) == 1 and self.deployment.stages[0].count == 1:
            return parts[0]
        passes = self._passes(batch, [self._together(*terms, sequences) for terms in zip(fixed, each, strict=True)])
        return {name: np.asarray(sum(n * part[name] for n, part in zip(passes, parts, strict=True))) for name in RESOURCES}

    def limited_by(self, batch: Any) -> NDArray[np.str_]:
        """The resource with the largest part of the step; ties go to bandwidth."""
        return limit_of(self.deployment, self.resources(batch))

    @formula(
        "op = work + network",
        "net = max(work, network)",
        "full = max(compute, memory, network)",
        "full, bound = max(compute, memory, link, scale_out)",
        "with host = overlapped + host",
        "net, host = max(work + host, network)",
        "full, host = max(overlapped, host)",
        "with overhead = overlapped + overhead",
    )
    def stage_seconds(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Seconds of one pass through each kind of stage, by the overlap in force."""
        fixed, of_rank = self._of_batch(batch, fixed_seconds)
        each, sequences = self.sequence_terms(of_rank)
        return [self._together(*terms, sequences) for terms in zip(fixed, each, strict=True)]

    def _together(self, fixed: Terms, per_sequence: Terms, sequences: Array) -> NDArray[Any]:
        """Seconds of a stage in the overlap in force."""

        def seconds(names: Iterable[str]) -> NDArray[Any]:
            slope = sum((per_sequence[name] for name in names if name in per_sequence), start=np.float64(0.0))
            time = sequences * slope
            offset = sum((fixed[name] for name in names if name in fixed), start=np.float64(0.0))
            if isinstance(time, np.ndarray) and np.broadcast_shapes(time.shape, np.shape(offset)) == time.shape:
                time += offset  # in place: one pass less over a large grid
                return time
            return np.asarray(time + offset, dtype=float)

        return overlapped(self.deployment, seconds)

    def _by_resource(self, fixed: Terms, per_sequence: Terms, sequences: Array) -> dict[str, NDArray[Any]]:
        zero = np.float64(0.0)
        each = {name: fixed.get(name, zero) + sequences * per_sequence.get(name, zero) for name in ("bandwidth", "compute", *LINKS, HOST, "overhead")}
        wires = [np.asarray(each[name]) for name in LINKS]
        network = reduce(np.maximum, wires) if self.deployment.assumptions.is_bound else sum(wires)
        return {
            "bandwidth": np.asarray(each["bandwidth"]),
            "compute": np.asarray(each["compute"]),
            "network": np.asarray(network),
            "overhead": np.asarray(each["overhead"]),
            HOST: np.asarray(each[HOST]),
        }

    def _of_batch(self, batch: NDArray[Any], terms_of: Callable[[Deployment, Fixed, TokenLoad], Terms]) -> tuple[list[Terms], Array]:
        """Seconds that depend on the batch but not on the contexts, for each kind of stage, and the sequences of a rank."""
        deployment = self.deployment
        load, sequences = work.token_load(deployment, batch, self.tokens)
        if deployment.profile:
            return [self._timed(index, load, sequences) for index in range(len(deployment.stages))], sequences
        each = {name: terms_of(deployment, fixed, load) for name, fixed in self.fixed.items()}
        found = []
        for stage in deployment.stages:
            terms: Terms = {"bandwidth": -cache_savings_s(deployment)}
            if exposed_s := overhead.seconds(deployment, stage):
                terms["overhead"] = exposed_s
            for name, layers in (*stage.groups, *([(HEAD, 1)] if stage.last else []), *([(SENDS[stage.sends], 1)] if stage.sends else [])):
                add_terms(terms, each[name], layers)
            if deployment.offload is not None:
                self.add_host(terms, stage, load, terms_of)
            if deployment.lora is not None:
                add_terms(terms, operation_terms(deployment, adapter_operations(deployment, stage, load, sequences)))
            found.append(terms)
        return found, sequences

    def _timed(self, index: int, load: TokenLoad, sequences: Array) -> Terms:
        """Seconds of a kind of stage by kernel models, without what depends on contexts."""
        terms = self.of_tokens(index, load, load.tokens)
        if self.deployment.lora is not None:
            further = adapter_operations(self.deployment, self.deployment.stages[index], load, sequences)
            add_terms(terms, operation_terms(self.deployment, further))
        exposed_s = overhead.seconds(self.deployment, self.deployment.stages[index], sequences=sequences * self.streams)
        add_seconds(terms, "overhead", exposed_s)
        return terms

    def of_tokens(self, index: int, load: TokenLoad, scored: Array) -> Terms:
        """Seconds by resource of one pass through a kind of stage, without what depends on contexts and without overhead.

        Parameters
        ----------
        scored : array
            Tokens for which the LM head computes logits, where the stage is the last.
        """
        deployment, stage = self.deployment, self.deployment.stages[index]
        if deployment.profile:
            return self._of_kernels(index, load, scored)
        terms: Terms = {}
        for name, layers in (*stage.groups, *([(SENDS[stage.sends], 1)] if stage.sends else [])):
            add_terms(terms, fixed_terms(deployment, self.fixed[name], load), layers)
        if stage.last:
            add_terms(terms, fixed_terms(deployment, self.fixed[HEAD], replace(load, tokens=scored)))
        if deployment.offload is not None:
            self.add_host(terms, stage, load, fixed_terms)
        return terms

    def _of_kernels(self, index: int, load: TokenLoad, scored: Array) -> Terms:
        """`of_tokens` by kernel models; kept for the few sizes that a question asks for again, as of the step that a chunk rides on."""
        from roofcalc.physics.timing.step import work_terms  # only `typical` needs it

        deployment, stage = self.deployment, self.deployment.stages[index]
        key = None
        if np.size(load.tokens) <= KEPT_POINTS:
            key = (index, scored is load.tokens, *((np.shape(one), np.asarray(one).tobytes()) for one in (load.tokens, load.group_tokens, scored)))
        if key is None or key not in self._kept:
            terms = work_terms(deployment, stage, load, scored if stage.last else None)
            add_messages(deployment, terms, work.messages(deployment, stage), tokens_of_rank(deployment, load), _messages_of(load, deployment))
            if deployment.offload is not None:
                terms[HOST] = sum((one.seconds for one in offload.step_work(deployment, stage, load)), start=np.float64(0.0))
            if key is None:
                return terms
            if len(self._kept) == KEPT_STEPS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = terms
        return dict(self._kept[key])

    @cached_property
    def _kept(self) -> dict[Any, Terms]:
        return {}

    def add_host(self, terms: Terms, stage: Stage, load: TokenLoad, terms_of: Callable[[Deployment, Fixed, TokenLoad], Terms]) -> None:
        """Adds the host's part of a stage, and takes away the device's time of experts that lie in the host's memory, in place."""
        deployment = self.deployment
        if deployment.offload is not None and deployment.offload.experts == "cpu":
            for name, layers in expert_host_layers(deployment, stage).items():
                routed = [group for group in self.fixed[name].gemm_groups if group.routed is not None]
                add_terms(terms, terms_of(deployment, Fixed(routed, []), load), -layers)
        terms[HOST] = sum((one.seconds for one in offload.step_work(deployment, stage, load)), start=np.float64(0.0))

    @cached_property
    def fixed(self) -> dict[str, Fixed]:
        """The work that does not depend on the context: of one layer of each block, of the head, and of sends over each link."""
        deployment = self.deployment

        def of_tensor(tensor: str) -> tuple[float, float]:
            return rates(deployment, "linear", tensor)

        found = {HEAD: Fixed(gemm_time.gemm_groups(work.lm_head_gemms(deployment), of_tensor), [])}
        for name in deployment.model.groups:
            groups = gemm_time.gemm_groups(work.merged_block_gemms(deployment, name), of_tensor)
            found[name] = Fixed(groups, work.block_messages(deployment, name))
        for wire in {stage.sends for stage in deployment.stages} - {""}:
            found[SENDS[wire]] = Fixed([], [work.pipeline_send(deployment, wire)])
        return found


@kept
def _messages_of(load: TokenLoad, deployment: Deployment) -> dict[Message, LinkTime]:
    """The times of messages for the tokens of a step, filled by its first stage for the others."""
    return {}


def decode(deployment: Deployment, seq: Any, tokens: float = 1.0) -> Step:
    """The decode step at contexts of `seq` tokens (any shape), for any batch.

    Parameters
    ----------
    seq : tokens
        Tokens that the newest token attends to, itself included.
    tokens : float
        New tokens of each sequence: 1 in plain decode, drafts + 1 in verification.
    """
    seq = np.asarray(seq, dtype=float)
    step = step_of(deployment, work.at_context(seq), tokens)
    if seq.ndim and not any(np.ndim(time) for terms in step.per_sequence for time in terms.values()):  # nothing grows with the context
        first, *others = step.per_sequence
        step = replace(step, per_sequence=({**first, "bandwidth": first.get("bandwidth", 0.0) + np.zeros(seq.shape)}, *others))
    return step


def step_of(deployment: Deployment, entries_read: work.EntriesRead, tokens: float = 1.0, shared_prefix: SharedPrefix = NO_SHARING) -> Step:
    """The step in which `entries_read` gives the entries read of each cache; with a `shared_prefix` the batch counts queries of several streams.

    Sequences that all begin with the tokens of `--shared-prefix` are the streams of one query on each rank, in any number.
    """
    prefix = float(deployment.assumptions.shared_prefix)
    shared = SharedReads(entries_read, prefix) if prefix and shared_prefix.is_single else None
    streams = float(shared_prefix.count)
    if deployment.profile:
        operations = _context_operations(deployment, entries_read, tokens, shared_prefix)
        host = _host_terms(deployment, entries_read, tokens, shared_prefix)
        return Step(deployment, host, tokens * streams, shared, operations, streams)
    return Step(deployment, _context_terms(deployment, entries_read, tokens, shared_prefix), tokens * streams, shared, streams=streams)


def _context_operations(
    deployment: Deployment, entries_read: work.EntriesRead, tokens: float, shared_prefix: SharedPrefix
) -> tuple[tuple[Operation, ...], ...]:
    """For each kind of stage the operations on caches and states of one sequence or of several streams."""

    def of_stage(stage: Stage) -> Iterable[Operation]:
        for name, layers in stage.groups:
            yield from work.block_operations(deployment, name, layers, entries_read, tokens, shared_prefix)

    return tuple(tuple(of_stage(stage)) for stage in deployment.stages)


def _kernel_terms(
    deployment: Deployment, operations: tuple[tuple[Operation, ...], ...], host: tuple[Terms, ...], sequences: Array
) -> tuple[Terms, ...]:
    """For each kind of stage the seconds by resource of operations on caches and states, and those of the host."""
    from roofcalc.physics.timing.operations import operations_terms  # only `typical` needs it

    found = []
    for of_stage, more in zip(operations, host, strict=True):
        terms = operations_terms(deployment, of_stage, sequences)
        add_terms(terms, {name: sequences * time for name, time in more.items()})
        found.append(terms)
    return tuple(found)


def _host_terms(deployment: Deployment, entries_read: work.EntriesRead, tokens: float, shared_prefix: SharedPrefix) -> tuple[Terms, ...]:
    """For each kind of stage the host's seconds for one sequence."""
    found: list[Terms] = [{} for _ in deployment.stages]
    if deployment.offload is not None:
        host = offload.sequence_work(deployment, entries_read, tokens, shared_prefix)
        seconds = deployment.layout.dp * sum((one.seconds for one in host), start=np.float64(0.0))
        found = [{HOST: seconds} if stage.first else {} for stage in deployment.stages]
    return tuple(found)


def _context_terms(deployment: Deployment, entries_read: work.EntriesRead, tokens: float, shared_prefix: SharedPrefix) -> tuple[Terms, ...]:
    """For each kind of stage the seconds by resource of attention and recurrent updates, of one sequence or of several streams."""
    names = deployment.model.groups
    each = {name: operation_terms(deployment, work.block_operations(deployment, name, 1, entries_read, tokens, shared_prefix)) for name in names}
    found = []
    for stage in deployment.stages:
        terms: Terms = {}
        for name, layers in stage.groups:
            add_terms(terms, each[name], layers)
        if deployment.offload is not None and stage.first:
            host = offload.sequence_work(deployment, entries_read, tokens, shared_prefix)
            terms[HOST] = deployment.layout.dp * sum((one.seconds for one in host), start=np.float64(0.0))
        found.append(terms)
    return tuple(found)
