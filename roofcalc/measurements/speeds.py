"""Measured points as speed per user and throughput per device, to draw over a calculated frontier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from roofcalc.errors import RoofcalcError
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.points import load

OF_EACH = {"tok_s_user": lambda value: value, "tpot_ms": lambda value: 1e3 / value}
OF_ALL = ("decode_tok_s_total", "output_tok_s_total")


class Speed(NamedTuple):
    """One measured point.

    Attributes
    ----------
    label, model : str
        Model, device and engine; the model alone.
    interactivity_tok_s, throughput_tok_s_per_device : float
        Of one user, and of one device, in output tokens per second. Where a total was measured, the user's is its share of it, the time
        of prompts included.
    """

    label: str
    interactivity_tok_s: float
    throughput_tok_s_per_device: float
    model: str = ""


def speeds(path: str | Path) -> tuple[list[Speed], int]:
    """The points of a file that have a speed and a batch, and how many rows have not.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or no row has both.
    """
    loaded = load(path)
    found = [speed for case in cases(loaded.points) if not isinstance(case, str) and (speed := _speed(case)) is not None]
    if not found:
        raise RoofcalcError(f"--points: no row of {path} has a speed of decoding and a batch")
    return found, len(loaded.points) + len(loaded.problems) - len(found)


def of_models(points: Sequence[Speed], models: Iterable[str]) -> list[Speed]:
    """The points of these models; all, where there are none of them."""
    names = set(models)
    return [one for one in points if one.model in names] or list(points)


def _speed(case: Case) -> Speed | None:
    point = case.point
    if point.batch is None:
        return None
    if point.metric in OF_EACH:
        each = float(OF_EACH[point.metric](point.value))
    elif point.metric in OF_ALL:
        each = point.value / point.batch
    else:
        return None
    label = f"{case.model.name} on {case.hardware.device.name}" + (f", {point.engine}" if point.engine else "")
    return Speed(label, each, each * point.batch / (case.hardware.count * case.share), case.model.name)
