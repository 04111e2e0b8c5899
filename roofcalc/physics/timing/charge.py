"""How kernel times become the seconds of a step: factors of whole runs, never below the roofline, charged to resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.efficiency import RunConstants
from roofcalc.physics.kv_span import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

Terms = dict[str, Array]  # seconds by resource


def run_constants(deployment: Deployment) -> RunConstants:
    """The constants of whole runs of a deployment in `typical`."""
    assert deployment.profile is not None
    return deployment.profile.constants


def charge(
    terms: Terms,
    deployment: Deployment,
    factors: tuple[Any, Any],
    busy: NDArray[Any],
    compute: NDArray[Any],
    memory: NDArray[Any],
    times: Any = 1.0,
    stacked: bool = False,
) -> None:
    """Adds kernels' seconds to `terms` under "compute" and "bandwidth", by which of the two takes longer on the roofline.

    t = max(busy·(φ_memory + (φ_compute − φ_memory)·w), compute, memory), with w = c³/(c³ + m³) the weight of the compute roof.

    Parameters
    ----------
    factors
        φ of kernels limited by memory and by compute.
    busy, compute, memory
        Seconds by the kernel model, and on both roofs; without launch floors.
    times
        Layers, or how often each kernel runs.
    stacked
        Whether the first axis holds kernels to sum over.
    """
    given = deployment.assumptions
    if given.mfu is not None or given.mbu is not None:  # fractions given by hand replace the kernel model
        seconds = np.maximum(compute / (given.mfu or 1.0), memory / (given.mbu or 1.0)) * times
    elif isinstance(factors[0], float) and isinstance(factors[1], float):
        seconds = np.maximum(busy * _factor(factors, compute, memory), np.maximum(compute, memory)) * times
    else:  # constants as unit vectors along a first axis: the table of terms of a fit
        _charge_units(terms, factors, busy, compute, memory, times, stacked)
        return
    nearer = np.greater(compute, memory)
    both = given.overlap in ("full", "none")  # each resource counts, not the slower one alone
    on_compute = np.where(nearer, seconds, compute * times if both else 0.0)
    on_memory = np.where(nearer, memory * times if both else 0.0, seconds)
    if stacked:
        on_compute, on_memory = on_compute.sum(axis=0), on_memory.sum(axis=0)
    add(terms, "compute", on_compute)
    add(terms, "bandwidth", on_memory)


def _factor(factors: tuple[float, float], compute: NDArray[Any], memory: NDArray[Any]) -> Any:
    of_memory, of_compute = factors
    if of_memory == of_compute:
        return of_memory
    return of_memory + (of_compute - of_memory) * _weight(compute, memory)


def _weight(compute: NDArray[Any], memory: NDArray[Any]) -> Any:
    cubed = compute * compute * compute
    return cubed / np.maximum(cubed + memory * memory * memory, 1e-300)


def _charge_units(
    terms: Terms, factors: tuple[Any, Any], busy: NDArray[Any], compute: NDArray[Any], memory: NDArray[Any], times: Any, stacked: bool
) -> None:
    seconds = np.maximum(busy, np.maximum(compute, memory)) * times
    weight = _weight(compute, memory)
    parts = [seconds * (1 - weight), seconds * weight]
    if stacked:
        parts = [part.sum(axis=0) for part in parts]
    add(terms, "bandwidth", factors[0] * parts[0] + factors[1] * parts[1])


def launches(terms: Terms, deployment: Deployment, seconds: Any) -> None:
    """Adds the share of launch floors that kernels pay one after another to "overhead"."""
    given = deployment.assumptions
    if given.mfu is None and given.mbu is None:
        add(terms, "overhead", seconds * run_constants(deployment).launch)


def add(terms: Terms, name: str, seconds: Any) -> None:
    """Adds seconds to one resource."""
    terms[name] = terms.get(name, 0.0) + seconds
