"""How a measured run was placed: its replicas, the devices that run the model together, and head counts that engines pad."""

import math
from typing import NamedTuple

from roofcalc.errors import RoofcalcError
from roofcalc.measurements.points import Point
from roofcalc.specs.attention import GQA
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

MOST_PADDED = 1.5  # query heads that an engine pads a model to, as a multiple of its own


class Unit(NamedTuple):
    """The devices that run one copy of the model together, and the tensor and data parallel degrees of its attention."""

    devices: int
    tp: int | None
    dp: int | None


def devices_of(point: Point, of_name: int) -> int:
    """Devices that the figure refers to: as given, else those of the hardware's name, or as many as the degrees need."""
    ranks = (point.tp or 1) * (point.pp or 1) * (1 if _attention_dp(point, (point.tp or 1) * (point.pp or 1)) else point.dp or 1)
    return point.n_devices or max(of_name, ranks * (point.replicas or 1))


def unit(point: Point, devices: int) -> Unit:
    """The devices of one copy of the model, and its degrees.

    Data-parallel attention within a tensor-parallel group is written with both degrees: `--tp 8 --dp 8` of SGLang on 8 devices is
    attention with tp 1 and dp 8, `--tp 8 --dp 2` with tp 4 and dp 2. Otherwise more ranks than devices mean that the figure refers
    to a fraction of a larger unit (8 devices of dp 144).

    Raises
    ------
    RoofcalcError
        The replicas do not divide the devices.
    """
    copies = point.replicas or 1
    if devices % copies:
        raise RoofcalcError(f"{copies} replicas do not divide {devices} devices")
    each = devices // copies
    t, p, d = point.tp or 1, point.pp or 1, point.dp or 1
    if _attention_dp(point, each):
        return Unit(each, t // d, d)
    return Unit(max(each, t * p * d, point.ep or 1), point.tp, point.dp)


def _attention_dp(point: Point, devices: int) -> bool:
    t, p, d = point.tp or 1, point.pp or 1, point.dp or 1
    return t > 1 and d > 1 and t % d == 0 and t * p == devices


def padded(model: Model, tp: int | None) -> Model:
    """The model with its query heads padded to a multiple of the tensor parallel degree, as engines with such a degree do.

    The fullest rank then holds as many heads as the degree leaves at least (40 heads on 16 ranks: 3), so that times stay bounds.

    Raises
    ------
    RoofcalcError
        The padding would exceed `MOST_PADDED`, or the heads are not grouped-query heads.
    """
    blocks = {}
    for name, block in model.blocks.items():
        attention = block.attention
        if tp and attention is not None and attention.heads % tp:
            group = math.lcm(tp, attention.kv_heads) if isinstance(attention, GQA) else 0
            heads = next(
                (n for n in range(tp, int(MOST_PADDED * attention.heads) + 1, tp) if n >= attention.heads and group and n % group == 0), None
            )
            if heads is None:
                raise RoofcalcError(f"--tp: {tp} does not divide the {attention.heads} query heads of {model.name}")
            block = replace(block, attention=replace(attention, heads=heads))
        blocks[name] = block
    return replace(model, blocks=blocks) if blocks != model.blocks else model
