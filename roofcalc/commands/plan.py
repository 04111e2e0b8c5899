"""Capacity planning: the smallest or cheapest hardware that meets a demand."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import Unpack

import numpy as np

from roofcalc.catalog.overrides import Change
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_DEVICES, MAX_RATE, MIN_RATE, Names, Numbers, integer_array, number_array, single_integer, single_number
from roofcalc.commands.demands import demand_of, split_lists
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.plan_rows import add_plan
from roofcalc.commands.price import device_price, note_idle_power, pricing
from roofcalc.commands.request import Request
from roofcalc.commands.serve import serve_columns, target
from roofcalc.commands.workload import batch_sizes, chunk_tokens, required_interactivity
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers.parallel import map_in_order
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Inventory, whole_machines
from roofcalc.solvers.planner.select import Plan, plans
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

OBJECTIVES = ("devices", "usd")
LAYOUTS = ("usual", "all")
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
MAX_PLANS = 2000  # each takes a layout search of about 10 ms
MAX_EXPLAINED = 8  # with more plans, no note per plan on its limit


@notes_idle_changes
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
    goodput: bool = False,
    max_latency: Numbers | None = None,
    batch: Numbers | None = None,
    requests_per_second: Numbers | None = None,
    devices: Numbers | None = None,
    spare: Numbers | None = None,
    least: str | None = None,
    layouts: str | None = None,
    usd_per_hour: Numbers | None = None,
    capex: Numbers | None = None,
    years: Numbers | None = None,
    power_price: Numbers | None = None,
    pue: Numbers | None = None,
    idle_power: Numbers | None = None,
    serve: str | None = None,
    **options: Unpack[Options],
) -> Table:
    """The fewest devices, as replicas of one layout, that meet a demand; and the ranking of machines by devices or cost.

    Every replica size and layout is evaluated, because a larger replica does not always meet what a smaller one does. A replica of
    a model without experts has one data-parallel rank; further ranks count as further replicas.

    By default the plan takes a usual layout (`roofcalc.solvers.planner.usual`): within a scale-up domain, with a power of two of tensor
    ranks and no pipeline; where none meets the demand, over several domains, with pipeline stages or data-parallel ranks between them;
    where none of these does, any. Of usual layouts that need the same number of devices it takes the most and so the smallest replicas
    that carry at least 80 % of what any of them does, and are if possible at most 90 % busy. A note says why, and what fewer devices
    any other layout takes.

    With `layouts="all"`, all layouts are searched alike. Of those that need the same number of devices, the plan is the one with the
    highest interactivity at the requested batch, which also decodes at the lowest cost per token; for requests per second, the one with
    the highest capacity. Ties go to fewer active devices, then fewer pipeline stages, then more tensor-parallel ranks. Devices that come
    with a whole machine but are not needed run further replicas, as far as there are enough devices for one and sequences for it.

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
    goodput : bool
        Adds the share of the requests that meet both `ttft` and `interactivity`, each by itself; for `requests_per_second`, isl and osl.
    max_latency : seconds
        Longest acceptable mean time from the arrival of a request to its last token, of the kind of request that takes longest; needs isl
        and osl, or a mix.
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
    layouts : "usual" or "all"
        Which layouts are proposed (default "usual"); degrees that are given are not restricted.
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).
    capex, years, power_price, pue, idle_power
        Instead: the price of an hour of one's own hardware, as `cost` takes them; with a rate, of power at the load of the plan.
    serve : str
        As `max_batch` takes it: the command line of one replica.

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
    if layouts is not None and layouts not in LAYOUTS:
        raise invalid_choice("--layouts", layouts, LAYOUTS)
    generations = mix is not None or isl is not None or osl is not None
    if requests_per_second is not None and not generations:
        raise RoofcalcError("--requests-per-second: give the tokens of a request too: --isl and --osl, or --mix")
    if requests_per_second is not None and batch is not None:
        raise RoofcalcError("--batch, --requests-per-second: give one of them")
    if requests_per_second is not None and options.get("arrivals") is not None:
        raise RoofcalcError("--arrivals: requests per second arrive at random times; it is for a number in flight (--batch)")
    if goodput and (requests_per_second is None or ttft is None or mix is not None):
        raise RoofcalcError("--goodput: give --requests-per-second, --isl, --osl and --ttft; not known for a mix of requests")
    if max_latency is not None and not generations:
        raise RoofcalcError("--max-latency: give the tokens of a request too: --isl and --osl, or --mix")
    given = ("isl", "osl", "kv_at") if generations else ()
    more = (
        *columns.PLAN_LIMITS,
        *((columns.REQUESTS_PER_S,) if requests_per_second is not None else ()),
        *((columns.MAX_TTFT_S,) if ttft is not None else ()),
        *((columns.SPARE,) if spare is not None else ()),
        *columns.PLAN_MORE,
        *(columns.PLAN_QUEUE if requests_per_second is not None else ()),
        *columns.PLAN_LAYOUTS,
        *((columns.LATENCY_S,) if generations else ()),
        *((columns.MAX_LATENCY_S,) if max_latency is not None else ()),
        *(columns.GOODPUT[-1:] if goodput else ()),
        *((columns.PLAN_TTFT_PERCENTILE,) if ttft_percentile is not None else ()),
        *serve_columns(server := target(serve)),
    )
    price = pricing(usd_per_hour, capex, years, power_price, pue, idle_power, idle=requests_per_second is not None)
    also = [*(name for name, value in (("chunk", chunk), ("mix", mix), ("ttft_percentile", ttft_percentile)) if value is not None), *price.given]
    request = Request("plan", columns.PLAN, model, split_lists(hardware), options, (*given, *also), more)
    if price.power_price is not None and requests_per_second is not None:
        note_idle_power(request, price)
    percentile = _percentile(request, ttft_percentile, ttft, requests_per_second)
    loads = {"interactivity": required_interactivity(request, interactivity)}
    for name, seconds in (("ttft", ttft), ("latency", max_latency)):
        option = "--ttft" if name == "ttft" else "--max-latency"
        loads[f"{name}_s"] = np.array([np.inf]) if seconds is None else number_array(seconds, option, MIN_RATE, MAX_RATE)
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
        demand = demand_of(request, resolved, context, isl, osl, mix, kv_at, chunk, loads)._replace(percentile=percentile)
        if (number := demand.interactivity.size * request.searched * len(precisions)) > MAX_PLANS:
            raise RoofcalcError(f"{number:,} plans; at most {MAX_PLANS:,} are computed at once")
        hourly = device_price(request, machine, price)
        inventory = Inventory(machine, whole_machines(machine, available), spares, float(hourly.at(1)), hourly.at)
        for weights, kv in precisions:
            single_device = request.deploy(resolved, replace(machine, count=1), weights, kv, tp=1, pp=1, dp=1)
            made = plans(
                demand, single_device, inventory, request.fixed_degrees(single_device.assumptions.engine), request.table.executor, layouts == "all"
            )
            by_model.setdefault((resolved.name, changes, single_device.assumptions.assume), []).extend(made)
    shared = {"kv_at": kv_at or "end", "chunk": chunk_tokens(chunk), "mix": mix, "spare": spares, "ttft_percentile": percentile, **price.stated()}
    explain = sum(map(len, by_model.values())) <= MAX_EXPLAINED
    ranked = [(each, changes) for (_, changes, _), some in by_model.items() for each in _ranked(some, least or OBJECTIVES[0])]
    with closing(map_in_order(None, lambda pair: add_plan(request, *pair, shared, explain, server), ranked)) as added:
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
    if request.assumptions.is_bound:
        raise RoofcalcError("--ttft-percentile: not in bound, where prompts do not queue")
    return percent


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
    fields = (need.isl, need.osl, need.held, need.interactivity, need.ttft_s, need.latency_s, need.batch, need.rate)
    return tuple(float(values.ravel()[0]) for values in fields if values is not None)
