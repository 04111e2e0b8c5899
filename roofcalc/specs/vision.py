"""Vision towers as frozen records: their shape, and their work on an image.

A tower's work is the plain encoder of arXiv 2010.11929 on an image's patches.
"""

from collections.abc import Iterator
from itertools import pairwise

from roofcalc.specs.formula import formula
from roofcalc.specs.image_rules import Encoded, Rule
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Whole


def _chained(sizes: tuple[int, ...]) -> int:
    """Elements of the matrices between sizes along a projector."""
    return sum(one * other for one, other in pairwise(sizes))


class Vision(Record):
    """A vision tower and its projector.

    Attributes
    ----------
    layers, hidden, heads, width : int
        Of the encoder; `width` is that of its feed-forward parts.
    attention : int, optional
        Width of queries, keys and values over all heads, where it is not the hidden size (Kimi K3).
    gated : bool
        Feed-forward parts with three matrices instead of two.
    patch, merge : int
        Pixels of a patch's side, and patches of the side of a square that becomes one token.
    frames : int
        Frames that a patch's projection takes; an image is repeated.
    window, full : int, optional
        Patches that attend to each other in most layers, and the number of layers in which all do (Qwen2.5-VL).
    projector : tuple of int
        Sizes along the projector: 5120, 5120, 3584 are two matrices.
    projectors : int
        Projectors of that shape, on outputs of different layers (Qwen3-VL).
    patch_projector : tuple of int
        Sizes along a projector that each patch passes before the merge (MiniMax-M3).
    image : Rule
        How an image becomes patches and tokens.
    """

    layers: Count
    hidden: Count
    heads: Count
    width: Count
    patch: Count
    image: Rule
    merge: Count = 1
    gated: bool = False
    attention: Count | None = None
    frames: Count = 1
    window: Count | None = None
    full: Whole = 0
    projector: tuple[Count, ...] = ()
    projectors: Count = 1
    patch_projector: tuple[Count, ...] = ()

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.attention_width % self.heads:
            yield "heads", f"{self.heads} heads do not divide the width of attention {self.attention_width}"
        if self.full > self.layers:
            yield "full", f"{self.full} layers of {self.layers}"

    @property
    def attention_width(self) -> int:
        """Elements of the queries of a patch."""
        return self.attention or self.hidden

    @property
    @formula("P_layer = 4·h_v·a_v + 3·h_v·f_v", "P_layer, ungated = 4·h_v·a_v + 2·h_v·f_v")
    def layer_elements(self) -> int:
        """Weights of one layer's matrices."""
        return 4 * self.hidden * self.attention_width + (3 if self.gated else 2) * self.hidden * self.width

    @property
    def patch_elements(self) -> int:
        """Weights that each patch passes once: its projection, of three colours of patch² pixels, and a projector before the merge."""
        return 3 * self.patch**2 * self.frames * self.hidden + _chained(self.patch_projector)

    @property
    def projector_elements(self) -> int:
        """Weights of the projectors."""
        return self.projectors * _chained(self.projector)

    @property
    def elements(self) -> int:
        """Weights of all matrices."""
        return self.layers * self.layer_elements + self.patch_elements + self.projector_elements

    def encode(self, width: int, height: int) -> Encoded:
        """An image of so many pixels."""
        return self.image.encode(width, height, self.patch, self.merge)

    @formula("FLOPs_tower = 2·patches·(layers·P_layer + P_patch) + 2·merged·P_projector")
    def linear_flops(self, one: Encoded) -> float:
        """FLOPs of the matrices for an image."""
        return 2.0 * one.patches * (self.layers * self.layer_elements + self.patch_elements) + 2.0 * one.merged * self.projector_elements

    @formula("FLOPs_tower_attention = 4·a_v·patches·(full·span + (layers − full)·min(window, span))")
    def attention_flops(self, one: Encoded) -> float:
        """FLOPs of scores and weighted sums for an image."""
        full = self.full if self.window is not None else self.layers
        near = min(self.window, one.span) if self.window is not None else 0
        return 4.0 * self.attention_width * one.patches * (full * one.span + (self.layers - full) * near)
