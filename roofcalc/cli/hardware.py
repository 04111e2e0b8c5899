"""`roofcalc hardware list`, `show` and `check`."""

from typing import ClassVar

import typer

from roofcalc.cli.app import LazyGroup, help_if_alone
from roofcalc.cli.command import command
from roofcalc.cli.options import FILES, HARDWARE_FILTERS, HARDWARE_NAMES, YAML
from roofcalc.commands.catalog_check import failed, hardware_check
from roofcalc.commands.catalog_list.hardware import hardware_list, hardware_show
from roofcalc.commands.catalog_list.source import yaml_lines
from roofcalc.report.table import Table


class HardwareGroup(LazyGroup):
    table: ClassVar = {
        "list": ("roofcalc.cli.hardware:LIST", "Every device and system, or those of a kind."),
        "show": ("roofcalc.cli.hardware:SHOW", "Peaks, memory, links, ridge points and sources; several side by side."),
        "check": ("roofcalc.cli.hardware:CHECK", "Slips in the catalogs' files, or in your own."),
    }


def _show(hardware: list[str], yaml: bool = False) -> Table | list[str]:
    return yaml_lines("hardware", hardware) if yaml else hardware_show(hardware)


LIST = command(
    "list",
    hardware_list,
    HARDWARE_FILTERS,
    "Every device and system of the catalogs, or those that are asked for.",
    (
        "roofcalc hardware list",
        "roofcalc hardware list 4090",
        "roofcalc hardware list --vendor nvidia --kind device --dtype fp8 --min-memory-gb 80 --sort bandwidth",
        "roofcalc hardware list --systems",
    ),
)
SHOW = command(
    "show",
    _show,
    (HARDWARE_NAMES, YAML),
    "Peaks, bandwidth, every reading of the capacity, links, ridge points and sources; two or more side by side.",
    ("roofcalc hardware show h100-sxm", "roofcalc hardware show 8xh100-sxm 8xmi300x -f csv", "roofcalc hardware show h100-sxm --yaml"),
)
CHECK = command(
    "check",
    hardware_check,
    (FILES,),
    "Schema, units, plausibility, names and sources. Exit code 2 where there is an error; an entry's `unusual: {field: why}` "
    "excuses a figure that is right all the same.",
    ("roofcalc hardware check", "roofcalc hardware check -f csv --columns file,problem"),
    failed,
)

_app = typer.Typer(cls=HardwareGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@_app.callback()
def _hardware(ctx: typer.Context) -> None:
    """The catalog of devices and systems."""
    help_if_alone(ctx)


COMMAND = typer.main.get_command(_app)
