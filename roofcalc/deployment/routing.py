"""`--routing`: uniform, skewed, or the shares of the experts in a file."""

import math
import re
from pathlib import Path

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError
from roofcalc.specs.routing import MEASURED, SKEWED, UNIFORM, Routing

MAX_EXPERTS = 100_000


def routing(text: str) -> Routing:
    """The routing that `uniform`, `skewed` or `measured:FILE` names.

    FILE holds a number per expert, in the order of the experts: tokens, or their share. One a line, or separated by commas or blanks;
    lines of two numbers hold the expert's place, from 0, and its number. What follows a `#` is a comment, a header line is skipped.

    Raises
    ------
    RoofcalcError
        Another word, or a file that cannot be read or does not hold shares.
    """
    if text in (UNIFORM, SKEWED):
        return Routing(text)
    kind, colon, file = text.partition(":")
    if kind != MEASURED or not colon or not file.strip():
        raise RoofcalcError(f"--routing: invalid choice {text!r} (choose from uniform, skewed, measured:FILE)")
    shares = _shares(file.strip())
    total = math.fsum(shares)
    if not total > 0:
        raise RoofcalcError(f"--routing: {file}: all shares are 0")
    return Routing(MEASURED, tuple(share / total for share in shares))


def _shares(file: str) -> list[float]:
    rows: list[list[float]] = []
    for number, line in enumerate(yamlfile.read_text(Path(file)).splitlines(), 1):
        words = [word for word in re.split(r"[\s,;]+", line.partition("#")[0].strip("[] \t")) if word]
        try:
            found = [float(word) for word in words]
        except ValueError:
            if rows or not words:
                raise RoofcalcError(f"--routing: {file}:{number}: expected numbers, got {line.strip()[:60]!r}") from None
            continue  # a header
        if any(not 0 <= value < math.inf for value in found):
            raise RoofcalcError(f"--routing: {file}:{number}: expected numbers of at least 0")
        rows += [found] if found else []
    if len(rows) > 1 and all(len(row) == 2 for row in rows):
        places = [row[0] for row in rows]
        if sorted(places) != list(range(len(rows))):
            raise RoofcalcError(f"--routing: {file}: the first column must name each expert once, from 0 to {len(rows) - 1}")
        return [share for _, share in sorted((row[0], row[1]) for row in rows)]
    shares = [value for row in rows for value in row]
    if not 1 <= len(shares) <= MAX_EXPERTS:
        raise RoofcalcError(f"--routing: {file}: holds no shares" if not shares else f"--routing: {file}: more than {MAX_EXPERTS:,} shares")
    return shares
