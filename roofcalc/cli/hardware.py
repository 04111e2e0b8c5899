"""`roofcalc hardware list` and `show`."""

from typing import ClassVar

import typer

from roofcalc.cli.app import LazyGroup, help_if_alone
from roofcalc.cli.command import command
from roofcalc.cli.options import HARDWARE
from roofcalc.listing import hardware_list, hardware_show


class HardwareGroup(LazyGroup):
    table: ClassVar = {
        "list": ("roofcalc.cli.hardware:LIST", "Every device and system."),
        "show": ("roofcalc.cli.hardware:SHOW", "Peaks, memory, links, ridge points and sources."),
    }


LIST = command("list", hardware_list, (), "Every device and system of the catalogs.", ("roofcalc hardware list",))
SHOW = command(
    "show",
    hardware_show,
    (HARDWARE,),
    "Peaks, bandwidth, every reading of the capacity, links, ridge points and sources.",
    ("roofcalc hardware show h100-sxm", "roofcalc hardware show 8xh100-sxm,mi300x -f csv"),
)

_app = typer.Typer(cls=HardwareGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@_app.callback()
def _hardware(ctx: typer.Context) -> None:
    """The catalog of devices and systems."""
    help_if_alone(ctx)


COMMAND = typer.main.get_command(_app)
