"""Names of models, devices and dtypes in published sources -> names of the catalogs and of `roofcalc.specs.dtypes`.

`spellings.csv` lists spellings that are neither names nor aliases, with the page that uses them.
"""

import csv
from functools import lru_cache
from pathlib import Path
from typing import Literal

from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError
from roofcalc.specs import dtypes
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Dtypes, Model
from roofcalc.specs.record import replace

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


def weights(text: str, given: Model) -> tuple[Model, str]:
    """The model with the weight dtypes of a spelling, and the dtype to deploy it with.

    `bf16 mlp=nvfp4 experts=nvfp4` gives dtypes by tensor class, the first for all other classes. The default dtype of the
    published checkpoint means all its dtypes ("native").

    Raises
    ------
    RoofcalcError
        Unknown dtype or tensor class.
    """
    first, *classes = plain("dtypes", text).split()
    default = dtypes.dtype(first)
    if not classes:
        published = dtypes.dtype(given.dtypes.default)
        return given, "native" if (published.compute, published.bits) == (default.compute, default.bits) else default.name
    named = dict(word.partition("=")[::2] for word in classes)
    known = {field.name for field in Dtypes.fields_}
    if not set(named) <= known:
        raise RoofcalcError(f"weights {text!r}: unknown tensor class (choose from {', '.join(sorted(known))})")
    mix = {name: dtypes.dtype(one).name for name, one in named.items()}
    return replace(given, dtype=Dtypes(default.name, **mix)), "native"


def dtype(text: str) -> dtypes.Dtype:
    """The dtype for a spelling.

    Raises
    ------
    RoofcalcError
        There is none.
    """
    return dtypes.dtype(plain("dtypes", text))
