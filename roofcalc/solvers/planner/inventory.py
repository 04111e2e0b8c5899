"""What hardware can be had, and the sizes of a replica to look among."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.specs.device import Hardware

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPLICA_DEVICES = 64  # a replica is looked for up to so many devices, or as many times what its weights need
REPLICA_TIMES = 4
SOUGHT_DEVICES = 512  # where numbers of devices are given: up to so many
MAX_REPLICA_DEVICES = 4096


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


def least_devices(alone: Deployment) -> int:
    """The fewest devices whose memory is as large as the weights."""
    return max(1, math.ceil(memory.system_weight_bytes(alone) / alone.usable_bytes))


def replica_sizes(alone: Deployment, market: Market) -> range:
    """The numbers of devices that a replica is looked for among."""
    machine = market.machine
    most = min(max(REPLICA_DEVICES, machine.count, REPLICA_TIMES * least_devices(alone)), MAX_REPLICA_DEVICES)
    if market.had is not None:
        most = min(max(most, SOUGHT_DEVICES), int(market.had.max()) // (1 + market.lost))
    return range(least_devices(alone), most + 1)
