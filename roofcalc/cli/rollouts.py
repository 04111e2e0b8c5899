"""`roofcalc rollouts`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, FASTER, HARDWARE, LAYOUT, MODEL, PRECISION, ROLLOUTS, SPECULATION, USD_PER_HOUR, WHAT_IF
from roofcalc.commands.rollouts import rollouts

COMMAND = command(
    "rollouts",
    rollouts,
    (MODEL, HARDWARE, *ROLLOUTS, FASTER, USD_PER_HOUR, *SPECULATION, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "Tokens, FLOPs, device-hours and money of rollouts for reinforcement learning, beside pre-training.",
    (
        "roofcalc rollouts llama-3.1-405b dgx-h100 --weights fp8",
        "roofcalc rollouts llama-3.1-70b gb200-nvl72 --rollouts 64:4096:x4 --kept 0.1 --reward-model llama-3.1-8b --forwards-per-backward 2",
    ),
)
