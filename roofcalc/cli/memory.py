"""`roofcalc memory`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, HARDWARE, LAYOUT, MODEL, PRECISION, SEQ, SPECULATION, WHAT_IF
from roofcalc.commands.memory import memory

COMMAND = command(
    "memory",
    memory,
    (MODEL, HARDWARE, SEQ, BATCH, *SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "What fills the memory at every context and batch, and the longest context that fits.",
    (
        "roofcalc memory llama-3.1-405b 8xh100-sxm --weights fp8 --batch 32 --seq 14173,38752",
        "roofcalc memory qwen3-32b l40s,rtx-4090 --weights int4 --kv fp8 --seq 8k --util 0.9",
    ),
)
