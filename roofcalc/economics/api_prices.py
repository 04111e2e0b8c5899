"""What APIs asked for their tokens at a date, in US dollars per million: only to be compared with what hardware costs."""

from typing import NamedTuple

from roofcalc.errors import RoofcalcError, did_you_mean


class ApiPrice(NamedTuple):
    """US dollars per million tokens in and out, when they held, and where they stand."""

    price_in: float
    price_out: float
    date: str
    source: str


API_PRICES = {
    "o1-preview": ApiPrice(15.0, 60.0, "2024-12", "https://community.openai.com/t/how-to-correct-compute-the-cost-of-an-o1-model-api-call/1099176"),
    "o1-mini": ApiPrice(3.0, 12.0, "2024-12", "https://github.com/svilupp/PromptingTools.jl/blob/main/src/user_preferences.jl"),
    "gpt-4o": ApiPrice(2.5, 10.0, "2024-12", "https://losclouds.com/ai-models/gpt-4o"),
    "gpt-4o-mini": ApiPrice(0.15, 0.6, "2024-12", "https://losclouds.com/ai-models/gpt-4o-mini"),
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
