"""Fits to the measured runs, repeated: out-of-sample errors, and parameters that are recovered."""

from pathlib import Path

import numpy as np
import pytest

from roofcalc.deployment import calibrated
from roofcalc.specs.record import replace
from tests.shell import rows
from tools.calibrate import runs

HERE = Path(__file__).parent.parent / "measurements"


@pytest.fixture(scope="module")
def fitted() -> list[runs.FitPoint]:
    return runs.fit_points(HERE / "measured.csv", calibrated.read())


def test_errors_are_those_that_are_published(fitted: list[runs.FitPoint]) -> None:
    """Of the points that the figures were fitted to; and a refit without a fifth of the points foresees it as well as is said."""
    file = calibrated.read()
    count, median, most = runs.summary(runs.log_errors(fitted, file.run))
    published = file.errors["none_left_out"]
    assert count == published[0]
    assert median == pytest.approx(published[1], abs=0.005) and most == pytest.approx(published[2], abs=0.02)
    rest = [one for one in fitted if runs.fifth(one)]
    left = [one for one in fitted if not runs.fifth(one)]
    offsets = runs.fit(rest, rounds=4)
    assert runs.summary(runs.log_errors(left, runs.run_of(offsets)))[1] <= file.errors["each_fifth_left_out"][1] + 0.06


def test_a_fit_finds_the_figures_that_made_the_points(fitted: list[runs.FitPoint]) -> None:
    """Points made with other figures than the priors: their errors vanish under the fit, whatever else it trades."""
    some = [one for one in fitted if one.deployment.hardware.count == 1][:30]
    made = runs.run_of(np.array([-1.0, 0.5, 0.5, 1.0, 0.5, 0.0, 0.0, 0.5, -0.5, 0.0]))
    points = []
    for one, miss in zip(some, runs.log_errors(some, made), strict=True):
        point = one.case.point
        value = point.value / np.exp(miss) if one.case.metric.is_time else point.value * np.exp(miss)
        points.append(one._replace(case=replace(one.case, point=replace(point, value=float(value)))))
    before, after = (np.abs(runs.log_errors(points, runs.run_of(x))).mean() for x in (np.zeros(len(runs.PRIORS)), runs.fit(points, rounds=5)))
    assert after < 0.03 < before


def test_the_layers_overhead_of_all_points_is_what_others_found() -> None:
    # arXiv 2507.14397v2 finds 95–138 µs per layer on 8 H100, fits of another tool's silicon data 80–115.
    row = rows(f"fit {HERE / 'measured.csv'}")[0]
    assert 80 < float(row["layer_us"]) < 138
    assert 0.7 < float(row["mbu"]) < 0.95
