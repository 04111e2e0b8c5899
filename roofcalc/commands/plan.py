"""The least hardware, or the least money, that meets a demand."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc import units
from roofcalc.catalog import boxes
from roofcalc.catalog.overrides import Change
from roofcalc.commands.arguments import Names, Numbers, positive, single, whole
from roofcalc.commands.max_batch import DEFAULT_INTERACTIVITY
from roofcalc.commands.options import Options
from roofcalc.commands.price import usd_per_device_hour
from roofcalc.commands.request import Request
from roofcalc.commands.request_mix import mix as mix_of
from roofcalc.commands.workload import SEARCHED_SEQ, axes, workload
from roofcalc.economics.cost import MILLION, usd
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.physics.generation import limited_by
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.parallel import mapped
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Market
from roofcalc.solvers.planner.messages import LEAST_GAIN, what_binds, what_idles, why_not
from roofcalc.solvers.planner.replica import ability, least_batch, reading, requests_per_s
from roofcalc.solvers.planner.select import Plan, plans
from roofcalc.solvers.planner.sensitivity import relief
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = ("devices", "usd")
MAX_DEVICES = 10**6
MAX_PLANS = 2000  # each a search of its own: about 10 ms
MOST_SAID = 8  # plans whose limits are put into a sentence each


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
    batch: Numbers | None = None,
    requests_per_second: Numbers | None = None,
    devices: Numbers | None = None,
    spare: Numbers | None = None,
    least: str | None = None,
    usd_per_hour: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """The fewest devices, as replicas of one layout, that hold and serve a demand; or the least money among machines.

    Every number of devices of a replica and every legal layout is looked at, since more devices do not always do what fewer
    did. A replica of a model without experts has one data-parallel rank: more ranks are more replicas. Of layouts that take as many
    devices, the one that is fastest for each user at the sequences that are asked, and thus decodes for the least money per token;
    for requests per second the one that could carry the most. Where that is equal too, fewer devices that work, fewer stages, then
    more tensor ranks. Devices that must be taken, such as the rest of a machine, work as further replicas where there are enough for
    one and sequences for it.

    Parameters
    ----------
    model : names
    hardware : names
        Devices, of which any number may be taken; or machines (`8xh100-sxm`, systems), of which whole ones are.
    seq, isl, osl, kv_at, chunk
        As `max_batch` takes them (default contexts of 8k).
    mix : path
        Requests of several kinds in place of isl and osl (`roofcalc.commands.request_mix`).
    interactivity : tok/s/user
        The least that each user must get (default 30).
    ttft : seconds
        Longest time to the first token, of a prompt by itself on its rank; with contexts, of a prompt that fills one.
    batch : sequences
        In flight over all replicas (default 1).
    requests_per_second
        In place of a batch; for isl and osl, or a mix.
    devices : int or list of int
        Numbers of devices that can be had.
    spare : int
        Devices that may be lost while the demand is met; each takes its replica with it.
    least : "devices" or "usd"
        By what machines are ordered, the best first (default "devices").
    usd_per_hour
        Dollars per device-hour (default: the newest on-demand price of the table).

    Returns
    -------
    Table
        A row per model, change and demand for each machine, weights and KV dtype, the best first. One that cannot do it has no
        devices and says what is in the way.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    if least is not None and least not in LEAST:
        raise RoofcalcError(f"least: {least!r} is none of {', '.join(LEAST)}{did_you_mean(least, LEAST)}")
    generations = mix is not None or isl is not None or osl is not None
    if requests_per_second is not None and not generations:
        raise RoofcalcError("requests_per_second: requests need their tokens: give isl and osl, or a mix")
    if requests_per_second is not None and batch is not None:
        raise RoofcalcError("batch, requests_per_second: either is a load; give one")
    given = ("isl", "osl", "kv_at") if generations else ()
    more = (
        *columns.PLAN_ASKED,
        *((columns.RATE_ASKED,) if requests_per_second is not None else ()),
        *((columns.TTFT_ASKED,) if ttft is not None else ()),
        *((columns.SPARE,) if spare is not None else ()),
        *columns.PLAN_MORE,
    )
    also = [name for name, value in (("chunk", chunk), ("mix", mix)) if value is not None]
    request = Request("plan", columns.PLAN, model, _apart(hardware), options, (*given, *also), more)
    if interactivity is None:
        request.note(f"interactivity: at least {units.plain(DEFAULT_INTERACTIVITY)} tok/s for each user (--interactivity)")
    if not generations and seq is None:
        request.note(f"seq: contexts of {SEARCHED_SEQ:,} tokens (--seq, or --isl and --osl, or --mix)")
    loads = {
        "interactivity": positive(DEFAULT_INTERACTIVITY if interactivity is None else interactivity, "interactivity", 0, 1e9),
        "ttft_s": np.array([np.inf]) if ttft is None else positive(ttft, "ttft", 1e-6, 1e9),
    }
    if requests_per_second is None:
        loads["batch"] = whole(1 if batch is None else batch, "batch", solver.MAX_BATCH)
    else:
        loads["rate"] = positive(requests_per_second, "requests_per_second", 1e-9, 1e9)
    had = None if devices is None else np.sort(whole(devices, "devices", MAX_DEVICES))
    lost = 0 if spare is None else int(whole(single(spare, "spare", 0, MAX_DEVICES), "spare", MAX_DEVICES, 0)[0])
    found: dict[tuple[str, tuple[Change, ...], str], list[Plan]] = {}
    for own, machine, changes, precisions in request.searches():
        context = min(SEARCHED_SEQ, own.context) if seq is None and not generations else seq
        demand = _demand(request, own, context, isl, osl, mix, kv_at, chunk, loads)
        if (number := demand.interactivity.size * request.searched * len(precisions)) > MAX_PLANS:
            raise RoofcalcError(f"{number:,} plans; at most {MAX_PLANS:,} are made at once")
        market = Market(machine, had, lost, usd_per_device_hour(request, machine, usd_per_hour))
        for weights, kv in precisions:
            alone = request.deployed(own, replace(machine, count=1), weights, kv, tp=1, pp=1, dp=1)
            key = own.name, changes, alone.assumptions.assume
            found.setdefault(key, []).extend(plans(demand, alone, market, request.degrees(), request.table.executor))
    shared = {"kv_at": kv_at or "end", "chunk": chunk, "mix": mix, "spare": lost}
    say = sum(map(len, found.values())) <= MOST_SAID
    ordered = [(one, changes) for (_, changes, _), some in found.items() for one in _ordered(some, least or LEAST[0])]
    with closing(mapped(None, lambda one: _add_plan(request, *one, shared, say), ordered)) as each:
        deque(each, maxlen=0)
    if not say:
        request.note("limited_by is what a replica would run out of first; relief is what would let it carry the most more")
    return request.answer()


def _apart(hardware: Any) -> Any:
    """Several arguments, each of which may be a comma list, as one list."""
    if not isinstance(hardware, list) or not all(isinstance(one, str) for one in hardware):
        return hardware
    return [name for one in hardware for name in ([one] if os.path.isfile(one) else one.split(","))]


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
    """Every combination of what was asked, the requests first."""
    if mix is not None:
        if isl is not None or osl is not None or seq is not None:
            raise RoofcalcError("mix: give either a file of requests (--mix), or --isl and --osl, or contexts (--seq)")
        kinds = mix_of(mix)
        request.beyond(model, kinds.isl + kinds.osl)
        work, parts, number = workload([kinds.isl, kinds.osl], kv_at, chunk), kinds.parts, [np.zeros(1, dtype=np.intp)]
        of_work = work.at(np.arange(parts.size)[np.newaxis])
    else:
        points = request.grid(*axes(request, model, seq, isl, osl))
        work, parts, number = workload(points, kv_at, chunk), np.ones(1), [np.arange(points[0].size)]
        of_work = work.at(np.arange(points[0].size)[:, np.newaxis])
    which, *each = request.grid(*number, *loads.values())
    chosen = of_work.at(which.astype(np.intp))
    prompts = chosen.seq if chosen.isl is None else chosen.isl
    asked: dict[str, Any] = {"batch": None, "rate": None, **dict(zip(loads, each, strict=True))}
    return Demand(prompts, chosen.osl, chosen.seq, parts, chunk=work.chunk, **asked)


def _ordered(some: list[Plan], least: str) -> Iterator[Plan]:
    """The plans of one model, need by need, the best first."""
    needs: dict[tuple[float, ...], list[Plan]] = {}
    for one in some:
        asked = tuple(float(np.asarray(values).ravel()[0]) for values in (*one.need[:3], *one.need[4:8]) if values is not None)
        needs.setdefault(asked, []).append(one)

    def order(one: Plan) -> float:
        figure = one.devices if least == LEAST[0] else one.devices * one.market.usd_per_hour
        return math.inf if math.isnan(figure) else figure

    for alike in needs.values():
        yield from sorted(alike, key=order)


def _add_plan(request: Request, one: Plan, changes: tuple[Change, ...], shared: dict[str, Any], say: bool) -> None:
    need, deployment, market = one.need, one.deployment, one.market
    for text in boxes.joined(replace(market.machine, count=deployment.hardware.count))[1]:
        request.note(text)
    values: dict[str, Any] = {
        "seq": np.ceil((need.held * need.shares).sum(axis=-1)),
        "min_interactivity_tok_s": need.interactivity,
        "max_ttft_s": need.ttft_s,
        "requests_per_s": need.rate,
        **shared,
    }
    if need.osl is not None:
        values |= {"isl": float((need.isl * need.parts).sum()), "osl": float(need.answer[0])}
    if math.isfinite(one.devices):
        values |= _figures(request, one, say)
        note = what_idles(one)
    else:
        none = dict.fromkeys(("devices", "replicas", "tp", "pp", "dp", "ep", "dcp"))
        values |= {**none, "hardware": market.machine.name, "batch": np.full(1, 0.0 if deployment.has_time else np.nan), "limited_by": one.reason}
        note = why_not(one)
    if note:
        request.note(note)
    request.add(deployment, changes, **values)


def _figures(request: Request, one: Plan, say: bool) -> dict[str, Any]:
    """What the replicas of a plan do at the load that is asked."""
    need, deployment, market = one.need, one.deployment, one.market
    step, fitting = need.step(deployment), need.fitting(deployment)
    fast = solver.batch_interactivity(step, need.interactivity, fitting.shape)
    most, prompts = np.minimum(fitting, fast), reading(need, deployment)
    if need.rate is not None:
        each = least_batch(need, step, need.rate / one.replicas, most, prompts)
        batch, per_s = each * one.replicas, need.rate * need.answer
    else:
        assert need.batch is not None
        batch, each = need.batch, np.ceil(need.batch / one.replicas)
        per_s = batch * deployment.accepted / step.seconds(each)
        if need.osl is not None:
            per_s = batch * need.answer * requests_per_s(need, step, each, prompts) / each
    limit = str(limited_by(step, most)[0]) if fast[0] < fitting[0] else "capacity"
    if need.rate is not None and (most * prompts.prompt_s > need.answer / deployment.accepted * step.seconds(most))[0]:
        limit = str(prompts.limited_by[0])
    carried = float(ability(need, deployment).most[0])
    gains = relief(need, deployment, carried)
    name = max(gains, key=lambda one: gains[one])
    if say:
        request.note(what_binds(one, limit, carried, gains))
    return {
        "devices": one.devices,
        "replicas": one.replicas + market.lost,
        "batch": batch,
        "interactivity_tok_s": deployment.accepted / np.asarray(step.seconds(each)),
        "ttft_ms": prompts.first_s * 1e3,
        "usd_per_mtok_out": MILLION * usd(1 / per_s, int(one.devices), market.usd_per_hour),
        "limited_by": limit,
        "usd_per_hour": one.devices * market.usd_per_hour,
        "relief": name if gains[name] >= LEAST_GAIN else None,
        "relief_gain": max(gains[name], 0.0),
    }
