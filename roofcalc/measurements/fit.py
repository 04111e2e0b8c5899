"""The efficiencies that measured times imply: achieved fractions of the peaks, and times that no roof accounts for.

A run's time is the roofline's at the fractions mbu, mfu and link, and for each pass of the model a latency per collective, a
time per layer and a time per stage. Residuals are logarithms of modelled over measured time, so that all points weigh alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.assumptions import LEAST_FRACTION
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.measurements.least_squares import Minimum, derivative, independent, minimise
from roofcalc.physics.decode_ops import messages
from roofcalc.specs.record import Record, replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRACTIONS = ("mbu", "mfu", "link")
TIMES = ("latency_us", "layer_us", "step_us")
PARAMETERS = (*FRACTIONS, *TIMES)
FIRST = ("mbu", "mfu", "layer_us", "link", "latency_us", "step_us")  # where the points cannot tell all apart, the later ones are left out
NEUTRAL = {"mbu": 1.0, "mfu": 1.0, "link": 1.0, "latency_us": 0.0, "layer_us": 0.0, "step_us": 0.0}
USUAL_US = {"latency_us": 10.0, "layer_us": 50.0, "step_us": 500.0}  # the solver's units, so that parameters are of about the size of 1
MOST_US = 1e7
LEAST_SHARE = 0.003  # of the times, in root mean square, that a parameter of about its usual size must move by itself
START = 0.7


class Observation(Record):
    """One measured time and what models it.

    Attributes
    ----------
    seconds : float
        Measured, per unit of whatever was counted.
    modelled : callable
        The same of a deployment.
    passes : float
        Passes of the model that it takes.
    """

    deployment: Deployment
    seconds: float
    modelled: Callable[[Deployment], float]
    passes: float


class Fitted(Record):
    """What a fit found.

    Attributes
    ----------
    values, errors : dict
        By parameter: its value, and its standard deviation (nan where it was not free, or cannot be told).
    free : tuple of str
        Parameters that the points determine.
    left_out : tuple of str
        Parameters that the points cannot tell from those before them, or do not depend on; at their neutral values.
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
    """The parameters with the least sum of squared logarithms; those in `fixed` stay.

    At most as many parameters as there are observations are free, and none that hardly moves them by itself.

    Raises
    ------
    RoofcalcError
        No observation, or a fixed value out of its range.
    """
    if not observations:
        raise RoofcalcError("fit: there is no point to fit")
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
    found = minimise(of(free, others), np.array([_inward(name, start[name]) for name in free]), *_bounds(free))
    values = {**others, **{name: _outward(name, one) for name, one in zip(free, found.x.tolist(), strict=True)}}
    held = tuple(name for name, one in zip(free, found.held.tolist(), strict=True) if one)
    return Fitted({name: values[name] for name in PARAMETERS}, _errors(found, free, values), free, left_out, held, found.residuals)


def _errors(found: Minimum, free: tuple[str, ...], values: Mapping[str, float]) -> dict[str, float]:
    """Standard deviations in the parameters' own units."""
    own = dict(zip(free, found.errors.tolist(), strict=True))
    return {name: own.get(name, np.nan) * USUAL_US.get(name, values[name]) for name in PARAMETERS}


def _inward(name: str, value: float) -> float:
    return float(np.log(value)) if name in FRACTIONS else value / USUAL_US[name]


def _outward(name: str, x: float) -> float:
    return float(np.exp(x)) if name in FRACTIONS else float(x * USUAL_US[name])


def _bounds(names: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    low = [np.log(LEAST_FRACTION) if name in FRACTIONS else 0.0 for name in names]
    high = [0.0 if name in FRACTIONS else MOST_US / USUAL_US[name] for name in names]
    return np.array(low), np.array(high)


def _achieving(deployment: Deployment, fractions: Mapping[str, float]) -> Deployment:
    return replace(deployment, assumptions=replace(deployment.assumptions, **fractions))


def _counts(one: Observation) -> NDArray[Any]:
    """Collectives, layers and stages that an observation passes."""
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
