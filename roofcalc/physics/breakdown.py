"""Breakdown of a step: FLOPs, bytes and time of each operation and message, which add up to the time of the step.

Each row is an operation in all its layers, on one device of the stages that a token passes: with at least as many sequences as
stages, the slowest stage counts once for each stage, since it sets the pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import expert_host_layers
from roofcalc.deployment.parallelism import Stage, each_stage
from roofcalc.physics import collectives, offload, overhead
from roofcalc.physics import decode_ops as work
from roofcalc.physics.adapters import adapter_operations
from roofcalc.physics.kv_span import Array
from roofcalc.physics.offload import HostWork
from roofcalc.physics.ops.operation import Message, Operation
from roofcalc.physics.prefill import chunks, pieces_at_once, prefill_messages, stage_work
from roofcalc.physics.resources import RESOURCES, cache_savings_s, operation_seconds
from roofcalc.physics.roofline import Step
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHE = "kept in cache"
OVERHEAD = "overhead"
SMALL = "small kernels"
REQUEST = "request"

FIGURES = ("layers", "flops", "bytes", "compute_s", "memory_s", "network_s", "time_s", "overhead_s", "host_s")  # arrays of a line


class Line(NamedTuple):
    """One operation or message; arrays in the shape of the grid, summed over its layers.

    Attributes
    ----------
    op : str
        `block.operation`, or `layer.block.operation`.
    format : str
        In which it computes; empty for messages and overhead.
    layers : array
        Number of executions per step.
    flops, bytes : array
        Of one device; the bytes of messages are not included.
    compute_s, memory_s, network_s : array
        Seconds on each resource.
    time_s : array
        Seconds that it adds to the step.
    overhead_s, host_s : array
        Latency or fixed overhead, and time of the host or of the link to it, included in `time_s`.
    """

    op: str
    format: str
    layers: NDArray[Any]
    flops: NDArray[Any]
    bytes: NDArray[Any]
    compute_s: NDArray[Any]
    memory_s: NDArray[Any]
    network_s: NDArray[Any]
    time_s: NDArray[Any]
    overhead_s: NDArray[Any]
    host_s: NDArray[Any]

    @property
    def limited_by(self) -> NDArray[np.str_]:
        """The resource with the most seconds."""
        taken = np.stack([self.memory_s, self.compute_s, self.network_s, self.overhead_s, self.host_s])
        return np.asarray(np.array(RESOURCES)[np.argmax(np.abs(taken), axis=0)])


class _Row(NamedTuple):
    """One operation or message of one stage, before overlaps are applied; numbers or arrays that broadcast with the grid."""

    op: str
    format: str
    layers: int
    flops: Array = 0.0
    bytes: Array = 0.0
    compute_s: Array = 0.0
    memory_s: Array = 0.0
    link_s: Array = 0.0
    scale_out_s: Array = 0.0
    overhead_s: Array = 0.0
    host_s: Array = 0.0


def lines(step: Step, seq: Any, batch: Any, per_layer: bool = False) -> list[Line]:
    """The operations of a decode step, block by block. `seq` must be the contexts that the step was built for; `batch` broadcasts."""
    seq, batch = np.broadcast_arrays(np.asarray(seq, dtype=float), np.asarray(batch, dtype=float))
    deployment = step.deployment
    each = []
    for stage in deployment.stages:
        load, sequences = work.token_load(deployment, batch, step.tokens)
        operations: list[tuple[Operation, Array]] = [(one, 1.0) for one in work.batch_operations(deployment, stage, load)]
        operations += [(one, sequences) for one in work.sequence_operations(deployment, stage, work.at_context(seq), step.tokens)]
        operations = [(_on_device(deployment, stage, one), times) for one, times in operations]
        operations += [(one, 1.0) for one in adapter_operations(deployment, stage, load, sequences)]
        host: list[tuple[HostWork, Array]] = [(one, 1.0) for one in offload.step_work(deployment, stage, load)]
        ranks = sequences * deployment.layout.dp
        host += [(one, ranks) for one in offload.sequence_work(deployment, work.at_context(seq), step.tokens)] if stage.first else []
        tokens = load.tokens / deployment.layout.dp if deployment.assumptions.is_bound else load.tokens
        each.append(_of_stage(deployment, stage, operations, work.messages(deployment, stage), tokens, seq.shape, False, host, sequences))
    return _of_all(deployment, each, step.passes(batch), per_layer)


def prefill_lines(deployment: Deployment, new: Any, cached: Any, batch: Any, chunk: float | None = None, per_layer: bool = False) -> list[Line]:
    """The operations of a prefill of P tokens after C, chunks summed; the times add up to the time to first token."""
    new, cached, batch = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (new, cached, batch)))
    steps = chunks(new, cached, chunk)
    runs, shape = steps.new > 0, np.broadcast_shapes(steps.new.shape)
    by_stage = []
    for index, stage in enumerate(deployment.stages):
        operations, tokens, used = stage_work(deployment, index, steps, batch[..., np.newaxis])
        host: list[tuple[HostWork, Array]] = [(one, 1.0) for one in used]
        found = _of_stage(deployment, stage, [(one, 1.0) for one in operations], prefill_messages(deployment, stage), tokens, shape, True, host)
        by_stage.append([_over_chunks(line, runs) for line in found])
    through = np.asarray(sum(stage.count * line.time_s for stage, found in zip(deployment.stages, by_stage, strict=True) for line in found))
    pieces = np.asarray(pieces_at_once(deployment, new, cached, batch, through))
    each = [[_scaled(line, 1.0 / pieces)._replace(layers=line.layers) for line in found] for found in by_stage]
    passes = [np.full(new.shape, float(stage.count)) for stage in deployment.stages]
    return [*_of_all(deployment, each, passes, per_layer), *_request(deployment, new.shape)]


def _request(deployment: Deployment, shape: tuple[int, ...]) -> list[Line]:
    """The line of the per-request overhead, in `typical`."""
    seconds = overhead.request_seconds(deployment)
    if not np.any(seconds):
        return []
    zero = np.zeros(shape)
    return [Line(REQUEST, "", zero + 1, zero, zero, zero, zero, zero, zero + seconds, zero + seconds, zero)]


def _over_chunks(line: Line, runs: NDArray[Any]) -> Line:
    """A line summed over the chunks that run."""
    sums = {name: np.where(runs, getattr(line, name), 0.0).sum(axis=-1) for name in FIGURES}
    return line._replace(**{**sums, "layers": line.layers.max(axis=-1)})


def _of_all(deployment: Deployment, each: list[list[Line]], passes: list[NDArray[Any]], per_layer: bool) -> list[Line]:
    if per_layer:
        return _by_layer(deployment, each, passes)
    merged: dict[str, Line] = {}
    for found, times in zip(each, passes, strict=True):
        for line in found:
            part = _scaled(line, times)
            merged[line.op] = _added(merged[line.op], part) if line.op in merged else part
    return list(merged.values())


def _of_stage(
    deployment: Deployment,
    stage: Stage,
    operations: list[tuple[Operation, Array]],
    messages: list[Message],
    tokens: Array,
    shape: tuple[int, ...],
    prompt: bool,
    host: list[tuple[HostWork, Array]],
    sequences: Array = 0.0,
) -> list[Line]:
    """One pass through one stage: operations, repeated as given, messages for `tokens` tokens of a rank, overhead, and the host's work."""
    rows: list[_Row] = []
    for operation, times in operations:
        n = operation.layers * times
        runs_at = deployment.format_of(operation.role, operation.tensor) or ""
        launched: Array = 0.0
        if deployment.profile:
            compute, memory, launched = _by_kernels(deployment, operation, times)
        else:
            compute, memory = (one * n for one in operation_seconds(deployment, operation))
        done = operation.flops * n, operation.bytes * n
        rows.append(_Row(operation.name, runs_at, operation.layers, *done, compute, memory, overhead_s=launched))
    for message in messages if deployment.assumptions.network != "ideal" else ():
        time, n = collectives.seconds(deployment, message, tokens), message.layers
        rows.append(_Row(message.name, "", n, link_s=time.link * n, scale_out_s=time.scale_out * n, overhead_s=time.latency * n))
    if saved := cache_savings_s(deployment):
        rows.append(_Row(CACHE, "", 1, bytes=-deployment.cache_bytes, memory_s=-saved))
    for name, layers in stage.groups:
        if deployment.profile:
            from roofcalc.physics.timing.step import small_s  # only `typical` needs it

            rows.append(_Row(f"{name}.{SMALL}", "", layers, memory_s=small_s(deployment, name, tokens) * layers))
        if seconds := overhead.layer_seconds(deployment, prompt) * layers:
            rows.append(_Row(f"{name}.{OVERHEAD}", "", layers, overhead_s=seconds))
    if np.any(seconds := overhead.pass_seconds(deployment, prompt, sequences)):
        rows.append(_Row(OVERHEAD, "", 1, overhead_s=seconds))
    for hosted, often in host:
        rows.append(_Row(f"host.{hosted.name}", "", hosted.layers, hosted.flops * often, hosted.bytes * often, host_s=hosted.seconds * often))
    order = {name: place for place, (name, _) in enumerate(stage.groups)}
    rows.sort(key=lambda row: order.get(row.op.split(".")[0], len(order)))

    def stacked(name: str) -> NDArray[Any]:
        return np.stack([np.broadcast_to(np.asarray(getattr(row, name), dtype=float), shape) for row in rows])

    layers_, flops, moved, compute_s, memory_s = map(stacked, ("layers", "flops", "bytes", "compute_s", "memory_s"))
    link_s, scale_out_s, overhead_s, host_s = map(stacked, ("link_s", "scale_out_s", "overhead_s", "host_s"))
    is_bound = deployment.assumptions.is_bound
    time_s = _attributed(deployment.assumptions.overlap, is_bound, compute_s, memory_s, link_s, scale_out_s, host_s) + overhead_s
    network_s = np.maximum(link_s, scale_out_s) if is_bound else link_s + scale_out_s
    figures = zip(layers_, flops, moved, compute_s, memory_s, network_s, time_s, overhead_s, host_s, strict=True)
    return [Line(row.op, row.format, *values) for row, values in zip(rows, figures, strict=True)]


def _by_kernels(deployment: Deployment, operation: Operation, sequences: Array) -> tuple[Array, Array, Array]:
    """Seconds of an operation in all its layers on compute, on memory and of launches, by the kernel models of `typical`.

    The kernel's time stands under the resource that limits it, the roofline's, which is never longer, under the other.
    """
    from roofcalc.physics.timing.operations import operations_terms  # only `typical` needs it

    terms = operations_terms(deployment, [operation], sequences)
    floors = operation_seconds(deployment, operation)
    n = operation.layers * sequences if operation.per_sequence else operation.layers
    compute, memory = (np.asarray(terms.get(name, 0.0)) for name in ("compute", "bandwidth"))
    pairs = zip((compute, memory), (memory, compute), floors, strict=True)
    beside = [np.where(one > 0, one, np.minimum(floor * n, other)) for one, other, floor in pairs]
    return beside[0], beside[1], terms.get("overhead", 0.0)


def _on_device(deployment: Deployment, stage: Stage, operation: Operation) -> Operation:
    """The part of a decode operation that the devices compute: of routed experts, that of the layers whose experts they hold."""
    if deployment.offload is None or deployment.offload.experts != "cpu" or operation.tensor != offload.ROUTED:
        return operation
    hosted = expert_host_layers(deployment, stage).get(operation.name.split(".")[0], 0)
    if deployment.profile:
        return replace(operation, layers=operation.layers - hosted)
    share = hosted / operation.layers
    return replace(operation, flops=operation.flops * (1.0 - share), bytes=operation.bytes * (1.0 - share))


def _attributed(
    overlap: str,
    bound: bool,
    compute: NDArray[Any],
    memory: NDArray[Any],
    link: NDArray[Any],
    scale_out: NDArray[Any],
    host: NDArray[Any],
) -> NDArray[Any]:
    """The seconds that each row adds to the stage: where resources overlap, its part of the slowest one."""
    links = link + scale_out
    if overlap == "op":
        return np.asarray(np.maximum(compute, memory) + links + host)
    if overlap == "none":
        return np.asarray(compute + memory + links + host)
    work_time = np.maximum(compute, memory) + host
    resources = [work_time, links] if overlap == "net" else [memory, compute, *([link, scale_out] if bound else [links]), host]
    longest = np.argmax(np.stack([one.sum(axis=0) for one in resources]), axis=0)
    return np.asarray(np.choose(longest[np.newaxis], np.stack(resources)))


def _scaled(line: Line, times: NDArray[Any]) -> Line:
    return line._replace(**{name: getattr(line, name) * times for name in FIGURES})


def _added(one: Line, other: Line) -> Line:
    return one._replace(**{name: getattr(one, name) + getattr(other, name) for name in FIGURES})


def _by_layer(deployment: Deployment, each: list[list[Line]], passes: list[NDArray[Any]]) -> list[Line]:
    """One row per layer and operation. Of identical stages the first gets the whole time where the slowest stage sets the pace."""
    model, layout, stages = deployment.model, deployment.layout, deployment.stages
    names = [name for name, count in model.runs for _ in range(count)]
    kinds = [(stage.groups, stage.first, stage.last, stage.sends) for stage in stages]
    found: list[Line] = []
    at, met = 0, set[int]()
    for one in each_stage(model, layout, deployment.hardware.domain):
        index = kinds.index((one.groups, one.first, one.last, one.sends))
        stage_passes = passes[index]
        paced = stage_passes > stages[index].count
        times = np.where(paced, stage_passes if index not in met else 0.0, np.where(stage_passes > 0, 1.0, 0.0))
        met.add(index)
        depth = sum(count for _, count in one.groups)
        for number in range(at, at + depth):
            own = [line for line in each[index] if line.op.startswith(f"{names[number]}.")]
            found += [_scaled(_one(line, f"{number}.{line.op}", dict(one.groups)[names[number]]), times) for line in own]
        found += [_scaled(line, times) for line in each[index] if "." not in line.op]
        at += depth
    return found


def _one(line: Line, name: str, layers: int) -> Line:
    """The part of one layer in a line."""
    return line._replace(op=name, **{figure: getattr(line, figure) / layers for figure in FIGURES})
