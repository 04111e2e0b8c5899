"""A model: vocabulary, hidden size, named blocks, and how they repeat. Shapes only; nothing derived is stored."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from roofcalc.errors import RoofcalcError
from roofcalc.specs import layer_pattern as expression
from roofcalc.specs.attention import Attention
from roofcalc.specs.dtypes import dtype
from roofcalc.specs.feedforward import FeedForward
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Name, Range, Whole
from roofcalc.specs.state_space import State
from roofcalc.specs.weights import Matrix


class Block(Record):
    """One layer: up to three parts, all optional. Attention and state together run side by side (Falcon-H1).

    `norms` overrides the count of norm vectors: one before the mixing part and one before the feed-forward part.
    `copies` says how many sets of weights all its layers share, where they have fewer than one each (Zamba2).
    """

    attention: Attention | None = None
    state: State | None = None
    mlp: FeedForward | None = None
    norms: Whole | None = None
    copies: Count | None = None

    def stored(self, layers: int) -> int:
        """Sets of weights that `layers` of its layers hold."""
        return layers if self.copies is None else min(layers, self.copies)

    @property
    def parts(self) -> tuple[Attention | State | FeedForward, ...]:
        return tuple(one for one in (self.attention, self.state, self.mlp) if one is not None)

    @property
    def default_norms(self) -> int:
        return (self.attention is not None or self.state is not None) + (self.mlp is not None)


class Dtypes(Record):
    """The checkpoint's dtype by class of tensor; whatever is not named takes `default`.

    `norm`, `router` and `index` are 16-bit where the default is narrower; `kv` is the KV cache's type.
    """

    default: str
    attention: str | None = None
    mlp: str | None = None
    experts: str | None = None
    shared: str | None = None
    state: str | None = None
    router: str | None = None
    index: str | None = None
    norm: str | None = None
    embed: str | None = None
    head: str | None = None
    kv: str | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        for field in self.fields_:
            if complaint := _unknown_dtype(getattr(self, field.name)):
                yield field.name, complaint


def _unknown_dtype(name: str | None) -> str | None:
    try:
        if name is not None:
            dtype(name)
    except RoofcalcError as error:
        return str(error)
    return None


class MultiToken(Record):
    """Layers that predict further tokens: `layers` names the block, `heads` says how many. Run only when asked for."""

    layers: str
    heads: Count = 1


class ExtraEmbedding(Record):
    """A look-up table of `rows` × `dim` beside the embedding (Gemma 3n); `offload` keeps it off the accelerator.

    `per_layer` is the slice of `dim` that one layer takes, where the hidden state is projected to `dim` and normed too.
    """

    rows: Count
    dim: Count
    offload: bool = False
    per_layer: Count | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.per_layer and self.dim % self.per_layer:
            yield "per_layer", f"{self.dim} does not divide into slices of {self.per_layer}"

    def projection(self, hidden: int) -> int:
        """Weights that make the same from the hidden state, and the norm of a slice."""
        return hidden * self.dim + self.per_layer if self.per_layer else 0


Unit = Annotated[int, Range(1, 10**12)]


class Published(Record):
    """What the publisher prints, only to be compared with the count from the fields.

    Attributes
    ----------
    params, active : int
        Parameters in all, and those that one token uses.
    params_to, active_to : int
        The unit of the last digit that is published: 1 for a count, 1000000000 for "284B", 100000000000 for "1.6T".
        A count agrees within half of it.
    includes : tuple
        What `params` counts besides the language model: the multi-token-prediction layers, the towers of `excluded`, or a
        second copy of the embedding (tied, or the MTP layer's own) or of the head (one per MTP layer).
    active_embedding : bool
        `active` counts the input embedding too, which a token only looks up.
    active_head : bool
        False where `active` leaves the head out as well: Qwen3-Next's 3B, MiniMax-Text-01's 45.9B.
    """

    params: Whole | None = None
    active: Whole | None = None
    source: str | None = None
    params_to: Unit = 1
    active_to: Unit = 1
    includes: tuple[Literal["mtp", "towers", "embedding_copy", "head_copy"], ...] = ()
    active_embedding: bool = False
    active_head: bool = True


class KnownDifference(Record):
    """Why the published count is not the one counted: `params` names what to add to it, in numbers that sum to the difference."""

    cause: str
    params: dict[str, Annotated[int, Range(-(10**13), 10**13)]]


class Model(Record):
    """A model's architecture as its YAML file gives it; the file format is in the README.

    Attributes
    ----------
    blocks, layers
        Named blocks, and the expression that repeats them: `3*dense 58*moe`.
    norms : int, optional
        Norm vectors per block where all have the same unusual number (Gemma: 4).
    layer_scale : bool
        One number per layer that scales its output (Gemma 4).
    parallel : bool
        Attention and feed-forward side by side, so that one all-reduce serves both.
    positions : int
        Rows of a learned position table.
    embed_norm, head_bias : bool
        A norm on the embedding's output (BLOOM); a bias on the logits (GPT-J, Phi-2).
    excluded : dict
        Parameters of towers that take memory but are not modelled (vision, audio).
    hyper_connections : int, optional
        Residual streams mixed around each part (DeepSeek V4).
    altup : int, optional
        Residual streams of which each layer computes one and predicts the others (Gemma 3n; alternating updates, NeurIPS 2023).
    """

    name: Name
    vocab: Count
    hidden: Count
    context: Count
    blocks: dict[str, Block]
    layers: str
    dtype: str | Dtypes = "bf16"
    sources: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    title: str | None = None
    publisher: str | None = None
    family: str | None = None
    license: str | None = None
    year: Count | None = None
    tied: bool = False
    norms: Whole | None = None
    norm_bias: bool = False
    layer_scale: bool = False
    parallel: bool = False
    positions: Whole = 0
    embed_norm: bool = False
    head_bias: bool = False
    hyper_connections: Count | None = None
    altup: Count | None = None
    extra_embed: ExtraEmbedding | None = None
    mtp: MultiToken | None = None
    excluded: dict[str, Whole] = {}  # noqa: RUF012  (never changed: records are frozen)
    published: Published | None = None
    known_difference: KnownDifference | None = None
    unverified: tuple[str, ...] = ()
    announced: bool = False
    notes: str | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.dtype, str) and (complaint := _unknown_dtype(self.dtype)):
            yield "dtype", complaint
        try:
            runs = expression.parse(self.layers)
        except ValueError as error:
            yield "layers", str(error)
            return
        used = {name for name, _ in runs} | ({self.mtp.layers} if self.mtp else set())
        for name in sorted(used - set(self.blocks)):
            yield "layers" if name in dict(runs) else "mtp.layers", f"block {name!r} is not among blocks: {', '.join(self.blocks)}"
        for name in self.blocks:
            if name not in used:
                yield f"blocks.{name}", "is used by no layer"

    @cached_property
    def runs(self) -> expression.Runs:
        """Runs of equal layers in order: (block name, count)."""
        return expression.parse(self.layers)

    @cached_property
    def groups(self) -> dict[str, int]:
        """Layers per block name, order forgotten."""
        counts: dict[str, int] = {}
        for name, count in self.runs:
            counts[name] = counts.get(name, 0) + count
        return counts

    @property
    def depth(self) -> int:
        """Number of layers."""
        return sum(self.groups.values())

    @cached_property
    def dtypes(self) -> Dtypes:
        return Dtypes(self.dtype) if isinstance(self.dtype, str) else self.dtype

    def embedding(self, tp: int = 1) -> Matrix:
        """The token embedding's rows on one of `tp` tensor ranks; also the head where both are tied."""
        return Matrix("embed", -(-self.vocab // tp), self.hidden, "embed")

    def head(self, tp: int = 1) -> Matrix:
        """The projection from hidden state to logits."""
        return Matrix("head", self.hidden, -(-self.vocab // tp), "head")

    def norm_vectors(self, block: Block) -> int:
        """Norms around one block's parts, and the mixing of residual streams."""
        count = next(n for n in (block.norms, self.norms, block.default_norms) if n is not None)
        mixing = self._hyper_connection_parameters(block) + self._alternating_parameters()
        return count * self.hidden * (2 if self.norm_bias else 1) + self.layer_scale + mixing

    def block_vectors(self, block: Block) -> int:
        """Norms, biases and other vectors of one block."""
        return self.norm_vectors(block) + sum(one.vectors(self.hidden) for one in block.parts)

    @property
    def position_table(self) -> int:
        """Numbers of the learned positions, looked up beside the embedding."""
        return self.positions * self.hidden

    @property
    def first_vectors(self) -> int:
        """Before the layers: learned positions, the embedding's norm, what makes streams and layers' own embeddings."""
        norm = self.hidden * (2 if self.norm_bias else 1) if self.embed_norm else 0
        own = self.extra_embed.projection(self.hidden) if self.extra_embed else 0
        return self.position_table + norm + own + self._streams_made

    @property
    def last_vectors(self) -> int:
        """After the layers: the final norm, the streams' mixing, the head's bias."""
        streams = self.hyper_connections or 0
        mixing = streams * streams * self.hidden + streams + 1 if streams else 0
        return self.hidden * (2 if self.norm_bias else 1) + mixing + self._streams_made + (self.vocab if self.head_bias else 0)

    def outer_vectors(self) -> int:
        """Norms, positions, mixing and biases outside the layers."""
        return self.first_vectors + self.last_vectors

    @property
    def _streams_made(self) -> int:
        """Of alternating updates: h × h for each stream but one, before the layers and after them."""
        return (self.altup - 1) * self.hidden * self.hidden if self.altup else 0

    def _hyper_connection_parameters(self, block: Block) -> int:
        """Per part, a (2+m)·m × m·h mixing map with bias, and three scales."""
        if self.hyper_connections is None:
            return 0
        m = self.hyper_connections
        return len(block.parts) * ((2 + m) * m * (m * self.hidden + 1) + 3)

    def _alternating_parameters(self) -> int:
        """Per layer: a norm and an m-way router of h, a scale of h, m × m corrections and m × m² predictions."""
        if self.altup is None:
            return 0
        m = self.altup
        return (m + 2) * self.hidden + m * m + m**3
