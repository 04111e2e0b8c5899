"""Products by weights under their two roofs, as functions of the tokens they serve, put together once for any batch.

A product takes a·T seconds of the arithmetic and b + c·T of the memory, b for its weights and c for what goes in and comes
out; experts' weights take b for each different expert that is hit. Products whose a, b and c are in proportion meet
their roofs at the same T, whatever their size: they are added up, and a dense model of one dtype is left with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from roofcalc.operations.base import Array, Product, Routed, Share
from roofcalc.operations.feedforward import read_experts

DIGITS = 12  # to which bytes per FLOP must agree


class Roof(NamedTuple):
    """Products that turn from memory to arithmetic at the same number of tokens, all layers together.

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
    load: float

    def seconds(self, share: Share) -> tuple[Array, Array]:
        """Compute and memory time for what one device works on.

        Formulas
        --------
        compute = a·T
        memory = b·read + c·T
        """
        if self.routed is None:
            return self.compute * share.tokens, self.weights + self.moved * share.tokens if self.moved else self.weights
        tokens = share.group_tokens
        return self.compute * tokens, self.weights * read_experts(self.routed, self.load, tokens) + self.moved * tokens


def roofs(products: Iterable[Product], rates: Callable[[str], tuple[float, float]]) -> list[Roof]:
    """Products put together; `rates` gives FLOPs and bytes per second for a class of weights."""
    found: dict[tuple[object, ...], Roof] = {}
    for one in products:
        flop_per_s, bytes_per_s = rates(one.tensor)
        alike = (one.routed, one.load, flop_per_s, bytes_per_s, round(one.weights / one.flops, DIGITS), round(one.moved / one.flops, DIGITS))
        a, b, c = one.layers * one.flops / flop_per_s, one.layers * one.weights / bytes_per_s, one.layers * one.moved / bytes_per_s
        if met := found.get(alike):
            a, b, c = a + met.compute, b + met.weights, c + met.moved
        found[alike] = Roof(a, b, c, one.routed, one.load)
    return list(found.values())


def total(found: Iterable[Roof], share: Share, overlap: str) -> tuple[Array, Array]:
    """Seconds of arithmetic and of memory, each product's going where `overlap` says (`roofcalc.roofline`)."""
    compute: Array = np.float64(0.0)
    memory: Array = np.float64(0.0)
    for one in found:
        on_compute, on_memory = attributed(*one.seconds(share), overlap)
        compute, memory = compute + on_compute, memory + on_memory
    return compute, memory


def attributed(compute: Array, memory: Array, overlap: str) -> tuple[Array, Array]:
    """An operation's time as it counts for each resource: all of it for the longer one, but where everything overlaps."""
    if overlap == "full":
        return compute, memory
    longest = compute + memory if overlap == "none" else np.maximum(compute, memory)
    on_compute = np.where(np.greater(compute, memory), longest, 0.0)
    return on_compute, longest - on_compute
