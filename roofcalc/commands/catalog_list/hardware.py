"""`hardware list` and `hardware show`: tables of devices and systems."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from roofcalc.catalog import lookup
from roofcalc.catalog.hosts import Host, host, hosts_of
from roofcalc.commands.catalog_list.figures import Figure, Shown, caveats, remarks, show, split
from roofcalc.commands.catalog_list.rows import Row, arranged, format_cell, found_by, matches, natural, parse_filter
from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Column, Table
from roofcalc.specs.device import FORMATS, Hardware, Hosts, Link
from roofcalc.units import number

_NAME = Column("name", "name", "", "catalog name", "text", 9)
_KINDS = ("device", "system")

HARDWARE_COLUMNS = (
    _NAME,
    Column("kind", "kind", "", "device or system", "text", 6),
    Column("vendor", "vendor", "", "vendor", "text", 5),
    Column("year", "year", "", "of release", "text", 4),
    Column("devices", "devices", "", "in the system", "count", 7),
    Column("memory_gb", "memory", "GB", "nominal, of all devices", "number", 8),
    Column("bandwidth_gb_s", "bandwidth", "GB/s", "of all devices", "number", 8),
    Column("bf16_tflop_s", "bf16", "TFLOP/s", "dense, of all devices (fp16 where there is no bf16)", "number", 8),
    Column("fp8_tflop_s", "fp8", "TFLOP/s", "dense, of all devices", "number", 7),
    Column("link_gb_s", "link", "GB/s", "scale-up, per device and direction", "number", 6),
    Column("domain", "domain", "", "devices that the link joins", "count", 6),
    Column("family", "family", "", "generation of the device", "text", 2),
)
SYSTEM_COLUMNS = (
    _NAME,
    Column("vendor", "vendor", "", "vendor", "text", 5),
    Column("year", "year", "", "of release", "text", 3),
    Column("devices", "devices", "", "in the system", "count", 9),
    Column("device", "device", "", "which", "text", 6),
    Column("cpu", "CPU", "", "of the hosts", "text", 4),
    Column("cpus", "CPUs", "", "packages in all hosts", "number", 7),
    Column("cpus_per_device", "per device", "", "CPU packages for each device", "number", 8),
    Column("cpu_share", "share", "", "the same in words", "text", 8),
    Column("host_memory_gb", "host memory", "GB", "of all hosts", "number", 7),
    Column("host_memory_gb_per_device", "host memory per device", "GB", "of all hosts, for each device", "number", 8),
    Column("memory_gb", "memory", "GB", "nominal, of all devices", "number", 6),
)


def hardware_list(
    search: str | None = None,
    *,
    vendor: str | None = None,
    family: str | None = None,
    kind: str | None = None,
    dtype: str | None = None,
    min_memory_gb: str | float | None = None,
    systems: bool = False,
    sort: str | None = None,
) -> Table:
    """Every device and system of the catalogs, one row each; or systems with their hosts.

    Parameters
    ----------
    search : str
        Only entries with these words in the name, aliases, title, maker or family, of a system or its devices.
    vendor, family, kind, dtype : str
        Filters, as comma lists: vendors (of the system or of its devices), families, "device" or "system", and formats that must
        all have a peak FLOP/s.
    min_memory_gb : number
        Minimum nominal memory, summed over the devices of an entry.
    systems : bool
        Systems only, with CPU packages and host memory per device.
    sort : str
        Column to sort by: numbers in descending order, text alphabetically.

    Raises
    ------
    RoofcalcError
        A filter value that no entry has, an unknown column, or a number that does not parse.
    """
    table = Table("hardware list", SYSTEM_COLUMNS if systems else HARDWARE_COLUMNS)
    entries = list(format_cell(table, "hardware", lookup.hardware))
    known = len(entries)
    if search is not None:
        entries = [one for one in entries if found_by(search, *_searched(one))]
        if not entries:
            table.notes.append(f"none of the {known} entries has {search!r} in its name, aliases, title, family or vendor")
    vendors = parse_filter("vendor", vendor, [name for one in entries for name in _vendors(one)])
    families = parse_filter("family", family, [one.device.family for one in entries])
    kinds = parse_filter("kind", kind, _KINDS)
    formats = parse_filter("dtype", dtype, [name for one in entries for name in one.device.peak_tflop_s])
    least = 0.0 if min_memory_gb is None else number(str(min_memory_gb), "--min-memory-gb")
    if least < 0:
        raise RoofcalcError(f"--min-memory-gb: expected GB from 0, got {least:g}")
    if systems and kinds and "system" not in kinds:
        raise RoofcalcError("--systems: excludes --kind device; devices have no hosts")
    rows = [
        _system_row(one) if systems else _row(one)
        for one in sorted(entries, key=lambda one: (one.system is not None, _vendors(one)[0], natural(one.name)))
        if matches(vendors, *_vendors(one))
        and matches(families, one.device.family)
        and matches(kinds, "system" if one.system else "device")
        and (formats is None or formats <= set(one.device.peak_tflop_s))
        and one.count * one.device.memory.capacity_gb >= least
        and (one.system or not systems)
    ]
    return arranged(table, rows, sort)


def _searched(one: Hardware) -> Iterator[str | Iterable[str] | None]:
    """What a search looks at: of a system, the names of its device too."""
    for record in (one.system, one.device):
        if record is not None:
            yield from (record.name, record.aliases, record.title, record.vendor)
    yield one.device.family


def hardware_show(hardware: str | Sequence[str]) -> Table:
    """All figures of the named hardware with their sources; several entries side by side."""
    shown, notes = dict[str, Shown](), list[str]()
    for name in split(hardware, "hardware"):
        found, lookup_notes = lookup.hardware(name)
        notes += lookup_notes
        records = [record for record in (found.system, found.device) if record]
        figures = [*_figures(found), *(figure for record in records for figure in caveats(record))]
        shown[name] = Shown(found.name, figures, [figure for record in records for figure in remarks(record)])
    table = show("hardware show", "hardware", shown)
    table.notes[:0] = dict.fromkeys(notes)
    return table


def cpu_share(hosts: Hosts, devices: int) -> str:
    """CPU packages per devices in the smallest whole numbers: `1 CPU for 4 devices`."""
    share = Fraction(hosts.count).limit_denominator(1000) / devices
    cpus, of = share.numerator, share.denominator
    return f"{cpus} CPU{'s' * (cpus != 1)} for {of} device{'s' * (of != 1)}" if cpus else "no CPU of its own"


def _vendors(found: Hardware) -> list[str]:
    return [name for name in (found.system.vendor if found.system else None, found.device.vendor) if name]


def _figures(found: Hardware) -> Iterator[Figure]:
    device, system, n = found.device, found.system, found.count
    yield Figure("title", (system.title if system else device.title) or found.name)
    yield Figure("device", device.title or device.name)
    yield Figure("devices", n)
    yield Figure("vendor", device.vendor)
    if device.year:
        yield Figure("year", str(device.year))
    if packages := hosts_of(found):
        yield from _host_figures(packages, n)
    yield from _host_rates(host(found))
    for name, size in device.memory.readings().items():
        yield Figure(f"memory per device, {name}", size / 1e9, "GB")
        if n > 1:
            yield Figure(f"memory of {n}, {name}", n * size / 1e9, "GB", f"memory of all, {name}")
    if device.memory.shared_with_host:
        yield Figure("memory", "shared with the host")
    yield Figure("memory bandwidth per device", device.memory.bandwidth_gb_s, "GB/s")
    if n > 1:
        yield Figure(f"memory bandwidth of {n}", n * device.memory.bandwidth_gb_s, "GB/s", "memory bandwidth of all")
    if device.best.bandwidth_gb_s:
        yield Figure("highest published bandwidth (bound)", device.best.bandwidth_gb_s, "GB/s")
    if device.best.clock != 1:
        yield Figure("highest clock over the sheet's (bound)", device.best.clock, "ratio")
    if device.cache_mb:
        yield Figure("last-level cache", device.cache_mb, "MB")
    for name in (name for name in FORMATS if name in device.peak_tflop_s):
        yield Figure(f"peak {name}, dense", device.peak_tflop_s[name], "TFLOP/s")
    for name in (name for name in FORMATS if name in device.peak_tflop_s):
        yield Figure(f"ridge point {name}", device.peak_tflop_s[name] * 1e3 / device.memory.bandwidth_gb_s, "FLOP/byte")
    yield from _link_figures(found.link)
    scale_out = found.scale_out_bytes_per_s
    yield Figure("scale-out per direction", scale_out / 1e9 if scale_out else "none given", "GB/s" if scale_out else "")
    if device.power_w:
        yield Figure("power per device", device.power_w, "W")
    if system and system.power_kw:
        yield Figure("power of the system", system.power_kw, "kW")


def _host_figures(hosts: Hosts, devices: int) -> Iterator[Figure]:
    yield Figure("hosts", f"{hosts.count:g} x {hosts.cpu or 'CPU'}")
    yield Figure("CPU packages per device", hosts.count / devices)
    yield Figure("CPU packages per device, in words", cpu_share(hosts, devices))
    if hosts.memory_gb is not None:
        yield Figure("host memory", hosts.memory_gb, "GB")
        yield Figure("host memory per device", hosts.memory_gb / devices, "GB")


def _host_rates(found: Host | None) -> Iterator[Figure]:
    if found is None:
        return
    if found.memory_gb_s is not None:
        yield Figure("host memory bandwidth", found.memory_gb_s, "GB/s")
    for name, peak in found.peak_tflop_s.items():
        yield Figure(f"host peak {name}, base clock", peak, "TFLOP/s")
    if found.link_known:
        yield Figure("host link", found.link_kind)
        yield Figure("host link per device and direction", found.link_gb_s, "GB/s")


def _link_figures(link: Link | None) -> Iterator[Figure]:
    if link is None:
        yield Figure("scale-up link", "none")
        return
    yield Figure("scale-up link", f"{link.kind or 'link'}, {link.shape}")
    yield Figure("link per direction", link.gb_s, "GB/s")
    if link.pair_gb_s:
        yield Figure("link of one pair", link.pair_gb_s, "GB/s")
    if link.axes:
        yield Figure("torus", " x ".join(map(str, link.axes)), "devices")
    yield Figure("domain", link.domain, "devices")
    yield Figure("sums in the network", "yes" if link.reduce else "no")


def _row(found: Hardware) -> Row:
    device, system, n = found.device, found.system, found.count
    peaks = device.peak_tflop_s
    half = peaks.get("bf16", peaks.get("fp16"))
    return {
        "name": found.name,
        "kind": "system" if system else "device",
        "vendor": (system.vendor if system else None) or device.vendor,
        "year": str((system.year if system else None) or device.year or ""),
        "devices": n,
        "memory_gb": n * device.memory.capacity_gb,
        "bandwidth_gb_s": n * device.memory.bandwidth_gb_s,
        "bf16_tflop_s": n * half if half else None,
        "fp8_tflop_s": n * peaks["fp8"] if "fp8" in peaks else None,
        "link_gb_s": found.link.gb_s if found.link else None,
        "domain": found.link.domain if found.link else None,
        "family": device.family,
    }


def _system_row(found: Hardware) -> Row:
    hosts = found.system.hosts if found.system else None
    memory = hosts.memory_gb if hosts else None
    row = _row(found)
    return {
        **{name: row[name] for name in ("name", "vendor", "year", "devices", "memory_gb")},
        "device": found.device.name,
        "cpu": hosts.cpu if hosts else None,
        "cpus": hosts.count if hosts else None,
        "cpus_per_device": hosts.count / found.count if hosts else None,
        "cpu_share": cpu_share(hosts, found.count) if hosts else None,
        "host_memory_gb": memory,
        "host_memory_gb_per_device": None if memory is None else memory / found.count,
    }
