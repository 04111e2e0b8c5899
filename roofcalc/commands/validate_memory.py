"""Startup logs of engines compared with the calculation: weights, cache, tokens and concurrency, start by start or by group."""

from __future__ import annotations

from pathlib import Path
from statistics import median, quantiles
from typing import Any

from roofcalc.measurements.memory_compare import Compared, compare
from roofcalc.measurements.memory_starts import Start, read
from roofcalc.report import columns
from roofcalc.report.table import Block, Table

Row = dict[str, Any]
GROUPS = ("all", "engine", "release", "kind of cache", "source")


def validate_memory(file: str | Path, *, summary: bool = False) -> Table:
    """Each startup log of a CSV compared with the calculation, or with `summary` the errors by engine, release, kind of cache and source.

    Raises
    ------
    RoofcalcError
        Everything that is wrong in the file, one line each.
    """
    starts = read(file)
    found = [compare(start) for start in starts]
    table = Table("validate", columns.VALIDATE_MEMORY_SUMMARY if summary else columns.VALIDATE_MEMORY)
    rows = _summary(starts, found) if summary else [_row(start, one) for start, one in zip(starts, found, strict=True)]
    table.blocks = [Block(1, row) for row in rows]
    table.notes += _notes(starts, found)
    return table


def wrongly_fits(table: Table) -> bool:
    """Whether a start fits by the calculation that the engine refused."""
    return any(column.name == "started" for column in table.columns) and any(row["fits"] is True and row["started"] is False for row in table.rows())


def _row(start: Start, one: Compared) -> Row:
    logged = ("weights_gib_per_device", "kv_cache_gib_per_device", "kv_tokens", "max_concurrency")
    return {
        **{name: getattr(start, name) for name in ("id", "model", "hardware", "tp", "pp", "dp", "max_model_len", "source")},
        **{f"{name}_logged": getattr(start, name) for name in logged},
        "memory_rules": one.rules or "none",
        "weights": start.weights_dtype,
        "kv": start.kv_dtype,
        "weights_gib_per_device": one.weights,
        "kv_cache_gib_per_device": one.cache,
        "kv_tokens": one.kv_tokens,
        "max_concurrency": one.max_concurrency,
        "activations_gib": one.activations,
        "runtime_gib": one.runtime,
        "weights_error": one.weights_error,
        "error": one.error,
        "basis": one.basis or None,
        "fits": one.fits,
        "started": one.started,
        "cause": one.cause or None,
        "why_not": one.why_not or None,
    }


def _summary(starts: list[Start], found: list[Compared]) -> list[Row]:
    groups: dict[tuple[str, str], list[Compared]] = {}
    for start, one in zip(starts, found, strict=True):
        engine, _, _ = one.rules.rpartition("-")
        names = ("", engine or start.engine, one.rules or start.engine, one.kind or "unknown", start.source)
        for by, name in zip(GROUPS, names, strict=True):
            groups.setdefault((by, name), []).append(one)
    return [_of_group(by, name, groups[by, name]) for by, name in sorted(groups, key=lambda key: GROUPS.index(key[0]))]


def _of_group(by: str, name: str, found: list[Compared]) -> Row:
    errors = [abs(one.error) for one in found if one.error is not None]
    devices = [abs(one.error) for one in found if one.error is not None and one.basis == "memory"]
    weights = [abs(one.weights_error) for one in found if one.weights_error is not None]
    ran = [one for one in found if one.started and one.fits is not None]
    return {
        "by": by,
        "name": name,
        "points": len(found),
        "compared": len(errors),
        "median_error": median(errors) if errors else None,
        "p90_error": _ninth(errors),
        "within_30": sum(error <= 0.3 for error in errors) / len(errors) if errors else None,
        "of_memory": len(devices),
        "median_error_of_memory": median(devices) if devices else None,
        "p90_error_of_memory": _ninth(devices),
        "weights_compared": len(weights),
        "median_weights_error": median(weights) if weights else None,
        "p90_weights_error": _ninth(weights),
        "ran": len(ran),
        "ran_and_fit": sum(bool(one.fits) for one in ran),
        "refused_but_fit": sum(one.started is False and bool(one.fits) for one in found),
    }


def _ninth(errors: list[float]) -> float | None:
    """The 90th percentile."""
    return quantiles(errors, n=10, method="inclusive")[8] if len(errors) > 1 else errors[0] if errors else None


def _notes(starts: list[Start], found: list[Compared]) -> list[str]:
    compared = [one for one in found if one.error is not None]
    weighed = sum(one.weights_error is not None for one in found)
    notes = [f"{len(compared)} of {len(found)} starts are compared by their cache, {weighed} by their weights"]
    notes += [f"{start.id}: not compared: {one.why_not}" for start, one in zip(starts, found, strict=True) if one.why_not]
    for start, one in zip(starts, found, strict=True):
        if one.fits and one.started is False:
            notes.append(f"{start.id}: fits by the calculation, but the engine refused to start")
        if one.fits is False and one.started:
            notes.append(f"{start.id}: does not fit by the calculation, but it ran")
    return notes
