"""`roofcalc ops`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, CACHED, CHUNK, HARDWARE, LAYOUT, MODEL, PER_LAYER, PHASE, PRECISION, SEQ, WHAT_IF
from roofcalc.commands.ops import ops

COMMAND = command(
    "ops",
    ops,
    (MODEL, HARDWARE, SEQ, BATCH, PHASE, CACHED, CHUNK, PER_LAYER, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "The step of one device, operation by operation; the times add up to the step of `interactivity`.",
    (
        "roofcalc ops deepseek-v3 8xh200-sxm --seq 16k --batch 64",
        "roofcalc ops llama-3.1-70b 8xh100-sxm --weights fp8 --phase prefill --seq 8k",
        "roofcalc ops gemma-3-27b h100-sxm --seq 32k --batch 8 --per-layer -f csv",
    ),
)
