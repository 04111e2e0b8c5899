"""Host CPUs from `hardware/cpus.csv`: cores, memory bandwidth, clock, PCIe and chip-to-chip links of one package.

Peaks follow from cores, base clock and the operations per clock and core of `hardware/cpu_architectures.csv`. Where a source for one of
them is missing there is no peak; a format without instructions of its own (bf16 before Zen 4 and Sapphire Rapids) has none either and runs
at the rate of fp32.
"""

from __future__ import annotations

from typing import NamedTuple

from roofcalc.catalog import tables
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import System
from roofcalc.specs.formula import formula

FILE = "cpus.csv"
ARCHITECTURES_FILE = "cpu_architectures.csv"
HEADER = (
    *("cpu", "cores", "source", "notes"),
    *("architecture", "base_ghz", "memory", "memory_gb_s", "pcie_generation", "pcie_lanes", "c2c_gb_s", "figures_source"),
)
ARCHITECTURES_HEADER = ("architecture", "fp32_per_clock", "bf16_per_clock", "int8_per_clock", "source", "notes")
MAX_CORES = 100_000
PCIE_GENERATIONS = (3, 4, 5, 6)


class Architecture(NamedTuple):
    """Operations per clock and core by number format, a multiply-add counting as two."""

    name: str
    per_clock: dict[str, float]
    source: str
    notes: str


class Cpu(NamedTuple):
    """One package, with the addresses at which its figures are published; None where no source was seen.

    Attributes
    ----------
    cores : int
    source : str
        Of the cores.
    architecture : str
        A row of cpu_architectures.csv, or empty.
    base_ghz : float or None
        Base clock. [GHz]
    memory : str
        Channels and kind with every channel filled, at the fastest rated speed.
    memory_gb_s : float or None
        Peak bandwidth of that memory. [GB/s]
    pcie_generation, pcie_lanes : int or None
        Of the package; a device has 16 lanes of them or fewer.
    c2c_gb_s : float or None
        Sum of the chip-to-chip links to accelerators, per direction. [GB/s]
    figures_source : tuple of str
        Of everything but the cores.
    """

    name: str
    cores: int
    source: str
    notes: str
    architecture: str = ""
    base_ghz: float | None = None
    memory: str = ""
    memory_gb_s: float | None = None
    pcie_generation: int | None = None
    pcie_lanes: int | None = None
    c2c_gb_s: float | None = None
    figures_source: tuple[str, ...] = ()

    def peak_tflop_s(self) -> dict[str, float]:
        """Peak of the package at its base clock by number format; empty where clock or architecture are not known. [TFLOP/s]"""
        found = architectures().get(self.architecture)
        if found is None or self.base_ghz is None:
            return {}
        return {name: peak_tflop_s(self.cores, self.base_ghz, rate) for name, rate in found.per_clock.items()}


@formula("cpu_tflop_s = cores·base_ghz·per_clock/1000")
def peak_tflop_s(cores: float, base_ghz: float, per_clock: float) -> float:
    """Peak of a CPU whose cores all run at the base clock. [TFLOP/s]

    Parameters
    ----------
    cores : float
    base_ghz : float
        Clock. [GHz]
    per_clock : float
        Operations per clock and core. [FLOP]
    """
    return cores * base_ghz * per_clock / 1000


def cpus() -> dict[str, Cpu]:
    """Every CPU by the name that `hosts.cpu` of a system gives it; a user's row replaces the built-in one.

    Raises
    ------
    RoofcalcError
        Every problem of the tables, with file and line.
    """
    built = tables.rows(tables.files("hardware", FILE), HEADER, _row, required=4)
    return {cpu.name: cpu for table in reversed(built) for cpu in reversed(table)}


def architectures() -> dict[str, Architecture]:
    """Every architecture by its name; a user's row replaces the built-in one.

    Raises
    ------
    RoofcalcError
        Every problem of the tables, with file and line.
    """
    built = tables.rows(tables.files("hardware", ARCHITECTURES_FILE), ARCHITECTURES_HEADER, _architecture)
    return {row.name: row for table in reversed(built) for row in reversed(table)}


def cpu(name: str) -> Cpu:
    """The CPU called `name`: in any case, without its maker, or by the words of its name that only it has (`14900K`).

    Raises
    ------
    RoofcalcError
        It is not in the tables; the message gives the nearest names.
    """
    known = cpus()
    by_key = {_key(one): one for one in known}
    asked = _key(name)
    found = by_key.get(asked)
    if found is None:
        containing = [key for key in by_key if asked and asked.split() == [word for word in key.split() if word in asked.split()]]
        if len(containing) != 1:
            hint = f"; it could be {', '.join(containing)}" if containing else did_you_mean(asked, tuple(by_key))
            raise RoofcalcError(f"unknown CPU {name!r}{hint}; hardware/cpus.csv lists {len(known)}")
        found = by_key[containing[0]]
    return known[found]


def _key(name: str) -> str:
    words = name.lower().replace("-", " ").replace("platinum", " ").split()
    return " ".join(words[1:] if words and words[0] in ("amd", "intel", "nvidia") else words)


def _row(line: tables.Line, problems: list[str]) -> Cpu:
    name, cores, source, notes, architecture, base_ghz, memory, bandwidth, generation, lanes, c2c, figures_source = line.cells
    tables.check_given(name, "cpu", problems)
    count = _whole(cores, "cores", problems) or 1
    tables.check_given(source, "source", problems)
    if generation and generation not in map(str, PCIE_GENERATIONS):
        problems.append(f"pcie_generation: expected one of {', '.join(map(str, PCIE_GENERATIONS))}, got {generation!r}")
        generation = ""
    if any((base_ghz, bandwidth, generation, lanes, c2c)):
        tables.check_given(figures_source, "figures_source", problems)
    return Cpu(
        name,
        count,
        source,
        notes,
        architecture,
        _optional(base_ghz, "base_ghz", problems),
        memory,
        _optional(bandwidth, "memory_gb_s", problems),
        int(generation) if generation else None,
        _whole(lanes, "pcie_lanes", problems) if lanes else None,
        _optional(c2c, "c2c_gb_s", problems),
        tuple(figures_source.split()),
    )


def _architecture(line: tables.Line, problems: list[str]) -> Architecture:
    name, fp32, bf16, int8, source, notes = line.cells
    tables.check_given(name, "architecture", problems)
    tables.check_given(source, "source", problems)
    given = {"fp32": fp32, "bf16": bf16, "int8": int8}
    return Architecture(name, {key: tables.positive(text, f"{key}_per_clock", problems) for key, text in given.items() if text}, source, notes)


def _optional(text: str, field: str, problems: list[str]) -> float | None:
    return tables.positive(text, field, problems) if text else None


def _whole(text: str, field: str, problems: list[str]) -> int | None:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= MAX_CORES):
        problems.append(f"{field}: expected a whole number from 1 to {MAX_CORES}, got {text!r}")
        return None
    return int(text)


@formula("cores_per_device = cpus·cores/devices")
def cores_per_device(system: System | None) -> float | None:
    """CPU cores of a system's hosts per accelerator; None where the hosts or their cores are not known."""
    hosts = system.hosts if system else None
    found = cpus().get(hosts.cpu) if hosts and hosts.cpu else None
    return hosts.count * found.cores / system.count if system and hosts and found else None
