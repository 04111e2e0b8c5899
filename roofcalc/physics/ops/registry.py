"""The one table of kinds: which function says what a part of a layer does. A new kind is one record and one line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from roofcalc.physics.ops.ffn import dense, experts
from roofcalc.physics.ops.gqa import gqa
from roofcalc.physics.ops.mla import mla, pooled
from roofcalc.physics.ops.recurrent import recurrent
from roofcalc.physics.ops.types import Part, Place
from roofcalc.specs.attention import GQA, MLA, Pooled
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.model import Block
from roofcalc.specs.state_space import KDA, GatedDeltaNet, Lightning, Mamba1, Mamba2, ShortConvolution

KINDS: dict[type, Callable[[Any, int, Place], Part]] = {
    GQA: gqa,
    MLA: mla,
    Pooled: pooled,
    Mamba1: recurrent,
    Mamba2: recurrent,
    GatedDeltaNet: recurrent,
    KDA: recurrent,
    Lightning: recurrent,
    ShortConvolution: recurrent,
    Dense: dense,
    Experts: experts,
}

EXPOSED: dict[Callable[[Any, int, Place], Part], str] = {
    gqa: "attention",
    mla: "latent",
    pooled: "latent",
    recurrent: "state",
    dense: "mlp",
    experts: "experts",
}
"""Under which name a profile keeps the time of such a part that no work accounts for."""


@lru_cache(maxsize=4096)
def parts(block: Block, hidden: int, place: Place) -> tuple[Part, ...]:
    """What each part of a block does on one device: attention, state, feed-forward, those that it has."""
    return tuple(KINDS[type(one)](one, hidden, place) for one in block.parts)
