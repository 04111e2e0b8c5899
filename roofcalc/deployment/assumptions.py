"""Assumptions of a calculation: presets, and options that override single values."""

import math
import numbers
from typing import Any

from roofcalc.deployment import engines
from roofcalc.errors import RoofcalcError, flag, invalid_choice
from roofcalc.specs.record import Record
from roofcalc.specs.routing import SKEWED, UNIFORM, Routing

LEAST_FRACTION = 1e-6
MAX_KV_BLOCK = 1_000_000_000
MAX_COPIES = 1_000_000
MAX_OVERHEAD_US = 10_000_000
MAX_STEP_TOKENS = 10_000_000
MAX_PREFIX = 1_000_000_000

CHOICES: dict[str, tuple[str, ...]] = {
    "assume": ("roofline", "bound", "typical"),
    "overlap": ("full", "net", "op", "none"),
    "network": ("bandwidth", "ideal"),
    "capacity": ("nominal", "visible", "binary", "largest", "engine"),
    "kv_policy": ("architectural", "engine", "full", "minimal", "reserved"),
    "prefill": ("colocated", "chunked", "separate"),
    "arrivals": ("staggered", "burst"),
}


class Assumptions(Record):
    """Everything that affects an answer besides model, hardware, precision and layout.

    Attributes
    ----------
    assume : "roofline", "bound" or "typical"
        The preset: ideal efficiency; a lower bound on time for any engine; measured efficiencies (`roofcalc.deployment.efficiency`).
    engine : str, optional
        The engine, or a release of it (`vllm-0.16`), whose memory rules apply (`roofcalc.deployment.engines`) and in `typical`
        whose overhead and attention kernel are assumed. `none`, or None outside `typical`: the memory holds weights and caches alone.
    overlap : "full", "net", "op" or "none"
        What runs at the same time (`roofcalc.physics.roofline`).
    network : "bandwidth" or "ideal"
        Collectives limited by bandwidth, or free.
    mbu, mfu, link : float or None
        Achieved fractions of memory bandwidth, peak FLOP/s and link bandwidth; None: kernel models, for each operation and
        message.
    util : float or None
        Fraction of the memory that may be used.
    reserve_gb : float or None
        GB per device kept free in addition; None: the device profile's, or 0 under an engine's memory rules.
    capacity : "nominal", "visible", "binary", "largest", "engine" or None
        Which capacity figure to use: the vendor's, the driver's, the vendor's number in GiB, the largest, or the one that an
        engine's runtime reports; None: the engine's where it has memory rules, else visible where it is known, else nominal.
    kv_policy : "architectural", "engine", "full", "minimal" or None
        Windowed and chunked layers store their window; what the engine's memory rules say; or the whole context. "minimal": their
        window, and one vector where keys serve as values. None: the engine's where it has rules, else the architecture's.
        "reserved" is another name of "full".
    max_batched_tokens, max_seqs : int or None
        Tokens of the engine's largest step, and sequences of one replica, which also cap the batch; None: the engine's default.
    kv_block : int or None
        Tokens per KV block: contexts are rounded up to a multiple of it for capacity; None: the engine's, 1 without one.
    imbalance : float
        Load of the busiest expert rank over the mean, beyond what `routing` says.
    routing : str
        How tokens choose experts (`roofcalc.deployment.routing`): "uniform", "skewed" or "measured:FILE".
    expert_shares : tuple of float
        Of "measured:FILE": the fraction of all choices that falls on each expert.
    redundant_experts : int
        Redundant copies of experts in each layer.
    activations : bool
        Count the activation traffic of GEMMs.
    prefill : "colocated", "chunked" or "separate"
        Where the prompts of other requests are prefilled: on the same devices before decode steps, in chunks that ride on decode steps,
        or on other devices (`roofcalc.physics.serving`). Only for whole generations.
    arrivals : "staggered" or "burst"
        How a given number of requests in flight come: each as another one ends, or all at once, as benchmarks send them.
    shared_prefix : int
        First tokens that all sequences have in common, such as a system prompt: kept once per data-parallel rank, read once per step.
    hit_rate : float
        Fraction of a prompt after the shared prefix that is found in the cache and not prefilled again (`roofcalc.physics.prompt_cache`).
    layer_overhead_us, step_overhead_us : float or None
        Fixed overhead of each layer and of each pass through a stage; None: the device profile's, or none.
    collective_latency_us : float or None
        Latency of each collective in addition to the time of its bytes; None: the device profile's, or none.
    """

    assume: str = "roofline"
    engine: str | None = None
    overlap: str = "op"
    network: str = "bandwidth"
    mbu: float | None = 1.0
    mfu: float | None = 1.0
    link: float | None = 1.0
    util: float | None = 1.0
    reserve_gb: float | None = 0.0
    capacity: str | None = "nominal"
    kv_policy: str | None = None
    kv_block: int | None = None
    imbalance: float = 1.0
    routing: str = UNIFORM
    expert_shares: tuple[float, ...] = ()
    redundant_experts: int = 0
    activations: bool = False
    layer_overhead_us: float | None = None
    step_overhead_us: float | None = None
    collective_latency_us: float | None = None
    max_batched_tokens: int | None = None
    max_seqs: int | None = None
    prefill: str = "colocated"
    arrivals: str = "staggered"
    shared_prefix: int = 0
    hit_rate: float = 0.0

    @property
    def chosen_experts(self) -> Routing:
        """How tokens choose experts."""
        return Routing(self.routing.partition(":")[0], self.expert_shares)

    @property
    def is_bound(self) -> bool:
        return self.assume == "bound"

    @property
    def is_typical(self) -> bool:
        return self.assume == "typical"


_OF_PROFILE = ("mbu", "mfu", "link", "reserve_gb", "capacity", "layer_overhead_us", "step_overhead_us")
_OF_ENGINE = ("util", "capacity", "kv_policy")
_PRESETS: dict[str, dict[str, Any]] = {
    "roofline": {},
    "bound": {"overlap": "full", "capacity": "largest", "kv_policy": "minimal", "routing": SKEWED},
    "typical": {"activations": True, "engine": "vllm", "prefill": "chunked", **dict.fromkeys(_OF_PROFILE)},
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
    if chosen.get("kv_policy") == "reserved":
        chosen["kv_policy"] = "full"
    merged = {**_PRESETS[assume], **chosen}
    if merged.get("routing") not in (None, UNIFORM, SKEWED):
        from roofcalc.deployment.routing import routing  # reads a file

        merged["expert_shares"] = routing(str(merged["routing"])).shares
    if engines.rules(merged.get("engine")):
        merged = {**merged, **{name: chosen.get(name) for name in _OF_ENGINE}}
    elif merged.get("kv_policy") in (None, "engine"):
        merged["kv_policy"] = "architectural"
    built = Assumptions(assume=assume, **merged)
    for name in ("mbu", "mfu", "link", "util"):
        value = getattr(built, name)
        if value is not None and not (is_number(value) and LEAST_FRACTION <= value <= 1):
            percent = f" ({value:g} % is {value / 100:g})" if is_number(value) and 1 < value <= 100 else ""
            raise RoofcalcError(f"--{name}: {value!r} is not a fraction from {LEAST_FRACTION:f} to 1{percent}")
    for name in ("layer_overhead_us", "step_overhead_us", "collective_latency_us"):
        value = getattr(built, name)
        if value is not None and not (is_number(value) and 0 <= value <= MAX_OVERHEAD_US):
            raise RoofcalcError(f"--{name.replace('_', '-')}: {value!r} is not a number of microseconds from 0 to {MAX_OVERHEAD_US:,}")
    if "engine" in chosen:
        _check_engine(chosen["engine"])
    for name in ("max_batched_tokens", "max_seqs"):
        value = getattr(built, name)
        if value is not None and not (is_number(value) and value == int(value) and 1 <= value <= MAX_STEP_TOKENS):
            raise RoofcalcError(f"{flag(name)}: {value!r} is not a whole number from 1 to {MAX_STEP_TOKENS:,}")
    if built.reserve_gb is not None and not (is_number(built.reserve_gb) and 0 <= built.reserve_gb <= 1e6):
        raise RoofcalcError(f"--reserve: {built.reserve_gb!r} is not a number of GB per device from 0 to a million")
    block = 1 if built.kv_block is None else built.kv_block
    if not (is_number(block) and block == int(block) and 1 <= block <= MAX_KV_BLOCK):
        raise RoofcalcError(f"--kv-block: {built.kv_block!r} is not a whole number of tokens from 1 to {MAX_KV_BLOCK:,}")
    if not (is_number(built.imbalance) and 1 <= built.imbalance <= 1e6):
        raise RoofcalcError(f"--imbalance: {built.imbalance!r} is not a number from 1 (uniform) to a million")
    copies = built.redundant_experts
    if not (is_number(copies) and copies == int(copies) and 0 <= copies <= MAX_COPIES):
        raise RoofcalcError(f"--redundant-experts: {copies!r} is not a whole number from 0 to {MAX_COPIES:,}")
    if not (is_number(built.shared_prefix) and built.shared_prefix == int(built.shared_prefix) and 0 <= built.shared_prefix <= MAX_PREFIX):
        raise RoofcalcError(f"--shared-prefix: {built.shared_prefix!r} is not a whole number of tokens from 0 to {MAX_PREFIX:,}")
    if not (is_number(built.hit_rate) and 0 <= built.hit_rate <= 1):
        raise RoofcalcError(f"--hit-rate: {built.hit_rate!r} is not a fraction from 0 to 1")
    if not isinstance(built.activations, bool):
        raise RoofcalcError(f"--activations: expected true or false, got {built.activations!r}")
    return built


def _check_engine(name: Any) -> None:
    """Refuses an engine that has neither memory rules nor timings."""
    if not isinstance(name, str):
        raise RoofcalcError(f"--engine: {name!r} is not the name of an engine")
    if engines.split(name)[0] not in (*engines.engines(), engines.NONE):
        from roofcalc.deployment import calibrated  # reads another file, for engines that have timings alone

        engines.check(name, tuple(calibrated.read().engines))


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


NAMES = tuple(field.name for field in Assumptions.fields_ if field.name != "expert_shares")  # which follow from `routing`
