"""The best plan for each need: every size of a replica, every layout of it, and as many replicas as the need takes.

More devices do not always do what fewer did, so that all are looked at; a replica larger than all devices of the best plan so far
ends the search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc import capacity
from roofcalc.curve import Piece
from roofcalc.deployment import Deployment
from roofcalc.hardware import Hardware
from roofcalc.layout import expert_counts
from roofcalc.parallel import mapped
from roofcalc.planning import REASONS, Choices, Demand, choices
from roofcalc.record import replace
from roofcalc.search import layouts, no_layout, sized

if TYPE_CHECKING:  # a tenth of the start would go into it
    from concurrent.futures import Executor

    from numpy.typing import NDArray

REPLICA_DEVICES = 64  # a replica is looked for up to so many devices, or as many times what its weights need
REPLICA_TIMES = 4
SOUGHT_DEVICES = 512  # where numbers of devices are given: up to so many
MAX_REPLICA_DEVICES = 4096
LAYOUTS_OF_A_PIECE = 16


class Market(NamedTuple):
    """What can be had: whole machines, or numbers of devices; how many of them may be lost; and what an hour of one costs."""

    machine: Hardware
    had: NDArray[Any] | None
    lost: int
    usd_per_hour: float

    def devices(self, used: NDArray[Any]) -> NDArray[Any]:
        """The fewest that can be had and that `used` are among; inf where none are."""
        if self.had is None:
            return np.asarray(np.ceil(used / self.machine.count) * self.machine.count)
        return np.append(self.had, np.inf)[np.searchsorted(self.had, used)]


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
        self.key = np.full((5, needs), np.inf)  # devices, those used; -merit; stages, -tensor ranks
        self.replicas = np.full(needs, np.inf)
        self.found: list[Deployment | None] = [None] * needs
        self.reason = np.full(needs, len(REASONS) - 1)

    def meet(self, piece: Piece, some: Choices, market: Market) -> None:
        """Takes what is better: fewer devices; of as many, those of which fewer are used; then the higher merit (`Choices`).

        Where that is equal too, fewer stages, and of as many the more tensor ranks.
        """
        self.reason = np.minimum(self.reason, some.reason.min(axis=0))
        used = piece.deployment.hardware.count * (some.replicas + market.lost)
        stages, ranks = ([[getattr(one, name)] for one in piece.layouts] for name in ("pp", "tp"))
        keys = np.stack(np.broadcast_arrays(market.devices(used), used, -some.merit, stages, -np.array(ranks)))  # (5, layouts, needs)
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
        if not sizes and market.had is not None and _least(alone) <= market.had.max():
            none = "devices"  # spare ones leave too few
        pieces = _pieces(alone, market, held, sizes)
        with closing(mapped(executor, partial(choices, demand), pieces, batch=1)) as results:
            for piece, some in zip(pieces, results, strict=False):
                best.meet(piece, some, market)
                if (piece.deployment.hardware.count * (1 + market.lost) > best.key[1]).all():
                    break  # one replica, and those spare, have more devices than the best uses in all
    found = []
    for number in range(needs):
        met, worst = best.found[number], best.reason[number]
        reason = "" if met or not alone.has_time else none if worst == len(REASONS) - 1 else REASONS[worst] or "devices"
        found.append(Plan(demand.at(number), market, met or alone, float(best.key[0, number]), float(best.replicas[number]), reason))
    return found


def _least(alone: Deployment) -> int:
    """The fewest devices whose memory is as large as the weights."""
    return max(1, math.ceil(capacity.system_weight_bytes(alone) / alone.usable_bytes))


def replica_sizes(alone: Deployment, market: Market) -> range:
    """The numbers of devices that a replica is looked for among."""
    machine = market.machine
    most = min(max(REPLICA_DEVICES, machine.count, REPLICA_TIMES * _least(alone)), MAX_REPLICA_DEVICES)
    if market.had is not None:
        most = min(max(most, SOUGHT_DEVICES), int(market.had.max()) // (1 + market.lost))
    if machine.scale_out_bytes_per_s is None:
        most = min(most, machine.domain)
    return range(_least(alone), most + 1)


def _pieces(alone: Deployment, market: Market, held: Mapping[str, set[int]], sizes: range) -> list[Piece]:
    """Every size of a replica with its layouts, a few at a time.

    Raises
    ------
    RoofcalcError
        No number of devices has a legal layout of the degrees that it is held to.
    """
    model = alone.model
    alike = held if expert_counts(model) else {"dp": {1}, **held}  # more data-parallel ranks are more replicas
    drafter = alone.draft.deployment.model if alone.draft and alone.draft.deployment else None
    found = []
    for count in sizes:
        if (one := sized(market.machine, count)) is not None:
            legal = layouts(model, count, alike, drafter, pipelines=alone.draft is None)
            for first in range(0, len(legal), LAYOUTS_OF_A_PIECE):
                found.append(Piece(replace(alone, hardware=one), tuple(legal[first : first + LAYOUTS_OF_A_PIECE])))
    if sizes and not found:
        raise no_layout(market.machine, model, held, f"{sizes[0]:,} to {sizes[-1]:,} devices")
    return found
