"""Lint rules for devices: wrong units, sparse peaks and bidirectional link bandwidths fall outside plausible ranges.

The ranges hold for every accelerator in the catalog with a margin; exceptions are explained in an entry's `unusual`.
"""

import re

from roofcalc.catalog.lint_rules.finding import TOLERANCE, Issue, Issues, outside, unlike
from roofcalc.specs.device import Device, Link

# Plausible ratios of two peaks: (format, reference format, ratios). `half` is bf16, or fp16 on devices without bf16.
_RATIOS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("fp16", "bf16", (1,)),
    ("tf32", "half", (0.5, 1)),
    ("fp16_acc16", "fp16", (1, 2)),
    ("fp8", "half", (1, 2)),
    ("fp6", "fp8", (1, 2)),
    ("fp4", "fp8", (1, 2, 3, 4)),
    ("int4", "int8", (1, 2)),
)
# Dense half-precision peak over the non-tensor fp32 peak, the highest of each family by data sheets: V100 125/15.7, T4 65/8.1,
# A100 312/19.5, L40S 362/91.6, H100 989/67, GB200 2500/80, Rubin 4000/130, MI210 181/45.3, MI300X 1307/163.4,
# MI355X 2517/157.3. Twice as much is a peak with sparsity; lower ratios are not conclusive.
_DENSE_OVER_FP32 = {
    "volta": 8,
    "turing": 8,
    "ampere": 16,
    "ada lovelace": 4,
    "hopper": 16,
    "blackwell": 32,
    "blackwell ultra": 32,
    "rubin": 32,
    "cdna 2": 8,
    "cdna 3": 8,
    "cdna 4": 16,
}
# Bandwidth per device and direction in GB/s by generation: NVLink of switched devices, PCIe with 16 lanes.
_ONE_DIRECTION = {
    ("nvlink", 2): 150,
    ("nvlink", 3): 300,
    ("nvlink", 4): 450,
    ("nvlink", 5): 900,
    ("nvlink", 6): 1800,
    ("pcie", 3): 15.75,
    ("pcie", 4): 31.5,
    ("pcie", 5): 63,
}
_ROUNDED_UP = 1.05  # for example 64 GB/s instead of 63 for PCIe 5
_LEAST_READABLE = 0.935  # of the capacity in GiB: in-band ECC takes a sixteenth


def issues(device: Device) -> Issues:
    """All findings for a device."""
    yield from _arithmetic(device)
    yield from _sparsity(device)
    yield from _capacity(device)
    yield from _bandwidth(device)
    yield from link_issues(device.link, device)


def _arithmetic(device: Device) -> Issues:
    """Peaks against bandwidth and power, by the first of these formats that the device supports."""
    name = next((name for name in ("bf16", "fp16", "fp8", "fp32") if name in device.peak_tflop_s), None)
    if name is None:
        return
    peak, field = device.peak_tflop_s[name], f"peak_tflop_s.{name}"
    ridge = peak * 1e3 / device.memory.bandwidth_gb_s
    hint = f"peaks are TFLOP/s ({name} {peak:g}) and bandwidth is GB/s ({device.memory.bandwidth_gb_s:g}); is one of them off by a thousand?"
    yield from outside("memory.bandwidth_gb_s", "the ridge point in FLOP/byte", ridge, 2, 1000, hint)
    if device.power_w:
        hint = f"power is in W ({device.power_w:g})"
        yield from outside("power_w", f"{name} TFLOP/s per W", peak / device.power_w, 0.01, 10, hint)
    for other, value in device.peak_tflop_s.items():
        yield from outside(f"peak_tflop_s.{other}", f"{other} over {name}", value / peak, 4e-4, 20, f"{field} is {peak:g}")


def _sparsity(device: Device) -> Issues:
    peaks = dict[str, float](device.peak_tflop_s)
    if half := peaks.get("bf16", peaks.get("fp16")):
        peaks["half"] = half
    shown = {name: "bf16" if name == "half" and "bf16" in peaks else "fp16" if name == "half" else name for name in peaks}
    for name, base, ratios in _RATIOS:
        if name in peaks and base in peaks:
            hint = f"{peaks[name]:g} against {peaks[base]:g}; does one count sparsity?"
            yield from unlike(f"peak_tflop_s.{name}", f"{name} over {shown[base]}", peaks[name] / peaks[base], ratios, hint)
    highest = _DENSE_OVER_FP32.get((device.family or "").lower())
    if highest and half and "fp32" in peaks and half / peaks["fp32"] > highest * (1 + TOLERANCE):
        text = f"{shown['half']} over fp32 is {half / peaks['fp32']:.3g}, dense parts of the {device.family} family reach {highest:g}: sparse peaks?"
        yield Issue(f"peak_tflop_s.{shown['half']}", text, excusable=True)


def _capacity(device: Device) -> Issues:
    memory = device.memory
    yield from outside(
        "memory.capacity_gb",
        "time to read the whole memory once in s",
        memory.capacity_gb / memory.bandwidth_gb_s,
        1e-6,
        10,
        f"capacity is in GB ({memory.capacity_gb:g}), bandwidth in GB/s ({memory.bandwidth_gb_s:g})",
    )
    if device.cache_mb:
        share = device.cache_mb / 1e3 / memory.capacity_gb
        yield from outside("cache_mb", "cache size over memory size", share, 0, 0.1, f"cache_mb is in MB ({device.cache_mb:g})")
    visible = memory.readings().get("visible")
    if visible is None:
        return
    nominal, binary = memory.capacity_gb * 1e9, memory.capacity_gb * 1024**3
    figures = f"{memory.visible_mib:g} MiB are {visible / 1e9:.4g} GB or {visible / 1024**3:.4g} GiB"
    before = list(outside("memory.visible_mib", "visible over nominal memory", visible / nominal, 0.99, 1.08, figures))
    yield from before
    if before:
        return
    if not memory.binary and visible > 1.01 * nominal:
        text = f"{figures}, more than {memory.capacity_gb:g} GB: does capacity_gb count GiB (`binary: true`)?"
        yield Issue("memory.capacity_gb", text, excusable=True)
    if memory.binary and not _LEAST_READABLE * binary <= visible <= binary:
        text = f"{figures}, not {_LEAST_READABLE * memory.capacity_gb:.4g} to {memory.capacity_gb:g} GiB: is capacity_gb decimal (no `binary`)?"
        yield Issue("memory.binary", text, excusable=True)


def _bandwidth(device: Device) -> Issues:
    of_memory = device.memory.bandwidth_gb_s
    if device.best.bandwidth_gb_s:
        hint = f"highest published {device.best.bandwidth_gb_s:g} over the data sheet's {of_memory:g}"
        yield from outside("best.bandwidth_gb_s", "the ratio of bandwidths", device.best.bandwidth_gb_s / of_memory, 1, 1.5, hint)
    yield from outside("best.clock", "best.clock", device.best.clock, 1, 2, "a factor over the clock of the data sheet's peaks")
    yield from scale_out_issues(device.scale_out_gb_s, device)


def scale_out_issues(gb_s: float | None, device: Device) -> Issues:
    """Findings for the scale-out bandwidth of a device or a system."""
    if gb_s:
        hint = f"scale-out is in GB/s ({gb_s:g}; 8 Gbit/s = 1 GB/s), one direction"
        yield from outside("scale_out_gb_s", "scale-out over memory bandwidth", gb_s / device.memory.bandwidth_gb_s, 1e-8, 1, hint)


def link_issues(link: Link | None, device: Device) -> Issues:
    """Findings for the link of a device or a system."""
    if link is None:
        return
    hint = f"link.gb_s is in GB/s ({link.gb_s:g}), all ports of a device, one direction"
    yield from outside("link.gb_s", "link over memory bandwidth", link.gb_s / device.memory.bandwidth_gb_s, 0, 2, hint)
    match = re.match(r"(nvlink|pcie)[\s-]*(?:gen)?\s*(\d+)", link.kind or "", re.IGNORECASE)
    most = _ONE_DIRECTION.get((match.group(1).lower(), int(match.group(2)))) if match else None
    if most and link.gb_s > most * _ROUNDED_UP:
        text = f"{link.gb_s:g} GB/s, but {link.kind} carries {most:g} in one direction: does it count both directions?"
        yield Issue("link.gb_s", text, excusable=True)
    if link.gb_s < 1:
        yield Issue("link.gb_s", f"{link.gb_s:g} GB/s: is it in TB/s?", excusable=True)
    if link.shape == "mesh" and link.pair_gb_s and link.domain > 1:
        ports = link.gb_s / (link.pair_gb_s * (link.domain - 1))
        hint = f"{link.domain - 1} pairs of {link.pair_gb_s:g} GB/s give {link.pair_gb_s * (link.domain - 1):g}; does one count both directions?"
        yield from outside("link.pair_gb_s", "all ports over the sum of the pairs of a mesh", ports, 0.6, 1.5, hint)
