"""Products by a weight matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.types import ACTIVATION_BYTES, Operation, Product, Share
from roofcalc.specs.formula import formula
from roofcalc.specs.weights import Matrix

DIGITS = 12  # to which bytes per FLOP must agree


def products(
    matrices: Sequence[Matrix], layers: int, spread: float, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Product]:
    """One product per matrix: each weight is read once per step, however many tokens it serves.

    A multiply-add is two FLOPs. `bytes_of` gives the bytes of one weight by class of tensor; `activations` adds what goes
    in and comes out, K + N 16-bit elements per token.
    """
    found = []
    for matrix in matrices:
        elements, around = matrix.elements, (matrix.rows + matrix.cols) * matrix.copies if activations else 0
        tensor, moved = matrix.tensor, around * ACTIVATION_BYTES / spread
        found.append(Product(prefix + matrix.name, layers, tensor, 2.0 * elements / spread, elements * bytes_of(tensor) / spread, moved))
    return found


def together(found: Iterable[Product]) -> list[Product]:
    """Products added up where they are of one class and turn from memory to arithmetic at the same number of tokens.

    Those of a dense model have as many bytes for each FLOP, whatever their size: all of a class are one.
    """
    met: dict[tuple[object, ...], Product] = {}
    for one in found:
        flops, weights, moved = (one.layers * value for value in (one.flops, one.weights, one.moved))
        alike = (one.tensor, one.routed, one.load, round(one.weights / one.flops, DIGITS), round(one.moved / one.flops, DIGITS))
        if other := met.get(alike):
            flops, weights, moved = flops + other.flops, weights + other.weights, moved + other.moved
        met[alike] = Product("", 1, one.tensor, flops, weights, moved, one.routed, one.load)
    return list(met.values())


@formula("FLOPs = 2·T·K·N", "bytes = K·N·w", "bytes with activations = K·N·w + T·(K + N)·2")
def linear(
    matrices: Sequence[Matrix], layers: int, share: Share, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Operation]:
    """The operations of `products` for the tokens of a rank."""
    return [served(one, share.tokens) for one in products(matrices, layers, share.spread, bytes_of, activations, prefix)]


def served(product: Product, tokens: Array, reads: Array = 1.0) -> Operation:
    """A product as an operation that serves `tokens` tokens and reads its weights, or those of `reads` experts."""
    moved = product.weights * reads + product.moved * tokens
    return Operation(product.name, product.layers, product.flops * tokens, moved, "linear", product.tensor)
