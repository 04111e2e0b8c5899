"""Attention with one cache entry for all heads, as frozen records: multi-head latent attention and DeepSeek V4's compressed pools.

What a kind reads and computes in a step is its function in `roofcalc.physics.ops.mla`.

Sources of the shapes: MLA arXiv 2405.04434 and 2412.19437; DeepSeek V4: its published configs.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from roofcalc.specs.attention_spec import AttentionSpec, Index
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Range
from roofcalc.specs.weights import Matrix, fused, shard_size


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
        queries_down = (Matrix("q_down", hidden, self.q_rank, "attention"),) if self.q_rank else ()
        *down, kv_down = fused(*queries_down, Matrix("kv_down", hidden, self.kv_rank + self.rope_dim, "attention"))
        return (
            *down,
            Matrix("q_up", self.q_rank or hidden, queries, "attention"),
            kv_down,
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
        q_down, kv = fused(Matrix("q_down", hidden, self.q_rank, "attention"), Matrix("kv", hidden, self.head_dim, "attention"))
        return (
            q_down,
            Matrix("q_up", self.q_rank, n * self.head_dim, "attention"),
            kv,
            *self.compressor(hidden, "compressor", self.head_dim),
            *choose,
            Matrix("o_groups", n // blocks * self.head_dim, self.output.rank, "attention", blocks),
            Matrix("o", groups * self.output.rank, hidden, "attention"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Norms, sinks, and each compressor's position embeddings and norm."""
        compressors = sum(self.pool.ratio * self.pool.overlap * width + width for width in self.compressed_widths)
        return self.q_rank + self.head_dim + compressors + (shard_size(self.heads, tp) if self.sinks else 0)
