"""The profiles behind the preset `typical`: `typical.yaml`, and which device lends its figures to which.

Knows the file and how figures are borrowed; what they mean stands in `roofcalc.deployment.efficiency`, how they came about in
`tools.calibrate.calibrate`, which writes the file.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.deployment.efficiency import Exchange, Profile, Wires
from roofcalc.deployment.engines import split
from roofcalc.specs.device import Device
from roofcalc.specs.record import Record, replace
from roofcalc.specs.schema import build

PATH = Path(__file__).with_name("typical.yaml")
OTHERS = "each_source_left_out"  # the estimate for runs that are like no other
ANY = "any"  # whose relative every device may be


class Entry(Record):
    """What was measured on one device; what is left out it borrows from `like`, as it does its letters' meaning from `Profile`."""

    like: str | None = None
    products: dict[str, float] | None = None
    reads: dict[str, float] | None = None
    decode: dict[str, tuple[float, ...]] | None = None
    prompt: dict[str, float] | None = None
    reduce: dict[str, tuple[float, ...]] | None = None
    gather_us: dict[str, float] | None = None
    gather: float | None = None
    exchange: Exchange | None = None


class Run(Record):
    """What whole runs take beyond their kernels, in `Profile`'s words."""

    within: float
    narrow: dict[str, float]
    exposed_us: dict[str, float]
    step_us: float
    prompt_factor: float
    packed_tokens: float
    repeats: float


class Engine(Record):
    """What is an engine's own: a factor on exposed time, and whether its attention shares heads, in `Profile`'s words."""

    exposed: float = 1.0
    shares_heads: bool = True


class Between(Record):
    """Messages that leave a domain, and sends, in `Wires`' words."""

    send_us: float
    send: float
    out_us: float
    out: float
    exchange_out: Exchange


class Reserve(Record):
    """Memory kept free: a share of the device's, within two figures in GB, and never more than another share."""

    share: float
    least_gb: float
    most_gb: float
    most_share: float


class Typical(Record):
    """The file.

    Attributes
    ----------
    kernels : dict
        By kind of kernel: how many were timed, median and 90th percentile of |ln(predicted/measured)| at their device's fractions.
    errors : dict
        By estimate: points, median and 90th percentile of the absolute relative error of points that a fit did not see.
    engines : dict
        By an engine's name, with its release where that tells generations of kernels apart.
    relatives : dict
        By device, family, vendor or `any`: the entry that stands for it.
    """

    date: str
    kernels: dict[str, tuple[float, ...]]
    errors: dict[str, tuple[float, ...]]
    run: Run
    engines: dict[str, Engine]
    between: Between
    reserve: Reserve
    devices: dict[str, Entry]
    relatives: dict[str, str]


@lru_cache(maxsize=1)
def read() -> Typical:
    """The file's figures."""
    value, lines = yamlfile.load(PATH)
    return build(Typical, value, lines, str(PATH))


def profile(device: Device, engine: str | None = None) -> Profile:
    """The profile of a device, of an engine where one is named.

    """
    return resolved(read(), device, engine)


def resolved(file: Typical, device: Device, engine: str | None = None) -> Profile:
    """The profile of a device by the figures of a file."""
    chain = lenders(file, device)
    own = Engine()
    timed = timed_engine(file, engine)
    if timed is not None:
        own = file.engines[timed]

    def of(field: str) -> tuple[str, Any]:
        """A figure, and the entry that has it."""
        return next((name, value) for name in chain if (value := getattr(file.devices[name], field)) is not None)

    fields = ("products", "reads", "decode", "prompt", "reduce", "gather_us", "gather", "exchange")
    found: dict[str, tuple[str, Any]] = {field: of(field) for field in fields}
    borrowed: dict[str, list[str]] = {}
    for field, (name, _) in found.items():
        if name != device.name:
            borrowed.setdefault(name, []).append(_WORDS[field])
    figures = {field: value for field, (_, value) in found.items()}
    run, between = file.run, file.between
    wires = Wires(
        reduce=figures["reduce"],
        gather_us=figures["gather_us"],
        gather=figures["gather"],
        exchange=figures["exchange"],
        **{name: getattr(between, name) for name in ("send_us", "send", "out_us", "out", "exchange_out")},
    )
    return Profile(
        accuracy=accuracy(file),
        borrowed=tuple((name, tuple(dict.fromkeys(words))) for name, words in borrowed.items()),
        products=figures["products"],
        reads=figures["reads"],
        decode=figures["decode"],
        prompt=figures["prompt"],
        within=run.within,
        narrow=run.narrow,
        exposed_us={name: own.exposed * value for name, value in run.exposed_us.items()},
        step_us=own.exposed * run.step_us,
        prompt_factor=run.prompt_factor,
        packed_tokens=run.packed_tokens,
        shares_heads=own.shares_heads,
        repeats=run.repeats,
        reserve_gb=reserve_gb(file.reserve, device.memory.capacity_gb),
        wires=wires,
        engine=timed or "pooled",
    )


_WORDS = {
    "products": "products",
    "reads": "reading of weights",
    "decode": "attention",
    "prompt": "attention of prompts",
    "reduce": "all-reduces",
    "gather_us": "gathers",
    "gather": "gathers",
    "exchange": "exchanges",
}


def timed_engine(file: Typical, engine: str | None) -> str | None:
    """The entry whose timings an engine's release takes: its own, or its engine's; None where they are those of all together."""
    names = (engine, split(engine)[0]) if engine is not None else ()
    return next((name for name in names if name in file.engines), None)


def accuracy(file: Typical) -> str:
    """A sentence on the errors of points of a source that a fit did not see."""
    if OTHERS not in file.errors:
        return f"calibrated {file.date}"
    count, median, most = file.errors[OTHERS]
    shown = f"half were within {median:.0%}, nine tenths within {most:.0%}"
    return f"calibrated {file.date}; of {count:.0f} measured speeds, each foreseen from other sources, {shown}"


def lenders(file: Typical, device: Device) -> list[str]:
    """The entries that a device's figures come from, its own or nearest relative's first."""
    keys = (device.name, device.family, device.vendor, ANY)
    name: str | None = device.name if device.name in file.devices else next(file.relatives[key] for key in keys if key in file.relatives)
    chain: list[str] = []
    while name is not None and name not in chain:
        chain.append(name)
        name = file.devices[name].like
    return chain


def reserve_gb(rule: Reserve, capacity_gb: float) -> float:
    """GB that an engine keeps free on a device of that memory."""
    return min(max(rule.least_gb, rule.share * capacity_gb), rule.most_gb, rule.most_share * capacity_gb)


def with_run(profile: Profile, run: Run) -> Profile:
    """The same device under other figures of whole runs."""
    return replace(profile, **{field.name: getattr(run, field.name) for field in run.fields_})
