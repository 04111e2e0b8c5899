"""The host of a machine as the time and memory of offloaded parts need it."""

from roofcalc.errors import RoofcalcError
from roofcalc.specs.record import Record

FRACTIONS = ("mbu", "expert_mbu", "mfu", "stream")
EXAMPLES = {  # what a message proposes to give
    "memory_gb_s": "90 (two channels of DDR5-5600; twelve of DDR5-4800: 460)",
    "link_gb_s": "31.5 (PCIe 4.0 x16; 5.0: 63)",
    "tflop_s": "1.5 (a desktop CPU with AVX-512; a server's socket: 5)",
    "nvme_gb_s": "7 (one drive at PCIe 4.0 x4)",
}


class Host(Record):
    """The CPUs of a machine and their memory, all packages together; None where the figure is not known.

    Attributes
    ----------
    memory_gb, memory_gb_s : float
        Size and bandwidth. [GB, GB/s]
    tflop_s : float
        Peak of the CPUs' matrix or vector units in 16 bit. [TFLOP/s]
    link_gb_s : float
        Between the host's memory and one device, in one direction. [GB/s]
    nvme_gb_s : float
        Read bandwidth of the local drives together. [GB/s]
    mbu, expert_mbu : float
        Fractions of the memory's bandwidth that the CPUs reach when they compute: in layers, and in routed experts.
    mfu : float
        Fraction of their peak.
    stream : float
        Fraction of the link or of the memory's bandwidth that copies to the devices reach.
    """

    memory_gb: float | None = None
    memory_gb_s: float | None = None
    tflop_s: float | None = None
    link_gb_s: float | None = None
    nvme_gb_s: float | None = None
    mbu: float = 1.0
    expert_mbu: float = 1.0
    mfu: float = 1.0
    stream: float = 1.0

    @property
    def label(self) -> str:
        """The figures that are known, as `--host` takes them."""
        shown = (field.name for field in self.fields_ if getattr(self, field.name) is not None)
        return ",".join(f"{name}={getattr(self, name):g}" for name in shown if not (name in FRACTIONS and getattr(self, name) == 1))

    def figure(self, name: str, need: str) -> float:
        """A figure that the calculation needs.

        Raises
        ------
        RoofcalcError
            It is not known.
        """
        value: float | None = getattr(self, name)
        if value is None:
            raise RoofcalcError(f"--offload, --gpu-layers: {need} is not known for this machine; give it, as in --host {name}={EXAMPLES[name]}")
        return value
