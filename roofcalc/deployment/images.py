"""Images in a prompt: how many, and the tokens and patches of each, by the family's rule."""

from __future__ import annotations

import re

from roofcalc.errors import RoofcalcError
from roofcalc.specs.image_rules import Encoded
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record
from roofcalc.specs.vision import Vision

FORMS = "COUNT@WIDTHxHEIGHT (2@1024x1024) or COUNT@TOKENS (2@1500)"
MAX_IMAGES, MAX_SIDE, MAX_TOKENS = 10_000, 100_000, 10_000_000


class Images(Record):
    """Images of every prompt.

    Attributes
    ----------
    count : int
    label : str
        As `--images` takes them.
    one : Encoded
        Tokens and patches of each.
    vision : Vision or None
        The tower that encodes them; None where its shape is not known: its time is not counted.
    """

    count: int
    label: str
    one: Encoded
    vision: Vision | None = None

    @property
    def tokens(self) -> int:
        """Tokens that the images add to a prompt."""
        return self.count * self.one.tokens

    @property
    def stated(self) -> str:
        """For the rows: the images and their tokens."""
        return f"{self.label}: {self.tokens} tokens"


def images(text: str, model: Model) -> Images:
    """The images that `--images` asks for, in prompts of a model.

    Raises
    ------
    RoofcalcError
        A text of neither form, a number out of range, or pixels where the catalog has no rule for the model.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*@\s*(?:(\d{1,7})\s*[xX]\s*(\d{1,7})|(\d{1,9}))\s*", text)
    if match is None:
        raise RoofcalcError(f"--images: {text!r} is not {FORMS}")
    count, width, height, tokens = (int(value) if value else 0 for value in match.groups())
    if not 1 <= count <= MAX_IMAGES or max(width, height) > MAX_SIDE or tokens > MAX_TOKENS or not (tokens or min(width, height)):
        raise RoofcalcError(
            f"--images: {text!r}: expected 1 to {MAX_IMAGES:,} images of 1 to {MAX_SIDE:,} pixels a side, or 1 to {MAX_TOKENS:,} tokens"
        )
    vision, label = model.vision, re.sub(r"\s", "", text).lower()
    if tokens:
        patches = tokens * vision.merge**2 if vision else tokens
        return Images(count, label, Encoded(tokens, patches, patches, tokens), vision)
    if vision is None:
        what = "sees no images" if not model.excluded else "has a tower whose shape is not in the catalog"
        raise RoofcalcError(f"--images: {model.name} {what}; give the tokens of an image: {count}@1000")
    if max(width, height) > 200 * min(width, height):
        raise RoofcalcError(f"--images: {width}x{height}: no processor takes a side 200 times the other")
    return Images(count, label, vision.encode(width, height), vision)
