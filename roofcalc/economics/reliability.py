"""Hardware failures during a generation: their probability, and the expected loss of tokens.

Failures are a Poisson process with a constant rate per device-hour. The published rates are those of the pre-training of
Llama 3 405B (arXiv 2407.21783, section 3.3.4 and table 5): 419 unexpected interruptions in 54 days on 16,384 H100, 6 of them
due to silent data corruption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.specs.formula import formula
from roofcalc.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCE = "https://arxiv.org/abs/2407.21783"
UNEXPECTED_INTERRUPTIONS = 419
SILENT_CORRUPTIONS = 6  # among them
DEVICE_HOURS = 54 * 24 * 16_384
ERROR_RATE = SILENT_CORRUPTIONS / DEVICE_HOURS  # per device-hour
FAILURE_RATE = (UNEXPECTED_INTERRUPTIONS - SILENT_CORRUPTIONS) / DEVICE_HOURS  # failures that are noticed immediately


@formula("device_hours = devices·osl/(3600·interactivity)")
def device_hours(devices: Any, tokens: Any, tokens_per_s: Any) -> NDArray[Any]:
    """Device-hours of a generation, in which a failure of any of its devices affects it."""
    return np.asarray(np.asarray(devices) * np.asarray(tokens, dtype=float) / np.asarray(tokens_per_s, dtype=float) / SECONDS_PER_HOUR)


@formula("hit = 1 − exp(−event_rate·device_hours)")
def hit_probability(rate: Any, hours: Any) -> NDArray[Any]:
    """Probability of at least one event in `hours` device-hours at `rate` events per device-hour."""
    return np.asarray(-np.expm1(-np.asarray(rate, dtype=float) * np.asarray(hours, dtype=float)))


@formula("lost = osl·((exp(event_rate·device_hours) − 1)/(event_rate·device_hours) − 1)")
def expected_lost_tokens(rate: Any, hours: Any, tokens: Any) -> NDArray[Any]:
    """Expected tokens lost to restarts per completed generation, where each failure restarts it from its first token.

    The standard result for jobs without checkpoints; about x·tokens/2 for small x = rate·hours, inf on overflow.
    """
    x = np.asarray(rate, dtype=float) * np.asarray(hours, dtype=float)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        exact = np.expm1(x) / x - 1
    return np.asarray(np.asarray(tokens, dtype=float) * np.where(x < 1e-5, x / 2 + x * x / 6, exact))
