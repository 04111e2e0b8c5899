"""Named systems against figures that their makers and sellers print: memory in all, CPUs to devices, tori, networks."""

import re

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs.device import System
from tests.each import each


def system(name: str) -> System:
    found = lookup.hardware(name)[0].system
    assert found is not None
    return found


SYSTEMS = sorted(name for name in lookup.entries("hardware") if re.search("^device:", lookup.entries("hardware")[name].read_text(), re.MULTILINE))

# Device memory of the whole system as its sheet prints it, GB (or GiB where the devices' own figure is binary)
PRINTED_MEMORY = {
    "dgx-1-v100": 256,
    "dgx-a100-80gb": 640,
    "p4d.24xlarge": 320,
    "p4de.24xlarge": 640,
    "dgx-h100": 640,
    "dgx-h200": 1128,
    "h20-8way": 768,
    "dgx-b200": 1440,
    "dgx-b300": 2304,
    "gb200-nvl72": 13392,  # 13.4 TB
    "gb300-nvl72": 20736,  # 20 TB and more
    "vera-rubin-nvl72": 20736,  # 20.7 TB
    "dgx-spark-pair": 256,
    "8-way-l40s": 384,
    "8-way-rtx-pro-6000": 768,
    "g6e.48xlarge": 384,
    "g6.48xlarge": 192,
    "g5.48xlarge": 192,
    "mi300x-8way": 1536,
    "mi325x-8way": 2048,
    "mi355x-8way": 2304,
    "frontier-node": 512,  # four packages of 128
    "el-capitan-node": 512,
    "trn1.32xlarge": 512,
    "trn2.48xlarge": 1536,
    "trn2-ultraserver": 6144,
    "trn3-gen1-ultraserver": 9216,
    "trn3-ultraserver": 20736,
    "inf2.48xlarge": 384,
    "tpu-v4-pod": 131072,
    "v5e-256": 4096,
    "tpu-v5p-pod": 851200,
    "v6e-256": 8192,
    "tpu-v7x-pod": 1769472,  # 1.77 PB
    "gaudi2-8way": 768,
    "gaudi3-8way": 1024,
    "aurora-node": 768,  # six packages of 128
    "cloudmatrix384": 49152,  # 48 TiB
    "atlas-800t-a2": 512,
    "groqrack": 14.72,  # 64 of 230 MB
    "cs-3": 44,
    "maia-100-quad": 256,
    "mac-studio-m3-ultra": 512,
    "dual-epyc-9965": 3072,
}


@pytest.mark.parametrize(("name", "memory_gb"), PRINTED_MEMORY.items())
def test_memory_in_all_is_the_printed(name: str, memory_gb: float) -> None:
    hardware = lookup.hardware(name)[0]
    assert hardware.count * hardware.device.memory.capacity_gb == pytest.approx(memory_gb)


def test_gh200_nvl32_rounds_its_memory() -> None:
    # NVIDIA prints 4.5 TB of HBM3e for 32 devices of 141 GB; the chips hold 144
    hardware = lookup.hardware("gh200-nvl32")[0]
    assert hardware.count * hardware.device.memory.capacity_gb == pytest.approx(4500, rel=0.03)


@pytest.mark.parametrize(
    ("name", "devices", "cpus"),
    [
        # Azure's page of the ND GB200 v6 series: 18 trays of two superchips, each of one Grace CPU and two devices
        ("gb200-nvl72", 72, 36),
        ("nd-gb200-v6", 72, 36),
        ("p6e-gb200-ultraserver", 72, 36),
        # Azure's page of the ND GB300 v6 series: the same trays
        ("gb300-nvl72", 72, 36),
        ("nd-gb300-v6", 72, 36),
        ("vera-rubin-nvl72", 72, 36),
        ("gh200-nvl32", 32, 32),  # NVIDIA: 32 superchips of one CPU and one device
        ("trn2.48xlarge", 16, 2),  # 192 vCPU: two packages of 48 cores, two threads each
        ("trn2-ultraserver", 64, 8),  # four of these
        ("dgx-h100", 8, 2),
        ("frontier-node", 8, 1),  # OLCF's guide: one CPU of 64 cores, four packages of two devices
        ("aurora-node", 12, 2),  # ALCF's guide: two CPUs, six packages of two devices
        ("cloudmatrix384", 768, 192),  # 384 packages of two devices
        ("v5e-256", 256, 64),  # Google at MLPerf: hosts of four, one package each
        ("v4-8", 4, 2),  # the same: two packages
        ("tpu-v4-pod", 4096, 2048),
        ("v6e-8", 8, 2),
        ("tpu-v5p-pod", 8960, 4480),  # hosts of four, two NUMA nodes each
        ("tpu-v7x-pod", 9216, 4608),  # the same
    ],
)
def test_cpus_to_devices(name: str, devices: int, cpus: int) -> None:
    found = system(name)
    assert found.hosts is not None and (found.count, found.hosts.count) == (devices, cpus)


@pytest.mark.parametrize(
    ("name", "axes", "wrap"),
    [
        ("trn2.48xlarge", (4, 4), 4),
        ("trn2-ultraserver", (4, 4, 4), 4),
        ("tpu-v4-pod", (16, 16, 16), 4),
        ("v5e-8", (2, 4), 16),
        ("v5e-16", (4, 4), 16),
        ("v5e-256", (16, 16), 16),
        ("v6e-8", (2, 4), 16),
        ("v6e-256", (16, 16), 16),
        ("v5p-8", (2, 2, 1), 4),
        ("v5p-128", (4, 4, 4), 4),
        ("tpu-v5p-pod", (16, 20, 28), 4),
    ],
)
def test_tori(name: str, axes: tuple[int, ...], wrap: int) -> None:
    link = lookup.hardware(name)[0].link
    assert link is not None and (link.shape, link.axes, link.wrap) == ("torus", axes, wrap)


@pytest.mark.parametrize(
    ("name", "gbit_s"),
    [
        # Gb/s of network that the instance's page prints for all of its devices together
        ("p3dn.24xlarge", 100),
        ("p4d.24xlarge", 400),
        ("p5.48xlarge", 3200),
        ("p6-b200.48xlarge", 3200),
        ("p6-b300.48xlarge", 6400),
        ("p6e-gb200-ultraserver", 28800),
        ("g5.48xlarge", 100),
        ("g6.12xlarge", 40),
        ("g6e.48xlarge", 400),
        ("g7e.48xlarge", 1600),
        ("a3-highgpu-8g", 800),
        ("a3-megagpu-8g", 1600),
        ("a3-ultragpu-8g", 3200),
        ("nd-h100-v5", 3200),
        ("trn1.32xlarge", 800),
        ("trn2.48xlarge", 3200),
        ("trn3-ultraserver", 28800),
        ("v5e-256", 6400),
        ("v6e-256", 25600),
        ("aurora-node", 1600),
    ],
)
def test_network_in_all_is_the_printed(name: str, gbit_s: float) -> None:
    hardware = lookup.hardware(name)[0]
    assert hardware.scale_out_bytes_per_s is not None
    assert hardware.count * hardware.scale_out_bytes_per_s * 8 == pytest.approx(gbit_s * 1e9, rel=0.01)


@each(SYSTEMS)
def test_a_system_is_one_domain_and_what_is_unverified_is_there(name: str) -> None:
    hardware = lookup.hardware(name)[0]
    found = system(name)
    assert hardware.domain == hardware.count
    for path in found.unverified:
        value: object = found
        for part in path.split("."):
            value = getattr(value, part)
        assert value not in (None, ()), path


@each(SYSTEMS)
def test_plausible_systems(name: str) -> None:
    # GB for MB, watts for kilowatts, or a network faster than the links fall outside
    hardware = lookup.hardware(name)[0]
    found = system(name)
    if found.power_kw is not None and hardware.device.power_w is not None:
        assert 1 <= found.power_kw * 1e3 / (found.count * hardware.device.power_w) <= 2.5
    if found.hosts is not None:
        assert found.count >= found.hosts.count
        if found.hosts.memory_gb is not None:
            assert 0.3 <= found.hosts.memory_gb / (found.count * hardware.device.memory.capacity_gb) <= 12
    if hardware.link is not None and hardware.scale_out_bytes_per_s is not None:
        assert hardware.scale_out_bytes_per_s <= hardware.link.gb_s * 1e9
