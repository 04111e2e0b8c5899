"""What the tests of laws run over: every architecture of the catalog and of the examples, and machines of every kind of network."""

import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record
from tests import reference
from tests.tiers import NIGHTLY

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(str(path) for path in (ROOT / "tests" / "examples" / "models").glob("*.yaml"))
NAMES = sorted(path.stem for path in (ROOT / "models").rglob("*.yaml"))
TORUS = str(ROOT / "tests" / "examples" / "hardware" / "a-torus.yaml")
LAYOUT = ("tp", "pp", "dp", "ep", "dcp")


def short(name: str) -> str:
    """A model as test ids name it."""
    return Path(name).stem if name.endswith(".yaml") else name


@lru_cache(maxsize=1024)
def model(name: str) -> Model:
    return lookup.model(name)[0]


SAME = ("name", "title", "aliases", "sources", "publisher", "family", "license", "year", "context", "published", "unverified", "notes")


def architectures() -> list[str]:
    """One model of each architecture: those that differ in words alone take the same time and memory."""
    found: dict[str, str] = {}
    for name in (*NAMES, *EXAMPLES):
        one = model(name)
        found.setdefault(repr([(field.name, getattr(one, field.name)) for field in one.fields_ if field.name not in SAME]), name)
    return list(found.values())


def structures() -> list[str]:
    """Few models that together have every kind of layer and every trait of a model: sizes differ, code paths do not.

    Models are taken in order, each that adds a block of a new structure or a new combination of traits.
    """
    seen: set[object] = set()
    found = []
    for name in architectures():
        one = model(name)
        traits = tuple(bool(getattr(one, trait)) for trait in TRAITS)
        features = {_structure(block) for block in one.blocks.values()} | {("traits", *traits), ("blocks", len(one.blocks))}
        if features - seen:
            seen |= features
            found.append(name)
    return found


TRAITS = ("tied", "parallel", "mtp", "extra_embed", "altup", "hyper_connections", "positions")


def _structure(value: object) -> object:
    """A record's kinds and which of its fields are set; of a number only whether it is 0, 1 or more."""
    if isinstance(value, Record):
        return (type(value).__name__, *((field.name, _structure(getattr(value, field.name))) for field in value.fields_))
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return min(value, 1)
    return frozenset(_structure(one) for one in (value.values() if isinstance(value, dict) else value))  # type: ignore[attr-defined]


MODELS = architectures() if NIGHTLY else structures()


@lru_cache(maxsize=32)
def machine(name: str) -> Hardware:
    """By name; `torus-N` is a slice of N devices of the example torus."""
    if name.startswith("torus-"):
        whole = lookup.hardware(TORUS)[0]
        return Hardware(name, whole.device, int(name.removeprefix("torus-")), whole.link, whole.scale_out_bytes_per_s)
    return lookup.hardware(name)[0]


def on(name: str, hardware: str | Hardware, weights: str = "native", kv: str | None = None, **given: object) -> Deployment:
    """A deployment; `given` are degrees, wire dtypes and assumptions by their names."""
    parts = {key: given.pop(key) for key in (*LAYOUT, "compute", "comm", "dispatch", "combine") if key in given}
    place = machine(hardware) if isinstance(hardware, str) else hardware
    return deploy(model(name), place, weights=weights, kv=kv, assumptions=assumptions(**given), **parts)  # type: ignore[arg-type]


def drawn(name: str, hardware: str, count: int | None) -> Iterator[dict[str, object]]:
    """Layouts with a precision each: `count` of them, others for every model, or all."""
    draw = random.Random(f"{short(name)} {hardware}")
    layouts = list(reference.layouts(model(name), machine(hardware).count))
    for place in layouts if count is None else draw.sample(layouts, min(count, len(layouts))):
        weights, kv = draw.choice(["native", "bf16", "fp8", "nvfp4"]), draw.choice(["bf16", "fp8"])
        yield {**dict(zip(LAYOUT, place, strict=True)), "weights": weights, "kv": kv}
