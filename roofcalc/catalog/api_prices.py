"""Prices of hosted APIs from `models/api_prices.csv`, for comparison with the cost of one's own hardware."""

import re
from typing import NamedTuple

from roofcalc.catalog import tables
from roofcalc.errors import RoofcalcError, did_you_mean

FILE = "api_prices.csv"
HEADER = ("api", "usd_per_mtok_in", "usd_per_mtok_out", "date", "source", "notes", "usd_per_mtok_cached_in")
REQUIRED = 6  # columns that a user's table must have


class ApiPrice(NamedTuple):
    """A dated price.

    Attributes
    ----------
    price_in, price_out : float
        Per million input and output tokens. [USD]
    date : str
        When the price was valid: YYYY-MM or YYYY-MM-DD.
    source : str
        The address at which it is published.
    price_cached_in : float or None
        Per million input tokens that are found in the provider's prompt cache; None where no price of their own is published. [USD]
    """

    name: str
    price_in: float
    price_out: float
    date: str
    source: str
    notes: str
    price_cached_in: float | None = None


def api_prices() -> dict[str, ApiPrice]:
    """Every API by its name in lower case; a user's row replaces the built-in one, and the newest of a table's rows wins.

    Raises
    ------
    RoofcalcError
        Every problem of the tables, with file and line.
    """
    newest: dict[str, ApiPrice] = {}
    for table in reversed(tables.rows(tables.files("models", FILE), HEADER, _row, REQUIRED)):
        dated: dict[str, ApiPrice] = {}
        for row in table:
            if row.name not in dated or row.date > dated[row.name].date:
                dated[row.name] = row
        newest |= dated
    return newest


def _row(line: tables.Line, problems: list[str]) -> ApiPrice:
    name, given_in, given_out, day, source, notes, given_cached = line.cells
    tables.check_given(name, "api", problems)
    price_in = tables.positive(given_in, "usd_per_mtok_in", problems)
    price_out = tables.positive(given_out, "usd_per_mtok_out", problems)
    tables.check_date(day, problems)
    tables.check_given(source, "source", problems)
    cached = tables.positive(given_cached, "usd_per_mtok_cached_in", problems) if given_cached else None
    return ApiPrice(name.lower(), price_in, price_out, day, source, notes, cached)


def api_price(name: str) -> ApiPrice:
    """The price of the API called `name`: as listed, or without the provider in front where only one offers it; `GPT 4o` is gpt-4o.

    Raises
    ------
    RoofcalcError
        It is not in the tables, or several providers offer it; the message gives the nearest names and the flags that take any price.
    """
    key, known = _plain(name), {_plain(listed): price for listed, price in api_prices().items()}
    if key in known:
        return known[key]
    offers = [listed for listed in known if _model(listed) == _model(key) and not ("/" in key and "/" in listed)]
    if len(offers) == 1:
        return known[offers[0]]
    if offers:
        raise RoofcalcError(f"--api: {name!r} is offered by several: {', '.join(offers)}")
    hint = did_you_mean(key, tuple(known)) or did_you_mean(_model(key), tuple(known))
    listed = "" if hint else f"; known: {', '.join(known)}"
    raise RoofcalcError(f"--api: unknown API {name!r}{hint or listed} (--price-in and --price-out take any price)")


def _plain(name: str) -> str:
    """A name in lower case with hyphens."""
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def _model(name: str) -> str:
    """A name without the provider in front."""
    return name.rpartition("/")[2]
