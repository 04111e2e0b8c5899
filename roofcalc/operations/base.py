"""The words that every kind of layer speaks: its share of the work, operations, messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from roofcalc.record import Record

if TYPE_CHECKING:  # a tenth of the start would go into it
    import numpy as np
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.floating[Any]] | float"


class Share(Record):
    """What one device of a stage works on.

    Attributes
    ----------
    tp : int
        Tensor ranks that weights and heads divide over, the fullest share counting.
    tokens : array
        Tokens per step of one rank, T = B_r·q.
    spread : float
        In `bound`: devices over which all work divides perfectly, tensor and data ranks together; else 1.
    """

    tp: int
    tokens: Array
    spread: float = 1.0


class Operation(Record):
    """What one device does for one operation in `layers` equal layers.

    Attributes
    ----------
    flops, bytes : array
        Of the whole step, in the shape of the batch; where `per_sequence`, of one sequence, in the shape of the context.
    role : "linear" or "attention"
        Which peak it runs at, with `tensor` the class of its weights.
    """

    name: str
    layers: int
    flops: Array
    bytes: Array
    role: str
    tensor: str
    per_sequence: bool = False


class Message(Record):
    """A collective in `layers` equal layers: `elements` of it per token, over the tensor group or to the next stage."""

    kind: str  # "all_reduce" or "send"
    layers: int
    elements: float
    wire: str = "link"
