"""Products by weights under their two roofs, as functions of the tokens they serve, put together once for any batch.

A product takes a·T seconds of the arithmetic and b + c·T of the memory, b for its weights and c for what goes in and comes
out; experts' weights take b for each different expert that is hit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import expected_experts_read
from roofcalc.physics.ops.types import Gemm, Routed, TokenLoad


class Roof(NamedTuple):
    """Products that turn from memory to arithmetic at the same number of tokens.

    Attributes
    ----------
    compute, weights, moved : float
        a, b and c: seconds.
    routed, load
        Of experts, which are read as they are hit.
    """

    compute: float
    weights: float
    moved: float
    routed: Routed | None
    imbalance: float

    def seconds(self, load: TokenLoad) -> tuple[Array, Array]:
        """Compute and memory time for what one device works on.

        Formulas
        --------
        compute = a·T
        memory = b·read + c·T
        """
        if self.routed is None:
            return self.compute * load.tokens, self.weights + self.moved * load.tokens if self.moved else self.weights
        tokens = load.group_tokens
        return self.compute * tokens, self.weights * expected_experts_read(self.routed, self.imbalance, tokens) + self.moved * tokens


def roofs(gemms: Iterable[Gemm], rates: Callable[[str], tuple[float, float]]) -> list[Roof]:
    """The roofs of products; `rates` gives FLOPs and bytes per second for a class of weights."""
    found = []
    for one in gemms:
        flop_per_s, bytes_per_s = rates(one.tensor)
        found.append(Roof(one.flops / flop_per_s, one.weights / bytes_per_s, one.activation_bytes / bytes_per_s, one.routed, one.imbalance))
    return found


def split(found: Iterable[Roof], load: TokenLoad, overlap: str) -> tuple[Array, Array]:
    """Seconds of arithmetic and of memory, each product's going where `overlap` says (`roofcalc.physics.roofline`)."""
    compute: Array = np.float64(0.0)
    memory: Array = np.float64(0.0)
    for one in found:
        on_compute, on_memory = attributed(*one.seconds(load), overlap)
        compute, memory = compute + on_compute, memory + on_memory
    return compute, memory


def whole(found: Iterable[Roof], load: TokenLoad, overlap: str) -> Array:
    """Seconds of arithmetic and memory together, where one does not overlap all others."""
    longest = np.add if overlap == "none" else np.maximum
    return sum((longest(*one.seconds(load)) for one in found), start=np.float64(0.0))


def attributed(compute: Array, memory: Array, overlap: str) -> tuple[Array, Array]:
    """An operation's time as it counts for each resource: all of it for the longer one, but where everything overlaps."""
    if overlap == "full":
        return compute, memory
    longest = compute + memory if overlap == "none" else np.maximum(compute, memory)
    on_compute = np.where(np.greater(compute, memory), longest, 0.0)
    return on_compute, longest - on_compute
