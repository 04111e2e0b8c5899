"""What a check finds in an entry, and the two ways most find it: a figure outside a band, a ratio that is none of a few."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

TOLERANCE = 0.12  # of ratios: sheets round, and some parts run formats at different clocks


class Issue(NamedTuple):
    """Something wrong or doubtful in one field of an entry.

    Attributes
    ----------
    field : str
        Its path in the file: `memory.bandwidth_gb_s`; empty for the whole file.
    excusable : bool
        The entry's `unusual` may say why the figure is right all the same.
    """

    field: str
    problem: str
    severity: Literal["error", "warning"] = "error"
    excusable: bool = False


Issues = Iterator[Issue]


def outside(field: str, what: str, value: float, low: float, high: float, hint: str) -> Issues:
    """An issue where `value` is not from `low` to `high`; `what` names it with its unit, as `power in W`."""
    if not low <= value <= high:
        yield Issue(field, f"{what} is {value:.4g}, expected {low:g} to {high:g}: {hint}", excusable=True)


def unlike(field: str, what: str, value: float, expected: Sequence[float], hint: str) -> Issues:
    """An issue where `value` is within `TOLERANCE` of none of the ratios `expected`."""
    if not any(abs(value / one - 1) <= TOLERANCE for one in expected):
        yield Issue(field, f"{what} is {value:.3g}, expected {' or '.join(f'{one:g}' for one in expected)}: {hint}", excusable=True)
