"""Catalog files are parsed once while they stay unchanged, and changes of files and folders are seen at once."""

import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import file_cache, listing, lookup, prices, yamlfile
from roofcalc.catalog.overrides import Change
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Device
from roofcalc.specs.model import Model
from roofcalc.specs.schema import try_build
from tests.tiers import share


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is read from now on, nothing being cached yet."""
    counted: Counter[str] = Counter()
    read_text = yamlfile.read_text
    monkeypatch.setattr(yamlfile, "read_text", lambda path, *given: counted.update([Path(path).name]) or read_text(path, *given))
    file_cache.clear()
    return counted


def device(folder: Path, name: str, bandwidth: float = 1000) -> Path:
    """Writes a device."""
    path = folder / "hardware" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"name: {name}\nlike: h100-sxm\nmemory: {{capacity_gb: 80, bandwidth_gb_s: {bandwidth}}}\n")
    return path


def bandwidth(name: str) -> float:
    return lookup.hardware(name)[0].device.memory.bandwidth_gb_s


def test_a_file_added_to_the_path_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device(tmp_path, "first")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    assert bandwidth("first") == 1000
    with pytest.raises(RoofcalcError, match="unknown hardware 'second'"):
        lookup.hardware("second")
    device(tmp_path, "second", 2000)
    device(tmp_path / "hardware" / "deeper", "third", 3000)
    assert (bandwidth("second"), bandwidth("third")) == (2000, 3000)
    (tmp_path / "hardware" / "first.yaml").rename(tmp_path / "hardware" / "renamed.yaml")
    with pytest.raises(RoofcalcError, match="unknown hardware 'first'"):
        lookup.hardware("first")


def test_a_folder_that_changes_long_after_its_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Listings are only kept of folders that have been left alone for a while: as if that while were over.
    monkeypatch.setattr(listing, "SETTLED_NS", -(10**18))
    device(tmp_path, "first")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    scans: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(str(path)) or scandir(path))
    assert bandwidth("first") == 1000 and str(tmp_path / "hardware") in scans
    scans.clear()
    assert bandwidth("first") == 1000 and not scans
    folder = tmp_path / "hardware" / "deeper"
    folder.mkdir()
    assert bandwidth("first") == 1000
    device(tmp_path, "deeper/second", 2000).write_text("name: second\nlike: first\n")
    assert bandwidth("second") == 1000


def test_a_relative_path_follows_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, value in (("a", 1000), ("b", 2000)):
        device(tmp_path / folder / "own", "mine", value)
    device(tmp_path / "b" / "own", "other")
    monkeypatch.setenv("ROOFCALC_PATH", "own")
    monkeypatch.chdir(tmp_path / "a")
    assert bandwidth("mine") == 1000 and "other" not in lookup.entries("hardware")
    monkeypatch.chdir(tmp_path / "b")
    assert bandwidth("mine") == 2000 and "other" in lookup.entries("hardware")


def test_an_edited_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    for value in (1000, 2000, 3000):  # of one size, written within one tick of a coarse clock
        device(tmp_path, "mine", value)
        assert bandwidth("mine") == value
    (tmp_path / "hardware" / "yours.yaml").write_text("name: yours\nlike: mine\n")
    assert bandwidth("yours") == 3000
    device(tmp_path, "mine", 4000)
    assert bandwidth("yours") == 4000


def test_an_edited_alias_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = device(tmp_path, "mine")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    path.write_text(path.read_text() + "aliases: [ours]\n")
    assert bandwidth("ours") == 1000
    path.write_text(path.read_text().replace("ours", "their"))
    assert bandwidth("their") == 1000
    with pytest.raises(RoofcalcError, match="unknown hardware 'ours'"):
        lookup.hardware("ours")


@pytest.mark.parametrize("name", ["llama-3.1-405b", "llama-405b", "deepseek-r1"])  # by its name, by an alias, with `like:`
def test_a_sweep_reads_each_file_once(reads: Counter[str], name: str) -> None:
    values = "hardware.memory.bandwidth_gb_s=1000:5000:100"
    table = rc.max_batch(name, "8xh200", seq=8000, interactivity=20, changes=[values])
    assert len(table) == 41 and len(set(table["max_batch"].tolist())) > 5
    expected = {"llama-3.1-405b.yaml", "h200-sxm.yaml"} if "llama" in name else {"deepseek-r1.yaml", "deepseek-v3.yaml", "h200-sxm.yaml"}
    assert reads == dict.fromkeys(expected, 1)


def test_prices_are_read_once(reads: Counter[str]) -> None:
    table = rc.cost("llama-3.1-8b", "h100-sxm", query="1000:100", changes=["hardware.memory.bandwidth_gb_s=1000:3000:100"])
    assert len(table) == 21 and np.isfinite(table["usd_per_query"]).all()
    assert reads == {"llama-3.1-8b.yaml": 1, "h100-sxm.yaml": 1, "prices.csv": 1}


def test_an_edited_price_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device(tmp_path, "mine")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    for usd in (1, 2):
        (tmp_path / "hardware" / "prices.csv").write_text(f"{','.join(prices.HEADER)}\nA,mine,{usd},on_demand,2026-01,x,\n")
        found = prices.price("mine")
        assert found is not None and found.usd_per_device_hour == usd


def test_a_configuration_is_converted_once(tmp_path: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    path.write_text((Path(__file__).parent / "huggingface" / "configs" / "llama-3.1-8b.json").read_text())
    monkeypatch.setattr(file_cache, "SETTLED_NS", -(10**18))  # as if the file had been there for a while
    vocabs = [lookup.model(str(path), [Change("models", ("vocab",), size)])[0].vocab for size in (1000, 2000, 3000)]
    assert vocabs == [1000, 2000, 3000] and reads["config.json"] == 1
    path.with_name("hf_quant_config.json").write_text('{"quantization": {"quant_algo": "FP8"}}')
    assert lookup.model(str(path))[0].dtypes.attention == "fp8" or lookup.model(str(path))[0].dtypes.default == "fp8"


def changes_of(values: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every number, text or flag that an override may set."""
    if isinstance(values, dict):
        return [found for key, item in values.items() for found in changes_of(item, (*path, key))]
    return [] if isinstance(values, list) or path == ("name",) else [path]


@pytest.mark.parametrize("kind", ["models", "hardware"])
def test_an_override_gives_what_the_whole_file_would(kind: lookup.Kind) -> None:
    """Rebuilding only the parts that a change touches, against building everything from the changed values."""
    names = ["llama-3.1-8b", "deepseek-v3.2", "gemma-3n-e4b", "falcon-h1-7b", "deepseek-v4-pro"] if kind == "models" else ["h100-sxm", "tpu-v5p"]
    for name in names:
        found = lookup.find(kind, name)
        values, lines = lookup.raw(kind, found)
        record: type[Model | Device] = Model if kind == "models" else Device
        base, problems = try_build(record, values, lines, "file")
        assert not problems
        for path, value in share(itertools.product(changes_of(values), (3, -1, True, "fp8")), 2, name):
            changed = yamlfile.load(found.path)[0] if "like" not in values else values
            inner = changed
            for key in path[:-1]:
                inner[key] = dict(inner[key])
                inner = inner[key]
            inner[path[-1]] = value
            whole, complaints = try_build(record, changed, lines, "file")
            parts, same = try_build(record, changed, lines, "file", base, [path])
            assert complaints == same and (complaints or whole == parts), (name, path, value)
