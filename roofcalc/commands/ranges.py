"""Ranges of `typical`'s answers (`--range`): from the errors of measured runs of the same kind that no fit had seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.commands.arguments import single_number
from roofcalc.commands.options import Options
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.report import columns
from roofcalc.report.table import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST, MOST = 50.0, 98.0
_METRICS: dict[str, tuple[str, ...]] = {  # of `roofcalc.deployment.calibrated`, by command; other commands time decode steps
    "prefill": ("prompt",),
    "cost": ("total",),
    "vote": ("total",),
    "rollouts": ("total",),
    **dict.fromkeys(("memory", "flops", "overtrain"), ()),
}


def percent(value: Any, options: Options) -> float | None:
    """The percentage of runs that a range holds; None where no range is asked for.

    Raises
    ------
    RoofcalcError
        Not a percentage from 50 to 98, or a preset without errors of its own.
    """
    if value is None:
        return None
    share = single_number(value, "--range", LEAST, MOST)
    presets = options.get("assume")
    if presets is None or [name.strip() for name in (presets.split(",") if isinstance(presets, str) else presets)] != ["typical"]:
        raise RoofcalcError("--range: only typical answers with a range; give --assume typical")
    return share


def accuracy_notes(deployment: Deployment, command: str, generations: bool) -> list[str]:
    """How far `typical` was off for what a command times, on measured runs like these; of generations for their first tokens too."""
    if deployment.profile is None:
        return []
    from roofcalc.deployment import calibrated  # only `typical` needs it

    metrics = _METRICS.get(command, ("decode", "prompt") if generations else ("decode",))
    return [calibrated.accuracy(calibrated.read(), deployment.profile, metric) for metric in metrics]


def typical_notes(accuracy: dict[str, list[str]]) -> list[str]:
    """Notes on the accuracy of `typical`, each with the devices that it is about where there are several.

    Parameters
    ----------
    accuracy : dict
        What was found (`accuracy_notes`), and the devices for which it was.
    """
    several = len({device for devices in accuracy.values() for device in devices}) > 1
    return [f"typical{' on ' + ', '.join(devices) if several else ''}: {text}" for text, devices in accuracy.items()]


def given(value: Any) -> tuple[str, ...]:
    """The name of the option where it was given, for the assumptions that rows state."""
    return () if value is None else ("range",)


def speed_columns(value: Any, generations: bool, batches: bool = False) -> tuple[Column, ...]:
    """The columns of a range of speeds, first tokens of generations, and largest batches."""
    if value is None:
        return ()
    found = (*columns.SPEED_RANGE, *(columns.TTFT_RANGE if generations else ()))
    return (*columns.BATCH_RANGE, *found) if batches else found


def factors(deployment: Deployment, metric: str, share: float) -> tuple[float, float]:
    """Measured ÷ predicted speed at both ends of the range that holds `share` percent of runs of this kind."""
    from roofcalc.deployment import calibrated  # only `typical` needs it

    profile = deployment.profile
    assert profile is not None
    return calibrated.speed_range(calibrated.read(), profile, metric, share)


def around_speed(deployment: Deployment, speed: NDArray[Any], share: float | None, metric: str) -> dict[str, Any]:
    """Columns of the range around speeds."""
    if share is None:
        return {}
    low, high = factors(deployment, metric, share)
    return {"interactivity_low": speed * low, "interactivity_high": speed * high}


def around_first(deployment: Deployment, ttft_ms: Any, share: float | None) -> dict[str, Any]:
    """Columns of the range around times to first token."""
    if share is None or ttft_ms is None:
        return {}
    low, high = factors(deployment, "prompt", share)
    return {"ttft_low": np.asarray(ttft_ms) / high, "ttft_high": np.asarray(ttft_ms) / low}
