"""Available hardware, and the replica sizes to search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.specs.device import Hardware

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Replicas of up to REPLICA_DEVICES devices are searched, or REPLICA_TIMES as many as the weights need; up to SOUGHT_DEVICES where
# device counts are given.
REPLICA_DEVICES = 64
REPLICA_TIMES = 4
SOUGHT_DEVICES = 512
MAX_REPLICA_DEVICES = 4096


class Inventory(NamedTuple):
    """Available hardware.

    Attributes
    ----------
    machine : Hardware
        A device, or a system of which whole ones are used.
    available : array or None
        Available device counts, ascending; None: any multiple of the machine.
    spares : int
        Devices that may fail while the demand is still met.
    usd_per_hour : float
        Price of one device at full load.
    price_at : callable or None
        The price at a share of the full load; None: always `usd_per_hour`.
    beat : array or None
        Devices of a plan that is known for each demand: only plans with fewer are of interest.
    """

    machine: Hardware
    available: NDArray[Any] | None
    spares: int
    usd_per_hour: float
    price_at: Callable[[Any], Any] | None = None
    beat: NDArray[Any] | None = None

    def usd_at(self, load: float) -> float:
        """Price of an hour of one device at a share of the full load; at full load where that is not known (nan)."""
        return self.usd_per_hour if self.price_at is None or math.isnan(load) else float(self.price_at(min(load, 1.0)))

    def devices(self, used: NDArray[Any]) -> NDArray[Any]:
        """The smallest available device counts of at least `used`; inf where there are none."""
        if self.available is None:
            return np.asarray(np.ceil(used / self.machine.count) * self.machine.count)
        return np.append(self.available, np.inf)[np.searchsorted(self.available, used)]

    def needed(self, load: NDArray[Any], size: int) -> NDArray[Any] | None:
        """The load that a replica of `size` devices must carry so that fewer devices than `beat` are enough; inf where none is enough."""
        if self.beat is None:
            return None
        replicas = np.floor((self.beat - 1) / size) - self.spares
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(replicas >= 1, load / np.maximum(replicas, 1) * (1 - 1e-9), np.inf)


def whole_machines(machine: Hardware, available: NDArray[Any] | None) -> NDArray[Any] | None:
    """Those of the available numbers of devices that are whole machines.

    Raises
    ------
    RoofcalcError
        None of them is.
    """
    if available is None or machine.count == 1:
        return available
    whole = np.asarray(available[available % machine.count == 0])
    if not whole.size:
        raise RoofcalcError(f"--devices: {machine.name} is used as a whole; give multiples of {machine.count}, or name its devices alone")
    return whole


def least_devices(single_device: Deployment) -> int:
    """The fewest devices whose memory is as large as the weights; no layout fits on fewer."""
    return max(1, math.ceil(memory.system_weight_bytes(single_device) / single_device.usable_bytes))


def replica_sizes(single_device: Deployment, inventory: Inventory) -> range:
    """The device counts of a replica to search."""
    machine = inventory.machine
    most = min(max(REPLICA_DEVICES, machine.count, REPLICA_TIMES * least_devices(single_device)), MAX_REPLICA_DEVICES)
    if inventory.available is not None:
        most = min(max(most, SOUGHT_DEVICES), int(inventory.available.max()) // (1 + inventory.spares))
    return range(least_devices(single_device), most + 1)
