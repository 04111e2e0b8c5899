"""One catalog file: loaded as a command would load it, then every check that concerns it alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from roofcalc.catalog import lookup
from roofcalc.catalog.lint_rules import devices, models, systems
from roofcalc.catalog.lint_rules.finding import Issue, Issues
from roofcalc.catalog.lookup import EntryFile
from roofcalc.catalog.overrides import Kind
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Device, System
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record
from roofcalc.specs.schema import attempt, place


class Finding(NamedTuple):
    """An issue with its place: `file`, or `file:line`."""

    place: str
    issue: Issue


def findings(kind: Kind, path: Path) -> Iterator[Finding]:
    """What is wrong or doubtful in the file `path`, apart from names that others have too."""
    found = EntryFile(path.stem, path)
    try:
        value, lines = lookup.raw(kind, found)
    except RoofcalcError as error:
        yield from (_parsed(path, line) for line in error.lines)
        return
    other: Kind = "models" if kind == "hardware" else "hardware"
    if ("blocks" if kind == "hardware" else "memory") in value:
        yield Finding(str(path), Issue("", f"this is no file of {kind}: `roofcalc {other} check` reads it"))
        return
    record: type[Model | Device | System] = Model if kind == "models" else System if "device" in value else Device
    built, problems = attempt(record, value, lines, str(path))
    if problems:
        yield from (Finding(problem.place, Issue(problem.field, problem.sentence)) for problem in problems)
        return
    for issue in _excused(built, _issues(kind, found, built)):
        yield Finding(place(tuple(issue.field.split(".")), lines, str(path)), issue)


def _issues(kind: Kind, found: EntryFile, built: Model | Device | System) -> Issues:
    if built.name != found.path.stem:
        yield Issue("name", f"{built.name!r} must equal the file's name {found.path.stem!r}")
        return
    yield from _sources(built)
    if isinstance(built, Model):
        yield from models.issues(built)
    elif isinstance(built, Device):
        yield from devices.issues(built)
    else:
        try:
            hardware = lookup.hardware(str(found.path))[0]
        except RoofcalcError as error:
            apart = not any(found.path.resolve().is_relative_to(folder.resolve()) for folder in lookup.directories(kind))
            hint = "; files beside this one are found where ROOFCALC_PATH names their directory" if apart else ""
            yield from (Issue("device", line + hint * line.startswith("unknown")) for line in error.lines)
        else:
            yield from systems.issues(hardware, built)


def _sources(built: Model | Device | System) -> Issues:
    if not built.sources and not built.unverified:
        yield Issue("sources", "none: say where the figures are from, or list those without a source under `unverified`")
    for source in built.sources:
        if not re.fullmatch(r"https://\S+", source):
            yield Issue("sources", f"{source!r} is no https address that a reader can open", "warning")
    for field in built.unverified:
        at: Any = built
        for key in field.split("."):
            known = tuple(one.name for one in at.fields_) if isinstance(at, Record) else tuple(at) if isinstance(at, dict) else ()
            if key not in known:
                yield Issue("unverified", f"{field!r} is no field of this entry{did_you_mean(key, known)}")
                break
            at = at[key] if isinstance(at, dict) else getattr(at, key)


def _excused(built: Model | Device | System, issues: Issues) -> Issues:
    """The issues but those that the entry's `unusual` explains; an explanation of nothing is an issue too."""
    reasons: dict[str, str] = {} if isinstance(built, Model) else built.unusual
    used = set()
    for issue in issues:
        if issue.excusable and issue.field in reasons:
            used.add(issue.field)
        else:
            yield issue
    for field in reasons:
        if field not in used:
            yield Issue("unusual", f"{field!r} is not unusual to any check: leave it out", "warning")


def _parsed(path: Path, line: str) -> Finding:
    """A loader's line `file:line: field: sentence` in its parts."""
    match = re.match(rf"({re.escape(str(path))}(?::\d+)?): (?:([\w.]+): )?(.*)", line)
    return Finding(match.group(1), Issue(match.group(2) or "", match.group(3))) if match else Finding(str(path), Issue("", line))
