"""The largest batch that fits in memory and meets the required interactivity."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands import ranges
from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.serve import lines_of, serve_columns, target, with_lines
from roofcalc.commands.serving_layout import placements
from roofcalc.commands.stated import draft_columns
from roofcalc.commands.workload import (
    axes,
    generation_options,
    note_prompts_of_others,
    note_single_user,
    note_what_would_fit,
    required_interactivity,
    workload,
)
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


@notes_idle_changes
def max_batch(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    interactivity: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    range: float | None = None,
    serve: str | None = None,
    **options: Unpack[Options],
) -> Table:
    """The largest batch that fits in memory and meets the required interactivity, and the resource that limits it.

    Parameters
    ----------
    model, hardware
        Names, aliases or paths: one, a comma list, or a list of them.
    seq : tokens
        Contexts (default 1k to 128k, up to the model's maximum).
    interactivity : tok/s/user
        Lowest acceptable speed of each user (default 30).
    isl, osl : tokens
        Input and output length of whole generations, instead of `seq`: speed and throughput are those of users who share the devices
        with the prompts of the others, as `prefill` says.
    kv_at : "end" or "mean"
        The point of a generation at which its KV cache must fit (default "end").
    chunk : tokens
        Largest prefill step (default: the whole prompt).
    range : percent
        In `typical`, adds low and high figures between which so many of the measured runs of this kind lie (50 to 98).
    serve : str
        An engine: vllm, sglang, trtllm-serve, llama-server, or docker- before one of these; the column `serve` has the command line that
        serves each row.

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, override, context and interactivity.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.

    Notes
    -----
    Formulas and their sources: `roofcalc.physics.ops`, `roofcalc.physics.roofline`, `roofcalc.physics.collectives`, `roofcalc.physics.memory`.
    """
    given, more = generation_options(isl, osl, chunk), columns.GENERATION if isl is not None or osl is not None else ()
    server, share = target(serve), ranges.percent(range, options)
    results = (*columns.MAX_BATCH, *draft_columns(options), *ranges.speed_columns(share, isl is not None, batches=True))
    given = (*given, *ranges.given(share))
    request = Request("max-batch", results, model, hardware, options, given, (*more, *serve_columns(server)))
    rates = required_interactivity(request, interactivity)
    note_prompts_of_others(request, isl)
    for deployment, changes in request.deployments():
        first, *rest = axes(request, deployment.model, seq, isl, osl)
        shared = workload([axis[:1] for axis in (first, *rest)], kv_at, chunk).shared
        longest = workload([first, *(np.full(first.shape, axis.max()) for axis in rest)], kv_at, chunk).seq
        for placed, part in placements(request, deployment, longest):
            points = [first[part], *rest]
            note_what_would_fit(request, placed, points, kv_at, chunk)
            note_single_user(request, placed, points, kv_at, chunk, rates)
            lines = lines_of(request, server, placed, chunk)
            compute = partial(with_lines, lines, partial(rows, placed, kv_at, chunk, share), "max_batch", len(points))
            request.fill(placed, changes, (*points, rates), compute, **shared, range=share)
    return request.answer()


def rows(deployment: Deployment, kv_at: str | None, chunk: Any, share: float | None, *points: NDArray[Any]) -> dict[str, Any]:
    *of_work, rate = points
    work = workload(of_work, kv_at, chunk)
    step = work.step(deployment) if deployment.has_time else None
    solved = solver.max_batch(deployment, work.seq, rate, work.served_step(step) if step else None)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = deployment.accepted / solved.step_s
    step_s = throughput = np.full(rate.shape, np.nan)
    if step:
        step_s = np.where(solved.max_batch > 0, step.seconds(np.maximum(solved.max_batch, 1)), np.nan)
        throughput = work.throughput(deployment, step, solved.max_batch, step_s)
    more = work.more(deployment, throughput, step, solved.max_batch)
    around = ranges.around_speed(deployment, speed, share, "decode") | ranges.around_first(deployment, more.get("ttft_ms"), share)
    if share is not None and step is not None:
        for name, factor in zip(("max_batch_low", "max_batch_high"), ranges.factors(deployment, "decode", share), strict=True):
            around[name] = solver.max_batch(deployment, work.seq, rate / factor, work.served_step(step)).max_batch
    return {
        "seq": work.seq,
        "min_interactivity_tok_s": rate,
        "max_batch": solved.max_batch,
        "limited_by": solved.limited_by,
        "batch_memory": solved.batch_memory,
        "batch_interactivity": solved.batch_interactivity,
        "interactivity_tok_s": speed,
        "step_ms": step_s * 1e3,
        "throughput_tok_s": throughput,
        "throughput_tok_s_per_device": throughput / deployment.hardware.count,
        "kv_gb_per_seq": memory.system_kept(deployment, work.seq).each / 1e9,
        "weights_gb": memory.system_weight_bytes(deployment) / 1e9,
        "draft_weights_gb": memory.system_draft_weight_bytes(deployment) / 1e9,
        **around,
        **more,
    }
