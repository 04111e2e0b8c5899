"""Hourly price and power of a machine for the commands about cost: as given, of one's own hardware, or from the catalog with its source."""

from __future__ import annotations

import math
from typing import NamedTuple

from roofcalc.catalog import lookup, prices
from roofcalc.commands.arguments import Numbers, single_number
from roofcalc.commands.request import Request
from roofcalc.economics import ownership
from roofcalc.economics.ownership import DevicePrice
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Hardware


class Pricing(NamedTuple):
    """The options that give the price of a device-hour; each is None where it was not given."""

    usd_per_hour: float | None = None
    capex: float | None = None
    years: float | None = None
    power_price: float | None = None
    pue: float | None = None
    idle_power: float | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The options that rows state."""
        return tuple(name for name in self._fields[1:] if getattr(self, name) is not None)

    def stated(self) -> dict[str, float | None]:
        """Their values, for rows."""
        return {name: getattr(self, name) for name in self.given}


def pricing(
    usd_per_hour: Numbers | None = None,
    capex: Numbers | None = None,
    years: Numbers | None = None,
    power_price: Numbers | None = None,
    pue: Numbers | None = None,
    idle_power: Numbers | None = None,
    idle: bool = True,
    energy: bool = False,
) -> Pricing:
    """The options about prices, checked.

    Parameters
    ----------
    idle : bool
        Whether machines wait for some of the time, below full load.
    energy : bool
        Whether the command counts energy, also where nobody pays for it.

    Raises
    ------
    RoofcalcError
        Two prices for the same hour, or an option without the one that it belongs to.
    """

    def one(value: Numbers | None, label: str, low: float, high: float) -> float | None:
        return None if value is None else single_number(value, label, low, high)

    found = Pricing(
        one(usd_per_hour, "--usd-per-hour", 0, 1e9),
        one(capex, "--capex", 0, 1e12),
        one(years, "--years", 1e-3, 1000),
        one(power_price, "--power-price", 0, 1e6),
        one(pue, "--pue", 1, 100),
        one(idle_power, "--idle-power", 0, 1),
    )
    if found.usd_per_hour is not None and (found.capex is not None or found.power_price is not None):
        raise RoofcalcError("--usd-per-hour: give the price of an hour, or --capex with --years and --power-price, from which it follows")
    if (found.capex is None) != (found.years is None):
        raise RoofcalcError("--capex, --years: give both: USD for one device, and the years over which they are spread")
    if found.pue is not None and found.power_price is None:
        raise RoofcalcError("--pue: give --power-price too, in USD per kWh")
    if found.idle_power is not None and not idle:
        raise RoofcalcError("--idle-power: no machine waits at full load; give --load below 1 (cost) or --requests-per-second (plan, compare)")
    if found.idle_power is not None and found.power_price is None and not energy:
        raise RoofcalcError("--idle-power: give --power-price too, in USD per kWh")
    return found


def device_price(request: Request, hardware: Hardware, chosen: Pricing) -> DevicePrice:
    """The price of an hour of one device at any load: as given, of one's own, or the newest on-demand price in the price table; else nan.

    A note says where it comes from.
    """
    if chosen.usd_per_hour is not None:
        return DevicePrice(chosen.usd_per_hour)
    if chosen.capex is None and chosen.power_price is None:
        return DevicePrice(_listed_price(request, hardware))
    amortisation = 0.0 if chosen.capex is None or chosen.years is None else ownership.amortised(chosen.capex, chosen.years)
    if chosen.power_price is None:
        bought = f"{chosen.capex:,.0f} USD over {chosen.years:g} years"
        request.note(f"{amortisation:.4g} USD per device-hour: {bought}; power is not counted (--power-price)")
        return DevicePrice(amortisation)
    watts = _power_w(hardware)
    if watts is None:
        request.note(f"{hardware.name}: power is not known, so the price of an hour is missing (--set hardware.power_w=…)")
        return DevicePrice(math.nan)
    pue = 1.0 if chosen.pue is None else chosen.pue
    price = ownership.owned(amortisation, watts / hardware.count, idle_power(chosen), pue, chosen.power_price)
    bought = "no purchase (--capex, --years); " if chosen.capex is None else f"{chosen.capex:,.0f} USD over {chosen.years:g} years, and "
    assumed = " (--pue)" if chosen.pue is None else ""
    request.note(
        f"{hardware.name}: {float(price.at(1)):.4g} USD per device-hour at full load: {bought}"
        f"{watts / hardware.count:,.0f} W at {chosen.power_price:g} USD/kWh and a PUE of {pue:g}{assumed}"
    )
    return price


def idle_power(chosen: Pricing) -> float:
    """The power of an idle machine over its nominal one."""
    return ownership.IDLE_POWER if chosen.idle_power is None else chosen.idle_power


def note_idle_power(request: Request, chosen: Pricing) -> None:
    """Notes the default of the power that a machine draws where it waits."""
    if chosen.idle_power is None:
        request.note(f"idle power: {ownership.IDLE_POWER:g} of the nominal, as of a DGX GB200 tray ({ownership.IDLE_SOURCE}; --idle-power)")


def _listed_price(request: Request, hardware: Hardware) -> float:
    """USD per device-hour by the price table; nan if it lists none."""
    name = hardware.system.name if hardware.system else hardware.device.name
    price = prices.price(name) if lookup.normal(name) in lookup.entries("hardware") else None
    if price is None:
        request.note(f"{name}: not in the price table; give the price per device with --usd-per-hour")
        return math.nan
    row = price.row
    terms = row.terms.replace("_", "-")
    request.note(f"{name}: {price.usd_per_device_hour:.4g} USD per device-hour ({row.provider}, {terms}, {row.date}, {row.source}; --usd-per-hour)")
    return price.usd_per_device_hour


def _power_w(hardware: Hardware) -> float | None:
    """Watts of the whole system if its power is known, otherwise of its devices; None if neither is known."""
    if hardware.system and hardware.system.power_kw:
        return hardware.system.power_kw * 1000 * hardware.count / hardware.system.count
    return hardware.device.power_w * hardware.count if hardware.device.power_w else None


def power_w(request: Request, hardware: Hardware) -> float:
    """Watts of the whole system if its power is known, otherwise of its devices; nan if neither is known."""
    watts = _power_w(hardware)
    if watts is not None:
        return watts
    request.note(f"{hardware.name}: power is not known, so joule_per_token is missing")
    return math.nan
