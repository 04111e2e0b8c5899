"""Judges the packaged kernel models by a folder of timed kernels: how far predictions are from measurements, by kind and group."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.profile import Fits, parameters
from tools.calibrate.devices import facts_of, facts_of_rows
from tools.calibrate.registry import KINDS, LEFT_OUT, SUBJECTS, left_out, unknown
from tools.calibrate.subjects import Subject
from tools.calibrate.tables import Columns, kept_aside, only, read_table


@dataclass(frozen=True)
class Judged:
    """The rows of one subject with their predictions: ln(predicted ÷ measured), and whether constants were those of the very group."""

    subject: Subject
    rows: Columns
    errors: npt.NDArray[Any]
    exact: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """One line of the result: a kind of kernel, a group of rows, and their errors."""

    kind: str
    group: str
    count: int
    median_ln: float
    p90_ln: float
    bias: float


def predicted_s(subject: Subject, rows: Columns, table: Fits) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Predictions of `rows` in seconds, and which come from constants of their own device or architecture, engine, format and kernel."""
    seconds = np.empty(len(rows["us"]))
    exact = np.zeros(len(rows["us"]), dtype=bool)
    keys = list(zip(*[rows[title].tolist() for title in ("device", "engine", "dtype", "kernel")], strict=True))
    order: dict[tuple[str, ...], list[int]] = {}
    for place, key in enumerate(keys):
        order.setdefault(key, []).append(place)
    for (device, engine, dtype, kernel), places in order.items():
        part = {title: values[places] for title, values in rows.items()}
        peaks = subject.peak_dtype(part)
        facts = facts_of(device, str(peaks[0]), table)
        record: Any
        record, source = parameters(subject.record, subject.name, device, facts, engine, dtype, kernel, table=table)
        row_facts: DeviceFacts = facts_of_rows(part["device"], peaks, table)
        seconds[places] = subject.seconds(record, row_facts, subject.prepare(part))
        exact[places] = source.exact
    return seconds, exact


def judged(folder: Path, table: Fits, *, aside: bool = False, device: str | None = None) -> Iterator[Judged]:
    """Every subject whose table lies in `folder`; `aside` keeps the shapes that a fit never sees, `device` the rows of one device."""
    for subject in SUBJECTS:
        columns = read_table(folder, subject.table)
        if columns is None:
            continue
        rows = subject.rows(columns)
        rows = only(rows, ~left_out(subject, rows))
        if device is not None:
            rows = only(rows, rows["device"] == device)
        if aside and len(rows["us"]):
            rows = only(rows, kept_aside(rows, subject.shape))
        if len(rows["us"]) == 0:
            continue
        seconds, exact = predicted_s(subject, rows, table)
        yield Judged(subject, rows, np.log(seconds * 1e6 / rows["us"]), exact)


def _verdict(kind: str, group: str, errors: npt.NDArray[Any]) -> Verdict:
    sizes = np.abs(errors)
    return Verdict(kind, group, len(errors), float(np.median(sizes)), float(np.quantile(sizes, 0.9)), float(np.median(errors)))


def verdicts(parts: list[Judged]) -> list[Verdict]:
    """For each kind: all rows, each engine/device/dtype, and each subject (table) where a kind has several."""
    result = []
    for kind in KINDS:
        mine = [part for part in parts if part.subject.kind == kind]
        if not mine:
            continue
        result.append(_verdict(kind, "all", np.concatenate([part.errors for part in mine])))
        if kind == "gemm":
            small = np.concatenate([part.errors[part.rows["m"] <= 1024] for part in mine])
            if len(small):
                result.append(_verdict(kind, "m<=1024", small))
        if len(mine) > 1:
            result += [_verdict(kind, f"subject:{part.subject.name}", part.errors) for part in mine]
        groups: dict[str, list[npt.NDArray[Any]]] = {}
        for part in mine:
            names = zip(part.rows["engine"].tolist(), part.rows["device"].tolist(), part.rows["dtype"].tolist(), strict=True)
            labels = np.array(["/".join(name) for name in names])
            for label in np.unique(labels).tolist():
                groups.setdefault(label, []).append(part.errors[labels == label])
        result += [_verdict(kind, label, np.concatenate(errors)) for label, errors in sorted(groups.items())]
    return result


def as_csv(lines: list[Verdict]) -> str:
    """The result as CSV with the columns of `Verdict`."""
    text = ["kind,group,count,median_ln,p90_ln,bias"]
    text += [f"{line.kind},{line.group},{line.count},{line.median_ln:.4f},{line.p90_ln:.4f},{line.bias:.4f}" for line in lines]
    return "\n".join(text) + "\n"


def as_table(lines: list[Verdict]) -> str:
    """The result as aligned text."""
    width = max(len(line.group) for line in lines)
    text = [f"{'kind':<12} {'group':<{width}} {'count':>6} {'median':>7} {'p90':>7} {'bias':>7}"]
    for line in lines:
        text.append(f"{line.kind:<12} {line.group:<{width}} {line.count:>6} {line.median_ln:7.3f} {line.p90_ln:7.3f} {line.bias:+7.3f}")
    return "\n".join(text) + "\n"


def left_out_lines(folder: Path) -> list[str]:
    """What is left out of this folder's tables: count, name and reason."""
    lines = []
    for subject in SUBJECTS:
        columns = read_table(folder, subject.table)
        if columns is None:
            continue
        rows = subject.rows(columns)
        for entry in LEFT_OUT:
            count = int(entry.mask(subject, rows).sum())
            if count:
                name = "/".join(part for part in (entry.engine, entry.device, entry.dtype, entry.kernel) if part)
                lines.append(f"left out: {count} rows of {subject.table}, {name}: {entry.reason}")
        strange = unknown(rows)
        if strange.any():
            names = ", ".join(np.unique(rows["device"][strange]).tolist())
            lines.append(f"left out: {int(strange.sum())} rows of {subject.table}: devices outside of hardware/, or unknown operations ({names})")
    return lines


def judge(folder: Path, table: Fits, *, aside: bool = False, device: str | None = None) -> list[Verdict]:
    """Verdicts on a folder; an error where it holds no table that is known."""
    parts = list(judged(folder, table, aside=aside, device=device))
    if not parts:
        known = ", ".join(sorted({subject.table for subject in SUBJECTS}))
        raise RoofcalcError(f"{folder}: no table of timed kernels; known are {known} (.csv or .csv.gz).")
    return verdicts(parts)
