"""Notes on a plan, one sentence each: its layout, its limit, idle devices, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from roofcalc import units
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.resources import UNKNOWN
from roofcalc.solvers.planner import usual
from roofcalc.solvers.planner.best import NEARLY
from roofcalc.solvers.planner.inventory import replica_sizes
from roofcalc.solvers.planner.select import Plan
from roofcalc.solvers.planner.served import Served

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


def describe_choice(plan: Plan, chosen: Served, least: Served | None) -> str:
    """Why the layout is proposed, and what fewer devices would take; empty where all layouts were searched alike.

    `chosen` and `least` are the figures of the plan and of the one with the fewest devices.
    """
    if plan.every:
        return ""
    deployment, spares = plan.deployment, plan.inventory.spares
    domain = usual.domain_of(deployment.hardware)
    why = {
        usual.DOMAIN: f"usual layouts need {_counted(plan.devices, 'device')}; the smallest replica size with at least "
        f"{NEARLY * 100:.0f} % of the best capacity per device",
        usual.DOMAINS: f"no usual layout within a scale-up domain of {_counted(domain, 'device')} meets the demand; a usual one over several",
        usual.OTHER: "no usual layout meets the demand (a power of two of tensor ranks in a domain, pipeline stages between domains); from all",
    }[plan.chosen]
    text = f"{deployment.model.name} on {plan.inventory.machine.name}: {_replicas(deployment, plan.replicas + spares)}: {why}"
    if plan.least is None or least is None:
        return text
    shown = _replicas(plan.least.deployment, plan.least.replicas + spares)
    speeds = f"{units.significant(least.interactivity[0])} instead of {units.significant(chosen.interactivity[0])} tok/s for each user"
    times = f"first token after {units.significant(least.first_s[0] * 1e3)} instead of {units.significant(chosen.first_s[0] * 1e3)} ms"
    return f"{text}; fewest of all layouts: {_counted(plan.least.devices, 'device')}, {shown}, {speeds}, {times} (--layouts all)"


def _replicas(deployment: Deployment, replicas: float) -> str:
    """Replicas and their layout in words: `4 replicas of tp 4`."""
    degrees = {name: getattr(deployment.layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}
    layout = " · ".join(f"{name} {degree}" for name, degree in degrees.items() if degree > 1 or name == "tp")
    return f"{_counted(replicas, 'replica')} of {layout}"


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
        UNKNOWN: "",  # `roofcalc.deployment.fallbacks.notes` names the missing peak
        "devices": f"it needs more devices than are available{available}",
        "ttft": f"{layouts} meets the time to first token",
        "latency": f"{layouts} meets the time to the last token",
        "interactivity": f"{layouts} is fast enough for a single sequence",
    }
    reason = reasons.get(plan.reason, f"{layouts} fits the weights and one sequence")
    return f"{where}: {reason}" if reason else ""
