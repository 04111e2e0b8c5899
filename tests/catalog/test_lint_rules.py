"""`hardware check` and `models check`: each planted fault is found where it stands, and what is right is left alone."""

import os
from pathlib import Path

import pytest

from roofcalc.catalog import lookup
from roofcalc.commands.catalog_lint import failed, lint_hardware, lint_models
from tests.shell import refused, run

EXAMPLES = Path(__file__).parent.parent / "examples"
SOURCES = "sources: [https://example.com/sheet]\n"


def saved(folder: Path, example: str, *changes: tuple[str, str], more: str = SOURCES) -> Path:
    """An example with sources and some of its text changed, each old text standing there."""
    text = (EXAMPLES / f"{example}.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / f"{example}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + more)
    return path


def found(path: Path, kind: str = "hardware") -> list[tuple[str, str, str, str]]:
    """What a check of one file finds: place within it, field, severity, problem."""
    table = lint_hardware([str(path)]) if kind == "hardware" else lint_models([str(path)])
    rows = [(row["file"], row["field"], row["severity"], row["problem"]) for row in table.rows()]
    assert failed(table) == any(row[2] == "error" for row in rows)
    return [(str(place).removeprefix(str(path)), str(field), str(severity), str(problem)) for place, field, severity, problem in rows]


@pytest.mark.parametrize("kind", ["hardware", "models"])
def test_the_catalogs_have_no_errors(kind: str) -> None:
    result = run(f"{kind} check -f csv --columns file,field,severity,problem")
    assert ",error," not in result.stdout and result.exit_code == 0, result.stdout
    assert f"{len(lookup.entries(kind))} files: 0 errors" in result.stderr  # type: ignore[arg-type]


HOPPER = ("power_w: 700", "power_w: 700\nfamily: Hopper")
SPARSE = ("tf32: 494.7, bf16: 989.4, fp16: 989.4, fp8: 1978.9, int8: 1978.9", "tf32: 989, bf16: 1979, fp16: 1979, fp8: 3958, int8: 3958")


def test_a_right_device_passes(tmp_path: Path) -> None:
    assert found(saved(tmp_path, "hardware/a-device", HOPPER)) == []
    assert found(saved(tmp_path, "hardware/a-mesh")) == found(saved(tmp_path, "hardware/a-torus")) == []


@pytest.mark.parametrize(
    ("changes", "line", "field", "words"),
    [
        # Peaks: sparse in one format, in one of a pair, in all
        ([("fp8: 1978.9", "fp8: 3957.8")], 7, "peak_tflop_s.fp8", "fp8 over bf16 is 4, expected 1 or 2"),
        ([("bf16: 989.4", "bf16: 1978.9")], 7, "peak_tflop_s.tf32", "tf32 over bf16 is 0.25"),
        ([("fp16: 989.4", "fp16: 1978.9")], 7, "peak_tflop_s.fp16", "fp16 over bf16 is 2, expected 1"),
        ([("fp8: 1978.9", "fp8: 1978.9, fp4: 9894.5")], 7, "peak_tflop_s.fp4", "fp4 over fp8 is 5"),
        ([HOPPER, SPARSE], 7, "peak_tflop_s.bf16", "bf16 over fp32 is 29.5, dense parts of the Hopper family reach 16"),
        # Thousandfold slips
        ([("bandwidth_gb_s: 3350", "bandwidth_gb_s: 3350000")], 5, "memory.bandwidth_gb_s", "ridge point in FLOP/byte is 0.2953, expected 2 to 1000"),
        ([("bandwidth_gb_s: 3350", "bandwidth_gb_s: 3.35")], 5, "memory.bandwidth_gb_s", "2.953e+05"),
        ([("bf16: 989.4", "bf16: 0.9894")], 5, "memory.bandwidth_gb_s", "bf16 0.9894"),
        ([("fp64: 67", "fp64: 67000")], 7, "peak_tflop_s.fp64", "fp64 over bf16"),
        ([("capacity_gb: 80", "capacity_gb: 80000"), (", visible_mib: 81559", "")], 5, "memory.capacity_gb", "23.88, expected 1e-06 to 10"),
        ([("cache_mb: 50", "cache_mb: 50000")], 6, "cache_mb", "cache size over memory size is 0.625"),
        ([("power_w: 700", "power_w: 0.7")], 11, "power_w", "TFLOP/s per W is 1413"),
        ([("scale_out_gb_s: 50", "scale_out_gb_s: 50000")], 10, "scale_out_gb_s", "8 Gbit/s = 1 GB/s"),
        ([("gb_s: 450", "gb_s: 450000"), ("NVLink 4", "other")], 9, "link.gb_s", "link over memory bandwidth is 134.3"),
        ([("gb_s: 450", "gb_s: 0.45")], 9, "link.gb_s", "is it in TB/s?"),
        # GB and GiB: 81559 MiB are 85.52e9 bytes or 79.65 GiB
        ([("binary: true, ", "")], 5, "memory.capacity_gb", "81559 MiB are 85.52 GB or 79.65 GiB, more than 80 GB: does capacity_gb count GiB"),
        ([("capacity_gb: 80", "capacity_gb: 85.9")], 5, "memory.binary", "not 80.32 to 85.9 GiB: is capacity_gb decimal"),
        ([("visible_mib: 81559", "visible_mib: 97887")], 5, "memory.visible_mib", "visible over nominal memory is 1.283, expected 0.99 to 1.08"),
        # Links that count both directions
        ([("gb_s: 450", "gb_s: 900")], 9, "link.gb_s", "900 GB/s, but NVLink 4 carries 450 in one direction: does it count both directions?"),
        ([("kind: NVLink 4, gb_s: 450", "kind: NVLink 3, gb_s: 600")], 9, "link.gb_s", "NVLink 3 carries 300"),
        ([("kind: NVLink 4, gb_s: 450", "kind: NVLink 5, gb_s: 1800")], 9, "link.gb_s", "NVLink 5 carries 900"),
        ([("kind: NVLink 4, gb_s: 450", "kind: PCIe 5, gb_s: 126")], 9, "link.gb_s", "PCIe 5 carries 63"),
        ([("kind: NVLink 4, gb_s: 450", "kind: PCIe Gen4 x16, gb_s: 64")], 9, "link.gb_s", "carries 31.5"),
        # The rest
        ([("clock: 1.08", "clock: 2.5")], 8, "best.clock", "expected 1 to 2"),
        (
            [("1.08, bandwidth_gb_s: 3350", "1.08, bandwidth_gb_s: 3000")],
            8,
            "best.bandwidth_gb_s",
            "highest published 3000 over the data sheet's 3350",
        ),
        (
            [("power_w: 700", "power_w: 700\nunverified: [memory.kind, cahe_mb]")],
            12,
            "unverified",
            "'cahe_mb' is not a field of this entry; did you mean cache_mb?",
        ),
        ([("name: a-device", "name: another")], 1, "name", "'another' must equal the file's name 'a-device'"),
        ([("aliases: [a]", "aliases: [one, other, One]")], 2, "aliases", "one is given twice"),
        ([("aliases: [a]", "aliases: [A_Device]")], 2, "aliases", "a-device is given twice"),
        ([("aliases: [a]", 'aliases: ["caf\\u00e9"]')], 2, "aliases", "the lookup reads them as caf\\u00e9"),
    ],
)
def test_planted_faults_of_a_device(tmp_path: Path, changes: list[tuple[str, str]], line: int, field: str, words: str) -> None:
    path = saved(tmp_path, "hardware/a-device", *changes)
    hits = [row for row in found(path) if row[:3] == (f":{line}", field, "error")]
    assert hits and words in hits[0][3], found(path)


def test_a_duplex_mesh(tmp_path: Path) -> None:
    for change in (("gb_s: 448", "gb_s: 896"), ("pair_gb_s: 64", "pair_gb_s: 128")):
        (row,) = found(saved(tmp_path, "hardware/a-mesh", change))
        assert row[1] == "link.pair_gb_s" and "does one count both directions?" in row[3]


def test_sources_that_are_missing(tmp_path: Path) -> None:
    assert [row[:3] for row in found(saved(tmp_path, "hardware/a-device", more=""))] == [("", "sources", "error")]
    assert found(saved(tmp_path, "hardware/a-device", more="unverified: [memory, peak_tflop_s, link.pair_gb_s]\n")) == []
    (row,) = found(saved(tmp_path, "hardware/a-device", more="sources: [the data sheet]\n"))
    assert row[1:3] == ("sources", "warning") and "'the data sheet' is not an https address" in row[3]


def test_what_is_unusual_says_why(tmp_path: Path) -> None:
    change = ("fp8: 1978.9", "fp8: 3957.8")
    assert found(saved(tmp_path, "hardware/a-device", change, more=SOURCES + "unusual: {peak_tflop_s.fp8: four units}\n")) == []
    (row,) = found(saved(tmp_path, "hardware/a-device", more=SOURCES + "unusual: {peak_tflop_s.fp8: four units}\n"))
    assert row[1:3] == ("unusual", "warning")
    excused = found(saved(tmp_path, "hardware/a-device", more="unusual: {sources: none needed}\n"))
    assert [row[1:3] for row in excused] == [("sources", "error"), ("unusual", "warning")]


def test_all_problems_of_a_file_at_once_each_with_its_line(tmp_path: Path) -> None:
    changes = [("vendor: Example\n", ""), ("kind: HBM3, ", "knd: HBM3, "), ("cache_mb: 50", "cache_mb: big"), ("fp64: 67", "fp65: 67")]
    rows = found(saved(tmp_path, "hardware/a-device", *changes))
    where = {row[1]: row[0] for row in rows}
    assert len(rows) == 4 and any("`vendor` is missing" in row[3] for row in rows)
    assert {"memory.knd": ":4", "peak_tflop_s.fp65": ":6", "cache_mb": ":5"}.items() <= where.items()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's catalog with one device in it."""
    saved(tmp_path, "hardware/a-device")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    return tmp_path


def test_a_right_system_passes(own: Path) -> None:
    assert found(saved(own, "hardware/a-system")) == []


@pytest.mark.parametrize(
    ("change", "field", "severity", "words"),
    [
        (("device: a-device", "device: a-devise"), "device", "error", "unknown hardware 'a-devise'; did you mean a-device"),
        (("gb_s: 900", "gb_s: 1800"), "link.gb_s", "error", "NVLink 5 carries 900"),
        (("count: 36", "count: 2592"), "hosts.count", "error", "CPU packages per device is 36, expected 0 to 2"),
        (("memory_gb: 17000", "memory_gb: 17"), "hosts.memory_gb", "error", "0.2361, expected 4 to 20000"),
        (("power_kw: 135", "power_kw: 135000"), "power_kw", "error", "135000 kW for 72 devices of 700 W"),
        (("scale_out_gb_s: 100", "scale_out_gb_s: 100000"), "scale_out_gb_s", "error", "8 Gbit/s = 1 GB/s"),
        (("domain: 72", "domain: 144"), "link", "warning", "connects 144 devices, but the system has 72"),
    ],
)
def test_planted_faults_of_a_system(own: Path, change: tuple[str, str], field: str, severity: str, words: str) -> None:
    (row,) = found(saved(own, "hardware/a-system", change))
    assert row[1:3] == (field, severity) and words in row[3]


def test_a_system_beside_its_device_outside_the_catalogs(tmp_path: Path) -> None:
    saved(tmp_path, "hardware/a-device")
    (row,) = found(saved(tmp_path, "hardware/a-system"))
    assert row[1] == "device" and "set ROOFCALC_PATH so that other files" in row[3]


PRINTED = "  source: https://example.com/card\n" + SOURCES
LLAMA = ("published: {params: 405853388800}", "published:\n  params: 405853388800")
ROUNDED = "published:\n  params: 406000000000\n  params_to: 1000000000"


# 2 layers of 4 · 64² + 2 · 64 · 256, patches of 3 · 14² · 64, a projector of 64 · 16384: 1,184,512
TOWER = "vision: {layers: 2, hidden: 64, heads: 2, width: 256, patch: 14, projector: [64, 16384], image: {rule: fixed, tokens: 9, side: 42}}\n"


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ([LLAMA], PRINTED),
        ([LLAMA], PRINTED + TOWER + "excluded: {vision: 1190000}\n"),
        ([LLAMA], f"  active: {405_853_388_800 - 128_256 * 16_384}\n" + PRINTED),  # without the input embedding
        ([(LLAMA[0], ROUNDED)], PRINTED),
        ([(LLAMA[0], "published:\n  params: 405853388810")], PRINTED + "known_difference: {cause: a buffer, params: {buffer: 10}}\n"),
    ],
)
def test_right_models_pass(tmp_path: Path, changes: list[tuple[str, str]], more: str) -> None:
    assert found(saved(tmp_path, "models/gqa-dense", *changes, more=more), "models") == []


@pytest.mark.parametrize(
    ("changes", "more", "field", "severity", "words"),
    [
        # 126 layers x 3 matrices x 16384 rows for one more column: 6,193,152
        ([LLAMA, ("width: 53248", "width: 53249")], PRINTED, "published.params", "error", "the fields give 405,859,581,952: -6,193,152"),
        ([LLAMA], "  active: 405853388800\n" + PRINTED, "published.active", "error", "+2,101,346,304"),
        ([(LLAMA[0], "published:\n  params: 406000000000")], PRINTED, "published.params", "error", "for a rounded figure give its unit as params_to"),
        ([(LLAMA[0], ROUNDED.replace("406", "405"))], PRINTED, "published.params", "error", "405,000,000,000, but the fields give 405,853,388,800"),
        ([(LLAMA[0], ROUNDED.replace("406000000000", "405853388800"))], PRINTED, "published.params_to", "warning", "is not a multiple of"),
        (
            [LLAMA],
            PRINTED + "known_difference: {cause: a buffer, params: {buffer: 10}}\n",
            "published.params",
            "error",
            "405,853,388,810: -10, including known_difference",
        ),
        (
            [LLAMA],
            PRINTED + "known_difference: {cause: a buffer, params: {buffer: 10, other: -10}}\n",
            "known_difference.params",
            "error",
            "the entries add up to 0",
        ),
        (
            [(LLAMA[0], "")],
            SOURCES + "known_difference: {cause: a buffer, params: {buffer: 10}}\n",
            "known_difference",
            "error",
            "no published `params` to compare with",
        ),
        ([LLAMA], SOURCES, "published", "error", "`source` is missing"),
        ([(LLAMA[0], "")], SOURCES, "published", "warning", "no `params` to compare the count from the fields with"),
        ([LLAMA], "  includes: [mtp]\n" + PRINTED, "published.includes", "error", "names mtp, but the model has no `mtp`"),
        ([LLAMA], "  includes: [towers]\n" + PRINTED, "published.includes", "error", "the model has no `excluded`"),
        ([LLAMA], PRINTED + TOWER, "vision", "warning", "has 1,184,512 parameters: give them under `excluded`"),
        ([LLAMA], PRINTED + TOWER + "excluded: {vision: 1184511}\n", "vision", "warning", "1,184,512 parameters, but excluded.vision is 1,184,511"),
        ([LLAMA], PRINTED + TOWER + "excluded: {vision: 1400000}\n", "vision", "warning", "but excluded.vision is 1,400,000"),
        ([LLAMA], PRINTED.replace(SOURCES, ""), "sources", "error", "missing: give the sources of the figures"),
        ([LLAMA, ("blocks:\n", "blocks:\n  spare: {}\n")], PRINTED, "blocks.spare", "error", "is not used by any layer"),
        ([LLAMA, ("head_dim: 128", "head_dim: 128, window: 131072")], PRINTED, "blocks.block.attention.window", "warning", "131,072 has no effect"),
    ],
)
def test_planted_faults_of_a_model(tmp_path: Path, changes: list[tuple[str, str]], more: str, field: str, severity: str, words: str) -> None:
    rows = found(saved(tmp_path, "models/gqa-dense", *changes, more=more), "models")
    hits = [row for row in rows if row[1:3] == (field, severity)]
    assert hits and words in hits[0][3], rows


def test_names_that_two_entries_have(own: Path) -> None:
    like = "like: a-device\naliases: [{}]\n"
    for name, alias in (("b-b", "shared"), ("c-c", "Shared"), ("d-d", "b_b"), ("e-e", "h100")):
        (own / "hardware" / f"{name}.yaml").write_text(f"name: {name}\n" + like.format(alias))
    (own / "hardware" / "more").mkdir()
    (own / "hardware" / "more" / "b-b.yaml").write_text("name: b-b\nlike: a-device\n")
    rows = {(Path(str(row["file"]).split(":")[0]).stem, row["severity"], row["problem"]) for row in lint_hardware([str(own)]).rows()}
    h100 = lookup.find("hardware", "h100-sxm").path
    folder = own / "hardware"
    assert rows == {
        ("b-b", "error", f"b-b is also the name of {folder / 'more' / 'b-b.yaml'}: only one of them can be used"),
        ("b-b", "error", f"b-b is also the name of {folder / 'b-b.yaml'}: only one of them can be used"),
        ("b-b", "error", f"shared is also an alias of {folder / 'c-c.yaml'}"),
        ("c-c", "error", f"shared is also an alias of {folder / 'b-b.yaml'}"),
        ("d-d", "error", f"b-b is the name of {folder / 'b-b.yaml'}, which has precedence"),
        ("d-d", "error", f"b-b is the name of {folder / 'more' / 'b-b.yaml'}, which has precedence"),
        ("e-e", "warning", f"h100 refers to e-e here instead of h100-sxm ({h100})"),
    }


def test_an_entry_may_stand_before_a_built_in_one_with_its_aliases(own: Path) -> None:
    path = own / "hardware" / "h100-sxm.yaml"
    path.write_text(lookup.find("hardware", "h100-sxm").path.read_text())
    assert found(path) == []


def test_files_directories_and_what_is_neither(tmp_path: Path) -> None:
    saved(tmp_path, "hardware/a-device")
    assert "1 file: 0 errors, 0 warnings" in run(f"hardware check {tmp_path}").stderr
    assert "2 files: " in run(f"hardware check {tmp_path} {EXAMPLES / 'hardware' / 'a-mesh.yaml'}").stderr
    assert "no such file or directory" in refused(f"hardware check {tmp_path / 'nope.yaml'}")
    (tmp_path / "empty").mkdir()
    assert "no YAML files of models in it" in refused(f"models check {tmp_path / 'empty'}")
    (row,) = found(tmp_path / "hardware" / "a-device.yaml", "models")
    assert row[1:3] == ("None", "error") and "use `roofcalc hardware check`" in row[3]
    (tmp_path / "broken.yaml").write_text("name: broken\nname: again\n")
    (row,) = found(tmp_path / "broken.yaml")
    assert row == (":1", "name", "error", "given more than once")
    (tmp_path / "torn.yaml").write_text("name: [torn\n")
    (row,) = found(tmp_path / "torn.yaml")
    assert row[0] == ":2" and "not valid YAML" in row[3]


def test_exit_codes_and_lines(tmp_path: Path) -> None:
    path = saved(tmp_path, "hardware/a-device", ("gb_s: 450", "gb_s: 900"))
    result = run(f"hardware check {path} -f csv")
    assert result.exit_code == 2 and f"{path}:9,link.gb_s,error," in result.stdout and "1 file: 1 error, 0 warnings" in result.stderr
    warned = run(f"hardware check {saved(tmp_path, 'hardware/a-mesh', more='sources: [a sheet]')} -f csv")
    assert warned.exit_code == 0 and ",warning," in warned.stdout


def test_user_catalogs_are_checked_with_the_built_in_ones(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(own, "hardware/a-device", ("gb_s: 450", "gb_s: 900"))
    monkeypatch.setenv("ROOFCALC_PATH", os.pathsep.join(["/nonexistent", str(own)]))
    result = run("hardware check -f csv")
    assert result.exit_code == 2 and f"{own / 'hardware' / 'a-device.yaml'}:9,link.gb_s" in result.stdout
    assert "ROOFCALC_PATH: /nonexistent is not a readable directory" in result.stderr
