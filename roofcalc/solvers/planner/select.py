"""Search for the best plan for each demand, over replica sizes, layouts and numbers of replicas.

Feasibility is not monotone in the number of devices, so that all sizes are tried, up to the device count of the best plan so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, expert_counts
from roofcalc.physics.roofline import UNKNOWN
from roofcalc.solvers.frontier import Piece, pieces
from roofcalc.solvers.layouts import no_layout, with_device_count
from roofcalc.solvers.parallel import map_in_order
from roofcalc.solvers.pareto import significant
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Inventory, least_devices, replica_sizes
from roofcalc.solvers.planner.replica import REASONS, MaxLoad, PrefillTimes, max_load

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray


class LayoutChoices(NamedTuple):
    """Results of a piece of the search, arrays of shape (layouts, demands).

    Attributes
    ----------
    devices : array
        The smallest available device count on which the demand is met; inf where there is none.
    replicas : array
        Replicas that work on these devices, at most one per sequence; inf where there are none.
    merit : array
        Ranks layouts with equal device counts, higher is better. For sequences: tok/s of each user at the demanded load, and so the
        lowest price per token. For requests per second: the largest load over the demanded one.
    reason : array of int
        Index into `REASONS` of why the demand is not met.
    """

    devices: NDArray[Any]
    replicas: NDArray[Any]
    merit: NDArray[Any]
    reason: NDArray[np.intp]


def choices(demand: Demand, inventory: Inventory, piece: Piece) -> LayoutChoices:
    """The devices that each layout of a piece needs, and its merit."""
    read: dict[Layout, PrefillTimes] = {}
    found: list[MaxLoad] = []
    for number in range(len(piece.layouts)):
        met = np.max([one.most for one in found], axis=0) if found and demand.rate is not None else None
        found.append(max_load(demand, piece.placed(number), read, met))
    most, reason = np.stack([one.most for one in found]), np.stack([one.reason for one in found])
    load, size = demand.batch if demand.rate is None else demand.rate, piece.deployment.hardware.count
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(most > 0, np.maximum(np.ceil(load / most * (1 - 1e-12)), 1.0), np.inf)
        devices = inventory.devices(size * (least + inventory.spares))
        replicas = np.where(np.isfinite(devices), np.floor(devices / size) - inventory.spares, np.inf)
        if demand.batch is not None:
            replicas = np.minimum(replicas, np.maximum(least, demand.batch))
            merit = np.stack([_speed(demand, one, np.ceil(load / each)) for one, each in zip(found, replicas, strict=True)])
        else:
            merit = replicas * most / load
    return LayoutChoices(devices, replicas, np.where(np.isfinite(devices), significant(merit), 0.0), reason)


def _speed(demand: Demand, one: MaxLoad, batch: NDArray[Any]) -> NDArray[Any]:
    """Tokens per second of each user of a replica with `batch` sequences in flight."""
    if one.step is None:
        return np.zeros(batch.shape)
    return np.asarray(one.step.deployment.accepted / demand.served_step(one.step).seconds(np.maximum(batch, 1.0)))


class Plan(NamedTuple):
    """A demand, and the replica that meets it with the fewest devices; or the reason why there is none."""

    need: Demand
    inventory: Inventory
    deployment: Deployment
    devices: float
    replicas: float
    reason: str


class BestPlans:
    """The best plan so far for each demand."""

    def __init__(self, needs: int) -> None:
        self.key = np.full((5, needs), np.inf)  # devices, -merit, devices used, stages, -tensor ranks
        self.replicas = np.full(needs, np.inf)
        self.found: list[Deployment | None] = [None] * needs
        self.reason = np.full(needs, len(REASONS) - 1)

    def update(self, piece: Piece, some: LayoutChoices, inventory: Inventory) -> None:
        """Keeps the better plan: fewer devices, then higher merit (`LayoutChoices`), fewer devices used, fewer stages, more tensor ranks."""
        self.reason = np.minimum(self.reason, some.reason.min(axis=0))
        used = piece.deployment.hardware.count * (some.replicas + inventory.spares)
        stages, ranks = ([[getattr(one, name)] for one in piece.layouts] for name in ("pp", "tp"))
        keys = np.stack(np.broadcast_arrays(some.devices, -some.merit, used, stages, -np.array(ranks)))  # (5, layouts, needs)
        for number in range(len(piece.layouts)):
            for need in np.flatnonzero(np.isfinite(keys[0, number])):
                if tuple(keys[:, number, need]) < tuple(self.key[:, need]):
                    self.key[:, need], self.replicas[need] = keys[:, number, need], some.replicas[number, need]
                    self.found[need] = piece.placed(number)


def plans(
    demand: Demand,
    single_device: Deployment,
    inventory: Inventory,
    fixed_degrees: Mapping[str, set[int]],
    executor: Executor | None = None,
) -> list[Plan]:
    """The best plan for each demand, over replica sizes from the smallest whose memory holds the weights.

    Parameters
    ----------
    single_device : Deployment
        The model on one device; replicas put it on any number of them.
    fixed_degrees : mapping
        Allowed values of a degree, by its name.
    """
    needs = demand.interactivity.size
    best, none = BestPlans(needs), REASONS[-1]
    if single_device.has_time:
        sizes = replica_sizes(single_device, inventory)
        if not sizes and inventory.available is not None and least_devices(single_device) <= inventory.available.max():
            none = "devices"  # too few without the spares
        pieces = _pieces(single_device, inventory, fixed_degrees, sizes)
        with closing(map_in_order(executor, partial(choices, demand, inventory), pieces, batch=1)) as results:
            for piece, some in zip(pieces, results, strict=False):
                best.update(piece, some, inventory)
                if (piece.deployment.hardware.count * (1 + inventory.spares) > best.key[0]).all():
                    break  # larger replicas need more devices than the best plan
    found = []
    for number in range(needs):
        met, worst = best.found[number], best.reason[number]
        reason = "" if met else none if worst == len(REASONS) - 1 else REASONS[worst] or "devices"
        reason = reason if single_device.has_time else UNKNOWN
        found.append(Plan(demand.at(number), inventory, met or single_device, float(best.key[0, number]), float(best.replicas[number]), reason))
    return found


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
