"""The whole way: a path -> plain catalog values, and YAML text to keep."""

import re
from pathlib import Path
from typing import Any

from roofcalc.catalog.huggingface import jsonfile, writing
from roofcalc.catalog.huggingface.convert import convert
from roofcalc.errors import RoofcalcError
from roofcalc.specs.model import Model
from roofcalc.specs.schema import NAME, build


def read(text: str, name: str | None = None) -> tuple[dict[str, Any], Path]:
    """The catalog values of the model at a path, and the file that they come from.

    Parameters
    ----------
    text : str
        A config.json, or a folder that holds one.
    name : str, optional
        What to call the model; else its folder's or file's name, else the one inside the config.

    Raises
    ------
    RoofcalcError
        No configuration, one that cannot be read, or a name that no file can have.
    """
    found = jsonfile.find(text)
    if name is not None and not re.fullmatch(NAME.pattern, name):
        raise RoofcalcError(f"name: expected {NAME.words}, got {name!r}")
    return convert(found.values, str(found.path), name or _called(found), found.quantisation), found.path


def yaml_lines(text: str, name: str | None = None) -> tuple[list[str], list[str]]:
    """The lines of a catalog file for the model at a path, checked as one that is read; and remarks on what it leaves out."""
    values, path = read(text, name)
    build(Model, values, {}, str(path))
    return list(writing.lines(values)), [values["notes"]] if "notes" in values else []


def _called(found: jsonfile.Found) -> str:
    """A name in catalog form: lower case, hyphens."""
    given = found.values.get("_name_or_path")
    inside = re.split(r"[/\\]", given.rstrip("/\\"))[-1] if isinstance(given, str) else ""
    kind = found.values.get("model_type")
    for candidate in (found.name, inside, kind if isinstance(kind, str) else ""):
        plain = re.sub(r"[^a-z0-9.+]+", "-", candidate.lower()).strip("-.+")
        if plain and not re.fullmatch(r"[0-9a-f]{40}", plain):
            return plain
    return "model"
