"""Micro-benchmarks of kernels -> achieved fractions of the peaks of each device.

Input are two tables: times of single kernels (device, kind, dtype, shape, microseconds), and figures published in aggregated
form (device, what, key, value). FLOPs and bytes are counted as in `roofcalc.physics.ops`, so that the fractions apply to the
roofline of the calculator. Kernel shapes: m tokens times a k × n matrix; b sequences of s tokens with h query heads and kv KV
heads of size d; g ranks that reduce a number of bytes.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.physics.ops.types import ACTIVATION_BYTES
from roofcalc.specs import dtypes
from roofcalc.specs.device import Device

SOURCES = {
    "aic": "https://github.com/ai-dynamo/aiconfigurator/tree/095f58a/aic-core/src/aiconfigurator_core/systems/data",
    "vidur": "https://github.com/microsoft/vidur/tree/7d475133/data/profiling",
    "deepgemm": "https://github.com/deepseek-ai/DeepGEMM/blob/78cacf70/README.md",
    "mamf": "https://github.com/stas00/ml-engineering/blob/744d01e/compute/accelerator/README.md",
    "mamf1": "https://github.com/stas00/ml-engineering/blob/b9e29720eebd4aa946fa9678975385efbc90a777/compute/accelerator/README.md",
    "network": "https://github.com/stas00/ml-engineering/blob/744d01e/network/README.md",
}
"""Prefixes of the column `source`, and the page or folder that each refers to."""

GRID = np.arange(0.02, 1.0001, 0.01)
LATENT, ROPE, LATENT_FP8_BYTES = 512, 64, 656.0  # MLA cache entries of DeepSeek-V3, to which all rows of kind `latent` refer


class Kernel(NamedTuple):
    """One timed kernel: its times at peak compute and at peak bandwidth, and the measured time. [s]"""

    device: str
    kind: str
    dtype: str
    shape: dict[str, int]
    compute_s: float
    memory_s: float
    seconds: float
    source: str


def read(path: str | Path, as_on: Mapping[str, str] | None = None) -> list[Kernel]:
    """The kernels of a table; those of a device in `as_on`, except collectives, also count for the device that it maps to."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows += [{**row, "device": other} for row in rows if row["kind"] != "all_reduce" and (other := (as_on or {}).get(row["device"]))]
    return [_kernel(row) for row in rows]


def figures(path: str | Path) -> list[dict[str, str]]:
    """Aggregated figures: rows of device, what, key, value, source."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _kernel(row: dict[str, str]) -> Kernel:
    device = lookup.hardware(row["device"])[0].device
    shape = {name: int(number) for name, number in re.findall(r"([a-z]+)(\d+)", row["shape"])}
    flops, moved = _WORK[row["kind"]](shape, row["dtype"])
    peak = device.peak_tflop_s[_format(device, row["kind"], row["dtype"])] * 1e12
    memory = device.memory.bandwidth_gb_s * 1e9
    dtype = "bf16" if row["dtype"] == "fp16" else row["dtype"]
    return Kernel(device.name, row["kind"], dtype, shape, flops / peak, moved / memory, float(row["us"]) * 1e-6, row["source"])


def _format(device: Device, kind: str, dtype: str) -> str:
    wanted = dtypes.dtype(dtype).compute if kind == "product" else dtype
    found = dtypes.arithmetic_format(device, wanted)
    assert found is not None
    return found


def _product(shape: dict[str, int], dtype: str) -> tuple[float, float]:
    m, n, k = shape["m"], shape["n"], shape["k"]
    return 2.0 * m * n * k, n * k * dtypes.dtype(dtype).bytes_per_element + m * (n + k) * ACTIVATION_BYTES


def _decode(shape: dict[str, int], dtype: str) -> tuple[float, float]:
    tokens = shape["b"] * shape["s"]
    return 4.0 * tokens * shape["h"] * shape["d"], 2.0 * tokens * shape["kv"] * shape["d"] * dtypes.dtype(dtype).bytes_per_element


def _latent(shape: dict[str, int], dtype: str) -> tuple[float, float]:
    tokens = shape["b"] * shape["s"]
    return 2.0 * tokens * shape["h"] * (2 * LATENT + ROPE), tokens * (LATENT_FP8_BYTES if dtype == "fp8" else (LATENT + ROPE) * 2.0)


def _prompt(shape: dict[str, int], dtype: str) -> tuple[float, float]:
    pairs = shape["b"] * shape["s"] * (shape["s"] + 1) / 2
    return 4.0 * pairs * shape["h"] * shape["d"], 2.0 * shape["b"] * shape["s"] * shape["kv"] * shape["d"] * dtypes.dtype(dtype).bytes_per_element


def _all_reduce(shape: dict[str, int], dtype: str) -> tuple[float, float]:
    return 0.0, 0.0


_WORK = {"product": _product, "decode": _decode, "latent": _latent, "prompt": _prompt, "all_reduce": _all_reduce}


def pair(kernels: Iterable[Kernel], memory: float | None = None) -> tuple[float, float]:
    """Fitted fractions of peak compute and bandwidth, with the time of each kernel the larger of its two times.

    Minimises the sum of |ln(predicted/measured)| on a grid of hundredths. Each publisher has the same total weight; ties go to
    the largest fractions. The fraction of the bandwidth may be given as `memory`.
    """
    rows = list(kernels)
    compute_s, memory_s, seconds = (np.array([getattr(one, name) for one in rows]) for name in ("compute_s", "memory_s", "seconds"))
    grid = GRID[::-1] if memory is None else np.array([memory])
    predicted = np.maximum(compute_s / GRID[::-1, None, None], memory_s / grid[None, :, None])
    publishers = [one.source.split(":")[0] for one in rows]
    weights = np.array([1 / publishers.count(one) for one in publishers])
    missed = (np.abs(np.log(predicted / seconds)) * weights).sum(axis=-1)
    best = np.unravel_index(np.argmin(missed), missed.shape)
    return round(float(GRID[::-1][best[0]]), 2), round(float(grid[best[1]]), 2)


def log_errors(kernels: Iterable[Kernel], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """|ln(predicted/measured)| of the kernels of each kind, at the efficiencies of their device."""
    found: dict[str, list[float]] = {}
    for one in kernels:
        entry = entries.get(one.device, {})
        if one.kind == "product" and one.dtype in entry.get("gemm", {}):
            compute, memory = entry["gemm"][one.dtype], entry["weight_read"][one.dtype]
        elif one.kind in ("decode", "latent") and one.dtype in entry.get("decode_attention", {}):
            compute, memory = entry["decode_attention"][one.dtype]
        elif one.kind == "prompt" and one.dtype in entry.get("prefill_attention", {}):
            compute, memory = entry["prefill_attention"][one.dtype], 1.0
        else:
            continue
        found.setdefault(one.kind, []).append(abs(float(np.log(max(one.compute_s / compute, one.memory_s / memory) / one.seconds))))
    return found


def by_device(kernels: list[Kernel]) -> dict[str, dict[str, Any]]:
    """Efficiencies of each device from its kernels, by the fields of `roofcalc.deployment.efficiency`.

    The bandwidth fraction of attention comes from GQA kernels; its compute fraction from MLA kernels, in which many heads share
    an entry, limited to that of GEMMs.
    """
    found: dict[str, dict[str, Any]] = {}
    for device in dict.fromkeys(one.device for one in kernels):
        own = [one for one in kernels if one.device == device]
        products = {dtype: pair(rows) for dtype, rows in _groups(own, "product").items()}
        if "bf16" not in products:
            continue
        entry = found.setdefault(device, {})
        entry["gemm"] = {dtype: one[0] for dtype, one in products.items()}
        entry["weight_read"] = {dtype: one[1] for dtype, one in products.items()}
        latent = _groups(own, "latent")
        decode = {}
        for dtype, rows in _groups(own, "decode").items():
            memory = pair(rows)[1]
            most = entry["gemm"][dtype]
            decode[dtype] = (min(most, pair(latent[dtype], memory)[0]) if dtype in latent else most, memory)
        entry |= {"decode_attention": decode} if decode else {}
        prompt = {dtype: pair(rows)[0] for dtype, rows in _groups(own, "prompt").items()}
        entry |= {"prefill_attention": prompt} if prompt else {}
    return found


def _groups(kernels: list[Kernel], *kinds: str) -> dict[str, list[Kernel]]:
    found: dict[str, list[Kernel]] = {}
    for one in kernels:
        if one.kind in kinds:
            found.setdefault(one.dtype, []).append(one)
    return found


def reductions(kernels: list[Kernel], link_gb_s: float) -> dict[str, tuple[float, ...]]:
    """Fits of all-reduce times of one device by number of ranks, for one-shot and ring algorithms.

    Returns a latency in microseconds and a fraction of the link bandwidth for each of the two. Both use the bandwidth of the
    largest message. The first latency follows from the smallest message; the second is fitted to all in whole microseconds.
    """
    found: dict[str, tuple[float, ...]] = {}
    for ranks in sorted({one.shape["g"] for one in kernels}):
        rows = sorted((one.shape["bytes"], one.seconds) for one in kernels if one.shape["g"] == ranks)
        size, seconds = np.array(rows).T
        ring = 2 * (ranks - 1) / ranks
        rate = ring * size[-1] / seconds[-1]
        first = max(0.0, seconds[0] - (ranks - 1) * size[0] / rate)
        tried = np.arange(0, 200) * 1e-6
        predicted = np.minimum(first + (ranks - 1) * size / rate, tried[:, None] + ring * size / rate)
        second = tried[np.argmin(np.abs(np.log(predicted / seconds)).sum(axis=-1))]
        share = round(min(1.0, float(rate) / (link_gb_s * 1e9)), 3)
        found[str(ranks)] = (round(float(first) * 1e6, 1), share, round(float(second) * 1e6, 1), share)
    return found
