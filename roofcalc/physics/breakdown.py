"""A step taken apart: what each operation and message computes, moves and takes, adding up to the step's own time.

Each row is an operation in all the layers that have it, on one device of the stages that a token passes: with as many
sequences as stages, the slowest stage as often as there are stages, since that one sets the pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage, each_stage
from roofcalc.physics import collectives, overhead
from roofcalc.physics import decode_ops as work
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.types import Message, Operation
from roofcalc.physics.prefill import chunks, prefill_messages, stage_work
from roofcalc.physics.roofline import RESOURCES, Step, operation_seconds, spared_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHE = "kept in cache"
OVERHEAD = "overhead"


class Line(NamedTuple):
    """One operation or message. Arrays in the shape of the grid; figures of all its layers together.

    Attributes
    ----------
    op : str
        `block.operation`, or `layer.block.operation`.
    format : str
        Of its arithmetic; empty where there is none.
    layers : array
        How often it runs on a token's way.
    flops, bytes : array
        Of one device; a message's bytes are not counted here.
    compute_s, memory_s, network_s : array
        What it takes of each resource.
    time_s : array
        What it adds to the step.
    overhead_s : array
        Latency, or exposed time, in that.
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

    @property
    def limited_by(self) -> NDArray[np.str_]:
        """The resource that takes the most of it."""
        taken = np.stack([self.memory_s, self.compute_s, self.network_s, self.overhead_s])
        return np.asarray(np.array(RESOURCES)[np.argmax(np.abs(taken), axis=0)])


def lines(step: Step, seq: Any, batch: Any, per_layer: bool = False) -> list[Line]:
    """The operations of a decode step at contexts and batches of one shape, block by block.

    The context must be the one that the step was built for.
    """
    seq, batch = np.broadcast_arrays(np.asarray(seq, dtype=float), np.asarray(batch, dtype=float))
    deployment = step.deployment
    each = []
    for stage in deployment.stages:
        load, sequences = work.token_load(deployment, batch, step.tokens)
        operations: list[tuple[Operation, Array]] = [(one, 1.0) for one in work.batch_operations(deployment, stage, load)]
        operations += [(one, sequences) for one in work.sequence_operations(deployment, stage, work.at_context(seq), step.tokens)]
        tokens = load.tokens / deployment.layout.dp if deployment.assumptions.is_bound else load.tokens
        each.append(_of_stage(deployment, stage, operations, work.messages(deployment, stage), tokens, seq.shape, False))
    return _of_all(deployment, each, step.passes(batch), per_layer)


def prefill_lines(deployment: Deployment, new: Any, cached: Any, batch: Any, chunk: float | None = None, per_layer: bool = False) -> list[Line]:
    """The operations of a prefill of P tokens after C, its chunks together; times add up to the time to first token."""
    new, cached, batch = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (new, cached, batch)))
    steps = chunks(new, cached, chunk)
    runs, shape = steps.new > 0, np.broadcast_shapes(steps.new.shape)
    fills_pipeline = deployment.assumptions.is_bound and deployment.layout.pp > 1
    pieces = np.minimum(deployment.layout.pp, np.maximum(new, 1.0)) if fills_pipeline else 1.0  # of a prompt, in as many stages at once
    each = []
    for index, stage in enumerate(deployment.stages):
        operations, tokens = stage_work(deployment, index, steps, batch[..., np.newaxis])
        found = _of_stage(deployment, stage, [(one, 1.0) for one in operations], prefill_messages(deployment, stage), tokens, shape, True)
        whole = ((one, [np.where(runs, value, 0.0).sum(axis=-1) / pieces for value in one[3:]]) for one in found)
        each.append([Line(*one[:2], one.layers.max(axis=-1), *values) for one, values in whole])
    passes = [np.full(new.shape, float(stage.count)) for stage in deployment.stages]
    return _of_all(deployment, each, passes, per_layer)


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
) -> list[Line]:
    """One pass through one stage: operations as often as they come, messages of so many tokens of a rank, exposed time."""
    zero = np.zeros(shape)
    rows: list[tuple[str, str, int, Array, Array, Array, Array, Array, Array, Array]] = []
    order = {name: place for place, (name, _) in enumerate(stage.groups)}
    for operation, times in operations:
        compute, memory = operation_seconds(deployment, operation)
        n = operation.layers * times
        runs_at = deployment.format_of(operation.role, operation.tensor) or ""
        work_ = (operation.flops * n, operation.bytes * n, compute * n, memory * n)
        rows.append((operation.name, runs_at, operation.layers, *work_, zero, zero, zero))
    for message in messages if deployment.assumptions.network != "ideal" else ():
        wire = collectives.seconds(deployment, message, tokens)
        n = message.layers
        rows.append((message.name, "", n, zero, zero, zero, zero, wire.link * n, wire.scale_out * n, wire.latency * n))
    if spared := spared_seconds(deployment):
        rows.append((CACHE, "", 1, zero, zero - deployment.cache_bytes, zero, zero - spared, zero, zero, zero))
    for name, layers in stage.groups:
        if waited := overhead.layer_seconds(deployment, name, prompt) * layers:
            rows.append((f"{name}.{OVERHEAD}", "", layers, zero, zero, zero, zero, zero, zero, waited))
    if waited := overhead.pass_seconds(deployment, prompt):
        rows.append((OVERHEAD, "", 1, zero, zero, zero, zero, zero, zero, waited))
    rows.sort(key=lambda row: order.get(row[0].split(".")[0], len(order)))
    computes, memories, links, outs, overheads = (np.stack([np.broadcast_to(row[i], shape) for row in rows]) for i in (5, 6, 7, 8, 9))
    times_s = _attributed(deployment.assumptions.overlap, deployment.assumptions.is_bound, computes, memories, links, outs) + overheads
    network = np.maximum(links, outs) if deployment.assumptions.is_bound else links + outs
    return [
        Line(
            row[0],
            row[1],
            np.full(shape, float(row[2])),
            np.broadcast_to(row[3], shape),
            np.broadcast_to(row[4], shape),
            computes[i],
            memories[i],
            network[i],
            times_s[i],
            overheads[i],
        )
        for i, row in enumerate(rows)
    ]


def _attributed(overlap: str, bound: bool, compute: NDArray[Any], memory: NDArray[Any], link: NDArray[Any], scale_out: NDArray[Any]) -> NDArray[Any]:
    """What each row adds to the stage's time: where resources overlap, its part of the one that outlasts the others."""
    wires = link + scale_out
    if overlap == "op":
        return np.asarray(np.maximum(compute, memory) + wires)
    if overlap == "none":
        return np.asarray(compute + memory + wires)
    work_time = np.maximum(compute, memory)
    resources = [work_time, wires] if overlap == "net" else [memory, compute, link, scale_out] if bound else [memory, compute, wires]
    longest = np.argmax(np.stack([one.sum(axis=0) for one in resources]), axis=0)
    return np.asarray(np.choose(longest[np.newaxis], np.stack(resources)))


def _scaled(line: Line, times: NDArray[Any]) -> Line:
    return Line(line.op, line.format, *(value * times for value in line[2:]))


def _added(one: Line, other: Line) -> Line:
    return Line(one.op, one.format, *(a + b for a, b in zip(one[2:], other[2:], strict=True)))


def _by_layer(deployment: Deployment, each: list[list[Line]], passes: list[NDArray[Any]]) -> list[Line]:
    """One row per layer and operation. Of stages that are alike, the first stands for a pace that all share."""
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
    """A layer's part of a line."""
    return Line(name, line.format, *(value / layers for value in line[2:]))
