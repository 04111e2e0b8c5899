"""Breakdown of a decode step or a prefill into operations and collectives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, integer_array
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.stated import OFFLOADING
from roofcalc.commands.workload import batch_sizes, chunk_tokens
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.physics.breakdown import Line, lines, prefill_lines
from roofcalc.physics.prefill import prefill
from roofcalc.physics.roofline import decode
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHASES = ("decode", "prefill")


@notes_idle_changes
def ops(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    phase: str = "decode",
    cached: Numbers | None = None,
    chunk: Numbers | None = None,
    per_layer: bool = False,
    **options: Unpack[Options],
) -> Table:
    """The operations of one decode step or one prefill on one device: FLOPs, bytes and time of each.

    Parameters
    ----------
    phase : "decode" or "prefill"
        A decode step, whose times add up to `step_ms` of `interactivity`; or a prefill, whose times add up to `ttft_ms` of `prefill`.
    cached, chunk : tokens
        As `prefill` takes them; only for a prefill.
    per_layer : bool
        One row per layer; by default identical layers share a row.
    model, hardware, seq, batch, options
        As `interactivity` and `prefill` take them.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    if phase not in PHASES:
        raise invalid_choice("--phase", phase, PHASES)
    if phase == "decode" and (cached is not None or chunk is not None):
        raise RoofcalcError("--cached, --chunk: only for a prefill; give --phase prefill")
    given = tuple(name for name, value in (("chunk", chunk),) if value is not None)
    shown, more = (columns.OPS, ()) if phase == "decode" else ((columns.NEW, *columns.OPS[1:]), (columns.CACHED,))
    has_overhead = options.get("assume") == "typical" or options.get("layer_overhead_us") or options.get("step_overhead_us")
    hosted = any(options.get(name) is not None for name in OFFLOADING)
    more = (*more, *((columns.OVERHEAD_US,) if has_overhead else ()), *((columns.HOST_US,) if hosted else ()), columns.FORMAT)
    request = Request("ops", shown, model, hardware, options, given, more)
    batches, chunk_size = batch_sizes(batch), chunk_tokens(chunk)
    before = integer_array(0 if cached is None else cached, "--cached", MAX_TOKENS, 0)
    for deployment, changes in request.deployments():
        if deployment.draft:
            raise RoofcalcError("--draft: ops shows steps without speculative decoding; leave the draft options out")
        if not deployment.has_time:
            continue
        contexts, sequences, before_each = request.cross(request.contexts(deployment.model, seq), batches, before)
        request.note_context(deployment.model, contexts + before_each)
        if phase == "decode":
            step = decode(deployment, contexts)
            operations = lines(step, contexts, sequences, per_layer)
            total = np.asarray(step.seconds(sequences)) * np.ones(contexts.shape)
        else:
            operations = prefill_lines(deployment, contexts, before_each, sequences, chunk_size, per_layer)
            total = prefill(deployment, contexts, before_each, sequences, chunk_size).ttft_s
        request.cross(contexts, np.arange(len(operations)))  # refuses tables that are too long
        executed = np.array([line.layers for line in operations]) > 0  # (operations, points)
        points, which = np.nonzero(executed.T)
        figures = partial(_figures, operations, contexts.shape, which, points)
        flops, moved, time = figures("flops"), figures("bytes"), figures("time_s")
        with np.errstate(divide="ignore", invalid="ignore"):
            intensity = flops / moved
        request.add(
            deployment,
            changes,
            seq=contexts[points],
            batch=sequences[points],
            op=figures("op"),
            layers=figures("layers"),
            gflop=flops / 1e9,
            mb=moved / 1e6,
            intensity_flop_per_byte=intensity,
            compute_us=figures("compute_s") * 1e6,
            memory_us=figures("memory_s") * 1e6,
            network_us=figures("network_s") * 1e6,
            time_us=time * 1e6,
            share=time / total[points],
            limited_by=figures("limited_by"),
            cached=before_each[points],
            overhead_us=figures("overhead_s") * 1e6,
            host_us=figures("host_s") * 1e6,
            chunk=chunk_size,
            format=figures("format"),
        )
        if contexts.size == 1:
            gflop, mb, us = (units.significant(value) for value in (flops.sum() / 1e9, moved.sum() / 1e6, time.sum() * 1e6))
            whole_step = "the step of `roofcalc interactivity`" if phase == "decode" else "the first token of `roofcalc prefill`"
            request.table.sums.append(f"sum: {gflop} GFLOP, {mb} MB, {us} us: {whole_step}")
    return request.table


def _figures(operations: list[Line], shape: tuple[int, ...], which: NDArray[np.intp], points: NDArray[np.intp], name: str) -> NDArray[Any]:
    """One attribute of every operation at the points where it runs, as a flat array: a column of the table."""
    return np.array([np.broadcast_to(getattr(operation, name), shape) for operation in operations])[which, points]
