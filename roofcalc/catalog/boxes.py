"""How devices of a box are joined: by their own link, over PCIe, as several nodes over a network, or as a MIG slice of one.

PCIe figures are raw rates per direction: 8, 16, 32 and 64 GT/s per lane, with 128b/130b coding from generation 3 on (PCI-SIG base
specifications). Which generation and how many lanes a card has, and whether cards of its class reach one another without
the host's memory (peer to peer), stand in hardware/pcie.csv; MIG profiles in hardware/mig.csv.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Best, Device, Hardware, Link
from roofcalc.specs.record import replace

LANE_GB_S = {3: 8 / 8 * 128 / 130, 4: 16 / 8 * 128 / 130, 5: 32 / 8 * 128 / 130, 6: 64 / 8 * 242 / 256}  # per direction
DEFAULT_GENERATION, DEFAULT_LANES = 4, 16
THROUGH_HOST = 0.5  # a transfer without peer-to-peer goes into the host's memory and out again


class Slot(NamedTuple):
    """A card's place on PCIe.

    Attributes
    ----------
    generation, lanes : int
    peer_to_peer : bool
        Cards of its class write into one another's memory; else transfers go through the host's.
    known : bool
        From the table; otherwise PCIe 4.0 x16 through the host.
    """

    generation: int = DEFAULT_GENERATION
    lanes: int = DEFAULT_LANES
    peer_to_peer: bool = False
    known: bool = False

    @property
    def gb_s(self) -> float:
        """GB per second and direction between two cards."""
        return LANE_GB_S[self.generation] * self.lanes * (1.0 if self.peer_to_peer else THROUGH_HOST)


class Slice(NamedTuple):
    """A MIG profile: shares of a device's compute and bandwidth, and its own memory."""

    compute_share: float
    memory_gb: float
    bandwidth_share: float


@lru_cache(maxsize=4)
def _table(path: str) -> tuple[dict[str, str], ...]:
    with open(path, encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def slot(device: str, folder: Path) -> Slot:
    """The PCIe slot of a device; `folder` holds the built-in hardware catalog."""
    for row in _table(str(folder / "pcie.csv")):
        if row["device"] == device:
            return Slot(int(row["generation"]), int(row["lanes"]), row["peer_to_peer"] == "true", True)
    return Slot()


def over_pcie(hardware: Hardware, folder: Path) -> tuple[Hardware, str]:
    """One box of devices that meet over PCIe, and a note that says what was taken."""
    found = slot(hardware.device.name, folder)
    link = Link(found.gb_s, hardware.count, kind=f"PCIe {found.generation}.0 x{found.lanes}")
    how = "peer to peer" if found.peer_to_peer else "through host memory, no peer-to-peer"
    taken = "" if found.known else "; taken for want of a source, --set hardware.link.gb_s=… overrides it"
    own = hardware.link
    why = f"its {own.kind or 'link'} joins {own.domain}" if own else "no scale-up link"
    note = f"{hardware.name}: {why}; devices meet over {link.kind}, {link.gb_s:.3g} GB/s per direction ({how}{taken})"
    return replace(hardware, link=link), note


def joined(hardware: Hardware, folder: Path) -> tuple[Hardware, list[str]]:
    """Hardware whose devices all reach one another, with notes: over PCIe where their own link does not join a whole box.

    A count of devices is one box unless their link has a smaller domain and a network joins the domains.
    """
    own = hardware.link
    if hardware.count <= hardware.domain or (hardware.system is not None and hardware.scale_out_bytes_per_s is not None):
        return hardware, []
    if own is not None and own.domain > 4 and hardware.scale_out_bytes_per_s is not None:
        return hardware, []  # several boxes of a switched or meshed domain
    if hardware.system is not None and hardware.count > hardware.system.count:
        box, note = over_pcie(replace(hardware, count=hardware.system.count), folder)
        return nodes(replace(box, count=hardware.count), hardware.count // hardware.system.count, folder), [note]
    box, note = over_pcie(hardware, folder)
    return box, [note]


def nodes(hardware: Hardware, count: int, folder: Path) -> Hardware:
    """Several nodes of equal boxes over their network: the devices' own scale-out, else one PCIe 4.0 x8 adapter's worth per device.

    Raises
    ------
    RoofcalcError
        The boxes' link reaches beyond a node.
    """
    if count == 1 or hardware.scale_out_bytes_per_s is not None:
        return hardware
    return replace(hardware, scale_out_bytes_per_s=12.5e9)


def sliced(device: Device, profile: str, folder: Path) -> Device:
    """A MIG slice of a device: its share of peaks, cache and bandwidth, its own memory, and no link.

    Raises
    ------
    RoofcalcError
        The device has no such profile.
    """
    profiles = {row["profile"]: row for row in _table(str(folder / "mig.csv")) if row["device"] == device.name}
    row = profiles.get(profile)
    if row is None:
        offered = f"; its MIG profiles: {', '.join(profiles)}" if profiles else ": it has no MIG profiles in the catalog"
        raise RoofcalcError(f"{device.name}: no MIG profile {profile!r}{did_you_mean(profile, tuple(profiles))}{offered}")
    compute, memory, bandwidth = float(row["compute_share"]), float(row["memory_gb"]), float(row["bandwidth_share"])
    best = device.best.bandwidth_gb_s
    return replace(
        device,
        name=f"{device.name}-mig-{profile}",
        title=f"{device.title or device.name}, MIG slice {profile}",
        memory=replace(
            device.memory,
            capacity_gb=memory,
            bandwidth_gb_s=device.memory.bandwidth_gb_s * bandwidth,
            visible_mib=None,
            binary=False,
        ),
        peak_tflop_s={name: value * compute for name, value in device.peak_tflop_s.items()},
        cache_mb=device.cache_mb and device.cache_mb * bandwidth,
        best=Best(device.best.clock, best and best * bandwidth),
        link=None,
        scale_out_gb_s=None,
        sources=(*device.sources, row["source"]),
    )
