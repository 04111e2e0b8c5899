"""NVIDIA's devices: figures as their sheets print them, as their units and clocks make them, and bands that a slip falls out of."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs.device import Device
from tests.each import each

NAMES = [name for name, path in lookup.entries("hardware").items() if path.parent.name == "nvidia"]
DEVICES = {name: found.device for name in NAMES if not (found := lookup.hardware(name)[0]).system}

# 16-bit tensor rate (dense, FP32 accumulation) in TFLOP/s, memory GB/s, capacity in GB as the name says it, and GB/s of all links in one
# direction: half of the duplex figure that sheets print. Then where each was read.
SHEETS = {
    "v100-sxm2-16gb": (125, 900, 16, 150),  # V100 data sheet: 125, 900 GB/s, NVLink 300 (Lightning's throughput.py, Waterline)
    "v100-sxm2-32gb": (125, 900, 32, 150),  # the same
    "t4": (65, 320, 16, None),  # Waterline; sysrqmts.com
    "a10": (125, 600, 24, None),  # Waterline; winston-zhang-orz/gpu-specs
    "a10g": (70, 600, 24, None),  # AWS data sheet by Waterline
    "a30": (165, 933, 24, 100),  # aiconfigurator; NVLink 200 by Arthur Chiao's data-sheet table
    "a40": (149.7, 696, 48, 56.25),  # ecer.com: NVLink 112.5 GB/s bidirectional
    "a100-sxm-40gb": (312, 1555, 40, 300),  # A100 data sheet: NVLink 600
    "a100-sxm-80gb": (312, 2039, 80, 300),
    "a100-pcie-80gb": (312, 1935, 80, 300),
    "a800-sxm-80gb": (312, 2039, 80, 200),  # an A100 with NVLink 400: Arthur Chiao
    "l4": (121, 300, 24, None),  # aiconfigurator: the sheet's 242 is sparse
    "l40": (181, 864, 48, None),  # Waterline after the Ada white paper
    "l40s": (362.05, 864, 48, None),
    "rtx-3090": (71.2, 936, 24, 56.25),  # Waterline after NVIDIA's white paper; 56.25 per direction: GA102 white paper, quoted by transformers' docs
    "rtx-4090": (165.2, 1008, 24, None),
    "rtx-5090": (209.5, 1792, 32, None),  # Waterline after NVIDIA's white paper
    "rtx-6000-ada": (364.2, 960, 48, None),  # a quarter of the 1457 that NVIDIA prints for fp8 with sparsity
    "rtx-pro-6000-server": (467.8, 1597, 96, None),  # aiconfigurator; NVIDIA's page for the memory (Waterline)
    "h100-sxm": (989.4, 3350, 80, 450),  # H100 data sheet: 1979 sparse, NVLink 900
    "h100-pcie": (756.5, 2000, 80, 300),  # 1513 sparse, NVLink 600
    "h100-nvl": (835.5, 3900, 94, 300),  # 1671 sparse
    "h200-sxm": (989.4, 4800, 141, 450),
    "h200-nvl": (835.5, 4800, 141, 450),
    "h800-sxm": (989.4, 3350, 80, 200),  # an H100 with NVLink 400: Arthur Chiao
    "h20-96gb": (148, 4000, 96, 450),  # Arthur Chiao: 148, 4.0 TB/s, NVLink 900
    "gh200-96gb": (989.4, 4000, 96, None),  # ml-engineering: 989, 4.0 TB/s
    "gh200-144gb": (989.4, 4900, 144, 450),  # Waterline: 4.9 TB/s
    "b100-sxm": (1750, 8000, 192, 900),  # ml-engineering of 2024
    "b200-sxm": (2250, 7700, 180, 900),  # aiconfigurator: NVLink 1800
    "b300-sxm": (2250, 7750, 288, 900),  # aiconfigurator: 62 TB/s for eight
    "gb200": (2500, 8000, 186, 900),  # aiconfigurator
    "gb300": (2500, 8000, 288, 900),  # aiconfigurator
    "rubin": (4000, 22000, 288, 1800),  # ml-engineering: NVLink 3600
    "p40": (11.76, 346, 24, None),  # Compucon and Omega after NVIDIA's sheet: 3,840 cores, 346 GB/s; fp32, as there is no other rate
    "p100-pcie-16gb": (18.7, 732, 16, None),  # P100 data sheet: 18.7 of fp16 with PCIe, 732 GB/s (sysrqmts.com)
    "gtx-1080-ti": (11.34, 484, 11, None),  # Hugging Face's table: 11.34 of fp32; Eurogamer: 484 GB/s
    "v100-pcie-16gb": (112, 900, 16, None),  # V100 data sheet: 112 with PCIe (winston-zhang-orz/gpu-specs, Waterline)
    "v100-pcie-32gb": (112, 900, 32, None),
    "quadro-rtx-8000": (130.5, 672, 48, 50),  # Leadtek's sheet: 130.5 Tensor TFLOPS, 672 GB/s, NVLink 100 both ways
    "rtx-2080-ti": (53.8, 616, 11, 50),  # WonyoungCho/CUDA: 352 bits at 14 Gb/s; half of Turing's 107.6 with FP16 accumulation
    "rtx-a4000": (76.7, 448, 16, None),  # sheet: 153.4 sparse, 448 GB/s (ecer.com, Waterline)
    "rtx-a5000": (111.1, 768, 24, 56.25),  # 222.2 sparse (Waterline after PNY's chart)
    "rtx-a6000": (154.8, 768, 48, 56.25),  # 309.7 sparse, NVLink bridge 112.5 both ways (Waterline after NVIDIA's sheet)
    "rtx-3060-12gb": (25.5, 360, 12, None),  # twice the 12.74 of fp32 that sysrqmts.com has
    "rtx-3080-10gb": (119 / 2, 760, 10, None),  # Tom's Hardware: 119 with FP16 accumulation
    "rtx-3080-12gb": (980.58 / 16, 912, 12, None),  # hmc-tech.com: 980.58 of int4 with sparsity, sixteen times the rate here
    "rtx-3090-ti": (160 / 2, 1008, 24, 56.25),  # Tom's Hardware: 160 with FP16 accumulation
    "rtx-4060-ti-16gb": (353 / 8, 288, 16, None),  # VladislavDuma/gpu_specs: 353 of int8 with sparsity, eight times the rate here
    "rtx-4070": (932.66 / 16, 504, 12, None),  # hmc-tech.com: 932.66 of int4 with sparsity
    "rtx-4070-super": (35.48 * 2, 504, 12, None),  # Hugging Face's table: 35.48 of fp32, half of the 16-bit rate on GeForce
    "rtx-4070-ti": (641 / 8, 504, 12, None),  # 641 AI TOPS: int8 with sparsity
    "rtx-4070-ti-super": (706 / 8, 672, 16, None),  # 706 AI TOPS
    "rtx-4080": (780 / 8, 716.8, 16, None),  # Tom's Hardware: 780
    "rtx-4080-super": (836 / 8, 736, 16, None),  # VladislavDuma/gpu_specs: 836
    "rtx-4090-d": (114 / 128 * 165.2, 1008, 24, None),  # 14,592 of the RTX 4090's 16,384 cores at its clock
    "rtx-5060-ti-16gb": (759 / 16, 448, 16, None),  # 759 AI TOPS: fp4 with sparsity
    "rtx-5070": (988 / 16, 672, 12, None),  # 988 AI TOPS
    "rtx-5070-ti": (1406 / 16, 896, 16, None),  # 1406 AI TOPS
    "rtx-5080": (1801 / 16, 960, 16, None),  # 1801 AI TOPS
    "rtx-pro-6000-max-q": (3511 / 8, 1792, 96, None),  # 3511 AI TOPS: fp4 with sparsity; no halving on workstation cards
    "l20": (119.5, 864, 48, None),  # Arthur Chiao: 119.5, 864 GB/s
    "h800-pcie": (756.5, 2000, 80, 200),  # an H100 PCIe with NVLink 400: Arthur Chiao
    "h20-141gb": (148, 4800, 141, 450),  # the H20's 148 with the memory of an H200
    "jetson-orin-nano-8gb": (67 / 4, 102.4, 8, None),  # 67 of int8 with sparsity, 102 GB/s
    "jetson-orin-nx-16gb": (15, 102.4, 16, None),  # 60 of int8 with sparsity for the GPU
}


def sixteen_bit(device: Device) -> float:
    return device.peak_tflop_s.get("bf16", device.peak_tflop_s.get("fp16", device.peak_tflop_s["fp32"]))


@each(SHEETS.items())
def test_figures_of_the_sheets(name: str, figures: tuple[float, float, float, float | None]) -> None:
    device = DEVICES[name]
    link = device.link.gb_s if device.link else None
    peak, *rest = figures
    assert sixteen_bit(device) == pytest.approx(peak, rel=0.003)
    assert [device.memory.bandwidth_gb_s, device.memory.capacity_gb, link] == rest


# Streaming multiprocessors, 16-bit operations of one in a clock, and the published boost or (RTX PRO, GB200) highest clock in MHz.
# Volta and Turing: 8 tensor units × 64 FMAs. GA100 makes twice that, Hopper four times, Blackwell's large chips eight times; GA102, AD10x
# and GB202 as much as Volta, on GeForce cards half of it with FP32 accumulation.
UNITS = {
    "v100-sxm2-32gb": (80, 1024, 1530),
    "t4": (40, 1024, 1590),
    "a10": (72, 1024, 1695),
    "a40": (84, 1024, 1740),
    "a100-sxm-80gb": (108, 2048, 1410),
    "rtx-3090": (82, 512, 1695),
    "rtx-4090": (128, 512, 2520),
    "rtx-5090": (170, 512, 2407),
    "l4": (58, 1024, 2040),
    "l40s": (142, 1024, 2490),
    "rtx-pro-6000-server": (188, 1024, 2430),
    "rtx-pro-6000-workstation": (188, 1024, 2617),
    "h100-sxm": (132, 4096, 1830),
    "gb200": (148, 8192, 2062),
    "v100-pcie-32gb": (80, 1024, 1370),
    "quadro-rtx-8000": (72, 1024, 1770),
    "rtx-2080-ti": (68, 512, 1545),
    "rtx-a4000": (48, 1024, 1560),
    "rtx-a5000": (64, 1024, 1695),
    "rtx-a6000": (84, 1024, 1800),
    "rtx-3060-12gb": (28, 512, 1777),
    "rtx-3080-10gb": (68, 512, 1710),
    "rtx-3090-ti": (84, 512, 1860),
    "rtx-4060-ti-16gb": (34, 512, 2535),
    "rtx-4070": (46, 512, 2475),
    "rtx-4070-super": (56, 512, 2475),
    "rtx-4070-ti": (60, 512, 2610),
    "rtx-4080": (76, 512, 2505),
    "rtx-4080-super": (80, 512, 2550),
    "rtx-4090-d": (114, 512, 2520),
    "rtx-5070-ti": (70, 512, 2452),
    "rtx-5080": (84, 512, 2617),
    "rtx-pro-6000-max-q": (188, 1024, 2280),
    "jetson-orin-nano-8gb": (8, 2048, 1020),
    "jetson-orin-nx-16gb": (8, 2048, 918),
}


@pytest.mark.parametrize(("name", "units"), UNITS.items())
def test_peaks_are_units_times_clock(name: str, units: tuple[int, int, int]) -> None:
    count, operations, mhz = units
    assert sixteen_bit(DEVICES[name]) == pytest.approx(count * operations * mhz / 1e6, rel=0.005)


# Width of the memory bus in bits, Gb/s of one pin
BUSES = {
    "t4": (256, 10),
    "a10": (384, 12.5),
    "a40": (384, 14.5),
    "l4": (192, 12.5),
    "l40": (384, 18),
    "rtx-3090": (384, 19.5),
    "rtx-4090": (384, 21),
    "rtx-5090": (512, 28),
    "rtx-pro-6000-workstation": (512, 28),
    "quadro-rtx-8000": (384, 14),
    "rtx-2080-ti": (352, 14),
    "rtx-a6000": (384, 16),
    "rtx-a4000": (256, 14),
    "rtx-3060-12gb": (192, 15),
    "rtx-3080-10gb": (320, 19),
    "rtx-3080-12gb": (384, 19),
    "rtx-3090-ti": (384, 21),
    "rtx-4060-ti-16gb": (128, 18),
    "rtx-4070-ti": (192, 21),
    "rtx-4070-ti-super": (256, 21),
    "rtx-4080": (256, 22.4),
    "rtx-4080-super": (256, 23),
    "rtx-5060-ti-16gb": (128, 28),
    "rtx-5070": (192, 28),
    "rtx-5070-ti": (256, 28),
    "rtx-5080": (256, 30),
    "l20": (384, 18),
    "jetson-orin-nano-8gb": (128, 6.4),
}


@pytest.mark.parametrize(("name", "bus"), BUSES.items())
def test_bandwidths_are_width_times_rate(name: str, bus: tuple[int, float]) -> None:
    bits, gbit_s = bus
    assert DEVICES[name].memory.bandwidth_gb_s == pytest.approx(bits * gbit_s / 8, rel=0.002)


# Ratios of peaks that stand out, each for a reason
FP8_OVER_16_BIT = {"rubin": 4.375}  # its fp8 and fp4 units grew and its 16-bit ones did not: 17.5 of 4 PFLOP/s
FP4_OVER_FP8 = {"b300-sxm": 3, "gb300": 3, "gb300-station": 3}  # Blackwell Ultra's larger fp4 units
INT8_OVER_16_BIT = {
    "p40": 4,  # DP4A: four int8 products for one of fp32, and no 16-bit rate worth the name
    "gtx-1080-ti": 4,
    "b300-sxm": 0.068,  # integers nearly gone
    "gb300": 0.066,
    "gb300-station": 0.066,
    "rubin": 0.0625,
}


@each(DEVICES)
def test_peaks_stand_in_the_usual_ratios(name: str) -> None:
    device = DEVICES[name]
    peaks, sixteen = device.peak_tflop_s, sixteen_bit(device)
    halved = 2 if "fp16_acc16" in peaks else 1  # GeForce halves 16-bit floats and fp8 with FP32 accumulation, not integers and fp4
    if "fp8" in peaks:
        assert peaks["fp8"] / sixteen == pytest.approx(FP8_OVER_16_BIT.get(name, 2), rel=0.03)
    if "fp4" in peaks:
        assert peaks["fp4"] / peaks["fp8"] == pytest.approx(FP4_OVER_FP8.get(name, 2 * halved), rel=0.03)
    if "fp6" in peaks:
        assert peaks["fp6"] == peaks["fp8"]
    if "int8" in peaks:
        assert peaks["int8"] / sixteen == pytest.approx(INT8_OVER_16_BIT.get(name, 2 * halved), rel=0.03)
    if "int4" in peaks:
        assert peaks["int4"] / peaks["int8"] == pytest.approx(1 if name == "l40s" else 2, rel=0.03)
    if "tf32" in peaks:
        assert peaks["tf32"] / sixteen == pytest.approx(0.5, rel=0.03)
    if "fp16_acc16" in peaks:
        assert peaks["fp16_acc16"] / peaks["fp16"] == pytest.approx(2, rel=0.03)


@each(DEVICES)
def test_memory_is_plausible(name: str) -> None:
    device = DEVICES[name]
    assert 2 <= sixteen_bit(device) * 1e3 / device.memory.bandwidth_gb_s <= 1000
    readings = device.memory.readings()
    assert all(0.99 <= size / readings["nominal"] <= 1.08 for size in readings.values())
    if "visible" in readings and "binary" in readings:
        assert readings["visible"] <= readings["binary"]
    assert (device.best.bandwidth_gb_s or device.memory.bandwidth_gb_s) >= device.memory.bandwidth_gb_s


@each(DEVICES)
def test_formats_are_those_of_the_generation(name: str) -> None:
    # First tensor units with: bf16 Ampere, fp8 Ada and Hopper, fp4 Blackwell; int4 left with Hopper
    family, peaks = DEVICES[name].family, DEVICES[name].peak_tflop_s
    assert ("bf16" in peaks) == (family not in ("Pascal", "Volta", "Turing", "Grace"))
    assert ("fp8" in peaks) == (family not in ("Pascal", "Volta", "Turing", "Ampere", "Grace"))
    assert ("fp4" in peaks) == (family in ("Blackwell", "Blackwell Ultra", "Rubin"))
    if family not in ("Turing", "Ampere", "Ada Lovelace"):
        assert "int4" not in peaks


def test_links_reach_as_far_as_the_switches() -> None:
    domains = {name: device.link.domain for name, device in DEVICES.items() if device.link}
    assert {name for name, domain in domains.items() if domain == 72} == {"gb200", "gb300", "rubin"}
    # NVSwitch sums from its third generation on, with Hopper; bridges and meshes never do
    summing = {name for name, device in DEVICES.items() if device.link and device.link.reduce}
    assert summing == {name for name, domain in domains.items() if domain >= 8 and DEVICES[name].family not in ("Volta", "Ampere")}
    # Bridged cards, and the two halves of a Grace superchip
    pairs = {name for name, domain in domains.items() if domain == 2}
    server = {"a30", "a40", "a100-pcie-40gb", "a100-pcie-80gb", "h100-pcie", "h100-nvl", "h800-pcie"}
    desktop = {"quadro-rtx-8000", "rtx-2080-ti", "rtx-3090", "rtx-3090-ti", "rtx-a5000", "rtx-a6000"}
    assert pairs == server | desktop | {"grace-480gb"}


def test_the_mesh_of_volta() -> None:
    # DGX-1: six links of 25 GB/s a device; a pair counts on one of them, and eight devices together use all six
    link = DEVICES["v100-sxm2-32gb"].link
    assert link is not None and link.shape == "mesh"
    assert [link.bytes_per_s(group) / 1e9 for group in (2, 4, 8)] == [25, 75, 150]


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("h20", "h20-96gb"),
        ("b300", "b300-sxm"),
        ("dgx-spark", "gb10"),
        ("vr200", "rubin"),
        ("5090", "rtx-5090"),
        ("tesla-t4", "t4"),
        ("a800", "a800-sxm-80gb"),
        ("A6000", "rtx-a6000"),
        ("RTX 8000", "quadro-rtx-8000"),
        ("3060", "rtx-3060-12gb"),
        ("RTX 4070 Ti Super", "rtx-4070-ti-super"),
        ("5080", "rtx-5080"),
        ("p100", "p100-pcie-16gb"),
        ("h20-3e", "h20-141gb"),
        ("Jetson Orin Nano", "jetson-orin-nano-8gb"),
    ],
)
def test_short_names(short: str, name: str) -> None:
    assert lookup.hardware(short)[0].device.name == name


@pytest.mark.parametrize(
    ("short", "name", "other"),
    [
        ("v100", "v100-sxm2-16gb", "v100-sxm2-32gb"),
        ("gh200", "gh200-96gb", "gh200-144gb"),
        ("rtx-pro-6000", "rtx-pro-6000-workstation", "rtx-pro-6000-server"),
    ],
)
def test_names_that_two_parts_share(short: str, name: str, other: str) -> None:
    """What is most sold is taken, and the others are named."""
    found, notes = lookup.hardware(short)
    assert found.name == name and any("others: " in note and other in note for note in notes)


def test_only_plans_are_announced() -> None:
    assert {name for name, device in DEVICES.items() if device.announced} == {"b100-sxm", "rubin"}
