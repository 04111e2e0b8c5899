"""Devices, links and systems as described by their YAML files. Units are part of the field names."""

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
        The vendor's nominal figure; with `binary` it counts GiB. [GB or GiB]
    visible_mib : float, optional
        Capacity that the driver reports, a whole number as devices are made. [MiB]
    bandwidth_gb_s : float
        Peak bandwidth. [GB/s]
    shared_with_host : bool
        It is the CPU's memory too: there is no second tier behind a link.
    """

    capacity_gb: Positive
    bandwidth_gb_s: Positive
    kind: str | None = None
    binary: bool = False
    shared_with_host: bool = False
    visible_mib: Positive | None = None

    def readings(self) -> dict[str, float]:
        """Capacity in bytes by definition: nominal always; visible and binary where the device has them."""
        capacities = {"nominal": self.capacity_gb * 1e9}
        if self.visible_mib is not None:
            capacities["visible"] = self.visible_mib * MIB
        if self.binary:
            capacities["binary"] = self.capacity_gb * 1024**3
        return capacities


class Link(Record):
    """The scale-up link of a device; bandwidths count one direction.

    Attributes
    ----------
    gb_s : float
        Sum over all ports of a device. [GB/s]
    domain : int
        Devices that the link connects.
    reduce : bool
        The switch supports in-network reduction.
    pair_gb_s : float, optional
        Bandwidth between two devices of a mesh. [GB/s]
    topology, axes
        "torus" with the number of devices along each axis; without it a mesh where pair_gb_s is given, else a switch.
    wrap : int, optional
        Length from which an axis of a torus has wrap-around links; shorter axes are lines.
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
            yield "pair_gb_s", f"one pair ({self.pair_gb_s:g}) cannot exceed the sum over all ports ({self.gb_s:g})"
        if self.shape == "torus":
            size = 1
            for axis in self.axes:
                size *= axis
            if size != self.domain:
                yield "axes", f"a torus needs axes whose product is the domain of {self.domain}"
        elif self.axes:
            yield "axes", "only a torus has axes"
        if self.wrap is not None and self.shape != "torus":
            yield "wrap", "only a torus has wrap-around links"
        if self.reduce and self.shape != "switch":
            yield "reduce", "only a switch can reduce in the network"

    @property
    def shape(self) -> str:
        """switch, mesh or torus."""
        return self.topology or ("switch" if self.pair_gb_s is None else "mesh")

    def bytes_per_s(self, group: int) -> float:
        """Bandwidth of a device to the others of its group in one direction; in a mesh only links within the group count. [byte/s]"""
        if self.shape == "mesh" and self.pair_gb_s is not None:
            return min((group - 1) * self.pair_gb_s, self.gb_s) * 1e9
        return self.gb_s * 1e9


class Best(Record):
    """Figures above the data sheet that the preset `bound` assumes.

    Attributes
    ----------
    clock : float
        Highest clock over the one of the data sheet's peaks.
    bandwidth_gb_s : float, optional
        Highest published bandwidth. [GB/s]
    """

    clock: Annotated[float, Range(1, 3)] = 1.0
    bandwidth_gb_s: Positive | None = None


class Hosts(Record):
    """CPU packages of a system, or of one device that comes with its CPU.

    Attributes
    ----------
    count : float
        Packages; below 1 for a device that shares a package with others.
    cpu : str, optional
        Its name in hardware/cpus.csv.
    memory_gb : float, optional
        Over all packages. [GB]
    memory_gb_s : float, optional
        Bandwidth over all packages where it is not that of the CPU's row. [GB/s]
    """

    count: Annotated[float, Range(0, 1e6)]
    cpu: str | None = None
    memory_gb: Annotated[float, Range(0, 1e9)] | None = None
    memory_gb_s: Positive | None = None


class Device(Record):
    """One accelerator as software addresses it.

    Attributes
    ----------
    peak_tflop_s : dict
        Dense peak by number format, without the formats that the device does not support. [TFLOP/s]
    best : Best
        Figures above the data sheet, for the preset `bound`.
    scale_out_gb_s : float, optional
        Network bandwidth per device and direction. [GB/s]
    hosts : Hosts, optional
        CPUs in the same module, per device: half a Grace of a GB200.
    unverified : tuple of str
        Fields whose figures were not seen at a source.
    unusual : dict
        Reasons why fields are right although `roofcalc hardware check` would report them.
    announced : bool
        Figures are vendor projections for a product that is not yet available.
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
    hosts: Hosts | None = None
    unverified: tuple[str, ...] = ()
    unusual: dict[str, str] = {}  # noqa: RUF012  (never changed: records are frozen)
    announced: bool = False
    notes: str | None = None


class System(Record):
    """A named machine of `count` devices of one kind; its link and scale-out bandwidth override those of the device."""

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
    """`count` devices and their interconnect: the machine that a calculation runs on. Built by `roofcalc.catalog.lookup`.

    Attributes
    ----------
    name : str
        Printed name: `8xh100-sxm`, or the name of the system.
    link : Link or None
        Scale-up link of the system, else of the device; None where there is none.
    scale_out_bytes_per_s : float or None
        Per device and direction. [byte/s]
    set_peaks : tuple of str
        Formats whose peak is a what-if that wider formats do not overrule (`roofcalc.catalog.dependent_figures`).
    """

    name: str
    device: Device
    count: int
    link: Link | None
    scale_out_bytes_per_s: float | None
    system: System | None = None
    set_peaks: tuple[str, ...] = ()

    @property
    def domain(self) -> int:
        """Devices in a scale-up domain."""
        return self.link.domain if self.link else 1
