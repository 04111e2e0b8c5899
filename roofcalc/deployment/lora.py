"""LoRA adapters that a deployment loads with the model: rank, number, and the matrices that they adapt."""

from __future__ import annotations

from collections.abc import Iterable

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import Record
from roofcalc.specs.weights import Matrix

FORMS = "rank=16,count=40, and on=attention or on=linear (default)"
TARGETS = {"attention": ("attention",), "linear": ("attention", "state", "mlp", "shared")}
MAX_RANK, MAX_COUNT = 4096, 1_000_000


class Lora(Record):
    """Adapters that are all in the devices' memory; each sequence uses one of them.

    Attributes
    ----------
    rank, count : int
    on : "linear" or "attention"
        The matrices that they adapt: attention's, or those of recurrent layers, dense feed-forward parts and shared experts too. Routed
        experts, routers, embedding and head are not adapted.
    """

    rank: int
    count: int = 1
    on: str = "linear"

    @property
    def stated(self) -> str:
        """For the rows: all that `--lora` takes."""
        return f"rank={self.rank},count={self.count},on={self.on}"

    def adapted(self, matrices: Iterable[Matrix]) -> list[Matrix]:
        """Those of `matrices` that have an adapter."""
        return [one for one in matrices if one.tensor in TARGETS[self.on]]


def lora(text: str) -> Lora:
    """The adapters that `--lora` asks for.

    Raises
    ------
    RoofcalcError
        An unknown key or value, a key that is given twice, or no rank.
    """
    found: dict[str, str] = {}
    for item in text.split(","):
        name, sign, value = (part.strip().lower() for part in item.partition("="))
        if not sign or name not in Lora.names_:
            raise RoofcalcError(f"--lora: {item.strip()!r} is not one of {FORMS}{did_you_mean(name, Lora.names_)}")
        if name in found:
            raise RoofcalcError(f"--lora: {name} is given twice")
        found[name] = value
    if "rank" not in found:
        raise RoofcalcError(f"--lora: the rank is missing; give {FORMS}")
    if found.get("on", "linear") not in TARGETS:
        raise RoofcalcError(f"--lora: on={found['on']}: invalid choice (choose from {', '.join(TARGETS)})")
    return Lora(_number(found, "rank", MAX_RANK), _number(found, "count", MAX_COUNT), found.get("on", "linear"))


def _number(found: dict[str, str], name: str, most: int) -> int:
    value = found.get(name, "1")
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
        raise RoofcalcError(f"--lora: {name}={value}: expected a whole number from 1 to {most:,}")
    return int(value)
