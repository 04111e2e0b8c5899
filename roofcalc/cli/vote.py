"""`roofcalc vote`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import (
    ACCURACY,
    ASSUMPTIONS,
    CHUNK,
    FALSE_POSITIVE,
    HARDWARE,
    INTERACTIVITY,
    LAYOUT,
    MODEL,
    PRECISION,
    PREFIX,
    RECALL,
    SPECULATION,
    STREAMS,
    SUFFIX,
    USD_PER_HOUR,
    VERIFIER,
    WHAT_IF,
)
from roofcalc.commands.vote import vote

COMMAND = command(
    "vote",
    vote,
    (
        *(MODEL, HARDWARE, STREAMS, PREFIX, SUFFIX, INTERACTIVITY, ACCURACY, VERIFIER, RECALL, FALSE_POSITIVE, USD_PER_HOUR, CHUNK),
        *(*SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    ),
    "Several answers to one query: KV, batch, cost and latency of streams that share a prefix against one stream.",
    (
        "roofcalc vote llama-3.1-405b 8xh100-sxm --weights fp8 --streams 1,5 --prefix 0,1k,4k,16k --suffix 1k",
        "roofcalc vote llama-3.1-70b 4xh100-sxm --weights fp8 --streams 1,5,25 --prefix 2k --suffix 2k --accuracy 0.6 --verifier llama-3.1-8b",
    ),
)
