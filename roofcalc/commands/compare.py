"""Machines, models or precisions side by side for one demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Unpack

import numpy as np

from roofcalc.catalog.overrides import Change
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_RATE, MIN_RATE, Names, Numbers, single_number
from roofcalc.commands.demands import demand_of, split_lists
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.price import Pricing, device_price, note_idle_power, power_w, pricing
from roofcalc.commands.price import idle_power as idle_power_of
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import serving
from roofcalc.commands.workload import chunk_tokens, generation_options, note_prompts_of_others, required_speed
from roofcalc.deployment.deployment import Deployment
from roofcalc.economics import cost as money
from roofcalc.economics.ownership import power_at
from roofcalc.errors import RoofcalcError
from roofcalc.physics.memory import batch_memory
from roofcalc.report import columns
from roofcalc.report.table import Block, Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Inventory
from roofcalc.solvers.planner.replica import REASONS, max_load
from roofcalc.solvers.planner.select import plans
from roofcalc.solvers.planner.served import served
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace
from roofcalc.units import SECONDS_PER_HOUR

NEARLY_EQUAL = 1e-3  # smaller relative differences are not marked


class Figure(NamedTuple):
    """A figure that is compared: its column, its word in the column `best`, and whether more of it is better."""

    column: str
    word: str
    more: bool


FIGURES = (
    Figure("devices", "devices", False),
    Figure("users", "users", True),
    Figure("interactivity_tok_s", "speed", True),
    Figure("ttft_ms", "first token", False),
    Figure("usd_per_mtok_out", "cost", False),
    Figure("joule_per_token", "energy", False),
)
RATIOS = {"users_ratio": "users", "speed_ratio": "interactivity_tok_s", "cost_ratio": "usd_per_mtok_out"}


@notes_idle_changes
def compare(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    seq: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    interactivity: Numbers | None = None,
    ttft: Numbers | None = None,
    max_latency: Numbers | None = None,
    requests_per_second: Numbers | None = None,
    usd_per_hour: Numbers | None = None,
    capex: Numbers | None = None,
    years: Numbers | None = None,
    power_price: Numbers | None = None,
    pue: Numbers | None = None,
    idle_power: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Two or more machines, models, precisions or layouts for one demand: users, speed, first token, cost, energy and what limits each.

    Without a rate, each machine is taken as named and serves as many users as it can, as `max_batch` finds them. With
    `requests_per_second`, each is taken as often as `plan` needs it, in the layout that `plan` proposes.

    Parameters
    ----------
    model, hardware, kv_at, chunk, options
        As `max_batch` takes them; lists cross, and every combination is a row.
    seq : tokens
        One context (default 8k); or isl and osl, one request.
    interactivity : tok/s/user
        Lowest acceptable speed of each user (default 30).
    ttft, max_latency : seconds
        Longest acceptable mean time to the first token and to the last, as `plan` takes them.
    requests_per_second
        Load that each row must serve; needs isl and osl.
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).
    capex, years, power_price, pue, idle_power
        As `plan` takes them.

    Returns
    -------
    Table
        One row per combination, in the order given; ratios are to the first row, and `best` names the figures in which a row is better
        than all others.

    Raises
    ------
    RoofcalcError
        A single combination, several demands, or invalid arguments, one line per problem.
    """
    generations = isl is not None or osl is not None
    if not generations and (requests_per_second is not None or max_latency is not None):
        option = "--requests-per-second" if requests_per_second is not None else "--max-latency"
        raise RoofcalcError(f"{option}: give the tokens of a request too: --isl and --osl")
    deadlines = ((ttft, "--ttft", columns.MAX_TTFT_S), (max_latency, "--max-latency", columns.MAX_LATENCY_S))
    more = (*columns.PLAN_LIMITS, *(column for value, _, column in deadlines if value is not None))
    price = pricing(usd_per_hour, capex, years, power_price, pue, idle_power, idle=requests_per_second is not None, energy=True)
    given = (*generation_options(isl, osl, chunk), *price.given)
    request = Request("compare", columns.COMPARE, model, split_lists(hardware), options, given, more)
    limits = [np.inf if value is None else single_number(value, option, MIN_RATE, MAX_RATE) for value, option, _ in deadlines]
    loads = {"interactivity": required_speed(request, interactivity), "ttft_s": limits[0], "latency_s": limits[1]}
    rate = None if requests_per_second is None else single_number(requests_per_second, "--requests-per-second", 1e-9, 1e9)
    loads |= {"batch": 1.0} if rate is None else {"rate": rate}
    if rate is not None:
        note_idle_power(request, price)
    note_prompts_of_others(request, isl)
    if not generations and seq is None:
        request.note(f"seq: a context of {defaults.SEARCH_SEQ:,} tokens (--seq, or --isl and --osl)")

    def demand(of: Model) -> Demand:
        context = min(defaults.SEARCH_SEQ, of.context) if seq is None and not generations else seq
        found = demand_of(request, of, context, isl, osl, None, kv_at, chunk, {name: np.array([value]) for name, value in loads.items()})
        if found.interactivity.size != 1:
            raise RoofcalcError("compare: one demand at a time; give one --seq, or one --isl and one --osl")
        return found

    shared = {"kv_at": kv_at or "end", "chunk": chunk_tokens(chunk), **price.stated()}
    found = _machines_as_named(request, demand) if rate is None else _machines_planned(request, demand, price)
    for deployment, changes, need, replicas, devices, reason in found:
        values = _row(request, deployment, need, replicas, devices, reason, price)
        request.add(deployment, changes, **values, **shared)
    if len(request.table) < 2:
        raise RoofcalcError("compare: one combination alone; name two or more machines, models or precisions, such as 8xh100-sxm 8xmi300x")
    _mark(request.table, "users" if rate is None else "devices")
    return request.answer()


Found = tuple[Deployment, tuple[Change, ...], Demand, float, float, str]


def _machines_as_named(request: Request, demand: Any) -> Iterator[Found]:
    """Every deployment with the most sequences that it serves; 0 with the reason where there are none."""
    for default, changes in request.deployments():
        need = demand(default.model)
        deployment = serving(request, default, need.held[..., 0])
        count = float(deployment.hardware.count)
        if not deployment.has_time:
            yield deployment, changes, need, 0.0, count, "unknown"
            continue
        most = max_load(need, deployment)
        if not batch_memory(deployment, need.held[:, 0]).all():
            request.note(fit_advice.what_would_fit(deployment, float(need.held[0, 0])))
        served_ = need._replace(batch=most.most)
        yield deployment, changes, served_, float(most.most[0] > 0), count, REASONS[int(most.reason[0])]


def _machines_planned(request: Request, demand: Any, price: Pricing) -> Iterator[Found]:
    """Every combination in the layout and number of replicas that `plan` proposes."""
    for resolved, machine, changes, precisions in request.searches():
        need = demand(resolved)
        inventory = Inventory(machine, None, 0, float(device_price(request, machine, price).at(1)))
        for weights, kv in precisions:
            single = request.deploy(resolved, replace(machine, count=1), weights, kv, tp=1, pp=1, dp=1)
            (plan,) = plans(need, single, inventory, request.fixed_degrees(single.assumptions.engine), request.table.executor)
            met = np.isfinite(plan.devices)
            deployment = plan.deployment if met else replace(plan.deployment, hardware=machine)
            yield deployment, changes, need, plan.replicas if met else 0.0, plan.devices if met else np.nan, plan.reason


def _row(request: Request, deployment: Deployment, need: Demand, replicas: float, devices: float, reason: str, price: Pricing) -> dict[str, Any]:
    """The figures of one combination; only what it is where it serves nobody."""
    values: dict[str, Any] = {
        "seq": need.held[:, 0],
        "min_interactivity_tok_s": need.interactivity,
        "max_ttft_s": need.ttft_s,
        "max_latency_s": need.latency_s,
        "devices": np.array([devices]),
        "replicas": np.array([replicas]),
        "users": np.zeros(1),
        "limited_by": reason,
        "isl": None if need.osl is None else float(need.isl[0, 0]),
        "osl": None if need.osl is None else float(need.answer[0]),
    }
    if not replicas:
        return values
    at_load = served(need, deployment, replicas)
    machine = deployment.hardware
    load = 1.0 if np.isnan(at_load.busy[0]) else min(float(at_load.busy[0]), 1.0)
    hour = float(device_price(request, machine, price).at(load)) * devices
    watts = float(power_at(power_w(request, machine) * devices / machine.count, idle_power_of(price), load))
    return {
        **values,
        "users": at_load.batch,
        "interactivity_tok_s": at_load.interactivity,
        "ttft_ms": at_load.first_s * 1e3,
        "latency_s": at_load.last_s,
        "throughput_tok_s": at_load.tok_s,
        "usd_per_hour": hour,
        "usd_per_mtok_out": money.per_million(hour / SECONDS_PER_HOUR, at_load.tok_s),
        "joule_per_token": money.joule_per_token(1.0, watts, at_load.tok_s),
        "limited_by": at_load.limited_by,
    }


def _mark(table: Table, size: str) -> None:
    """Adds the ratios to the first row, and what each row is best in; `size` is compared of users and devices."""
    figures = {name: np.array([_number(block, name) for block in table.blocks]) for name in {one.column for one in FIGURES}}
    words: list[list[str]] = [[] for _ in table.blocks]
    for figure in (one for one in FIGURES if one.column == size or one.column not in ("users", "devices")):
        sign = 1.0 if figure.more else -1.0
        value = sign * figures[figure.column]
        order = np.argsort(-np.nan_to_num(value, nan=-np.inf), kind="stable")
        first, second = value[order[0]], value[order[1]]
        if np.isfinite(first) and not (np.isfinite(second) and first - second <= NEARLY_EQUAL * abs(first)):
            words[order[0]].append(figure.word)
    for number, block in enumerate(table.blocks):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = {name: np.array([figures[column][number] / figures[column][0]]) for name, column in RATIOS.items()}
        table.blocks[number] = Block(block.size, {**block.values, **ratios, "best": ", ".join(words[number]) or None})  # type: ignore[union-attr]


def _number(block: Any, name: str) -> float:
    value = block.values.get(name)
    return float("nan") if value is None else float(np.ravel(value)[0])
