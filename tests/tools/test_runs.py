"""The fit of `typical` to whole runs: terms add up to predictions, constants that made runs are found again, errors by kind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from roofcalc.deployment import calibrated
from roofcalc.measurements import points
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import most_likely_run, typical
from tools.calibrate import errors, fit_runs, runs, terms

HERE = Path(__file__).parents[1] / "measurements"


def made(count: int = 60) -> list[Any]:
    """Runs of two engines whose seconds are 1.4 × GEMM + layers × 20 µs under one, half the layers' time under the other."""
    random = np.random.default_rng(1)
    found = []
    for place in range(count):
        table = np.zeros(len(terms.FIELDS))
        gemm, layers = random.uniform(3e-4, 3e-3), float(random.integers(20, 90))
        table[terms.FIELDS.index("gemm_compute")], table[terms.FIELDS.index("layer_us")] = gemm, layers * 1e-6
        engine = ("vllm", "sglang")[place % 2]
        seconds = 1.4 * gemm + layers * 1e-6 * (20.0, 10.0)[place % 2]
        case = SimpleNamespace(point=SimpleNamespace(metric="tpot_ms", weights_dtype="bf16"), model=SimpleNamespace(name=f"m{place % 5}"))
        found.append(
            SimpleNamespace(
                terms=table, seconds=seconds, engine=engine, release=engine, family="hopper", model="dense", metric="decode",
                source=f"s{place % 3}", device="h100-sxm", case=case,
            )
        )  # fmt: skip
    return found


def test_a_fit_finds_the_constants_that_made_the_runs() -> None:
    found = made()
    given = runs.design(found)
    every = np.arange(len(found))
    before = np.abs(runs.predicted(given, given.prior, every)[0] - given.measured)
    values = runs.fit(given, every)
    after = np.abs(runs.predicted(given, values, every)[0] - given.measured)
    assert np.median(before) > 0.15 and np.median(after) < 0.03
    logs = given.member @ values
    layer = np.exp(logs[:, terms.FIELDS.index("layer_us")])
    assert layer[0] / layer[1] == pytest.approx(2.0, rel=0.25)  # 20 against 10 µs a layer
    assert runs.loss(given, values, every) < runs.loss(given, given.prior, every)


def test_slopes_are_those_of_the_prediction() -> None:
    """Against finite differences: a hundredth of a percent of every constant of all runs."""
    found = made(6)
    given, rows = runs.design(found), np.arange(6)
    logs, slopes = runs.predicted(given, given.prior, rows)
    for place in (terms.FIELDS.index("gemm_compute"), terms.FIELDS.index("layer_us")):
        moved = given.prior.copy()
        moved[0, place] += 1e-4
        assert (runs.predicted(given, moved, rows)[0] - logs) / 1e-4 == pytest.approx(slopes[:, place], rel=1e-3)


def test_terms_add_up_to_the_prediction() -> None:
    """With the packaged constants; floors of the roofline, which apply after the constants in predictions, change them by less than 3 %."""
    assumed = typical()
    assert assumed is not None
    ready = [one for one in cases(points.read(HERE / "measured.csv")) if isinstance(one, Case)]
    for case in (ready[0], ready[60], ready[-1]):
        deployment, case = most_likely_run(case, assumed)
        assert deployment.profile is not None
        constants = deployment.profile.constants
        table, measured = terms.terms_of(case, deployment, constants)
        predicted, seen = (case.seconds(value) for value in (case.value(deployment), case.point.value))
        assert float(table @ np.array(constants)) / measured == pytest.approx(predicted / seen, rel=0.03)


def test_errors_of_a_kind_shrink_to_the_kind_above() -> None:
    """15 configurations (3 sources, 5 models) of all kinds together weigh 15 / (15 + 8) of their own errors, below all runs."""
    found = made()
    for place, run in enumerate(found):
        run.release = run.engine = "vllm" if place < 48 else "sglang"
    own = np.where(np.arange(60) < 48, 0.1, 0.5)
    result = errors.by_kind(found, own, own)
    assert result["*"].median == pytest.approx(0.1) and (result["*"].count, result["*"].sources) == (60, 3)
    decode = result["decode"]  # the same runs as all
    assert decode.most == pytest.approx(result["*"].most == 0.5 and 0.5)
    assert result["vllm decode"].most == pytest.approx(0.1 * 15 / 23 + decode.most * 8 / 23)
    assert (result["vllm decode"].low, result["vllm decode"].high) == (pytest.approx(0.1), pytest.approx(0.1 * 15 / 23 + decode.high * 8 / 23))


def test_the_file_is_what_a_fit_writes() -> None:
    """Every group that is written is read again, within three digits; what is left out is a factor of 1."""
    found = made()
    given = runs.design(found)
    values = runs.fit(given, np.arange(len(found)))
    lines = fit_runs.written(given, values, errors.by_kind(found, np.zeros(60), np.zeros(60)))
    table = dict(line.strip().split(": ", 1) for line in lines[1:] if ": " in line and not line.strip().startswith('"'))
    file = calibrated.read()
    again = calibrated.constants(type(file)(**{**file.__dict__, "constants": table}), "vllm", "hopper", "dense")
    mine = np.exp(given.member[0] @ values)
    assert np.array(again) == pytest.approx(mine, rel=0.04)
