"""`roofcalc max-batch`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, CHUNK, GENERATION, HARDWARE, INTERACTIVITY, LAYOUT, MODEL, PRECISION, SEQ, SPECULATION, WHAT_IF
from roofcalc.commands.max_batch import max_batch

COMMAND = command(
    "max-batch",
    max_batch,
    (MODEL, HARDWARE, SEQ, INTERACTIVITY, *GENERATION, CHUNK, *SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "How many sequences fit and stay fast enough, and what runs out first. Every list crosses with every other.",
    (
        "roofcalc max-batch llama-3.1-405b 8xh100-sxm --weights fp8 --seq 775,7661 --interactivity 30",
        "roofcalc max-batch llama-3.1-70b,qwen2.5-72b 8xh100-sxm,8xmi300x --weights bf16,fp8 --seq 8k -f csv",
        "roofcalc max-batch llama-3.1-8b h100-sxm --seq 4k --interactivity 50 --set hardware.memory.bandwidth_gb_s=2000:4000:500",
        "roofcalc max-batch llama-3.1-70b 4xh100-sxm --weights fp8 --seq 8k --require 'max_batch>=16'",
    ),
)
