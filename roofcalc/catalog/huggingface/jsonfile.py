"""Configuration files on disk -> plain values."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError

CONFIG = "config.json"
_QUANTISATION = "hf_quant_config.json"
MAX_BYTES = 16_000_000  # lists of modules can be long: 3.1 MB in nvidia's MiniMax M3


class ConfigFiles(NamedTuple):
    """A configuration.

    Attributes
    ----------
    path : Path
        The config file.
    values : dict
        Its contents.
    quantisation : dict or None
        Contents of hf_quant_config.json in the same folder.
    name : str
        Name of the model by its folder or file; may be empty.
    """

    path: Path
    values: dict[str, Any]
    quantisation: dict[str, Any] | None
    name: str


def find(text: str) -> ConfigFiles:
    """The configuration at a path: a JSON file, or a folder that holds a config.json.

    Raises
    ------
    RoofcalcError
        There is none, or it cannot be read as one JSON object.
    """
    path = Path(text)
    if path.is_dir():
        path = path / CONFIG
        if not path.exists():
            raise RoofcalcError(f"{text}: contains no {CONFIG}")
    quantisation = path.with_name(_QUANTISATION)
    return ConfigFiles(path, load(path), load(quantisation) if quantisation.is_file() else None, _model_name(path))


def files(path: Path) -> tuple[Path, Path]:
    """The two files that `find` reads for a path; the second need not exist."""
    config = path / CONFIG if path.is_dir() else path
    return config, config.with_name(_QUANTISATION)


def load(path: Path) -> dict[str, Any]:
    """One JSON object.

    Raises
    ------
    RoofcalcError
        The file cannot be read, is too large, is not a JSON object, repeats a key, or nests too deeply.
    """
    text = yamlfile.read_text(path, MAX_BYTES)
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        if path.suffix in (".yaml", ".yml"):
            raise RoofcalcError(f"{path}: not JSON; a roofcalc YAML file needs no import: name it as the model") from None
        raise RoofcalcError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise RoofcalcError(f"{path}: nested too deeply") from None
    except ValueError as error:  # a repeated key, or digits beyond what Python converts
        raise RoofcalcError(f"{path}: {str(error).split(';')[0]}") from None
    if not isinstance(value, dict):
        raise RoofcalcError(f"{path}: expected a JSON object of keys and values")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice}: given more than once")
    return values


def _model_name(path: Path) -> str:
    """Name of the model by its file or folder, including `models--PUBLISHER--NAME` of a download cache."""
    if path.name != CONFIG:
        stem = re.sub(r"[._-]*config$", "", path.stem, flags=re.IGNORECASE)
        return stem.rpartition("--")[2]
    folder = Path(os.path.abspath(path)).parent
    cache = folder.parent.parent.name if folder.parent.name == "snapshots" else folder.name
    return cache.rpartition("--")[2] if cache.startswith("models--") else folder.name
