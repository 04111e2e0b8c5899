"""How an image becomes tokens, by the rule of each family, as frozen records.

The rules are those of the published image processors (huggingface/transformers 5.24, `image_processing_*.py` and `processing_*.py` of each
family).
"""

import math
from typing import Annotated, ClassVar, NamedTuple

from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Alternatives, Count


class Encoded(NamedTuple):
    """One image as a model sees it.

    Attributes
    ----------
    tokens : int
        Tokens of the prompt.
    patches : int
        Patches that the tower encodes, over all tiles.
    span : int
        Patches that attend to each other: those of a tile, or of the whole image.
    merged : int
        Vectors that the projector takes.
    """

    tokens: int
    patches: int
    span: int
    merged: int


class Grid(Record):
    """The image is scaled to whole merged patches, within a number of pixels (Qwen-VL, GLM-V)."""

    rule: ClassVar[str] = "grid"
    min_pixels: Count
    max_pixels: Count

    @formula("N_img = H_img·W_img/(patch·merge·patch·merge)")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """Sides rounded to multiples of patch × merge; beyond the limits scaled by the root of the ratio, inwards."""
        unit = patch * merge
        short = min(height, width)
        if short < unit:
            height, width = int(height * unit / short), int(width * unit / short)
        rows, cols = max(1, round(height / unit)), max(1, round(width / unit))
        if rows * cols * unit**2 > self.max_pixels:
            scale = math.sqrt(height * width / self.max_pixels)
            rows, cols = (max(1, math.floor(side / scale / unit)) for side in (height, width))
        elif rows * cols * unit**2 < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (height * width))
            rows, cols = (math.ceil(side * scale / unit) for side in (height, width))
        return _whole(rows * cols, merge)


class Budget(Record):
    """The image is scaled up or down to at most `tokens` merged patches (Gemma 4)."""

    rule: ClassVar[str] = "budget"
    tokens: Count

    @formula("N_img = floor(H_img·scale/(patch·merge))·floor(W_img·scale/(patch·merge))")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """scale = √(tokens·(patch·merge)²/(H·W)); a side that would vanish keeps one row."""
        unit = patch * merge
        scale = math.sqrt(self.tokens * unit**2 / (height * width))
        rows, cols = math.floor(height * scale / unit), math.floor(width * scale / unit)
        if rows == 0:
            rows, cols = 1, min(width // height, self.tokens)
        elif cols == 0:
            rows, cols = min(height // width, self.tokens), 1
        return _whole(rows * cols, merge)


class Rows(Record):
    """The image is scaled down to `side` pixels; one token more ends each row (Pixtral, Mistral 3)."""

    rule: ClassVar[str] = "rows"
    side: Count

    @formula("N_img = rows·(cols + 1)")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """Rows and columns of merged patches, rounded up."""
        ratio = max(height / self.side, width / self.side, 1.0)
        if ratio > 1:
            height, width = int(height / ratio), int(width / ratio)
        rows, cols = (max(1, -(-side // (patch * merge))) for side in (height, width))
        return _whole(rows * cols, merge)._replace(tokens=rows * (cols + 1))


class Padded(Record):
    """The image is scaled down to at most `patches`, and `side` of them each way, then padded (Kimi)."""

    rule: ClassVar[str] = "padded"
    patches: Count
    side: Count

    @formula("N_img = ceil(H_img/(patch·merge))·ceil(W_img/(patch·merge))")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """Scaled by the tightest limit, never up."""
        count = max(1, height // patch) * max(1, width // patch)
        scale = min(1.0, math.sqrt(self.patches / count), self.side * patch / height, self.side * patch / width)
        rows, cols = (-(-min(max(1, int(side * scale)), self.side * patch) // (patch * merge)) for side in (height, width))
        return _whole(rows * cols, merge)


class Fixed(Record):
    """Every image is scaled to `side` × `side` pixels and becomes the same number of tokens (Gemma 3, LLaVA 1.5)."""

    rule: ClassVar[str] = "fixed"
    side: Count
    tokens: Count

    @formula("N_img = tokens")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """Patches of the whole square; the projector takes the pooled ones."""
        patches = (self.side // patch) ** 2
        return Encoded(self.tokens, patches, patches, self.tokens)


class Tiles(Record):
    """Tiles of `side` pixels in the arrangement nearest to the image's aspect, and one of the whole image where there are several (InternVL)."""

    rule: ClassVar[str] = "tiles"
    side: Count
    most: Count

    @formula("N_img = tiles·N_tile")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """Among arrangements that are equally near, the larger one while the image fills half of it."""
        aspect, area = width / height, width * height
        best, nearest = (1, 1), math.inf
        for cols, rows in _arrangements(self.most):
            off = abs(aspect - cols / rows)
            if off < nearest or (off == nearest and area > 0.5 * self.side**2 * cols * rows):
                best, nearest = (cols, rows), off
        tiles = best[0] * best[1]
        return _tiled(tiles + 1 if tiles > 1 else 1, self.side, patch, merge)


class Canvas(Record):
    """Tiles of `side` pixels on the canvas that the image fills best, and one of the whole image where there are several (Llama 4)."""

    rule: ClassVar[str] = "canvas"
    side: Count
    most: Count

    @formula("N_img = tiles·N_tile + tiles + 3")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """A token behind each tile ends its column or its row; two enclose the image, and one stands before the whole image."""
        sizes = [(rows, count // rows) for count in range(self.most, 0, -1) for rows in range(1, count + 1) if count % rows == 0]
        scales = [min(rows * self.side / height, cols * self.side / width) for rows, cols in sizes]
        enlarging = [scale for scale in scales if scale >= 1]
        chosen = min(enlarging) if enlarging else max(scales)
        rows, cols = min((size for size, scale in zip(sizes, scales, strict=True) if scale == chosen), key=lambda size: size[0] * size[1])
        tiles = rows * cols
        found = _tiled(tiles + 1 if tiles > 1 else 1, self.side, patch, merge)
        return found._replace(tokens=found.tokens + (tiles if tiles > 1 else 0) + 3)


class CrossAttention(Record):
    """Tiles that cross-attention reads: the prompt has one token per image, and the tower always encodes `most` tiles (Llama 3.2)."""

    rule: ClassVar[str] = "cross_attention"
    side: Count
    most: Count

    @formula("N_img = 1")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """All tiles of an image attend to each other; unused ones are masked and computed."""
        patches = self.most * ((self.side // patch) ** 2 + 1)
        return Encoded(1, patches, patches, patches)


class Unpadded(Record):
    """Tiles of `side` pixels on the canvas that the image fills best, without its margins, after one tile of the whole image (LLaVA-NeXT, OneVision).

    Attributes
    ----------
    longest, least, most : int
        Tiles along one side of a canvas at most; on a canvas at least and at most.
    limit : int, optional
        Tiles whose tokens a canvas has at most: larger ones are shrunk.
    """

    rule: ClassVar[str] = "unpadded"
    side: Count
    longest: Count
    most: Count
    least: Count = 1
    limit: Count | None = None

    @formula("N_img = rows·(cols + 1) + N_tile")
    def encode(self, width: int, height: int, patch: int, merge: int) -> Encoded:
        """One token ends each row of patches."""
        sides = range(1, self.longest + 1)
        canvases = [(rows, cols) for rows in sides for cols in sides if self.least <= rows * cols <= self.most]
        down, across = max(canvases, key=lambda canvas: self._filled(canvas, width, height))
        each = self.side // patch
        rows, cols = each * down, each * across
        if width / height > cols / rows:
            rows -= (rows - int(round(height * (cols / width), 7))) // 2 * 2
        else:
            cols -= (cols - int(round(width * (rows / height), 7))) // 2 * 2
        ratio = math.sqrt(rows * cols / (self.limit * each**2)) if self.limit else 1.0
        if ratio > 1.1:
            rows, cols = int(rows // ratio), int(cols // ratio)
        return _tiled(down * across + 1, self.side, patch, 1)._replace(tokens=rows * (cols + 1) + each**2)

    def _filled(self, canvas: tuple[int, int], width: int, height: int) -> tuple[int, int]:
        """Pixels of the image that a canvas keeps, then how few it wastes."""
        down, across = self.side * canvas[0], self.side * canvas[1]
        scale = min(across / width, down / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - down * across


Rule = Annotated[
    Grid | Budget | Rows | Padded | Fixed | Tiles | Canvas | CrossAttention | Unpadded,
    Alternatives("rule", {one.rule: one for one in (Grid, Budget, Rows, Padded, Fixed, Tiles, Canvas, CrossAttention, Unpadded)}, default=""),
]


def _whole(merged: int, merge: int) -> Encoded:
    patches = merged * merge**2
    return Encoded(merged, patches, patches, merged)


def _tiled(tiles: int, side: int, patch: int, merge: int) -> Encoded:
    each = (side // patch) ** 2
    return Encoded(tiles * each // merge**2, tiles * each, each, tiles * each // merge**2)


def _arrangements(most: int) -> list[tuple[int, int]]:
    """Columns and rows of up to `most` tiles, fewer tiles first."""
    every = [(cols, rows) for cols in range(1, most + 1) for rows in range(1, most + 1) if cols * rows <= most]
    return sorted(every, key=lambda pair: pair[0] * pair[1])
