"""Efficiencies fitted to measured times: achieved fractions of the peaks, and fixed overheads.

The modelled time of a run is the roofline at the fractions mbu, mfu and link, plus for each forward pass a latency per
collective, an overhead per layer and an overhead per pipeline stage. Residuals are logarithms of modelled over measured time,
so that relative errors of all points have equal weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.assumptions import LEAST_FRACTION
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.measurements.least_squares import Minimum, derivative, independent, minimise
from roofcalc.physics.decode_ops import messages
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRACTIONS = ("mbu", "mfu", "link")
TIMES = ("latency_us", "layer_us", "step_us")
OVERHEADS = ("collective_latency_us", "layer_overhead_us", "step_overhead_us")  # assumptions that stand for the times
PARAMETERS = (*FRACTIONS, *TIMES)
FIRST = ("mbu", "mfu", "layer_us", "link", "latency_us", "step_us")  # order of preference where the points do not determine all parameters
NEUTRAL = {"mbu": 1.0, "mfu": 1.0, "link": 1.0, "latency_us": 0.0, "layer_us": 0.0, "step_us": 0.0}
USUAL_US = {"latency_us": 10.0, "layer_us": 50.0, "step_us": 500.0}  # units of the solver, so that parameters are of order 1
MOST_US = 1e7
LEAST_SHARE = 0.003  # least independent effect of a parameter of usual size on the times (root mean square of ln)
START = 0.7


class Observation(NamedTuple):
    """A measured time and its model.

    Attributes
    ----------
    seconds : float
        Measured time per token or per timed event.
    modelled : callable
        Predicted time of a deployment for the same. [s]
    passes : float
        Forward passes of the model in that time.
    """

    deployment: Deployment
    seconds: float
    modelled: Callable[[Deployment], float]
    passes: float


class Fitted(NamedTuple):
    """Result of a fit.

    Attributes
    ----------
    values, errors : dict
        Value and standard deviation by parameter; nan for parameters that were not free or have no defined deviation.
    free : tuple of str
        Fitted parameters.
    left_out : tuple of str
        Parameters without an effect on the points, or not distinguishable from earlier ones; at their neutral values.
    held : tuple of str
        Free parameters that ended at a bound.
    log_errors : array
        ln(modelled / measured time) of each observation.
    """

    values: dict[str, float]
    errors: dict[str, float]
    free: tuple[str, ...]
    left_out: tuple[str, ...]
    held: tuple[str, ...]
    log_errors: Any


def fit(observations: Sequence[Observation], fixed: Mapping[str, float] | None = None) -> Fitted:
    """Least-squares fit of the parameters to log times; those in `fixed` keep their values.

    The number of free parameters is at most the number of observations, and each has a distinguishable effect.

    Raises
    ------
    RoofcalcError
        No observation, or a fixed value out of its range.
    """
    if not observations:
        raise RoofcalcError("fit: there are no points to fit")
    given = {name: _checked(name, value) for name, value in (fixed or {}).items()}
    times, counts = np.array([one.seconds for one in observations]), np.stack([_counts(one) for one in observations])

    @cache
    def roofs(*fractions: float) -> NDArray[Any]:
        achieved = dict(zip(FRACTIONS, fractions, strict=True))
        return np.array([one.modelled(_achieving(one.deployment, achieved)) for one in observations])

    def residuals(values: Mapping[str, float]) -> NDArray[Any]:
        extra = counts @ np.array([values[name] for name in TIMES]) * 1e-6
        return np.asarray(np.log((roofs(*(values[name] for name in FRACTIONS)) + extra) / times))

    possible = tuple(name for name in FIRST if name not in given)
    start = {**NEUTRAL, **dict.fromkeys(FRACTIONS, START), **given}

    def of(names: tuple[str, ...], others: Mapping[str, float]) -> Callable[[NDArray[Any]], NDArray[Any]]:
        return lambda x: residuals({**others, **{name: _outward(name, one) for name, one in zip(names, x, strict=True)}})

    _, high = _bounds(possible)
    x = np.array([_inward(name, start[name]) for name in possible])
    function = of(possible, start)
    chosen = independent(derivative(function, x, function(x), high), LEAST_SHARE)
    free = tuple(possible[i] for i in chosen)
    left_out = tuple(name for name in possible if name not in free)
    others = {**start, **{name: NEUTRAL[name] for name in left_out}}
    minimum = minimise(of(free, others), np.array([_inward(name, start[name]) for name in free]), *_bounds(free))
    values = {**others, **{name: _outward(name, one) for name, one in zip(free, minimum.x.tolist(), strict=True)}}
    held = tuple(name for name, one in zip(free, minimum.held.tolist(), strict=True) if one)
    return Fitted({name: values[name] for name in PARAMETERS}, _errors(minimum, free, values), free, left_out, held, minimum.residuals)


def _errors(minimum: Minimum, free: tuple[str, ...], values: Mapping[str, float]) -> dict[str, float]:
    """Standard deviations in the units of the parameters."""
    deviations = dict(zip(free, minimum.errors.tolist(), strict=True))
    return {name: deviations.get(name, np.nan) * USUAL_US.get(name, values[name]) for name in PARAMETERS}


def _inward(name: str, value: float) -> float:
    return float(np.log(value)) if name in FRACTIONS else value / USUAL_US[name]


def _outward(name: str, x: float) -> float:
    return float(np.exp(x)) if name in FRACTIONS else float(x * USUAL_US[name])


def _bounds(names: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    low = [np.log(LEAST_FRACTION) if name in FRACTIONS else 0.0 for name in names]
    high = [0.0 if name in FRACTIONS else MOST_US / USUAL_US[name] for name in names]
    return np.array(low), np.array(high)


def _achieving(deployment: Deployment, fractions: Mapping[str, float]) -> Deployment:
    """The deployment at these fractions, without the overheads of a preset: those are fitted."""
    given = deployment.assumptions
    none = {name: 0.0 for name in OVERHEADS if getattr(given, name) is None}
    return replace(deployment, assumptions=replace(given, **fractions, **none))


def _counts(one: Observation) -> NDArray[Any]:
    """Collectives, layers and pipeline stages in the time of an observation."""
    stages = one.deployment.stages
    free = one.deployment.assumptions.network == "ideal"
    collectives = 0 if free else sum(stage.count * message.layers for stage in stages for message in messages(one.deployment, stage))
    return one.passes * np.array([collectives, one.deployment.model.depth, one.deployment.layout.pp], dtype=float)


def _checked(name: str, value: float) -> float:
    if name not in PARAMETERS:
        raise RoofcalcError(f"fix: unknown {name!r}{did_you_mean(name, PARAMETERS)}; known: {', '.join(PARAMETERS)}")
    low, high = (LEAST_FRACTION, 1.0) if name in FRACTIONS else (0.0, MOST_US)
    if not low <= value <= high:
        raise RoofcalcError(f"fix {name}: expected {low:g} to {high:g}, got {value:g}")
    return value
