"""The one table of kinds whose step is modelled; every other kind is described in the catalog and refused here."""

from roofcalc.architecture.attention import GQA
from roofcalc.architecture.feedforward import Dense
from roofcalc.architecture.model import Model
from roofcalc.errors import RoofcalcError


def attention_of(model: Model, name: str) -> GQA | None:
    """The attention of block `name`, None where it has none.

    Raises
    ------
    RoofcalcError
        A part of the block is of a kind whose step is not modelled yet.
    """
    block = model.blocks[name]
    kind = None
    if block.state is not None:
        kind = f"recurrent state of kind {block.state.type!r}"
    elif block.attention is not None and not isinstance(block.attention, GQA):
        kind = f"attention of kind {block.attention.type!r}"
    elif block.attention is not None and block.attention.blocks is not None:
        kind = "attention over top-k blocks"
    elif block.mlp is not None and not isinstance(block.mlp, Dense):
        kind = "feed-forward of routed experts"
    if kind is not None:
        raise RoofcalcError(f"{model.name}: block {name!r}: {kind} is described, but its step is not modelled yet")
    assert block.attention is None or isinstance(block.attention, GQA)
    return block.attention
