"""How sources spell models, devices and dtypes -> the names of the catalogs and of `roofcalc.specs.dtypes`.

`spellings.csv` lists what differs from every name and alias, each with the page that spells it so.
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
    """The project's name for a source's spelling; the spelling itself where the table has none."""
    same = lookup.normal(text)
    return next((row["name"] for row in table() if row["kind"] == kind and lookup.normal(row["spelling"]) == same), text)


def model(text: str) -> Model | None:
    """The catalog's model for a spelling, None where there is none."""
    name = plain("models", text)
    return lookup.model(name)[0] if _is_known("models", name) else None


def hardware(text: str, count: int | None = None) -> Hardware | None:
    """`count` devices of the kind that a spelling names, joined as the catalog says; None where the catalog has none.

    Without a count, as many as the spelling or the system says. Part of a system keeps the system's links.

    Raises
    ------
    RoofcalcError
        Devices that cannot reach one another.
    """
    name = plain("hardware", text)
    if not _is_known("hardware", name.partition("x")[2] if name[:1].isdigit() else name):
        return None
    found = lookup.hardware(name)[0]
    if count is None or count == found.count:
        return found
    if count > found.domain and found.scale_out_bytes_per_s is None:
        raise RoofcalcError(f"{count}x{found.device.name}: the catalog has no link that joins so many")
    return replace(found, name=found.device.name if count == 1 else f"{count}x{found.device.name}", count=count)


def _is_known(kind: Literal["models", "hardware"], name: str) -> bool:
    try:
        return lookup.find(kind, name).path.is_file()
    except RoofcalcError:
        return False


def weights(text: str, given: Model) -> tuple[Model, str]:
    """A model with the weights that a spelling names, and the dtype to deploy it in.

    `bf16 mlp=nvfp4 experts=nvfp4` is a mix by class of tensor, the first for all others; the format that the checkpoint
    is published in stands for its own mix.

    Raises
    ------
    RoofcalcError
        Unknown dtype or class of tensor.
    """
    first, *classes = plain("dtypes", text).split()
    default = dtypes.dtype(first)
    if not classes:
        own = dtypes.dtype(given.dtypes.default)
        return given, "native" if (own.compute, own.bits) == (default.compute, default.bits) else default.name
    named = dict(word.partition("=")[::2] for word in classes)
    known = {field.name for field in Dtypes.fields_}
    if not set(named) <= known:
        raise RoofcalcError(f"weights {text!r}: classes of tensors are {', '.join(sorted(known))}")
    mix = {name: dtypes.dtype(one).name for name, one in named.items()}
    return replace(given, dtype=Dtypes(default.name, **mix)), "native"


def dtype(text: str) -> dtypes.Dtype:
    """The dtype for a spelling; raises RoofcalcError where there is none."""
    return dtypes.dtype(plain("dtypes", text))
