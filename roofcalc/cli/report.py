"""`roofcalc report`."""

from roofcalc.cli.command import page_command
from roofcalc.cli.options import ASSUMPTIONS, HARDWARE, INTERACTIVITY, LAYOUT, MODEL, PRECISION, SEQ, SOME_BATCHES, WHAT_IF
from roofcalc.commands.report import report

COMMAND = page_command(
    "report",
    report,
    (MODEL, HARDWARE, SEQ, INTERACTIVITY, SOME_BATCHES, *PRECISION, *LAYOUT, *ASSUMPTIONS, *WHAT_IF),
    "One HTML page that needs nothing else: answers, charts, tables, the working, and where every figure comes from.",
    (
        "roofcalc report llama-3.1-405b 8xh100-sxm --weights fp8 -o report.html",
        "roofcalc report llama-3.1-70b 8xh100-sxm,8xmi300x --weights fp8 --seq 1k:64k:x4 --batch 1,32 -o report.html",
    ),
)
