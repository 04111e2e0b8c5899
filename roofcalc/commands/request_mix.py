"""Files of weighted requests: what users of several kinds ask, as `isl:osl weight`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.catalog.yamlfile import read_text
from roofcalc.commands.arguments import MAX_TOKENS, positive, whole
from roofcalc.errors import RoofcalcError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_KINDS = 1000


class Mix(NamedTuple):
    """Kinds of requests: prompts, answers, and each kind's part of all requests."""

    isl: NDArray[Any]
    osl: NDArray[Any]
    parts: NDArray[Any]


def mix(path: str) -> Mix:
    """The kinds of requests of a file: lines of `isl:osl` and, after a blank or comma, a weight (1 where there is none).

    Blank lines, and what follows a #, are left out.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or every line that is none of these, with its number.
    """
    found, errors = [], []
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").split()
        if words:
            try:
                found.append(_kind(words))
            except RoofcalcError as error:
                errors.append(f"{path}:{number}: {error}")
    if errors or not 0 < len(found) <= MAX_KINDS:
        raise RoofcalcError(*(errors or [f"{path}: {len(found):,} kinds of requests; expected 1 to {MAX_KINDS:,}"]))
    isl, osl, weights = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    return Mix(isl, osl, weights / weights.sum())


def _text(path: str) -> str:
    try:
        return read_text(Path(path))
    except RoofcalcError as error:
        raise RoofcalcError(*(f"mix: {line}" for line in error.lines)) from None


def _kind(words: list[str]) -> tuple[float, float, float]:
    prompt, colon, answer = words[0].partition(":")
    if not colon or len(words) > 2:
        raise RoofcalcError(f"{' '.join(words)!r} is not written as isl:osl weight, such as 4000:500 0.7")
    weight = positive(words[1] if len(words) > 1 else 1, "weight", 1e-12, 1e12)[0]
    return whole(prompt, "isl", MAX_TOKENS, 0)[0], whole(answer, "osl", MAX_TOKENS)[0], weight
