"""Least squares within bounds, on problems whose answer is known."""

import numpy as np
import pytest

from roofcalc.measurements.least_squares import independent, minimise

FREE = (np.array([-100.0, -100.0]), np.array([100.0, 100.0]))


def test_a_straight_line_and_its_standard_errors() -> None:
    # By hand, x = 0 … 4, y = 1, 2, 2, 4, 6: slope 12/10, intercept 3 − 1.2·2 = 0.6; residuals −0.4, 0.2, 1.0... sum of squares 1.6,
    # variance 1.6/3; slope ± sqrt(v/10), intercept ± sqrt(v·(1/5 + 4/10)).
    x, y = np.arange(5.0), np.array([1.0, 2.0, 2.0, 4.0, 6.0])
    found = minimise(lambda p: p[0] + p[1] * x - y, np.zeros(2), *FREE)
    assert found.x == pytest.approx([0.6, 1.2], abs=1e-8) and not found.held.any()
    assert found.residuals @ found.residuals == pytest.approx(1.6)
    assert found.errors == pytest.approx([np.sqrt(1.6 / 3 * 0.6), np.sqrt(1.6 / 30)], rel=1e-5)


def test_a_curved_valley() -> None:
    # Rosenbrock, doi.org/10.1093/comjnl/3.3.175: the least of 100·(y − x²)² + (1 − x)² is 0 at (1, 1).
    found = minimise(lambda p: np.array([10 * (p[1] - p[0] ** 2), 1 - p[0]]), np.array([-1.2, 1.0]), *FREE)
    assert found.x == pytest.approx([1, 1], abs=1e-6)
    assert np.isnan(found.errors).all()  # as many parameters as residuals


def test_a_bound_holds_a_parameter_and_the_others_settle() -> None:
    # (x + y − 3)² + (x − y − 5)² + (y − x)²/… : without bounds y would be negative; held at 0, x minimises (x−3)² + (x−5)²: 4.
    found = minimise(lambda p: np.array([p[0] + p[1] - 3, p[0] - p[1] - 5]), np.array([1.0, 1.0]), np.zeros(2), np.full(2, 100.0))
    assert found.x == pytest.approx([4, 0], abs=1e-7) and found.held.tolist() == [False, True]
    assert np.isnan(found.errors[1]) and found.errors[0] == pytest.approx(np.sqrt(2 / 2), rel=1e-5)  # two residuals of 1, one parameter


def test_a_start_beyond_the_bounds_and_a_minimum_at_the_upper_one() -> None:
    found = minimise(lambda p: p - 7.0, np.array([50.0]), np.array([0.0]), np.array([5.0]))
    assert found.x.tolist() == [5.0] and found.held.tolist() == [True]


def test_nothing_to_fit_is_fitted() -> None:
    found = minimise(lambda p: np.array([0.5, -0.5]), np.zeros(0), np.zeros(0), np.zeros(0))
    assert found.x.size == 0 and found.residuals.tolist() == [0.5, -0.5]


def test_columns_that_say_nothing_new() -> None:
    one, other = np.array([1.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0])
    assert independent(np.stack([one, 2 * one, other, one + other, 0 * one], axis=1), 1e-3) == [0, 2]
    assert independent(np.stack([one, one + 1e-6 * other], axis=1), 1e-3) == [0]
    assert independent(np.eye(2, 5), 1e-3) == [0, 1]  # never more than there are rows
