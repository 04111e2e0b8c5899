"""`roofcalc prefill`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, CACHED, CHUNK, HARDWARE, LAYOUT, MODEL, NEW, PRECISION, WHAT_IF
from roofcalc.commands.prefill import prefill

COMMAND = command(
    "prefill",
    prefill,
    (MODEL, HARDWARE, NEW, CACHED, BATCH, CHUNK, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "Time to the first token of --seq new tokens after --cached ones.",
    (
        "roofcalc prefill llama-3.1-70b 8xh100-sxm --weights fp8 --seq 1k:128k:x2",
        "roofcalc prefill deepseek-v3 8xh200-sxm --seq 100,10k --cached 0,100k --chunk 2k",
    ),
)
