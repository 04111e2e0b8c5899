"""Names of models, devices and dtypes in published sources -> names of the catalogs and of `roofcalc.specs.dtypes`.

`spellings.csv` lists spellings that are neither names nor aliases, with the page that uses them.
"""

import csv
from functools import lru_cache
from pathlib import Path
from typing import Literal

from roofcalc.catalog import lookup
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


def model(text: str) -> Model | None:
    """The catalog's model for a spelling; None where there is none."""
    name = plain("models", text)
    return lookup.model(name)[0] if _is_known("models", name) else None


def hardware(text: str, count: int | None = None) -> Hardware | None:
    """`count` devices of the kind that a spelling names, with the catalog's links; None where the catalog has none.

    The default count is that of the spelling or of the system. Part of a system keeps the links of the system.

    Raises
    ------
    RoofcalcError
        The devices have no link that connects all of them.
    """
    name = plain("hardware", text)
    if not _is_known("hardware", name.partition("x")[2] if name[:1].isdigit() else name):
        return None
    machine = lookup.hardware(name)[0]
    if count is None or count == machine.count:
        return machine
    if count > machine.domain and machine.scale_out_bytes_per_s is None:
        raise RoofcalcError(f"{count}x{machine.device.name}: the catalog has no link that connects {count} devices")
    return replace(machine, name=machine.device.name if count == 1 else f"{count}x{machine.device.name}", count=count)


def _is_known(kind: Literal["models", "hardware"], name: str) -> bool:
    try:
        return lookup.find(kind, name).path.is_file()
    except RoofcalcError:
        return False


def weights(text: str, given: Model) -> str:
    """The weight recipe for a spelling.

    `bf16 mlp=nvfp4 experts=nvfp4` gives dtypes by tensor class. The default dtype of the published checkpoint means all its dtypes
    ("native"). A source that says no more than `fp8` may have quantised every matrix: `all=fp8`, so that `bound` stays a bound.

    Raises
    ------
    RoofcalcError
        Unknown dtype, recipe or tensor class.
    """
    named = plain("dtypes", text)
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
    return dtypes.dtype(plain("dtypes", text))
