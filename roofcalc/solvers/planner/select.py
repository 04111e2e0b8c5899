"""Search for the plan of each demand, over replica sizes, layouts and numbers of replicas.

Feasibility is not monotone in the number of devices, so that all sizes are tried, up to the device count of the best plan so far.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, expert_counts
from roofcalc.physics.resources import UNKNOWN
from roofcalc.solvers.frontier import Piece, pieces
from roofcalc.solvers.layouts import no_layout, with_device_count
from roofcalc.solvers.parallel import map_in_order
from roofcalc.solvers.pareto import significant
from roofcalc.solvers.planner import usual
from roofcalc.solvers.planner.best import Best, FewestDevices, LayoutChoices, UsualPlans
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Inventory, least_devices, replica_sizes
from roofcalc.solvers.planner.replica import REASONS, MaxLoad, PrefillTimes, max_load

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray


def choices(demand: Demand, inventory: Inventory, piece: Piece) -> LayoutChoices:
    """The devices that each layout of a piece needs, and its merit."""
    read: dict[Layout, PrefillTimes] = {}
    found: list[MaxLoad] = []
    load, size = demand.batch if demand.rate is None else demand.rate, piece.deployment.hardware.count
    assert load is not None
    needed = inventory.needed(load, size)
    for number in range(len(piece.layouts)):
        reached = [one.most for one in found] if demand.rate is not None else []
        known = [*reached, *([needed] if needed is not None else [])]
        found.append(max_load(demand, piece.placed(number), read, np.max(known, axis=0) if known else None))
    most, reason = np.stack([one.most for one in found]), np.stack([one.reason for one in found])
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(most > 0, np.maximum(np.ceil(load / most * (1 - 1e-12)), 1.0), np.inf)
        devices = inventory.devices(size * (least + inventory.spares))
        replicas = np.where(np.isfinite(devices), np.floor(devices / size) - inventory.spares, np.inf)
        if demand.batch is not None:
            replicas = np.minimum(replicas, np.maximum(least, demand.batch))
            merit = np.stack([_speed(demand, one, np.ceil(load / each)) for one, each in zip(found, replicas, strict=True)])
        else:
            merit = replicas * most / load
        carried = replicas * most / load
    return LayoutChoices(devices, replicas, np.where(np.isfinite(devices), significant(merit), 0.0), carried, reason)


def _speed(demand: Demand, one: MaxLoad, batch: NDArray[Any]) -> NDArray[Any]:
    """Tokens per second of each user of a replica with `batch` sequences in flight."""
    if one.step is None:
        return np.zeros(batch.shape)
    return np.asarray(one.step.deployment.accepted / demand.served_step(one.step).seconds(np.maximum(batch, 1.0)))


class Plan(NamedTuple):
    """A demand, and the replica that is proposed for it; or the reason why there is none.

    Attributes
    ----------
    chosen : int
        Class of the layout (`roofcalc.solvers.planner.usual`).
    every : bool
        All layouts were searched alike.
    least : Best or None
        What would take fewer devices.
    """

    need: Demand
    inventory: Inventory
    deployment: Deployment
    devices: float
    replicas: float
    reason: str
    chosen: int = usual.OTHER
    every: bool = False
    least: Best | None = None


def plans(
    demand: Demand,
    single_device: Deployment,
    inventory: Inventory,
    fixed_degrees: Mapping[str, set[int]],
    executor: Executor | None = None,
    every: bool = False,
) -> list[Plan]:
    """The proposed plan for each demand, over replica sizes from the smallest whose memory holds the weights.

    Usual layouts within a scale-up domain are searched first, then usual layouts over several, and where neither meets a demand, all;
    and all for what would take fewer devices.

    Parameters
    ----------
    single_device : Deployment
        The model on one device; replicas put it on any number of them.
    fixed_degrees : mapping
        Allowed values of a degree, by its name.
    every : bool
        All layouts are searched alike, for the fewest devices.
    """
    needs = demand.interactivity.size
    least, none = FewestDevices(needs), REASONS[-1]
    usual_ones = [UsualPlans(needs, demand.rate is not None) for _ in (usual.DOMAIN, usual.DOMAINS)]
    if single_device.has_time:
        sizes = replica_sizes(single_device, inventory)
        if not sizes and inventory.available is not None and least_devices(single_device) <= inventory.available.max():
            none = "devices"  # too few without the spares
        left = _pieces(single_device, inventory, fixed_degrees, sizes)
        search = partial(_search, partial(choices, demand, inventory), inventory, executor)
        for wanted, kept in enumerate([] if every else usual_ones):
            if (open_ := ~np.isfinite(np.min([one.devices for one in usual_ones], axis=0))).any():
                of_class, left = _split(left, wanted, fixed_degrees)
                search(of_class, (kept, least), open_)
        if not every:
            beat = np.min([one.devices for one in usual_ones], axis=0)
            search = partial(_search, partial(choices, demand, inventory._replace(beat=beat)), inventory, executor)
        search(left, (least,), np.ones(needs, dtype=bool))
    found = []
    for number in range(needs):
        by_class = [*(one.best(number) for one in usual_ones), least.best(number)]
        chosen = next((one for one, best in enumerate(by_class) if best), usual.OTHER)
        best, fewest, worst = by_class[chosen], by_class[-1], least.reason[number]
        reason = "" if best else none if worst == len(REASONS) - 1 else REASONS[worst] or "devices"
        reason = reason if single_device.has_time else UNKNOWN
        deployment, devices, replicas = best or (single_device, np.inf, np.inf)
        fewer = fewest if fewest and fewest.devices < devices else None
        found.append(Plan(demand.at(number), inventory, deployment, devices, replicas, reason, chosen, every, fewer))
    return found


def _search(
    choose: Callable[[Piece], LayoutChoices],
    inventory: Inventory,
    executor: Executor | None,
    some_pieces: list[Piece],
    kept: tuple[FewestDevices | UsualPlans, ...],
    wanted: NDArray[Any],
) -> None:
    """Evaluates pieces in order of their size, until larger replicas need more devices than the first of `kept` has found for all `wanted`."""
    with closing(map_in_order(executor, choose, some_pieces, batch=1)) as results:
        for piece in some_pieces:
            if (piece.deployment.hardware.count * (1 + inventory.spares) > kept[0].devices[wanted]).all():
                break
            some = next(results)
            for one in kept:
                one.update(piece, some, inventory)


def _split(some_pieces: list[Piece], wanted: int, given: Collection[str]) -> tuple[list[Piece], list[Piece]]:
    """The layouts of one class, and the others, as pieces."""
    chosen: list[Piece] = []
    others: list[Piece] = []
    for piece in some_pieces:
        domain, most = usual.domain_of(piece.deployment.hardware), usual.widest(piece.deployment)
        of_class = [usual.layout_class(layout, domain, most, given) == wanted for layout in piece.layouts]
        for kept, into in ((True, chosen), (False, others)):
            if layouts := tuple(layout for layout, is_one in zip(piece.layouts, of_class, strict=True) if is_one is kept):
                into.append(piece._replace(layouts=layouts))
    return chosen, others


def _pieces(single_device: Deployment, inventory: Inventory, fixed_degrees: Mapping[str, set[int]], sizes: range) -> list[Piece]:
    """The pieces of the search: every replica size with its layouts.

    Raises
    ------
    RoofcalcError
        No replica size has a legal layout with the fixed degrees.
    """
    model = single_device.model
    allowed = fixed_degrees if expert_counts(model) else {"dp": {1}, **fixed_degrees}  # without experts, data ranks are replicas
    found: list[Piece] = []
    for count in sizes:
        found += pieces(single_device, with_device_count(inventory.machine, count), allowed)
    if sizes and not found:
        raise no_layout(inventory.machine, model, fixed_degrees, f"{sizes[0]:,} to {sizes[-1]:,} devices")
    return found
