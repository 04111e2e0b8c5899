"""Shared types for the parts of a layer: sharding, caches, states, experts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from roofcalc.physics.kv_span import Array, Span
from roofcalc.specs.record import Record
from roofcalc.specs.routing import Routing
from roofcalc.specs.weights import Matrix

ACTIVATION_BYTES = 2.0  # per element of a GEMM's input or output: 16 bits


class Sharding(Record):
    """How a layer is divided over devices, and how its caches are stored.

    Attributes
    ----------
    tp : int
        Tensor parallel degree; where a size does not divide evenly, the fullest rank is computed.
    group, ep : int
        Devices of a pipeline stage, t·d, which hold its experts together; their expert parallel degree, 1 or t·d.
    dcp : int
        Decode context parallel degree: ranks over which replicated cache entries are striped.
    kv_bytes : float
        Bytes of one cache element.
    kv_scales : bool
        Whether an fp8 latent of sparse attention carries scales, and its rotary part in 16 bits, as its serving kernel stores it.
    exact : bool
        Chunked attention at the step's own position in its chunk (`bound`) instead of at a full chunk.
    reserved : bool
        Windowed and chunked layers store the whole context (`--kv-policy full`).
    one_vector : bool
        Keys that serve as values are stored once (`--kv-policy minimal`); engines store them twice.
    imbalance : float
        Tokens of the busiest expert rank over the mean.
    routing : Routing
        How tokens choose experts.
    redundant : int
        Redundant expert copies per layer, over all ranks.
    kv_reload_fraction : float
        ρ: how much of a KV head's entries each query head of its group after the first loads again (`roofcalc.deployment.efficiency`).
    """

    tp: int = 1
    group: int = 1
    ep: int = 1
    dcp: int = 1
    kv_bytes: float = 2.0
    kv_scales: bool = False
    exact: bool = False
    reserved: bool = False
    one_vector: bool = False
    imbalance: float = 1.0
    routing: Routing = Routing()
    redundant: int = 0
    kv_reload_fraction: float = 0.0


class FormulaUse(NamedTuple):
    """The formula behind one figure of a cache, for `roofcalc explain` to print with numbers.

    Attributes
    ----------
    function : callable
        The function that states the formula.
    formula : str
        The formula's name there.
    name : str
        Printed name of the value, which is also its symbol in the formulas that follow; by default the formula's name.
    unit : str
        Printed after the value.
    """

    function: Callable[..., Any]
    formula: str
    name: str = ""
    unit: str = ""


class Heads(NamedTuple):
    """Heads of one device over a cache: what the time of an attention kernel depends on besides bytes and FLOPs.

    Attributes
    ----------
    kind : "grouped", "latent", "sparse" or "index"
        Which kernel.
    query, kv : int
        Query heads and key-value heads of the device.
    key_dim, value_dim : int
        Elements of a key and of a value.
    window : int, optional
        Tokens of a sliding window.
    """

    kind: str
    query: int
    kv: int = 1
    key_dim: int = 0
    value_dim: int = 0
    window: int | None = None


class Cache(Record):
    """One kind of entry that sequences keep and read, on one device.

    Attributes
    ----------
    name : str
        "attention" or "index".
    span : Span
        How many entries are stored, read, and paired with queries.
    entry_bytes : float
        Bytes of one entry.
    flops : float
        FLOPs per query token and entry read.
    role : "attention" or "index"
        Whose peak FLOP/s apply.
    loads : float
        How often a decode step of one token loads each entry; above 1 where query heads of a group load it separately.
    formulas : tuple of FormulaUse
        Formulas of `entry_bytes`, `flops` (under the name "f_entry") and `loads` in the order of print, before division by the
        decode context parallel degree.
    heads : Heads, optional
        Of the kernel that reads the cache; without them a kernel of one block per sequence is assumed.
    """

    name: str
    span: Span
    entry_bytes: float
    flops: float
    role: str = "attention"
    loads: float = 1.0
    formulas: tuple[FormulaUse, ...] = ()
    heads: Heads | None = None


class SharedPrefix(Record):
    """`count` streams of one query whose contexts have the first `prefix` tokens in common; one stream is an ordinary sequence.

    The sequences of a rank that all begin with one system prompt are such streams too: then `count` is an array, in the shape of the batch.
    """

    count: Array = 1.0
    prefix: Array = 0.0

    @property
    def is_single(self) -> bool:
        """Whether there is one stream, an ordinary sequence."""
        return isinstance(self.count, (int, float)) and self.count == 1

    def of(self, span: Span) -> Span:
        """The entries that all streams together read or store, for a cache of this span."""
        return span if self.is_single else span.with_shared_prefix(self.count, self.prefix)


NO_SHARING = SharedPrefix()


class Recurrence(Record):
    """A recurrent state of `elements` numbers of `bytes_per_element` each, read and written every step; `flops` per token and element."""

    elements: int
    bytes_per_element: float
    flops: float


class ExpandedMLA(Record):
    """MLA's expanded form for prefill: keys and values of all heads are computed from the latents (arXiv 2405.04434, section 2.1).

    Attributes
    ----------
    flops : float
        FLOPs per query-key pair.
    entry_flops : float
        FLOPs to expand one cache entry; entries of cached tokens must be expanded too.
    replaces : tuple of str
        Names of the up-projections, which multiply every entry attended to instead of every new token.
    formula : FormulaUse, optional
        Formula of `flops`.
    """

    flops: float
    entry_flops: float
    replaces: tuple[str, ...]
    formula: FormulaUse | None = None


class Routed(Record):
    """Routed experts, `top_k` of them per token; a step reads the weights of the distinct experts that its tokens are routed to.

    Attributes
    ----------
    matrices : tuple of Matrix
        Weights of one expert, unsharded.
    experts, routed, top_k : int
        Experts that compute; experts that the router chooses from, including zero-compute ones; choices per token.
    width : int
        Elements of the vectors that experts take and dispatch and combine carry.
    routing : Routing
        How tokens choose them.
    """

    matrices: tuple[Matrix, ...]
    experts: int
    routed: int
    top_k: int
    width: int
    routing: Routing = Routing()


class Part(Record):
    """The work and storage of one part of a layer (attention, recurrent state or feed-forward) on one device.

    Attributes
    ----------
    matrices : tuple of Matrix
        Weights that multiply every token of the rank.
    vectors : float
        Elements of norms, biases and other vectors.
    caches : tuple of Cache
        What grows with the context.
    recurrence : Recurrence, optional
        A state of fixed size in place of a cache.
    fixed_bytes : float
        Further bytes per sequence, independent of the context: convolution inputs, partly filled blocks.
    expanded_form : ExpandedMLA, optional
        The alternative form of the attention for prefill.
    routed : Routed, optional
        Experts.
    unused : tuple of Matrix
        Weights that are stored but never multiplied.
    all_reduced : float
        Elements per token that tensor ranks all-reduce within the part, before its output projection.
    context_gathered : tuple of float
        Elements per token that a tensor rank sends to each other rank of decode context parallelism: its queries, and its
        partial outputs with their log-sum-exp.
    """

    matrices: tuple[Matrix, ...]
    vectors: float
    caches: tuple[Cache, ...] = ()
    recurrence: Recurrence | None = None
    fixed_bytes: float = 0.0
    expanded_form: ExpandedMLA | None = None
    routed: Routed | None = None
    unused: tuple[Matrix, ...] = ()
    all_reduced: float = 0.0
    context_gathered: tuple[float, ...] = ()

    @cached_property
    def elements(self) -> dict[str, int]:
        """Elements of the stored matrices by tensor class."""
        found: dict[str, int] = {}
        for matrix in (*self.matrices, *self.unused):
            found[matrix.tensor] = found.get(matrix.tensor, 0) + matrix.elements
        return found
