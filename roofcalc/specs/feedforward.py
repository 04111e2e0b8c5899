"""Feed-forward layers as frozen records: a dense FFN, or a mixture of experts (MoE) with optional shared experts."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from roofcalc.specs.record import Record
from roofcalc.specs.schema import Alternatives, Count, Whole
from roofcalc.specs.weights import Matrix, shard_size


def _network(prefix: str, hidden: int, width: int, plain: bool, tensor: str, copies: int = 1) -> tuple[Matrix, ...]:
    """Up (and gate) and down projections of `copies` FFNs."""
    return (
        Matrix(f"{prefix}up", hidden, width if plain else 2 * width, tensor, copies),
        Matrix(f"{prefix}down", width, hidden, tensor, copies),
    )


class Dense(Record):
    """A dense FFN.

    Attributes
    ----------
    width : int
        Intermediate size.
    plain : bool
        Two matrices without a gate; a gated FFN has three.
    side : int
        Summed width of additional ungated FFNs that every tensor rank holds whole: Gemma 3n's low-rank residual and its
        per-layer embeddings.
    """

    type: ClassVar[str] = "dense"
    width: Count
    plain: bool = False
    bias: bool = False
    side: Whole = 0

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        side = _network("side_", hidden, self.side, True, "mlp") if self.side else ()
        return (*_network("", hidden, shard_size(self.width, tp), self.plain, "mlp"), *side)

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Biases on one of `tp` tensor ranks."""
        return (shard_size(self.width, tp) * (1 if self.plain else 2) + hidden) if self.bias else 0


class Experts(Record):
    """A mixture of experts: `experts` FFNs of intermediate size `width`, of which each token uses `top_k`.

    Attributes
    ----------
    shared : int
        Summed width of the FFNs that every token uses: shared experts, and a parallel dense FFN (Arctic).
    shared_gate : bool
        A learned gate on the output of the shared experts.
    zero_experts : int
        Experts without computation that the router may choose (LongCat); they count towards top_k.
    latent : int, optional
        Smaller hidden size of the routed experts, with a down and an up projection around them (Kimi K3, Nemotron 3).
    router_bias, bias : bool
        A bias per expert for load balancing; biases of all projections and of the router (gpt-oss).
    """

    type: ClassVar[str] = "experts"
    experts: Count
    top_k: Count
    width: Count
    shared: Whole = 0
    shared_gate: bool = False
    zero_experts: Whole = 0
    latent: Count | None = None
    plain: bool = False
    router_bias: bool = False
    bias: bool = False

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.top_k > self.experts + self.zero_experts:
            yield "top_k", f"{self.top_k} experts per token exceed the {self.experts + self.zero_experts} experts"
        if self.shared_gate and not self.shared:
            yield "shared_gate", "needs `shared` above 0"

    @property
    def routed(self) -> int:
        """Experts that the router chooses from, zero-computation experts included."""
        return self.experts + self.zero_experts

    def around(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Matrices that every token uses: router and latent projections, replicated on each rank, and the sharded shared experts."""
        latent = (Matrix("latent_down", hidden, self.latent, "experts"), Matrix("latent_up", self.latent, hidden, "experts")) if self.latent else ()
        shared = _network("shared_", hidden, shard_size(self.shared, tp), self.plain, "shared") if self.shared else ()
        return (Matrix("router", hidden, self.routed, "router"), *latent, *shared)

    def expert(self, hidden: int, copies: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices of `copies` routed experts."""
        return _network("expert_", self.latent or hidden, self.width, self.plain, "experts", copies)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """All weight matrices, unsharded: the placement of experts depends on the layout."""
        return (*self.around(hidden), *self.expert(hidden, self.experts))

    def expert_vectors(self, hidden: int) -> int:
        """Biases of one expert."""
        return self.width * (1 if self.plain else 2) + (self.latent or hidden) if self.bias else 0

    def common_vectors(self, hidden: int) -> int:
        """Biases of the router, and the gate of the shared experts."""
        return self.routed * (self.bias + self.router_bias) + (hidden if self.shared_gate else 0)

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Biases and gates of the whole layer, unsharded."""
        return self.experts * self.expert_vectors(hidden) + self.common_vectors(hidden)

    def inactive_params(self, hidden: int) -> int:
        """Weights and biases of the experts that a token does not use, with the expected number of zero-computation experts."""
        one = sum(matrix.elements for matrix in self.expert(hidden)) + self.expert_vectors(hidden)
        return round((self.experts - self.top_k * self.experts / self.routed) * one)


FeedForward = Annotated[Dense | Experts, Alternatives("type", {"dense": Dense, "experts": Experts}, default="dense", markers={"experts": "experts"})]
