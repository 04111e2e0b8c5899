"""Files of measured points: CSV files, and result files of benchmark clients with what the user says of their run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roofcalc.commands.arguments import MAX_RATE, MAX_TOKENS, single_integer, single_number
from roofcalc.deployment.assumptions import assumptions
from roofcalc.errors import RoofcalcError, flag
from roofcalc.measurements import points, spellings
from roofcalc.measurements.points import Loaded
from roofcalc.measurements.results import files
from roofcalc.measurements.results.run import Run
from roofcalc.solvers.max_batch import MAX_BATCH
from roofcalc.specs import weight_recipes

COUNTS = ("tp", "pp", "dp", "ep", "replicas", "draft")


def measured_points(file: str | Path, **given: Any) -> Loaded:
    """The points of a CSV file, or of a result file or a folder of them, for which `given` says what the files do not.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or an option does not apply to it or is not valid.
    """
    stated = {name: value for name, value in given.items() if value is not None}
    if not files.is_result(file):
        if stated:
            raise RoofcalcError(
                f"{', '.join(map(flag, stated))}: only for result files ({', '.join(files.SUFFIXES)}); a CSV file has columns for them"
            )
        return points.load(file)
    return files.load(file, _run(stated))


def _run(stated: dict[str, Any]) -> Run:
    """What the user says of a run, checked before any file is read."""
    for name in ("model", "hardware"):
        if name in stated and getattr(spellings, name)(str(stated[name])) is None:
            from roofcalc.catalog import lookup

            getattr(lookup, name)(str(stated[name]))  # refuses it, with the nearest names
    if "engine" in stated:
        assumptions(engine=str(stated["engine"]))  # refuses a name that is not known
    if "weights" in stated:
        weight_recipes.parse(str(stated["weights"]))
    if "kv" in stated:
        spellings.dtype(str(stated["kv"]))
    whole: dict[str, Any] = {name: single_integer(stated[name], flag(name), MAX_BATCH) for name in COUNTS if name in stated}
    tokens: dict[str, Any] = {name: single_number(stated[name], flag(name), 1.0, MAX_TOKENS) for name in ("isl", "osl", "accepted") if name in stated}
    if "batch" in stated:
        tokens["batch"] = single_number(stated["batch"], "--batch", 1e-6, MAX_RATE)
    return Run(**{**stated, **whole, **tokens})
