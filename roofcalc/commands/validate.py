"""Measured points beside the model: how near each comes to the roofline, and that none is faster than the bound."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from roofcalc.commands.catalog_list.models import kind_of
from roofcalc.deployment.assumptions import Assumptions
from roofcalc.deployment.deployment import Deployment
from roofcalc.measurements import spellings
from roofcalc.measurements.cases import REASONS, Case, cases
from roofcalc.measurements.compare import ROOFLINE, bound, most_likely_run, typical
from roofcalc.measurements.points import Point, read
from roofcalc.report import columns
from roofcalc.report.table import Block, Table

Row = dict[str, Any]


def validate(file: str | Path, *, summary: bool = False) -> Table:
    """Each measured point of a CSV beside `bound`, `roofline` and, calibrated, `typical`.

    What a point's source does not say is taken at its cheapest for the bound, over all legal layouts and cache dtypes, and
    as it is most usual for the others. A point that is faster than the bound shows an error of the point, the catalog or the
    bound (`broken`).

    Parameters
    ----------
    file : path
        A CSV with the columns of `roofcalc.measurements.points.COLUMNS`.
    summary : bool
        Instead of the points, how far off they are by hardware, kind of model and source.

    Raises
    ------
    RoofcalcError
        Everything that is wrong in the file, one line each.
    """
    points = read(file)
    rows = [_row(point, case) for point, case in zip(points, cases(points), strict=True)]
    table = Table("validate", columns.VALIDATE_SUMMARY if summary else columns.VALIDATE)
    table.blocks = [Block(1, row) for row in (_summary(points, rows) if summary else rows)]
    table.notes += _notes(rows)
    return table


def broken(table: Table) -> bool:
    """Whether any point is faster than the bound."""
    name = "bound_ratio" if any(column.name == "bound_ratio" for column in table.columns) else "worst_bound_ratio"
    return any(row[name] is not None and float(str(row[name])) > 1 for row in table.rows())


def _row(point: Point, case: Case | str) -> Row:
    given: Row = {name: getattr(point, name) for name in ("id", "source", "metric", "n_devices", "tp", "pp", "dp", "ep", "isl", "osl", "batch")}
    given |= {"model": point.model, "hardware": point.hardware, "weights": point.weights_dtype, "kv": point.kv_dtype, "measured": point.value}
    if isinstance(case, str):
        model, hardware = spellings.model(point.model), spellings.hardware(point.hardware)
        given |= {"model": model.name, "kind": kind_of(model)} if model else {}
        given |= {"hardware": hardware.name, "device": hardware.device.name} if hardware else {}
        return {**given, "why_not": case}
    floor, calibrated = bound(case), typical()
    deployment, roofline = _figure(case, ROOFLINE)
    predicted = _figure(case, calibrated)[1] if calibrated else None
    measured = case.speed(point.value)
    return {
        **given,
        "model": case.model.name,
        "hardware": deployment.hardware.name,
        "weights": deployment.weights_label,
        "kv": deployment.kv.name,
        **{name: getattr(deployment.layout, name) for name in ("tp", "pp", "dp", "ep")},
        "batch": case.work.batch * case.share,
        "bound": floor.value,
        "roofline": roofline,
        "predicted": predicted,
        "ratio": case.speed(predicted) / measured if predicted else None,
        "roofline_ratio": measured / case.speed(roofline),
        "bound_ratio": measured / case.speed(floor.value),
        "fits_memory": floor.fits,
        "bound_skewed": floor.skewed,
        "bound_skewed_ratio": measured / case.speed(floor.skewed) if floor.skewed else None,
        "device": case.hardware.device.name,
        "kind": kind_of(case.model),
    }


def _figure(case: Case, assumed: Assumptions) -> tuple[Deployment, float]:
    deployment, run = most_likely_run(case, assumed)
    return deployment, run.value(deployment)


def _summary(points: list[Point], rows: list[Row]) -> list[Row]:
    """One row for each group of points, and one for all."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for point, row in zip(points, rows, strict=True):
        sides = {"all": "", "hardware": row.get("device") or point.hardware, "kind": row.get("kind") or "unknown", "source": point.source or ""}
        for by, name in sides.items():
            groups.setdefault((by, name), []).append(row)
    order = ("all", "hardware", "kind", "source")
    return [_of_group(by, name, groups[by, name]) for by, name in sorted(groups, key=lambda key: order.index(key[0]))]


def _of_group(by: str, name: str, rows: list[Row]) -> Row:
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
        "median_typical_ratio": middle(1 / row["ratio"] for row in compared if row["ratio"]),
        "median_error": middle(errors),
        "worst_error": max(errors, default=None),
    }


def _notes(rows: list[Row]) -> list[str]:
    compared = [row for row in rows if "why_not" not in row]
    notes = [f"{len(compared)} of {len(rows)} points are compared"]
    counted = Counter(row["why_not"] for row in rows if "why_not" in row)
    notes += [f"{count} not: {reason} ({REASONS[reason]})" for reason, count in counted.items()]
    for row in compared:
        if row["bound_ratio"] > 1:
            skewed = "; with all tokens routed alike it is not" if (row["bound_skewed_ratio"] or 2) <= 1 else ""
            notes.append(
                f"{row['id']}: {row['metric']} {row['measured']:g} is faster than the bound of {row['bound']:.4g}{skewed}: "
                "the point, the catalog or the bound is wrong"
            )
        if not row["fits_memory"]:
            notes.append(f"{row['id']}: {row['batch']:.0f} sequences do not fit {row['hardware']}: some waited, or the point or the catalog is wrong")
    return notes
