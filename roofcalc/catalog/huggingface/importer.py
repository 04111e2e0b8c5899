"""Import of a Hugging Face configuration: a path -> plain catalog values, or the YAML lines of a catalog file."""

import re
from pathlib import Path
from typing import Any

from roofcalc.catalog.huggingface import jsonfile, writing
from roofcalc.catalog.huggingface.convert import convert
from roofcalc.errors import RoofcalcError
from roofcalc.specs.model import Model
from roofcalc.specs.schema import NAME, build


def read(text: str, name: str | None = None) -> tuple[dict[str, Any], Path]:
    """The catalog values of the model at a path, and the file that was read.

    Parameters
    ----------
    text : str
        A config.json, or a folder that holds one.
    name : str, optional
        Name of the model; by default that of its folder or file, else the one inside the config.

    Raises
    ------
    RoofcalcError
        No configuration, one that cannot be converted, or an invalid name.
    """
    source = jsonfile.find(text)
    if name is not None and not re.fullmatch(NAME.pattern, name):
        raise RoofcalcError(f"name: expected {NAME.words}, got {name!r}")
    return convert(source.values, str(source.path), name or _model_name(source), source.quantisation), source.path


def yaml_lines(text: str, name: str | None = None) -> tuple[list[str], list[str]]:
    """The validated lines of a catalog file for the model at a path, and remarks on details that are not modelled."""
    values, path = read(text, name)
    build(Model, values, {}, str(path))
    return list(writing.lines(values)), [values["notes"]] if "notes" in values else []


def _model_name(source: jsonfile.ConfigFiles) -> str:
    """The model's name in catalog form: lower case with hyphens."""
    given = source.values.get("_name_or_path")
    inside = re.split(r"[/\\]", given.rstrip("/\\"))[-1] if isinstance(given, str) else ""
    kind = source.values.get("model_type")
    for candidate in (source.name, inside, kind if isinstance(kind, str) else ""):
        plain = re.sub(r"[^a-z0-9.+]+", "-", candidate.lower()).strip("-.+")
        if plain and not re.fullmatch(r"[0-9a-f]{40}", plain):
            return plain
    return "model"
