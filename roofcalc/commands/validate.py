"""Compare measured points with predictions: how close each is to the roofline, and that none is faster than the bound."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from roofcalc.commands.catalog_list.models import kind_of
from roofcalc.commands.measured_files import measured_points
from roofcalc.commands.validate_memory import validate_memory, wrongly_fits
from roofcalc.deployment import fitted
from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.errors import RoofcalcError, flag
from roofcalc.measurements import spellings
from roofcalc.measurements.cases import BY_CHOICE, OPEN_CONTEXT, REASONS, Case, cases, engine_name
from roofcalc.measurements.compare import ROOFLINE, bound, has_routed_experts, most_likely_run, typical
from roofcalc.measurements.points import Point, Problem
from roofcalc.report import columns
from roofcalc.report.table import Block, Table

Row = dict[str, Any]
GROUPS = ("all", "engine", "metric", "kind", "device", "source")
RATIOS = "ratio, roofline_ratio, bound_ratio: measured speed / calculated speed (for times, the reciprocal); ratio was the other way round before 0.2"


def validate(
    file: str | Path,
    *,
    model: str | None = None,
    hardware: str | None = None,
    summary: bool = False,
    memory: bool = False,
    strict: bool = False,
    profile: str | Path | None = None,
    engine: str | None = None,
    weights: str | None = None,
    kv: str | None = None,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    replicas: int | None = None,
    isl: float | None = None,
    osl: float | None = None,
    batch: float | None = None,
    draft: int | None = None,
    accepted: float | None = None,
) -> Table:
    """Compares every measured point of a CSV file, or of the result files of benchmark clients, with `bound`, `roofline` and `typical`.

    Settings that a point's source does not report are chosen as favourably as possible for `bound` (over all legal layouts and KV
    dtypes) and as the most common choice for the other presets. A point that is faster than the bound reveals an error in the
    point, in the catalog or in the bound (see `broken`).

    Parameters
    ----------
    file : path
        A CSV file with the columns of `roofcalc.measurements.points.COLUMNS`; or a result file, or a folder of them, in one of the
        formats of `roofcalc.measurements.results.files`.
    model, hardware : str
        Of a result file, which names the model in most formats and the hardware in few.
    engine, weights, kv, tp, pp, dp, ep, replicas, isl, osl, batch, draft, accepted
        What else a result file does not say (`roofcalc.measurements.results.run.Run`).
    summary : bool
        Return error statistics by engine, metric, kind of model, device and source instead of the points.
    memory : bool
        The file holds logged starts of engines (`roofcalc.measurements.memory_starts`): their weights and caches are compared.
    strict : bool
        Refuse a file with rows that cannot be read or compared, instead of leaving them out.
    profile : path
        Predict with the efficiencies that `fit(..., save_profile=...)` wrote over the preset `roofline`, instead of `typical`.

    Raises
    ------
    RoofcalcError
        No row can be read; with `strict` every problem, one line each.
    """
    run: dict[str, Any] = {"engine": engine, "weights": weights, "kv": kv, "tp": tp, "pp": pp, "dp": dp, "ep": ep, "replicas": replicas}
    run |= {"isl": isl, "osl": osl, "batch": batch, "draft": draft, "accepted": accepted, "model": model, "hardware": hardware}
    if memory:
        if given := [flag(name) for name, value in {**run, "strict": strict or None, "profile": profile}.items() if value is not None]:
            raise RoofcalcError(f"{', '.join(given)}: not for logged starts (--memory)")
        return validate_memory(file, summary=summary)
    points, problems, notes = measured_points(file, **run)
    found = cases(points)
    if strict:
        refuse_incomplete(points, found, problems)
    saved = fitted.read(profile) if profile is not None else None
    calibrated = assumptions("roofline", **saved.values) if saved else typical()
    rows = [_row(point, case, calibrated) for point, case in zip(points, found, strict=True)]
    rows += [{"id": f"line {place.rsplit(':', 1)[1]}", "why_not": "unreadable"} for place in dict.fromkeys(one.place for one in problems)]
    table = Table("validate", columns.VALIDATE_SUMMARY if summary else columns.VALIDATE)
    table.blocks = [Block(1, row) for row in (_summary(points, rows) if summary else rows)]
    table.notes += [*_notes(rows), *map(str, problems), *notes, *(() if summary else (RATIOS,))]
    table.notes += [saved.note()] if saved else []
    return table


def refuse_incomplete(points: list[Point], found: list[Case | str], problems: list[Problem]) -> None:
    """Raises RoofcalcError with every row that cannot be read or compared, other than those that the file itself excludes."""
    lines = [str(one) for one in problems]
    lines += [
        f"{point.place}: {point.id}: {reason} ({REASONS[reason]})"
        for point, reason in zip(points, found, strict=True)
        if isinstance(reason, str) and reason not in BY_CHOICE
    ]
    if lines:
        raise RoofcalcError(*lines)


def broken(table: Table) -> bool:
    """Whether any point is faster than the bound, or any start fits that an engine refused."""
    if table.columns in (columns.VALIDATE_MEMORY, columns.VALIDATE_MEMORY_SUMMARY):
        return wrongly_fits(table)
    name = "bound_ratio" if any(column.name == "bound_ratio" for column in table.columns) else "worst_bound_ratio"
    return any(row[name] is not None and float(str(row[name])) > 1 for row in table.rows())


def _row(point: Point, case: Case | str, calibrated: Assumptions | None) -> Row:
    given: Row = {name: getattr(point, name) for name in ("id", "source", "metric", "n_devices", "tp", "pp", "dp", "ep", "isl", "osl", "batch")}
    given["measured_engine"] = engine_name(point.engine) or None
    given |= {"model": point.model, "hardware": point.hardware, "weights": point.weights_dtype, "kv": point.kv_dtype, "measured": point.value}
    if isinstance(case, str):
        model, hardware = spellings.model(point.model), spellings.hardware(point.hardware)
        given |= {"model": model.name, "kind": kind_of(model)} if model else {}
        given |= {"hardware": hardware.name, "device": hardware.device.name} if hardware else {}
        return {**given, "why_not": case}
    floor = bound(case)
    deployment, run = most_likely_run(case, ROOFLINE)
    roofline = run.value(deployment)
    predicted = None
    if calibrated:
        placed, typical_run = most_likely_run(case, calibrated)
        predicted = typical_run.value(placed)
    measured = case.speed(point.value)
    return {
        **given,
        "model": case.model.name,
        "hardware": deployment.hardware.name,
        "weights": deployment.weights_label,
        "kv": deployment.kv.name,
        **{name: getattr(deployment.layout, name) for name in ("tp", "pp", "dp", "ep")},
        **(dict(zip(("draft", "acceptance"), case.speculation, strict=True)) if case.speculation else {}),
        "batch": run.work.batch * case.share,
        "bound": floor.value,
        "roofline": roofline,
        "predicted": predicted,
        "ratio": measured / case.speed(predicted) if predicted else None,
        "roofline_ratio": measured / case.speed(roofline),
        "bound_ratio": measured / case.speed(floor.value),
        "fits_memory": floor.fits,
        "at_most": case.max_load,
        "context_open": case.context_open,
        **({"bound_skewed": floor.value, "bound_skewed_ratio": measured / case.speed(floor.value)} if has_routed_experts(case.model) else {}),
        "bound_uniform": floor.uniform,
        "bound_uniform_ratio": measured / case.speed(floor.uniform),
        "device": case.hardware.device.name,
        "kind": kind_of(case.model),
        "itl": case.itl,
    }


def _summary(points: list[Point], rows: list[Row]) -> list[Row]:
    """One row for all points, and one for each group."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row, point in zip_longest(rows, points):
        sides = {
            "all": "",
            "engine": row.get("measured_engine") or "unknown",
            "metric": row.get("metric") or "unknown",
            "kind": row.get("kind") or "unknown",
            "device": row.get("device") or (point.hardware if point else "unknown"),
            "source": point.source or "" if point else "",
        }
        for by, name in sides.items():
            groups.setdefault((by, name), []).append(row)
    return [_group_row(by, name, groups[by, name]) for by, name in sorted(groups, key=lambda key: GROUPS.index(key[0]))]


def _group_row(by: str, name: str, rows: list[Row]) -> Row:
    compared = [row for row in rows if "why_not" not in row]
    errors = [abs(math.log(row["ratio"])) for row in compared if row["ratio"]]

    def middle(values: Iterable[float]) -> float | None:
        return median(found) if (found := list(values)) else None

    return {
        "by": by,
        "name": name,
        "points": len(rows),
        "compared": len(compared),
        "beat_bound": sum(row["bound_ratio"] > 1 for row in compared),
        "worst_bound_ratio": max((row["bound_ratio"] for row in compared), default=None),
        "median_bound_ratio": middle(row["bound_ratio"] for row in compared),
        "median_roofline_ratio": middle(row["roofline_ratio"] for row in compared),
        "median_typical_ratio": middle(row["ratio"] for row in compared if row["ratio"]),
        "median_error": middle(errors),
        "worst_error": max(errors, default=None),
        "p90_error": float(np.percentile(errors, 90)) if errors else None,
        "median_bound_uniform_ratio": middle(row["bound_uniform_ratio"] for row in compared),
        "beat_bound_uniform": sum(row["bound_uniform_ratio"] > 1 for row in compared),
    }


def _notes(rows: list[Row]) -> list[str]:
    compared = [row for row in rows if "why_not" not in row]
    notes = [f"{len(compared)} of {len(rows)} points are compared"]
    counted = Counter(row["why_not"] for row in rows if "why_not" in row)
    notes += [f"{count} skipped: {reason} ({REASONS[reason]})" for reason, count in counted.items()]
    if at_most := sum(row["at_most"] for row in compared):
        notes.append(f"{at_most} without a batch are taken at maximum load: as many sequences as fit, at their mean length")
    if alone := sum(row["context_open"] for row in compared):
        notes.append(f"{alone} single sequences without a context are taken at {OPEN_CONTEXT} tokens, and at 1 for the bound")
    for row in compared:
        if row["bound_ratio"] > 1:
            notes.append(
                f"{row['id']}: {row['metric']} {row['measured']:g} is faster than the bound of {row['bound']:.4g}: "
                "the point, the catalog or the bound is wrong"
            )
        elif row["bound_uniform_ratio"] > 1:
            notes.append(
                f"{row['id']}: faster than with experts chosen by uniform chance ({row['bound_uniform']:.4g}): its tokens shared fewer experts"
            )
        if not row["fits_memory"]:
            notes.append(
                f"{row['id']}: {row['batch']:.0f} sequences do not fit on {row['hardware']}: some were queued, or the point or the catalog is wrong"
            )
    return notes
