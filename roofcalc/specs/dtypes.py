"""Number formats: bytes per element, the arithmetic format of each, and fallbacks where a device lacks a format.

Which tensor of a deployment has which dtype is decided in `roofcalc.specs.stored_weights`.
"""

import re
from collections.abc import Sequence
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


# Bits per weight of ggml's block types, scales and minima included: block sizes of ggml/src/ggml-common.h, ggml-org/llama.cpp.
GGML_BITS = {
    "q8_0": 8.5,
    "q6_k": 6.5625,
    "q5_1": 6.0,
    "q5_0": 5.5,
    "q5_k": 5.5,
    "q4_1": 5.0,
    "q4_0": 4.5,
    "q4_k": 4.5,
    "iq4_nl": 4.5,
    "iq4_xs": 4.25,
    "q3_k": 3.4375,
    "iq3_s": 3.4375,
    "iq3_xxs": 3.0625,
    "q2_k": 2.625,
    "iq2_s": 2.5625,
    "iq2_xs": 2.3125,
    "iq2_xxs": 2.0625,
    "tq2_0": 2.0625,
    "iq1_m": 1.75,
    "tq1_0": 1.6875,
    "iq1_s": 1.5625,
}


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
        Dtype("nf4", 0.5 + 4 / 64, "bf16", 4),  # bitsandbytes: a 32-bit scale per 64
        Dtype("nf4-dq", 0.5 + 1 / 64 + 4 / (64 * 256), "bf16", 4),  # with scales quantised to 8 bits, and a 32-bit one per 256 of those
        Dtype("ternary", 0.25, "bf16", 2),  # BitNet b1.58: four weights of -1, 0 or 1 per byte
        *(Dtype(name, bits / 8, "int8", int(bits)) for name, bits in GGML_BITS.items()),  # llama.cpp rounds activations to 8 bits (q8_1)
    )
}


NAMES = tuple(_DTYPES)

# Other names of the same formats.
_ALIASES = {
    **dict.fromkeys(("float32", "float", "f32"), "fp32"),
    **dict.fromkeys(("bfloat16", "bfloat"), "bf16"),
    **dict.fromkeys(("float16", "half", "f16"), "fp16"),
    **dict.fromkeys(("fp8_e4m3", "fp8_e5m2", "fp8_e4m3fn", "fp8_e4m3fnuz", "float8_e4m3fn", "float8_e5m2", "f8_e4m3", "e4m3", "e5m2"), "fp8"),
    **dict.fromkeys(("fp8-block", "fp8_block", "fp8-blockwise"), "fp8-block128"),
    "float4_e2m1": "nvfp4",
    "i8": "int8",
}
MAX_GROUP = 10**6


@lru_cache(maxsize=512)
def dtype(name: str) -> Dtype:
    """The dtype called `name`.

    Integers of B bits: `intB-gN` has one 16-bit scale per N elements, `intB-gN-zp` a zero point of B bits too (AWQ, GPTQ),
    `intB-channel` a scale per output channel, which is neglected. `int4` is int4-g128, and so are int2, int3, int5 and int6;
    `int8` has a scale per channel and 8-bit activations. `mlxB-gN` has a 16-bit scale and a 16-bit bias per N elements (MLX).
    `fp8-blockRxC` has a 32-bit scale per R x C block. `4.25bpw` is a mean of so many bits per weight, scales included (EXL2, mixes of GGUF types).

    Raises
    ------
    RoofcalcError
        Unknown name; the message gives the nearest names and all known ones.
    """
    wanted = name.strip().lower()
    wanted = _ALIASES.get(wanted, wanted)
    if wanted in _DTYPES:
        return _DTYPES[wanted]
    if found := _grouped(wanted):
        return found
    known = (*_DTYPES, "int4", "int4-g128")
    raise RoofcalcError(f"unknown dtype {name!r}{did_you_mean(wanted, known)}; known: {', '.join((*_DTYPES, 'int4', 'int4-gN'))}")


def is_dtype(name: str) -> bool:
    """Whether `dtype` knows the name."""
    try:
        return bool(dtype(name))
    except RoofcalcError:
        return False


def _grouped(name: str) -> Dtype | None:
    """Formats with a scale per group of any size."""
    if match := re.fullmatch(r"int([234568])(?:-(?:g(\d{1,7})(-zp)?|(channel)))?", name):
        bits, group = int(match.group(1)), int(match.group(2) or 128)
        if match.group(4):
            return Dtype(name, bits / 8, "bf16", bits)
        if 0 < group <= MAX_GROUP:
            return Dtype(name, bits / 8 + (2 + (bits / 8 if match.group(3) else 0)) / group, "bf16", bits)
    if (match := re.fullmatch(r"mlx([234568])-g(\d{1,7})", name)) and 0 < (group := int(match.group(2))) <= MAX_GROUP:
        bits = int(match.group(1))
        return Dtype(name, bits / 8 + 4 / group, "bf16", bits)
    if (match := re.fullmatch(r"fp8-block(\d{1,6})x(\d{1,6})", name)) and (block := int(match.group(1)) * int(match.group(2))):
        return Dtype(name, 1 + 4 / block, "fp8", 8)
    if (match := re.fullmatch(r"(\d{1,2}(?:\.\d{1,4})?)bpw", name)) and 0.5 <= (mean := float(match.group(1))) <= 32:
        return Dtype(f"{mean:g}bpw", mean / 8, "bf16", min(16, int(mean)))
    return None


def arithmetic_format(device: Device, wanted: str) -> str | None:
    """`wanted` if the device supports it, else the first fallback that it supports; None where there is none."""
    return next((name for name in (wanted, *_WIDER[wanted]) if name in device.peak_tflop_s), None)


def known_formats(device: Device) -> list[str]:
    """The formats of a device that dtypes compute in."""
    return [name for name in device.peak_tflop_s if name in WIDTH_BITS]


def fastest(device: Device, bits: int, set_peaks: Sequence[str] = ()) -> str | None:
    """The device's format of at least `bits` bits with the highest peak: an upper bound for kernels on such elements.

    Where the peak of one of these formats was set (`set_peaks`), wider ones do not overrule it.
    """
    fitting = [name for name in known_formats(device) if WIDTH_BITS[name] >= bits]
    if chosen := [WIDTH_BITS[name] for name in set_peaks if name in fitting]:
        fitting = [name for name in fitting if WIDTH_BITS[name] <= min(chosen)]
    return max(fitting, key=lambda name: device.peak_tflop_s[name], default=None)
