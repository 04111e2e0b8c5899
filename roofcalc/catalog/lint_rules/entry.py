"""Lint of one catalog file: it is loaded as by a command, then checked by the rules for its kind."""

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
from roofcalc.specs.schema import place, try_build


class Finding(NamedTuple):
    """An issue and its place: `file` or `file:line`."""

    place: str
    issue: Issue


def findings(kind: Kind, path: Path) -> Iterator[Finding]:
    """All findings for the file `path` except conflicts of names between files."""
    entry_file = EntryFile(path.stem, path)
    try:
        value, lines = lookup.raw(kind, entry_file)
    except RoofcalcError as error:
        yield from (_parsed(path, line) for line in error.lines)
        return
    other: Kind = "models" if kind == "hardware" else "hardware"
    if ("blocks" if kind == "hardware" else "memory") in value:
        yield Finding(str(path), Issue("", f"not a file of {kind}: use `roofcalc {other} check`"))
        return
    record: type[Model | Device | System] = Model if kind == "models" else System if "device" in value else Device
    built, problems = try_build(record, value, lines, str(path))
    if problems:
        yield from (Finding(problem.place, Issue(problem.field, problem.sentence)) for problem in problems)
        return
    for issue in _excused(built, _issues(kind, entry_file, built)):
        yield Finding(place(tuple(issue.field.split(".")), lines, str(path)), issue)


def _issues(kind: Kind, entry_file: EntryFile, built: Model | Device | System) -> Issues:
    if built.name != entry_file.path.stem:
        yield Issue("name", f"{built.name!r} must equal the file's name {entry_file.path.stem!r}")
        return
    yield from _sources(built)
    if isinstance(built, Model):
        yield from models.issues(built)
    elif isinstance(built, Device):
        yield from devices.issues(built)
    else:
        try:
            hardware = lookup.hardware(str(entry_file.path))[0]
        except RoofcalcError as error:
            outside = not any(entry_file.path.resolve().is_relative_to(folder.resolve()) for folder in lookup.directories(kind))
            hint = "; set ROOFCALC_PATH so that other files in this directory are found" if outside else ""
            yield from (Issue("device", line + hint * line.startswith("unknown")) for line in error.lines)
        else:
            yield from systems.issues(hardware, built)


def _sources(built: Model | Device | System) -> Issues:
    if not built.sources and not built.unverified:
        yield Issue("sources", "missing: give the sources of the figures, or list fields without a source under `unverified`")
    for source in built.sources:
        if not re.fullmatch(r"https://\S+", source):
            yield Issue("sources", f"{source!r} is not an https address", "warning")
    for field in built.unverified:
        at: Any = built
        for key in field.split("."):
            known = tuple(one.name for one in at.fields_) if isinstance(at, Record) else tuple(at) if isinstance(at, dict) else ()
            if key not in known:
                yield Issue("unverified", f"{field!r} is not a field of this entry{did_you_mean(key, known)}")
                break
            at = at[key] if isinstance(at, dict) else getattr(at, key)


def _excused(built: Model | Device | System, issues: Issues) -> Issues:
    """The issues without those explained under `unusual`; an unused explanation is an issue too."""
    reasons: dict[str, str] = {} if isinstance(built, Model) else built.unusual
    used = set()
    for issue in issues:
        if issue.excusable and issue.field in reasons:
            used.add(issue.field)
        else:
            yield issue
    for field in reasons:
        if field not in used:
            yield Issue("unusual", f"{field!r} is not reported by any check: remove it", "warning")


def _parsed(path: Path, line: str) -> Finding:
    """The parts of a message `file:line: field: text`."""
    match = re.match(rf"({re.escape(str(path))}(?::\d+)?): (?:([\w.]+): )?(.*)", line)
    return Finding(match.group(1), Issue(match.group(2) or "", match.group(3))) if match else Finding(str(path), Issue("", line))
