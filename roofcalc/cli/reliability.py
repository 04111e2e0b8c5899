"""`roofcalc reliability`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import (
    ASSUMPTIONS,
    ERROR_RATE,
    FAILURE_RATE,
    HARDWARE,
    INTERACTIVITY,
    LAYOUT,
    MODEL,
    PRECISION,
    SPECULATION,
    TOKENS,
    VOTES,
    WHAT_IF,
)
from roofcalc.commands.reliability import reliability

COMMAND = command(
    "reliability",
    reliability,
    (
        *(MODEL, HARDWARE, TOKENS, ERROR_RATE, FAILURE_RATE, VOTES, INTERACTIVITY),
        *(*SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    ),
    "The chance that a generation meets a silent error or a failure, and what a vote makes of it.",
    (
        "roofcalc reliability llama-3.1-405b 8xh100-sxm --weights fp8 --tokens 10k,100k",
        "roofcalc reliability deepseek-v3 16xh200-sxm --tokens 100k --error-rate 1e-5 --failure-rate 1e-4 --streams 3",
    ),
)
