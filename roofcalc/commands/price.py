"""What an hour of a machine costs and draws, as the questions about money ask for it: given, or looked up and said in a note."""

from __future__ import annotations

import math

from roofcalc.catalog import lookup, prices
from roofcalc.commands.arguments import Numbers, single
from roofcalc.commands.request import Request
from roofcalc.specs.device import Hardware


def usd_per_device_hour(request: Request, hardware: Hardware, given: Numbers | None) -> float:
    """Dollars per device-hour: those given, else the newest on-demand price of the table; nan where it has none."""
    if given is not None:
        return single(given, "usd_per_hour", 0, 1e9)
    name = hardware.system.name if hardware.system else hardware.device.name
    found = prices.price(name) if lookup.normal(name) in lookup.entries("hardware") else None
    if found is None:
        request.note(f"{name}: the price table has none; --usd-per-hour gives one per device")
        return math.nan
    row = found.row
    terms = row.terms.replace("_", "-")
    request.note(f"{name}: {found.usd_per_device_hour:.4g} USD per device-hour ({row.provider}, {terms}, {row.date}, {row.source}; --usd-per-hour)")
    return found.usd_per_device_hour


def power_w(request: Request, hardware: Hardware) -> float:
    """Watts of all devices, or of the whole system where its own figure is known; nan where neither is."""
    if hardware.system and hardware.system.power_kw:
        return hardware.system.power_kw * 1000
    if hardware.device.power_w:
        return hardware.device.power_w * hardware.count
    request.note(f"{hardware.name}: no power is known, so no energy")
    return math.nan
