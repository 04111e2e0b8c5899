"""Capacity planning: the smallest or cheapest hardware that meets a demand."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc.catalog import boxes
from roofcalc.catalog.overrides import Change
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_DEVICES, MAX_RATE, MIN_RATE, Names, Numbers, integer_array, number_array, single_integer, single_number
from roofcalc.commands.options import Options
from roofcalc.commands.price import usd_per_device_hour
from roofcalc.commands.request import Request
from roofcalc.commands.request_mix import mix as mix_of
from roofcalc.commands.workload import axes, batch_sizes, check_prompts, chunk_tokens, required_interactivity, workload
from roofcalc.economics.cost import MILLION, usd
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, limited_by
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.parallel import map_in_order
from roofcalc.solvers.planner import first_token
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Inventory
from roofcalc.solvers.planner.messages import LEAST_GAIN, describe_failure, describe_idle_devices, describe_limit
from roofcalc.solvers.planner.replica import PrefillTimes, least_batch, max_load, prefill_times, requests_per_s
from roofcalc.solvers.planner.select import Plan, plans
from roofcalc.solvers.planner.sensitivity import sensitivity
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

OBJECTIVES = ("devices", "usd")
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
BUSY = 0.9  # a note on plans with more load
MAX_PLANS = 2000  # each takes a layout search of about 10 ms
MAX_EXPLAINED = 8  # with more plans, no note per plan on its limit


def plan(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    mix: str | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    interactivity: Numbers | None = None,
    ttft: Numbers | None = None,
    ttft_percentile: Numbers | None = None,
    batch: Numbers | None = None,
    requests_per_second: Numbers | None = None,
    devices: Numbers | None = None,
    spare: Numbers | None = None,
    least: str | None = None,
    usd_per_hour: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """The fewest devices, as replicas of one layout, that meet a demand; and the ranking of machines by devices or cost.

    Every replica size and every legal layout is evaluated, because a larger replica does not always meet what a smaller one does.
    A replica of a model without experts has one data-parallel rank; further ranks count as further replicas. Among layouts that
    need the same number of devices, the plan is the one with the highest interactivity at the requested batch, which also decodes
    at the lowest cost per token; for requests per second, the one with the highest capacity. Ties go to fewer active devices, then
    fewer pipeline stages, then more tensor-parallel ranks. Devices that come with a whole machine but are not needed run further
    replicas, as far as there are enough devices for one and sequences for it.

    Parameters
    ----------
    model : names
    hardware : names
        Devices, in any number; or machines (`8xh100-sxm`, systems), in multiples of a whole machine.
    seq, isl, osl, kv_at, chunk
        As `max_batch` takes them (default: contexts of 8k).
    mix : path
        A file of several kinds of requests, instead of isl and osl (`roofcalc.commands.request_mix`).
    interactivity : tok/s/user
        Lowest acceptable speed of each user (default 30).
    ttft : seconds
        Longest acceptable mean time to first token under the load, of the longest kind of prompt; with `seq`, of a prompt of that
        length that has its rank to itself.
    ttft_percentile : 50, 90, 95 or 99
        Instead of the mean: the percentile of all requests that `ttft` limits, for `requests_per_second`.
    batch : sequences
        Sequences in flight over all replicas (default 1).
    requests_per_second
        Load instead of `batch`; needs isl and osl, or a mix.
    devices : int or list of int
        Available numbers of devices (default: any).
    spare : int
        Number of devices that may fail while the demand is still met; a failed device takes its replica down.
    least : "devices" or "usd"
        Objective by which plans are ranked, best first (default "devices").
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).

    Returns
    -------
    Table
        One row per model, override, demand, machine, weights and KV dtype, best plans first. Where no plan meets the demand,
        `devices` is missing and `limited_by` names the obstacle.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    if least is not None and least not in OBJECTIVES:
        raise invalid_choice("--least", least, OBJECTIVES)
    generations = mix is not None or isl is not None or osl is not None
    if requests_per_second is not None and not generations:
        raise RoofcalcError("--requests-per-second: give the tokens of a request too: --isl and --osl, or --mix")
    if requests_per_second is not None and batch is not None:
        raise RoofcalcError("--batch, --requests-per-second: give one of them")
    given = ("isl", "osl", "kv_at") if generations else ()
    more = (
        *columns.PLAN_LIMITS,
        *((columns.REQUESTS_PER_S,) if requests_per_second is not None else ()),
        *((columns.MAX_TTFT_S,) if ttft is not None else ()),
        *((columns.SPARE,) if spare is not None else ()),
        *columns.PLAN_MORE,
        *(columns.PLAN_QUEUE if requests_per_second is not None else ()),
    )
    also = [name for name, value in (("chunk", chunk), ("mix", mix)) if value is not None]
    request = Request("plan", columns.PLAN, model, _split_lists(hardware), options, (*given, *also), more)
    percentile = _percentile(request, ttft_percentile, ttft, requests_per_second)
    loads = {"interactivity": required_interactivity(request, interactivity)}
    loads["ttft_s"] = np.array([np.inf]) if ttft is None else number_array(ttft, "--ttft", MIN_RATE, MAX_RATE)
    if not generations and seq is None:
        request.note(f"seq: contexts of {defaults.SEARCH_SEQ:,} tokens (--seq, or --isl and --osl, or --mix)")
    if requests_per_second is None:
        loads["batch"] = batch_sizes(batch)
    else:
        loads["rate"] = number_array(requests_per_second, "--requests-per-second", 1e-9, 1e9)
    available = None if devices is None else np.sort(integer_array(devices, "--devices", MAX_DEVICES))
    spares = 0 if spare is None else single_integer(spare, "--spare", MAX_DEVICES, 0)
    by_model: dict[tuple[str, tuple[Change, ...], str], list[Plan]] = {}
    for resolved, machine, changes, precisions in request.searches():
        context = min(defaults.SEARCH_SEQ, resolved.context) if seq is None and not generations else seq
        demand = _demand(request, resolved, context, isl, osl, mix, kv_at, chunk, loads)._replace(percentile=percentile)
        if (number := demand.interactivity.size * request.searched * len(precisions)) > MAX_PLANS:
            raise RoofcalcError(f"{number:,} plans; at most {MAX_PLANS:,} are computed at once")
        inventory = Inventory(machine, available, spares, usd_per_device_hour(request, machine, usd_per_hour))
        for weights, kv in precisions:
            single_device = request.deploy(resolved, replace(machine, count=1), weights, kv, tp=1, pp=1, dp=1)
            made = plans(demand, single_device, inventory, request.fixed_degrees(), request.table.executor)
            by_model.setdefault((resolved.name, changes, single_device.assumptions.assume), []).extend(made)
    shared = {"kv_at": kv_at or "end", "chunk": chunk_tokens(chunk), "mix": mix, "spare": spares}
    explain = sum(map(len, by_model.values())) <= MAX_EXPLAINED
    ranked = [(each, changes) for (_, changes, _), some in by_model.items() for each in _ranked(some, least or OBJECTIVES[0])]
    with closing(map_in_order(None, lambda pair: _add_plan(request, *pair, shared, explain), ranked)) as added:
        deque(added, maxlen=0)
    if not explain:
        request.note("limited_by: the limit of a replica; relief: the single change that increases its capacity most")
    return request.answer()


def _percentile(request: Request, value: Numbers | None, ttft: Numbers | None, rate: Numbers | None) -> float | None:
    """The percentile of the time to first token that must be met; None: the mean.

    Raises
    ------
    RoofcalcError
        A percentile that is none of the choices, or where requests do not queue.
    """
    if value is None:
        return None
    percent = single_number(value, "--ttft-percentile", 0, 100)
    if percent not in PERCENTILES:
        raise invalid_choice("--ttft-percentile", f"{percent:g}", [f"{one:g}" for one in PERCENTILES])
    if ttft is None or rate is None:
        raise RoofcalcError("--ttft-percentile: give --ttft and --requests-per-second too; it applies to requests that arrive at random times")
    if request.assumptions.is_bound or request.assumptions.prefill != "colocated":
        raise RoofcalcError("--ttft-percentile: only known where prompts queue before decode steps: not in bound, and with --prefill colocated")
    return percent


def _split_lists(hardware: Any) -> Any:
    """Several arguments, each of which may be a comma list, as one list."""
    if not isinstance(hardware, list) or not all(isinstance(text, str) for text in hardware):
        return hardware
    return [name for text in hardware for name in ([text] if os.path.isfile(text) else text.split(","))]


def _demand(
    request: Request,
    model: Model,
    seq: Numbers | None,
    isl: Numbers | None,
    osl: Numbers | None,
    mix: str | None,
    kv_at: str | None,
    chunk: Any,
    loads: dict[str, NDArray[Any]],
) -> Demand:
    """Every combination of requests (or contexts) and loads; the requests vary slowest."""
    if mix is not None:
        if isl is not None or osl is not None or seq is not None:
            raise RoofcalcError("--mix: give either a file of requests (--mix), or --isl and --osl, or contexts (--seq)")
        kinds = mix_of(mix)
        request.note_context(model, kinds.isl + kinds.osl)
        check_prompts(request, kinds.isl)
        work, parts, number = workload([kinds.isl, kinds.osl], kv_at, chunk), kinds.parts, [np.zeros(1, dtype=np.intp)]
        of_work = work.at(np.arange(parts.size)[np.newaxis])
    else:
        points = request.cross(*axes(request, model, seq, isl, osl))
        work, parts, number = workload(points, kv_at, chunk), np.ones(1), [np.arange(points[0].size)]
        of_work = work.at(np.arange(points[0].size)[:, np.newaxis])
    which, *each = request.cross(*number, *loads.values())
    chosen = of_work.at(which.astype(np.intp))
    prompts = chosen.seq if chosen.isl is None else chosen.isl
    load: dict[str, Any] = {"batch": None, "rate": None, **dict(zip(loads, each, strict=True))}
    return Demand(prompts, chosen.osl, chosen.seq, parts, chunk=work.chunk, **load)


def _ranked(some: list[Plan], objective: str) -> Iterator[Plan]:
    """The plans of one model, grouped by demand; within a demand the best first."""

    def value(plan: Plan) -> float:
        figure = plan.devices if objective == OBJECTIVES[0] else plan.devices * plan.inventory.usd_per_hour
        return math.inf if math.isnan(figure) else figure

    by_demand: dict[tuple[float, ...], list[Plan]] = {}
    for each in some:
        by_demand.setdefault(_demand_key(each.need), []).append(each)
    for competing in by_demand.values():
        yield from sorted(competing, key=value)


def _demand_key(need: Demand) -> tuple[float, ...]:
    """What tells a single demand of a call from the others: its tokens and its load. The mix and the chunk are the same for all."""
    fields = (need.isl, need.osl, need.held, need.interactivity, need.ttft_s, need.batch, need.rate)
    return tuple(float(values.ravel()[0]) for values in fields if values is not None)


def _add_plan(request: Request, plan: Plan, changes: tuple[Change, ...], shared: dict[str, Any], explain: bool) -> None:
    need, deployment, inventory = plan.need, plan.deployment, plan.inventory
    for text in boxes.joined(replace(inventory.machine, count=deployment.hardware.count))[1]:
        request.note(text)
    values: dict[str, Any] = {
        "seq": np.ceil((need.held * need.shares).sum(axis=-1) * (1 - 1e-12)),  # a mean of 4100.000000000001 is 4100, not 4101
        "min_interactivity_tok_s": need.interactivity,
        "max_ttft_s": need.ttft_s,
        "requests_per_s": need.rate,
        **shared,
    }
    if need.osl is not None:
        values |= {"isl": float((need.isl * need.parts).sum()), "osl": float(need.answer[0])}
    if math.isfinite(plan.devices):
        values |= _figures(request, plan, explain)
        note = describe_idle_devices(plan)
    else:
        none = dict.fromkeys(("devices", "replicas", "tp", "pp", "dp", "ep", "dcp"))
        values |= {**none, "hardware": inventory.machine.name, "batch": np.full(1, 0.0 if deployment.has_time else np.nan), "limited_by": plan.reason}
        note = describe_failure(plan)
    if note:
        request.note(note)
    request.add(deployment, changes, **values)


def _figures(request: Request, plan: Plan, explain: bool) -> dict[str, Any]:
    """Result columns of a plan that meets its demand, at the requested load."""
    need, deployment, inventory = plan.need, plan.deployment, plan.inventory
    step, fits = need.step(deployment), need.fitting(deployment)
    paced = need.served_step(step)
    fast = solver.batch_interactivity(paced, need.interactivity, fits.shape)
    most, prompts = np.minimum(fits, fast), prefill_times(need, deployment)
    if need.rate is not None:
        each = least_batch(need, step, need.rate / plan.replicas, most, prompts)
        batch, per_s = each * plan.replicas, need.rate * need.answer
    else:
        assert need.batch is not None
        batch, each = need.batch, np.ceil(need.batch / plan.replicas)
        per_s = batch * deployment.accepted / step.seconds(each)
        if need.osl is not None:
            per_s = batch * need.answer * requests_per_s(need, step, each, prompts) / each
    held = "max_seqs" if fits[0] >= memory.seqs_cap(deployment) else "capacity"
    limit = str(limited_by(step, most)[0]) if fast[0] < fits[0] else held
    if need.rate is not None and (most * prompts.prefill_s_per_request > need.answer / deployment.accepted * step.seconds(most))[0]:
        limit = str(prompts.limited_by[0])
    carried = float(max_load(need, deployment).most[0])
    ttft = _first_token(request, plan, step, most, each, prompts)
    if need.rate is not None and carried < ttft.possible * (1 - 1e-9):
        limit = "ttft"
    gains = sensitivity(need, deployment, carried)
    best = max(gains, key=lambda change: gains[change])
    if explain:
        request.note(describe_limit(plan, limit, carried, gains))
    return {
        "devices": plan.devices,
        "replicas": plan.replicas + inventory.spares,
        "batch": batch,
        "interactivity_tok_s": deployment.accepted / np.asarray(paced.seconds(each)),
        "ttft_ms": ttft.mean_s * 1e3,
        "ttft_p95_ms": ttft.late_s * 1e3,
        "busy": ttft.busy,
        "usd_per_mtok_out": MILLION * usd(1 / per_s, int(plan.devices), inventory.usd_per_hour),
        "limited_by": limit,
        "usd_per_hour": plan.devices * inventory.usd_per_hour,
        "relief": best if gains[best] >= LEAST_GAIN else None,
        "relief_gain": max(gains[best], 0.0),
    }


class FirstToken(NamedTuple):
    """Time to first token of a plan under its load; arrays of one demand.

    Attributes
    ----------
    mean_s, late_s : array
        The mean of the longest kind of prompt, and the 95th percentile of all requests; nan where it is not known.
    busy : array
        The rate over `possible`; nan without a rate.
    possible : float
        Requests per second of one replica, whenever the first token comes; inf without a rate.
    """

    mean_s: NDArray[Any]
    late_s: NDArray[Any]
    busy: NDArray[Any]
    possible: float


def _first_token(request: Request, plan: Plan, step: Timed, most: NDArray[Any], each: NDArray[Any], prompts: PrefillTimes) -> FirstToken:
    """Time to first token under the load, with `each` sequences in flight on every replica; a note where a plan is nearly full."""
    need, unknown = plan.need, np.full(each.shape, np.nan)
    if need.osl is None:
        return FirstToken(prompts.first_s, unknown, unknown, math.inf)
    mean = first_token.staggered_ttft_s(need, step, each)
    if need.rate is None:
        return FirstToken(mean, unknown, unknown, math.inf)
    possible, rate = float(max_load(need._replace(ttft_s=np.full(each.shape, np.inf)), plan.deployment).most[0]), need.rate / plan.replicas
    late, busy = unknown, rate / possible
    if first_token.has_queue(need, plan.deployment):
        waiting = first_token.queue(need, step, most)
        mean, late = first_token.ttft_s(need, waiting, rate), first_token.ttft_s(need, waiting, rate, 95.0)
    if busy[0] > BUSY:
        where = f"{plan.deployment.model.name} on {plan.deployment.hardware.name}"
        request.note(f"{where}: replicas are {busy[0] * 100:.0f} % busy; short bursts of requests cause long waits")
    return FirstToken(mean, late, busy, possible)
