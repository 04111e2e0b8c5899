"""The engine that `typical` takes where none is named, and the layout that an engine takes unless it is told otherwise."""

from __future__ import annotations

from roofcalc.deployment.engines import split
from roofcalc.specs.device import Device
from roofcalc.specs.weight_recipes import parse

ONE_EACH = ("tp", "dp", "ep", "dcp")  # degrees of an engine that divides layers alone


def usual_engine(device: Device, weights: str) -> tuple[str, str] | None:
    """An engine and why it is taken: llama.cpp for GGUF weights, MLX on Apple devices; None where the preset's runs."""
    if parse(weights).gguf:
        return "llama.cpp", "the weights are GGUF"
    return ("mlx", f"{device.name} is an Apple device") if device.vendor == "Apple" else None


def divides_layers(engine: str | None) -> bool:
    """Whether an engine divides layers over its devices unless it is told otherwise (llama.cpp: `--split-mode layer`)."""
    return engine is not None and split(engine)[0] == "llama.cpp"
