"""`roofcalc interactivity`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCHES, CHUNK, GENERATION, HARDWARE, LAYOUT, MODEL, PRECISION, SEQ, SPECULATION, WHAT_IF
from roofcalc.commands.interactivity import interactivity

COMMAND = command(
    "interactivity",
    interactivity,
    (MODEL, HARDWARE, SEQ, BATCHES, *GENERATION, CHUNK, *SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "Tokens per second for each user at every batch and context, whether or not they fit the memory.",
    (
        "roofcalc interactivity llama-3.1-405b 8xh100-sxm --weights fp8 --batch 32 --seq 1k:128k:x2",
        "roofcalc interactivity llama-3.1-70b h200-sxm --weights fp8 --seq 2k --batch 1,16,64 --assume bound",
    ),
)
