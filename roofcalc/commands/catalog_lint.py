"""`hardware check` and `models check`: lint catalog files and return the findings as a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.catalog.lint_rules.entry import Finding, findings
from roofcalc.catalog.lint_rules.names import Named, Names, named
from roofcalc.catalog.overrides import Kind
from roofcalc.catalog.yamlfile import load
from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Block, Column, Table
from roofcalc.specs.schema import place

FINDING_COLUMNS = (
    Column("file", "file", "", "the file and line", "any", 9),
    Column("field", "field", "", "path of the field within the file", "text", 9),
    Column("severity", "severity", "", "error or warning", "text", 9),
    Column("problem", "problem", "", "the problem, and what would be correct", "any", 9),
)


def lint_hardware(files: Sequence[str] = ()) -> Table:
    """Errors and warnings in files or directories of devices and systems; by default in all catalogs.

    Raises
    ------
    RoofcalcError
        A file or directory does not exist or holds no YAML.
    """
    return _lint("hardware", files)


def lint_models(files: Sequence[str] = ()) -> Table:
    """Errors and warnings in files or directories of models; by default in all catalogs."""
    return _lint("models", files)


def failed(table: Table) -> bool:
    """Whether there is an error among the findings."""
    return any(row["severity"] == "error" for row in table.rows())


def _lint(kind: Kind, files: Sequence[str]) -> Table:
    given = _yaml_files(kind, files)
    places = lookup.directories(kind)
    ranked = [named(path, rank) for rank, folder in enumerate(places) for paths in lookup.files_in(folder).values() for path in paths]
    if given:
        ranked = _with(ranked, given)
        real = {path.resolve() for path in given}
        checked = [entry for entry in ranked if entry.path.resolve() in real]
    else:
        checked = ranked
    names = Names(ranked)
    table = Table(f"{kind} check", FINDING_COLUMNS)
    if not given:
        table.notes += [f"ROOFCALC_PATH: {folder} is not a readable directory" for folder in lookup.unreadable_directories()]
    rows = [finding for entry in checked for finding in (*findings(kind, entry.path), *_name_findings(names, entry))]
    _fill(table, rows)
    errors = sum(finding.issue.severity == "error" for finding in rows)
    table.notes.append(f"{_plural(len(checked), 'file')}: {_plural(errors, 'error')}, {_plural(len(rows) - errors, 'warning')}")
    return table


def _with(ranked: list[Named], given: list[Path]) -> list[Named]:
    """The files of all catalogs and the given ones; files outside every catalog take precedence over them."""
    known = {entry.path.resolve() for entry in ranked}
    return [*(named(path, -1) for path in given if path.resolve() not in known), *ranked]


def _yaml_files(kind: Kind, files: Sequence[str]) -> list[Path]:
    """The YAML files named by `files`: files, directories of entries, or directories with a `hardware` or `models` folder."""
    found: dict[Path, None] = {}
    for text in files:
        path = Path(text)
        if not path.exists():
            raise RoofcalcError(f"{text}: no such file or directory")
        if kind == "models" and lookup.is_configuration(text):
            raise RoofcalcError(f"{text} is not a catalog file; `roofcalc models import {text}` converts it to one")
        if path.is_dir():
            folder = path / kind if (path / kind).is_dir() else path
            inside = [one for paths in lookup.files_in(folder).values() for one in paths]
            if not inside:
                raise RoofcalcError(f"{text}: no YAML files of {kind} in it")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


def _name_findings(names: Names, entry: Named) -> list[Finding]:
    issues = list(names.issues(entry))
    if not issues:
        return []
    try:
        lines = load(entry.path)[1]
    except RoofcalcError:
        lines = {}
    return [Finding(place((issue.field,), lines, str(entry.path)), issue) for issue in issues]


def _fill(table: Table, rows: list[Finding]) -> None:
    if not rows:
        return
    cells = [(where, issue.field, issue.severity, issue.problem) for where, issue in rows]
    values = {column.name: np.array([row[i] for row in cells], dtype=object) for i, column in enumerate(FINDING_COLUMNS)}
    table.blocks.append(Block(len(rows), values))


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
