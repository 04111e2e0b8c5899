"""Kernel models against an H100 that no fit has seen: h100_sxm_device.csv, written there by tests/benchmarks/device/measure.py.

torch's GEMMs are cuBLAS, as those of the engines in 16 bit; its decode attention is FlashAttention 2, so only the scale is comparable.
"""

import csv
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from roofcalc.physics.kernels.attention import DecodeParameters, decode_s
from roofcalc.physics.kernels.gemm import GemmParameters, gemm_s
from roofcalc.physics.kernels.profile import fits, parameters
from tools.calibrate.devices import facts_of

FIGURES = Path(__file__).with_name("h100_sxm_device.csv")


def figures(kernel: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Numbers of the shapes and measured microseconds of the bf16 kernels whose name begins so."""
    with FIGURES.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kernel"].startswith(kernel) and row["dtype"] == "bf16"]
    shapes = np.array([[int(digits) for digits in re.findall(r"\d+", row["shape"])] for row in rows])
    return shapes.T, np.array([float(row["latency_us"]) for row in rows])


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_gemms_of_a_device_that_was_not_fitted(engine: str) -> None:
    (m, n, k), measured_us = figures("gemm")
    facts = facts_of("h100-sxm", "bf16", fits())
    constants, source = parameters(GemmParameters, "gemm", "h100-sxm", facts, engine, "bfloat16")
    errors = np.log(gemm_s(constants, facts, m, n, k) * 1e6 / measured_us)
    assert source.exact and len(errors) == 28
    assert np.median(np.abs(errors)) <= 0.10 and np.quantile(np.abs(errors), 0.9) <= 0.25 and abs(np.median(errors)) <= 0.08


def test_decode_attention_of_a_device_that_was_not_fitted() -> None:
    (sequences, entries, heads, kv_heads, width), measured_us = figures("attention_decode")
    facts = facts_of("h100-sxm", "bf16", fits())
    constants, _ = parameters(DecodeParameters, "decode", "h100-sxm", facts, "vllm", "bf16")
    predicted_us = decode_s(constants, facts, sequences, entries, heads, kv_heads, 4.0 * width, 4.0 * width) * 1e6
    assert np.median(np.abs(np.log(predicted_us / measured_us))) <= 0.20
