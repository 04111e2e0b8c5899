"""The shape of a weight matrix: the one description behind parameters, memory and work."""

from typing import NamedTuple


class Matrix(NamedTuple):
    """`copies` matrices of rows × cols weights, each multiplied from the left by a token's vector of `rows`.

    `tensor` is the class whose dtype it takes: attention, mlp, experts, shared, router, index, state, embed, head.
    """

    name: str
    rows: int
    cols: int
    tensor: str
    copies: int = 1

    @property
    def elements(self) -> int:
        return self.rows * self.cols * self.copies


def part(size: int, ranks: int) -> int:
    """ceil(size / ranks): what the fullest of `ranks` equal shares holds."""
    return -(-size // ranks)
