"""Shapes of weight matrices, from which parameter counts, memory and FLOPs all follow."""

from typing import NamedTuple


class Matrix(NamedTuple):
    """A weight matrix, or several of one shape; a token's vector of `rows` elements is multiplied by each.

    Attributes
    ----------
    rows, cols : int
        Input and output size.
    tensor : str
        Tensor class that decides the dtype: attention, mlp, experts, shared, router, index, state, embed or head.
    copies : int
        Number of such matrices.
    fused : int
        Columns of the GEMM in which engines multiply this matrix together with others of the same input; 0 for a GEMM of its own.
    """

    name: str
    rows: int
    cols: int
    tensor: str
    copies: int = 1
    fused: int = 0

    @property
    def elements(self) -> int:
        """Number of weights."""
        return self.rows * self.cols * self.copies


def fused(*matrices: Matrix) -> tuple[Matrix, ...]:
    """Matrices of the same input that engines multiply at once."""
    width = sum(one.cols for one in matrices)
    return tuple(one._replace(fused=width) for one in matrices) if len(matrices) > 1 else matrices


def shard_size(size: int, ranks: int) -> int:
    """ceil(size / ranks): the size of the largest shard when `size` is split over `ranks`."""
    return -(-size // ranks)
