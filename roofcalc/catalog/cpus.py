"""Cores of host CPUs from `hardware/cpus.csv`: what sandboxes for generated code can run on next to the accelerators."""

from __future__ import annotations

from typing import NamedTuple

from roofcalc.catalog import tables
from roofcalc.specs.device import System
from roofcalc.specs.formula import formula

FILE = "cpus.csv"
HEADER = ("cpu", "cores", "source", "notes")
MAX_CORES = 100_000


class Cpu(NamedTuple):
    """Cores of one package, and the address at which the figure is published."""

    name: str
    cores: int
    source: str
    notes: str


def cpus() -> dict[str, Cpu]:
    """Every CPU by the name that `hosts.cpu` of a system gives it; a user's row replaces the built-in one.

    Raises
    ------
    RoofcalcError
        Every problem of the tables, with file and line.
    """
    built = tables.rows(tables.files("hardware", FILE), HEADER, _row)
    return {cpu.name: cpu for table in reversed(built) for cpu in reversed(table)}


def _row(line: tables.Line, problems: list[str]) -> Cpu:
    name, cores, source, notes = line.cells
    tables.check_given(name, "cpu", problems)
    if not (cores.isascii() and cores.isdigit() and 1 <= int(cores[:10]) <= MAX_CORES):
        problems.append(f"cores: expected a whole number from 1 to {MAX_CORES}, got {cores!r}")
        cores = "1"
    tables.check_given(source, "source", problems)
    return Cpu(name, int(cores), source, notes)


@formula("cores_per_device = cpus·cores/devices")
def cores_per_device(system: System | None) -> float | None:
    """CPU cores of a system's hosts per accelerator; None where the hosts or their cores are not known."""
    hosts = system.hosts if system else None
    cpu = cpus().get(hosts.cpu) if hosts and hosts.cpu else None
    return hosts.count * cpu.cores / system.count if system and hosts and cpu else None
