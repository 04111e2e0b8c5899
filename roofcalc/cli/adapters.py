"""Commands whose arguments differ between the shell and the Python API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofcalc.errors import RoofcalcError

if TYPE_CHECKING:
    from roofcalc.report.table import Table


def fit(given: list[str], **options: Any) -> Table:
    """`roofcalc fit`: a file, or a model and hardware, as positional arguments."""
    from roofcalc.commands.fit import fit

    if len(given) == 2 and options.get("hardware") is not None:
        raise RoofcalcError(f"fit: the hardware is given twice: {given[1]} and --hardware {options['hardware']}")
    if len(given) > 2:
        raise RoofcalcError(f"fit: expected a file, or a model and hardware; got {len(given)} arguments")
    return fit(*given, **options)


def check(file: str, junit: str | None = None) -> Table:
    """`roofcalc check`: the table of results, and optionally a JUnit file."""
    from roofcalc.commands.check import results, table
    from roofcalc.report import junit as xml
    from roofcalc.report.streams import write

    found = results(file)
    if junit is not None:
        suite = Path(file).stem
        write(xml.lines(suite, [xml.Case(f"{suite}.{one.command}", one.name, one.seconds, one.failures) for one in found]), Path(junit))
    return table(found)


def hardware_show(hardware: list[str], yaml: bool = False) -> Table | list[str]:
    """`roofcalc hardware show`: the table, or with `--yaml` the lines of a file."""
    from roofcalc.commands.catalog_list.hardware import hardware_show
    from roofcalc.commands.catalog_list.source import yaml_lines

    return yaml_lines("hardware", hardware) if yaml else hardware_show(hardware)


def models_show(model: list[str], yaml: bool = False) -> Table | list[str]:
    """`roofcalc models show`: the table, or with `--yaml` the lines of a file."""
    from roofcalc.commands.catalog_list.models import models_show
    from roofcalc.commands.catalog_list.source import yaml_lines

    return yaml_lines("models", model) if yaml else models_show(model)


def models_import(path: str, name: str | None, target: Path | None) -> tuple[list[str], list[str]]:
    """`roofcalc models import`: the lines of a catalog file, and notes. The name must equal the stem of a `target`."""
    from roofcalc.catalog.huggingface import importer

    if target is not None and target.suffix in (".yaml", ".yml"):
        if name not in (None, target.stem):
            raise RoofcalcError(f"--name: {name!r} must equal the file name {target.stem!r}")
        name = target.stem
    lines, remarks = importer.yaml_lines(path, name)
    return list(lines), [*remarks, "sources: give the addresses where the figures can be read"]


def load(path: str) -> Callable[..., Any]:
    """The function at `module:name`."""
    from importlib import import_module

    module, _, name = path.partition(":")
    return getattr(import_module(module), name)  # type: ignore[no-any-return]
