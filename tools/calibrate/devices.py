"""Facts of devices for fitting and judging: peaks and bandwidth from hardware/, units and clock from kernels.yaml."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.profile import Fits

HARDWARE = Path(__file__).resolve().parents[2] / "hardware"
_WIDER = {"fp4": "fp8", "fp8": "bf16", "int8": "bf16", "bf16": "fp16", "fp16": "fp32"}  # the next wider format that a device may have


@dataclass(frozen=True)
class Sheet:
    """A device's data sheet, SI units."""

    peaks: dict[str, float]
    bandwidth_bytes_s: float
    cache_bytes: float
    link_bytes_s: float

    def peak(self, dtype: str) -> float:
        """FLOP/s of `dtype`, or of the next wider format that the device has."""
        while dtype not in self.peaks and dtype in _WIDER:
            dtype = _WIDER[dtype]
        return self.peaks[dtype]


@lru_cache(maxsize=1)
def _entries() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(HARDWARE.rglob("*.yaml")):
        entry = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for name in (entry["name"], *entry.get("aliases", ())):
            found.setdefault(name, entry)
    return found


def has_sheet(device: str) -> bool:
    """True for devices of the catalog, by name or alias."""
    return device.replace("_", "-").lower() in _entries()


@lru_cache(maxsize=256)
def sheet(device: str) -> Sheet:
    """The data sheet of a catalogued device, by name or alias; what `like` inherits is resolved."""
    entries = _entries()
    name = device.replace("_", "-").lower()
    if name not in entries:
        raise RoofcalcError(f"unknown device {device}{did_you_mean(name, list(entries))}.")
    entry = entries[name]
    while "like" in entry:
        entry = {**entries[entry["like"]], **{key: value for key, value in entry.items() if key != "like"}}
    memory = entry.get("memory", {})
    return Sheet(
        {dtype: value * 1e12 for dtype, value in entry["peak_tflop_s"].items()},
        memory["bandwidth_gb_s"] * 1e9,
        entry.get("cache_mb", 0) * 1e6,
        entry.get("link", {}).get("gb_s", 0) * 1e9,
    )


def facts_of(device: str, dtype: str, table: Fits) -> DeviceFacts:
    """Facts of one device for kernels that compute in `dtype`.

    A device without compute units in kernels.yaml takes the units of the one with the nearest bf16 peak, and its clock.
    """
    data = sheet(device)
    known = table.devices.get(device) or min(
        table.devices.values(), key=lambda other: abs(np.log(sheet(other.name).peak("bf16") / data.peak("bf16")))
    )
    return DeviceFacts(data.peak(dtype), data.bandwidth_bytes_s, known.compute_units, known.clock_hz, data.cache_bytes, data.link_bytes_s)


def facts_of_rows(devices: npt.NDArray[Any], dtypes: npt.NDArray[Any], table: Fits) -> DeviceFacts:
    """Facts as arrays, one element for each row."""
    pairs = list(zip(devices.tolist(), dtypes.tolist(), strict=True))
    known = {pair: facts_of(*pair, table) for pair in set(pairs)}
    rows = [known[pair] for pair in pairs]
    return DeviceFacts(
        *(
            np.array([getattr(row, name) for row in rows])
            for name in ("peak_flop_s", "bandwidth_bytes_s", "compute_units", "clock_hz", "cache_bytes", "link_bytes_s")
        )
    )
