"""Devices that are not NVIDIA's: figures of the makers' sheets as literals, and what follows from clocks, ports and halves."""

from typing import Any

import pytest
import yaml

from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError
from roofcalc.specs import schema
from roofcalc.specs.device import Device, Link
from roofcalc.specs.schema import build


def device(name: str) -> Device:
    return lookup.hardware(name)[0].device


def link(name: str) -> Link:
    found = device(name).link
    assert found is not None
    return found


WANTED = (
    "mi210,mi250x-gcd,mi300x,mi300a,mi308x,mi325x,mi350x,mi355x,mi455x,radeon-pro-w7900,rx-7900-xtx,"
    "tpu-v4,tpu-v5e,tpu-v5p,tpu-v6e,tpu-v7x,trainium1,trainium2,trainium3,inferentia2,"
    "gaudi2,gaudi3,max-1550-stack,arc-b580,arc-pro-b60,"
    "m1-max,m1-ultra,m2-max,m2-ultra,m3-max,m3-ultra,m4-max,m5-max,"
    "groq-lpu-v1,cerebras-wse-3,sn40l,n150,n300-chip,p150,"
    "ascend-910b3,ascend-910c-die,ascend-950dt,mlu370-x8,maia-100,maia-200,mtia-v2,epyc-9965,xeon-6980p,"
    "mi50-16gb,mi50-32gb,mi60,mi100,mi250-gcd,mi250,mi250x,max-1550,ascend-910c,rx-7900-xt,rx-9070-xt,radeon-ai-pro-r9700,ryzen-ai-max-395,"
    "m1,m1-pro,m2,m2-pro,m3,m3-pro,m4,m4-pro,m5,m5-pro,epyc-9554,epyc-9654,xeon-8480"
)


def test_everything_promised_is_there() -> None:
    assert set(WANTED.split(",")) <= set(lookup.entries("hardware"))


# Format and its dense peak in TFLOP/s, the memory's GB/s and GB, as printed; halves where the sheet counts a package of two
SHEETS = {
    "mi210": ("fp16", 181, 1638, 64),  # AnandTech's table: 181 of FP16 matrix; 4096 bits at 3.2 Gb/s are 1,638
    "mi250x-gcd": ("fp16", 383 / 2, 3276 / 2, 128 / 2),  # AMD's MI250X page by ml-engineering: 383, 3.28 TB/s, 128 GB
    "mi300a": ("fp8", 1961.2, 5300, 128),  # AMD's launch table by vengineer: 1,961, 5.3 TB/s, 128 GB
    "mi355x": ("fp4", 10066.3, 8000, 288),  # AMD's page: 10.1 PFLOP/s of MXFP4, 8 TB/s, 288 GB
    "mi455x": ("bf16", 5000, 23300, 432),  # AMD's page: 5 PFLOP/s of BF16 matrix (10.1 sparse), 23.3 TB/s, 432 GB
    "rx-7900-xtx": ("fp16", 122.8, 960, 24),  # launch table: 61.4 of FP32 and 123 of FP16, 960 GB/s
    "gaudi2": ("fp8", 865, 2460, 96),  # Intel's white paper by ml-engineering
    "gaudi3": ("bf16", 1677, 3700, 128),  # the same at the clock that ships, not the 1,835 of 1750 MHz
    "max-1550-stack": ("bf16", 839 / 2, 3276.8 / 2, 128 / 2),  # Hot Chips 34: 839 of BF16 for two stacks; Intel's ARK: 3,276.8 GB/s
    "arc-b580": ("int8", 233, 456, 12),  # Intel: 233 TOPS, 456 GB/s
    "tpu-v4": ("bf16", 275, 1200, 32),  # cloud.google.com: 275, 1,200 GB/s, 32 GiB
    "tpu-v5e": ("bf16", 197, 819, 16),  # cloud.google.com: 197, 819 GB/s, 16 GB
    "tpu-v5p": ("bf16", 459, 2765, 95),  # cloud.google.com: 459, 2,765 GB/s, 95 GiB
    "tpu-v6e": ("int8", 1836, 1638, 32),  # cloud.google.com: 1,836 TOPS, 1,638 GB/s, 32 GB
    "tpu-v7x": ("fp8", 4614, 7380, 192),  # cloud.google.com: 4,614, 7,380 GB/s, 192 GiB
    "trainium1": ("bf16", 190, 820, 32),  # Neuron docs: 190, 820, 32 GiB
    "trainium2": ("fp8", 1299, 2900, 96),  # Neuron docs: 1,299 (2,563 sparse), 2.9 TB/s, 96 GiB
    "trainium3": ("fp4", 2517, 4900, 144),  # Neuron docs: 2,517 of MXFP8 and of MXFP4, 4.9 TB/s, 144 GiB
    "inferentia2": ("int8", 380, 820, 32),  # Neuron docs: 380 TOPS, 820, 32 GiB
    "m3-ultra": ("fp32", 28.4, 819, 512),  # Apple: 819 GB/s, 512 GB
    "m4-max": ("fp32", 18.4, 546, 128),  # Apple: 546 GB/s with 40 cores
    "groq-lpu-v1": ("int8", 750, 80000, 0.23),  # Groq: 750 TOPS, 80 TB/s, 230 MB
    "sn40l": ("bf16", 638, 25600 / 16, 64),  # Hot Chips 2024: 638; 25.6 TB/s for 16 sockets; 64 GB
    "n150": ("fp8", 262, 288, 12),  # docs.tenstorrent.com: 262, 288 GB/s, 12 GB
    "n300-chip": ("fp8", 466 / 2, 576 / 2, 24 / 2),  # docs.tenstorrent.com, for both chips: 466, 576 GB/s, 24 GB
    "ascend-910c-die": ("bf16", 752 / 2, 3200 / 2, 128 / 2),  # Huawei by CITIC: 752 for two dies; Huawei Connect 2025: 3.2 TB/s, 128 GB
    "ascend-950dt": ("fp8", 58.8e3 / 64, 4000, 96),  # hiascend.com: 58.8 PFLOP/s for 64
    "mlu370-x8": ("int8", 256, 614.4, 48),  # Cambricon's launch: 256 TOPS, 614.4 GB/s, 48 GB
    "maia-100": ("bf16", 800, 1800, 64),  # Hot Chips 2024: 0.8 POPS, 1.8 TB/s, 64 GB
    "maia-200": ("fp4", 10000, 7000, 216),  # Microsoft: over 10 PFLOP/s, 7 TB/s, 216 GB
    "mtia-v2": ("int8", 354, 204.8, 128),  # Meta: 354 TOPS (708 sparse), 204.8 GB/s, 128 GB
    "mi50-32gb": ("fp16", 26.5, 1024, 32),  # Hugging Face's table: 26.5; four stacks of 1024 bits at 2 Gb/s
    "mi60": ("fp16", 29.5, 1024, 32),  # the same: 29.5
    "mi100": ("bf16", 92.3, 1228.8, 32),  # AMD's launch table by Notebookcheck: 92.3 of BF16, 1.23 TB/s
    "mi250-gcd": ("fp16", 362.1 / 2, 3276.8 / 2, 128 / 2),  # Hugging Face's table: 362.1 for both dies
    "rx-7900-xt": ("int8", 103.2, 800, 20),  # Tom's Hardware: 103 of FP16 (84 units, 2.4 GHz), 320 bits at 20 Gb/s
    "rx-9070-xt": ("int4", 1557 / 2, 640, 16),  # AMD: 1557 of INT4 with sparsity, 640 GB/s
    "radeon-ai-pro-r9700": ("fp16", 2 * 95.7, 640, 32),  # Hugging Face's table: 95.7 of packed FP16, half of the matrix rate
    "ryzen-ai-max-395": ("fp16", 59.4, 256, 128),  # Hugging Face's table: 29.7 of FP32, half of FP16; 256 bits at 8 Gb/s
    "m1": ("fp32", 2.6, 68.25, 16),  # philipturner at llama.cpp: 68.2 GB/s
    "m2-pro": ("fp32", 6.8, 200, 32),  # Apple: 200 GB/s, by llmcheck.net, as those below
    "m3-pro": ("fp32", 7.4, 150, 36),  # Apple narrowed this bus: 150 GB/s
    "m4": ("fp32", 4.6, 120, 32),
    "m4-pro": ("fp32", 9.2, 273, 64),
    "epyc-9654": ("int8", 96 * 2.4 * 128 / 1e3, 12 * 8 * 4.8, 768),  # twelve channels of DDR5-4800
    "xeon-8480": ("int8", 56 * 2.0 * 2048 / 1e3, 8 * 8 * 4.8, 512),  # eight
}


@pytest.mark.parametrize(("name", "figures"), SHEETS.items())
def test_figures_of_the_sheets(name: str, figures: tuple[str, float, float, float]) -> None:
    form, peak, bandwidth, capacity = figures
    found = device(name)
    assert found.peak_tflop_s[form] == pytest.approx(peak, rel=1e-3)
    assert found.memory.bandwidth_gb_s == pytest.approx(bandwidth, rel=1e-3) and found.memory.capacity_gb == capacity


# Units times operations a clock (a multiply-add is two) times GHz
CLOCKS = {
    # AMD's CDNA 3 and CDNA 4 white papers: dense operations of a compute unit by format; 228, 304 and 256 units
    ("mi300a", "fp16"): 228 * 2048 * 2.1,
    ("mi300a", "tf32"): 228 * 1024 * 2.1,
    ("mi300a", "fp64"): 228 * 256 * 2.1,
    ("mi300x", "bf16"): 304 * 2048 * 2.1,
    ("mi325x", "fp8"): 304 * 4096 * 2.1,
    ("mi350x", "bf16"): 256 * 4096 * 2.2,
    ("mi350x", "fp64"): 256 * 128 * 2.2,
    ("mi355x", "bf16"): 256 * 4096 * 2.4,
    ("mi355x", "fp8"): 256 * 8192 * 2.4,
    ("mi355x", "fp6"): 256 * 16384 * 2.4,
    # Intel: matrix engines of 256 x 256 multiply-adds, two at 1650 MHz and eight at 1600
    ("gaudi2", "bf16"): 2 * 2 * 256 * 256 * 1.65,
    ("gaudi3", "bf16"): 8 * 2 * 256 * 256 * 1.6,
    # Tenstorrent: 120 cores of 4096 at 1.35 GHz, as 140 of them made the 774 of the first sheets
    ("p150", "fp8"): 774e3 * 120 / 140,
    # Cores at their base clock: two multiply-adds of 512 bits, and the 1024 and 2048 operations of AMX that Intel gives for a core
    ("rx-9070-xt", "fp8"): 64 * 2048 * 2.97,
    ("rx-7900-xt", "fp16"): 84 * 512 * 2.4,
    ("ryzen-ai-max-395", "bf16"): 40 * 512 * 2.9,
    ("mi100", "fp16"): 120 * 1024 * 1.502,
    ("epyc-9554", "fp32"): 64 * 32 * 3.1,  # Zen 4 takes two cycles for 512 bits
    ("xeon-8480", "bf16"): 56 * 1024 * 2.0,
    ("epyc-9965", "fp32"): 192 * 64 * 2.25,
    ("epyc-9965", "bf16"): 192 * 128 * 2.25,
    ("xeon-6980p", "fp32"): 128 * 64 * 2.0,
    ("xeon-6980p", "bf16"): 128 * 1024 * 2.0,
    ("xeon-6980p", "int8"): 128 * 2048 * 2.0,
}


@pytest.mark.parametrize(("which", "gflop_s"), CLOCKS.items())
def test_peaks_follow_from_clocks(which: tuple[str, str], gflop_s: float) -> None:
    name, form = which
    assert device(name).peak_tflop_s[form] * 1e3 == pytest.approx(gflop_s, rel=2e-3)


# GB/s in one direction and devices: what a sheet counts in both directions is halved here
LINKS = {
    "mi100": (276 / 2, 4),  # AMD: three links, 276 both ways
    "mi210": (3 * 100 / 2, 4),  # three Infinity Fabric links of 100 both ways
    "mi300x": (896 / 2, 8),  # CDNA 3 white paper: 896 both ways over seven links
    "mi355x": (1075.2 / 2, 8),  # CDNA 4 white paper: 1,075.2 both ways over seven links
    "mi455x": (3600 / 2, 72),  # AMD: 3.6 TB/s both ways; Helios has 72
    "gaudi2": (21 * 100 / 8, 8),  # 21 ports of 100 Gb/s
    "gaudi3": (21 * 200 / 8, 8),  # 21 ports of 200 Gb/s; docs.habana.ai: 525 in one direction
    "tpu-v4": (1.1e6 / 4096, 4096),  # the pod's all-reduce of 1.1 PB/s for 4,096 chips
    "tpu-v5e": (400 / 2, 256),  # cloud.google.com: 400 both ways
    "tpu-v5p": (1200 / 2, 8960),
    "tpu-v6e": (800 / 2, 256),
    "tpu-v7x": (1200 / 2, 9216),
    "trainium1": (384 / 2, 16),  # Neuron docs: 384 a chip
    "trainium2": (4 * 128, 16),  # SemiAnalysis: 128 to each of four neighbours; Neuron docs: 1,024 both ways
    "trainium3": (2048 / 2, 144),  # Neuron docs: 2,048 a device in an UltraServer
    "inferentia2": (192 / 2, 12),  # Neuron docs: 192 a chip
    "ascend-910b3": (392 / 2, 8),  # the server's maker: 392 both ways
    "ascend-910c-die": (784 / 2 / 2, 2 * 384),  # Huawei Connect 2025: 784 both ways for two dies
    "mlu370-x8": (200 / 2, 4),  # Cambricon: 200, 3.1 times the 64 of PCIe 4.0 both ways
    "maia-100": (9 * 400 / 8, 4),  # nine ports of 400 Gb/s within the node
    "maia-200": (2800 / 2, 6144),  # Microsoft: 2.8 TB/s both ways
}


@pytest.mark.parametrize(("name", "figures"), LINKS.items())
def test_links_count_one_direction(name: str, figures: tuple[float, int]) -> None:
    assert link(name).gb_s == pytest.approx(figures[0], rel=0.01) and link(name).domain == figures[1]


# A mesh reaches one device over one pair's links: ports a pair times GB/s of a port
PAIRS = {"mi300x": 64, "mi325x": 64, "mi355x": 153.6 / 2, "gaudi2": 3 * 100 / 8, "gaudi3": 3 * 200 / 8, "maia-100": 3 * 400 / 8}


@pytest.mark.parametrize(("name", "gb_s"), PAIRS.items())
def test_two_devices_of_a_mesh_have_one_pair(name: str, gb_s: float) -> None:
    assert link(name).bytes_per_s(2) == pytest.approx(gb_s * 1e9)
    assert link(name).bytes_per_s(link(name).domain) == pytest.approx(link(name).gb_s * 1e9)


# Longest pods, and from which length an axis is a ring: 16 where the wires are fixed, a cube's 4 where optics close it (scaling book)
TORI = {
    "tpu-v4": ((16, 16, 16), 4),
    "tpu-v5e": ((16, 16), 16),
    "tpu-v5p": ((16, 20, 28), 4),
    "tpu-v6e": ((16, 16), 16),
    "tpu-v7x": ((16, 24, 24), 4),
    "trainium1": ((4, 4), 4),
    "trainium2": ((4, 4), 4),
}


@pytest.mark.parametrize(("name", "figures"), TORI.items())
def test_tori(name: str, figures: tuple[tuple[int, ...], int]) -> None:
    assert (link(name).axes, link(name).wrap) == figures


def test_a_torus_port_is_a_port() -> None:
    # Two neighbours on each axis; no port here has less than 45 or more than 128 GB/s, so a sum of both directions or of one axis falls outside
    tori = [found for name in lookup.entries("hardware") if (found := device(name).link) and found.shape == "torus"]
    assert tori and all(40 <= found.gb_s / (2 * len(found.axes)) <= 130 for found in tori)


def test_halves_say_so() -> None:
    for name in ("mi250-gcd", "mi250x-gcd", "max-1550-stack", "n300-chip", "ascend-910c-die"):
        found = device(name)
        assert found.title and ", one of its two " in found.title and found.notes and "counts as two of these" in found.notes


# The package's memory in GB, its half precision in TFLOP/s and its GB/s, as AMD's, Intel's, Huawei's and Tenstorrent's sheets print them
PACKAGES = {
    "mi250": ("mi250-gcd", 128, 362.1, 3276.8),
    "mi250x": ("mi250x-gcd", 128, 383, 3276.8),
    "max-1550": ("max-1550-stack", 128, 839, 3276.8),
    "ascend-910c": ("ascend-910c-die", 128, 752, 3200),
    "n300": ("n300-chip", 24, 131, 576),
}


@pytest.mark.parametrize(("name", "figures"), PACKAGES.items())
def test_a_package_is_its_two_halves(name: str, figures: tuple[str, float, float, float]) -> None:
    half, memory, peak, bandwidth = figures
    found = lookup.hardware(name)[0]
    assert (found.count, found.device.name, found.domain) == (2, half, 2)
    assert 2 * found.device.memory.capacity_gb == memory
    assert 2 * found.device.peak_tflop_s["fp16"] == pytest.approx(peak, rel=1e-3)
    assert 2 * found.device.memory.bandwidth_gb_s == pytest.approx(bandwidth, rel=1e-3)
    assert lookup.hardware(f"4x{name}")[0].count == 8  # a box of four, its packages joined by the network


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{gb_s: 450, domain: 8, wrap: 4}", "wrap: only a torus has wrap-around links"),
        ("{gb_s: 448, pair_gb_s: 64, domain: 8, wrap: 4}", "wrap: only a torus has wrap-around links"),
        ("{gb_s: 200, domain: 16, topology: torus, axes: [4, 4], wrap: 0}", "wrap: expected a number from 1"),
    ],
)
def test_wraps_that_cannot_be(text: str, complaint: str) -> None:
    value: dict[str, Any] = yaml.safe_load(text)
    lines: schema.Lines = {(): "link.yaml:1"}
    with pytest.raises(RoofcalcError, match=complaint):
        build(Link, value, lines, "link.yaml")


def test_a_wrap_within_the_axes() -> None:
    value: dict[str, Any] = yaml.safe_load("{gb_s: 600, domain: 8960, topology: torus, axes: [16, 20, 28], wrap: 28}")
    lines: schema.Lines = {(): "link.yaml:1"}
    assert build(Link, value, lines, "link.yaml").wrap == 28
