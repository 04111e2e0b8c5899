"""`roofcalc fit`."""

from typing import Any

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, FIT, FIT_NAMES, LAYOUT, PRECISION, WHAT_IF
from roofcalc.commands.fit import fit
from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Table


def _fit(given: list[str], **options: Any) -> Table:
    if len(given) > 2:
        raise RoofcalcError(f"fit: expected a file, or a model and hardware, got {len(given)} names")
    return fit(*given, **options)


COMMAND = command(
    "fit",
    _fit,
    (
        FIT_NAMES,
        *FIT,
        *PRECISION,
        *LAYOUT,
        *(option for option in ASSUMPTIONS if option.name in ("overlap", "network", "imbalance", "activations")),
        *WHAT_IF,
    ),
    "The achieved fractions of bandwidth, FLOP/s and link, and the latency per collective, time per layer and per step that measured "
    "points imply, by least squares of logarithms. Parameters that the points cannot tell apart stay at 1 or 0.",
    (
        "roofcalc fit measured.csv --by hardware --fix link=1,latency_us=0",
        "roofcalc fit llama-3.1-405b 8xh100-sxm --weights fp8 --network ideal --point seq=7661,batch=72,interactivity=30 "
        "--point seq=775,batch=368,interactivity=30",
    ),
)
