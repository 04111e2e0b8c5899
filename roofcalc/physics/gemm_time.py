"""GEMM time as a function of the token count, max(FLOPs/peak, bytes/bandwidth), set up once for any batch.

GEMMs with the same arithmetic intensity are merged. T tokens take t_compute·T seconds of arithmetic and t_weights + t_io·T of memory
traffic; the weights of experts take t_weights for each different expert that the tokens choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import expected_experts_read
from roofcalc.physics.ops.operation import Gemm, TokenLoad
from roofcalc.physics.ops.types import Routed
from roofcalc.specs.formula import formula


class GemmGroup(NamedTuple):
    """GEMMs with the same arithmetic intensity, which become compute-bound at the same token count.

    Attributes
    ----------
    compute, weights, moved : float
        Seconds of arithmetic per token, of reading the weights once, and of moving inputs and outputs per token.
    routed, imbalance
        For GEMMs of experts: the experts, and the load imbalance.
    """

    compute: float
    weights: float
    moved: float
    routed: Routed | None
    imbalance: float

    @formula("compute = t_compute·T", "memory = t_weights·times_read + t_io·T")
    def seconds(self, load: TokenLoad) -> tuple[Array, Array]:
        """Seconds of arithmetic and of memory for the tokens of one device."""
        if self.routed is None:
            return self.compute * load.tokens, self.weights + self.moved * load.tokens if self.moved else self.weights
        tokens = load.group_tokens
        return self.compute * tokens, self.weights * expected_experts_read(self.routed, self.imbalance, tokens) + self.moved * tokens


def gemm_groups(gemms: Iterable[Gemm], rates: Callable[[str], tuple[float, float]]) -> list[GemmGroup]:
    """GEMMs as times; `rates` gives the FLOP/s and bytes/s reached with a class of weights."""
    found = []
    for one in gemms:
        flop_per_s, bytes_per_s = rates(one.tensor)
        found.append(GemmGroup(one.flops / flop_per_s, one.weights / bytes_per_s, one.activation_bytes / bytes_per_s, one.routed, one.imbalance))
    return found


def split(found: Iterable[GemmGroup], load: TokenLoad, overlap: str) -> tuple[Array, Array]:
    """Seconds attributed to arithmetic and to memory, under an overlap (`attributed`)."""
    compute: Array = np.float64(0.0)
    memory: Array = np.float64(0.0)
    for one in found:
        on_compute, on_memory = attributed(*one.seconds(load), overlap)
        compute, memory = compute + on_compute, memory + on_memory
    return compute, memory


def whole(found: Iterable[GemmGroup], load: TokenLoad, overlap: str) -> Array:
    """Total seconds, for overlaps other than full."""
    longest = np.add if overlap == "none" else np.maximum
    return sum((longest(*one.seconds(load)) for one in found), start=np.float64(0.0))


def attributed(compute: Array, memory: Array, overlap: str) -> tuple[Array, Array]:
    """The time of operations attributed to arithmetic and to memory: all of it to the longer one, unless everything overlaps."""
    if overlap == "full":
        return compute, memory
    longest = compute + memory if overlap == "none" else np.maximum(compute, memory)
    on_compute = np.where(np.greater(compute, memory), longest, 0.0)
    return on_compute, longest - on_compute
