"""What people are told about a plan, in a sentence each: what binds, what idles, why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from roofcalc import units
from roofcalc.solvers.planner.inventory import replica_sizes
from roofcalc.solvers.planner.select import Plan

LEAST_GAIN = 0.0005  # below that a figure is worth nothing


def _counted(count: float, what: str) -> str:
    return f"{count:,.0f} {what}{'' if count == 1 else 's'}"


def what_binds(one: Plan, limit: str, carried: float, gains: Mapping[str, float]) -> str:
    """The largest load of a replica, and what would let it carry more."""
    load = f"{units.significant(carried)} requests per second" if one.need.rate is not None else _counted(carried, "sequence")
    worth = [f"{name} ({gain * 100:+.1f} %)" for name, gain in sorted(gains.items(), key=lambda item: -item[1]) if gain >= LEAST_GAIN]
    more = f"more with {', '.join(worth)}" if worth else "no more with a tenth more of any figure"
    where = f"{one.deployment.model.name} on {one.deployment.hardware.name}"
    return f"{where}: a replica could carry {load}, limited by {limit}; {more}"


def what_idles(one: Plan) -> str:
    """Where whole machines are taken and half of their devices or more stand idle; else nothing."""
    market = one.market
    used = one.deployment.hardware.count * (one.replicas + market.lost)
    if market.had is not None or 2 * used > one.devices:
        return ""
    name = market.machine.name
    return f"{name}: whole ones are taken, and half of the devices or more stand idle; {market.machine.device.name} takes any number"


def why_not(one: Plan) -> str:
    """What is in the way of every layout; nothing where it is not known."""
    market, sizes = one.market, replica_sizes(one.deployment, one.market)
    where = f"{one.deployment.model.name} on {market.machine.name}"
    most = max(sizes.stop - 1, 1)
    up_to = f"up to {_counted(most, 'device')}"
    words = {
        "": "",
        "devices": f"more devices would meet it than any number that can be had{'' if market.had is None else f' up to {market.had.max():,.0f}'}",
        "ttft": f"no layout of {up_to} reads a prompt in time",
        "interactivity": f"no layout of {up_to} is fast enough for a single sequence",
    }
    why = words.get(one.reason, f"no layout of {up_to} holds the weights and one sequence")
    return f"{where}: {why}" if why else ""
