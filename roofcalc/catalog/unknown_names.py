"""What is said of a name that no entry has: the nearest of the same kind, and how to search."""

from __future__ import annotations

import difflib
import os
import re

from roofcalc.catalog import boxes, hardware_names, lookup
from roofcalc.catalog.listing import normal
from roofcalc.catalog.overrides import Kind
from roofcalc.errors import RoofcalcError, nearest

CLOSE = 0.8  # of a spelling that names no series: a slip of one or two letters
_MISSING_SIGN = re.compile(r"(\d+)[^a-z0-9]*(?=[a-z])")


def unknown(kind: Kind, text: str) -> RoofcalcError:
    """The error for a name that is not in the catalog; hints never name another maker's or class's device."""
    if text.endswith(".json") or (text and os.path.isdir(text)):
        return RoofcalcError(f"{text}: not a roofcalc YAML file")
    wanted, known, also = normal(text), lookup.names(kind), lookup.aliased(kind)
    if kind == "hardware" and (count := _MISSING_SIGN.match(wanted)):
        rest = wanted[count.end() :]
        if rest in known or rest in also:
            return RoofcalcError(f"unknown hardware {text!r}; several devices are written {count.group(1)}x{rest}")
    if misplaced := _of_other_kind(kind, text):
        return RoofcalcError(misplaced)
    close = _hardware_hints(text, wanted) if kind == "hardware" else _model_hints(text, wanted)
    what = "model" if kind == "models" else "hardware"
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return RoofcalcError(f"unknown {what} {text!r}{hint} (`roofcalc {kind} list` prints all, `roofcalc {kind} list WORD` searches)")


def _hardware_hints(text: str, wanted: str) -> list[str]:
    """Entries of the series that the name gives, else a name that differs by a slip."""
    known, also = lookup.names("hardware"), lookup.aliased("hardware")
    readings = hardware_names.readings(text) if text.strip() else []
    for one in readings:
        bare = normal(one.name)
        slips = difflib.get_close_matches(bare, [*known, *also], n=3, cutoff=CLOSE)
        asked = hardware_names.product(one.name)
        alike = [name for name in slips if _same_lead(asked, hardware_names.product(name))]
        if alike:
            return list(dict.fromkeys(also.get(name, name) for name in alike))
        family = re.match(r"(?:ml\.)?([a-z0-9-]+?)\.", bare)
        instances = [row["instance"] for row in boxes.table("instances.csv")] + list(known)
        begin = [name for name in instances if name.startswith((f"{family.group(1) if family else bare}.", f"{bare}-"))]
        if begin:
            return sorted(begin)[:6]
        near = hardware_names.related(asked, dict.fromkeys(known, ()), 20)
        if asked.vendor is not None:
            near = [name for name in near if _vendor(name) in (asked.vendor, None)]
        devices = [name for name in near if "device" not in lookup.entry("hardware", lookup.find("hardware", name)).values]
        if near:
            return (devices or near)[:4]
    return []


def _vendor(name: str) -> str | None:
    """The maker of an entry, or of a system's device."""
    values = lookup.entry("hardware", lookup.find("hardware", name)).values
    return _vendor(str(values["device"])) if "device" in values else values.get("vendor")


def _same_lead(asked: hardware_names.Product, has: hardware_names.Product) -> bool:
    """Whether two products are of one series: h100 and h200, not a100; rtx-4090 and rtx-4080, not rx-7900."""

    def leads(one: hardware_names.Product) -> set[str]:
        return {number[: len(number) - len(number.lstrip("abcdefghijklmnopqrstuvwxyz"))] for number in one.numbers}

    series = bool(asked.words & has.words) or not (asked.words or has.words) or leads(asked) != {""}
    alike = {sum(map(str.isdigit, one)) for one in asked.numbers} == {sum(map(str.isdigit, one)) for one in has.numbers}
    return leads(asked) == leads(has) and series and alike


def _model_hints(text: str, wanted: str) -> list[str]:
    known, also = lookup.names("models"), lookup.aliased("models")
    if re.fullmatch(r"[0-9.x]+[bmt]", wanted):  # a size alone
        from roofcalc.catalog.model_search import of_size

        return of_size(wanted)[:4]
    return list(dict.fromkeys(also.get(name, name) for name in nearest(wanted.rpartition("/")[2], [*known, *also])))


def _of_other_kind(kind: Kind, text: str) -> str | None:
    """The message for a name that is an entry of the other catalog."""
    other: Kind = "hardware" if kind == "models" else "models"
    name = normal(lookup.COUNTED.sub("", text) if other == "hardware" else text)
    if name not in lookup.names(other) and name not in lookup.aliased(other):
        return None
    what = "hardware, not a model" if other == "hardware" else "a model, not hardware"
    return f"{text!r} is {what}: commands take MODEL first, then HARDWARE (`roofcalc {other} show {text.strip()}` shows it)"
