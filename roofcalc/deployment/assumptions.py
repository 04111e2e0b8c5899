"""Assumptions of a calculation: presets, and options that override single values."""

import math
import numbers
from typing import Any

from roofcalc.errors import RoofcalcError, flag, invalid_choice
from roofcalc.specs.record import Record

LEAST_FRACTION = 1e-6
MAX_KV_BLOCK = 1_000_000_000
MAX_COPIES = 1_000_000
MAX_OVERHEAD_US = 10_000_000

CHOICES: dict[str, tuple[str, ...]] = {
    "assume": ("roofline", "bound", "typical"),
    "overlap": ("full", "net", "op", "none"),
    "network": ("bandwidth", "ideal"),
    "capacity": ("nominal", "visible", "binary", "largest"),
    "kv_policy": ("architectural", "reserved"),
    "prefill": ("colocated", "chunked", "separate"),
}


class Assumptions(Record):
    """Everything that affects an answer besides model, hardware, precision and layout.

    Attributes
    ----------
    assume : "roofline", "bound" or "typical"
        The preset: ideal efficiency; a lower bound on time for any engine; measured efficiencies (`roofcalc.deployment.efficiency`).
    engine : str, optional
        In `typical`: the engine, or a release of it, whose overhead and attention kernel are assumed.
    overlap : "full", "net", "op" or "none"
        What runs at the same time (`roofcalc.physics.roofline`).
    network : "bandwidth" or "ideal"
        Collectives limited by bandwidth, or free.
    mbu, mfu, link : float or None
        Achieved fractions of memory bandwidth, peak FLOP/s and link bandwidth; None: the device profile's, for each operation and
        message.
    util : float
        Fraction of the memory that may be used.
    reserve_gb : float or None
        GB per device kept free in addition; None: the device profile's.
    capacity : "nominal", "visible", "binary", "largest" or None
        Which capacity figure to use: the vendor's, the driver's, the vendor's number in GiB, or the largest; None: visible where it
        is known, else nominal.
    kv_policy : "architectural" or "reserved"
        Windowed layers store their window, or the whole context, as engines with one page table for all layers do.
    kv_block : int
        Tokens per KV block: contexts are rounded up to a multiple of it for capacity.
    imbalance : float
        Load of the busiest expert rank over the mean; 1 is uniform routing.
    redundant_experts : int
        Redundant copies of experts in each layer.
    activations : bool
        Count the activation traffic of GEMMs.
    prefill : "colocated", "chunked" or "separate"
        Where the prompts of other requests are prefilled: on the same devices before decode steps, in chunks that ride on decode steps,
        or on other devices (`roofcalc.physics.serving`). Only for whole generations.
    layer_overhead_us, step_overhead_us : float or None
        Fixed overhead of each layer and of each pass through a stage; None: the device profile's, or none.
    """

    assume: str = "roofline"
    engine: str | None = None
    overlap: str = "op"
    network: str = "bandwidth"
    mbu: float | None = 1.0
    mfu: float | None = 1.0
    link: float | None = 1.0
    util: float = 1.0
    reserve_gb: float | None = 0.0
    capacity: str | None = "nominal"
    kv_policy: str = "architectural"
    kv_block: int = 1
    imbalance: float = 1.0
    redundant_experts: int = 0
    activations: bool = False
    layer_overhead_us: float | None = None
    step_overhead_us: float | None = None
    prefill: str = "colocated"

    @property
    def is_bound(self) -> bool:
        return self.assume == "bound"

    @property
    def is_typical(self) -> bool:
        return self.assume == "typical"


_OF_PROFILE = ("mbu", "mfu", "link", "reserve_gb", "capacity", "layer_overhead_us", "step_overhead_us")
_PRESETS: dict[str, dict[str, Any]] = {
    "roofline": {},
    "bound": {"overlap": "full", "capacity": "largest"},
    "typical": {"activations": True, **dict.fromkeys(_OF_PROFILE)},
}


def assumptions(assume: str = "roofline", **given: Any) -> Assumptions:
    """The preset `assume`, overridden by the values in `given` that are not None.

    Raises
    ------
    RoofcalcError
        An unknown choice, or a value out of range.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in (("assume", assume), *chosen.items()):
        if name in CHOICES and value not in CHOICES[name]:
            raise invalid_choice(flag(name), value, CHOICES[name])
    built = Assumptions(assume=assume, **{**_PRESETS[assume], **chosen})
    for name in ("mbu", "mfu", "link", "util"):
        value = getattr(built, name)
        if value is not None and not (is_number(value) and LEAST_FRACTION <= value <= 1):
            percent = f" ({value:g} % is {value / 100:g})" if is_number(value) and 1 < value <= 100 else ""
            raise RoofcalcError(f"--{name}: {value!r} is not a fraction from {LEAST_FRACTION:f} to 1{percent}")
    for name in ("layer_overhead_us", "step_overhead_us"):
        value = getattr(built, name)
        if value is not None and not (is_number(value) and 0 <= value <= MAX_OVERHEAD_US):
            raise RoofcalcError(f"--{name.replace('_', '-')}: {value!r} is not a number of microseconds from 0 to {MAX_OVERHEAD_US:,}")
    if built.engine is not None and not built.is_typical:
        raise RoofcalcError(f"--engine: only --assume typical knows engines, and this is {assume}")
    if built.reserve_gb is not None and not (is_number(built.reserve_gb) and 0 <= built.reserve_gb <= 1e6):
        raise RoofcalcError(f"--reserve: {built.reserve_gb!r} is not a number of GB per device from 0 to a million")
    if not (is_number(built.kv_block) and built.kv_block == int(built.kv_block) and 1 <= built.kv_block <= MAX_KV_BLOCK):
        raise RoofcalcError(f"--kv-block: {built.kv_block!r} is not a whole number of tokens from 1 to {MAX_KV_BLOCK:,}")
    if not (is_number(built.imbalance) and 1 <= built.imbalance <= 1e6):
        raise RoofcalcError(f"--imbalance: {built.imbalance!r} is not a number from 1 (uniform) to a million")
    copies = built.redundant_experts
    if not (is_number(copies) and copies == int(copies) and 0 <= copies <= MAX_COPIES):
        raise RoofcalcError(f"--redundant-experts: {copies!r} is not a whole number from 0 to {MAX_COPIES:,}")
    if not isinstance(built.activations, bool):
        raise RoofcalcError(f"--activations: expected true or false, got {built.activations!r}")
    return built


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


NAMES = tuple(field.name for field in Assumptions.fields_)
