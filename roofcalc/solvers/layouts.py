"""Enumerates system sizes and every legal parallel layout of a model.

Feasibility is not monotone in the number of devices: heads, layers and experts divide badly over some counts, so a search
must try every one.
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


def sized(hardware: Hardware, count: int) -> Hardware:
    """`count` of the same devices, joined in the same way, or as `roofcalc.catalog.boxes` joins what has no link."""
    system = hardware.system
    if system is None:
        name = f"{count}x{hardware.device.name}"
    elif count % system.count:
        name = f"{count} of {system.name}"
    else:
        name = system.name if count == system.count else f"{count // system.count}x{system.name}"
    return boxes.joined(replace(hardware, name=name, count=count))[0]


def layouts(
    model: Model, devices: int, held: Mapping[str, set[int]] | None = None, beside: Model | None = None, pipelines: bool = True
) -> list[Layout]:
    """Every legal layout of a model over so many devices.

    Tensor degrees divide the heads, stages are no more than layers, experts are split over a stage or spread over it, and
    context ranks share what tensor ranks would each hold.

    Parameters
    ----------
    held : mapping
        Degrees by name that a layout must have one of.
    beside : Model, optional
        A drafter that tensor ranks must divide too.
    pipelines : bool
        Whether there may be several stages.
    """
    wanted = held or {}

    def among(name: str, degrees: list[int]) -> list[int]:
        return [degree for degree in degrees if degree in wanted[name]] if name in wanted else degrees

    depth = model.depth if pipelines else 1
    found = []
    for t in among("tp", legal_tp(model, devices)):
        if beside is not None and t not in legal_tp(beside, devices):
            continue
        contexts = among("dcp", legal_dcp(model, t))
        for p in among("pp", [p for p in range(1, min(depth, devices // t) + 1) if devices // t % p == 0]):
            for d in among("dp", [devices // (t * p)]):
                found += [_layout(t, p, d, e, c) for e in among("ep", legal_ep(model, t, d)) for c in contexts]
    return found


def no_layout(machine: Hardware, model: Model, held: Mapping[str, set[int]], where: str) -> RoofcalcError:
    """That none of so many devices has a legal layout of the degrees that it is held to."""
    asked = ", ".join(f"{name} {' or '.join(map(str, sorted(degrees)))}" for name, degrees in held.items())
    return RoofcalcError(f"{machine.name}: no legal layout of {model.name}{f' with {asked}' if asked else ''} on {where}")


_layout = lru_cache(maxsize=2**16)(Layout)  # equal ones the same: they are keys of what is computed for each
