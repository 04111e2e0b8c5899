"""`roofcalc plan`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import (
    ASSUMPTIONS,
    BATCH,
    CHUNK,
    CONTEXT,
    GENERATION,
    HAD,
    INTERACTIVITY,
    LEAST,
    LOAD,
    MACHINES,
    MAX_TTFT,
    MODEL,
    PRECISION,
    SEARCHED_LAYOUT,
    SPARE,
    SPECULATION,
    USD_PER_HOUR,
    WHAT_IF,
)
from roofcalc.commands.plan import plan

COMMAND = command(
    "plan",
    plan,
    (
        *(MODEL, MACHINES, CONTEXT, *GENERATION, CHUNK, BATCH, *LOAD, INTERACTIVITY, MAX_TTFT, *SPECULATION),
        *(HAD, SPARE, LEAST, USD_PER_HOUR, *PRECISION, *SEARCHED_LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    ),
    "The fewest devices, as replicas of one layout, that hold and serve a demand; what binds, and what would relax it.",
    (
        "roofcalc plan llama-3.1-405b h100-sxm h200-sxm mi300x --weights fp8 --seq 8k --batch 64 --interactivity 30",
        "roofcalc plan llama-3.1-70b 8xh100-sxm --weights fp8 --isl 4000 --osl 500 --requests-per-second 20 --ttft 0.5 --spare 1",
        "roofcalc plan deepseek-v3 h200-sxm,b200-sxm --seq 8k --batch 1k --interactivity 50 --least usd",
    ),
)
