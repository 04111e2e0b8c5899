"""Bytes per element, and the peak that an operation gets."""

from tests.reference.case import Case

BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp8-block128": 1 + 4 / 16384,
    "mxfp8": 1 + 1 / 32,
    "nvfp4": 0.5 + 1 / 16,
    "mxfp4": 0.5 + 1 / 32,
    "int4": 0.5 + 2 / 128,
    "int4-g128-zp": 0.5 + 2 / 128 + 0.5 / 128,
    "int4-g32": 0.5 + 2 / 32,
}
ARITHMETIC = {
    "fp32": "fp32",
    "bf16": "bf16",
    "fp16": "fp16",
    "fp8": "fp8",
    "fp8-block128": "fp8",
    "mxfp8": "fp8",
    "int8": "int8",
    "nvfp4": "fp4",
    "mxfp4": "fp8",
    "int4": "bf16",
    "int4-g128-zp": "bf16",
    "int4-g32": "bf16",
}
INSTEAD = {
    "fp4": ["fp4", "fp6", "fp8", "bf16", "fp16", "fp32"],
    "fp8": ["fp8", "bf16", "fp16", "fp32"],
    "int8": ["int8", "bf16", "fp16", "fp32"],
    "bf16": ["bf16", "fp16", "fp32"],
    "fp16": ["fp16", "bf16", "fp32"],
    "fp32": ["fp32"],
}
ALWAYS_WIDE = ("router", "index", "norm")


def stored(case: Case, tensor: str) -> str:
    """The dtype of a class of tensors: the checkpoint's, or the one asked for: `all=fp8` of every matrix, `fp8` of the blocks' linear layers."""
    own = case.model.dtype
    default = own if isinstance(own, str) else own.default
    wide = "fp16" if default == "fp16" else "bf16"
    if case.weights != "native":
        asked = case.weights.removeprefix("all=")
        whole = asked != case.weights or BYTES[asked] >= 2
        return wide if tensor in ALWAYS_WIDE or (tensor in ("embed", "head") and not whole) else asked
    named = None if isinstance(own, str) else getattr(own, tensor)
    if named:
        return str(named)
    return wide if tensor in ALWAYS_WIDE and BYTES[default] < 2 else default


def size(case: Case, tensor: str) -> float:
    return BYTES[stored(case, tensor)]


def peak_name(case: Case, wanted: str) -> str:
    return next(name for name in INSTEAD[wanted] if name in case.hardware.device.peak_tflop_s)


def flop_per_s(case: Case, tensor: str) -> float:
    """The rate of products by weights of a class; of `kv`, of products with the cache; of `scores`, of an indexer's; of `state`, of its update."""
    has = case.hardware.device.peak_tflop_s
    if tensor == "kv":
        wanted = "fp8" if case.kv in ("fp8", "mxfp8", "fp8-block128") and "fp8" in has else "bf16"
    elif tensor == "scores":
        wanted = "fp8"
    elif tensor in ("update", *ALWAYS_WIDE):
        wanted = "bf16"
    else:
        wanted = ARITHMETIC[stored(case, tensor)]
    return float(has[peak_name(case, wanted)]) * 1e12


def narrow_experts(case: Case) -> bool:
    """Whether experts compute in fp8 or narrower floats, so that tokens travel to them in one byte."""
    return peak_name(case, ARITHMETIC[stored(case, "experts")]) in ("fp8", "fp6", "fp4")
