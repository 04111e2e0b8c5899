"""Hourly price and power of a machine for the commands about cost: as given, or from the catalog with a note on the source."""

from __future__ import annotations

import math

from roofcalc.catalog import lookup, prices
from roofcalc.commands.arguments import Numbers, single_number
from roofcalc.commands.request import Request
from roofcalc.specs.device import Hardware


def usd_per_device_hour(request: Request, hardware: Hardware, given: Numbers | None) -> float:
    """USD per device-hour: the given price, otherwise the newest on-demand price in the price table; nan if it lists none."""
    if given is not None:
        return single_number(given, "--usd-per-hour", 0, 1e9)
    name = hardware.system.name if hardware.system else hardware.device.name
    price = prices.price(name) if lookup.normal(name) in lookup.entries("hardware") else None
    if price is None:
        request.note(f"{name}: not in the price table; give the price per device with --usd-per-hour")
        return math.nan
    row = price.row
    terms = row.terms.replace("_", "-")
    request.note(f"{name}: {price.usd_per_device_hour:.4g} USD per device-hour ({row.provider}, {terms}, {row.date}, {row.source}; --usd-per-hour)")
    return price.usd_per_device_hour


def power_w(request: Request, hardware: Hardware) -> float:
    """Watts of the whole system if its power is known, otherwise of its devices; nan if neither is known."""
    if hardware.system and hardware.system.power_kw:
        return hardware.system.power_kw * 1000
    if hardware.device.power_w:
        return hardware.device.power_w * hardware.count
    request.note(f"{hardware.name}: power is not known, so joule_per_token is missing")
    return math.nan
