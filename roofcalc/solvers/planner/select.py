"""The best plan for each need: every size of a replica, every layout of it, and as many replicas as the need takes.

More devices do not always do what fewer did, so that all are looked at; a replica larger than all devices of the best plan so far
ends the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, expert_counts
from roofcalc.solvers.frontier import Piece, pieces
from roofcalc.solvers.layouts import no_layout, sized
from roofcalc.solvers.parallel import mapped
from roofcalc.solvers.pareto import significant
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.inventory import Market, least_devices, replica_sizes
from roofcalc.solvers.planner.replica import REASONS, Ability, Reading, ability

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray


class Choices(NamedTuple):
    """What a piece of the search found, in the shape (layouts, demands).

    Attributes
    ----------
    devices : array
        The fewest that can be had and on which the demand is met; inf where there are none.
    replicas : array
        That work on these: all that they hold, but no more than there are sequences; inf where there are none.
    merit : array
        The higher, the better among layouts of as many devices. Of sequences: tok/s for each user at the load that is asked, and
        thus the least money per token. Of requests per second: what the replicas could carry over what is asked of them.
    reason : array of int
        What is in the way of one.
    """

    devices: NDArray[Any]
    replicas: NDArray[Any]
    merit: NDArray[Any]
    reason: NDArray[np.intp]


def choices(demand: Demand, market: Market, piece: Piece) -> Choices:
    """The devices that each layout of a piece needs, and what they are worth."""
    read: dict[Layout, Reading] = {}
    found: list[Ability] = []
    for number in range(len(piece.layouts)):
        met = np.max([one.most for one in found], axis=0) if found and demand.rate is not None else None
        found.append(ability(demand, piece.placed(number), read, met))
    most, reason = np.stack([one.most for one in found]), np.stack([one.reason for one in found])
    load, size = demand.batch if demand.rate is None else demand.rate, piece.deployment.hardware.count
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(most > 0, np.maximum(np.ceil(load / most * (1 - 1e-12)), 1.0), np.inf)
        devices = market.devices(size * (least + market.lost))
        replicas = np.where(np.isfinite(devices), np.floor(devices / size) - market.lost, np.inf)
        if demand.batch is not None:
            replicas = np.minimum(replicas, np.maximum(least, demand.batch))
            merit = np.stack([_speed(one, np.ceil(load / each)) for one, each in zip(found, replicas, strict=True)])
        else:
            merit = replicas * most / load
    return Choices(devices, replicas, np.where(np.isfinite(devices), significant(merit), 0.0), reason)


def _speed(one: Ability, batch: NDArray[Any]) -> NDArray[Any]:
    """Tokens per second for each user of a replica that has `batch` sequences in flight."""
    if one.step is None:
        return np.zeros(batch.shape)
    return np.asarray(one.step.deployment.accepted / one.step.seconds(np.maximum(batch, 1.0)))


class Plan(NamedTuple):
    """A need, and the deployment of one replica that meets it with the fewest devices; or what is in the way of all."""

    need: Demand
    market: Market
    deployment: Deployment
    devices: float
    replicas: float
    reason: str


class Best:
    """The best that a search has met for each need."""

    def __init__(self, needs: int) -> None:
        self.key = np.full((5, needs), np.inf)  # devices; -merit; those used, stages, -tensor ranks
        self.replicas = np.full(needs, np.inf)
        self.found: list[Deployment | None] = [None] * needs
        self.reason = np.full(needs, len(REASONS) - 1)

    def meet(self, piece: Piece, some: Choices, market: Market) -> None:
        """Takes what is better: fewer devices; of as many, the higher merit (`Choices`).

        Where that is equal too, what uses fewer of them, then fewer stages, and of as many the more tensor ranks.
        """
        self.reason = np.minimum(self.reason, some.reason.min(axis=0))
        used = piece.deployment.hardware.count * (some.replicas + market.lost)
        stages, ranks = ([[getattr(one, name)] for one in piece.layouts] for name in ("pp", "tp"))
        keys = np.stack(np.broadcast_arrays(some.devices, -some.merit, used, stages, -np.array(ranks)))  # (5, layouts, needs)
        for number in range(len(piece.layouts)):
            for need in np.flatnonzero(np.isfinite(keys[0, number])):
                if tuple(keys[:, number, need]) < tuple(self.key[:, need]):
                    self.key[:, need], self.replicas[need] = keys[:, number, need], some.replicas[number, need]
                    self.found[need] = piece.placed(number)


def plans(demand: Demand, alone: Deployment, market: Market, held: Mapping[str, set[int]], executor: Executor | None = None) -> list[Plan]:
    """The best plan for each need, by going through all sizes of a replica from the smallest that holds the weights.

    `alone` is the deployment on one device, which any number of the machine's take the place of; `held` are degrees that a
    layout is held to.
    """
    needs = demand.interactivity.size
    best, none = Best(needs), REASONS[-1]
    if alone.has_time:
        sizes = replica_sizes(alone, market)
        if not sizes and market.had is not None and least_devices(alone) <= market.had.max():
            none = "devices"  # spare ones leave too few
        pieces = _pieces(alone, market, held, sizes)
        with closing(mapped(executor, partial(choices, demand, market), pieces, batch=1)) as results:
            for piece, some in zip(pieces, results, strict=False):
                best.meet(piece, some, market)
                if (piece.deployment.hardware.count * (1 + market.lost) > best.key[0]).all():
                    break  # one replica, and those spare, have more devices than the best has in all
    found = []
    for number in range(needs):
        met, worst = best.found[number], best.reason[number]
        reason = "" if met or not alone.has_time else none if worst == len(REASONS) - 1 else REASONS[worst] or "devices"
        found.append(Plan(demand.at(number), market, met or alone, float(best.key[0, number]), float(best.replicas[number]), reason))
    return found


def _pieces(alone: Deployment, market: Market, held: Mapping[str, set[int]], sizes: range) -> list[Piece]:
    """Every size of a replica with its layouts, a few at a time.

    Raises
    ------
    RoofcalcError
        No number of devices has a legal layout of the degrees that it is held to.
    """
    model = alone.model
    alike = held if expert_counts(model) else {"dp": {1}, **held}  # more data-parallel ranks are more replicas
    found: list[Piece] = []
    for count in sizes:
        found += pieces(alone, sized(market.machine, count), alike)
    if sizes and not found:
        raise no_layout(market.machine, model, held, f"{sizes[0]:,} to {sizes[-1]:,} devices")
    return found
