"""What kinds of attention have in common: the interface that the rest of the program uses, and the indexer of sparse attention.

To add a kind, see docs/adding-a-layer.md. Source of the indexer: arXiv 2512.02556.
"""

from collections.abc import Iterator
from typing import ClassVar

from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count
from roofcalc.specs.weights import Matrix


class AttentionSpec(Record):
    """Base of all kinds of attention: what a kind must answer, and defaults for what most kinds share.

    A kind sets `type` and `tp_divides_cache` and defines the five methods that raise here; the others have defaults.
    No other code needs to tell kinds apart.

    Attributes
    ----------
    type : str
        The name under `type:` in a model file.
    tp_divides_cache : bool
        Whether tensor ranks divide a cache entry by heads. Where they cannot (one latent for all heads), devices beyond
        the tensor group default to data parallel ranks.
    heads : int
        Query heads; the tensor parallel degree must divide them.
    """

    type: ClassVar[str]
    tp_divides_cache: ClassVar[bool]
    heads: Count

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks, for hidden vectors of `hidden` elements."""
        raise NotImplementedError

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Elements of biases, norms and sinks on one of `tp` tensor ranks."""
        raise NotImplementedError

    def entry_elements(self, tp: int = 1) -> int:
        """Elements of one cache entry (of one token, or of one block of a compressed pool) on one of `tp` tensor ranks."""
        raise NotImplementedError

    def kv_copies(self, tp: int) -> int:
        """How many of `tp` tensor ranks hold the same cache entry."""
        raise NotImplementedError

    def symbols(self, tp: int) -> dict[str, float]:
        """Values of the symbols in the formulas of this kind's function, on one of `tp` tensor ranks, for `roofcalc explain`."""
        raise NotImplementedError

    def unused_weights(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Those of `matrices` that are stored but never multiplied; none by default."""
        return ()

    def kv_elements_per_token(self) -> int:
        """Elements that each further token adds to the cache of a long sequence; 0 where the cache stops growing."""
        return self.entry_elements()

    def describe_copies(self, tp: int, copies: int) -> str:
        """Note for the user where `copies` of `tp` tensor ranks hold the same entries."""
        return f"the KV cache is replicated over {tp} tensor ranks: each entry is stored {copies} times"

    def warnings(self, context: int) -> Iterator[tuple[str, str]]:
        """Values that are valid but doubtful in a model of `context` tokens, as (field, sentence); shown by `models check`."""
        return iter(())


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
