"""The preset `typical`: reads `typical.yaml`, and puts together the constants of a device family and an engine.

`python -m tools.calibrate fit` writes the fitted part of the file (docs/calibration.md).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.deployment.efficiency import Network, Profile, RunConstants
from roofcalc.deployment.engines import split
from roofcalc.specs.device import Device
from roofcalc.specs.record import Record
from roofcalc.specs.schema import build

PATH = Path(__file__).with_name("typical.yaml")
ANY = "any"  # family, engine or device of last resort


class Reserve(Record):
    """Memory kept free: a share of the device's memory, clamped to [least_gb, most_gb], and at most the share `most_share`."""

    share: float
    least_gb: float
    most_gb: float
    most_share: float


class EngineKernels(Record):
    """The engine of the kernel tables whose kernels an engine runs or resembles, and the share of KV entries that it loads again."""

    kernels: str = "vllm"
    kv_reload_fraction: float = 0.0


class Typical(Record):
    """The contents of `typical.yaml`.

    Attributes
    ----------
    families : dict
        Device family by device, catalog family or vendor (the first that is listed).
    kernels_of : dict
        By device family: the device of the kernel tables whose kernels stand for it.
    engines : dict
        By engine, with its release where releases differ: whose kernels it runs.
    constants : dict
        Fields, then by "all", "FAMILY", "ENGINE" and "FAMILY ENGINE" the fitted values: those of "all" in their units, others as factors.
    errors : dict
        By kind ("engine family model metric", `*` for all): points, median and 90th percentile of |ln(predicted/measured)| of points
        that a fit did not see, and the half-width of the 80 % range in logarithms.
    """

    date: str
    reserve: Reserve
    network: Network
    packed_prefill_tokens: float
    families: dict[str, str]
    kernels_of: dict[str, str]
    engines: dict[str, EngineKernels]
    constants: dict[str, str]
    errors: dict[str, tuple[float, ...]]


@lru_cache(maxsize=1)
def read() -> Typical:
    """The contents of the file."""
    value, lines = yamlfile.load(PATH)
    return build(Typical, value, lines, str(PATH))


def profile(device: Device, engine: str | None = None) -> Profile:
    """The constants of a device, under an engine where one is named."""
    return resolved(read(), device, engine)


def resolved(file: Typical, device: Device, engine: str | None = None) -> Profile:
    """The constants of a device under an engine from the figures in `file`."""
    family, timed = family_of(file, device), timed_engine(file, engine)
    kernels = file.engines[timed] if timed else EngineKernels()
    return Profile(
        accuracy=accuracy(file),
        engine=timed or "pooled",
        family=family,
        kernel_device=file.kernels_of.get(family, file.kernels_of[ANY]),
        kernel_engine=kernels.kernels,
        constants=constants(file, family, split(timed)[0] if timed else None),
        network=file.network,
        packed_prefill_tokens=file.packed_prefill_tokens,
        kv_reload_fraction=kernels.kv_reload_fraction,
        reserve_gb=reserve_gb(file.reserve, device.memory.capacity_gb),
    )


def family_of(file: Typical, device: Device) -> str:
    """The family whose constants a device takes."""
    return next((file.families[key] for key in (device.name, device.family, device.vendor) if key in file.families), ANY)


def constants(file: Typical, family: str, engine: str | None) -> RunConstants:
    """The product of what all runs, a family, an engine and both together say."""
    names = file.constants["fields"].split()
    found = dict(RunConstants()._asdict())
    found |= _values(names, file.constants["all"])
    for key in (family, engine, f"{family} {engine}"):
        if key in file.constants:
            found = {name: found[name] * factor for name, factor in {**dict.fromkeys(found, 1.0), **_values(names, file.constants[key])}.items()}
    return RunConstants(**found)


def _values(names: list[str], text: str) -> dict[str, float]:
    return dict(zip(names, map(float, text.split()), strict=True))


def timed_engine(file: Typical, engine: str | None) -> str | None:
    """The entry of the file that an engine's release takes: its own, or its engine's; None: that of all engines together."""
    names = (engine, split(engine)[0]) if engine is not None else ()
    return next((name for name in names if name in file.engines), None)


def accuracy(file: Typical) -> str:
    """One sentence on the date of the fit and its leave-one-source-out error."""
    if "*" not in file.errors:
        return f"calibrated {file.date}"
    count, median, p90 = file.errors["*"][:3]
    return f"calibrated {file.date}; leave-one-source-out error over {count:.0f} measured runs: median {median:.0%}, p90 {p90:.0%}"


def reserve_gb(rule: Reserve, capacity_gb: float) -> float:
    """GB that an engine keeps free on a device with `capacity_gb` of memory."""
    return min(max(rule.least_gb, rule.share * capacity_gb), rule.most_gb, rule.most_share * capacity_gb)
