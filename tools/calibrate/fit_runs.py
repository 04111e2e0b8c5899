"""`python -m tools.calibrate fit`: fits the constants of typical.yaml to measured runs, judges them on runs left out, writes the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from roofcalc.deployment import calibrated
from tools.calibrate import errors, runs, terms

MARK = "constants:"
POINTS = tuple(Path(__file__).parents[2] / "tests" / "measurements" / name for name in ("measured.csv", "published_2026.csv"))
LEAST = 0.005  # a factor this near to 1 is written as 1


def fit(paths: tuple[Path, ...], report: Callable[[str], None]) -> str:
    """The text of typical.yaml with constants fitted to the runs of these files of points, and errors of runs left out."""
    text = calibrated.PATH.read_text(encoding="utf-8")
    found = terms.runs(paths)
    report(f"{len(found)} runs")
    given = runs.design(found)
    values = runs.fit(given, np.arange(len(found)))
    inside = runs.predicted(given, values, np.arange(len(found)))[0] - given.measured
    of_run = runs.left_out(given, found, errors.at_random, values)
    of_configuration = runs.left_out(given, found, errors.configuration, values)
    of_source = runs.left_out(given, found, lambda run: run.source, values)
    judged = (
        ("fitted", inside),
        ("runs left out", of_run),
        ("configurations left out", of_configuration),
        ("sources left out", of_source),
    )
    for title, one in judged:
        report(f"\n{title}")
        for line in errors.report(found, one):
            report(line)
    return text.split(f"\n{MARK}", 1)[0] + "\n" + "\n".join(written(given, values, errors.by_kind(found, of_source, of_configuration))) + "\n"


def written(given: runs.Design, values: runs.Array, result: dict[str, errors.KindErrors]) -> list[str]:
    """The fitted part of the file: three significant digits."""
    lines = [MARK, f"  fields: {' '.join(runs.FIELDS)}"]
    for name, logs in zip(given.names, values, strict=True):
        factors = [f"{value:.3g}" for value in np.exp(np.where((np.abs(logs) < LEAST) & (name != "all"), 0.0, logs))]
        if any(factor != "1" for factor in factors):
            lines.append(f"  {name}: {' '.join(factors)}")
    return [*lines, "errors:", *errors.written(result)]
