"""What APIs asked for their tokens at a date, in US dollars per million: only to be compared with what hardware costs."""

from typing import NamedTuple

from roofcalc.errors import RoofcalcError, did_you_mean


class ApiPrice(NamedTuple):
    """US dollars per million tokens in and out, since when they held (the model version's date), and where they stand."""

    price_in: float
    price_out: float
    date: str
    source: str


_SOURCE = "https://github.com/svilupp/PromptingTools.jl/blob/03afe4c85f1619cf217ed0fb628698aef447c5f7/src/user_preferences.jl"

API_PRICES = {
    "o1-preview": ApiPrice(15.0, 60.0, "2024-09-12", _SOURCE),
    "o1-mini": ApiPrice(3.0, 12.0, "2024-09-12", _SOURCE),
    "gpt-4o": ApiPrice(2.5, 10.0, "2024-08-06", _SOURCE),
    "gpt-4o-mini": ApiPrice(0.15, 0.6, "2024-07-18", _SOURCE),
}


def api_price(name: str) -> ApiPrice:
    """The price of `name`.

    Raises
    ------
    RoofcalcError
        It is not in the table; names the nearest and how to give prices.
    """
    key = name.strip().lower()
    if key not in API_PRICES:
        known = tuple(API_PRICES)
        raise RoofcalcError(f"api: no price of {name!r}{did_you_mean(key, known)}; known: {', '.join(known)}; --price-in and --price-out take any")
    return API_PRICES[key]
