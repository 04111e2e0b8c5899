"""`roofcalc cost`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import (
    API,
    ASSUMPTIONS,
    CHUNK,
    HARDWARE,
    INTERACTIVITY,
    KV_AT,
    LAYOUT,
    MODEL,
    PRECISION,
    PRICE_IN,
    PRICE_OUT,
    QUERY,
    SPECULATION,
    USD_PER_HOUR,
    WHAT_IF,
)
from roofcalc.commands.cost import cost

COMMAND = command(
    "cost",
    cost,
    (
        *(MODEL, HARDWARE, QUERY, INTERACTIVITY, USD_PER_HOUR, API, PRICE_IN, PRICE_OUT, KV_AT, CHUNK),
        *(*SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    ),
    "Money and energy per token and query at the largest batch that fits and is fast enough; queries beside one another.",
    (
        "roofcalc cost llama-3.1-405b 8xh100-sxm --weights fp8 --query 140:775 --query 140:7661 --usd-per-hour 3",
        "roofcalc cost llama-3.1-70b 4xh100-sxm --weights fp8 --query 4k:500 --interactivity 20,50 --price-in 0.6 --price-out 0.9",
        "roofcalc cost llama-3.1-405b 8xh100-sxm --weights fp8 --query 140:7661,140:775 --api o1-preview,gpt-4o",
    ),
)
