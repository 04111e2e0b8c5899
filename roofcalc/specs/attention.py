"""Grouped-query attention as a frozen record, and the map of all built-in kinds of attention; no dtypes and no time.

What a kind reads and computes in a step is its function in `roofcalc.physics.ops`; `roofcalc.physics.ops.registry` joins
the two. Kinds with one latent or vector for all heads: `roofcalc.specs.latent_attention`. To add a kind, see
docs/adding-a-layer.md.

Source of the shapes: arXiv 2305.13245.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from roofcalc.specs.attention_spec import AttentionSpec, Index
from roofcalc.specs.latent_attention import MLA, Pooled
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Alternatives, Count
from roofcalc.specs.weights import Matrix, fused, shard_size


class BlockChoice(Record):
    """Selection of the `top_k` best blocks of `size` tokens plus the `local` nearest blocks (MiniMax M3); `heads` index heads of `dim`."""

    size: Count
    top_k: Count
    local: Count
    heads: Count | None = None
    dim: Count | None = None

    @property
    def index(self) -> Index | None:
        """The indexer that scores blocks, where the model file gives its heads and dimension."""
        return Index(self.heads, self.dim, self.top_k) if self.heads and self.dim else None


class GQA(AttentionSpec):
    """Grouped-query attention; multi-head where kv_heads = heads, multi-query where kv_heads = 1.

    Attributes
    ----------
    heads, kv_heads, head_dim : int
        Query heads, key-value heads, key dimension; head_dim is never derived from the hidden size.
    v_dim : int, optional
        Value dimension where it differs from head_dim.
    window, chunk, blocks : optional
        The span where it is not the whole context: a sliding window, a chunk (Llama 4) or top-k blocks.
    kv : "own" or "shared"
        "shared" uses another layer's cache (Gemma 3n, Hunyuan); `kv_proj: false` then drops the projections too.
    shared_kv : bool
        One vector serves as key and value (Gemma 4's global layers).
    q_rank : int, optional
        Low-rank query projection (Step3).
    inputs : int
        Hidden vectors, concatenated, that queries, keys and values are projected from (Zamba2: 2, the layer's input and
        the embedding).
    gate : bool
        An output gate with one number per value element.
    head_gate : bool
        An output gate with one number per head (Step 3.5 Flash).
    sinks : bool
        One learned sink per head.
    bias : "none", "qkv" or "qkvo"
        Projections that have biases.
    qk_norm : "none", "head" or "full"
        Norms on queries and keys: none, one over head_dim shared by all heads, or one over all heads.
    """

    type: ClassVar[str] = "gqa"
    tp_divides_cache: ClassVar[bool] = True
    kv_heads: Count
    head_dim: Count
    v_dim: Count | None = None
    window: Count | None = None
    chunk: Count | None = None
    blocks: BlockChoice | None = None
    kv: Literal["own", "shared"] = "own"
    kv_proj: bool = True
    shared_kv: bool = False
    q_rank: Count | None = None
    inputs: Count = 1
    gate: bool = False
    head_gate: bool = False
    sinks: bool = False
    bias: Literal["none", "qkv", "qkvo"] = "none"
    qk_norm: Literal["none", "head", "full"] = "none"

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.heads % self.kv_heads:
            yield "kv_heads", f"{self.heads} query heads do not divide into {self.kv_heads} groups"
        if sum(span is not None for span in (self.window, self.chunk, self.blocks)) > 1:
            yield "", "window, chunk and blocks exclude one another"
        if not self.kv_proj and self.kv == "own":
            yield "kv_proj", "a layer without key and value projections must use another layer's cache: kv: shared"

    @property
    def value_dim(self) -> int:
        return self.head_dim if self.v_dim is None else self.v_dim

    def kv_heads_on_device(self, tp: int) -> int:
        """m = max(1, ceil(n_kv / t)): replicated once there are more tensor ranks than KV heads."""
        return max(1, shard_size(self.kv_heads, tp))

    def kv_copies(self, tp: int) -> int:
        """1 up to as many tensor ranks as KV heads, t/n_kv beyond."""
        return max(1, tp // self.kv_heads)

    def describe_copies(self, tp: int, copies: int) -> str:
        return f"{self.kv_heads} KV heads on {tp} tensor ranks: each is stored {copies} times"

    def entry_elements(self, tp: int = 1) -> int:
        """Elements to which a token's keys and values are projected on one of `tp` tensor ranks."""
        return self.kv_heads_on_device(tp) * (self.head_dim + (0 if self.shared_kv else self.value_dim))

    def cached_elements(self, tp: int = 1, one_vector: bool = False) -> int:
        """Elements of one token's cache entry: keys and values, stored twice where one projection serves as both unless `one_vector`."""
        if one_vector:
            return self.entry_elements(tp)
        return self.kv_heads_on_device(tp) * (self.head_dim + self.value_dim)

    def kv_elements_per_token(self) -> int:
        """0 for windows and chunks, whose size is bounded, and for layers that use another layer's cache."""
        return 0 if self.window or self.chunk or self.kv == "shared" else self.cached_elements()

    def symbols(self, tp: int) -> dict[str, float]:
        index = self.blocks.index if self.blocks else None
        heads = {"n": self.heads // tp, "n_kv": self.kv_heads, "d_k": self.head_dim, "d_v": self.value_dim}
        return {**heads, **(index.symbols() if index else {})}

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        queries = shard_size(self.heads, tp) * self.head_dim
        keys_values = self.entry_elements(tp) if self.kv_proj else 0
        source = self.inputs * hidden
        if self.q_rank is not None:
            into = [Matrix("q_down", source, self.q_rank, "attention"), Matrix("q_up", self.q_rank, queries, "attention")]
        elif self.kv == "shared":
            into = [Matrix("q", source, queries, "attention")]
        else:
            into, keys_values = [Matrix("qkv", source, queries + keys_values, "attention")], 0
        if keys_values:
            into.append(Matrix("kv", source, keys_values, "attention"))
        outputs = shard_size(self.heads, tp) * self.value_dim
        if self.gate:
            into = [*into[:-1], *fused(into[-1], Matrix("gate", hidden, outputs, "attention"))]
        if self.head_gate:
            into.append(Matrix("head_gate", hidden, shard_size(self.heads, tp), "attention"))
        if self.blocks and self.blocks.heads and self.blocks.dim:
            into.append(Matrix("index", hidden, (self.blocks.heads + 1) * self.blocks.dim, "index"))
        return (*into, Matrix("o", outputs, hidden, "attention"))

    def unused_weights(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Key and value projections of a layer that uses another layer's cache: stored in the checkpoint, never multiplied (Gemma 3n)."""
        return tuple(one for one in self.matrices(hidden, tp) if one.name == "kv" and self.kv == "shared")

    def vectors(self, hidden: int, tp: int = 1) -> int:
        queries, keys = shard_size(self.heads, tp) * self.head_dim, self.kv_heads_on_device(tp) * self.head_dim
        count = 0 if self.bias == "none" else queries + (self.entry_elements(tp) if self.kv_proj else 0)
        count += hidden if self.bias == "qkvo" else 0
        count += {"none": 0, "head": 2 * self.head_dim, "full": queries + keys}[self.qk_norm]
        if self.blocks and self.blocks.heads and self.blocks.dim and self.qk_norm == "head":
            count += 2 * self.blocks.dim
        return count + (shard_size(self.heads, tp) if self.sinks else 0) + (self.q_rank or 0)

    def warnings(self, context: int) -> Iterator[tuple[str, str]]:
        """A window or chunk that no context fills."""
        for field, size in (("window", self.window), ("chunk", self.chunk)):
            if size and size >= context:
                yield field, f"{size:,} has no effect in a context of {context:,}: is it switched off?"


ATTENTION_KINDS: dict[str, type] = {record.type: record for record in (GQA, MLA, Pooled)}
"""Kinds by their name in model files; `roofcalc.physics.ops.registry.register` adds to it."""

Attention = Annotated[AttentionSpec, Alternatives("type", ATTENTION_KINDS, default="gqa")]
