"""Dtypes: their bytes, the peak that each gets, and what a device lacks."""

import pytest

from roofcalc.errors import RoofcalcError
from roofcalc.specs import dtypes
from roofcalc.specs.device import Device, Memory
from tests.laws.test_laws import on


def device(**peaks: float) -> Device:
    return Device(name="d", vendor="v", memory=Memory(capacity_gb=80, bandwidth_gb_s=3000), peak_tflop_s=peaks)


@pytest.mark.parametrize(
    ("name", "bits"),
    # elements and scales by hand: a 4-byte scale per 128 × 128, 8 bits per 32 or 16, 16 bits per group; ggml block sizes in bytes
    [
        ("fp32", 32),
        ("bf16", 16),
        ("fp16", 16),
        ("fp8", 8),
        ("int8", 8),
        ("fp8-block128", 8 + 32 / 16_384),
        ("mxfp8", 8.25),
        ("nvfp4", 4.5),
        ("mxfp4", 4.25),
        ("int4", 4.125),
        ("int4-g128", 4.125),
        ("int4-g32", 4.5),
        ("q8_0", 34 * 8 / 32),
        ("q6_k", 210 * 8 / 256),
        ("q5_k", 176 * 8 / 256),
        ("q4_k", 144 * 8 / 256),
        ("q4_0", 18 * 8 / 32),
        ("q3_k", 110 * 8 / 256),
        ("q2_k", 84 * 8 / 256),
        ("iq4_xs", 136 * 8 / 256),
        ("iq3_s", 110 * 8 / 256),
        ("iq2_xxs", 66 * 8 / 256),
        ("iq1_s", 50 * 8 / 256),
        ("tq1_0", 54 * 8 / 256),
        ("int4-g128-zp", 4 + (16 + 4) / 128),
        ("int3-g64", 3 + 16 / 64),
        ("mlx4-g64", 4 + (16 + 16) / 64),
        ("nf4", 4 + 32 / 64),
        ("nf4-dq", 4 + 8 / 64 + 32 / (64 * 256)),
        ("fp8-block1x128", 8 + 32 / 128),
        ("4.85bpw", 4.85),
    ],
)
def test_bits_per_element(name: str, bits: float) -> None:
    assert dtypes.dtype(name).bytes_per_element * 8 == pytest.approx(bits, rel=1e-12)


@pytest.mark.parametrize(
    ("has", "wanted", "runs"),
    [
        ({"fp4": 4, "fp8": 2, "bf16": 1}, "fp4", "fp4"),
        ({"fp6": 3, "fp8": 2, "bf16": 1}, "fp4", "fp6"),
        ({"fp8": 2, "bf16": 1}, "fp4", "fp8"),
        ({"int8": 2, "bf16": 1}, "fp8", "bf16"),  # never from a float to an integer format
        ({"int8": 2, "bf16": 1}, "int4", "int8"),
        ({"bf16": 1}, "int8", "bf16"),
        ({"fp16": 1, "fp32": 0.5}, "bf16", "fp16"),
        ({"fp32": 0.5}, "bf16", "fp32"),
        ({"bf16": 1}, "fp16", "bf16"),  # devices with only one 16-bit format
        ({"fp64": 1}, "bf16", None),
    ],
)
def test_what_a_device_lacks_runs_at_the_next_wider(has: dict[str, float], wanted: str, runs: str | None) -> None:
    assert dtypes.arithmetic_format(device(**has), wanted) == runs


def test_the_fastest_format_that_is_wide_enough() -> None:
    has = device(fp4=9, fp8=4, int8=5, bf16=2, fp16=2, fp16_acc16=3)
    assert [dtypes.fastest(has, bits) for bits in (4, 8, 16)] == ["fp4", "int8", "fp16_acc16"]


@pytest.mark.parametrize(
    ("weights", "format"),
    [("bf16", "bf16"), ("fp8", "fp8"), ("mxfp8", "fp8"), ("mxfp4", "fp8"), ("int8", "int8"), ("int4", "bf16"), ("q4_k_m", "int8")],
)
def test_arithmetic_goes_by_weights_and_activations(weights: str, format: str) -> None:
    assert on("llama-3.1-8b", "h100-sxm", weights).linear_format("mlp") == format


@pytest.mark.parametrize(
    ("machine", "weights", "engine", "format"),
    [
        # llama.cpp: int8 tensor cores for K-quants (https://github.com/ggml-org/llama.cpp/pull/7860), fp16 products with sums of 16 bits
        ("rtx-4080", "q4_k_m", "llama.cpp", "int8"),
        ("rtx-4080", "fp16", "llama.cpp", "fp16_acc16"),
        ("rtx-4080", "bf16", "llama.cpp", "bf16"),
        ("rtx-4080", "fp16", "vllm", "fp16"),
        ("l40s", "fp16", "llama.cpp", "fp16"),  # no faster with sums of 16 bits
        ("m3-max", "q4_k_m", "llama.cpp", "fp16"),  # Apple's GPUs have no int8 peak
        ("h100-sxm", "mxfp4", "llama.cpp", "int8"),
        ("h100-sxm", "mxfp4", "vllm", "fp8"),
        ("rtx-4080", "int4", "vllm", "bf16"),
    ],
)
def test_the_arithmetic_of_llama_cpp(machine: str, weights: str, engine: str, format: str) -> None:
    for preset in ("roofline", "typical"):
        assert on("llama-3.1-8b", machine, weights, engine=engine, assume=preset).linear_format("mlp") == format


def test_attention_is_fp8_only_with_an_fp8_cache() -> None:
    assert on("llama-3.1-8b", "h100-sxm", "bf16", "fp8").attention_format == "fp8"
    assert on("llama-3.1-8b", "h100-sxm", "fp8", "bf16").attention_format == "bf16"
    assert on("llama-3.1-8b", "h100-sxm", "fp8", "int8").attention_format == "bf16"
    assert on("llama-3.1-8b", "a100-sxm-80gb", "fp8", "fp8").attention_format == "bf16"


def test_bound_takes_the_fastest_that_any_kernel_could() -> None:
    # RTX 4090: half precision with 16-bit accumulation runs at twice the rate with 32-bit accumulation
    usual, bound = (on("llama-3.1-8b", "rtx-4090", "bf16", assume=name) for name in ("roofline", "bound"))
    assert usual.linear_format("mlp") == "bf16" and bound.linear_format("mlp") == "fp16_acc16"
    assert bound.flop_per_s("fp16_acc16") == pytest.approx(330.3e12 * bound.hardware.device.best.clock)
    assert on("llama-3.1-8b", "b200-sxm", "mxfp4", assume="bound").linear_format("mlp") == "fp4"


@pytest.mark.parametrize("name", ["fp4", "", "int4-g0", "int4-gx", "float8", "int4-g128128128"])
def test_unknown_dtype(name: str) -> None:
    with pytest.raises(RoofcalcError, match="unknown dtype"):
        dtypes.dtype(name)
