"""What a step does: the tokens that it processes, and its GEMMs, operations and collectives."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.types import Cache, Routed, Sharding
from roofcalc.specs.record import Record, replace


class TokenLoad(Record):
    """The tokens that one device of a stage processes in a step.

    Attributes
    ----------
    sharding : Sharding
        How the weights are divided.
    tokens, group_tokens : array
        Tokens of one data-parallel rank, T = B_r·q, and of the whole expert group, T_g = B_m·q.
    spread : float
        Devices over which all work is taken to divide perfectly: t·d in `bound`, else 1.
    """

    sharding: Sharding
    tokens: Array
    group_tokens: Array
    spread: float = 1.0


class Gemm(NamedTuple):
    """A GEMM by a weight matrix in `layers` equal layers on one device, for any number of tokens.

    Attributes
    ----------
    tensor : str
        The tensor class of the weights.
    flops : float
        FLOPs per token of a rank; for experts, per token of the expert group.
    weights : float
        Bytes of weights read once per step, for any number of tokens; for experts, per distinct expert read.
    activation_bytes : float
        Bytes of inputs and outputs per token.
    routed : Routed, optional
        The experts that the weights belong to.
    imbalance : float
        Tokens of the busiest expert rank over the mean.
    rows, cols, copies, fused : int
        Shape of the matrix on one device, equal ones of it, and the columns of the GEMM that it is a part of (`Matrix.fused`).
    place : int
        Which of an expert's matrices it is.
    """

    name: str
    layers: int
    tensor: str
    flops: float
    weights: float
    activation_bytes: float = 0.0
    routed: Routed | None = None
    imbalance: float = 1.0
    rows: int = 0
    cols: int = 0
    copies: int = 1
    fused: int = 0
    place: int = 0


class Product(NamedTuple):
    """Shape of a GEMM: `tokens` by `rows` times `rows` by `cols`, `copies` of them at once; a part of one with `fused` columns, if not 0."""

    tokens: Array
    rows: int
    cols: int
    copies: int = 1
    fused: int = 0


class Grouped(NamedTuple):
    """Shape of a matrix of the fused experts: the tokens of the expert group, and which of the experts' matrices it is.

    `kept` is the fraction of the work that the devices do; the host does the rest.
    """

    tokens: Array
    routed: Routed
    matrix: int
    kept: Array = 1.0


class Attended(NamedTuple):
    """Shape of attention: new tokens, tokens before them and entries loaded, per sequence.

    `sequences` are those of a prompt's whole batch; None where the operation is of one sequence.
    """

    cache: Cache
    new: Array
    cached: Array = 0.0
    loaded: Array = 0.0
    sequences: Array | None = None


class Updated(NamedTuple):
    """Shape of a recurrent update: elements of a sequence's state, and its new tokens."""

    elements: float
    new: Array
    sequences: Array | None = None


Shape = Product | Grouped | Attended | Updated


class Operation(Record):
    """FLOPs and bytes of one operation on one device, in each of `layers` equal layers.

    Attributes
    ----------
    flops, bytes : array
        Of the whole step, in the shape of the batch; with `per_sequence`, of one sequence, in the shape of the context.
    role : "linear", "attention", "index" or "state"
        Selects the peak FLOP/s, together with the tensor class `tensor`.
    prompt : bool
        Whether it processes many tokens of each sequence at once: prefill attention is another kernel than decode attention.
    shape : Product, Grouped, Attended or Updated, optional
        What the times of kernels in `typical` depend on besides FLOPs and bytes.
    """

    name: str
    layers: int
    flops: Array
    bytes: Array
    role: str
    tensor: str
    per_sequence: bool = False
    prompt: bool = False
    shape: Shape | None = None


class Message(Record):
    """A collective in each of `layers` equal layers, per token of a rank.

    Attributes
    ----------
    kind : "all_reduce", "all_to_all", "all_gather" or "send"
        Over the tensor group; expert dispatch and combine; over context parallel ranks; to the next pipeline stage.
    elements : float
        Elements per token of the vector that is reduced, sent or gathered.
    dtype : "comm", "dispatch" or "combine"
        Which communication dtype the elements have.
    group : int
        Devices that take part.
    copies, across : float
        For all-to-all: expected copies of a token over the scale-up links, and over the scale-out network.
    choices : float
        For all-to-all with whole experts on each rank: expected experts per token.
    wire : "link" or "scale_out"
        The network that a send uses.
    """

    name: str
    kind: str
    layers: int
    elements: float
    group: int = 1
    dtype: str = "comm"
    copies: float = 0.0
    across: float = 0.0
    choices: float = 0.0
    wire: str = "link"

    @cached_property
    def alike(self) -> Message:
        """This message in one layer of any block: equal for messages that take as long."""
        return replace(self, name="", layers=1)
