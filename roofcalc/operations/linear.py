"""Products by a weight matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roofcalc.architecture.matrix import Matrix
from roofcalc.operations.base import ACTIVATION_BYTES, Operation, Share


def linear(
    matrices: Sequence[Matrix], layers: int, share: Share, bytes_of: Callable[[str], float], activations: bool = False, prefix: str = ""
) -> list[Operation]:
    """One operation per matrix: each weight is read once per step, however many tokens it serves.

    A multiply-add is two FLOPs. `bytes_of` gives the bytes of one weight by class of tensor; `activations` adds what goes
    in and comes out, T·(K + N) 16-bit elements. Of G blocks side by side, N counts the columns of all.

    Formulas
    --------
    FLOPs = 2·T·K·N
    bytes = K·N·w
    bytes with activations = K·N·w + T·(K + N)·2
    bytes with activations, G blocks = K·N·w + T·(G·K + N)·2
    """
    return [
        Operation(
            name=prefix + matrix.name,
            layers=layers,
            flops=2.0 * matrix.elements * share.tokens / share.spread,
            bytes=(
                matrix.elements * bytes_of(matrix.tensor)
                + (share.tokens * ((matrix.rows + matrix.cols) * matrix.copies * ACTIVATION_BYTES) if activations else 0.0)
            )
            / share.spread,
            role="linear",
            tensor=matrix.tensor,
        )
        for matrix in matrices
    ]
