"""How tokens choose experts: uniformly, all alike, or with measured shares."""

import math

from roofcalc.errors import RoofcalcError
from roofcalc.specs.record import Record

UNIFORM, SKEWED, MEASURED = "uniform", "skewed", "measured"
TOLERANCE = 1e-6


class Routing(Record):
    """The choice of experts.

    Attributes
    ----------
    kind : "uniform", "skewed" or "measured"
        Every expert is as likely as any other; all tokens choose the same experts, copies of which are where the tokens are, which no
        routing can beat; or `shares`.
    shares : tuple of float
        Fraction of all choices that falls on each expert, in the order of the experts; adds to 1.
    """

    kind: str = UNIFORM
    shares: tuple[float, ...] = ()

    @property
    def is_skewed(self) -> bool:
        return self.kind == SKEWED

    def probabilities(self, top_k: int, experts: int, routed: int) -> tuple[tuple[float, int], ...]:
        """The distinct probabilities that one token chooses an expert that computes, p_e = k_e·share_e, and how many experts have each.

        Parameters
        ----------
        top_k, experts, routed : int
            Choices per token; experts that compute; experts that the router chooses from.

        Raises
        ------
        RoofcalcError
            Neither as many shares as experts, nor one of them above 1/k_e.
        """
        if len(self.shares) not in (experts, routed):
            raise RoofcalcError(f"--routing: {len(self.shares)} shares for {experts} experts")
        choices = top_k if len(self.shares) == routed else top_k * experts / routed
        found: dict[float, int] = {}
        for share in self.shares[:experts]:
            chance = choices * share
            if chance > 1 + TOLERANCE:
                raise RoofcalcError(f"--routing: an expert with {share:.4g} of all choices; {top_k} per token allow at most {1 / choices:.4g}")
            found[min(1.0, chance)] = found.get(min(1.0, chance), 0) + 1
        return tuple(found.items())

    def imbalance(self, ranks: int) -> float:
        """Load of the busiest of `ranks` ranks over the mean, with consecutive experts on each rank; 1 where the shares are unknown."""
        if not self.shares or ranks <= 1:
            return 1.0
        held = math.ceil(len(self.shares) / ranks)
        return ranks * max(sum(self.shares[at : at + held]) for at in range(0, len(self.shares), held))
