"""Which of the layouts that meet a demand a plan takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.solvers.frontier import Piece
from roofcalc.solvers.planner.inventory import Inventory
from roofcalc.solvers.planner.replica import REASONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUSY = 0.9  # replicas above this load are avoided where others need no more devices
NEARLY = 0.8  # smaller replicas are taken that carry so much of what the best layout on as many devices does


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
    carried : array
        The largest load of these replicas over the demanded one.
    reason : array of int
        Index into `REASONS` of why the demand is not met.
    """

    devices: NDArray[Any]
    replicas: NDArray[Any]
    merit: NDArray[Any]
    carried: NDArray[Any]
    reason: NDArray[np.intp]


class Best(NamedTuple):
    """A plan for one demand: a replica, all devices, and replicas that work on them."""

    deployment: Deployment
    devices: float
    replicas: float


class FewestDevices:
    """The best layout so far for each demand: fewer devices, then higher merit, fewer devices used, fewer stages, more tensor ranks."""

    def __init__(self, needs: int) -> None:
        self.key: list[tuple[float, ...]] = [(np.inf,)] * needs
        self.found: list[Best | None] = [None] * needs
        self.reason = np.full(needs, len(REASONS) - 1)

    @property
    def devices(self) -> NDArray[Any]:
        """Devices of the plan for each demand; inf where there is none."""
        return np.array([key[0] for key in self.key])

    def best(self, need: int) -> Best | None:
        """The plan for a demand; None where there is none."""
        return self.found[need]

    def update(self, piece: Piece, some: LayoutChoices, inventory: Inventory) -> None:
        """Keeps the better layout for each demand."""
        self.reason = np.minimum(self.reason, some.reason.min(axis=0))
        used = piece.deployment.hardware.count * (some.replicas + inventory.spares)
        for number, layout in enumerate(piece.layouts):
            for need in np.flatnonzero(np.isfinite(some.devices[number])):
                key = (some.devices[number, need], -some.merit[number, need], used[number, need], layout.pp, -layout.tp)
                if key < self.key[need]:
                    self.key[need], self.found[need] = key, Best(piece.placed(number), key[0], some.replicas[number, need])


class Candidate(NamedTuple):
    """A layout that meets a demand on the fewest devices so far; the figures are those of `LayoutChoices`."""

    piece: Piece
    number: int
    replicas: float
    merit: float
    carried: float


class UsualPlans:
    """Layouts that meet each demand on the fewest devices so far, and the one that is proposed.

    Replicas before wider ones: they do not wait for one another and fail one at a time. But each holds the weights again, so that
    those are taken which carry at least `NEARLY` of the most that any layout does on as many devices; of these, for requests per
    second, replicas that are not nearly full; then the most replicas and so the smallest, and by merit, stages and ranks.

    Parameters
    ----------
    needs : int
    rates : bool
        The demands are requests per second.
    """

    def __init__(self, needs: int, rates: bool) -> None:
        self.rates = rates
        self.devices = np.full(needs, np.inf)
        self.candidates: list[list[Candidate]] = [[] for _ in range(needs)]

    def update(self, piece: Piece, some: LayoutChoices, inventory: Inventory) -> None:
        """Keeps the layouts that need the fewest devices."""
        for number in range(len(piece.layouts)):
            for need in np.flatnonzero(np.isfinite(some.devices[number]) & (some.devices[number] <= self.devices)):
                if some.devices[number, need] < self.devices[need]:
                    self.devices[need], self.candidates[need] = some.devices[number, need], []
                figures = (float(one[number, need]) for one in (some.replicas, some.merit, some.carried))
                self.candidates[need].append(Candidate(piece, number, *figures))

    def best(self, need: int) -> Best | None:
        """The plan for a demand; None where there is none."""
        candidates = self.candidates[need]
        if not candidates:
            return None
        most = max(one.carried for one in candidates)

        def key(one: Candidate) -> tuple[float, ...]:
            layout = one.piece.layouts[one.number]
            return self.rates and one.carried < 1 / BUSY, layout.devices, -one.merit, layout.pp, -layout.tp

        taken = min((one for one in candidates if one.carried >= NEARLY * most), key=key)
        return Best(taken.piece.placed(taken.number), float(self.devices[need]), taken.replicas)
