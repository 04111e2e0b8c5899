"""Configurations written for the tests from published figures, and the models that they become."""

import json
from pathlib import Path
from typing import Any

from roofcalc.catalog.huggingface import importer
from roofcalc.catalog.huggingface.convert import convert
from roofcalc.specs.model import Model
from roofcalc.specs.schema import build

CONFIGS = Path(__file__).parent / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.json"))


def values(name: str) -> dict[str, Any]:
    return importer.read(str(CONFIGS / f"{name}.json"))[0]


def model(name: str) -> Model:
    return build(Model, values(name), {}, name)


def config(name: str, **changes: Any) -> dict[str, Any]:
    """A configuration with keys changed, in its text part where it has one; a key changed to `...` is gone."""
    found: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())
    inner = found.get("text_config", found)
    inner.update(changes)
    for key in [key for key, value in changes.items() if value is ...]:
        del inner[key]
    return found


def changed(name: str, **changes: Any) -> Model:
    """The model of a configuration with keys changed."""
    return build(Model, convert(config(name, **changes), "config.json", name), {}, name)
