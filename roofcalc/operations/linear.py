"""Products by a weight matrix: FLOPs 2·T·K·N (one multiply-add is two), bytes K·N·w."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roofcalc.architecture.matrix import Matrix
from roofcalc.operations.base import Operation, Share


def linear(matrices: Sequence[Matrix], layers: int, share: Share, bytes_per_element: Callable[[str], float]) -> list[Operation]:
    """One operation per matrix: each weight is read once per step, however many tokens it serves.

    Parameters
    ----------
    bytes_per_element : callable
        Bytes of one weight, by class of tensor.
    """
    return [
        Operation(
            name=matrix.name,
            layers=layers,
            flops=2.0 * matrix.elements * share.tokens / share.spread,
            bytes=matrix.elements * bytes_per_element(matrix.tensor) / share.spread,
            role="linear",
            tensor=matrix.tensor,
        )
        for matrix in matrices
    ]
