"""Facts and kernel constants of a deployment: its own where its device was timed, else those of the device that stands for its family."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.efficiency import Profile
from roofcalc.physics.kernels import profile as tables
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.profile import Source
from roofcalc.specs import dtypes
from roofcalc.specs.device import Device, Link
from roofcalc.specs.dtypes import Dtype

# FLOP of one compute unit in one cycle, dense bf16 and fp32 of the vector units: peak ÷ units ÷ clock of the timed devices' data sheets.
_PER_CYCLE = {
    "ampere": (2048.0, 128.0),
    "hopper": (4096.0, 256.0),
    "blackwell": (8192.0, 256.0),
    "ada": (1024.0, 256.0),
    "blackwell-rtx": (1024.0, 256.0),
    "xe2": (2048.0, 256.0),
}

# Number formats of the kernel tables: the format whose peak they compute at, and bytes of an activation, scales included.
_TABLE = {
    "bfloat16": ("bf16", 2.0),
    "fp8": ("fp8", 1.0),
    "fp8_block": ("fp8", 1 + 4 / 128),
    "nvfp4": ("fp4", 0.5625),
    "int8_wo": ("bf16", 2.0),
    "int4_wo": ("bf16", 2.0),
    "sq": ("int8", 1.0),
    "w4a16_mxfp4": ("bf16", 2.0),
    "w4a8_mxfp4_mxfp8": ("fp8", 1.03125),
}


class Chosen(NamedTuple):
    """Constants of a kernel, where they come from, and the facts of the device at the kernel's peak."""

    parameters: Any
    source: tables.Source
    facts: DeviceFacts


def table_format(device: Device, weights: Dtype, computed: str) -> str:
    """The kernel tables' name for GEMMs with such weights that compute in a format.

    Weights narrower than the arithmetic are unpacked first (`_wo`); microscaled 4-bit weights have kernels of their own.
    """
    if weights.bits >= 16:
        return "bfloat16"
    if weights.name in dtypes.GGML_BITS or (weights.bits == 4 and computed == "int8"):
        return "int8_wo" if weights.bits > 4 else "int4_wo"
    if weights.name == "mxfp4":
        return "w4a8_mxfp4_mxfp8" if "fp4" in device.peak_tflop_s else "w4a16_mxfp4"
    if computed == "fp4":
        return "nvfp4"
    if weights.bits == 8 and computed == "fp8":
        return "fp8_block" if "block" in weights.name or weights.name == "mxfp8" else "fp8"
    if weights.bits == 8 and computed == "int8":
        return "sq"
    return "int8_wo" if weights.bits > 4 else "int4_wo"


def is_unpacked(name: str) -> bool:
    """Whether kernels of a format of the tables unpack weights before the arithmetic."""
    return name in ("int8_wo", "int4_wo", "w4a16_mxfp4")


def activation_bytes(name: str) -> float:
    """Bytes of an activation as kernels of a format of the tables read it."""
    return _TABLE[name][1]


def kernel_peak(device: Device, name: str, computed: str) -> str:
    """The format of the device at whose peak kernels of a format of the tables compute, for GEMMs that compute in `computed`."""
    if (name == "bfloat16" or is_unpacked(name)) and computed in device.peak_tflop_s:
        return computed
    return dtypes.arithmetic_format(device, _TABLE[name][0]) or next(iter(device.peak_tflop_s))


def _units(device: Device, stands: tables.KnownDevice) -> float:
    """Compute units of a device that was not timed, as many of those of the device that stands for it as its peaks are worth.

    The larger of the two counts: one of the peaks may be cut, as bf16 with fp32 accumulation is on consumer cards, or belong to narrower units.
    """
    sixteen = dtypes.arithmetic_format(device, "bf16")
    peaks = (device.peak_tflop_s[sixteen] if sixteen else 0.0, device.peak_tflop_s.get("fp32", 0.0))
    return max(1.0, *(peak * 1e12 / (each * stands.clock_hz) for peak, each in zip(peaks, _PER_CYCLE[stands.architecture], strict=True)))


@lru_cache(maxsize=256)
def facts(device: Device, link: Link | None, profile: Profile, peak: str) -> DeviceFacts:
    """The facts of a device for kernels that compute in the format `peak`."""
    fits = tables.fits()
    known = fits.devices.get(device.name)
    stands = known or fits.devices[profile.kernel_device]
    return DeviceFacts(
        peak_flop_s=device.peak_tflop_s[peak] * 1e12,
        bandwidth_bytes_s=device.memory.bandwidth_gb_s * 1e9,
        compute_units=stands.compute_units if known else _units(device, stands),
        clock_hz=stands.clock_hz,
        cache_bytes=(device.cache_mb or 0.0) * 1e6,
        link_bytes_s=link.gb_s * 1e9 if link and not (link.kind or "").startswith("PCIe") else 0.0,
    )


@lru_cache(maxsize=1024)
def _chosen(
    device: Device, link: Link | None, profile: Profile, record: type[Any], subject: str, engine: str, form: str, kernel: str | None, peak: str
) -> Chosen:
    own = facts(device, link, profile, peak)
    fits = tables.fits()
    name = device.name if device.name in fits.devices else profile.kernel_device
    stands = fits.devices[name]
    asked = own if name == device.name else _facts_of(own, stands)
    source = tables.nearest(subject, name, asked, engine, form, kernel)
    values = fits.values[subject][(source.engine, source.dtype, source.kernel)][source.device]
    if source.device == device.name or (device.name in fits.devices and stands.architecture == source.device):
        chosen: dict[str, Any] = dict(zip(fits.names[subject], values, strict=True))
    else:
        chosen = tables.scaled(fits.names[subject], values, fits.devices.get(source.device) or fits.typical[source.device], own)
    exact = source.exact and name == device.name
    return Chosen(record(**chosen), Source(source.engine, source.dtype, source.kernel, source.device, exact), own)


def _facts_of(own: DeviceFacts, stands: tables.KnownDevice) -> DeviceFacts:
    """The facts of the device that stands for another, for the search of its kernels."""
    return DeviceFacts(own.peak_flop_s, stands.bandwidth_bytes_s, stands.compute_units, stands.clock_hz, own.cache_bytes, stands.link_bytes_s)


def chosen(deployment: Deployment, record: Any, subject: str, form: str, kernel: str | None = None, peak: str = "bf16", engine: str = "") -> Chosen:
    """Constants of a kernel of a deployment.

    Parameters
    ----------
    form, kernel
        Number format, and name or part of a name, in the kernel tables.
    peak
        The device's format of the arithmetic.
    engine
        Another engine of the tables than the deployment's.
    """
    profile = deployment.profile
    assert profile is not None
    hardware = deployment.hardware
    return _chosen(hardware.device, hardware.link, profile, record, subject, engine or profile.kernel_engine, form, kernel, peak)
