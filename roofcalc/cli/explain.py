"""`roofcalc explain max-batch`, `explain interactivity`, `explain memory`, `explain prefill`."""

from functools import partial
from typing import ClassVar

import typer

from roofcalc.cli.app import LazyGroup, help_if_alone
from roofcalc.cli.command import text_command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, BATCHES, CACHED, HARDWARE, INTERACTIVITY, LAYOUT, MODEL, NEW, PRECISION, SEQ, WHAT_IF
from roofcalc.commands.explain import explain


class ExplainGroup(LazyGroup):
    table: ClassVar = {
        "max-batch": ("roofcalc.cli.explain:MAX_BATCH", "The largest batch, by memory and by time."),
        "interactivity": ("roofcalc.cli.explain:INTERACTIVITY_", "The step's time, operation by operation."),
        "memory": ("roofcalc.cli.explain:MEMORY", "What fills one device."),
        "prefill": ("roofcalc.cli.explain:PREFILL", "The time to first token."),
    }


_COMMON = (*PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF)

MAX_BATCH = text_command(
    "max-batch",
    partial(explain, "max-batch"),
    (MODEL, HARDWARE, SEQ, INTERACTIVITY, *_COMMON),
    "The working behind `roofcalc max-batch`: every formula with this request's numbers put in.",
    ("roofcalc explain max-batch llama-3.1-405b 8xh100-sxm --weights fp8 --seq 7661 --interactivity 30",),
)
INTERACTIVITY_ = text_command(
    "interactivity",
    partial(explain, "interactivity"),
    (MODEL, HARDWARE, SEQ, BATCHES, *_COMMON),
    "The working behind `roofcalc interactivity`: every formula with this request's numbers put in.",
    ("roofcalc explain interactivity deepseek-v3 8xh200-sxm --seq 16k --batch 64",),
)
MEMORY = text_command(
    "memory",
    partial(explain, "memory"),
    (MODEL, HARDWARE, SEQ, BATCH, *_COMMON),
    "The working behind `roofcalc memory`: every formula with this request's numbers put in.",
    ("roofcalc explain memory gemma-3-27b h100-sxm --seq 128k -f md",),
)
PREFILL = text_command(
    "prefill",
    partial(explain, "prefill"),
    (MODEL, HARDWARE, NEW, CACHED, BATCH, *_COMMON),
    "The working behind `roofcalc prefill`: every formula with this request's numbers put in.",
    ("roofcalc explain prefill deepseek-v3 8xh200-sxm --seq 10k --cached 100k",),
)

_app = typer.Typer(cls=ExplainGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@_app.callback()
def _explain(ctx: typer.Context) -> None:
    """The same request with its working shown."""
    help_if_alone(ctx)


COMMAND = typer.main.get_command(_app)
