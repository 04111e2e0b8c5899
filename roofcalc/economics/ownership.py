"""Price of an hour of one's own hardware, at any load, and the load at which it costs as much as a hosted API.

The purchase price is spread evenly over the years of use; power is paid as it is drawn, in proportion to the load between that of an idle
machine and the nominal one (energy-proportional computing, doi.org/10.1109/MC.2007.443), with what the building adds to it (PUE, power
usage effectiveness: facility over IT energy, ISO/IEC 30134-2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOURS_PER_YEAR = 8760.0  # of 365 days
HOURS_PER_DAY = 24.0
SECONDS_PER_DAY = 86400.0
WATTS_PER_KW = 1000.0
# an idle compute tray takes 1.0 of the 6.667 kW that it takes at full load
IDLE_POWER = 0.15
IDLE_SOURCE = "https://docs.nvidia.com/datacenter/dps/versions/latest/guides/concepts/device-specifications.html"


class DevicePrice(NamedTuple):
    """USD of an hour of one device.

    Attributes
    ----------
    idle : float
        Paid at any load.
    busy : float
        Paid in addition at full load, and in proportion below: of power that only a busy device draws.
    """

    idle: float
    busy: float = 0.0

    @formula("usd_per_hour = idle_price + load·busy_price")
    def at(self, load: Any) -> Any:
        """USD of an hour at a share of the full load."""
        return self.idle + np.asarray(load, dtype=float) * self.busy


@formula("amortisation = capex/(8760·years)")
def amortised(capex: float, years: float) -> float:
    """USD per hour of a purchase price, spread over the hours of so many years."""
    return capex / (HOURS_PER_YEAR * years)


@formula("power_at_load = power·(idle_power + (1 − idle_power)·load)")
def power_at(power_w: float, idle_power: float, load: Any) -> NDArray[Any]:
    """Watts at a share of the full load, between those of an idle machine (`idle_power` of the nominal) and the nominal ones."""
    return np.asarray(power_w * (idle_power + (1 - idle_power) * np.asarray(load, dtype=float)))


@formula("electricity = power_at_load/1000·pue·power_price")
def electricity(watts: Any, pue: float, usd_per_kwh: float) -> NDArray[Any]:
    """USD per hour of power, with what the building adds to it."""
    return np.asarray(np.asarray(watts, dtype=float) / WATTS_PER_KW * pue * usd_per_kwh)


def owned(amortisation: float, device_w: float, idle_power: float, pue: float, usd_per_kwh: float) -> DevicePrice:
    """The price of a device of one's own of `device_w` watts, its share of the machine's."""
    idle, full = (float(electricity(power_at(device_w, idle_power, load), pue, usd_per_kwh)) for load in (0.0, 1.0))
    return DevicePrice(amortisation + idle, full - idle)


@formula("usd, at a load = usd/load")
def at_load(usd: Any, load: Any) -> NDArray[Any]:
    """Cost of what uses only a share of the paid hours: the others are paid too."""
    return np.asarray(np.asarray(usd, dtype=float) / np.asarray(load, dtype=float))


@formula("break_even = 24·devices·idle_price/(api_usd − machine_s·devices·busy_price/3600)")
def break_even_per_day(price: DevicePrice, devices: int, machine_s: Any, api_usd: Any) -> NDArray[Any]:
    """Queries per day at which a machine costs as much as the API; nan where it costs more at full load, too.

    Every further query saves the API's price less the power that it takes; the hours are paid whether it is used or not.

    Parameters
    ----------
    machine_s : array
        Seconds of the whole machine per query. [s]
    api_usd : array
        Price of a query at the API. [USD]
    """
    machine_s = np.asarray(machine_s, dtype=float)
    saved = np.asarray(api_usd, dtype=float) - machine_s * devices * price.busy / (SECONDS_PER_DAY / HOURS_PER_DAY)
    with np.errstate(divide="ignore", invalid="ignore"):
        queries = HOURS_PER_DAY * devices * price.idle / saved
        return np.asarray(np.where((saved > 0) & (queries * machine_s <= SECONDS_PER_DAY * (1 + 1e-12)), queries, np.nan))
