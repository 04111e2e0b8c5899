"""How kernel times become the seconds of a step: factors of whole runs, never below the roofline, charged to resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.efficiency import RunConstants
from roofcalc.physics.resources import Terms, add_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    weighed: NDArray[Any] | None = None,
) -> None:
    """Adds kernels' seconds to `terms` under "compute" and "bandwidth", by which of the two takes longer on the roofline.

    t = max(busy·(φ_memory + (φ_compute − φ_memory)·w), c, m), with w = compute³/(compute³ + memory³) the weight of the compute roof,
    c = compute/mfu and m = memory/mbu. A fraction given by hand, 1 where it is not, replaces the kernel model of the operations that
    its resource limits on the roofline: they take max(c, m).

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
    weighed
        Seconds on the roof of memory that w is of, where they are not `memory`.
    """
    given = deployment.assumptions
    if isinstance(factors[0], np.ndarray):  # constants as unit vectors along a first axis: the table of terms of a fit
        _charge_units(terms, factors, busy, compute, memory, times, stacked)
        return
    kernel = busy * _factor(factors, compute, memory if weighed is None else weighed)
    if given.mfu is not None or given.mbu is not None:
        kernel = np.where(is_replaced(deployment, compute, memory), 0.0, kernel)
        compute, memory = compute / (given.mfu or 1.0), memory / (given.mbu or 1.0)
    seconds = np.maximum(kernel, np.maximum(compute, memory)) * times
    nearer = np.greater(compute, memory)
    both = given.overlap in ("full", "none")  # each resource counts, not the slower one alone
    on_compute = np.where(nearer, seconds, compute * times if both else 0.0)
    on_memory = np.where(nearer, memory * times if both else 0.0, seconds)
    if stacked:
        on_compute, on_memory = on_compute.sum(axis=0), on_memory.sum(axis=0)
    add_seconds(terms, "compute", on_compute)
    add_seconds(terms, "bandwidth", on_memory)


def is_replaced(deployment: Deployment, compute: Any, memory: Any) -> Any:
    """Where fractions given by hand replace the kernel model, by the seconds of an operation on both roofs at their peaks."""
    given = deployment.assumptions
    return np.where(np.greater(compute, memory), given.mfu is not None, given.mbu is not None)


def has_launches(deployment: Deployment) -> bool:
    """Whether launch floors and small kernels are counted: always, unless both fractions are given by hand."""
    return deployment.assumptions.mfu is None or deployment.assumptions.mbu is None


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
    add_seconds(terms, "bandwidth", factors[0] * parts[0] + factors[1] * parts[1])


def launches(terms: Terms, deployment: Deployment, seconds: Any) -> None:
    """Adds the share of launch floors that kernels pay one after another to "overhead"."""
    if has_launches(deployment):
        add_seconds(terms, "overhead", seconds * run_constants(deployment).launch)
