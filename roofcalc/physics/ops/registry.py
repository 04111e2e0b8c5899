"""Maps each kind of layer part to the function that gives its work. To add a kind of attention, see docs/adding-a-layer.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from roofcalc.physics.ops.ffn import dense, experts
from roofcalc.physics.ops.gqa import gqa
from roofcalc.physics.ops.mla import mla, pooled
from roofcalc.physics.ops.recurrent import recurrent
from roofcalc.physics.ops.types import Part, Sharding
from roofcalc.specs.attention import ATTENTION_KINDS, GQA
from roofcalc.specs.attention_spec import AttentionSpec
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.latent_attention import MLA, Pooled
from roofcalc.specs.model import Block
from roofcalc.specs.state_space import KDA, GatedDeltaNet, Lightning, Mamba1, Mamba2, ShortConvolution

PartFunction = Callable[[Any, int, Sharding], Part]


KINDS: dict[type, PartFunction] = {  # (record, hidden size, sharding) -> Part: what one device stores, multiplies and reads
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

_REQUIRED = ("type", "tp_divides_cache", "matrices", "vectors", "entry_elements", "kv_copies", "symbols")


def register(record: type[AttentionSpec], function: PartFunction) -> None:
    """Adds a kind of attention: model files may name it under `type:`, and every command computes with it.

    Parameters
    ----------
    record : subclass of AttentionSpec
        The shape of a layer, with its methods.
    function : callable
        (record, hidden size, sharding) -> Part.

    Raises
    ------
    TypeError
        The record leaves out what every kind must define.
    ValueError
        Another kind has this name.
    """
    missing = [name for name in _REQUIRED if getattr(record, name, None) is getattr(AttentionSpec, name, None)]
    if missing:
        raise TypeError(f"{record.__name__} does not define {', '.join(missing)}")
    if record.type in ATTENTION_KINDS:
        raise ValueError(f"there is a kind of attention named {record.type!r} already: {ATTENTION_KINDS[record.type].__name__}")
    ATTENTION_KINDS[record.type] = record
    KINDS[record] = function


@lru_cache(maxsize=4096)
def parts(block: Block, hidden: int, sharding: Sharding) -> tuple[Part, ...]:
    """The work of each part of a block on one device, in the order of `Block.parts`: attention, state, feed-forward.

    Parameters
    ----------
    hidden : int
        Elements of a hidden vector.
    sharding : Sharding
        How the layer is divided over devices.
    """
    return tuple(KINDS[type(one)](one, hidden, sharding) for one in block.parts)
