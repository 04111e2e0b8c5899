"""Overrides of catalog figures, `hardware.memory.bandwidth_gb_s=4000`, and the combinations of swept values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

from roofcalc import units
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Lines

Kind = Literal["models", "hardware"]

MAX_SWEEPS = 100_000


class Change(Record):
    """An override of the figure at `path` in the file of a model or of hardware."""

    target: Kind
    path: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return f"{self.target.removesuffix('s')}.{'.'.join(self.path)}={value}"


def combinations(given: str | Sequence[str]) -> list[tuple[Change, ...]]:
    """Every combination of the values of several overrides.

    Raises
    ------
    RoofcalcError
        Text that is not an override, or more than MAX_SWEEPS combinations.
    """
    if not isinstance(given, (str, list, tuple)) or not all(isinstance(text, str) for text in given):
        raise RoofcalcError(f"changes: expected text such as model.vocab=32000, got {given!r}")
    each = [_change(text) for text in ([given] if isinstance(given, str) else given)]
    paths = [(kind, *path) for kind, path, _ in each]
    if twice := next((path for place, path in enumerate(paths) if path in paths[:place]), None):
        name = ".".join((twice[0].removesuffix("s"), *twice[1:]))
        raise RoofcalcError(f"--set {name}: given twice; several values in one sweep: --set {name}=1,2")
    count = math.prod(len(figures) for _, _, figures in each)
    if count > MAX_SWEEPS:
        raise RoofcalcError(f"--set: {count:,} combinations; at most {MAX_SWEEPS:,} are computed at once")
    return list(product(*([Change(kind, path, one) for one in figures] for kind, path, figures in each)))


def _change(text: str) -> tuple[Kind, tuple[str, ...], list[Any]]:
    """Target, path and values of an override."""
    path, equals, value = text.partition("=")
    target, *rest = path.strip().split(".")
    kinds: dict[str, Kind] = {"model": "models", "hardware": "hardware"}
    kind = kinds.get(target)
    if not equals or kind is None or not rest or not all(rest):
        raise RoofcalcError(f"--set {text}: write it as hardware.memory.bandwidth_gb_s=4000 or model.blocks.block.attention.kv_heads=4")
    return kind, tuple(rest), _figures(value.strip(), path)


def _figures(text: str, what: str) -> list[Any]:
    """Values of an override: numbers and ranges, true or false, else the text itself."""
    if text in ("true", "false"):
        return [text == "true"]
    try:
        return [int(value) if float(value).is_integer() else value for value in units.numbers(text, f"--set {what}")]
    except RoofcalcError:
        if re.fullmatch(r"[-+.0-9][-+.:,0-9a-z]*", text, re.IGNORECASE) and not re.search(r"[a-z]{3}", text, re.IGNORECASE):
            raise  # looks numeric but does not parse
    return [text]


def apply(value: dict[str, Any], lines: Lines, changes: Sequence[Change]) -> None:
    """Sets the changed figures in the plain values of a file, and their places in `lines`. Nested mappings are copied, not modified.

    Raises
    ------
    RoofcalcError
        A path that does not exist (the message gives the nearest), or that leads to a group of figures.
    """
    for change in changes:
        *parents, last = change.path
        if change.path == ("name",):
            raise RoofcalcError(f"--set {change}: 'name' cannot be overridden; copy the file instead")
        place: Any = value
        for depth, key in enumerate(parents):
            inner = place.get(key)
            if not isinstance(inner, dict):
                where = ".".join(change.path[: depth + 1])
                groups = tuple(name for name, item in place.items() if isinstance(item, dict))
                raise RoofcalcError(f"--set {change}: unknown field {where!r}{did_you_mean(key, groups)}")
            place[key] = dict(inner)  # blocks merged in YAML share their parts: change one, not all
            place = place[key]
        if isinstance(place.get(last), (dict, list)):
            raise RoofcalcError(f"--set {change}: {last!r} is a group; override one of its figures: {', '.join(map(str, place[last]))}")
        place[last] = change.value
        lines[change.path] = f"--set {str(change).split('=')[0]}"
