"""Price of a device-hour: dated rows of `hardware/prices.csv`, the users' tables before the built-in one.

A row prices an hour of one device or of a whole system, by its name in the catalog.
"""

from typing import NamedTuple

from roofcalc.catalog import lookup, tables
from roofcalc.catalog.listing import Names
from roofcalc.errors import RoofcalcError, did_you_mean

FILE = "prices.csv"
TERMS = ("on_demand", "spot", "reserved", "list")
HEADER = ("provider", "hardware", "usd_per_hour", "terms", "date", "source", "notes")


class Row(NamedTuple):
    """One line of a table.

    Attributes
    ----------
    hardware : str
        Normalised name of a device or a system of the catalog.
    usd_per_hour : float
        Of one device, or of one whole system. [USD/h]
    date : str
        When the price was valid: YYYY-MM or YYYY-MM-DD.
    place : str
        `file:line`.
    """

    provider: str
    hardware: str
    usd_per_hour: float
    terms: str
    date: str
    source: str
    notes: str
    place: str


class Price(NamedTuple):
    """`usd_per_device_hour` [USD/h] is `row.usd_per_hour` over the number of devices that the row pays for."""

    usd_per_device_hour: float
    devices: int
    row: Row


def price(name: str, terms: str = "on_demand") -> Price | None:
    """The newest price of `name` per device; None where no table lists it on these terms.

    Rows of the system itself have precedence over those of its device, and these over rows of other systems of that device.
    Among equal dates the first row wins.

    Raises
    ------
    RoofcalcError
        Unknown name or terms, or every problem of the tables at once.
    """
    if terms not in TERMS:
        raise RoofcalcError(f"unknown terms {terms!r}{did_you_mean(terms, TERMS)} (expected one of {', '.join(TERMS)})")
    wanted = lookup.hardware(name)[0]
    device = lookup.normal(wanted.device.name)
    for table in price_tables():
        offers = [row for row in table if row.terms == terms]
        if wanted.system and (newest := _newest(offers, {lookup.normal(wanted.system.name): wanted.system.count})):
            return newest
        if newest := _newest(offers, {device: 1}) or _newest(offers, _systems_of(device, offers)):
            return newest
    return None


def _newest(rows: list[Row], devices: dict[str, int]) -> Price | None:
    """The newest of the rows that price one of the names in `devices`, which gives the number of devices of each."""
    matching = [row for row in rows if row.hardware in devices]
    if not matching:
        return None
    row = max(matching, key=lambda one: one.date)
    return Price(row.usd_per_hour / devices[row.hardware], devices[row.hardware], row)


def _systems_of(device: str, rows: list[Row]) -> dict[str, int]:
    """Systems made of `device` among those that the rows price, and how many devices each has."""
    priced = (lookup.hardware(name)[0] for name in dict.fromkeys(row.hardware for row in rows))
    return {lookup.normal(one.system.name): one.system.count for one in priced if one.system and lookup.normal(one.device.name) == device}


_last: tuple[tuple[tables.File, ...], Names, tuple[tuple[Row, ...], ...]] = ((), {}, ())  # the tables and names last read, and their rows


def price_tables() -> tuple[tuple[Row, ...], ...]:
    """Every table's rows: those of ROOFCALC_PATH first, then the built-in one.

    Raises
    ------
    RoofcalcError
        Every problem of every table, with file and line.
    """
    global _last
    files, known = tables.files("hardware", FILE), lookup.names("hardware")
    last_files, last_known, built = _last
    if known is last_known and len(files) == len(last_files) and all(a is b for a, b in zip(files, last_files, strict=True)):
        return built
    built = tables.rows(files, HEADER, lambda line, problems: _row(line, known, problems))
    _last = files, known, built
    return built


def _row(line: tables.Line, known: Names, problems: list[str]) -> Row:
    provider, name, usd, terms, day, source, notes = line.cells
    hardware = lookup.normal(name)
    tables.check_given(provider, "provider", problems)
    if hardware not in known:
        problems.append(f"hardware: no catalog entry {name!r}{did_you_mean(hardware, tuple(known))}")
    usd_per_hour = tables.positive(usd, "usd_per_hour", problems)
    if terms not in TERMS:
        problems.append(f"terms: expected one of {', '.join(TERMS)}, got {terms!r}{did_you_mean(terms, TERMS)}")
    tables.check_date(day, problems)
    tables.check_given(source, "source", problems)
    return Row(provider, hardware, usd_per_hour, terms, day, source, notes, line.place)
