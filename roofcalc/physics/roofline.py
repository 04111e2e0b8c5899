"""Operations -> seconds: each on its roofs, put together by what overlaps, and which resource limits.

A step's time is `fixed(B) + B_r · per_sequence(S)` for every resource, so that a grid of batch × context costs one
product and one sum per point: what depends on the batch is computed per batch, what depends on the context per context.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline", doi.org/10.1145/1498765.1498785: time = max(FLOPs / peak,
bytes / bandwidth). What overlaps with what:

- `op`: Σ max(compute, memory) + Σ communication: each operation on its own roof, one after another.
- `net`: max(Σ max(compute, memory), Σ communication): communication behind another micro-batch.
- `full`: max(Σ compute, Σ memory, Σ communication): everything behind the slowest resource.
- `none`: Σ (compute + memory + communication).

What no work accounts for, the latency of messages and exposed time, hides behind nothing. In `bound`, the links' times overlap
one another too, and memory is spared what the last-level cache can keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import collectives, gemm_time, overhead
from roofcalc.physics import decode_ops as work
from roofcalc.physics.gemm_time import Roof
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.types import NO_SHARING, Message, Operation, SharedPrefix, TokenLoad
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESOURCES = ("bandwidth", "compute", "network", "overhead")  # in the order in which ties go
WIRES = ("link", "scale_out")
HEAD, SENDS = "(head)", {"link": "(link)", "scale_out": "(scale_out)"}  # no block has such a name

Terms = dict[str, Array]  # seconds by "bandwidth", "compute", "link", "scale_out", and, where there is any, "overhead"


class Step(Record):
    """The time of decode steps of one deployment at given contexts, for any batch.

    Build it with `decode`. Shapes of batch and context broadcast as NumPy's do: a column of batches against a row of
    contexts makes a grid.
    """

    deployment: Deployment
    per_sequence: tuple[Terms, ...]  # of each kind of stage, in the shape of the context
    tokens: float = 1.0  # new ones of each sequence

    def seconds(self, batch: Any) -> Any:
        """Seconds of one step, for global batches of any shape that broadcasts with the context.

        A token passes every stage: once there are as many sequences as stages, that takes as many times the slowest
        stage; with fewer, the sum of the stages.

        Formulas
        --------
        T_step, B ≥ p = p·slowest_stage
        """
        batch = np.asarray(batch, dtype=float)
        each = self.stage_seconds(batch)
        stages = self.deployment.stages
        if len(each) == 1 and stages[0].count == 1:
            return each[0]
        through = sum(stage.count * time for stage, time in zip(stages, each, strict=True))
        if self.deployment.assumptions.is_bound:  # an engine may balance its stages
            return through
        depth = self.deployment.layout.pp
        return np.where(batch >= depth, depth * reduce(np.maximum, each), through)

    def passes(self, batch: Any) -> list[NDArray[Any]]:
        """How often a token's step takes each kind of stage: p times the slowest, or each as often as there is."""
        batch = np.asarray(batch, dtype=float)
        return self._passes(batch, self.stage_seconds(batch))

    def _passes(self, batch: NDArray[Any], times: list[NDArray[Any]]) -> list[NDArray[Any]]:
        slowest = np.argmax(np.stack(np.broadcast_arrays(*times)), axis=0)
        depth = self.deployment.layout.pp
        paced = (batch >= depth) & (depth > 1) & (not self.deployment.assumptions.is_bound)
        stages = enumerate(self.deployment.stages)
        return [np.where(paced, np.where(slowest == index, float(depth), 0.0), float(stage.count)) for index, stage in stages]

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds of a step by the resource that takes them, in the order of `RESOURCES`."""
        batch = np.asarray(batch, dtype=float)
        fixed, sequences = self._of_batch(batch, fixed_terms)
        parts = [self._by_resource(*terms, sequences) for terms in zip(fixed, self.per_sequence, strict=True)]
        if len(parts) == 1 and self.deployment.stages[0].count == 1:
            return parts[0]
        passes = self._passes(batch, [self._together(*terms, sequences) for terms in zip(fixed, self.per_sequence, strict=True)])
        return {name: np.asarray(sum(n * part[name] for n, part in zip(passes, parts, strict=True))) for name in RESOURCES}

    def limited_by(self, batch: Any) -> NDArray[np.str_]:
        """The resource whose operations take the largest part of the step; ties go to bandwidth."""
        return limit_of(self.deployment, self.resources(batch))

    def stage_seconds(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Seconds of one pass through each kind of stage.

        Formulas
        --------
        op = work + network
        net = max(work, network)
        full = max(compute, memory, network)
        full, bound = max(compute, memory, link, scale_out)
        with overhead = overlapped + overhead
        """
        fixed, sequences = self._of_batch(batch, fixed_seconds)
        return [self._together(*terms, sequences) for terms in zip(fixed, self.per_sequence, strict=True)]

    def _together(self, fixed: Terms, per_sequence: Terms, sequences: Array) -> NDArray[Any]:
        """What a stage takes, in the overlap in force."""
        overhead = fixed.get("overhead", 0.0)
        overlap = self.deployment.assumptions.overlap

        def seconds(names: Iterable[str]) -> NDArray[Any]:
            slope = sum((per_sequence[name] for name in names if name in per_sequence), start=np.float64(0.0))
            time = sequences * slope
            offset = sum((fixed[name] for name in names if name in fixed), start=np.float64(0.0))
            if isinstance(time, np.ndarray) and np.broadcast_shapes(time.shape, np.shape(offset)) == time.shape:
                time += offset  # in place: a large grid is touched twice, not three times
                return time
            return np.asarray(time + offset, dtype=float)

        if overlap in ("op", "none"):
            return seconds(("bandwidth", "compute", *WIRES, "overhead"))
        if overlap == "net":
            return np.asarray(np.maximum(seconds(("bandwidth", "compute")), seconds(WIRES)) + overhead)
        wires = [(name,) for name in WIRES] if self.deployment.assumptions.is_bound else [WIRES]
        return np.asarray(reduce(np.maximum, [seconds(names) for names in [("bandwidth",), ("compute",), *wires]]) + overhead)

    def _by_resource(self, fixed: Terms, per_sequence: Terms, sequences: Array) -> dict[str, NDArray[Any]]:
        zero = np.float64(0.0)
        each = {name: fixed.get(name, zero) + sequences * per_sequence.get(name, zero) for name in ("bandwidth", "compute", *WIRES)}
        wires = [np.asarray(each[name]) for name in WIRES]
        network = reduce(np.maximum, wires) if self.deployment.assumptions.is_bound else sum(wires)
        overhead = np.asarray(fixed.get("overhead", zero))
        return {
            "bandwidth": np.asarray(each["bandwidth"]),
            "compute": np.asarray(each["compute"]),
            "network": np.asarray(network),
            "overhead": overhead,
        }

    def _of_batch(self, batch: NDArray[Any], terms_of: Callable[[Deployment, Fixed, TokenLoad], Terms]) -> tuple[list[Terms], Array]:
        """What the batch alone decides, for each kind of stage, and the sequences of a rank."""
        deployment = self.deployment
        load, sequences = work.token_load(deployment, batch, self.tokens)
        each = {name: terms_of(deployment, fixed, load) for name, fixed in self.fixed.items()}
        found = []
        for stage in deployment.stages:
            terms: Terms = {"bandwidth": -spared_seconds(deployment)}
            if exposed_s := overhead.seconds(deployment, stage):
                terms["overhead"] = exposed_s
            for name, layers in (*stage.groups, *([(HEAD, 1)] if stage.last else []), *([(SENDS[stage.sends], 1)] if stage.sends else [])):
                _add(terms, each[name], layers)
            found.append(terms)
        return found, sequences

    @cached_property
    def fixed(self) -> dict[str, Fixed]:
        """What one layer of each block does whatever the context, the head, and what a stage sends over either wire."""
        deployment = self.deployment

        def of_tensor(tensor: str) -> tuple[float, float]:
            return rates(deployment, "linear", tensor)

        found = {HEAD: Fixed(gemm_time.roofs(work.lm_head_gemms(deployment), of_tensor), [])}
        for name in deployment.model.groups:
            found[name] = Fixed(gemm_time.roofs(work.merged_block_gemms(deployment, name), of_tensor), work.block_messages(deployment, name))
        for wire in {stage.sends for stage in deployment.stages} - {""}:
            found[SENDS[wire]] = Fixed([], [work.pipeline_send(deployment, wire)])
        return found


def decode(deployment: Deployment, seq: Any, tokens: float = 1.0) -> Step:
    """The step that works on `tokens` new tokens of each sequence of `seq` tokens (any shape), in any batch.

    `seq` counts the tokens whose entries the newest one attends to: one in plain decode, drafts + 1 in verification.
    """
    seq = np.asarray(seq, dtype=float)
    step = step_of(deployment, work.at_context(seq), tokens)
    if seq.ndim and not any(np.ndim(time) for terms in step.per_sequence for time in terms.values()):
        step.per_sequence[0]["bandwidth"] = step.per_sequence[0].get("bandwidth", 0.0) + np.zeros(seq.shape)  # nothing grows with the context
    return step


def step_of(deployment: Deployment, entries_read: work.EntriesRead, tokens: float = 1.0, shared_prefix: SharedPrefix = NO_SHARING) -> Step:
    """The step in which each cache is read as `entries_read` says; with `shared_prefix` its batch counts queries of several streams."""
    names = deployment.model.groups
    each = {name: operation_terms(deployment, work.block_operations(deployment, name, 1, entries_read, tokens, shared_prefix)) for name in names}
    found = []
    for stage in deployment.stages:
        terms: Terms = {}
        for name, layers in stage.groups:
            _add(terms, each[name], layers)
        found.append(terms)
    return Step(deployment, tuple(found), tokens * shared_prefix.count)


def _add(terms: Terms, more: Terms, layers: int) -> None:
    """Adds the seconds of so many layers, resource by resource."""
    for resource, time in more.items():
        terms[resource] = terms.get(resource, 0.0) + layers * time


class Fixed(NamedTuple):
    """What does not depend on the context: products by weights under their roofs, and messages."""

    roofs: list[Roof]
    messages: list[Message]


def fixed_terms(deployment: Deployment, fixed: Fixed, load: TokenLoad) -> Terms:
    """Its seconds by resource, for what one device works on."""
    compute, memory = gemm_time.split(fixed.roofs, load, deployment.assumptions.overlap)
    terms: Terms = {"compute": compute, "bandwidth": memory}
    add_messages(deployment, terms, fixed.messages, _of_rank(deployment, load))
    return terms


def fixed_seconds(deployment: Deployment, fixed: Fixed, load: TokenLoad) -> Terms:
    """The same where only their sum counts, arithmetic under "bandwidth" too: a resource less to tell apart."""
    if deployment.assumptions.overlap == "full":
        return fixed_terms(deployment, fixed, load)
    terms: Terms = {"bandwidth": gemm_time.whole(fixed.roofs, load, deployment.assumptions.overlap)}
    add_messages(deployment, terms, fixed.messages, _of_rank(deployment, load))
    return terms


def _of_rank(deployment: Deployment, load: TokenLoad) -> Array:
    """Tokens of a rank, that its messages carry."""
    return load.tokens / deployment.layout.dp if deployment.assumptions.is_bound else load.tokens


def add_messages(deployment: Deployment, terms: Terms, messages: Iterable[Message], tokens: Array) -> None:
    """Adds the seconds of messages for `tokens` tokens of a rank, unless the network is ideal."""
    for message in messages if deployment.assumptions.network != "ideal" else ():
        times = collectives.seconds(deployment, message, tokens)
        for name, time in zip((*WIRES, "overhead"), times, strict=True):
            if name in WIRES or deployment.profile:
                terms[name] = terms.get(name, 0.0) + message.layers * time


def limit_of(deployment: Deployment, parts: dict[str, NDArray[Any]]) -> NDArray[np.str_]:
    """The resource that takes the largest part; ties go to bandwidth."""
    work_time = parts["bandwidth"] + parts["compute"]
    bandwidth, compute, network, overhead = np.broadcast_arrays(*(parts[name] for name in RESOURCES))
    if deployment.assumptions.overlap == "net":  # communication limits only where it outlasts all the work
        network = np.where(network > work_time, np.inf, -np.inf)
    return np.asarray(np.asarray(RESOURCES)[np.argmax(np.stack([bandwidth, compute, network, overhead]), axis=0)])


def combined(deployment: Deployment, terms: Terms) -> NDArray[Any]:
    """Seconds of a stage from those by resource, as `Step.stage_seconds` puts them together."""
    zero = np.float64(0.0)
    memory, compute, link, out, overhead = (np.asarray(terms.get(name, zero)) for name in ("bandwidth", "compute", *WIRES, "overhead"))
    overlap = deployment.assumptions.overlap
    if overlap in ("op", "none"):
        return np.asarray(memory + compute + link + out + overhead)
    if overlap == "net":
        return np.asarray(np.maximum(memory + compute, link + out) + overhead)
    wires = [link, out] if deployment.assumptions.is_bound else [link + out]
    return np.asarray(reduce(np.maximum, [memory, compute, *wires]) + overhead)


def spared_seconds(deployment: Deployment) -> float:
    """Memory time that the last-level cache may spare a stage in `bound`, where everything overlaps."""
    rate = deployment.memory_bytes_per_s * (deployment.assumptions.mbu or 1.0)
    return deployment.cache_bytes / rate if deployment.assumptions.overlap == "full" else 0.0


def operation_seconds(deployment: Deployment, operation: Operation) -> tuple[Array, Array]:
    """Compute and memory time of one operation, at the fractions of the peaks that it achieves (`Deployment.achieved`).

    Formulas
    --------
    compute = FLOPs/(mfu·F)
    memory = bytes/(mbu·β)
    time = max(compute, memory)
    time, nothing overlapped = compute + memory
    """
    flop_per_s, bytes_per_s = rates(deployment, operation.role, operation.tensor, operation.prompt)
    return operation.flops / flop_per_s, operation.bytes / bytes_per_s


def rates(deployment: Deployment, role: str, tensor: str, prompt: bool = False) -> tuple[float, float]:
    """FLOPs and bytes per second that an operation reaches, by its role and the class of its weights, in decode or of a prompt."""
    known, key = deployment.known_rates, (role, tensor, prompt)
    if key not in known:
        rate = deployment.flop_per_s(deployment.format_of(role, tensor))
        assert rate is not None  # whoever asks for times checks Deployment.has_time first
        mfu, mbu = deployment.achieved(role, tensor, prompt)
        known[key] = mfu * rate, mbu * deployment.memory_bytes_per_s
    return known[key]


def operation_terms(deployment: Deployment, operations: Iterable[Operation]) -> Terms:
    """Seconds of operations, by the resource that each goes to under the overlap in force."""
    terms: Terms = {}
    for operation in operations:
        compute, memory = operation_seconds(deployment, operation)
        compute, memory = gemm_time.attributed(compute * operation.layers, memory * operation.layers, deployment.assumptions.overlap)
        terms["compute"] = terms.get("compute", 0.0) + compute
        terms["bandwidth"] = terms.get("bandwidth", 0.0) + memory
    return terms
