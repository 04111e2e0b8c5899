"""The device profiles of the preset `typical`: reads `typical.yaml`, and picks the fallback device for what was not measured.

`roofcalc.deployment.efficiency` defines the figures; `tools.calibrate.calibrate` fits them and writes the file.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.deployment.efficiency import AllToAll, InterconnectProfile, Profile
from roofcalc.deployment.engines import split
from roofcalc.specs.device import Device
from roofcalc.specs.record import Record, replace
from roofcalc.specs.schema import build

PATH = Path(__file__).with_name("typical.yaml")
SOURCE_LEFT_OUT = "each_source_left_out"  # error estimate for runs of a source that the fit did not see
DEFAULT_DEVICE = "any"  # key of the fallback of last resort


class DeviceProfile(Record):
    """What was measured on one device; the fields are those of `Profile` and `InterconnectProfile`.

    Fields that are left out come from the device in `like`.
    """

    like: str | None = None
    gemm: dict[str, float] | None = None
    weight_read: dict[str, float] | None = None
    decode_attention: dict[str, tuple[float, ...]] | None = None
    prefill_attention: dict[str, float] | None = None
    all_reduce: dict[str, tuple[float, ...]] | None = None
    all_gather_us: dict[str, float] | None = None
    all_gather: float | None = None
    all_to_all: AllToAll | None = None


class Run(Record):
    """Figures fitted to end-to-end runs, the same for all devices; the fields are those of `Profile`."""

    in_model_efficiency: float
    dequant_bandwidth_factor: dict[str, float]
    layer_overhead_us: dict[str, float]
    step_overhead_us: float
    prefill_overhead_factor: float
    packed_prefill_tokens: float
    kv_reload_fraction: float


class Engine(Record):
    """Figures of one engine: a factor on the overhead, and whether its decode attention shares loads among query heads."""

    overhead_factor: float = 1.0
    shares_kv_loads: bool = True


class Network(Record):
    """Sends, and collectives between domains, the same for all devices; the fields are those of `InterconnectProfile`."""

    send_us: float
    send: float
    scale_out_us: float
    scale_out: float
    scale_out_all_to_all: AllToAll


class Reserve(Record):
    """Memory kept free: a share of the device's memory, clamped to [least_gb, most_gb], and at most the share `most_share`."""

    share: float
    least_gb: float
    most_gb: float
    most_share: float


class Typical(Record):
    """The contents of `typical.yaml`.

    Attributes
    ----------
    kernels : dict
        By kind of kernel: number of timed kernels, median and 90th percentile of |ln(predicted/measured)| at the device's efficiencies.
    errors : dict
        By estimate: number of points, median and 90th percentile of the absolute relative error of points that a fit did not see.
    engines : dict
        By name of the engine, with its release where releases differ in their attention kernels.
    fallback_device : dict
        By device, family, vendor or `any`: the device whose profile is used where the device itself was not measured.
    """

    date: str
    kernels: dict[str, tuple[float, ...]]
    errors: dict[str, tuple[float, ...]]
    run: Run
    engines: dict[str, Engine]
    network: Network
    reserve: Reserve
    devices: dict[str, DeviceProfile]
    fallback_device: dict[str, str]


@lru_cache(maxsize=1)
def read() -> Typical:
    """The contents of the file."""
    value, lines = yamlfile.load(PATH)
    return build(Typical, value, lines, str(PATH))


def profile(device: Device, engine: str | None = None) -> Profile:
    """The profile of a device, adjusted to an engine where one is named."""
    return resolved(read(), device, engine)


# How notes name what another device's measurements are used for.
_WHAT = {
    "gemm": "GEMM",
    "weight_read": "weight-read",
    "decode_attention": "decode-attention",
    "prefill_attention": "prefill-attention",
    "all_reduce": "all-reduce",
    "all_gather_us": "all-gather",
    "all_gather": "all-gather",
    "all_to_all": "all-to-all",
}


def resolved(file: Typical, device: Device, engine: str | None = None) -> Profile:
    """The profile of a device from the figures in `file`, fallbacks filled in."""
    chain = fallback_chain(file, device)
    chosen = Engine()
    timed = timed_engine(file, engine)
    if timed is not None:
        chosen = file.engines[timed]
    figures: dict[str, Any] = {}
    fallbacks: dict[str, list[str]] = {}
    for field, what in _WHAT.items():
        name, figures[field] = next((name, value) for name in chain if (value := getattr(file.devices[name], field)) is not None)
        if name != device.name:
            fallbacks.setdefault(name, []).append(what)
    run, network = file.run, file.network
    return Profile(
        accuracy=accuracy(file),
        fallbacks=tuple((name, tuple(dict.fromkeys(whats))) for name, whats in fallbacks.items()),
        gemm=figures["gemm"],
        weight_read=figures["weight_read"],
        decode_attention=figures["decode_attention"],
        prefill_attention=figures["prefill_attention"],
        in_model_efficiency=run.in_model_efficiency,
        dequant_bandwidth_factor=run.dequant_bandwidth_factor,
        layer_overhead_us={kind: chosen.overhead_factor * value for kind, value in run.layer_overhead_us.items()},
        step_overhead_us=chosen.overhead_factor * run.step_overhead_us,
        prefill_overhead_factor=run.prefill_overhead_factor,
        packed_prefill_tokens=run.packed_prefill_tokens,
        shares_kv_loads=chosen.shares_kv_loads,
        kv_reload_fraction=run.kv_reload_fraction,
        reserve_gb=reserve_gb(file.reserve, device.memory.capacity_gb),
        interconnect=InterconnectProfile(
            all_reduce=figures["all_reduce"],
            all_gather_us=figures["all_gather_us"],
            all_gather=figures["all_gather"],
            send_us=network.send_us,
            send=network.send,
            all_to_all=figures["all_to_all"],
            scale_out_us=network.scale_out_us,
            scale_out=network.scale_out,
            scale_out_all_to_all=network.scale_out_all_to_all,
        ),
        engine=timed or "pooled",
    )


def timed_engine(file: Typical, engine: str | None) -> str | None:
    """The entry of the file whose overhead an engine's release takes: its own, or its engine's; None: that of all engines together."""
    names = (engine, split(engine)[0]) if engine is not None else ()
    return next((name for name in names if name in file.engines), None)


def accuracy(file: Typical) -> str:
    """One sentence on the date of the calibration and its leave-one-source-out error."""
    if SOURCE_LEFT_OUT not in file.errors:
        return f"calibrated {file.date}"
    count, median, p90 = file.errors[SOURCE_LEFT_OUT]
    return f"calibrated {file.date}; leave-one-source-out error over {count:.0f} measured runs: median {median:.0%}, p90 {p90:.0%}"


def fallback_chain(file: Typical, device: Device) -> list[str]:
    """The entries of `file.devices` to search for a device's figures, in this order: its own or its fallback's, then each `like`."""
    keys = (device.name, device.family, device.vendor, DEFAULT_DEVICE)
    name: str | None = device.name
    if device.name not in file.devices:
        name = next(file.fallback_device[key] for key in keys if key in file.fallback_device)
    chain: list[str] = []
    while name is not None and name not in chain:
        chain.append(name)
        name = file.devices[name].like
    return chain


def reserve_gb(rule: Reserve, capacity_gb: float) -> float:
    """GB that an engine keeps free on a device with `capacity_gb` of memory."""
    return min(max(rule.least_gb, rule.share * capacity_gb), rule.most_gb, rule.most_share * capacity_gb)


def with_run(profile: Profile, run: Run) -> Profile:
    """A copy of the profile with other figures of end-to-end runs."""
    return replace(profile, **{field.name: getattr(run, field.name) for field in run.fields_})
