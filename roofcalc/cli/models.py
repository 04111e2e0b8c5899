"""`roofcalc models list`, `show`, `check` and `import`."""

from typing import ClassVar

import typer

from roofcalc.cli.app import LazyGroup, help_if_alone
from roofcalc.cli.command import command
from roofcalc.cli.options import FILES, MODEL_FILTERS, MODEL_NAMES, YAML
from roofcalc.commands.catalog_check import failed, models_check
from roofcalc.commands.catalog_list.models import models_list, models_show
from roofcalc.commands.catalog_list.source import yaml_lines
from roofcalc.report.table import Table


class ModelsGroup(LazyGroup):
    table: ClassVar = {
        "list": ("roofcalc.cli.models:LIST", "Every model, or those of a kind."),
        "show": ("roofcalc.cli.models:SHOW", "Layers, parameters counted and published, KV bytes per token, sources; several side by side."),
        "check": ("roofcalc.cli.models:CHECK", "Slips in the catalogs' files, or in your own."),
        "import": ("roofcalc.cli.models_import:IMPORT", "A catalog file from a Hugging Face config.json."),
    }


def _show(model: list[str], yaml: bool = False) -> Table | list[str]:
    return yaml_lines("models", model) if yaml else models_show(model)


LIST = command(
    "list",
    models_list,
    MODEL_FILTERS,
    "Every model of the catalogs, or those that are asked for.",
    ("roofcalc models list", "roofcalc models list llama", "roofcalc models list --kind dense --sort params"),
)
SHOW = command(
    "show",
    _show,
    (MODEL_NAMES, YAML),
    "Layers, parameters counted from the fields beside the published number, KV bytes per token, and sources; two or more side by side.",
    ("roofcalc models show llama-3.1-405b", "roofcalc models show qwen3-8b qwen3-32b -f json", "roofcalc models show llama-3.3-70b --yaml"),
)
CHECK = command(
    "check",
    models_check,
    (FILES,),
    "Schema, parameters counted against those published, names and sources. Exit code 2 where there is an error.",
    ("roofcalc models check", "roofcalc models check -f csv --columns file,problem"),
    failed,
)

_app = typer.Typer(cls=ModelsGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@_app.callback()
def _models(ctx: typer.Context) -> None:
    """The catalog of models."""
    help_if_alone(ctx)


COMMAND = typer.main.get_command(_app)
