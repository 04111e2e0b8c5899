"""Kinds of feed-forward parts as frozen records: one dense network, or routed experts beside a shared part."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Kinds, Whole
from roofcalc.specs.weights import Matrix, part


def _network(prefix: str, hidden: int, width: int, plain: bool, tensor: str, copies: int = 1) -> tuple[Matrix, ...]:
    """Up (and gate) and down projections of `copies` networks."""
    return (
        Matrix(f"{prefix}up", hidden, width if plain else 2 * width, tensor, copies),
        Matrix(f"{prefix}down", width, hidden, tensor, copies),
    )


class Dense(Record):
    """A gated network of three matrices, or a `plain` one of two.

    `side` is the summed width of plain networks beside it, held whole by every tensor rank: Gemma 3n's low-rank
    residual and what it makes of each layer's own embedding.
    """

    type: ClassVar[str] = "dense"
    width: Count
    plain: bool = False
    bias: bool = False
    side: Whole = 0

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weights on one of `tp` tensor ranks."""
        side = _network("side_", hidden, self.side, True, "mlp") if self.side else ()
        return (*_network("", hidden, part(self.width, tp), self.plain, "mlp"), *side)

    def vectors(self, hidden: int, tp: int = 1) -> int:
        return (part(self.width, tp) * (1 if self.plain else 2) + hidden) if self.bias else 0


class Experts(Record):
    """`experts` networks of `width`, `top_k` of them per token.

    Attributes
    ----------
    shared : int
        Summed width of what every token passes: shared experts, and a dense branch beside (Arctic).
    shared_gate : bool
        A learned gate on the shared part.
    zero_experts : int
        Experts that compute nothing but are routed to (LongCat); top_k counts them.
    latent : int, optional
        The smaller hidden size that routed experts work on, with two projections around (Kimi K3, Nemotron 3).
    router_bias, bias : bool
        A correction per expert; biases of every projection and of the router (gpt-oss).
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
            yield "top_k", f"{self.top_k} experts per token, but there are only {self.experts + self.zero_experts}"
        if self.shared_gate and not self.shared:
            yield "shared_gate", "there is no shared part to gate"

    @property
    def routed(self) -> int:
        """Experts that the router chooses from, those that compute nothing included."""
        return self.experts + self.zero_experts

    def around(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """What every token passes besides its experts: router and latent projections, whole on each rank, and the shared part."""
        latent = (Matrix("latent_down", hidden, self.latent, "experts"), Matrix("latent_up", self.latent, hidden, "experts")) if self.latent else ()
        shared = _network("shared_", hidden, part(self.shared, tp), self.plain, "shared") if self.shared else ()
        return (Matrix("router", hidden, self.routed, "router"), *latent, *shared)

    def expert(self, hidden: int, copies: int = 1) -> tuple[Matrix, ...]:
        """The matrices of one expert, or of `copies` of them."""
        return _network("expert_", self.latent or hidden, self.width, self.plain, "experts", copies)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """All weights, undivided: how experts spread over devices is a matter of the layout."""
        return (*self.around(hidden), *self.expert(hidden, self.experts))

    def expert_vectors(self, hidden: int) -> int:
        """Biases of one expert."""
        return self.width * (1 if self.plain else 2) + (self.latent or hidden) if self.bias else 0

    def common_vectors(self, hidden: int) -> int:
        """The router's biases, and the shared part's gate."""
        return self.routed * (self.bias + self.router_bias) + (hidden if self.shared_gate else 0)

    def vectors(self, hidden: int, tp: int = 1) -> int:
        return self.experts * self.expert_vectors(hidden) + self.common_vectors(hidden)

    def idle(self, hidden: int) -> int:
        """Weights and biases of the experts that one token does not use, zero-compute experts by their expected share."""
        one = sum(matrix.elements for matrix in self.expert(hidden)) + self.expert_vectors(hidden)
        return round((self.experts - self.top_k * self.experts / self.routed) * one)


FeedForward = Annotated[Dense | Experts, Kinds("type", {"dense": Dense, "experts": Experts}, default="dense", markers={"experts": "experts"})]
