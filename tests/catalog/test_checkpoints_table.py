"""The table of published checkpoints: sizes seen at a source, with the model, and which tensors are kept above the kind's bits."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs.parameter_count import count

TABLE = Path(__file__).parents[2] / "models" / "checkpoints.csv"
HEADER = ["repo_id", "file", "model", "format", "kind", "weights", "mtp", "notes", "published_bytes", "precision_bytes", "source"]
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
SIZED = [row for row in ROWS if row["published_bytes"]]
FORMATS = {"awq", "gguf", "gptq", "loaded", "mlx", "ollama", "safetensors"}

# Bits of a block of each kind: its values, scales and minimum; a mix is of several, so that a file lies between its lowest and its highest.
BITS = {
    ("gguf", "IQ1_S"): (1.56, 2.0),
    ("gguf", "IQ1_M"): (1.75, 2.7),
    ("gguf", "IQ2_XXS"): (2.06, 2.9),
    ("gguf", "IQ2_XS"): (2.31, 3.0),
    ("gguf", "IQ2_S"): (2.4, 2.7),
    ("gguf", "IQ2_M"): (2.56, 3.3),
    ("gguf", "Q2_K"): (2.56, 3.4),
    ("gguf", "IQ3_XXS"): (3.06, 3.4),
    ("gguf", "IQ3_XS"): (3.2, 3.6),
    ("gguf", "Q3_K_S"): (3.43, 3.75),
    ("gguf", "IQ3_M"): (3.44, 3.8),
    ("gguf", "Q3_K_M"): (3.7, 4.1),
    ("gguf", "Q3_K_L"): (4.0, 4.4),
    ("gguf", "IQ4_XS"): (4.25, 4.5),
    ("gguf", "IQ4_NL"): (4.5, 4.75),
    ("gguf", "Q4_0"): (4.5, 5.05),
    ("gguf", "Q4_K_S"): (4.5, 5.1),
    ("gguf", "Q4_K_M"): (4.8, 5.3),
    ("gguf", "Q4_1"): (5.0, 5.2),
    ("gguf", "Q5_0"): (5.5, 5.6),
    ("gguf", "Q5_K_S"): (5.5, 5.8),
    ("gguf", "Q5_K_M"): (5.6, 5.9),
    ("gguf", "Q6_K"): (6.56, 6.65),
    ("gguf", "Q8_0"): (8.5, 8.56),
    ("gguf", "BF16"): (16.0, 16.02),
    ("mlx", "3bit"): (3.5, 3.51),
    ("mlx", "4bit"): (4.5, 4.54),
    ("mlx", "5bit"): (5.5, 5.51),
    ("mlx", "6bit"): (6.5, 6.51),
    ("mlx", "8bit"): (8.5, 8.51),
    ("mlx", "mxfp4"): (4.25, 4.26),
    ("safetensors", "bf16"): (15.99, 16.01),
    ("safetensors", "fp8"): (8.0, 9.3),
    ("safetensors", "nvfp4"): (4.5, 6.6),
    ("awq", "int4"): (4.15, 5.7),
    ("gptq", "int4"): (4.05, 5.1),
    ("gptq", "int8"): (8.1, 8.3),
}


def which(row: dict[str, str]) -> str:
    return f"{row['repo_id']} {row['file']}".strip()


def bits(row: dict[str, str]) -> float:
    counted = count(lookup.model(row["model"])[0])
    return float(row["published_bytes"]) * 8 / (counted.total + counted.excluded)


def test_the_table_parses_and_names_no_file_twice() -> None:
    assert TABLE.read_text(encoding="utf-8").splitlines()[0].split(",") == HEADER
    assert not [name for name, times in Counter(map(which, ROWS)).items() if times > 1]
    assert {row["format"] for row in ROWS} == FORMATS
    for row in ROWS:
        assert None not in row.values() and row["repo_id"].count("/") == 1 and row["kind"] and row["weights"], row
        assert row["source"].startswith("https://"), row
        assert bool(row["published_bytes"]) == bool(row["precision_bytes"]), row


def test_every_model_is_an_entry_of_the_catalog_under_its_own_name() -> None:
    assert not {row["model"] for row in ROWS} - lookup.entries("models").keys()


def test_each_common_kind_has_two_sizes_or_more() -> None:
    kinds = Counter((row["format"], row["kind"]) for row in SIZED)
    assert len(SIZED) >= 290
    assert {kind for (form, kind), times in kinds.items() if form == "gguf" and times < 2} == {"F32", "Q5_1", "TQ1_0"}
    assert sum(row["format"] == "gptq" for row in SIZED) >= 15
    assert sum(row["format"] == "awq" for row in SIZED) >= 8


@pytest.mark.parametrize("kind", BITS, ids="-".join)
def test_a_files_bits_per_weight_are_its_kinds(kind: tuple[str, str]) -> None:
    """A second source for which model a file is: a wrong model, or a figure in GiB, would be out of its kind's range."""
    low, high = BITS[kind]
    found = {which(row): bits(row) for row in SIZED if (row["format"], row["kind"]) == kind}
    assert found and not {name: value for name, value in found.items() if not low <= value <= high}


@pytest.mark.parametrize("repository", sorted({row["repo_id"] for row in SIZED if row["format"] == "gguf"}))
def test_a_larger_kind_is_a_larger_file(repository: str) -> None:
    order = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "F32"]
    sizes = {row["kind"]: int(row["published_bytes"]) for row in SIZED if row["repo_id"] == repository}
    listed = [sizes[kind] for kind in order if kind in sizes]
    assert listed == sorted(listed)


def test_the_405b_checkpoint_keeps_attention_and_two_layers_in_16_bits() -> None:
    """126 layers; only the mlp of 124 of them is fp8, with a 32-bit scale for each row: 487.2 GB; eight devices held 57.75 GiB each."""
    mlp = 3 * 16_384 * 53_248  # hidden 16,384, width 53,248
    rows = 2 * 53_248 + 16_384  # gate and up have a row each of the width, down of the hidden size
    total = count(lookup.model("llama-3.1-405b")[0]).total
    assert 124 * rows == 15_237_120  # the scales that the published count has beside the parameters: 405,868,625,920 in all
    assert total + 124 * rows == 405_868_625_920
    size = 124 * mlp + 4 * 124 * rows + 2 * (total - 124 * mlp)
    assert size == 487_229_259_776
    (row,) = [row for row in ROWS if row["repo_id"] == "meta-llama/Llama-3.1-405B-Instruct-FP8"]
    assert 1 <= float(row["published_bytes"]) / size < 1.02  # what each device has beside its part
