"""Bounded nonlinear least squares by the Levenberg-Marquardt method (doi.org/10.1137/0111030).

A small replacement for scipy.optimize.least_squares, which the package does not depend on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 200
NUDGE = 1e-6  # step of the finite differences
SMALLEST = 1e-13  # relative decrease of the sum of squares at which iteration stops


class Minimum(NamedTuple):
    """A local minimum of the sum of squares.

    Attributes
    ----------
    x, residuals : array
        Parameters, and residuals at the minimum.
    jacobian : array, shape (residuals, parameters)
        Derivatives of the residuals.
    held : array of bool
        Parameters at a bound beyond which the sum would decrease further.
    """

    x: NDArray[Any]
    residuals: NDArray[Any]
    jacobian: NDArray[Any]
    held: NDArray[np.bool_]

    @property
    def errors(self) -> NDArray[Any]:
        """Standard deviations from the residual variance; nan for held parameters, or without degrees of freedom."""
        deviations, free = np.full(self.x.shape, np.nan), ~self.held
        spare = self.residuals.size - int(free.sum())
        if spare > 0 and free.any():
            variance = float(self.residuals @ self.residuals) / spare
            inverse = np.linalg.pinv(self.jacobian[:, free].T @ self.jacobian[:, free])
            deviations[free] = np.sqrt(variance * np.diag(inverse))
        return deviations


def minimise(function: Callable[[NDArray[Any]], NDArray[Any]], start: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> Minimum:
    """A local minimum of the sum of squares of `function(x)` within low ≤ x ≤ high, starting from `start`.

    Parameters
    ----------
    function : callable
        Residuals as a function of the parameters, which should be of order 1.
    """
    x = np.clip(start, low, high)
    residuals, damping = function(x), 1e-3
    jacobian = derivative(function, x, residuals, high)
    for _ in range(STEPS):
        free = ~_held(x, jacobian.T @ residuals, low, high)
        if not free.any():
            break
        trial, new = x, residuals
        while damping < 1e12:
            active = jacobian[:, free]
            augmented = np.vstack([active, np.sqrt(damping) * np.diag(np.linalg.norm(active, axis=0) + 1e-12)])
            step = np.linalg.lstsq(augmented, -np.concatenate([residuals, np.zeros(active.shape[1])]), rcond=None)[0]
            trial = x.copy()
            trial[free] = np.clip(x[free] + step, low[free], high[free])
            new = function(trial)
            if new @ new < residuals @ residuals:
                break
            damping *= 10
        else:
            break
        fallen = 1 - float(new @ new) / float(residuals @ residuals)
        x, residuals, damping = trial, new, max(damping / 10, 1e-12)
        jacobian = derivative(function, x, residuals, high)
        if fallen < SMALLEST or not residuals.any():
            break
    return Minimum(x, residuals, jacobian, _held(x, jacobian.T @ residuals, low, high))


def derivative(function: Callable[[NDArray[Any]], NDArray[Any]], x: NDArray[Any], at: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """The Jacobian by forward differences, backward at the upper bound; `at` is `function(x)`."""
    columns = []
    for i in range(x.size):
        nudge = np.zeros(x.shape)
        nudge[i] = -NUDGE if x[i] + NUDGE > high[i] else NUDGE
        columns.append((function(x + nudge) - at) / nudge[i])
    return np.stack(columns, axis=1) if columns else np.zeros((at.size, 0))


def _held(x: NDArray[Any], gradient: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0)))


def independent(jacobian: NDArray[Any], least: float) -> list[int]:
    """Linearly independent columns, chosen in order: the part orthogonal to earlier ones has a root mean square of at least `least`."""
    chosen: list[int] = []
    basis: list[NDArray[Any]] = []
    for i in range(jacobian.shape[1]):
        rest = jacobian[:, i].astype(float)
        for vector in basis:
            rest = rest - (rest @ vector) * vector
        size = float(np.linalg.norm(rest))
        if len(chosen) < jacobian.shape[0] and size >= least * np.sqrt(rest.size):
            basis.append(rest / size)
            chosen.append(i)
    return chosen
