"""Overrides of catalog figures, `hardware.memory.bandwidth_gb_s=4000`, and every combination of those that sweep."""

from __future__ import annotations

import math
import re
from itertools import product
from typing import Any

from roofcalc import units
from roofcalc.catalog import Change, Kind
from roofcalc.errors import RoofcalcError
from roofcalc.given import Names

MAX_SWEEPS = 100_000


def combinations(given: Names) -> list[tuple[Change, ...]]:
    """Every combination of the overrides' values."""
    if not isinstance(given, (str, list, tuple)) or not all(isinstance(text, str) for text in given):
        raise RoofcalcError(f"changes: expected text such as model.vocab=32000, got {given!r}")
    each = [_change(text) for text in ([given] if isinstance(given, str) else given)]
    count = math.prod(len(figures) for _, _, figures in each)
    if count > MAX_SWEEPS:
        raise RoofcalcError(f"--set: {count:,} combinations; at most {MAX_SWEEPS:,} are computed at once")
    return list(product(*([Change(kind, path, one) for one in figures] for kind, path, figures in each)))


def _change(text: str) -> tuple[Kind, tuple[str, ...], list[Any]]:
    """What an override changes, where in it, and the values that it takes."""
    path, equals, value = text.partition("=")
    target, *rest = path.strip().split(".")
    kinds: dict[str, Kind] = {"model": "models", "hardware": "hardware"}
    kind = kinds.get(target)
    if not equals or kind is None or not rest or not all(rest):
        raise RoofcalcError(f"--set {text}: write it as hardware.memory.bandwidth_gb_s=4000 or model.blocks.block.attention.kv_heads=4")
    return kind, tuple(rest), _figures(value.strip(), path)


def _figures(text: str, what: str) -> list[Any]:
    """The values that an override takes: numbers and ranges, true or false, else the text itself."""
    if text in ("true", "false"):
        return [text == "true"]
    try:
        return [int(value) if float(value).is_integer() else value for value in units.numbers(text, f"--set {what}")]
    except RoofcalcError:
        if re.fullmatch(r"[-+.0-9][-+.:,0-9a-z]*", text, re.IGNORECASE) and not re.search(r"[a-z]{3}", text, re.IGNORECASE):
            raise  # meant as a number or a range, and is none
    return [text]
