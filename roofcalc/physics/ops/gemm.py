"""GEMMs by weight matrices: FLOPs, and bytes of weights and activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.operation import Gemm, Grouped, Operation, Product, TokenLoad
from roofcalc.physics.ops.types import ACTIVATION_BYTES
from roofcalc.specs.formula import formula
from roofcalc.specs.weights import Matrix

DIGITS = 12  # decimals of bytes per FLOP to which intensities must agree to count as the same


def gemms(
    matrices: Sequence[Matrix], layers: int, spread: float, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Gemm]:
    """One GEMM per matrix; a step reads each weight once, for any number of tokens, and a multiply-add is two FLOPs.

    Parameters
    ----------
    layers : int
        Equal layers that have these matrices.
    spread : float
        Devices over which the work divides perfectly (`TokenLoad.spread`).
    bytes_of : callable
        Bytes of one weight, by tensor class.
    activations : bool
        Also count inputs and outputs: K + N elements of 16 bits per token.
    prefix : str
        Put before each matrix's name.
    """
    found = []
    for matrix in matrices:
        inputs_and_outputs = (matrix.rows + matrix.cols) * matrix.copies if activations else 0
        found.append(
            Gemm(
                name=prefix + matrix.name,
                layers=layers,
                tensor=matrix.tensor,
                flops=2.0 * matrix.elements / spread,
                weights=matrix.elements * bytes_of(matrix.tensor) / spread,
                activation_bytes=inputs_and_outputs * ACTIVATION_BYTES / spread,
                rows=matrix.rows,
                cols=matrix.cols,
                copies=matrix.copies,
                fused=matrix.fused,
            )
        )
    return found


def merge_same_intensity(found: Iterable[Gemm]) -> list[Gemm]:
    """Sums GEMMs of one tensor class and arithmetic intensity, which become compute-bound at the same number of tokens.

    Bytes per FLOP of a weight matrix do not depend on its size, so that all GEMMs of a class in a dense layer become one.
    Layer counts are multiplied in: the results stand for one layer.
    """
    met: dict[tuple[object, ...], Gemm] = {}
    for one in found:
        flops, weights, activation_bytes = (one.layers * value for value in (one.flops, one.weights, one.activation_bytes))
        alike = (one.tensor, one.routed, one.imbalance, round(one.weights / one.flops, DIGITS), round(one.activation_bytes / one.flops, DIGITS))
        if other := met.get(alike):
            flops, weights, activation_bytes = flops + other.flops, weights + other.weights, activation_bytes + other.activation_bytes
        met[alike] = Gemm("", 1, one.tensor, flops, weights, activation_bytes, one.routed, one.imbalance)
    return list(met.values())


@formula("FLOPs = 2·T·K·N", "bytes = K·N·w", "bytes with activations = K·N·w + T·(K + N)·2")
def gemm_operations(
    matrices: Sequence[Matrix], layers: int, load: TokenLoad, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Operation]:
    """The GEMMs by `matrices` as operations, for the tokens of a rank."""
    return [gemm_to_operation(one, load.tokens) for one in gemms(matrices, layers, load.spread, bytes_of, activations, prefix)]


def gemm_to_operation(gemm: Gemm, tokens: Array, experts_read: Array = 1.0) -> Operation:
    """A GEMM as an operation for `tokens` tokens; an expert GEMM reads the weights of `experts_read` experts."""
    moved = gemm.weights * experts_read + gemm.activation_bytes * tokens
    shape = Product(tokens, gemm.rows, gemm.cols, gemm.copies, gemm.fused) if gemm.routed is None else Grouped(tokens, gemm.routed, gemm.place)
    return Operation(gemm.name, gemm.layers, gemm.flops * tokens, moved, "linear", gemm.tensor, shape=shape)
