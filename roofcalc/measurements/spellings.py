"""Names of models, devices and dtypes in published sources -> names of the catalogs and of `roofcalc.specs.dtypes`.

`spellings.csv` lists spellings that are neither names nor aliases, with the page that uses them.
"""

import csv
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from roofcalc.catalog import boxes, lookup
from roofcalc.errors import RoofcalcError
from roofcalc.specs import dtypes, weight_recipes
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace
from roofcalc.specs.stored_weights import weight_dtypes

Kind = Literal["models", "hardware", "dtypes"]
HEADER = ("kind", "spelling", "name", "why", "source")


@lru_cache(maxsize=1)
def table() -> tuple[dict[str, str], ...]:
    """The rows of `spellings.csv`."""
    with Path(__file__).with_name("spellings.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def plain(kind: Kind, text: str) -> str:
    """The catalog name for a spelling of a source; the spelling itself where the table does not list it."""
    same = lookup.normal(text)
    return next((row["name"] for row in table() if row["kind"] == kind and lookup.normal(row["spelling"]) == same), text)


def without_remark(text: str) -> str:
    """A name without the remark in parentheses that ends it: `Q4_K_M (4.83 bit/w avg)`."""
    return re.sub(r"\s*\([^()]*\)\s*$", "", text) or text


def model(text: str) -> Model | None:
    """The catalog's model for a spelling; None where there is none."""
    try:
        return lookup.model(plain("models", text))[0]
    except RoofcalcError:
        return None


def weights_of_name(text: str) -> str | None:
    """The weights recipe that a model's name gives (`Qwen3-32B-AWQ`); None where it gives none."""
    return lookup.weights(plain("models", text))


def hardware(text: str, count: int | None = None) -> Hardware | None:
    """`count` devices of the kind that a spelling names, joined as the catalog says; None where the catalog has none.

    The default count is that of the spelling or of the system. Part of a system keeps the links of the system.
    """
    machine = _machine(plain("hardware", text)) or _machine(plain("hardware", without_remark(text)))
    if machine is None or count is None or count == machine.count:
        return machine
    return boxes.joined(replace(machine, name=machine.device.name if count == 1 else f"{count}x{machine.device.name}", count=count))[0]


def _machine(name: str) -> Hardware | None:
    try:
        return lookup.hardware(name)[0]
    except RoofcalcError:
        return None


def weights(text: str, given: Model) -> str:
    """The weight recipe for a spelling.

    `bf16 mlp=nvfp4 experts=nvfp4` gives dtypes by tensor class. The default dtype of the published checkpoint means all its dtypes
    ("native"). A source that says no more than `fp8` may have quantised every matrix: `all=fp8`, so that `bound` stays a bound.

    Raises
    ------
    RoofcalcError
        Unknown dtype, recipe or tensor class.
    """
    named = _known_dtype(text)
    if not dtypes.is_dtype(named):
        weight_dtypes(given, named)  # refuses matrices that the model does not have
        return weight_recipes.parse(named).label
    default, published = dtypes.dtype(named), dtypes.dtype(given.dtypes.default)
    if (published.compute, published.bits) == (default.compute, default.bits):
        return weight_recipes.NATIVE
    return f"all={default.name}" if default.bits < 16 else default.name


def dtype(text: str) -> dtypes.Dtype:
    """The dtype for a spelling.

    Raises
    ------
    RoofcalcError
        There is none.
    """
    return dtypes.dtype(_known_dtype(text))


def _known_dtype(text: str) -> str:
    """The listed name for a spelling, else the spelling without a remark in parentheses."""
    named = plain("dtypes", text)
    return named if named != text else plain("dtypes", without_remark(text))
