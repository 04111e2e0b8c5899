"""Model architecture: vocabulary, hidden size, named blocks and the pattern of layers. Derived figures are computed, not stored."""

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
from roofcalc.specs.vision import Vision
from roofcalc.specs.weight_recipes import parse
from roofcalc.specs.weights import Matrix


class Block(Record):
    """One layer: attention, a state-space layer and an FFN, each optional. Attention and state run in parallel (Falcon-H1).

    Attributes
    ----------
    norms : int, optional
        Number of norm vectors; by default one before the token mixer and one before the FFN.
    copies : int, optional
        Sets of weights that all layers of this block share (Zamba2); by default each layer has its own.
    """

    attention: Attention | None = None
    state: State | None = None
    mlp: FeedForward | None = None
    norms: Whole | None = None
    copies: Count | None = None

    def stored(self, layers: int) -> int:
        """Sets of weights of `layers` layers."""
        return layers if self.copies is None else min(layers, self.copies)

    @property
    def parts(self) -> tuple[Attention | State | FeedForward, ...]:
        """The parts that the layer has."""
        return tuple(part for part in (self.attention, self.state, self.mlp) if part is not None)

    @property
    def default_norms(self) -> int:
        """Norm vectors of a pre-norm layer."""
        return (self.attention is not None or self.state is not None) + (self.mlp is not None)


class Dtypes(Record):
    """Dtypes of the checkpoint by tensor class; those not given are `default`.

    `norm`, `router` and `index` are 16-bit where the default is narrower; `kv` is the dtype of the KV cache. `mix` names those of single
    matrices or layers, as items of a recipe (`roofcalc.specs.weight_recipes`): `o=nvfp4 experts@0-2=bf16`.
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
    mix: str | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        for field in self.fields_:
            if field.name != "mix" and (complaint := _unknown_dtype(getattr(self, field.name))):
                yield field.name, complaint
        if self.mix is not None and (complaint := _unreadable_mix(self.mix)):
            yield "mix", complaint


def _unreadable_mix(text: str) -> str | None:
    try:
        parsed = parse(text)
    except RoofcalcError as error:
        return str(error)
    return None if parsed.items and not parsed.linear_only and "=" in text.split()[0] else "expected items such as `o=nvfp4 experts@0-2=bf16`"


def _unknown_dtype(name: str | None) -> str | None:
    try:
        if name is not None:
            dtype(name)
    except RoofcalcError as error:
        return str(error)
    return None


class MultiToken(Record):
    """Multi-token prediction (MTP): `heads` modules with a layer of the block `layers` each. Run only for speculative decoding."""

    layers: str
    heads: Count = 1


class ExtraEmbedding(Record):
    """An additional embedding table of `rows` × `dim` (Gemma 3n).

    Attributes
    ----------
    offload : bool
        The table is kept in host memory.
    per_layer : int, optional
        Slice of `dim` for each layer, where the hidden state is also projected to `dim` and normalised.
    """

    rows: Count
    dim: Count
    offload: bool = False
    per_layer: Count | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.per_layer and self.dim % self.per_layer:
            yield "per_layer", f"{self.dim} is not divisible by {self.per_layer}"

    def projection(self, hidden: int) -> int:
        """Weights of the projection of the hidden state to `dim`, and of the norm of a slice."""
        return hidden * self.dim + self.per_layer if self.per_layer else 0


Unit = Annotated[int, Range(1, 10**12)]


class Published(Record):
    """Published parameter counts, used only to check the count from the fields.

    Attributes
    ----------
    params, active : int
        Total and active parameters.
    params_to, active_to : int
        Unit of the last published digit: 1 for a count, 1000000000 for "284B", 100000000000 for "1.6T". Counts agree within
        half a unit.
    includes : tuple
        What `params` includes in addition to the language model: MTP layers, the encoders listed in `excluded`, or a second copy of
        the embedding (a tied one, or that of an MTP layer) or of the LM head (one per MTP layer).
    active_embedding : bool
        `active` includes the input embedding.
    active_head : bool
        False where `active` excludes the LM head: Qwen3-Next's 3B, MiniMax-Text-01's 45.9B.
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
    """Cause of a difference between the published and the computed count; the entries of `params` add up to it."""

    cause: str
    params: dict[str, Annotated[int, Range(-(10**13), 10**13)]]


class Model(Record):
    """A model's architecture as described by its YAML file.

    Attributes
    ----------
    vocab, hidden : int
        Rows of the embedding, and the hidden size.
    context : int
        Longest supported context. [tokens]
    blocks, layers
        Named blocks, and the run-length expression of the layers: `3*dense 58*moe`.
    dtype : str or Dtypes
        Dtype of the checkpoint.
    tied : bool
        Embedding and LM head share their weights.
    norms : int, optional
        Norm vectors per block, where it differs from the pre-norm default (Gemma: 4).
    layer_scale : bool
        A scalar per layer that scales its output (Gemma 4).
    parallel : bool
        Attention and FFN run in parallel and share one all-reduce.
    positions : int
        Rows of a learned position embedding.
    embed_norm, head_bias : bool
        A norm on the output of the embedding (BLOOM); a bias on the logits (GPT-J, Phi-2).
    excluded : dict
        Parameters of encoders (vision, audio) and others that take memory; text does not use them.
    vision : Vision, optional
        The shape of the vision tower, and the tokens of an image (`--images`).
    hyper_connections : int, optional
        Residual streams mixed before and after each part (DeepSeek V4).
    altup : int, optional
        Residual streams of alternating updates: each layer computes one and predicts the others (Gemma 3n; NeurIPS 2023).
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
    vision: Vision | None = None
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
                yield f"blocks.{name}", "is not used by any layer"

    @cached_property
    def runs(self) -> expression.Runs:
        """Runs of identical layers in order: (block name, count)."""
        return expression.parse(self.layers)

    @cached_property
    def groups(self) -> dict[str, int]:
        """Number of layers per block name."""
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
        """Dtypes by tensor class."""
        return Dtypes(self.dtype) if isinstance(self.dtype, str) else self.dtype

    def embedding(self, tp: int = 1) -> Matrix:
        """Rows of the token embedding on one of `tp` tensor ranks; also the LM head where both are tied."""
        return Matrix("embed", -(-self.vocab // tp), self.hidden, "embed")

    def head(self, tp: int = 1) -> Matrix:
        """Columns of the LM head on one of `tp` tensor ranks."""
        return Matrix("head", self.hidden, -(-self.vocab // tp), "head")

    def norm_vectors(self, block: Block) -> int:
        """Parameters of a block's norms and of the mixing of residual streams."""
        count = next(n for n in (block.norms, self.norms, block.default_norms) if n is not None)
        mixing = self._hyper_connection_parameters(block) + self._alternating_parameters()
        return count * self.hidden * (2 if self.norm_bias else 1) + self.layer_scale + mixing

    def block_vectors(self, block: Block) -> int:
        """Parameters of a block that are not in matrices: norms, biases and gates."""
        return self.norm_vectors(block) + sum(one.vectors(self.hidden) for one in block.parts)

    @property
    def position_table(self) -> int:
        """Parameters of the learned position embedding."""
        return self.positions * self.hidden

    @property
    def first_vectors(self) -> int:
        """Parameters before the layers: position embedding, embedding norm, and projections to residual streams and per-layer embeddings."""
        norm = self.hidden * (2 if self.norm_bias else 1) if self.embed_norm else 0
        projection_params = self.extra_embed.projection(self.hidden) if self.extra_embed else 0
        return self.position_table + norm + projection_params + self._stream_projections

    @property
    def last_vectors(self) -> int:
        """Parameters after the layers: final norm, mixing of residual streams, bias of the LM head."""
        streams = self.hyper_connections or 0
        mixing = streams * streams * self.hidden + streams + 1 if streams else 0
        return self.hidden * (2 if self.norm_bias else 1) + mixing + self._stream_projections + (self.vocab if self.head_bias else 0)

    def outer_vectors(self) -> int:
        """Parameters outside the layers, without embedding and LM head."""
        return self.first_vectors + self.last_vectors

    @property
    def _stream_projections(self) -> int:
        """Projections of alternating updates, before and after the layers: h × h for every stream but the first."""
        return (self.altup - 1) * self.hidden * self.hidden if self.altup else 0

    def _hyper_connection_parameters(self, block: Block) -> int:
        """Per part: a (2+m)·m × m·h mixing matrix with bias, and three scales."""
        if self.hyper_connections is None:
            return 0
        m = self.hyper_connections
        return len(block.parts) * ((2 + m) * m * (m * self.hidden + 1) + 3)

    def _alternating_parameters(self) -> int:
        """Per layer: a norm and a scale of size h, an h × m router, m × m corrections and m × m² predictions."""
        if self.altup is None:
            return 0
        m = self.altup
        return (m + 2) * self.hidden + m * m + m**3
