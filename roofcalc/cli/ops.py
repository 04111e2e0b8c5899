"""`roofcalc ops`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, HARDWARE, LAYOUT, MODEL, PER_LAYER, PRECISION, SEQ, WHAT_IF
from roofcalc.questions.ops import ops

COMMAND = command(
    "ops",
    ops,
    (MODEL, HARDWARE, SEQ, BATCH, PER_LAYER, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "The step of one device, operation by operation; the times add up to the step of `interactivity`.",
    (
        "roofcalc ops deepseek-v3 8xh200-sxm --seq 16k --batch 64",
        "roofcalc ops gemma-3-27b h100-sxm --seq 32k --batch 8 --per-layer -f csv",
    ),
)
