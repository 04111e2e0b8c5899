"""The catalogs' data, how entries are found, and what-if changes."""

import itertools
import os
import re
from pathlib import Path

import pytest

from roofcalc.catalog import file_cache, lookup, yamlfile
from roofcalc.catalog.alias_scan import aliases
from roofcalc.catalog.overrides import Change
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import System
from roofcalc.specs.parameter_count import agrees, as_published
from tests.each import each

MODELS = sorted(lookup.entries("models"))
HARDWARE = sorted(lookup.entries("hardware"))

WANTED_MODELS = (
    "llama-2-7b,llama-2-13b,llama-2-70b,llama-3.1-8b,llama-3.1-70b,llama-3.1-405b,"
    "qwen2.5-7b,qwen2.5-32b,qwen2.5-72b,qwen3-8b,qwen3-32b,mistral-7b-v0.3"
)
WANTED_DEVICES = "h100-sxm,h100-pcie,h100-nvl,h200-sxm,a100-sxm-40gb,a100-sxm-80gb,b200-sxm,l40s,rtx-4090,mi300x,mi325x"


def test_everything_promised_is_there() -> None:
    assert set(WANTED_MODELS.split(",")) <= set(MODELS) and set(WANTED_DEVICES.split(",")) <= set(HARDWARE)
    eight = [name for name in HARDWARE if lookup.hardware(name)[0].system and lookup.hardware(name)[0].count == 8]
    assert len(eight) >= 6


@each(MODELS)
def test_counted_parameters_equal_the_published(name: str) -> None:
    model = lookup.model(name)[0]
    assert model.published is not None and model.published.source
    total, active = as_published(model)
    assert model.published.params is None or agrees(total, model.published.params, model.published.params_to)
    assert model.published.active is None or agrees(active, model.published.active, model.published.active_to)


def test_known_differences_are_few() -> None:
    models = [lookup.model(name)[0] for name in MODELS]
    assert sum(model.known_difference is not None for model in models) <= 12


@each([("models", n) for n in MODELS] + [("hardware", n) for n in HARDWARE])
def test_every_entry_has_sources_that_open(kind: lookup.Kind, name: str) -> None:
    if kind == "models":
        sources = lookup.model(name)[0].sources
    else:
        hardware = lookup.hardware(name)[0]
        sources = hardware.system.sources if hardware.system else hardware.device.sources
    assert sources and all(re.fullmatch(r"https://\S+", source) for source in sources)


# Devices with no published dense rate of 16-bit floats
NO_16_BIT = {"p40", "gtx-1080-ti", "mi308x", "cerebras-wse-3", "maia-200", "grace-480gb"}

# Rates of fp8 over 16 bit that are not 1 or 2, and why
FP8_OUTLIERS = {
    "trainium3": 3.75,  # 2,517 over 671: only the low formats were widened
    "n150": 3.54,  # 262 over 74: fp8 takes one pass of the multipliers, 16 bit four
    "n300-chip": 3.56,  # 233 over 65.5
    "mi455x": 4.02,  # 20.1 over 5 PFLOP/s: see its file
    "rubin": 4.38,  # 17.5 over 4 PFLOP/s
}


def near(ratio: float, *allowed: float) -> bool:
    return any(ratio == pytest.approx(one, rel=0.12) for one in allowed)


@each(HARDWARE)
def test_plausible_devices(name: str) -> None:
    # A thousandfold slip, a sparse peak or a duplex link falls outside
    hardware = lookup.hardware(name)[0]
    device = hardware.device
    peaks, memory = device.peak_tflop_s, device.memory
    half = peaks.get("bf16", peaks.get("fp16"))
    assert (half is None) == (device.name in NO_16_BIT)
    if half is not None:
        assert 2 <= half * 1e3 / memory.bandwidth_gb_s <= 1000
        if device.name in FP8_OUTLIERS:
            assert peaks["fp8"] / half == pytest.approx(FP8_OUTLIERS[device.name], rel=0.01)
        elif "fp8" in peaks:
            assert near(peaks["fp8"] / half, 1, 2)
    if "fp4" in peaks:
        assert near(peaks["fp4"] / peaks["fp8"], 1, 2, 3, 4)
    readings = memory.readings()
    assert all(0.99 <= size / readings["nominal"] <= 1.08 for size in readings.values())
    if "visible" in readings and "binary" in readings:
        assert readings["visible"] <= readings["binary"]
    assert (device.best.bandwidth_gb_s or memory.bandwidth_gb_s) >= memory.bandwidth_gb_s
    if isinstance(hardware.system, System):
        assert hardware.count == hardware.system.count
        assert hardware.count <= hardware.domain or hardware.scale_out_bytes_per_s is not None


@each(HARDWARE)
def test_plausible_links(name: str) -> None:
    # No link is far faster than the memory it reads from; the pairs of a mesh together are about all ports: twice or half is a slip
    hardware = lookup.hardware(name)[0]
    link = hardware.link
    if link is None:
        return  # devices that only a host or a network joins
    assert link.gb_s < 2 * hardware.device.memory.bandwidth_gb_s
    if link.pair_gb_s is not None:
        assert 0.7 <= (link.domain - 1) * link.pair_gb_s / link.gb_s <= 1.25


# Dense peaks as the makers' sheets print them (half of the sparse headline), TFLOP/s, and GB/s
SHEETS = {
    "h100-sxm": (989.4, 3350, 450),
    "h100-pcie": (756.5, 2000, 300),
    "h200-sxm": (989.4, 4800, 450),
    "a100-sxm-80gb": (312, 2039, 300),
    "mi300x": (1307.4, 5300, 448),
    "l40s": (362.05, 864, None),
}


@pytest.mark.parametrize(("name", "figures"), SHEETS.items())
def test_figures_of_the_sheets(name: str, figures: tuple[float, float, float | None]) -> None:
    hardware = lookup.hardware(name)[0]
    bf16, bandwidth, link = figures
    assert hardware.device.peak_tflop_s["bf16"] == bf16 and hardware.device.memory.bandwidth_gb_s == bandwidth
    assert (hardware.link.gb_s if hardware.link else None) == link


def test_names_and_aliases_are_unique() -> None:
    for kind in ("models", "hardware"):
        entries = lookup.entries(kind)  # type: ignore[arg-type]
        names = [lookup.normal(alias) for path in entries.values() for alias in aliases(path)] + list(entries)
        assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def test_the_scan_for_aliases_reads_what_the_parser_reads() -> None:
    for kind in ("models", "hardware"):
        for path in lookup.entries(kind).values():  # type: ignore[arg-type]
            assert aliases(path) == (yamlfile.load(path)[0].get("aliases") or [])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("8xh100-sxm", "8xh100-sxm"),
        ("8 x H100 SXM", "8xh100-sxm"),
        ("8×h100_sxm", "8xh100-sxm"),
        ("h100", "h100-sxm"),
        ("H100-SXM", "h100-sxm"),
        ("1xh100", "1xh100-sxm"),
        ("dgx-h100", "dgx-h100"),
        ("2xdgx-h100", "2xdgx-h100"),
    ],
)
def test_hardware_by_many_names(text: str, name: str) -> None:
    found, notes = lookup.hardware(text)
    assert found.name == name
    assert any("is an alias of" in note for note in notes) == (text in ("h100", "1xh100"))


def test_models_by_many_names() -> None:
    for text in ("llama-3.1-405b", "LLAMA_3.1 405B", "meta-llama/Llama-3.1-405B", "llama-405b"):
        assert lookup.model(text)[0].name == "llama-3.1-405b"


def test_a_system_overrides_its_device() -> None:
    device, system = lookup.hardware("8xl40s")[0], lookup.hardware("8-way-l40s")[0]
    assert device.device.link is None and device.link is not None and device.link.kind == "PCIe 4.0 x16"
    assert system.link is not None and system.domain == 8 and system.device == device.device


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a100 60gb", "none of 60 GB in the catalog; it has a100-pcie-40gb (40 GB), a100-pcie-80gb (80 GB)"),
        ("h100-sxn", "did you mean h100-sxm"),
        ("zzz", "`roofcalc hardware list` prints all"),
        ("0xh100-sxm", "expected 1 to"),
        ("9999999xh100-sxm", "expected 1 to"),
        ("", "unknown hardware ''"),
        ("none.yaml", "none.yaml: cannot be read: No such file"),
    ],
)
def test_hardware_that_is_not_there(text: str, complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=re.escape(complaint)):
        lookup.hardware(text)


def test_user_catalogs_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "my-70b.yaml").write_text("name: my-70b\nlike: llama-3.1-70b\naliases: [seventy]\ncontext: 8192\n")
    (tmp_path / "hardware").mkdir()
    own = lookup.entries("hardware")["h100-sxm"].read_text().replace("bandwidth_gb_s: 3350", "bandwidth_gb_s: 3000")
    (tmp_path / "hardware" / "h100-sxm.yaml").write_text(own)
    monkeypatch.setenv("ROOFCALC_PATH", os.pathsep.join(["/nonexistent", str(tmp_path)]))
    model = lookup.model("Seventy")[0]
    assert (model.name, model.depth, model.context) == ("my-70b", 80, 8192)
    assert model.title is None and "llama-3.1-70b" not in model.aliases
    assert lookup.hardware("h100-sxm")[0].device.memory.bandwidth_gb_s == 3000
    assert lookup.hardware("dgx-h100")[0].device.memory.bandwidth_gb_s == 3000


def test_a_path_is_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(lookup.entries("models")["qwen3-8b"].read_text().replace("name: qwen3-8b", "name: other"))
    assert lookup.model(str(path))[0].name == "other"
    path.write_text(path.read_text().replace("name: other", "name: another"))
    with pytest.raises(RoofcalcError, match="must equal the file's name 'other'"):
        lookup.model(str(path))


def test_changes() -> None:
    hardware = lookup.hardware("8xh100-sxm", [Change("hardware", ("memory", "bandwidth_gb_s"), 4000)])[0]
    assert hardware.device.memory.bandwidth_gb_s == 4000
    added = lookup.hardware("a100-sxm-80gb", [Change("hardware", ("peak_tflop_s", "fp8"), 624)])[0]
    assert added.device.peak_tflop_s["fp8"] == 624
    of_device = lookup.hardware("dgx-h100", [Change("hardware", ("link", "gb_s"), 200)])[0]
    assert of_device.link is not None and of_device.link.gb_s == 200
    of_system = lookup.hardware("8-way-l40s", [Change("hardware", ("link", "gb_s"), 20), Change("hardware", ("count",), 4)])[0]
    assert of_system.link is not None and of_system.link.gb_s == 20 and of_system.count == 4
    model = lookup.model("llama-3.1-8b", [Change("models", ("blocks", "block", "attention", "kv_heads"), 4)])[0]
    assert model.blocks["block"].attention.kv_heads == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("memory", "bandwith_gb_s"), 1, "--set hardware.memory.bandwith_gb_s: memory.bandwith_gb_s: unknown key; did you mean bandwidth_gb_s?"),
        (("memroy", "bandwidth_gb_s"), 1, "unknown field 'memroy'; did you mean memory?"),
        (("memory",), 1, "'memory' is a group; override one of its figures"),
        (("memory", "bandwidth_gb_s"), -1, "expected a number from"),
        (("memory", "bandwidth_gb_s"), "fast", "expected a number, got 'fast'"),
        (("peak_tflop_s", "fp9"), 1, "unknown; did you mean"),
        (("memory", "bandwidth_gb_s", "x"), 1, "unknown field 'memory.bandwidth_gb_s'"),
    ],
)
def test_changes_that_cannot_be(path: tuple[str, ...], value: object, complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=re.escape(complaint)):
        lookup.hardware("h100-sxm", [Change("hardware", path, value)])


def test_like_in_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    for one, other in itertools.permutations(("a-a", "b-b")):
        (tmp_path / "models" / f"{one}.yaml").write_text(f"name: {one}\nlike: {other}\n")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    with pytest.raises(RoofcalcError, match="a circle: a-a → b-b → a-a"):
        lookup.model("a-a")


def test_naming_one_parses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    load = yamlfile.load
    file_cache.clear()
    monkeypatch.setattr(yamlfile, "load", lambda path: parsed.append(path.stem) or load(path))
    lookup.model("llama-405b")
    lookup.hardware("8xh100")
    assert parsed == ["llama-3.1-405b", "h100-sxm"]


# Fields that nobody has yet seen at a source that opens: they may become fewer, never more.
UNVERIFIED = {"models": 53, "hardware": 194}


@pytest.mark.parametrize("kind", UNVERIFIED)
def test_unverified_fields_only_become_fewer(kind: lookup.Kind) -> None:
    entries = (yamlfile.load(path)[0] for path in lookup.entries(kind).values())
    assert sum(len(entry.get("unverified") or []) for entry in entries) <= UNVERIFIED[kind]
