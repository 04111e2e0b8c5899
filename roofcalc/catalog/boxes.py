"""How devices of a box are joined: by their own link, over PCIe, as several nodes over a network, or as a MIG slice of one.

PCIe figures are raw rates per direction: 8, 16, 32 and 64 GT/s per lane, with 128b/130b coding in generations 3 to 5 and
242 of 256 bytes of a flit in generation 6 (PCI-SIG base specifications). Which generation and how many lanes a card has, and
whether cards of its class reach one another without the host's memory (peer to peer), stand in hardware/pcie.csv; MIG
profiles in hardware/mig.csv.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from typing import NamedTuple

from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import Best, Device, Hardware, Link
from roofcalc.specs.record import replace

LANE_GB_S = {3: 8 / 8 * 128 / 130, 4: 16 / 8 * 128 / 130, 5: 32 / 8 * 128 / 130, 6: 64 / 8 * 242 / 256}  # per direction
DEFAULT_GENERATION, DEFAULT_LANES = 4, 16
THROUGH_HOST = 0.5  # a transfer without peer-to-peer goes into the host's memory and out again
BRIDGED = 4  # bridges join up to so many cards; a larger domain has a switch or a mesh of its own
BOX, LARGEST_BOX = 8, 16  # devices of a box over PCIe, and the most that a box is taken to hold
NETWORK_GB_S = 12.5  # of a node, where no network is given: one 100 Gb/s adapter
HOME_NETWORK_GB_S = 1.25  # of a device that is a computer of its own: 10 Gb/s Ethernet


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


@lru_cache(maxsize=4)
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a CSV table of the built-in hardware catalog."""
    with open(lookup.built_in("hardware") / name, encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def slot(device: str) -> Slot:
    """The PCIe slot of a device."""
    for row in table("pcie.csv"):
        if row["device"] == device:
            return Slot(int(row["generation"]), int(row["lanes"]), row["peer_to_peer"] == "true", True)
    return Slot()


def _is_computer(device: Device) -> bool:
    """Whether a device shares its memory with the CPU, or is one: it has no PCIe slot."""
    return device.memory.shared_with_host and not slot(device.name).known


def joined(hardware: Hardware) -> tuple[Hardware, list[str]]:
    """Hardware whose devices all reach one another, with notes on what was taken: `count` may be any number.

    A box is what the scale-up link joins. Devices without one, or with a bridge between fewer than asked for, meet over PCIe: all
    of an instance's, else up to 16 where no network is given, else boxes of 8. Boxes meet over the network.
    """
    given = (hardware.system and hardware.system.link) or hardware.device.link
    if hardware.scale_out_bytes_per_s is None and hardware.link != given:  # over PCIe, made for another count
        hardware = replace(hardware, link=given)
    hardware = _whole_packages(hardware)
    own, system, device = hardware.link, hardware.system, hardware.device
    if hardware.count <= hardware.domain:
        return hardware, []
    if system is not None and system.count <= hardware.domain:
        return networked(hardware, system.count)
    if system is not None and own is not None and own.domain > BRIDGED and own.shape == "switch":
        return replace(hardware, link=replace(own, domain=system.count)), []  # a2-megagpu-16g: one switch for all
    if own is not None and own.domain > BRIDGED:
        return networked(hardware, own.domain)
    if system is None and _is_computer(device):
        home = (device.memory.kind or "").upper().startswith("LPDDR")
        return networked(hardware, hardware.domain, HOME_NETWORK_GB_S if home else NETWORK_GB_S)
    if system is None and hardware.scale_out_bytes_per_s is not None and not slot(device.name).known:
        return hardware, []  # each is a node of its own
    network = hardware.scale_out_bytes_per_s is not None
    most = system.count if system else (BOX if network or hardware.count > LARGEST_BOX else LARGEST_BOX)
    boxed, note = over_pcie(hardware, min(most, hardware.count))
    if boxed.count <= boxed.domain:
        return boxed, [note]
    wired, notes = networked(boxed, most)
    return wired, [note, *notes]


def _whole_packages(hardware: Hardware) -> Hardware:
    """Several packages of two devices meet over the devices' own link, where that reaches beyond a package (MI250X, Ascend 910C)."""
    system, own = hardware.system, hardware.device.link
    if system is None or system.count != 2 or hardware.count <= 2 or own is None or own.domain <= 2 or own.shape == "torus":
        return hardware
    return replace(hardware, link=own)


def over_pcie(hardware: Hardware, box: int) -> tuple[Hardware, str]:
    """Boxes of `box` devices that meet over PCIe, and a note that says what was taken."""
    device = hardware.device
    found = slot(device.name)
    link = Link(found.gb_s, box, kind=f"PCIe {found.generation}.0 x{found.lanes}")
    how = "peer to peer" if found.peer_to_peer else "through the host's memory, no peer-to-peer"
    taken = "" if found.known else ", assumed for lack of a source"
    own = hardware.link
    why = f"its {own.kind or 'link'} joins {own.domain}" if own else "no scale-up link"
    note = f"{device.name}: {why}; devices of a box communicate over {link.kind}, {link.gb_s:.3g} GB/s per direction, {how}{taken}"
    return replace(hardware, link=link), note


def networked(hardware: Hardware, box: int, node_gb_s: float = NETWORK_GB_S) -> tuple[Hardware, list[str]]:
    """Boxes of `box` devices over their network; where none is given, over one adapter per node that the devices share."""
    if hardware.scale_out_bytes_per_s is not None:
        return hardware, []
    speed = f"{node_gb_s:g} GB/s each (--set hardware.scale_out_gb_s=… per device)"
    note = f"{hardware.device.name}: no network given; nodes of {box} communicate over {speed}"
    return replace(hardware, scale_out_bytes_per_s=node_gb_s * 1e9 / box), [note]


def nodes(hardware: Hardware, count: int) -> tuple[Hardware, list[str]]:
    """`count` nodes of the machine `hardware`: what its link joins ends with the node.

    Raises
    ------
    RoofcalcError
        The node is a torus, whose slices have names of their own, or a part of a larger link cannot be cut.
    """
    box, notes = joined(hardware)
    per_node, link = box.count, box.link
    if link is not None and link.domain > per_node:
        if link.shape == "torus":
            raise RoofcalcError(f"{hardware.name}: nodes of a torus cannot be cut from it; name a slice, such as 2xv5e-8")
        link = replace(link, domain=per_node) if per_node > 1 else None
    wired, more = networked(replace(box, count=per_node * count, link=link), per_node)
    return wired, [*notes, *more]


def sliced(device: Device, profile: str) -> Device:
    """A MIG slice of a device: its share of peaks, cache and bandwidth, its own memory, and no link.

    Raises
    ------
    RoofcalcError
        The device has no such profile.
    """
    profiles = {row["profile"]: row for row in table("mig.csv") if row["device"] == device.name}
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
        aliases=(),
        sources=(*device.sources, row["source"]),
    )
