"""Number formats: bytes per element, the arithmetic format of each, and fallbacks where a device lacks a format.

Which tensor of a deployment has which dtype is decided in `roofcalc.deployment`.
"""

import re
from functools import lru_cache

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Device
from roofcalc.specs.record import Record

WIDTH_BITS = {"fp4": 4, "int4": 4, "fp6": 6, "fp8": 8, "int8": 8, "bf16": 16, "fp16": 16, "fp16_acc16": 16, "tf32": 32, "fp32": 32}

# Fallbacks in order of preference where a device lacks a format; a floating-point format never falls back to an integer one.
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
    """Storage format of weights or KV cache entries.

    Attributes
    ----------
    bytes_per_element : float
        Including scales.
    compute : str
        Format of the arithmetic: the wider of this dtype and the activations used with it.
    bits : int
        Width of an element without scales.
    """

    name: str
    bytes_per_element: float
    compute: str
    bits: int

    @property
    def is_fp8(self) -> bool:
        """Whether elements are 8-bit floats."""
        return self.compute == "fp8" and self.bits == 8


def _gguf(name: str, bits_per_weight: float) -> Dtype:
    return Dtype(name, bits_per_weight / 8, "bf16", int(bits_per_weight))


_DTYPES = {
    dtype.name: dtype
    for dtype in (
        Dtype("fp32", 4.0, "fp32", 32),
        Dtype("bf16", 2.0, "bf16", 16),
        Dtype("fp16", 2.0, "fp16", 16),
        Dtype("fp8", 1.0, "fp8", 8),  # per-tensor or per-channel scales are neglected
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
    """The dtype called `name`. `int4-gN` has one 16-bit scale per N elements; `int4` is int4-g128.

    Raises
    ------
    RoofcalcError
        Unknown name; the message gives the nearest names and all known ones.
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


def arithmetic_format(device: Device, wanted: str) -> str | None:
    """`wanted` if the device supports it, else the first fallback that it supports; None where there is none."""
    return next((name for name in (wanted, *_WIDER[wanted]) if name in device.peak_tflop_s), None)


def known_formats(device: Device) -> list[str]:
    """The formats of a device that dtypes compute in."""
    return [name for name in device.peak_tflop_s if name in WIDTH_BITS]


def fastest(device: Device, bits: int) -> str | None:
    """The device's format of at least `bits` bits with the highest peak: an upper bound for kernels on such elements."""
    fitting = [name for name in known_formats(device) if WIDTH_BITS[name] >= bits]
    return max(fitting, key=lambda name: device.peak_tflop_s[name], default=None)
