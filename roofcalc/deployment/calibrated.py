"""The preset `typical`: reads `typical.yaml`, and puts together the constants of a device family and an engine.

`python -m tools.calibrate fit` writes the fitted part of the file (docs/calibration.md).
"""

import math
from functools import lru_cache
from pathlib import Path

from roofcalc.catalog import yamlfile
from roofcalc.deployment.efficiency import Network, Profile, RunConstants
from roofcalc.deployment.engines import split
from roofcalc.specs.attention import GQA
from roofcalc.specs.device import Device
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Model
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
    """The engine of the kernel tables whose kernels an engine runs or resembles; the others as in `Profile`."""

    kernels: str = "vllm"
    kv_reload_fraction: float = 0.0
    second_stream: bool = True


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
        Fields, then by "all" and the groups of `keys_of` the fitted values: those of "all" in their units, others as factors.
    errors : dict
        By kind (`kinds_of_error`): runs, and their sources; median and 90th percentile of |ln(predicted/measured)| with each source left
        out, or of a single source with configurations (source, device, model) left out; ends of the 80 % range of
        ln(predicted/measured), from configurations left out.
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


def profile(device: Device, model: Model, engine: str | None = None) -> Profile:
    """The constants of a device for a model, under an engine where one is named."""
    return resolved(read(), device, model, engine)


def resolved(file: Typical, device: Device, model: Model, engine: str | None = None) -> Profile:
    """The constants of a device for a model under an engine from the figures in `file`."""
    family, timed = family_of(file, device), timed_engine(file, engine)
    kernels = file.engines[timed] if timed else EngineKernels()
    return Profile(
        engine=timed or "pooled",
        family=family,
        kernel_device=file.kernels_of.get(family, file.kernels_of[ANY]),
        kernel_engine=kernels.kernels,
        kind=kind_of(model),
        constants=constants(file, timed, family, kind_of(model)),
        network=file.network,
        packed_prefill_tokens=file.packed_prefill_tokens,
        kv_reload_fraction=kernels.kv_reload_fraction,
        second_stream=kernels.second_stream,
        reserve_gb=reserve_gb(file.reserve, device.memory.capacity_gb),
    )


def family_of(file: Typical, device: Device) -> str:
    """The family whose constants a device takes."""
    return next((file.families[key] for key in (device.name, device.family, device.vendor) if key in file.families), ANY)


def kind_of(model: Model) -> str:
    """The kind of model: "dense", "moe" with experts and grouped heads, or "latent" with experts and latent attention."""
    blocks = [model.blocks[name] for name in model.groups]
    if not any(isinstance(block.mlp, Experts) for block in blocks):
        return "dense"
    return "moe" if all(isinstance(block.attention, GQA) for block in blocks if block.attention is not None) else "latent"


def keys_of(release: str | None, family: str, kind: str) -> tuple[str, ...]:
    """The groups whose factors multiply the constants of all runs: engine, release, family, kind of model, and their combinations."""
    own = () if release is None else (*dict.fromkeys((split(release)[0], release)), f"{release} {family}", f"{release} {kind}")
    return (*own, family, kind, *(() if release is None else (f"{release} {family} {kind}",)))


def constants(file: Typical, release: str | None, family: str, kind: str) -> RunConstants:
    """The constants of all runs times the factors of the groups that a run belongs to."""
    names = file.constants["fields"].split()
    found = _values(names, file.constants["all"])
    for key in keys_of(release, family, kind):
        if key in file.constants:
            found = {name: found[name] * factor for name, factor in _values(names, file.constants[key]).items()}
    return RunConstants(**found)


def _values(names: list[str], text: str) -> dict[str, float]:
    return dict(zip(names, map(float, text.split()), strict=True))


def kinds_of_error(release: str, family: str, kind: str, metric: str) -> tuple[str, ...]:
    """The kinds whose errors stand for a figure, the narrowest first: engine, family, kind of model and metric, to all runs."""
    engine = split(release)[0] if release else release
    return (f"{engine} {family} {kind} {metric}", f"{engine} {family} {metric}", f"{engine} {metric}", metric, "*")


METRICS = {"decode": "decode steps", "prompt": "prompts", "total": "throughput"}  # of errors, in words


def timed_engine(file: Typical, engine: str | None) -> str | None:
    """The entry of the file that an engine's release takes: its own, or its engine's; None: that of all engines together."""
    names = (engine, split(engine)[0]) if engine is not None else ()
    return next((name for name in names if name in file.engines), None)


def accuracy(file: Typical, profile: Profile, metric: str) -> str:
    """One sentence on the date of the fit, and on how far `metric` was off for such an engine, device family and model."""
    for name in kinds_of_error(profile.engine, profile.family, profile.kind, metric):
        if name in file.errors:
            count, sources, median, p90 = file.errors[name][:4]
            runs = "measured runs of all kinds" if name == "*" else f"measured runs like these ({name})"
            left_out = f"each of {sources:.0f} sources" if sources > 1 else "each model and device of their one source"
            off = f"off by a factor of {math.exp(median):.2f} in the median and {math.exp(p90):.2f} at the 90th percentile"
            return f"calibrated {file.date}; {METRICS[metric]} {off} on {count:.0f} {runs}, with {left_out} left out"
    return f"calibrated {file.date}"


def reserve_gb(rule: Reserve, capacity_gb: float) -> float:
    """GB that an engine keeps free on a device with `capacity_gb` of memory."""
    return min(max(rule.least_gb, rule.share * capacity_gb), rule.most_gb, rule.most_share * capacity_gb)


def errors_of(file: Typical, release: str, family: str, kind: str, metric: str) -> tuple[float, ...] | None:
    """Errors of the narrowest kind of run that has some; None in a file without errors."""
    return next((file.errors[name] for name in kinds_of_error(release, family, kind, metric) if name in file.errors), None)


def speed_range(file: Typical, profile: Profile, metric: str, share: float) -> tuple[float, float]:
    """Measured ÷ predicted speed at both ends of the range that holds `share` percent of runs of a profile's kind.

    The ends of the 80 % range of held-out errors, widened as for a normal distribution where another share than 80 % is asked for;
    never less than nothing on either side.
    """
    from statistics import NormalDist

    found = errors_of(file, profile.engine, profile.family, profile.kind, metric)
    if found is None:
        return 1.0, 1.0
    wider = NormalDist().inv_cdf(0.5 + share / 200) / NormalDist().inv_cdf(0.9)
    low, high = min(found[4], 0.0), max(found[5], 0.0)  # of ln(predicted/measured seconds)
    return math.exp(low * wider), math.exp(high * wider)
