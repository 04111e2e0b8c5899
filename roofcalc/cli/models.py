"""`roofcalc models list`, `show` and `import`."""

from typing import ClassVar

import typer

from roofcalc.cli.app import LazyGroup, help_if_alone
from roofcalc.cli.command import command
from roofcalc.cli.options import MODEL
from roofcalc.listing import models_list, models_show


class ModelsGroup(LazyGroup):
    table: ClassVar = {
        "list": ("roofcalc.cli.models:LIST", "Every model."),
        "show": ("roofcalc.cli.models:SHOW", "Layers, parameters counted and published, KV bytes per token, sources."),
        "import": ("roofcalc.cli.models_import:IMPORT", "A catalog file from a Hugging Face config.json."),
    }


LIST = command("list", models_list, (), "Every model of the catalogs.", ("roofcalc models list",))
SHOW = command(
    "show",
    models_show,
    (MODEL,),
    "Layers, parameters counted from the fields beside the published number, KV bytes per token, and sources.",
    ("roofcalc models show llama-3.1-405b", "roofcalc models show qwen3-8b,qwen3-32b -f json"),
)

_app = typer.Typer(cls=ModelsGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@_app.callback()
def _models(ctx: typer.Context) -> None:
    """The catalog of models."""
    help_if_alone(ctx)


COMMAND = typer.main.get_command(_app)
