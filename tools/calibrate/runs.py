"""The fit of `typical`'s constants to whole runs: a hierarchy of log-normal priors, a robust loss, Gauss-Newton on the term table.

ln of a constant = that of all runs + what the engine, its release, the device family, the kind of model and their combinations add; each
addition is drawn to 0, so that few runs cannot change much. Errors count quadratically up to `HUBER`, then linearly.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from roofcalc.deployment.calibrated import keys_of
from roofcalc.deployment.efficiency import RunConstants
from roofcalc.deployment.engines import split
from tools.calibrate.terms import Run

FIELDS = RunConstants._fields
Array = npt.NDArray[np.float64]


class Prior(NamedTuple):
    """Median of a constant, and standard deviations of the logarithm: of the value for all runs, and of an engine's or a family's factor."""

    median: float
    common: float
    own: float


# Medians: kernels in a graph take their own times and floors (measured on an H100: 0.95 to 1.05 of the sum); MMQ reaches a quarter of the int8
# peak on an RTX 3090 (3,500 tok/s of an 8B, https://github.com/ggml-org/llama.cpp/pull/7860); a fused engine's small kernels some µs a layer;
# host work of a step and a request from servers' traces. Spreads: what engines and devices are seen to differ by.
PRIORS = {
    "gemm": Prior(1.03, 0.05, 0.12),
    "gemm_compute": Prior(1.1, 0.1, 0.25),
    "dequantised": Prior(1.2, 0.2, 0.3),
    "dequantised_compute": Prior(1.2, 0.3, 0.5),
    "mmq_compute": Prior(3.0, 0.05, 0.5),
    "attention": Prior(1.05, 0.05, 0.15),
    "prompt_attention": Prior(1.05, 0.1, 0.2),
    "experts": Prior(1.1, 0.1, 0.3),
    "experts_compute": Prior(1.1, 0.1, 0.3),
    "collective": Prior(1.1, 0.1, 0.2),
    "exchange": Prior(1.0, 0.3, 0.4),
    "small": Prior(1.2, 0.2, 0.3),
    "launch": Prior(0.95, 0.05, 0.2),
    "layer_us": Prior(8.0, 0.4, 0.6),
    "step_us": Prior(500.0, 0.5, 0.7),
    "sequence_us": Prior(3.0, 0.7, 0.7),
    "prompt_layer_us": Prior(30.0, 0.7, 0.7),
    "prompt_step_us": Prior(2000.0, 0.7, 0.7),
    "request_ms": Prior(15.0, 0.7, 0.7),
}
NARROWER = {1: 0.7, 2: 0.5, 3: 0.35}  # spreads of combinations of so many groups, relative to the prior's
KIND = 0.5  # the same of the kind of model
# Groups that leave a constant nearly alone: work of the host knows neither the model's layers nor, for a request's text, the device; one
# engine has MMQ kernels.
ALIKE = {"request_ms": ("kind", "family"), "sequence_us": ("kind",), "step_us": ("kind",), "mmq_compute": ("engine",)}
APART = 0.1  # spread of such a group relative to others
POINT, HUBER = 0.15, 0.15  # standard deviation of ln(predicted/measured), and where it counts linearly
ROUNDS, LEAST = 60, 0.05  # Gauss-Newton steps at most, and the gain below which they end


class Design(NamedTuple):
    """Runs and groups as arrays.

    Attributes
    ----------
    names : tuple of str
        Groups, "all" first.
    member : array (runs, groups)
        1 where a run belongs to a group.
    terms, measured : arrays
        Seconds by constant, and ln of the measured seconds.
    prior, spread : arrays (groups, constants)
        Means and standard deviations of the logarithms.
    """

    names: tuple[str, ...]
    member: Array
    terms: Array
    measured: Array
    prior: Array
    spread: Array


def design(found: Sequence[Run]) -> Design:
    """The arrays of a fit."""
    each = [("all", *keys_of(run.release, run.family, run.model)) for run in found]
    names = ("all", *sorted({key for keys in each for key in keys} - {"all"}))
    place = {name: index for index, name in enumerate(names)}
    member = np.zeros((len(found), len(names)))
    for index, keys in enumerate(each):
        member[index, [place[key] for key in keys]] = 1.0
    prior, spread = np.zeros((len(names), len(FIELDS))), np.zeros((len(names), len(FIELDS)))
    prior[0] = [np.log(PRIORS[name].median) for name in FIELDS]
    spread[0] = [PRIORS[name].common for name in FIELDS]
    engines = {name for run in found if run.release for name in (split(run.release)[0], run.release)}
    groups = {"kind": {run.model for run in found}, "family": {run.family for run in found}, "engine": engines}
    for index, name in enumerate(names[1:], 1):
        narrower = KIND if name in groups["kind"] else NARROWER[len(name.split())]
        of = {group for group, members in groups.items() if members & set(name.split())}
        spread[index] = [PRIORS[field].own * narrower * (APART if of & set(ALIKE.get(field, ())) else 1.0) for field in FIELDS]
    return Design(names, member, np.array([run.terms for run in found]), np.log([run.seconds for run in found]), prior, spread)


def predicted(given: Design, values: Array, rows: npt.NDArray[np.int_]) -> tuple[Array, Array]:
    """ln of predicted seconds, and its derivatives with respect to the logarithms of each run's constants."""
    weighted = given.terms[rows] * np.exp(given.member[rows] @ values)
    seconds = weighted.sum(axis=1)
    return np.log(seconds), weighted / seconds[:, np.newaxis]


def loss(given: Design, values: Array, rows: npt.NDArray[np.int_]) -> float:
    """Half of what the fit minimises: Huber losses of the errors, and squares of the distances from the priors."""
    missed = np.abs(predicted(given, values, rows)[0] - given.measured[rows]) / HUBER
    soft = np.where(missed < 1, 0.5 * missed**2, missed - 0.5).sum() * (HUBER / POINT) ** 2
    return float(soft + 0.5 * (((values - given.prior) / given.spread) ** 2).sum())


def fit(given: Design, rows: npt.NDArray[np.int_], start: Array | None = None) -> Array:
    """Logarithms by group and constant that minimise `loss` over the runs in `rows`.

    Each step solves in the space of the runs, of which there are fewer than unknowns: δ = C·Jᵀ·(J·C·Jᵀ + R)⁻¹·(…).
    """
    values = given.prior.copy() if start is None else start.copy()
    variance = (given.spread**2).ravel()
    before = loss(given, values, rows)
    for _ in range(ROUNDS):
        logs, slopes = predicted(given, values, rows)
        errors = logs - given.measured[rows]
        jacobian = (given.member[rows][:, :, np.newaxis] * slopes[:, np.newaxis, :]).reshape(len(rows), -1)
        scaled = jacobian * variance
        system = scaled @ jacobian.T
        system[np.diag_indices(len(rows))] += POINT**2 * np.maximum(1.0, np.abs(errors) / HUBER)
        moved = (values - given.prior).ravel()
        step = (scaled.T @ np.linalg.solve(system, jacobian @ moved - errors)).reshape(values.shape) - (values - given.prior)
        share = 1.0
        while True:
            tried = values + share * np.clip(step, -1.5, 1.5)
            after = loss(given, tried, rows)
            if after < before or share < 0.02:
                break
            share /= 2
        if after >= before:
            break
        gained, values, before = before - after, tried, after
        if gained < LEAST:
            break
    return values


def left_out(given: Design, found: Sequence[Run], fold: Callable[[Run], str | int], start: Array) -> Array:
    """ln(predicted/measured seconds) of each run by a fit to the runs of other folds."""
    folds = np.array([str(fold(run)) for run in found])
    errors = np.zeros(len(found))
    for name in np.unique(folds):
        own, others = np.flatnonzero(folds == name), np.flatnonzero(folds != name)
        errors[own] = predicted(given, fit(given, others, start), own)[0] - given.measured[own]
    return errors
