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
    """

    name: str
    rows: int
    cols: int
    tensor: str
    copies: int = 1

    @property
    def elements(self) -> int:
        """Number of weights."""
        return self.rows * self.cols * self.copies


def shard_size(size: int, ranks: int) -> int:
    """ceil(size / ranks): the size of the largest shard when `size` is split over `ranks`."""
    return -(-size // ranks)
