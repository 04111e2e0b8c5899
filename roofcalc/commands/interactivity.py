"""Speed of each user, and throughput, at every batch and context."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands import defaults, ranges
from roofcalc.commands.arguments import MAX_RATE, MIN_RATE, Names, Numbers, number_array, single_number
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.workload import axes, batch_sizes, generation_options, note_prompts_of_others, note_what_would_fit, required_speed, workload
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.resources import UNKNOWN
from roofcalc.physics.serving import ServedStep, served_limit
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


@notes_idle_changes
def interactivity(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    requests_per_second: Numbers | None = None,
    goodput: bool = False,
    ttft: Numbers | None = None,
    interactivity: Numbers | None = None,
    range: float | None = None,
    **options: Unpack[Options],
) -> Table:
    """Tokens per second for each user at every context and batch (default batches 1 to 256), including batches that do not fit.

    Parameters
    ----------
    model, hardware, seq, isl, osl, kv_at, chunk, options
        As `max_batch` takes them.
    batch : sequences
        Over the whole system.
    requests_per_second
        Load on the whole system instead of `batch`; needs isl and osl. Requests arrive at random times; `batch` is then the mean number
        in flight, missing where the system can't keep up, and `limited_by` says why.
    goodput : bool
        Adds the share of the requests that meet both `ttft` and `interactivity`; needs a rate.
    ttft : seconds
        Longest acceptable time to first token, for `goodput`.
    interactivity : tok/s/user
        Lowest acceptable speed of a request, for `goodput` (default 30).
    range
        As `max_batch` takes it.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    _check_load(batch, isl, osl, requests_per_second, goodput, ttft, interactivity, options)
    given, more = generation_options(isl, osl, chunk), columns.GENERATION if isl is not None or osl is not None else ()
    at_rate = requests_per_second is not None
    share = ranges.percent(range, options)
    if share is not None and at_rate:
        raise RoofcalcError("--range: for a number in flight (--batch), not for --requests-per-second")
    more = (*more, *(columns.PLAN_QUEUE if at_rate else ()), *(columns.GOODPUT if goodput else ()))
    results = (*columns.INTERACTIVITY_ROWS, *ranges.speed_columns(share, isl is not None))
    request = Request("interactivity", results, model, hardware, options, (*given, *ranges.given(share)), more)
    loads = number_array(requests_per_second, "--requests-per-second", 1e-9, 1e9) if at_rate else batch_sizes(batch, defaults.BATCH_SWEEP)
    limits = None
    if goodput:
        limits = (single_number(ttft, "--ttft", MIN_RATE, MAX_RATE), required_speed(request, interactivity))
    note_prompts_of_others(request, isl)
    for deployment, changes in request.deployments():
        points = axes(request, deployment.model, seq, isl, osl)
        if not at_rate and (most := memory.seqs_cap(deployment)) < loads.max():
            request.note(
                f"--max-seqs: {deployment.hardware.name} admits {most:,.0f} sequences at a time; larger batches are of an engine that admits them"
            )
        note_what_would_fit(request, deployment, points, kv_at, chunk)
        shared = workload([axis[:1] for axis in points], kv_at, chunk).shared
        rows = partial(_rows_at_rate, deployment, kv_at, chunk, limits) if at_rate else partial(_rows, deployment, kv_at, chunk, share)
        request.fill(deployment, changes, (*points, loads), rows, **shared, range=share)
    return request.answer()


def _check_load(batch: Any, isl: Any, osl: Any, rate: Any, goodput: bool, ttft: Any, interactivity: Any, options: Options) -> None:
    """Refuses arguments about a load that do not go together.

    Raises
    ------
    RoofcalcError
        A rate without generations or together with a batch, or limits without `goodput`.
    """
    if rate is not None and isl is None and osl is None:
        raise RoofcalcError("--requests-per-second: give the tokens of a request too: --isl and --osl")
    if rate is not None and batch is not None:
        raise RoofcalcError("--batch, --requests-per-second: give one of them")
    if rate is not None and options.get("arrivals") is not None:
        raise RoofcalcError("--arrivals: requests per second arrive at random times; it is for a number in flight (--batch)")
    if goodput and (rate is None or ttft is None):
        raise RoofcalcError("--goodput: give --requests-per-second, and the limits --ttft and --interactivity")
    if not goodput and (ttft is not None or interactivity is not None):
        raise RoofcalcError("--ttft, --interactivity: limits of --goodput; give it too")


def _rows(deployment: Deployment, kv_at: str | None, chunk: Any, share: float | None, *points: NDArray[Any]) -> dict[str, Any]:
    *of_work, batch = points
    work = workload(of_work, kv_at, chunk)
    seconds = served_s = throughput = np.full(batch.shape, np.nan)
    limit, more = np.full(batch.shape, UNKNOWN), work.more(deployment, throughput)
    if deployment.has_time:
        step = work.step(deployment)
        paced = work.served_step(step)
        seconds, limit, served_s = step.seconds(batch), served_limit(paced, batch), paced.seconds(batch)
        throughput = work.throughput(deployment, step, batch, seconds)
        more = work.more(deployment, throughput, step, batch)
    return {
        "seq": work.seq,
        "batch": batch,
        "interactivity_tok_s": deployment.accepted / served_s,
        **ranges.around_speed(deployment, deployment.accepted / served_s, share, "decode"),
        **ranges.around_first(deployment, more.get("ttft_ms"), share),
        "limited_by": limit,
        "step_ms": seconds * 1e3,
        "throughput_tok_s": throughput,
        "throughput_tok_s_per_device": throughput / deployment.hardware.count,
        "fits_memory": memory.batch_memory(deployment, work.seq) >= batch,
        **more,
    }


def _rows_at_rate(deployment: Deployment, kv_at: str | None, chunk: Any, limits: tuple[float, float] | None, *points: NDArray[Any]) -> dict[str, Any]:
    """Rows for requests per second: what requests get with as many in flight as the rate keeps there."""
    from roofcalc.physics import load

    *of_work, rate = points
    work = workload(of_work, kv_at, chunk)
    assert work.isl is not None and work.osl is not None
    unknown, fitting = np.full(rate.shape, np.nan), memory.batch_limit(deployment, work.seq)
    most = np.where(fitting >= memory.seqs_cap(deployment), "max_seqs", "capacity")
    values: dict[str, Any] = {"seq": work.seq, "isl": work.isl, "osl": work.osl, "requests_per_s": rate}
    if not deployment.has_time:
        figures = ("batch", "interactivity_tok_s", "step_ms", "throughput_tok_s", "throughput_tok_s_per_device", "ttft_ms", "ttft_idle_ms")
        more = dict.fromkeys((*figures, "decode_tok_s", "ttft_p95_ms", "busy", "goodput"), unknown)
        return {**values, **more, "limited_by": np.full(rate.shape, UNKNOWN), "fits_memory": fitting >= 1}
    paced = ServedStep(work.step(deployment), work.isl, work.osl, work.chunk)
    found = load.loaded(paced, rate, fitting)
    holds, one = ~np.isnan(found.batch), found.served
    limit = served_limit(paced, np.where(holds, found.batch, 1.0))
    if found.prompts is not None:
        most = np.where(found.rate * found.prompts.mean_s >= 1, "prompts", most)
    tokens = np.where(holds, rate * work.osl, np.nan)
    values |= {
        "batch": found.batch,
        "interactivity_tok_s": np.where(holds, 1 / one.tpot_s, np.nan),
        "limited_by": np.where(holds, limit, most),
        "step_ms": np.where(holds, one.decode_s * deployment.accepted * 1e3, np.nan),
        "throughput_tok_s": tokens,
        "throughput_tok_s_per_device": tokens / deployment.hardware.count,
        "fits_memory": holds,
        "ttft_ms": found.ttft_s * 1e3,
        "ttft_idle_ms": one.ttft_idle_s * 1e3,
        "decode_tok_s": np.where(holds, 1 / one.decode_s, np.nan),
        "ttft_p95_ms": found.ttft_late_s * 1e3,
        "busy": found.busy,
    }
    if limits is not None:
        values |= {"max_ttft_s": limits[0], "min_interactivity_tok_s": limits[1]}
        with np.errstate(divide="ignore"):
            values["goodput"] = load.goodput(paced, found, limits[0], 1 / np.float64(limits[1]))
    return values
