"""Lint findings, and helpers for range and ratio checks."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

TOLERANCE = 0.12  # of ratios: data sheets round, and some devices run formats at different clocks


class Issue(NamedTuple):
    """An error or a doubtful figure in a field of an entry.

    Attributes
    ----------
    field : str
        Path in the file: `memory.bandwidth_gb_s`; empty for the whole file.
    excusable : bool
        The entry may explain under `unusual` why the figure is right.
    """

    field: str
    problem: str
    severity: Literal["error", "warning"] = "error"
    excusable: bool = False


Issues = Iterator[Issue]


def outside(field: str, what: str, value: float, low: float, high: float, hint: str) -> Issues:
    """An issue if `value` is outside `low` to `high`; `what` names the quantity and its unit."""
    if not low <= value <= high:
        yield Issue(field, f"{what} is {value:.4g}, expected {low:g} to {high:g}: {hint}", excusable=True)


def unlike(field: str, what: str, value: float, expected: Sequence[float], hint: str) -> Issues:
    """An issue if `value` is not within `TOLERANCE` of one of the ratios `expected`."""
    if not any(abs(value / ratio - 1) <= TOLERANCE for ratio in expected):
        yield Issue(field, f"{what} is {value:.3g}, expected {' or '.join(f'{ratio:g}' for ratio in expected)}: {hint}", excusable=True)
