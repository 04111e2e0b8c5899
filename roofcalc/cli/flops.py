"""`roofcalc flops`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, INTERACTIVITY, LAYOUT, MODEL, OPTIONAL_HARDWARE, PRECISION, SEQ, TTFT, WHAT_IF
from roofcalc.commands.flops import flops

COMMAND = command(
    "flops",
    flops,
    (MODEL, OPTIONAL_HARDWARE, SEQ, BATCH, INTERACTIVITY, TTFT, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "FLOPs of one token and of a whole prompt against context; with hardware, the context at which FLOPs are the limit.",
    (
        "roofcalc flops llama-3.1-405b --seq 1k:128k:x2",
        "roofcalc flops llama-3.1-405b 8xh100-sxm --weights fp8 --batch 128 --interactivity 30",
    ),
)
