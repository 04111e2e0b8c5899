"""What the CPUs next to a machine's devices offer: memory, its bandwidth, peaks, and the link to each device.

A system says which CPUs its hosts have; a device that comes with its CPU in one module (GH200, GB200) says so itself. Figures of a package
stand in hardware/cpus.csv, PCIe generation and lanes of a device in hardware/pcie.csv.
"""

from __future__ import annotations

from typing import NamedTuple

from roofcalc.catalog import boxes, cpus
from roofcalc.specs.device import Device, Hardware, Hosts
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace


class Host(NamedTuple):
    """The hosts of a whole machine; None where a figure is not known.

    Attributes
    ----------
    packages : float
        CPUs.
    cpu : Cpu or None
        Its row of hardware/cpus.csv.
    memory_gb : float or None
        Over all packages. [GB]
    memory_gb_s : float or None
        Peak bandwidth over all packages. [GB/s]
    peak_tflop_s : dict
        Over all packages at the base clock, by number format. [TFLOP/s]
    link_gb_s : float
        Between one device and its host, per direction. [GB/s]
    link_kind : str
        Such as `PCIe 5.0 x16` or `NVLink-C2C`.
    link_known : bool
        The device's generation and lanes are in hardware/pcie.csv, or the link is C2C.
    """

    packages: float
    cpu: cpus.Cpu | None
    memory_gb: float | None
    memory_gb_s: float | None
    peak_tflop_s: dict[str, float]
    link_gb_s: float
    link_kind: str
    link_known: bool


def hosts_of(hardware: Hardware) -> Hosts | None:
    """CPU packages of a machine: those of its system, else those that come with its devices."""
    if hardware.system is not None and hardware.system.hosts is not None:
        return hardware.system.hosts
    own = hardware.device.hosts
    if own is None:
        return None
    n = hardware.count
    return replace(
        own,
        count=own.count * n,
        memory_gb=None if own.memory_gb is None else own.memory_gb * n,
        memory_gb_s=None if own.memory_gb_s is None else own.memory_gb_s * n,
    )


def host(hardware: Hardware) -> Host | None:
    """What a machine's hosts offer; None where it has none in the catalog, or where the devices' memory is the hosts'."""
    found = hosts_of(hardware)
    if found is None or found.count == 0 or hardware.device.memory.shared_with_host:
        return None
    return described(found, hardware.device, hardware.count)


def described(hosts: Hosts, device: Device, devices: int) -> Host:
    """Hosts of which `devices` devices are served, with the figures of their CPU's row."""
    cpu = cpus.cpus().get(hosts.cpu) if hosts.cpu else None
    bandwidth = hosts.memory_gb_s
    if bandwidth is None and cpu is not None and cpu.memory_gb_s is not None:
        bandwidth = hosts.count * cpu.memory_gb_s
    peaks = {name: hosts.count * peak for name, peak in (cpu.peak_tflop_s() if cpu else {}).items()}
    link, kind, known = _link(cpu, hosts.count, device, devices)
    return Host(hosts.count, cpu, hosts.memory_gb, bandwidth, peaks, link, kind, known)


def _link(cpu: cpus.Cpu | None, packages: float, device: Device, devices: int) -> tuple[float, str, bool]:
    """GB per second and direction between a device and its host, the link's kind, and whether it is known."""
    found = boxes.slot(device.name)
    if cpu is not None and cpu.c2c_gb_s is not None and not found.known:
        return c2c_per_device(packages, cpu.c2c_gb_s, devices), "NVLink-C2C", True
    generation = found.generation if cpu is None or cpu.pcie_generation is None else min(found.generation, cpu.pcie_generation)
    return boxes.LANE_GB_S[generation] * found.lanes, f"PCIe {generation}.0 x{found.lanes}", found.known


@formula("c2c_per_device = cpus·c2c/devices")
def c2c_per_device(packages: float, c2c_gb_s: float, devices: float) -> float:
    """A device's share of the chip-to-chip links of the machine's CPUs, per direction. [GB/s]

    Parameters
    ----------
    packages : float
        CPUs.
    c2c_gb_s : float
        Of one CPU, per direction. [GB/s]
    devices : float
    """
    return packages * c2c_gb_s / devices
