"""`--set`: the figure that is set is the figure of every preset, what depends on it follows, and a change without effect is said."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.catalog.overrides import Change
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.deployment.engines import GIB, total_bytes
from roofcalc.specs import dtypes
from roofcalc.specs.device import Hardware
from tests.each import each
from tests.shell import refused, run

HARDWARE = sorted(lookup.entries("hardware"))
PRESETS = ("roofline", "bound", "typical")
FACTORS = (0.5, 2.0)


def _changed(name: str, path: str, value: float) -> Hardware:
    return lookup.hardware(name, (Change("hardware", tuple(path.split(".")), value),))[0]


def _deployed(hardware: Hardware, preset: str) -> Deployment:
    return deploy(lookup.model("llama-3.2-1b")[0], hardware, assumptions=assumptions(preset, engine="none", network="ideal", reserve_gb=0.0))


@each(HARDWARE)
def test_a_capacity_that_is_set_is_the_capacity_of_every_preset(name: str) -> None:
    before = lookup.hardware(name)[0]
    for factor in FACTORS:
        after = _changed(name, "memory.capacity_gb", before.device.memory.capacity_gb * factor)
        for reading, size in before.device.memory.readings().items():
            assert after.device.memory.readings()[reading] == pytest.approx(size * factor, rel=1e-12), (reading, factor)
        if before.device.name in ("h100-sxm", "rtx-3090"):  # whose runtimes were seen to report 79.19 and 23.58 GiB
            assert total_bytes(after.device) == pytest.approx({"h100-sxm": 79.19, "rtx-3090": 23.58}[before.device.name] * GIB * factor, rel=1e-12)
        for preset in PRESETS:
            assert _deployed(after, preset).usable_bytes == pytest.approx(_deployed(before, preset).usable_bytes * factor, rel=1e-12), (
                preset,
                factor,
            )


@each(HARDWARE)
def test_a_bandwidth_that_is_set_is_the_bandwidth_of_every_preset(name: str) -> None:
    before = lookup.hardware(name)[0]
    for factor in FACTORS:
        after = _changed(name, "memory.bandwidth_gb_s", before.device.memory.bandwidth_gb_s * factor)
        for preset in PRESETS:
            moved = _deployed(after, preset).memory_bytes_per_s / _deployed(before, preset).memory_bytes_per_s
            assert moved == pytest.approx(factor, rel=1e-12), (preset, factor)


@each(HARDWARE)
def test_a_peak_that_is_set_is_the_peak_of_every_preset(name: str) -> None:
    before = lookup.hardware(name)[0]
    peaks, ideal_before = before.device.peak_tflop_s, _deployed(before, "bound")
    for fmt in dtypes.known_formats(before.device):
        width = dtypes.WIDTH_BITS[fmt]
        best = dtypes.fastest(before.device, width)
        overruled = peaks[best] > max(peaks[one] for one in peaks if dtypes.WIDTH_BITS.get(one) == width)  # type: ignore[index]
        for factor in (0.1, 2.0):
            after = _changed(name, f"peak_tflop_s.{fmt}", peaks[fmt] * factor)
            roofline, bound = _deployed(after, "roofline"), _deployed(after, "bound")
            assert roofline.flop_per_s(dtypes.arithmetic_format(after.device, fmt)) == pytest.approx(peaks[fmt] * factor * 1e12, rel=1e-12)
            if overruled and factor <= 1:  # a wider format was faster before, and still is
                continue
            ideal, was = bound.flop_per_s(bound._fastest(width)), ideal_before.flop_per_s(best)
            assert ideal is not None and was is not None
            assert ideal == pytest.approx(was * factor, rel=1e-12) or (overruled and ideal >= was), (fmt, factor)


@each(HARDWARE)
def test_ports_and_watts_that_are_set_are_those_of_pairs_and_systems(name: str) -> None:
    before = lookup.hardware(name)[0]
    if before.link is not None:
        after = _changed(name, "link.gb_s", before.link.gb_s * 3)
        assert after.link is not None
        for group in range(2, min(before.link.domain, 8) + 1):
            assert after.link.bytes_per_s(group) == pytest.approx(3 * before.link.bytes_per_s(group), rel=1e-12)
    if before.system is not None and before.system.power_kw and before.device.power_w:
        after = _changed(name, "power_w", before.device.power_w + 100)
        assert after.system is not None and after.system.power_kw == pytest.approx(before.system.power_kw + before.system.count / 10)


def test_the_figures_of_an_h100() -> None:
    # 81,559 of 80 GB · 1/2; 3,350 GB/s are 90 % of what `best` would have
    device = _changed("h100-sxm", "memory.capacity_gb", 40).device
    assert device.memory.readings() == {"nominal": 40e9, "visible": 81559 / 2 * 2**20, "binary": 40 * 2**30}
    both = lookup.hardware("h100-sxm", (Change("hardware", ("memory", "capacity_gb"), 40), Change("hardware", ("memory", "visible_mib"), 40000)))[0]
    assert both.device.memory.readings()["visible"] == 40000 * 2**20  # set itself
    slow = _changed("h100-sxm", "peak_tflop_s.bf16", 98.94).device.peak_tflop_s
    assert slow["fp16"] == pytest.approx(98.94) and slow["fp8"] == lookup.hardware("h100-sxm")[0].device.peak_tflop_s["fp8"]


def test_what_is_set_on_a_slice_is_the_slice_s() -> None:
    before = lookup.hardware("h100-sxm-mig-3g.40gb")[0].device
    after = _changed("h100-sxm-mig-3g.40gb", "memory.capacity_gb", 20).device
    assert before.memory.capacity_gb != 20 and after.memory.capacity_gb == 20
    wide = _changed("h100-sxm-mig-3g.40gb", "memory.bandwidth_gb_s", before.memory.bandwidth_gb_s * 2).device
    assert wide.memory.bandwidth_gb_s == before.memory.bandwidth_gb_s * 2 and wide.peak_tflop_s == before.peak_tflop_s


IDLE = "changes nothing in this answer"


def test_a_change_without_effect_is_said() -> None:
    assert IDLE in run("memory llama-3.1-8b h100-sxm --seq 8k --set hardware.memory.bandwidth_gb_s=1000").stderr
    assert IDLE not in run("max-batch llama-3.1-8b h100-sxm --seq 8k --set hardware.memory.bandwidth_gb_s=1000").stderr
    # the highest clock is a figure of `bound` alone
    line = "max-batch llama-3.1-8b h100-sxm --seq 8k --interactivity 100 --set hardware.best.clock=2 --set hardware.memory.capacity_gb=40"
    said = run(line).stderr
    assert f"--set hardware.best.clock=2: {IDLE}" in said and said.count(IDLE) == 1
    assert IDLE not in run("prefill llama-3.1-8b h100-sxm --seq 8k --assume bound --set hardware.best.clock=2").stderr
    # one value of a sweep is enough
    assert IDLE not in run("memory llama-3.1-8b h100-sxm --seq 8k --set hardware.memory.capacity_gb=80,90").stderr
    assert IDLE in run("memory llama-3.1-8b h100-sxm --seq 8k --set hardware.memory.capacity_gb=80").stderr
    assert IDLE in run("attention llama-3.1-8b --seq 8k --set model.context=9000").stderr


def test_the_memory_of_each_preset_follows() -> None:
    # batches of one model at half, once and twice the memory: once the same in `typical`, which reads the driver's figure
    for preset in PRESETS:
        line = f"memory llama-3.1-8b h100-sxm --seq 8k --assume {preset} --set hardware.memory.capacity_gb=40,80,160 -f csv --columns batch_memory"
        small, middle, large = map(int, run(line).stdout.split()[1:])
        assert small * 2 < middle < large / 2 + 1


def test_a_figure_set_twice_is_refused() -> None:
    message = refused("max-batch llama-3.1-8b h100-sxm --set hardware.memory.capacity_gb=40 --set hardware.memory.capacity_gb=80")
    assert "hardware.memory.capacity_gb: given twice" in message
