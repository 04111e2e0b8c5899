"""The options for images in prompts and for LoRA adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.images import Images, images
from roofcalc.deployment.lora import lora
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from roofcalc.commands.request import Request


def with_adapters_and_images(request: Request, deployment: Deployment) -> Deployment:
    """The deployment with the adapters of `--lora` and the images of `--images`.

    Raises
    ------
    RoofcalcError
        Options that cannot be read, or pixels where the catalog has no rule for the model.
    """
    if (text := request.options.get("lora")) is not None:
        deployment = replace(deployment, lora=lora(text))
    found = _images(request, deployment.model)
    if found is not None:
        if found.vision is None:
            request.note(f"{deployment.model.name}: the catalog has no shape of its vision tower: the tower's time is not counted")
        elif "cross_attention" in deployment.model.excluded:
            request.note(f"{deployment.model.name}: the layers that look at the images are not in the times: the tower and the text alone are")
        deployment = replace(deployment, images=found)
    return deployment


def image_tokens(request: Request, model: Model) -> int:
    """Tokens that the images add to every prompt of a model."""
    found = _images(request, model)
    if found is None:
        return 0
    each = f"{found.one.tokens:,} tokens" + (" each" if found.count > 1 else "")
    request.note(f"{model.name}: prompts include {found.tokens:,} tokens of {found.count} image{'s' if found.count > 1 else ''} ({each}), --images")
    return found.tokens


def _images(request: Request, model: Model) -> Images | None:
    text = request.options.get("images")
    return None if text is None else images(text, model)
