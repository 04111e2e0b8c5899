"""Writes kernels.yaml: its hand-written head as it stands, then the fitted constants, one line for each device."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from roofcalc.physics.kernels.profile import Fits
from tools.calibrate.fit import Fitted, fitted
from tools.calibrate.registry import SUBJECTS, left_out
from tools.calibrate.subjects import Subject
from tools.calibrate.tables import Columns, kept_aside, only, read_table

MARK = "kernels:"


def rows_to_fit(subject: Subject, folder: Path) -> Columns | None:
    """The rows of `subject` that a fit may see: not left out, not kept aside. None without its table."""
    columns = read_table(folder, subject.table)
    if columns is None:
        return None
    rows = subject.rows(columns)
    rows = only(rows, ~left_out(subject, rows))
    return only(rows, ~kept_aside(rows, subject.shape))


def section(subject: Subject, found: list[Fitted]) -> list[str]:
    """One subject's lines of YAML."""
    lines = [f"  {subject.name}:", f"    fields: [{', '.join(field.name for field in fields(subject.record))}]", "    fits:"]
    paths: dict[str, list[Fitted]] = {}
    for one in found:
        paths.setdefault("|".join(one.group), []).append(one)
    for path, ones in sorted(paths.items()):
        lines.append(f'      "{path}":')
        lines += [f"        {one.device}: {' '.join(f'{value:g}' for value in one.values)}" for one in ones]
    return lines


def fit_all(folder: Path, table: Fits, report: Callable[[str], None], without: str | None = None) -> list[str]:
    """The fitted part of the file for all tables of `folder`; `report` is called with a line for each subject.

    `without` leaves a device out. Where others of its architecture remain, only their constants are fitted: no others would be used for it.
    """
    family = None
    if without is not None:
        shared = table.devices[without].architecture
        timed = {name for subject in SUBJECTS if (columns := read_table(folder, subject.table)) for name in columns["device"].tolist()}
        if any(table.devices[name].architecture == shared for name in timed - {without} if name in table.devices):
            family = shared
    lines = [MARK]
    for subject in SUBJECTS:
        rows = rows_to_fit(subject, folder)
        if rows is None:
            continue
        if without is not None:
            rows = only(rows, rows["device"] != without)
        found = list(fitted(subject, rows, table, family))
        lines += section(subject, found)
        report(f"{subject.name}: {len(rows['us'])} rows, {len(found)} sets of constants")
    return lines


def head_of(text: str) -> str:
    """What stands before the line `kernels:`: the part of the file that is written by hand."""
    return text.split(f"\n{MARK}", 1)[0] + "\n"


def written(head: str, lines: list[str]) -> str:
    """The file's text: the hand-written head, then `lines`."""
    return head + "\n".join(lines) + "\n"
