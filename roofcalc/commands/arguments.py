"""What callers give, text or Python values, as names and arrays of numbers; anything else is refused in one sentence."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from roofcalc import units
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.weight_recipes import NATIVE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_TOKENS = 10**9
MAX_DEGREE = 10**6

Names = str | Sequence[str]
Numbers: TypeAlias = "str | float | Sequence[float] | ArrayLike"


def names(given: Any, what: str) -> list[Any]:
    """One name, a comma list, a list, a path or a record -> a list without blanks around."""
    if isinstance(given, str) and not os.path.isfile(given):
        items: list[Any] = [part.strip() for part in given.split(",")]
    elif isinstance(given, (list, tuple, np.ndarray)):
        items = [str(item) if isinstance(item, (str, os.PathLike)) else item for item in given]
    else:
        items = [str(given) if isinstance(given, (str, os.PathLike)) else given]
    if not items or any(isinstance(item, str) and not item for item in items):
        raise RoofcalcError(f"{what}: an empty name in {given!r}")
    kind = {"model": Model, "hardware": Hardware}.get(what, str)
    if not all(isinstance(item, (str, kind)) for item in items):
        raise RoofcalcError(f"{what}: expected names, got {given!r}")
    return items


def words(given: Any, what: str) -> list[str]:
    return [NATIVE] if given is None else names(given, what)


def word(given: Any, what: str) -> str | None:
    if given is not None and not isinstance(given, str):
        raise RoofcalcError(f"{what}: expected a name, got {given!r}")
    return given


def positive(given: Any, what: str, low: float, high: float) -> NDArray[Any]:
    """Numbers in low … high, from text such as `30,50` or an array.

    Raises
    ------
    RoofcalcError
        Anything else.
    """
    values = given
    if isinstance(given, str):
        values = units.numbers(given, what)
    elif isinstance(given, (list, tuple)) and any(isinstance(item, str) for item in given):
        values = [value for item in given for value in units.numbers(str(item), what)]
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float)).ravel()
    except (TypeError, ValueError, OverflowError):
        raise RoofcalcError(f"{what}: expected numbers, got {given!r}"[:200]) from None
    wrong = array[~((array >= low) & (array <= high))]
    if wrong.size or not array.size:
        raise RoofcalcError(f"{what}: expected {units.plain(low)} to {units.plain(high)}, got {units.plain(wrong[0]) if wrong.size else 'nothing'}")
    return array


def whole(given: Any, what: str, high: int, low: int = 1) -> NDArray[Any]:
    """Whole numbers in low … high."""
    array = positive(given, what, low, high)
    broken = array[array != np.round(array)]
    if broken.size:
        raise RoofcalcError(f"{what}: expected a whole number, got {units.plain(broken[0])}")
    return array


def single(given: Any, what: str, low: float, high: float) -> float:
    """One number in low … high."""
    array = positive(given, what, low, high)
    if array.size > 1:
        raise RoofcalcError(f"{what}: expected one number, got {array.size}")
    return float(array[0])


def one_whole(given: Any, what: str, high: int) -> float:
    """One whole number in 1 … high."""
    return single(whole(given, what, high), what, 1, high)


def degrees_of(given: Any, what: str) -> list[int | None]:
    return [None] if given is None else [int(value) for value in whole(given, what, MAX_DEGREE)]
