"""The host of a machine: its CPUs, their memory, and the link to each device, from the catalog and from `--host`."""

from __future__ import annotations

from roofcalc.catalog import boxes
from roofcalc.catalog.cpus import Cpu, cpus
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Hardware
from roofcalc.specs.host import Host
from roofcalc.specs.record import replace

KEYS = ("cpu", "count", "memory_gb", "memory_gb_s", "tflop_s", "link_gb_s", "nvme_gb_s", "mbu", "mfu")
LARGEST = 1e7


def host(hardware: Hardware, text: str | None = None) -> Host:
    """The host of a machine; what `text` (`cpu=AMD EPYC 9374F,count=2,memory_gb=768`) gives overrides what the catalog lists.

    `memory_gb`, `memory_gb_s` and `tflop_s` are of all packages together, `link_gb_s` per device and direction.

    Raises
    ------
    RoofcalcError
        An unknown key or CPU, or a value out of range.
    """
    given = _parsed(text) if text is not None else {}
    found = _listed(hardware, given.pop("cpu", None), given.pop("count", None))
    numbers = {name: _number(name, value) for name, value in given.items()}
    return replace(found, **numbers)


def _listed(hardware: Hardware, cpu: str | None, count: str | None) -> Host:
    """What the catalog lists: of the named CPUs, else of the system's hosts; the link by the device's PCIe slot."""
    hosts = hardware.system.hosts if hardware.system else None
    known = cpus()
    if cpu is not None and cpu not in known:
        names = {name.lower(): name for name in known}
        if cpu.lower() not in names:
            raise RoofcalcError(f"--host: unknown CPU {cpu!r}{did_you_mean(cpu, tuple(known))}; or give memory_gb_s and tflop_s")
        cpu = names[cpu.lower()]
    name = cpu or (hosts.cpu if hosts else None)
    packages = _number("count", count) if count is not None else 1.0 if cpu is not None or hosts is None else float(hosts.count)
    found = known.get(name) if name else None
    slot = boxes.slot(hardware.device.name)
    return Host(
        memory_gb=hosts.memory_gb if hosts and cpu is None else None,
        memory_gb_s=_of_all(packages, found, "memory_gb_s"),
        tflop_s=_of_all(packages, found, "tflop_s"),
        link_gb_s=boxes.LANE_GB_S[slot.generation] * slot.lanes if slot.known else None,
    )


def _of_all(packages: float, cpu: Cpu | None, name: str) -> float | None:
    value: float | None = getattr(cpu, name, None)
    return packages * value if value is not None else None


def _parsed(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in text.split(","):
        name, sign, value = item.strip().partition("=")
        name = name.strip().lower()
        if not sign or name not in KEYS:
            raise RoofcalcError(f"--host: {item.strip()!r} is not one of {', '.join(f'{key}=…' for key in KEYS)}{did_you_mean(name, KEYS)}")
        if name in found:
            raise RoofcalcError(f"--host: {name} is given twice")
        found[name] = value.strip()
    return found


def _number(name: str, text: str) -> float:
    most = 1.0 if name in ("mbu", "mfu") else LARGEST
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= most:
        raise RoofcalcError(f"--host: {name}={text!r} is not a number above 0 and up to {most:g}")
    return value
