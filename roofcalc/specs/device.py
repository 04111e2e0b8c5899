"""Devices, links and systems as their YAML files give them. Figures in the units that the keys name."""

from collections.abc import Iterator
from typing import Annotated, Literal

from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Name, OneOf, Positive, Range

FORMATS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp16_acc16", "fp8", "fp6", "fp4", "int8", "int4")
MIB = 1024 * 1024


class Memory(Record):
    """Device memory.

    Attributes
    ----------
    capacity_gb : float
        The vendor's figure; `binary` says that it really counts GiB.
    visible_mib : int, optional
        What the driver shows.
    bandwidth_gb_s : float
        Peak, decimal GB per second.
    """

    capacity_gb: Positive
    bandwidth_gb_s: Positive
    kind: str | None = None
    binary: bool = False
    visible_mib: Count | None = None

    def readings(self) -> dict[str, float]:
        """Bytes by reading: nominal always; visible and binary where the part has them."""
        found = {"nominal": self.capacity_gb * 1e9}
        if self.visible_mib is not None:
            found["visible"] = float(self.visible_mib * MIB)
        if self.binary:
            found["binary"] = self.capacity_gb * 1024**3
        return found


class Link(Record):
    """The scale-up link of a device, per direction.

    Attributes
    ----------
    gb_s : float
        All of a device's ports together.
    domain : int
        Devices that it reaches.
    reduce : bool
        The switch sums in the network.
    pair_gb_s : float, optional
        In a mesh, the link between two devices.
    topology, axes
        "torus" and the devices along each axis; a mesh where pair_gb_s is given; else a switch.
    wrap : int, optional
        In a torus, the shortest axis that closes into a ring; shorter ones are lines.
    """

    gb_s: Positive
    domain: Count
    kind: str | None = None
    reduce: bool = False
    pair_gb_s: Positive | None = None
    topology: Literal["switch", "mesh", "torus"] | None = None
    axes: tuple[Count, ...] = ()
    wrap: Count | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.shape == "mesh" and self.pair_gb_s is None:
            yield "pair_gb_s", "a mesh needs the bandwidth of one pair"
        if self.pair_gb_s is not None and self.pair_gb_s > self.gb_s:
            yield "pair_gb_s", f"one pair ({self.pair_gb_s:g}) cannot exceed all ports together ({self.gb_s:g})"
        if self.shape == "torus":
            size = 1
            for axis in self.axes:
                size *= axis
            if size != self.domain:
                yield "axes", f"a torus needs its axes, and their product must be the domain of {self.domain}"
        elif self.axes:
            yield "axes", "only a torus has axes"
        if self.wrap is not None and self.shape != "torus":
            yield "wrap", "only a torus closes into rings"
        if self.reduce and self.shape != "switch":
            yield "reduce", "only a switch can sum in the network"

    @property
    def shape(self) -> str:
        return self.topology or ("switch" if self.pair_gb_s is None else "mesh")

    def bytes_per_s(self, group: int) -> float:
        """One direction's bandwidth of a device within a group of `group`: in a mesh only the group's pairs."""
        if self.shape == "mesh" and self.pair_gb_s is not None:
            return min((group - 1) * self.pair_gb_s, self.gb_s) * 1e9
        return self.gb_s * 1e9


class Best(Record):
    """What `bound` may assume above the data sheet: clock as a factor, and the highest published bandwidth."""

    clock: Annotated[float, Range(1, 3)] = 1.0
    bandwidth_gb_s: Positive | None = None


class Device(Record):
    """One accelerator as software sees it. Peaks are dense; a format that is absent is one the device lacks.

    `unusual` says of a field why its figure is right although `roofcalc hardware check` doubts it; a system has it too.
    """

    name: Name
    vendor: str
    memory: Memory
    peak_tflop_s: dict[Annotated[str, OneOf(FORMATS)], Positive]
    sources: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    title: str | None = None
    year: Annotated[int, Range(1990, 2100)] | None = None
    family: str | None = None
    cache_mb: Positive | None = None
    best: Best = Best()
    link: Link | None = None
    scale_out_gb_s: Positive | None = None
    power_w: Positive | None = None
    unverified: tuple[str, ...] = ()
    unusual: dict[str, str] = {}  # noqa: RUF012  (never changed: records are frozen)
    announced: bool = False
    notes: str | None = None


class Hosts(Record):
    """The CPUs of a system: how many packages, and their memory."""

    count: Annotated[float, Range(0, 1e6)]
    cpu: str | None = None
    memory_gb: Annotated[float, Range(0, 1e9)] | None = None


class System(Record):
    """A named number of one device; its own link and scale-out override the device's."""

    name: Name
    device: str
    count: Count
    sources: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    title: str | None = None
    vendor: str | None = None
    year: Annotated[int, Range(1990, 2100)] | None = None
    hosts: Hosts | None = None
    link: Link | None = None
    scale_out_gb_s: Positive | None = None
    power_kw: Positive | None = None
    unverified: tuple[str, ...] = ()
    unusual: dict[str, str] = {}  # noqa: RUF012  (never changed: records are frozen)
    announced: bool = False
    notes: str | None = None


class Hardware(Record):
    """What the calculation sees: `count` devices and how they are joined. Built by the catalog.

    Attributes
    ----------
    name : str
        As rows print it: `8xh100-sxm`, or the system's own name.
    link : Link or None
        The scale-up link in force; None where devices have none.
    scale_out_bytes_per_s : float or None
        Per device and direction.
    """

    name: str
    device: Device
    count: int
    link: Link | None
    scale_out_bytes_per_s: float | None
    system: System | None = None

    @property
    def domain(self) -> int:
        """Devices that one scale-up domain joins."""
        return self.link.domain if self.link else 1
