"""Hardware names -> machines: so many devices of an entry, systems, cloud instances, boxes, nodes and MIG slices.

An exact name or alias comes first, then a row of hardware/instances.csv, then what a name resembles (`hardware_names`). How the devices
are joined is decided in `boxes`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from roofcalc.catalog import lookup
from roofcalc.catalog.dependent_figures import Followed, followed, get, put, system_followed, with_power
from roofcalc.catalog.overrides import Change
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Device, Hardware, Link, System
from roofcalc.specs.record import Record, replace

T = TypeVar("T", bound=Record)

MAX_COUNT = 1_000_000
MAX_DIGITS = 8  # of a count that is read at all


class Named(NamedTuple):
    """What a name stands for.

    Attributes
    ----------
    file : EntryFile
        The entry, or an instance of the table.
    nodes : int
    devices : int or None
        Devices, or whole systems, of a node; None where no count was written.
    mig : str or None
        Profile of a slice.
    size_gb : float or None
        Memory of a device that is sold with several sizes, where it is not the entry's.
    notes : tuple of str
    """

    file: lookup.EntryFile
    nodes: int = 1
    devices: int | None = None
    mig: str | None = None
    size_gb: float | None = None
    notes: tuple[str, ...] = ()


def hardware(text: str, changes: Sequence[Change] = ()) -> tuple[Hardware, list[str]]:
    """The machine named by `[N x]device`, by a system's or an instance's name or by a path, and notes about the name.

    Raises
    ------
    RoofcalcError
        Unknown name, unreadable file, or every problem of the file at once.
    """
    named = _named(text)
    times = 1 if named.devices is None else named.devices
    if not 1 <= times * named.nodes <= MAX_COUNT:
        raise RoofcalcError(f"hardware {text!r}: expected 1 to {MAX_COUNT} devices")
    own = [change for change in changes if change.target == "hardware"]
    built, notes = _built(named, times, own)
    if named.nodes > 1:
        from roofcalc.catalog import boxes

        label = built.name if named.devices is not None else f"1x{built.name}"
        joined, more = boxes.nodes(built, named.nodes)
        return replace(joined, name=f"{named.nodes}x{label}"), [*named.notes, *notes, *more]
    if built.count <= built.domain:
        return built, [*named.notes, *notes]
    from roofcalc.catalog import boxes  # where devices need to be joined

    joined, more = boxes.joined(built)
    return joined, [*named.notes, *notes, *more]


def _built(named: Named, times: int, changes: list[Change]) -> tuple[Hardware, list[str]]:
    """The devices of one node, before they are joined."""
    entry_file = named.file
    instance = _instance(entry_file) if entry_file.path.suffix == ".csv" else None
    entry = instance or lookup.entry("hardware", entry_file)
    if "device" not in entry.values:
        of_device, notes = _device(entry_file, entry, named, changes)
        device = of_device.device
        label = f"{device.name}-{named.size_gb:g}gb" if named.size_gb else device.name
        name = label if named.devices is None else f"{times}x{label}"
        return Hardware(name, device, times, device.link, _bytes_per_s(device.scale_out_gb_s), set_peaks=of_device.set_peaks), notes
    of_system = [change for change in changes if change.path[0] in entry.values]
    system = entry.build(System, str(entry_file.path), of_system)
    if of_system and (before := _before(entry, System, entry_file)) is not None:
        system = system_followed(before, system, of_system)
    if instance is None:
        lookup.check_stem(system.name, entry_file)
    device_file = lookup.find("hardware", system.device)
    of_device, notes = _device(device_file, lookup.entry("hardware", device_file), named, [change for change in changes if change not in of_system])
    device = of_device.device
    if of_device.before is not None and ("power_kw",) not in {change.path for change in changes}:
        system = with_power(system, device, of_device.before)
    label = f"{times}x{system.name}" if times > 1 else system.name
    link = system.link or (device.link if instance is None else _within(device.link, system.count))
    if instance is not None:
        notes.insert(0, f"{system.name} ({system.vendor}): {system.count} x {device.name}")
    scale_out = _bytes_per_s(system.scale_out_gb_s or (device.scale_out_gb_s if instance is None else None))
    built = Hardware(label, device, times * system.count, link, scale_out, system, of_device.set_peaks)
    return built, [*lookup.notes(entry_file, system), *notes]


def _within(link: Link | None, count: int) -> Link | None:
    """The part of a device's link that ends with an instance of so many devices; a torus is left whole."""
    if link is None or count == 1:
        return None
    return link if link.shape == "torus" or link.domain <= count else replace(link, domain=count)


def _instance(entry_file: lookup.EntryFile) -> lookup.Entry | None:
    from roofcalc.catalog import instances

    return instances.instance(entry_file.name)


def _device(entry_file: lookup.EntryFile, entry: lookup.Entry, named: Named, changes: list[Change]) -> tuple[Followed, list[str]]:
    """A device, its slice or its size that was named, with the changes and what follows from them; and notes."""
    own = changes
    if named.size_gb is not None:
        changes = [Change("hardware", ("memory", "capacity_gb"), named.size_gb), *changes]
    device = entry.build(Device, str(entry_file.path), changes)
    lookup.check_stem(device.name, entry_file)
    notes = lookup.notes(entry_file, device)
    if named.size_gb is not None:
        notes.append(f"{device.name}: {named.size_gb:g} GB of memory as named; bandwidth and peaks are those of the largest configuration")
    if not changes and named.mig is None:
        return Followed(device), notes
    before = _before(entry, Device, entry_file)
    if named.mig is not None:
        from roofcalc.catalog import boxes

        sliced = boxes.sliced(device if before is None else before, named.mig)
        before, changed = sliced, sliced
        for change in own:  # what is set is a figure of the slice
            changed = put(changed, change.path, get(device, change.path))
        device = changed
    if before is None:
        return Followed(device), notes
    found = followed(before, device, changes)
    return found, [*notes, *(found.notes if own else ())]


def _before(entry: lookup.Entry, record: type[T], entry_file: lookup.EntryFile) -> T | None:
    """The record before any change; None where the file is only valid with one."""
    try:
        return entry.build(record, str(entry_file.path), ())
    except RoofcalcError:
        return None


def _bytes_per_s(gb_s: float | None) -> float | None:
    return None if gb_s is None else gb_s * 1e9


def _named(text: str) -> Named:
    """What a name stands for.

    Raises
    ------
    RoofcalcError
        Nothing is near.
    """
    match = None if os.path.isfile(text) else lookup.COUNTED.match(text)
    count, name = (match.group(1), text[match.end() :]) if match else (None, text)
    if count is not None and len(count) > MAX_DIGITS:
        raise RoofcalcError(f"hardware {text!r}: expected 1 to {MAX_COUNT} devices")
    if (entry_file := lookup.exact("hardware", name)) is not None:
        return Named(entry_file, devices=None if count is None else int(count))
    from roofcalc.catalog import hardware_search  # only for names without an exact match

    found = next(hardware_search.readings_of(text), None)
    if found is None:
        from roofcalc.catalog.unknown_names import unknown

        raise unknown("hardware", text)
    return found
