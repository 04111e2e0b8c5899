"""`roofcalc frontier`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import (
    ASSUMPTIONS,
    CHUNK,
    CONTEXT,
    DISAGGREGATED,
    EVERY_POINT,
    GENERATION,
    HARDWARE,
    LADDER,
    MAX_TTFT,
    MODEL,
    PRECISION,
    SEARCHED_LAYOUT,
    SIZES,
    SPECULATION,
    WHAT_IF,
)
from roofcalc.commands.frontier import frontier

COMMAND = command(
    "frontier",
    frontier,
    (
        *(MODEL, HARDWARE, CONTEXT, LADDER, *GENERATION, CHUNK, MAX_TTFT, *SPECULATION),
        *(SIZES, DISAGGREGATED, EVERY_POINT, *PRECISION, *SEARCHED_LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    ),
    "Throughput of one device against the interactivity of each user: what no other layout, batch, precision or size beats.",
    (
        "roofcalc frontier llama-3.1-405b 8xh100-sxm --weights fp8 --kv bf16,fp8",
        "roofcalc frontier deepseek-v3 h200-sxm --devices 8:64:8 --seq 4k",
        "roofcalc frontier llama-3.1-70b 8xh100-sxm --weights fp8 --isl 4000 --osl 1000 --disaggregated",
    ),
)
