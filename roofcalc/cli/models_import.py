"""`roofcalc models import`: a Hugging Face config.json becomes a catalog file, printed or written whole or not at all."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from roofcalc.catalog.huggingface import importer
from roofcalc.cli.command import GroupedHelp
from roofcalc.errors import RoofcalcError
from roofcalc.report.writers import write

_YAML = (".yaml", ".yml")


def _import(
    path: Annotated[str, typer.Argument(help="A config.json, or the folder that holds it.", metavar="PATH", show_default=False)],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write to a file: whole or not at all; - is standard output.", metavar="FILE.yaml", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the model. [the file's or the folder's name]", metavar="NAME", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes.", show_default=False)] = False,
) -> None:
    """Writes the catalog file of the model that a Hugging Face config.json describes, ready to keep once its sources are filled in."""
    if output == "":
        raise RoofcalcError("output: a file's name is missing")
    target = Path(output) if output and output != "-" else None
    if target is not None and target.suffix in _YAML:
        if name not in (None, target.stem):
            raise RoofcalcError(f"name: {name!r} must equal the file's name {target.stem!r}")
        name = target.stem
    lines, remarks = importer.yaml_lines(path, name)
    write(iter(lines), target)
    if not quiet:
        for remark in (*remarks, "sources: give the addresses where the figures can be read"):
            print(f"note: {remark}", file=sys.stderr)


_app = typer.Typer(add_completion=False, rich_markup_mode=None)
_app.command("import", cls=GroupedHelp, context_settings={"help_option_names": ["-h", "--help"]})(_import)
IMPORT = typer.main.get_command(_app)
IMPORT.examples = (  # type: ignore[attr-defined]
    "roofcalc models import Llama-3.1-8B/config.json",
    "roofcalc models import Llama-3.1-8B -o my-llama.yaml",
)
