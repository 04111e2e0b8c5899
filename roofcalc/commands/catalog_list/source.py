"""`show --yaml`: an entry as a complete catalog file, ready to copy and edit."""

from collections.abc import Sequence
from typing import Any

import yaml

from roofcalc.catalog import lookup
from roofcalc.catalog.overrides import Kind
from roofcalc.catalog.yamlfile import load, read_text
from roofcalc.commands.catalog_list.figures import split
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Device, System
from roofcalc.specs.model import Model

_WIDTH = 120
_FIRST = ("name", "title", "aliases")
_BLOCK = ("sources", "published", "known_difference")  # one line per item


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: blocks that share parts are written out in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_lines(kind: Kind, names: str | Sequence[str]) -> list[str]:
    """The named entry as the lines of a file, with inherited fields (`like`) filled in, after a header on what to change.

    Raises
    ------
    RoofcalcError
        Several names, or an unknown one.
    """
    texts = split(names, kind.removesuffix("s"))
    if len(texts) > 1:
        raise RoofcalcError(f"--yaml: one entry at a time, not {', '.join(texts)}")
    if kind == "models" and lookup.is_configuration(texts[0]):
        raise RoofcalcError(f"--yaml: {texts[0]} is not a catalog file; `roofcalc models import {texts[0]}` converts it to one")
    found = lookup.find(kind, texts[0])
    value, _ = lookup.raw(kind, found)
    record: type[Model | Device | System] = Model if kind == "models" else System if "device" in value else Device
    return [*_advice(kind, record), *(_resolved(value) if "like" in load(found.path)[0] else read_text(found.path).splitlines())]


def _resolved(value: dict[str, Any]) -> list[str]:
    keys = [*(key for key in _FIRST if key in value), *(key for key in value if key not in _FIRST)]
    return [line for key in keys for line in _written(key, value[key])]


def _advice(kind: Kind, record: type) -> list[str]:
    figures = {
        Model: "Numbers are counts; `published` is only compared with the computed count.",
        Device: "Peaks are dense, links and networks count one direction, GB are 10^9 bytes (`binary: true`: capacity_gb counts GiB).",
        System: "Links and networks are per device and direction; hosts are CPU packages and GB of all hosts together.",
    }
    return [
        f"# To customise this entry: save it as {kind}/NAME.yaml in a directory listed in ROOFCALC_PATH, change `name` to NAME and",
        f"# the aliases to your own, then the figures with their sources. `roofcalc {kind} check` finds mistakes.",
        f"# {figures[record]}",
    ]


def _written(key: str, value: Any) -> list[str]:
    flow = None if isinstance(value, (dict, list)) and key not in _BLOCK else False  # None: innermost collections on one line
    text = yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=flow)
    return text.rstrip("\n").split("\n")
