"""`models import`, and a configuration in a model's place: output, names, files that are no configuration."""

import json
import os
from pathlib import Path

import pytest

from roofcalc.catalog import lookup
from tests.catalog.huggingface.fixtures import CONFIGS
from tests.process.test_process import imported
from tests.shell import refused, rows, run

QWEN = CONFIGS / "qwen3-8b.json"

PRINTED = """\
name: deepseek-v3
sources: []  # to be filled in: https addresses of the config.json and of other sources
context: 163840
vocab: 129280
hidden: 7168
dtype: {default: fp8-block128, embed: bf16, head: bf16, router: bf16, norm: bf16}
blocks:
  dense:
    attention: &attention {type: mla, heads: 128, q_rank: 1536, kv_rank: 512, nope_dim: 128, rope_dim: 64, v_dim: 128}
    mlp: {width: 18432}
  moe:
    attention: *attention
    mlp: {experts: 256, top_k: 8, width: 2048, shared: 2048, router_bias: true}
layers: 3*dense 58*moe
mtp: {layers: moe, heads: 1}
"""


def folder(at: Path, name: str = "qwen3-8b") -> Path:
    """A model's folder as it is downloaded."""
    at.mkdir(parents=True)
    (at / "config.json").write_text((CONFIGS / f"{name}.json").read_text())
    return at


def test_a_catalog_file_is_printed() -> None:
    result = run(f"models import {CONFIGS / 'deepseek-v3.json'}")
    assert (result.exit_code, result.stdout) == (0, PRINTED)
    assert result.stderr == "note: sources: give the addresses where the figures can be read\n"
    assert run(f"models import {CONFIGS / 'qwen3-vl-4b.json'}").stderr.startswith("note: Not counted: the vision tower.\nnote: sources")
    assert run(f"models import {CONFIGS / 'qwen3-vl-4b.json'} -q -o -").stderr == ""


def test_a_file_is_written_and_serves_as_a_model(tmp_path: Path) -> None:
    target = tmp_path / "my-model.yaml"
    assert run(f"models import {QWEN} -o {target}").exit_code == 0
    assert target.read_text().startswith("name: my-model\n") and os.listdir(tmp_path) == ["my-model.yaml"]
    line = "h100-sxm --seq 4k --columns max_batch,weights_gb"
    assert rows(f"max-batch {target} {line}") == rows(f"max-batch qwen3-8b {line}") == rows(f"max-batch {QWEN} {line}")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("Qwen3-8B", "qwen3-8b"),
        ("My_Model v2", "my-model-v2"),
        ("models--Qwen--Qwen3-8B/snapshots/0123456789abcdef0123456789abcdef01234567", "qwen3-8b"),
        ("0123456789abcdef0123456789abcdef01234567", "qwen3"),
    ],
)
def test_names_from_folders(tmp_path: Path, place: str, name: str) -> None:
    path = folder(tmp_path / place)
    for text in (path, path / "config.json"):
        assert run(f"models import '{text}'").stdout.splitlines()[0] == f"name: {name}"
    assert run(f"models import '{path}' --name other-1.5b").stdout.splitlines()[0] == "name: other-1.5b"


def test_a_name_inside_the_config_serves_where_the_folder_has_none(tmp_path: Path) -> None:
    path = folder(tmp_path / ("f" * 40))
    values = {**json.loads(QWEN.read_text()), "_name_or_path": "Qwen/Qwen3-8B/"}
    (path / "config.json").write_text(json.dumps(values))
    assert run(f"models import {path}").stdout.splitlines()[0] == "name: qwen3-8b"


def test_names_that_yaml_would_read_otherwise(tmp_path: Path) -> None:
    for name in ("null", "1e5", "3.5", "On"):
        target = tmp_path / f"{name}.yaml"
        assert run(f"models import {QWEN} -o {target}").exit_code == 0
        assert lookup.model(str(target))[0].name == name


def test_a_configuration_stands_in_a_models_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "Some-Model", "llama-3.1-8b")
    folder(tmp_path / "qwen3-8b", "llama-3.1-8b")
    monkeypatch.chdir(tmp_path)
    for text in ("Some-Model", "./Some-Model", "Some-Model/", "Some-Model/config.json", str(tmp_path / "Some-Model")):
        (row,) = rows(f"max-batch {text} h100-sxm --seq 4k")
        assert row["model"] == "some-model" and row["weights_gb"] == "16.060522496"
    assert rows("models show qwen3-8b")[0]["value"] == "Qwen3 8B"  # a catalog's name comes before a folder's
    assert {row["figure"]: row["value"] for row in rows("models show ./qwen3-8b")}["hidden size"] == "4096"
    (row,) = rows("max-batch ./Some-Model h100-sxm --seq 4k --set model.blocks.block.attention.kv_heads=4")
    assert float(row["kv_gb_per_seq"]) == 4000 * 32 * 2 * 4 * 128 * 2 / 1e9
    assert "did you mean kv_heads" in refused("max-batch ./Some-Model h100-sxm --set model.blocks.block.attention.kv_head=4")


def test_what_is_left_out_is_said() -> None:
    result = run(f"models show {CONFIGS / 'qwen3-vl-4b.json'} -f csv")
    assert result.exit_code == 0 and "note: qwen3-vl-4b: Not counted: the vision tower." in result.stderr


BAD = {
    "truncated": ('{"model_type": "llama", "hidden', ":1: not valid JSON: Unterminated string"),
    "empty": ("", ":1: not valid JSON: Expecting value"),
    "list": ("[1]", ": expected a JSON object of keys and values"),
    "twice": ('{"hidden_size": 1, "hidden_size": 2}', ": hidden_size: given more than once"),
    "deep": ("[" * 100_000, ": nested too deeply"),
    "digits": ('{"hidden_size": ' + "9" * 5000 + "}", ": Exceeds the limit"),
    "nan": ('{"model_type": "llama", "vocab_size": NaN}', ": vocab_size: expected a whole number from 1 to 1000000000, got nan"),
    "infinite": ('{"model_type": "llama", "vocab_size": Infinity}', ": vocab_size: expected a whole number from 1 to 1000000000, got inf"),
    "large": ('{"a": "' + "x" * 16_000_001 + '"}', ": larger than the limit of 16,000,000 bytes"),
    "yaml": ("name: x\nvocab: 1\n", ":1: not valid JSON"),
    "no-model": ('{"architectures": ["X"]}', ": model_type is missing: not a Hugging Face model configuration"),
    "odd-heads": (
        '{"model_type": "llama", "hidden_size": 64, "num_attention_heads": 5, "num_key_value_heads": 2, "head_dim": 8, "num_hidden_layers": 2,'
        ' "intermediate_size": 8, "vocab_size": 8, "max_position_embeddings": 8}',
        ": blocks.block.attention.kv_heads: 5 query heads do not divide into 2 groups",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_no_configuration(tmp_path: Path, name: str) -> None:
    text, complaint = BAD[name]
    path, target = tmp_path / "config.json", tmp_path / "out.yaml"
    path.write_text(text)
    for line in (f"models import {path} -o {target}", f"models show {path}", f"max-batch {path} h100-sxm"):
        said = refused(line)
        assert f"error: {path}{complaint}" in said and len(said.splitlines()) == 1
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_wrong_byte_and_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{}")
    assert "byte 0 is not UTF-8 text" in refused(f"models import {tmp_path}")
    (tmp_path / "config.json").unlink()
    assert f"error: {tmp_path}: contains no config.json" in refused(f"models import {tmp_path}")
    assert f"error: {tmp_path}: contains no config.json" in refused(f"max-batch {tmp_path} h100-sxm")
    assert "No such file" in refused(f"models import {tmp_path / 'other.json'}")
    os.symlink(tmp_path / "nowhere", tmp_path / "config.json")
    assert "contains no config.json" in refused(f"models import {tmp_path}")
    os.mkfifo(tmp_path / "pipe.json")
    assert "not a regular file" in refused(f"models import {tmp_path / 'pipe.json'}")


def test_a_yaml_file_needs_no_import(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("name: m\n")
    assert f"error: {path}: not JSON; a roofcalc YAML file needs no import: name it as the model" in refused(f"models import {path}")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("models import", "Missing argument 'PATH'"),
        (f"models import {QWEN} --name 'a b'", "name: expected a name of letters, digits and . _ + -"),
        (f"models import {QWEN} --name ''", "name: expected a name of letters"),
        (f"models import {QWEN} --name a -o b.yaml", "--name: 'a' must equal the file name 'b'"),
        (f"models import {QWEN} -o 'a b.yaml'", "name: expected a name of letters"),
        (f"models import {QWEN} -o ''", "--output: the file name is empty"),
        (f"models import {QWEN} -o /nonexistent/a.yaml", "cannot be written: No such file or directory"),
        (f"models import {QWEN} -o /tmp", "is a directory"),
        ("models import nowhere", "cannot be read: No such file"),
        ("max-batch nowhere/config.json h100-sxm", "nowhere/config.json: cannot be read: No such file"),
    ],
)
def test_wrong_use(line: str, complaint: str) -> None:
    said = refused(line)
    assert complaint in said and len(said.splitlines()) == 1


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.yaml"
    target.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "No space left" in refused(f"models import {QWEN} -o {target}")
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a.yaml"]


def test_a_catalog_name_imports_nothing_of_this() -> None:
    line = ("--seq", "1k", "-f", "csv", "-q")
    assert not {name for name in imported("max-batch", "llama-3.1-8b", "h100-sxm", *line) if name.startswith("roofcalc.huggingface")}
    assert "roofcalc.catalog.huggingface.importer" in imported("max-batch", str(QWEN), "h100-sxm", *line)
