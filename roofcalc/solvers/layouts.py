"""Layout enumeration: system sizes, and every legal parallel layout of a model.

Feasibility is not monotone in the number of devices, since heads, layers and experts do not divide evenly over every number, so that
searches try all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from roofcalc.catalog import boxes
from roofcalc.deployment.parallelism import Layout, legal_dcp, legal_ep, legal_tp
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace


def with_device_count(hardware: Hardware, count: int) -> Hardware:
    """The hardware with `count` devices, joined in the same way, or over PCIe where their own link does not reach (`roofcalc.catalog.boxes`)."""
    system = hardware.system
    if system is None:
        name = f"{count}x{hardware.device.name}"
    elif count % system.count:
        name = f"{count} of {system.name}"
    else:
        name = system.name if count == system.count else f"{count // system.count}x{system.name}"
    return boxes.joined(replace(hardware, name=name, count=count))[0]


def layouts(
    model: Model, devices: int, fixed_degrees: Mapping[str, set[int]] | None = None, drafter: Model | None = None, pipelines: bool = True
) -> list[Layout]:
    """Every legal layout of a model on `devices` devices.

    tp divides the heads, pp is at most the number of layers, ep is 1 or all ranks of a stage, and dcp divides the copies of KV entries.

    Parameters
    ----------
    fixed_degrees : mapping
        Allowed values of a degree, by its name.
    drafter : Model, optional
        A drafter whose heads tp must divide too.
    pipelines : bool
        Whether pipeline parallelism is allowed.
    """
    wanted = fixed_degrees or {}

    def among(name: str, degrees: list[int]) -> list[int]:
        return [degree for degree in degrees if degree in wanted[name]] if name in wanted else degrees

    depth = model.depth if pipelines else 1
    found = []
    for t in among("tp", legal_tp(model, devices)):
        if drafter is not None and t not in legal_tp(drafter, devices):
            continue
        contexts = among("dcp", legal_dcp(model, t))
        for p in among("pp", [p for p in range(1, min(depth, devices // t) + 1) if devices // t % p == 0]):
            for d in among("dp", [devices // (t * p)]):
                found += [_layout(t, p, d, e, c) for e in among("ep", legal_ep(model, t, d)) for c in contexts]
    return found


def no_layout(machine: Hardware, model: Model, fixed_degrees: Mapping[str, set[int]], where: str) -> RoofcalcError:
    """The error for degrees with which there is no legal layout; `where` names the device counts."""
    asked = ", ".join(f"{name} {' or '.join(map(str, sorted(degrees)))}" for name, degrees in fixed_degrees.items())
    return RoofcalcError(f"{machine.name}: no legal layout of {model.name}{f' with {asked}' if asked else ''} on {where}")


_layout = lru_cache(maxsize=2**16)(Layout)  # equal layouts are one object: layouts are keys of caches
