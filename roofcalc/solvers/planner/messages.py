"""Notes on a plan, one sentence each: its limit, idle devices, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from roofcalc import units
from roofcalc.physics.roofline import UNKNOWN
from roofcalc.solvers.planner.inventory import replica_sizes
from roofcalc.solvers.planner.select import Plan

LEAST_GAIN = 0.0005  # smaller gains are not mentioned


def _counted(count: float, what: str) -> str:
    return f"{count:,.0f} {what}{'' if count == 1 else 's'}"


def describe_limit(plan: Plan, limit: str, carried: float, gains: Mapping[str, float]) -> str:
    """The largest load of one replica, its limit, and the changes that would raise it."""
    load = f"{units.significant(carried)} requests per second" if plan.need.rate is not None else _counted(carried, "sequence")
    helpful = [f"{name} ({gain * 100:+.1f} %)" for name, gain in sorted(gains.items(), key=lambda item: -item[1]) if gain >= LEAST_GAIN]
    more = f"more with {', '.join(helpful)}" if helpful else "no single hardware figure raises it"
    where = f"{plan.deployment.model.name} on {plan.deployment.hardware.name}"
    return f"{where}: one replica can carry {load}, limited by {limit}; {more}"


def describe_idle_devices(plan: Plan) -> str:
    """A sentence where at least half of the devices of whole systems would be idle; else empty."""
    inventory = plan.inventory
    used = plan.deployment.hardware.count * (plan.replicas + inventory.spares)
    if inventory.available is not None or 2 * used > plan.devices:
        return ""
    machine = inventory.machine
    return f"{machine.name}: whole systems are counted, and at least half of their devices are idle; name {machine.device.name} for any number"


def describe_failure(plan: Plan) -> str:
    """Why no layout meets the demand; empty where no time is known."""
    inventory, sizes = plan.inventory, replica_sizes(plan.deployment, plan.inventory)
    where = f"{plan.deployment.model.name} on {inventory.machine.name}"
    most = max(sizes.stop - 1, 1)
    layouts = f"no layout of up to {_counted(most, 'device')}"
    available = "" if inventory.available is None else f" (at most {inventory.available.max():,.0f})"
    reasons = {
        UNKNOWN: "",  # `roofcalc.deployment.deployment.notes` names the missing peak
        "devices": f"it needs more devices than are available{available}",
        "ttft": f"{layouts} meets the time to first token",
        "interactivity": f"{layouts} is fast enough for a single sequence",
    }
    reason = reasons.get(plan.reason, f"{layouts} fits the weights and one sequence")
    return f"{where}: {reason}" if reason else ""
