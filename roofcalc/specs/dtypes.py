"""Number formats: bytes per element, the peak that an operation gets, and what a device lacks.

Knows formats and a device's peaks; not which tensor has which dtype (`roofcalc.deployment`).
"""

import re
from functools import lru_cache

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Device
from roofcalc.specs.record import Record

WIDTH_BITS = {"fp4": 4, "int4": 4, "fp6": 6, "fp8": 8, "int8": 8, "bf16": 16, "fp16": 16, "fp16_acc16": 16, "tf32": 32, "fp32": 32}

# Where a device lacks a format, arithmetic runs at the next wider one: never from a float to an integer format.
_WIDER = {
    "fp4": ("fp6", "fp8", "bf16", "fp16", "fp32"),
    "fp6": ("fp8", "bf16", "fp16", "fp32"),
    "fp8": ("bf16", "fp16", "fp32"),
    "int4": ("int8", "bf16", "fp16", "fp32"),
    "int8": ("bf16", "fp16", "fp32"),
    "bf16": ("fp16", "fp32"),
    "fp16": ("bf16", "fp32"),
    "fp16_acc16": ("fp16", "bf16", "fp32"),
    "tf32": ("fp32",),
    "fp32": (),
}


class Dtype(Record):
    """How weights or cache entries are stored.

    Attributes
    ----------
    bytes_per_element : float
        Scales included.
    compute : str
        The format of the arithmetic: the wider of this dtype and the activations that go with it.
    bits : int
        Width of an element without its scales.
    """

    name: str
    bytes_per_element: float
    compute: str
    bits: int

    @property
    def is_fp8(self) -> bool:
        return self.compute == "fp8" and self.bits == 8


def _gguf(name: str, bits_per_weight: float) -> Dtype:
    return Dtype(name, bits_per_weight / 8, "bf16", int(bits_per_weight))


_DTYPES = {
    dtype.name: dtype
    for dtype in (
        Dtype("fp32", 4.0, "fp32", 32),
        Dtype("bf16", 2.0, "bf16", 16),
        Dtype("fp16", 2.0, "fp16", 16),
        Dtype("fp8", 1.0, "fp8", 8),  # per-tensor or per-channel scales neglected
        Dtype("int8", 1.0, "int8", 8),
        Dtype("fp8-block128", 1.0 + 4 / 128**2, "fp8", 8),  # one fp32 scale per 128 × 128 block
        Dtype("mxfp8", 1.0 + 1 / 32, "fp8", 8),  # OCP Microscaling v1.0: an 8-bit scale per 32
        Dtype("nvfp4", 0.5 + 1 / 16, "fp4", 4),  # an 8-bit scale per 16
        Dtype("mxfp4", 0.5 + 1 / 32, "fp8", 4),  # as gpt-oss and DeepSeek V4 are served: fp8 activations
        # Bits per weight by the block layouts of ggml; q4_k_m mixes block types: llama.cpp's tools/quantize README
        _gguf("q8_0", 8.5),
        _gguf("q6_k", 6.5625),
        _gguf("q5_k", 5.5),
        _gguf("q4_k", 4.5),
        _gguf("q4_0", 4.5),
        _gguf("q4_k_m", 4.85),
    )
}


@lru_cache(maxsize=64)
def dtype(name: str) -> Dtype:
    """The dtype called `name`; `int4-gN` has one 16-bit scale per N elements, `int4` is int4-g128.

    Raises
    ------
    RoofcalcError
        Unknown name; lists the nearest and all.
    """
    wanted = name.strip().lower()
    if wanted in _DTYPES:
        return _DTYPES[wanted]
    if match := re.fullmatch(r"int4(?:-g(\d{1,6}))?", wanted):
        group = int(match.group(1) or 128)
        if group > 0:
            return Dtype(wanted, 0.5 + 2 / group, "bf16", 4)
    known = (*_DTYPES, "int4", "int4-g128")
    raise RoofcalcError(f"unknown dtype {name!r}{did_you_mean(wanted, known)}; known: {', '.join((*_DTYPES, 'int4', 'int4-gN'))}")


def usable(device: Device, wanted: str) -> str | None:
    """The format that arithmetic in `wanted` runs at: itself, or the next wider that the device has."""
    return next((name for name in (wanted, *_WIDER[wanted]) if name in device.peak_tflop_s), None)


def widest_known(device: Device) -> list[str]:
    """The device's formats that a computation may ask for."""
    return [name for name in device.peak_tflop_s if name in WIDTH_BITS]


def fastest(device: Device, bits: int) -> str | None:
    """The device's fastest format at least `bits` wide: what any kernel could use for such elements."""
    fitting = [name for name in widest_known(device) if WIDTH_BITS[name] >= bits]
    return max(fitting, key=lambda name: device.peak_tflop_s[name], default=None)
