"""The built-in kinds of attention as frozen records: head shapes, spans and weights; no dtypes and no time.

What a kind reads and computes in a step is its function in `roofcalc.physics.ops`; `roofcalc.physics.ops.registry` joins
the two. To add a kind, see docs/adding-a-layer.md.

Sources of the shapes: GQA arXiv 2305.13245; MLA arXiv 2405.04434 and 2412.19437; indexer arXiv 2512.02556.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from roofcalc.specs.attention_spec import AttentionSpec
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Alternatives, Count, Range
from roofcalc.specs.weights import Matrix, shard_size


class Index(Record):
    """An indexer that scores every candidate entry and selects `top_k` (DeepSeek V3.2, GLM-5).

    `shared` marks a layer that reuses the selection of an earlier layer's indexer and has no indexer weights.
    """

    heads: Count
    dim: Count
    top_k: Count
    shared: bool = False

    def matrices(self, hidden: int, q_rank: int) -> tuple[Matrix, ...]:
        """Query, key and head-weight projections, replicated on every tensor rank."""
        if self.shared:
            return ()
        return (
            Matrix("index_q", q_rank, self.heads * self.dim, "index"),
            Matrix("index_k", hidden, self.dim, "index"),
            Matrix("index_weights", hidden, self.heads, "index"),
        )

    def symbols(self) -> dict[str, float]:
        """n_i and d_i: index heads and their dimension."""
        return {"n_i": self.heads, "d_i": self.dim}


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
            into.append(Matrix("gate", hidden, outputs, "attention"))
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


class MLA(AttentionSpec):
    """Multi-head latent attention: one latent and one rotary key per token, shared by all heads.

    Attributes
    ----------
    q_rank : int, optional
        Rank of the query projection; absent where queries are projected straight from the hidden state.
    kv_rank, nope_dim, rope_dim, v_dim : int
        Latent size; key dimensions without and with rotary position; value dimension.
    gate, head_gate : bool
        An output gate of heads × v_dim (Kimi K3), or of one number per head (Ling 3).
    """

    type: ClassVar[str] = "mla"
    tp_divides_cache: ClassVar[bool] = False
    kv_rank: Count
    nope_dim: Count
    rope_dim: Count
    v_dim: Count
    q_rank: Count | None = None
    index: Index | None = None
    gate: bool = False
    head_gate: bool = False

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.index is not None and self.q_rank is None:
            yield "index", "an indexer takes the low-rank queries: give q_rank"

    def entry_elements(self, tp: int = 1) -> int:
        """Elements of one token's latent and rotary key: the same on every tensor rank."""
        return self.kv_rank + self.rope_dim

    def kv_copies(self, tp: int) -> int:
        """Every tensor rank holds the whole latent."""
        return tp

    def describe_copies(self, tp: int, copies: int) -> str:
        return f"the latent cache is replicated on each tensor rank: stored {copies} times"

    def symbols(self, tp: int) -> dict[str, float]:
        dims = {"r_kv": self.kv_rank, "d_nope": self.nope_dim, "d_rope": self.rope_dim, "d_v": self.v_dim}
        return {"n": self.heads // tp, **dims, **(self.index.symbols() if self.index else {})}

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Heads are divided over the tensor ranks; the down-projections are replicated on each."""
        n = shard_size(self.heads, tp)
        queries = n * (self.nope_dim + self.rope_dim)
        down = (Matrix("q_down", hidden, self.q_rank, "attention"),) if self.q_rank else ()
        return (
            *down,
            Matrix("q_up", self.q_rank or hidden, queries, "attention"),
            Matrix("kv_down", hidden, self.kv_rank + self.rope_dim, "attention"),
            Matrix("k_up", self.kv_rank, n * self.nope_dim, "attention"),
            Matrix("v_up", self.kv_rank, n * self.v_dim, "attention"),
            *((Matrix("gate", hidden, n * self.v_dim, "attention"),) if self.gate else ()),
            *((Matrix("head_gate", hidden, n, "attention"),) if self.head_gate else ()),
            Matrix("o", n * self.v_dim, hidden, "attention"),
            *(self.index.matrices(hidden, self.q_rank or hidden) if self.index else ()),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        index = 2 * self.index.dim if self.index and not self.index.shared else 0  # its key norm: scale and shift
        return (self.q_rank or 0) + self.kv_rank + index


class Pool(Record):
    """A pool of entries that compress `ratio` tokens each, next to a window of raw entries; ratio 0 is the window alone."""

    ratio: Annotated[int, Range(0, 1_000_000)]
    window: Count
    index: Index | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.index is not None and self.ratio == 0:
            yield "index", "there is no pool to choose from where ratio is 0"

    @property
    def overlap(self) -> int:
        """Blocks of ratio 4 overlap their neighbour, so their compressor is twice as wide."""
        return 2 if self.ratio == 4 else 1


class GroupedOutput(Record):
    """An output projection in `groups` diagonal blocks to `rank` each, then one matrix back to the hidden size."""

    groups: Count
    rank: Count


class Pooled(AttentionSpec):
    """DeepSeek V4's attention: low-rank queries, one vector per token as key and value, a compressed pool."""

    type: ClassVar[str] = "pooled"
    tp_divides_cache: ClassVar[bool] = False
    head_dim: Count
    rope_dim: Count
    q_rank: Count
    pool: Pool
    output: GroupedOutput
    sinks: bool = True

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.heads % self.output.groups:
            yield "output.groups", f"{self.heads} heads do not divide into {self.output.groups} groups"

    def entry_elements(self, tp: int = 1) -> int:
        """Elements of one entry of the pool or the window: the same on every tensor rank."""
        return self.head_dim

    def kv_copies(self, tp: int) -> int:
        """Every tensor rank holds the whole pool."""
        return tp

    def describe_copies(self, tp: int, copies: int) -> str:
        return f"the pooled cache is replicated on each tensor rank: stored {copies} times"

    def kv_elements_per_token(self) -> int:
        """One entry per `ratio` tokens, rounded down; 0 where there is only the window."""
        return self.entry_elements() // self.pool.ratio if self.pool.ratio else 0

    def symbols(self, tp: int) -> dict[str, float]:
        index = self.pool.index
        return {"n": self.heads // tp, "d_k": self.head_dim, **(index.symbols() if index else {})}

    @property
    def compressed_widths(self) -> tuple[int, ...]:
        """Elements per entry of what compressors produce: pool entries, and the indexer's keys."""
        index = self.pool.index
        own = (index.dim,) if index and not index.shared else ()
        return (self.head_dim, *own) if self.pool.ratio else own

    def compressor(self, hidden: int, name: str, width: int) -> tuple[Matrix, ...]:
        """2·h·o·x weights that compress `ratio` tokens into one entry of `width` elements."""
        return (Matrix(name, hidden, 2 * self.pool.overlap * width, "index"),) if self.pool.ratio else ()

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Heads are divided over the tensor ranks; the queries' down-projection, keys and compressors are replicated on each.

        The grouped output has n·d_v·r_o weights: with more ranks than groups each holds its own heads' part of one group.
        """
        n, groups = shard_size(self.heads, tp), shard_size(self.output.groups, tp)
        blocks = groups if n % groups == 0 else 1
        index = self.pool.index
        choose = (
            (
                Matrix("index_q", self.q_rank, index.heads * index.dim, "index"),
                Matrix("index_weights", hidden, index.heads, "index"),
                *self.compressor(hidden, "index_compressor", index.dim),
            )
            if index and not index.shared
            else ()
        )
        return (
            Matrix("q_down", hidden, self.q_rank, "attention"),
            Matrix("q_up", self.q_rank, n * self.head_dim, "attention"),
            Matrix("kv", hidden, self.head_dim, "attention"),
            *self.compressor(hidden, "compressor", self.head_dim),
            *choose,
            Matrix("o_groups", n // blocks * self.head_dim, self.output.rank, "attention", blocks),
            Matrix("o", groups * self.output.rank, hidden, "attention"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Norms, sinks, and each compressor's position embeddings and norm."""
        compressors = sum(self.pool.ratio * self.pool.overlap * width + width for width in self.compressed_widths)
        return self.q_rank + self.head_dim + compressors + (shard_size(self.heads, tp) if self.sinks else 0)


ATTENTION_KINDS: dict[str, type] = {record.type: record for record in (GQA, MLA, Pooled)}
"""Kinds by their name in model files; `roofcalc.physics.ops.registry.register` adds to it."""

Attention = Annotated[AttentionSpec, Alternatives("type", ATTENTION_KINDS, default="gqa")]
