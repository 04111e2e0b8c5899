"""Fitted constants of kernels by engine, number format, kernel and device, and where they come from when there is no exact fit.

`kernels.yaml` is read when first asked for. Constants of another device are scaled by clock and link; fractions, tiles and waves carry
over through the device's own peak, bandwidth and compute units.
"""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels.facts import DeviceFacts

FILE = Path(__file__).with_name("kernels.yaml")
Record = TypeVar("Record")

# Formats from which constants are taken, nearest first, where there is no fit for the one asked.
_NEAREST_FORMATS = {
    "nvfp4": ("fp8_block", "fp8", "w4a8_mxfp4_mxfp8", "bfloat16"),
    "w4a8_mxfp4_mxfp8": ("nvfp4", "fp8_block", "fp8", "w4a16_mxfp4", "bfloat16"),
    "w4a16_mxfp4": ("int4_wo", "w4a8_mxfp4_mxfp8", "bfloat16"),
    "int4_wo": ("w4a16_mxfp4", "int8_wo", "bfloat16"),
    "int8_wo": ("int4_wo", "fp8", "bfloat16"),
    "sq": ("fp8", "int8_wo", "bfloat16"),
    "fp8_block": ("fp8", "nvfp4", "bfloat16"),
    "fp8": ("fp8_block", "sq", "bf16-kv8", "bfloat16"),
    "bf16-kv8": ("bf16", "fp8"),
    "bf16": ("bf16-kv8", "fp8"),
}
_SHARED_COST = 0.001  # constants of an architecture against a device's own: less than a place in `prefer`
_ENGINE_COST, _FORMAT_COST, _KERNEL_COST, _ARCHITECTURE_COST, _VENDOR_COST, _LINK_COST = 2.5, 3.0, 2.0, 2.0, 4.0, 1.0


@dataclass(frozen=True)
class KnownDevice:
    """A device of `kernels.yaml`: architecture (kernels are shared within one), vendor, compute units and the clock of its peak, Hz."""

    name: str
    architecture: str
    vendor: str
    compute_units: float
    clock_hz: float
    bandwidth_bytes_s: float
    link_bytes_s: float


@dataclass(frozen=True)
class Source:
    """Where parameters come from: the fit's engine, format, kernel and device (or architecture), and whether it is the very one asked for."""

    engine: str
    dtype: str
    kernel: str
    device: str
    exact: bool


@dataclass(frozen=True)
class Fits:
    """The whole file.

    Attributes
    ----------
    devices
        Known devices by name.
    typical
        For each architecture the device in the middle of its bandwidths: what constants common to an architecture are scaled from.
    prefer
        Parts of kernel names, the engines' defaults first: of "subject|engine|format", of a subject, or of "any".
    names, values
        For each subject the fields, and by (engine, format, kernel) the fitted values of devices and of whole architectures.
    """

    devices: dict[str, KnownDevice]
    typical: dict[str, KnownDevice]
    prefer: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]
    values: dict[str, dict[tuple[str, str, str], dict[str, tuple[float, ...]]]]


def parsed(text: str, place: str) -> Fits:
    """`Fits` from the file's text; an error with the place where a section is malformed.

    The head is YAML. The fitted part, from the line `kernels:` on, is YAML too but has one form only, which is read line by line: a
    thousand lines take a YAML reader as long as the whole rest of a command.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    head, _, rest = text.partition("\nkernels:")
    try:
        content = yaml.load(head, Loader=loader)
    except yaml.YAMLError as error:
        raise RoofcalcError(f"{place}: not readable as YAML ({str(error).splitlines()[0]}).") from error
    devices = {}
    for name, entry in content["devices"].items():
        devices[name] = KnownDevice(
            name,
            entry["architecture"],
            entry["vendor"],
            float(entry["compute_units"]),
            entry["clock_ghz"] * 1e9,
            entry["bandwidth_gb_s"] * 1e9,
            entry.get("link_gb_s", 0) * 1e9,
        )
    names, values = _sections(rest, place)
    typical = {}
    for architecture in {known.architecture for known in devices.values()}:
        members = sorted((known for known in devices.values() if known.architecture == architecture), key=lambda known: known.bandwidth_bytes_s)
        typical[architecture] = members[(len(members) - 1) // 2]
    return Fits(devices, typical, {name: tuple(parts) for name, parts in content["prefer"].items()}, names, values)


_Values = dict[str, dict[tuple[str, str, str], dict[str, tuple[float, ...]]]]


def _sections(text: str, place: str) -> tuple[dict[str, tuple[str, ...]], _Values]:
    """Fields and values of the fitted part: a subject at two spaces, its fields at four, a group at six, a device at eight."""
    names: dict[str, tuple[str, ...]] = {}
    values: _Values = {}
    subject, path = "", ""
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        indent, (key, _, rest) = len(line) - len(line.lstrip()), plain.partition(": ") if plain.startswith("fields") else plain.rpartition(":")
        if indent == 2:
            subject = key
            values[subject] = {}
        elif plain.startswith("fields"):
            names[subject] = tuple(name.strip() for name in rest.strip("[]").split(","))
        elif indent == 6:
            path = key.strip('"')
            parts = path.split("|")
            if len(parts) != 3:
                raise RoofcalcError(f"{place}: kernels.{subject}.{path} is not engine|format|kernel.")
            group = values[subject].setdefault((parts[0], parts[1], parts[2]), {})
        elif indent == 8:
            try:
                row = tuple(map(float, rest.split()))
            except ValueError as error:
                raise RoofcalcError(f"{place}: kernels.{subject}.{path} holds something that is not a number ({error}).") from error
            if len(row) != len(names[subject]):
                raise RoofcalcError(f"{place}: kernels.{subject}.{path} does not have the fields that its section lists.")
            group[key] = row
    return names, values


@lru_cache(maxsize=1)
def fits() -> Fits:
    """The packaged constants."""
    return parsed(FILE.read_text(encoding="utf-8"), FILE.name)


def distance(known: KnownDevice, architecture: str | None, vendor: str | None, facts: DeviceFacts) -> float:
    """How unlike two devices are: different architecture or vendor, and logarithms of bandwidth and compute units."""
    apart = 0.0
    if architecture is not None and known.architecture != architecture:
        apart += _ARCHITECTURE_COST
    if vendor is not None and known.vendor != vendor:
        apart += _VENDOR_COST
    if bool(known.link_bytes_s) != bool(float(facts.link_bytes_s)):
        apart += _LINK_COST
    apart += abs(math.log(known.bandwidth_bytes_s / float(facts.bandwidth_bytes_s)))
    return apart + abs(math.log(known.compute_units / float(facts.compute_units)))


def _format_cost(asked: str, known: str) -> float:
    if asked == known:
        return 0.0
    head, _, tail = asked.partition("+")
    known_head, _, known_tail = known.partition("+")
    if tail and known_tail:
        return _format_cost(head, known_head) / 2 + _format_cost(tail, known_tail) / 2
    near = _NEAREST_FORMATS.get(asked, ())
    return _FORMAT_COST * (1 + (near.index(known) if known in near else len(near) + 1) / 2)


def _devices_of(words: set[str]) -> int | None:
    """The number of devices of a collective's kernel name, a word such as x8."""
    return next((int(word[1:]) for word in words if word[0] == "x" and word[1:].isdigit()), None)


def _kernel_cost(asked: str | None, known: str, prefer: tuple[str, ...]) -> float:
    if asked == known:
        return 0.0
    rank = next((place for place, part in enumerate(prefer) if part in known), len(prefer))
    if asked is None:
        return 0.01 * rank
    asked_words, words = set(asked.split()), set(known.split())
    devices, known_devices = _devices_of(asked_words), _devices_of(words)
    cost = 0.01 * rank
    if devices and known_devices:
        cost += 0.3 * abs(math.log2(devices / known_devices))
        asked_words, words = asked_words - {f"x{devices}"}, words - {f"x{known_devices}"}
    return cost + _KERNEL_COST * len(asked_words ^ words) / max(1, len(asked_words | words))


def nearest(
    subject: str,
    device: str,
    facts: DeviceFacts,
    engine: str,
    dtype: str,
    kernel: str | None = None,
    *,
    table: Fits | None = None,
) -> Source:
    """The fit to use: the one asked for where it exists, else the least unlike in engine, format, kernel and device.

    Parameters
    ----------
    kernel
        None for the kernel that the engine prefers.
    table
        Other constants than the packaged ones.

    Raises
    ------
    RoofcalcError
        Where the file has no fit at all for `subject`.
    """
    table = fits() if table is None else table
    if subject not in table.values:
        raise RoofcalcError(f"no kernel times for {subject}; known are {', '.join(sorted(table.values))}.")
    own = table.devices.get(device)
    architecture, vendor = (own.architecture, own.vendor) if own else (None, None)
    apart = {name: 0.0 if name == device else 0.1 + distance(known, architecture, vendor, facts) for name, known in table.devices.items()}
    for name, known in table.typical.items():
        apart[name] = _SHARED_COST if name == architecture else 0.2 + distance(known, architecture, vendor, facts)
    best: tuple[float, tuple[str, str, str], str] | None = None
    for key, rows in table.values[subject].items():
        prefer = next(table.prefer[name] for name in ("|".join((subject, *key[:2])), subject, "any") if name in table.prefer)
        cost = (0.0 if key[0] == engine else _ENGINE_COST) + _format_cost(dtype, key[1]) + _kernel_cost(kernel, key[2], prefer)
        for name in rows:
            if name in apart and (best is None or (cost + apart[name], key, name) < best):
                best = (cost + apart[name], key, name)
    if best is None:
        raise RoofcalcError(f"no kernel times for {subject}: the section is empty.")
    _, key, name = best
    exact = name in (device, architecture) and key[0] == engine and key[1] == dtype and kernel in (None, key[2])
    return Source(*key, name, exact)


def scaled(names: tuple[str, ...], values: tuple[float, ...], known: KnownDevice, facts: DeviceFacts) -> dict[str, float]:
    """Constants of one device carried to another: times by the inverse ratio of clocks, streams of a unit by it, links by their ratio."""
    clock = float(facts.clock_hz) / known.clock_hz
    link = float(facts.link_bytes_s) / known.link_bytes_s if facts.link_bytes_s and known.link_bytes_s else 1.0
    factors = {"small_gb_s": link, "large_gb_s": link, "feed_gb_s": clock, "block_gb_s": clock, "unit_gb_s": clock}
    result = {}
    for name, value in zip(names, values, strict=True):
        factor = factors.get(name, 1.0)
        if name.endswith(("_us", "_ns", "_ps")):
            factor = 1.0 / clock
        result[name] = value * factor
    return result


def parameters(
    record: type[Record],
    subject: str,
    device: str,
    facts: DeviceFacts,
    engine: str,
    dtype: str,
    kernel: str | None = None,
    *,
    table: Fits | None = None,
) -> tuple[Record, Source]:
    """A record of constants for one device, and where they come from; see `nearest` for the chain and `scaled` for the scaling."""
    table = fits() if table is None else table
    source = nearest(subject, device, facts, engine, dtype, kernel, table=table)
    values = table.values[subject][(source.engine, source.dtype, source.kernel)][source.device]
    own = table.devices.get(device)
    if source.device == device or (own and own.architecture == source.device):
        chosen: dict[str, Any] = dict(zip(table.names[subject], values, strict=True))
    else:
        known = table.devices.get(source.device) or table.typical[source.device]
        chosen = scaled(table.names[subject], values, known, facts)
    expected = {field.name for field in fields(record)}  # type: ignore[arg-type]
    if set(chosen) != expected:
        raise RoofcalcError(f"kernels.yaml: {subject} has the fields {', '.join(chosen)} where {', '.join(sorted(expected))} are meant.")
    return record(**chosen), source
