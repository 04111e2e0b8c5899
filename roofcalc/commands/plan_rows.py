"""Rows of plans, and notes on their layout and their limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from roofcalc.catalog import boxes
from roofcalc.catalog.overrides import Change
from roofcalc.commands.request import Request
from roofcalc.commands.serve import Target, lines_of
from roofcalc.economics.cost import MILLION, usd
from roofcalc.solvers.planner.best import BUSY
from roofcalc.solvers.planner.messages import LEAST_GAIN, describe_choice, describe_failure, describe_idle_devices, describe_limit
from roofcalc.solvers.planner.select import Plan
from roofcalc.solvers.planner.sensitivity import sensitivity
from roofcalc.solvers.planner.served import Served, served
from roofcalc.solvers.planner.usual import OTHER
from roofcalc.specs.record import replace


def add_plan(request: Request, plan: Plan, changes: tuple[Change, ...], shared: dict[str, Any], explain: bool, server: Target | None = None) -> None:
    """Adds the row of a plan, or of what keeps a demand from being met; `explain` adds notes on its layout and its limit."""
    need, deployment, inventory = plan.need, plan.deployment, plan.inventory
    for text in boxes.joined(replace(inventory.machine, count=deployment.hardware.count))[1]:
        request.note(text)
    values: dict[str, Any] = {
        "seq": np.ceil((need.held * need.shares).sum(axis=-1) * (1 - 1e-12)),  # a mean of 4100.000000000001 is 4100, not 4101
        "min_interactivity_tok_s": need.interactivity,
        "max_ttft_s": need.ttft_s,
        "max_latency_s": need.latency_s,
        "requests_per_s": need.rate,
        **shared,
    }
    if need.osl is not None:
        values |= {"isl": float((need.isl * need.parts).sum()), "osl": float(need.answer[0])}
    if math.isfinite(plan.devices):
        at_load = served(need, deployment, plan.replicas)
        values |= _figures(request, plan, at_load, explain)
        if (lines := lines_of(request, server, deployment, need.chunk)) is not None:
            # requests that come at random are not always as many as the mean in flight
            seqs = at_load.most if need.rate is not None else np.asarray(at_load.batch) / plan.replicas
            longest = need.isl + (need.osl if need.osl is not None else 0.0)
            values["serve"] = lines.of(longest.max(axis=-1), seqs)
            request.note(f"--for: one replica; {deployment.model.name} on {inventory.machine.name} takes {values['replicas']:,.0f}")
        note = describe_idle_devices(plan)
    else:
        none = dict.fromkeys(("devices", "replicas", "tp", "pp", "dp", "ep", "dcp"))
        values |= {**none, "hardware": inventory.machine.name, "batch": np.full(1, 0.0 if deployment.has_time else np.nan), "limited_by": plan.reason}
        note = describe_failure(plan)
    if note:
        request.note(note)
    request.add(deployment, changes, **values)


def _figures(request: Request, plan: Plan, at_load: Served, explain: bool) -> dict[str, Any]:
    """Result columns of a plan that meets its demand, at the requested load."""
    need, deployment, inventory = plan.need, plan.deployment, plan.inventory
    gains = sensitivity(need, deployment, at_load.carried)
    best = max(gains, key=lambda change: gains[change])
    if at_load.busy[0] > BUSY:
        where = f"{deployment.model.name} on {deployment.hardware.name}"
        request.note(f"{where}: replicas are {at_load.busy[0] * 100:.0f} % busy; short bursts of requests cause long waits")
    if explain:
        request.note(describe_limit(plan, at_load.limited_by, at_load.carried, gains))
        least = plan.least and served(need, plan.least.deployment, plan.least.replicas)
        if text := describe_choice(plan, at_load, least):
            request.note(text)
    hour = inventory.usd_at(float(at_load.busy[0]))
    return {
        "devices": plan.devices,
        "replicas": plan.replicas + inventory.spares,
        "batch": at_load.batch,
        "interactivity_tok_s": at_load.interactivity,
        "ttft_ms": at_load.first_s * 1e3,
        "ttft_p95_ms": at_load.late_s * 1e3,
        "latency_s": at_load.last_s,
        "busy": at_load.busy,
        "goodput": at_load.goodput,
        "ttft_percentile_ms": at_load.at_percentile_s * 1e3,
        "usd_per_mtok_out": MILLION * usd(1 / at_load.tok_s, int(plan.devices), hour),
        "limited_by": at_load.limited_by,
        "usd_per_hour": plan.devices * hour,
        "relief": best if gains[best] >= LEAST_GAIN else None,
        "relief_gain": max(gains[best], 0.0),
        "layouts": "all" if plan.chosen == OTHER else "usual",
        "least_devices": plan.least.devices if plan.least else plan.devices,
    }
