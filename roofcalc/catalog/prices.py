"""What an hour costs: dated rows of `prices.csv`, the user's tables before the built-in one.

A row prices an hour of one device or of a whole system, by the name that the catalog gives it.
"""

import csv
import math
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from roofcalc.catalog import lookup, yamlfile
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import Record

TERMS = ("on_demand", "spot", "reserved", "list")
HEADER = ("provider", "hardware", "usd_per_hour", "terms", "date", "source", "notes")


class Row(Record):
    """One line of a table.

    Attributes
    ----------
    hardware : str
        A device or a system of the catalog, normalised.
    usd_per_hour : float
        For one of them: a whole system, where it is one.
    date : str
        YYYY-MM or YYYY-MM-DD: when the price held.
    place : str
        The table's file and line.
    """

    provider: str
    hardware: str
    usd_per_hour: float
    terms: str
    date: str
    source: str
    notes: str
    place: str


class Price(Record):
    """One device's hour: `row.usd_per_hour` over the number of devices that the row pays for."""

    usd_per_device_hour: float
    devices: int
    row: Row


def price(name: str, terms: str = "on_demand") -> Price | None:
    """The newest price of `name`, for each of its devices; None where no table has one on these terms.

    A system's own rows come first, then its device's, then those of other systems of that device. Of equal dates the upper row counts.

    Raises
    ------
    RoofcalcError
        Unknown name or terms, or every problem of the tables at once.
    """
    if terms not in TERMS:
        raise RoofcalcError(f"unknown terms {terms!r}{did_you_mean(terms, TERMS)} (expected one of {', '.join(TERMS)})")
    wanted = lookup.hardware(name)[0]
    device = lookup.normal(wanted.device.name)
    for table in tables():
        offers = [row for row in table if row.terms == terms]
        if wanted.system and (found := _newest(offers, {lookup.normal(wanted.system.name): wanted.system.count})):
            return found
        if found := _newest(offers, {device: 1}) or _newest(offers, _systems_of(device, offers)):
            return found
    return None


def _newest(rows: list[Row], devices: dict[str, int]) -> Price | None:
    """The newest of the rows of these names, whose numbers of devices are given."""
    own = [row for row in rows if row.hardware in devices]
    if not own:
        return None
    row = max(own, key=lambda one: one.date)
    return Price(row.usd_per_hour / devices[row.hardware], devices[row.hardware], row)


def _systems_of(device: str, rows: list[Row]) -> dict[str, int]:
    """Of the systems that the rows name, those made of `device`, and how many each has."""
    priced = (lookup.hardware(name)[0] for name in dict.fromkeys(row.hardware for row in rows))
    return {lookup.normal(one.system.name): one.system.count for one in priced if one.system and lookup.normal(one.device.name) == device}


def tables() -> tuple[tuple[Row, ...], ...]:
    """Every table's rows: those of ROOFCALC_PATH first, then the built-in one.

    Raises
    ------
    RoofcalcError
        Every problem of every table, with file and line.
    """
    errors: list[str] = []
    paths = (place / "prices.csv" for place in lookup.directories("hardware"))
    found = tuple(_table(path, errors) for path in paths if path.exists())
    if errors:
        raise RoofcalcError(*errors)
    return found


def _table(path: Path, errors: list[str]) -> tuple[Row, ...]:
    """A file's rows; its problems are added to `errors`."""
    known = lookup.entries("hardware")
    lines = csv.reader(yamlfile.read_text(path).splitlines(), strict=True)
    rows: list[Row] = []
    try:
        if tuple(next(lines, ())) != HEADER:
            errors.append(f"{path}:1: expected the header {','.join(HEADER)}")
            return ()
        for cells in lines:
            place = f"{path}:{lines.line_num}"
            if len(cells) == len(HEADER):
                rows += _row([cell.strip() for cell in cells], place, known, errors)
            elif cells:
                errors.append(f"{place}: expected {len(HEADER)} cells, got {len(cells)}")
    except csv.Error as error:
        errors.append(f"{path}:{lines.line_num}: {error}")
    return tuple(rows)


def _row(cells: list[str], place: str, known: Mapping[str, object], errors: list[str]) -> list[Row]:
    """The row that the cells make, or none; its problems are added to `errors`."""
    provider, name, usd, terms, day, source, notes = cells
    hardware = lookup.normal(name)
    problems = []
    if not provider:
        problems.append("provider: not given")
    if hardware not in known:
        problems.append(f"hardware: no catalog entry {name!r}{did_you_mean(hardware, tuple(known))}")
    if not _positive(usd):
        problems.append(f"usd_per_hour: expected a number above 0, got {usd!r}")
    if terms not in TERMS:
        problems.append(f"terms: expected one of {', '.join(TERMS)}, got {terms!r}{did_you_mean(terms, TERMS)}")
    if not _is_date(day):
        problems.append(f"date: expected YYYY-MM or YYYY-MM-DD, got {day!r}")
    if not source:
        problems.append("source: not given")
    errors += (f"{place}: {problem}" for problem in problems)
    return [] if problems else [Row(provider, hardware, float(usd), terms, day, source, notes, place)]


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", text):
        return False
    try:
        date.fromisoformat(text if len(text) == 10 else f"{text}-01")
    except ValueError:
        return False
    return True
