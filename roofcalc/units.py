"""Parsing and formatting of quantities: `4k`, `8Ki`, `1k:64k:x2`, 4 significant digits. Nothing else parses or formats them."""

import math
import re
from itertools import pairwise

from roofcalc.errors import RoofcalcError

SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
SECONDS_PER_HOUR = 3600.0
MAX_VALUES = 1_000_000
MAX_DIGITS = 400  # longer than any float needs; matching time grows with the square of the length

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(ki|mi|gi|k|m|g)?", re.IGNORECASE | re.ASCII)
_THOUSANDS = re.compile(r"0\d+")  # as in 12,000: the end of a number whose thousands a comma separates
_GROUPED = re.compile(r"[1-9]\d{0,2}(\.\d{3})+")  # as in 1.000,5: thousands separated by points


def number(text: str, what: str = "value") -> float:
    """`4k` -> 4000.0, `4Ki` -> 4096.0, `1.5` -> 1.5. k, M, G are powers of 1000; Ki, Mi, Gi of 1024.

    Raises
    ------
    RoofcalcError
        `text` is not a number.
    """
    match = _NUMBER.fullmatch(text.strip().replace("_", "")) if len(text) <= MAX_DIGITS else None
    value = float(match.group(1)) * SUFFIXES[(match.group(2) or "").lower()] if match else math.nan
    if not math.isfinite(value):
        raise RoofcalcError(f"{what}: {_short(text)} is not a number such as 7661, 4k (4000) or 4Ki (4096)")
    return value


def _short(text: str) -> str:
    shown = text.strip()
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")


def numbers(text: str, what: str = "value") -> list[float]:
    """A comma list of numbers and ranges: `775,7661`, `1k:64k:x2` (geometric), `1k:8k:1k` (step), ends included.

    Raises
    ------
    RoofcalcError
        An item is not a number, a range does not advance, the list has more than a million values, or its commas may separate thousands
        or decimals (`12,000`, `1.000,5`).
    """
    values: list[float] = []
    items = text.split(",")
    for before, item in pairwise(item.strip() for item in items):
        if (item[:1] == "0" and _THOUSANDS.fullmatch(item)) or ("." in before and item.isdigit() and _GROUPED.fullmatch(before)):
            raise RoofcalcError(
                f"{what}: {_short(text)} mixes separators: a comma separates values, a point decimals; write twelve thousand and a half as 12000.5"
            )
    for item in items:
        values += _range(item, what) if ":" in item else [number(item, what)]
        if len(values) > MAX_VALUES:
            raise RoofcalcError(f"{what}: {text!r} expands to more than {MAX_VALUES:,} values")
    return values


def _range(text: str, what: str) -> list[float]:
    parts = text.strip().split(":")
    if len(parts) != 3:
        raise RoofcalcError(f"{what}: {text.strip()!r} is not a range such as 1k:64k:x2 or 1k:8k:1k")
    low, high = number(parts[0], what), number(parts[1], what)
    geometric = parts[2].strip().lower().startswith("x")
    step = number(parts[2].strip().lstrip("xX") if geometric else parts[2], what)
    if low > high:
        raise RoofcalcError(f"{what}: range start {parts[0].strip()} is greater than end {parts[1].strip()}")
    if geometric and (step <= 1 or low <= 0):
        raise RoofcalcError(f"{what}: {text.strip()!r} never ends: a geometric range needs a start above 0 and a factor above 1")
    if not geometric and step <= 0:
        raise RoofcalcError(f"{what}: {text.strip()!r} never ends: the step must be above 0")
    steps = (math.log(high / low) / math.log(step) if geometric else (high - low) / step) + 1e-9
    if steps >= MAX_VALUES:
        raise RoofcalcError(f"{what}: {text.strip()!r} expands to more than {MAX_VALUES:,} values")
    if not (low.is_integer() and step.is_integer()):  # in decimal, as written: 0.1 + 2·0.1 is 0.3, not 0.30000000000000004
        from decimal import Decimal

        first, by = Decimal(repr(low)), Decimal(repr(step))
        return [float(first * by**i if geometric else first + i * by) for i in range(int(steps) + 1)]
    return [low * step**i if geometric else low + i * step for i in range(int(steps) + 1)]


def plain(value: float) -> str:
    """The shortest text that reads back as the same number: 4000.0 -> `4000`, 0.1 -> `0.1`."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(float(value)).replace("inf", "infinity")


def significant(value: float, digits: int = 4) -> str:
    """Human-readable: `digits` significant digits, thousands separators, no exponent between 1e-4 and 1e15."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -5 < magnitude < 15:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - magnitude)
    return f"{round(value, decimals):,.{decimals}f}"


def tokens(value: float) -> str:
    """A number of tokens, abbreviated where exact: 8000 -> `8k`, 131072 -> `128Ki`, 7661 -> `7,661`."""
    for suffix, unit in (("M", 10**6), ("k", 10**3), ("Ki", 2**10)):
        if value >= unit and value % unit == 0:
            return f"{value / unit:,.0f}{suffix}"
    return f"{value:,.0f}" if float(value).is_integer() else significant(value)
