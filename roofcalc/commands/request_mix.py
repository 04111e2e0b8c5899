"""Request-mix files for `plan --mix`: kinds of requests with weights, one `isl:osl weight` per line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.catalog.yamlfile import read_text
from roofcalc.commands.arguments import MAX_TOKENS, integer_array, number_array
from roofcalc.errors import RoofcalcError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_KINDS = 1000


class Mix(NamedTuple):
    """Kinds of requests, as arrays of one length: prompt and output tokens, and the fraction of all requests (sums to 1)."""

    isl: NDArray[Any]
    osl: NDArray[Any]
    parts: NDArray[Any]


def mix(path: str) -> Mix:
    """Reads a request-mix file: lines of `isl:osl` and, after a blank or comma, a weight (default 1).

    Blank lines and comments (from `#` to the end of a line) are ignored.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or lines that do not parse; every one of them is listed with its number.
    """
    kinds, errors = [], []
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").split()
        if words:
            try:
                kinds.append(_kind(words))
            except RoofcalcError as error:
                errors.append(f"{path}:{number}: {error}")
    if errors or not 0 < len(kinds) <= MAX_KINDS:
        raise RoofcalcError(*(errors or [f"--mix: {path}: {len(kinds):,} kinds of requests; expected 1 to {MAX_KINDS:,}"]))
    each: dict[tuple[float, float], float] = {}  # lines that are alike are one kind
    for prompt, output, weight in kinds:
        each[prompt, output] = each.get((prompt, output), 0.0) + weight
    isl, osl, weights = (np.array(column, dtype=float) for column in zip(*((*tokens, weight) for tokens, weight in each.items()), strict=True))
    return Mix(isl, osl, weights / weights.sum())


def _text(path: str) -> str:
    try:
        return read_text(Path(path))
    except RoofcalcError as error:
        raise RoofcalcError(*(f"--mix: {line}" for line in error.lines)) from None


def _kind(words: list[str]) -> tuple[float, float, float]:
    prompt, colon, output = words[0].partition(":")
    if not colon or len(words) > 2:
        raise RoofcalcError(f"{' '.join(words)!r} is not of the form `isl:osl weight`, such as 4000:500 0.7")
    weight = number_array(words[1] if len(words) > 1 else 1, "weight", 1e-12, 1e12)[0]
    return integer_array(prompt, "isl", MAX_TOKENS, 0)[0], integer_array(output, "osl", MAX_TOKENS)[0], weight
