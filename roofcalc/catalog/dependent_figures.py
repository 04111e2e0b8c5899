"""What follows from a device's figure that is overridden with `--set`: figures of the catalog that describe the same part of the device.

The memory that the driver shows keeps its ratio to the nominal size, the highest published bandwidth its ratio to the nominal one, the
bandwidth of a pair its ratio to that of all ports, and the peaks of formats of one width their ratios to each other. A figure that is
itself set stays as it is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from roofcalc.catalog.overrides import Change
from roofcalc.specs import dtypes
from roofcalc.specs.device import Device, System
from roofcalc.specs.record import Record, replace

PEAKS = "peak_tflop_s"
Path = tuple[str, ...]


class Followed(NamedTuple):
    """A device after its changes.

    Attributes
    ----------
    device : Device
    set_peaks : tuple of str
        Formats whose peak was changed and decides the speed of their width in `bound` (`roofcalc.specs.dtypes.fastest`).
    notes : tuple of str
        The figures that followed.
    before : Device or None
        Without the changes; None where there are none, or the file is only valid with them.
    """

    device: Device
    set_peaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    before: Device | None = None


def followed(base: Device, changed: Device, changes: Sequence[Change]) -> Followed:
    """The device `changed` with the figures that follow those changed; `base` is the device before the changes."""
    given = {change.path for change in changes}
    before, after = base.memory, changed.memory
    moved: list[str] = []

    def follows(path: Path, other: Path, value: float | None, ratio: float) -> float | None:
        """`value` of the figure at `other`, times `ratio` where the figure at `path` is set and this one is not."""
        if value is None or path not in given or other in given or ratio == 1:
            return value
        moved.append(f"--set hardware.{'.'.join(path)}: {'.'.join(other)} follows in proportion")
        return value * ratio

    size = after.capacity_gb / before.capacity_gb
    speed = after.bandwidth_gb_s / before.bandwidth_gb_s
    visible = follows(("memory", "capacity_gb"), ("memory", "visible_mib"), after.visible_mib, size)
    best = follows(("memory", "bandwidth_gb_s"), ("best", "bandwidth_gb_s"), changed.best.bandwidth_gb_s, speed)
    link = changed.link
    if base.link is not None and link is not None:
        pair = follows(("link", "gb_s"), ("link", "pair_gb_s"), link.pair_gb_s, link.gb_s / base.link.gb_s)
        link = replace(link, pair_gb_s=pair)
    peaks = dict(changed.peak_tflop_s)
    for name in (path[1] for path in given if path[0] == PEAKS):
        if name not in base.peak_tflop_s or name not in dtypes.WIDTH_BITS:
            continue
        ratio = changed.peak_tflop_s[name] / base.peak_tflop_s[name]
        for other in _same_width(base, name):
            scaled = follows((PEAKS, name), (PEAKS, other), base.peak_tflop_s[other], ratio)
            if (PEAKS, other) not in given and scaled is not None:
                peaks[other] = scaled
    device = replace(
        changed,
        memory=replace(after, visible_mib=visible),
        best=replace(changed.best, bandwidth_gb_s=best),
        link=link,
        peak_tflop_s=peaks,
    )
    return Followed(device, tuple(name for name in peaks if (PEAKS, name) in given and _decides(base, name)), tuple(dict.fromkeys(moved)), base)


def system_followed(base: System, changed: System, changes: Sequence[Change]) -> System:
    """The system with the bandwidth of a pair in the ratio that it had to that of all ports."""
    given = {change.path for change in changes}
    if ("link", "gb_s") not in given or ("link", "pair_gb_s") in given or base.link is None or changed.link is None:
        return changed
    pair = changed.link.pair_gb_s
    return replace(changed, link=replace(changed.link, pair_gb_s=pair and pair * changed.link.gb_s / base.link.gb_s))


def with_power(system: System, device: Device, before: Device) -> System:
    """The system with as many watts more as its devices draw more than before."""
    if system.power_kw is None or device.power_w is None or before.power_w is None:
        return system
    return replace(system, power_kw=system.power_kw + system.count * (device.power_w - before.power_w) / 1000)


def _same_width(device: Device, name: str) -> list[str]:
    """The other formats of the device whose elements are as wide: the same units compute in them."""
    width = dtypes.WIDTH_BITS[name]
    return [other for other in dtypes.known_formats(device) if other != name and dtypes.WIDTH_BITS[other] == width]


def _decides(base: Device, name: str) -> bool:
    """Whether no wider format was faster than all formats of this one's width, before the change."""
    peaks = base.peak_tflop_s
    if name not in peaks or name not in dtypes.WIDTH_BITS:
        return False
    fastest = dtypes.fastest(base, dtypes.WIDTH_BITS[name])
    return fastest is not None and peaks[fastest] <= max(peaks[one] for one in (name, *_same_width(base, name)))


def put(record: Any, path: Path, value: Any) -> Any:
    """A copy of a record or mapping with the figure at `path` replaced; the same where there is no such part."""
    head, *rest = path
    if isinstance(record, dict):
        return {**record, head: put(record[head], tuple(rest), value) if rest else value}
    if not isinstance(record, Record):
        return record
    return replace(record, **{head: put(getattr(record, head), tuple(rest), value) if rest else value})


def get(record: Any, path: Path) -> Any:
    """The figure at `path` of a record; None where there is no such part."""
    for key in path:
        record = record.get(key) if isinstance(record, dict) else getattr(record, key, None)
    return record
