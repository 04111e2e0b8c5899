"""Products by a weight matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.types import ACTIVATION_BYTES, Gemm, Operation, TokenLoad
from roofcalc.specs.weights import Matrix

DIGITS = 12  # to which bytes per FLOP must agree


def gemms(
    matrices: Sequence[Matrix], layers: int, spread: float, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Gemm]:
    """One product per matrix: each weight is read once per step, however many tokens it serves.

    A multiply-add is two FLOPs. `bytes_of` gives the bytes of one weight by class of tensor; `activations` adds what goes
    in and comes out, K + N 16-bit elements per token.
    """
    found = []
    for matrix in matrices:
        elements, around = matrix.elements, (matrix.rows + matrix.cols) * matrix.copies if activations else 0
        tensor, activation_bytes = matrix.tensor, around * ACTIVATION_BYTES / spread
        found.append(Gemm(prefix + matrix.name, layers, tensor, 2.0 * elements / spread, elements * bytes_of(tensor) / spread, activation_bytes))
    return found


def merge_same_intensity(found: Iterable[Gemm]) -> list[Gemm]:
    """Products added up where they are of one class and turn from memory to arithmetic at the same number of tokens.

    Those of a dense model have as many bytes for each FLOP, whatever their size: all of a class are one.
    """
    met: dict[tuple[object, ...], Gemm] = {}
    for one in found:
        flops, weights, activation_bytes = (one.layers * value for value in (one.flops, one.weights, one.activation_bytes))
        alike = (one.tensor, one.routed, one.imbalance, round(one.weights / one.flops, DIGITS), round(one.activation_bytes / one.flops, DIGITS))
        if other := met.get(alike):
            flops, weights, activation_bytes = flops + other.flops, weights + other.weights, activation_bytes + other.activation_bytes
        met[alike] = Gemm("", 1, one.tensor, flops, weights, activation_bytes, one.routed, one.imbalance)
    return list(met.values())


def gemm_operations(
    matrices: Sequence[Matrix], layers: int, load: TokenLoad, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Operation]:
    """The operations of `products` for the tokens of a rank.

    Formulas
    --------
    FLOPs = 2·T·K·N
    bytes = K·N·w
    bytes with activations = K·N·w + T·(K + N)·2
    """
    return [gemm_to_operation(one, load.tokens) for one in gemms(matrices, layers, load.spread, bytes_of, activations, prefix)]


def gemm_to_operation(product: Gemm, tokens: Array, experts_read: Array = 1.0) -> Operation:
    """A product as an operation that serves `tokens` tokens and reads its weights, or those of `reads` experts."""
    activation_bytes = product.weights * experts_read + product.activation_bytes * tokens
    return Operation(product.name, product.layers, product.flops * tokens, activation_bytes, "linear", product.tensor)
