"""The words that every kind of layer speaks: its share of the work, its caches, operations and messages."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from roofcalc.physics.kv_span import Array, Span
from roofcalc.specs.record import Record
from roofcalc.specs.weights import Matrix

ACTIVATION_BYTES = 2.0  # of one element that goes into or comes out of a product


class Place(Record):
    """How a kind of layer is divided, and in what its caches are stored.

    Attributes
    ----------
    tp : int
        Tensor ranks that weights and heads divide over, the fullest share counting.
    group, ep : int
        Devices of a stage, t·d, that hold its experts together; their expert parallel degree, 1 or t·d.
    dcp : int
        Ranks that the entries which tensor ranks would replicate are striped over.
    kv_bytes : float
        Bytes of one cache element.
    kv_scales : bool
        fp8 latents keep their scales and their rotary part in 16 bits, as kernels do.
    exact : bool
        `bound`: the step's own position in a chunk instead of the fullest.
    reserved : bool
        Windowed layers hold the whole context.
    imbalance : float
        Load of the busiest expert rank over the mean.
    redundant : int
        Copies of experts held beside the experts.
    repeated : float
        Share of the loads of a KV head's entries that query heads after the first make again (`roofcalc.deployment.efficiency`).
    """

    tp: int = 1
    group: int = 1
    ep: int = 1
    dcp: int = 1
    kv_bytes: float = 2.0
    kv_scales: bool = False
    exact: bool = False
    reserved: bool = False
    imbalance: float = 1.0
    redundant: int = 0
    repeated: float = 0.0


class Cache(Record):
    """One kind of entry that sequences keep and read, on one device.

    Attributes
    ----------
    name : str
        "attention" or "index".
    span : Span
        How many entries are held, read, and paired with queries.
    entry_bytes : float
        Bytes of one entry.
    flops : float
        Per query token and entry read.
    role : str
        Which peak the FLOPs run at.
    loads : float
        How often a step of single tokens loads an entry.
    """

    name: str
    span: Span
    entry_bytes: float
    flops: float
    role: str = "attention"
    loads: float = 1.0


class Branches(Record):
    """Streams of one query that share the first `prefix` tokens of their contexts; each goes on by itself.

    One stream is a sequence like any other.
    """

    count: float = 1.0
    prefix: Array = 0.0

    def of(self, span: Span) -> Span:
        """What they read, or hold, together."""
        return span if self.count == 1 else span.branched(self.count, self.prefix)


ALONE = Branches()


class Recurrence(Record):
    """A state of `elements` numbers of `bytes_per_element`, read and written in every step; FLOPs per token and element."""

    elements: int
    bytes_per_element: float
    flops: float


class Rebuilt(Record):
    """MLA's other form for prefill: keys and values of all heads rebuilt from the latents.

    Attributes
    ----------
    flops : float
        Per pair of query and entry.
    entry_flops : float
        To rebuild one entry, those of cached tokens included.
    instead_of : tuple of str
        Matrices that it does not multiply each token by.
    """

    flops: float
    entry_flops: float
    instead_of: tuple[str, ...]


class Routed(Record):
    """Experts of which each token meets `top_k`; what that costs depends on how many different ones a step hits.

    Attributes
    ----------
    matrices : tuple of Matrix
        Of one expert, undivided.
    experts, routed, top_k : int
        Experts that compute; those that the router chooses from, zero-compute ones included; choices per token.
    width : int
        The hidden size that experts work on and that messages carry.
    """

    matrices: tuple[Matrix, ...]
    experts: int
    routed: int
    top_k: int
    width: int


class Part(Record):
    """All that one part of a layer (attention, state or feed-forward) does and keeps on one device.

    Attributes
    ----------
    matrices : tuple of Matrix
        Weights that every token of the rank multiplies by.
    vectors : float
        Norms, biases and other vectors held.
    caches : tuple of Cache
        What grows with the context.
    recurrence : Recurrence, optional
        The state that replaces a cache.
    kept_bytes : float
        Bytes per sequence kept besides, whatever the context: convolutions, half-filled blocks.
    rebuilt : Rebuilt, optional
        Another form of the attention for prefill.
    routed : Routed, optional
        Experts.
    idle : tuple of Matrix
        Weights that are held but multiply nothing.
    summed : float
        Elements per token that tensor ranks add up within the part, before its last product.
    gathered : tuple of float
        Elements per token that one tensor rank sends to each other rank of decode context parallelism: its queries, and
        its partial outputs with their log-sums.
    """

    matrices: tuple[Matrix, ...]
    vectors: float
    caches: tuple[Cache, ...] = ()
    recurrence: Recurrence | None = None
    kept_bytes: float = 0.0
    rebuilt: Rebuilt | None = None
    routed: Routed | None = None
    idle: tuple[Matrix, ...] = ()
    summed: float = 0.0
    gathered: tuple[float, ...] = ()

    @cached_property
    def elements(self) -> dict[str, int]:
        """Elements of the matrices that are held by class of tensor."""
        found: dict[str, int] = {}
        for matrix in (*self.matrices, *self.idle):
            found[matrix.tensor] = found.get(matrix.tensor, 0) + matrix.elements
        return found


class Share(Record):
    """What one device of a stage works on in a step.

    Attributes
    ----------
    place : Place
        How the weights are divided.
    tokens, group_tokens : array
        Tokens of one data-parallel rank, T = B_r·q, and of the whole expert group, T_g = B_m·q.
    spread : float
        In `bound`: devices over which all work divides perfectly, tensor and data ranks together; else 1.
    """

    place: Place
    tokens: Array
    group_tokens: Array
    spread: float = 1.0


class Product(NamedTuple):
    """Products by weights in `layers` equal layers, before it is known how many tokens they serve.

    Attributes
    ----------
    tensor : str
        The class of the weights.
    flops : float
        Per token of a rank, or of the group where they are experts'.
    weights : float
        Bytes read once per step, however many tokens; of experts, for each different one that is hit.
    moved : float
        Bytes per token of what goes in and comes out.
    routed : Routed, optional
        The experts that the weights belong to.
    load : float
        Load of the busiest expert rank over the mean.
    """

    name: str
    layers: int
    tensor: str
    flops: float
    weights: float
    moved: float = 0.0
    routed: Routed | None = None
    load: float = 1.0


class Operation(Record):
    """What one device does for one operation in `layers` equal layers.

    Attributes
    ----------
    flops, bytes : array
        Of the whole step, in the shape of the batch; where `per_sequence`, of one sequence, in the shape of the context.
    role : "linear", "attention", "index" or "state"
        Which peak it runs at, with `tensor` the class of its weights.
    prompt : bool
        Many tokens of each sequence at once, whose attention is another kernel than that of single tokens.
    """

    name: str
    layers: int
    flops: Array
    bytes: Array
    role: str
    tensor: str
    per_sequence: bool = False
    prompt: bool = False


class Message(Record):
    """A collective in `layers` equal layers, per token of a rank.

    Attributes
    ----------
    kind : "all_reduce", "all_to_all", "all_gather" or "send"
        Over the tensor group; between expert ranks; between context ranks; to the next stage.
    elements : float
        Per token: of the vector that is reduced, sent or gathered.
    dtype : "comm", "dispatch" or "combine"
        Which wire dtype the elements take.
    group : int
        Devices that take part.
    copies, across : float
        In an exchange: how often a token goes over a link, and to other domains, on average.
    choices : float
        In an exchange with whole experts on each rank: those that a token goes to, on average.
    wire : "link" or "scale_out"
        What a send goes over.
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
