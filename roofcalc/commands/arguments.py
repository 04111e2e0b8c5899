"""Parse and validate arguments of the public functions (text, numbers, arrays); invalid input raises RoofcalcError.

Every function takes the value and a `label`, which is how an error message names it: a flag such as `--batch`, or the place in a file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from roofcalc import units
from roofcalc.errors import RoofcalcError, flag
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.weight_recipes import NATIVE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_TOKENS = 10**9
MAX_DEGREE = 10**6
MAX_DEVICES = 10**6  # `plan --devices` and `--spare`
MAX_SEARCHED_DEVICES = 65536  # `frontier --devices`: every layout of every size is evaluated
MAX_STREAMS = 1_000_000
MIN_RATE, MAX_RATE = 1e-6, 1e9  # speeds (tok/s) and latencies (s)

Names = str | Sequence[str]
Numbers: TypeAlias = "str | float | Sequence[float] | ArrayLike"


def names(value: Any, label: str) -> list[Any]:
    """A name, a comma list, a list, a path or a record, as a list; names lose surrounding blanks.

    Raises
    ------
    RoofcalcError
        An empty name, or something that is neither a name nor a record (Model, Hardware).
    """
    if isinstance(value, str) and not os.path.isfile(value):
        items: list[Any] = [part.strip() for part in value.split(",")]
    elif isinstance(value, (list, tuple, np.ndarray)):
        items = [str(item) if isinstance(item, (str, os.PathLike)) else item for item in value]
    else:
        items = [str(value) if isinstance(value, (str, os.PathLike)) else value]
    if not items or any(isinstance(item, str) and not item for item in items):
        raise RoofcalcError(f"{label}: an empty name in {value!r}")
    record = {"model": Model, "hardware": Hardware}.get(label, str)
    if not all(isinstance(item, (str, record)) for item in items):
        raise RoofcalcError(f"{label}: expected names, got {value!r}")
    return items


def dtype_names(value: Any, label: str) -> list[str]:
    """Names of dtypes; `native` if none were given."""
    return [NATIVE] if value is None else names(value, label)


def optional_name(value: Any, label: str) -> str | None:
    """A single name, or None."""
    if value is not None and not isinstance(value, str):
        raise RoofcalcError(f"{label}: expected a name, got {value!r}")
    return value


def number_array(value: Any, label: str, low: float, high: float) -> NDArray[Any]:
    """Numbers from low to high as a one-dimensional array, from text such as `30,50` or from anything NumPy reads as numbers.

    Raises
    ------
    RoofcalcError
        Not a number, no numbers at all, or a number outside the range.
    """
    parsed = value
    if isinstance(value, str):
        parsed = units.numbers(value, label)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, str) for item in value):
        parsed = [number for item in value for number in units.numbers(str(item), label)]
    try:
        array = np.atleast_1d(np.asarray(parsed, dtype=float)).ravel()
    except (TypeError, ValueError, OverflowError):
        raise RoofcalcError(f"{label}: expected numbers, got {value!r}"[:200]) from None
    wrong = array[~((array >= low) & (array <= high))]
    if wrong.size or not array.size:
        raise RoofcalcError(f"{label}: expected {units.plain(low)} to {units.plain(high)}, got {units.plain(wrong[0]) if wrong.size else 'nothing'}")
    return array


def integer_array(value: Any, label: str, high: int, low: int = 1) -> NDArray[Any]:
    """Whole numbers from low to high as an array of floats."""
    array = number_array(value, label, low, high)
    fractions = array[array != np.round(array)]
    if fractions.size:
        raise RoofcalcError(f"{label}: expected a whole number, got {units.plain(fractions[0])}")
    return array


def single_number(value: Any, label: str, low: float, high: float) -> float:
    """One number from low to high."""
    array = number_array(value, label, low, high)
    if array.size > 1:
        raise RoofcalcError(f"{label}: expected one number, got {array.size}")
    return float(array[0])


def single_integer(value: Any, label: str, high: int, low: int = 1) -> int:
    """One whole number from low to high."""
    return int(single_number(integer_array(value, label, high, low), label, low, high))


def parallel_degrees(value: Any, name: str) -> list[int | None]:
    """Degrees of one kind of parallelism, such as `tp`; [None] if none were given, which leaves the choice to the layout."""
    return [None] if value is None else [int(degree) for degree in integer_array(value, flag(name), MAX_DEGREE)]
