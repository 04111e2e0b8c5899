"""`list` and `show` of both catalogs: filters, order, entries side by side, and files to copy."""

import os
import re
from pathlib import Path

import pytest
import yaml

from roofcalc.catalog import lookup, yamlfile
from roofcalc.catalog.alias_scan import aliases
from roofcalc.commands.catalog_list.hardware import cpu_share, hardware_list
from roofcalc.commands.catalog_list.models import models_list
from roofcalc.commands.catalog_list.source import yaml_lines
from roofcalc.specs.device import Hosts
from tests.benchmarks.many_files import fill
from tests.shell import refused, rows, run

EXAMPLES = Path(__file__).parent.parent / "examples"
KINDS: tuple[lookup.Kind, ...] = ("models", "hardware")


def names(line: str) -> list[str]:
    return [row["name"] for row in rows(line)]


def test_hardware_filters_leave_what_they_ask_for() -> None:
    every = {name: lookup.hardware(name)[0] for name in names("hardware list")}

    def left(options: str) -> set[str]:
        found = set(names(f"hardware list {options}"))
        assert 0 < len(found) < len(every)
        return found

    nvidia = {name for name, one in every.items() if "NVIDIA" in (one.device.vendor, one.system and one.system.vendor)}
    assert left("--vendor nvidia") == left("--vendor NVIDIA") == nvidia
    assert set(names("hardware list --vendor nvidia,amd")) == nvidia | left("--vendor amd")
    assert left("--kind system") == {name for name, one in every.items() if one.system} == set(names("hardware list --systems"))
    assert left("--kind device") == set(every) - left("--kind system")
    assert left("--dtype fp8") == {name for name, one in every.items() if "fp8" in one.device.peak_tflop_s}
    assert left("--dtype fp8,fp4") == left("--dtype fp8") & left("--dtype fp4")
    assert left("--family hopper") == {name for name, one in every.items() if one.device.family == "Hopper"}
    assert left("--min-memory-gb 200") == {name for name, one in every.items() if one.count * one.device.memory.capacity_gb >= 200}
    assert left("--vendor nvidia --kind device --dtype fp8 --min-memory-gb 80") == (
        nvidia & left("--kind device") & left("--dtype fp8") & left("--min-memory-gb 80")
    )


def test_model_filters_leave_what_they_ask_for() -> None:
    every = {name: lookup.model(name)[0] for name in names("models list")}
    kinds = {row["name"]: row["kind"] for row in rows("models list")}
    meta = {name for name, one in every.items() if one.publisher == "Meta"}
    assert 0 < len(meta) < len(every)
    assert set(names("models list --publisher meta")) == set(names("models list --vendor Meta")) == meta
    assert set(names("models list --family llama3.1")) == {name for name, one in every.items() if one.family == "llama3.1"}
    for kind in ("dense", "moe", "hybrid", "recurrent"):
        assert set(names(f"models list --kind {kind}")) == {name for name in every if kinds[name] == kind}


def test_kinds_of_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(EXAMPLES))
    kinds = {row["name"]: row["kind"] for row in rows("models list")}
    by_hand = {"gqa-dense": "dense", "latent-dense-beginning": "moe", "hybrid-mamba-moe": "hybrid", "mamba2": "recurrent"}
    assert by_hand.items() <= kinds.items()
    assert {"mamba2", "recurrent"} <= set(names("models list --kind recurrent"))


@pytest.mark.parametrize(
    ("command", "sort", "column"),
    [
        ("hardware", "bandwidth", "bandwidth_gb_s"),
        ("hardware", "bandwidth_gb_s", "bandwidth_gb_s"),
        ("hardware", "memory", "memory_gb"),
        ("hardware", "FP8", "fp8_tflop_s"),
        ("hardware", "link", "link_gb_s"),
        ("models", "params", "params"),
        ("models", "kv", "kv_bytes_per_token"),
    ],
)
def test_numbers_sort_from_the_largest_down(command: str, sort: str, column: str) -> None:
    found = rows(f"{command} list --sort {sort}")
    values = [float(row[column]) if row[column] else float("-inf") for row in found]
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    assert {row["name"] for row in found} == set(names(f"{command} list"))


def test_words_sort_from_a_to_z_and_7b_before_13b() -> None:
    vendors = [row["vendor"] for row in rows("hardware list --sort vendor")]
    assert vendors == sorted(vendors) and len(set(vendors)) > 1
    listed = names("models list --sort name")
    assert listed.index("llama-2-7b") < listed.index("llama-2-13b") < listed.index("llama-2-70b")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("hardware list --vendor nvidea", "--vendor: invalid choice 'nvidea' (choose from "),
        ("hardware list --vendor nvidea", "did you mean NVIDIA?"),
        ("hardware list --vendor ''", "--vendor: the value is empty"),
        ("hardware list --family hoper", "did you mean Hopper?"),
        ("hardware list --kind systems", "--kind: invalid choice 'systems' (choose from device, system); did you mean system?"),
        ("hardware list --dtype fp8,fp9", "--dtype: invalid choice 'fp9' (choose from "),
        ("hardware list --min-memory-gb lots", "--min-memory-gb: 'lots' is not a number"),
        ("hardware list --sort bandwith", "--sort: invalid choice 'bandwith' (choose from name, kind, vendor, year, devices, memory, bandwidth"),
        ("hardware list --sort bandwith", "did you mean bandwidth?"),
        ("hardware list --systems --kind device", "--systems: excludes --kind device; devices have no hosts"),
        ("models list --kind sparse", "--kind: invalid choice 'sparse' (choose from dense, hybrid, moe, recurrent)"),
        ("models list --publisher nobody", "--publisher: invalid choice 'nobody' (choose from "),
        ("models list --family nothing", "--family: invalid choice 'nothing' (choose from "),
        ("models list --sort size", "--sort: invalid choice 'size' (choose from name, publisher, kind, layers, params"),
        ("hardware show h100-sxm nope", "unknown hardware 'nope'"),
        ("models show", "Missing argument 'MODEL'"),
        ("models show qwen3-8b qwen3-4b --yaml", "yaml: one entry at a time, not qwen3-8b, qwen3-4b"),
        ("models show qwen3-8b --yaml -f csv", "--format: applies to tables"),
        ("models show qwen3-8b --yaml -o ''", "--output: the file name is empty"),
    ],
)
def test_what_cannot_be_asked(line: str, complaint: str) -> None:
    assert complaint in refused(line)


def test_nothing_that_fits_is_an_answer() -> None:
    result = run("hardware list --min-memory-gb 1e9 -f csv")
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 1 and "no catalog entry matches these filters" in result.stderr


def test_hosts_of_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(EXAMPLES))
    (row,) = [row for row in rows("hardware list --systems") if row["name"] == "a-system"]  # 36 CPUs and 17,000 GB for 72 devices
    assert (row["cpus"], row["cpus_per_device"], row["cpu_share"]) == ("36", "0.5", "1 CPU for 2 devices")
    assert float(row["host_memory_gb_per_device"]) == pytest.approx(236.11, abs=0.005) and row["memory_gb"] == "5760"
    figures = {row["figure"]: row["value"] for row in rows("hardware show a-system")}
    assert figures["CPU packages per device"] == "0.5" and figures["CPU packages per device, in words"] == "1 CPU for 2 devices"
    assert names("hardware list --systems --sort cpus_per_device --vendor example") == ["a-system"]


@pytest.mark.parametrize(
    ("cpus", "devices", "words"),
    [
        (2, 8, "1 CPU for 4 devices"),
        (36, 72, "1 CPU for 2 devices"),
        (32, 32, "1 CPU for 1 device"),
        (2, 1, "2 CPUs for 1 device"),
        (9, 16, "9 CPUs for 16 devices"),
        (0.5, 1, "1 CPU for 2 devices"),
        (0, 1, "no CPU of its own"),
    ],
)
def test_shares_in_words(cpus: float, devices: int, words: str) -> None:
    assert cpu_share(Hosts(cpus), devices) == words


def test_entries_side_by_side() -> None:
    found = rows("hardware show 8xh100-sxm mi300x")
    assert found == rows("hardware show 8xh100-sxm,mi300x") and list(found[0]) == ["figure", "unit", "8xh100-sxm", "mi300x"]
    figures = {row["figure"]: (row["8xh100-sxm"], row["mi300x"], row["unit"]) for row in found}
    assert len(figures) == len(found)
    assert figures["peak bf16, dense"] == ("989.4", "1307.4", "TFLOP/s")
    assert figures["memory of all, nominal"] == ("640", "", "GB")  # one MI300X is no more than itself
    assert figures["link of one pair"] == ("", "64", "GB/s")
    assert not any("https://" in value for row in found for value in row.values())
    order = [row["figure"] for row in found]
    assert order.index("link per direction") < order.index("link of one pair") < order.index("domain")


def test_models_side_by_side() -> None:
    found = {row["figure"]: row for row in rows("models show llama-3.1-8b qwen3-8b")}
    # one token's cache: 32 or 36 layers x 8 heads x 256 elements x 2 bytes
    assert (found["KV cache, 16-bit"]["llama-3.1-8b"], found["KV cache, 16-bit"]["qwen3-8b"]) == (str(32 * 8 * 256 * 2), str(36 * 8 * 256 * 2))
    assert found["pattern"]["llama-3.1-8b"] == "32*block" and "heads 32" in found["block: gqa"]["qwen3-8b"]
    for format in ("table", "csv", "json", "md"):
        assert run(f"models show llama-3.1-8b qwen3-8b -f {format}").exit_code == 0


def test_two_entries_of_one_name_stand_under_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "h100-sxm.yaml"
    path.write_text(lookup.find("hardware", "h100-sxm").path.read_text().replace("bandwidth_gb_s: 3350", "bandwidth_gb_s: 3000"))
    (row,) = [row for row in rows(f"hardware show h100-sxm {path}") if row["figure"] == "memory bandwidth per device"]
    assert (row["h100-sxm"], row[str(path)]) == ("3350", "3000")


def copies(kind: lookup.Kind) -> list[Path]:
    return [*lookup.entries(kind).values(), *sorted((EXAMPLES / kind).glob("*.yaml"))]


@pytest.mark.parametrize("kind", KINDS)
def test_a_printed_file_loads_to_the_same_entry(kind: lookup.Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(EXAMPLES))  # where the example of a system finds its device
    load = lookup.model if kind == "models" else lookup.hardware
    for path in copies(kind):
        target = tmp_path / path.name
        target.write_text("\n".join(yaml_lines(kind, str(path))) + "\n")
        assert load(str(target))[0] == load(str(path))[0]
        assert not re.search(r"^like:", target.read_text(), re.MULTILINE)
    assert run(f"{kind} show {path} --yaml -o {target}").exit_code == 0 and load(str(target))[0] == load(str(path))[0]


def test_a_printed_file_of_an_entry_that_is_like_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "mine.yaml"
    path.write_text("name: mine\nlike: compressed\naliases: [a b, '7']\ncontext: 8192\nnotes: \"two: 'lines'\\nand # more\"\n")
    monkeypatch.setenv("ROOFCALC_PATH", os.pathsep.join([str(EXAMPLES), str(tmp_path)]))
    before = lookup.model("mine")[0]
    printed = run("models show mine --yaml").stdout
    assert printed.startswith("# ") and "&" not in printed and "models/NAME.yaml" in printed
    path.write_text(printed)
    assert lookup.model("mine")[0] == before and aliases(path) == ["a b", "7"]


def test_naming_by_alias_among_many_files_reads_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 250)
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    parsed, whole = [], []
    load, read_text = yamlfile.load, yamlfile.read_text
    monkeypatch.setattr(yamlfile, "load", lambda path: parsed.append(path.stem) or load(path))
    monkeypatch.setattr(yamlfile, "read_text", lambda path: whole.append(path.stem) or read_text(path))
    assert lookup.model("Some-Publisher/models-99-instruct")[0].name == "models-99"
    assert lookup.hardware("1xhardware-alias-7")[0].device.name == "hardware-7"
    assert parsed == whole == ["models-99", "hardware-7"]


def test_aliases_anywhere_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    comment = "# " + "x" * 78 + "\n"
    for lines in (0, 40, 51, 52, 100):  # the list before, across and after the 4,096th byte
        for written in (
            "aliases: [one, 'two b', \"3\"]\n",
            "aliases: [one, two b,\n  '3']  # all\n",
            "aliases:\n  - one  # first\n  # between\n  - two b\n\n  - '3'\n",
            "aliases:\n- one\n- two b\n- '3'\n",
        ):
            path.write_text("name: a\n" + comment * lines + written + "vendor: x\n" + comment * 60)
            assert yaml.safe_load(path.read_text())["aliases"] == aliases(path) == ["one", "two b", "3"]
    path.write_text("name: a\n" + comment * 100)
    assert aliases(path) == []


def test_lists_are_functions_too() -> None:
    assert set(hardware_list(kind="system", min_memory_gb=1000)["name"]) == set(names("hardware list --kind system --min-memory-gb 1000"))
    assert list(models_list(sort="params")["name"]) == names("models list --sort params")


def test_a_configuration_is_no_catalog_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}", encoding="utf-8")
    for line in (f"models show {path} --yaml", f"models check {path}"):
        assert f"`roofcalc models import {path}` converts it to one" in refused(line)
