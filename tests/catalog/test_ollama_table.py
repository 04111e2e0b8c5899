"""The table of Ollama's tags: what each tag runs, and that its file is as large as that model's weights in that precision."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs.parameter_count import count
from tests.each import each

TABLE = Path(__file__).parents[2] / "models" / "ollama.csv"
HEADER = ["tag_name", "size", "model", "default", "default_quantisation", "file_gb", "source"]
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
# Bits per weight of a whole file: the kind's own blocks, its higher-precision tensors, and 16-bit towers beside it.
BITS = {"q4_0": (4.4, 5.0), "q4_k_m": (4.6, 5.4), "q8_0": (8.3, 9.0), "fp16": (15.8, 16.5), "bf16": (15.8, 16.5), "mxfp4": (4.2, 5.6)}


def tag(row: dict[str, str]) -> str:
    return f"{row['tag_name']}:{row['size']}"


def test_the_table_parses_and_names_no_tag_twice() -> None:
    assert TABLE.read_text(encoding="utf-8").splitlines()[0].split(",") == HEADER
    assert not [row for row in ROWS if None in row or not all(row.values())]
    assert not [name for name, times in Counter(map(tag, ROWS)).items() if times > 1]
    assert {row["default"] for row in ROWS} == {"true", "false"}
    assert {row["default_quantisation"] for row in ROWS} <= BITS.keys()
    assert all(row["source"].startswith("https://") for row in ROWS)


def test_every_model_is_an_entry_of_the_catalog_under_its_own_name() -> None:
    entries = lookup.entries("models")
    assert not {row["model"] for row in ROWS} - entries.keys()


def test_each_family_has_one_default() -> None:
    defaults = Counter(row["tag_name"] for row in ROWS if row["default"] == "true")
    assert defaults == dict.fromkeys((row["tag_name"] for row in ROWS), 1)
    assert len(defaults) >= 60


@pytest.mark.parametrize(
    ("name", "model", "quantisation"),
    [
        ("deepseek-r1:70b", "deepseek-r1-distill-llama-70b", "q4_k_m"),  # the distilled Llama, not the 671B model
        ("deepseek-r1:8b", "deepseek-r1-0528-qwen3-8b", "q4_k_m"),  # since 0528; before, the distilled Llama 8B
        ("deepseek-r1:671b", "deepseek-r1", "q4_k_m"),
        ("qwen3:30b-a3b", "qwen3-30b-a3b-2507", "q4_k_m"),
        ("gemma3:27b", "gemma-3-27b", "q4_k_m"),
        ("gemma3:270m", "gemma-3-270m", "q8_0"),
        ("mixtral:8x22b", "mixtral-8x22b-instruct", "q4_0"),
        ("gpt-oss:20b", "gpt-oss-20b", "mxfp4"),
        ("phi4:14b", "phi-4", "q4_k_m"),
        ("qwq:32b", "qwq-32b", "q4_k_m"),
    ],
)
def test_a_tag_is_the_model_that_ollama_runs(name: str, model: str, quantisation: str) -> None:
    (row,) = [row for row in ROWS if tag(row) == name]
    assert (row["model"], row["default_quantisation"]) == (model, quantisation)


@pytest.mark.parametrize(
    ("family", "size"),
    [("llama3.1", "8b"), ("llama3.2", "3b"), ("llama3.3", "70b"), ("mistral", "7b"), ("deepseek-r1", "8b"), ("gpt-oss", "20b"), ("qwen3", "8b")],
)
def test_no_size_means_the_default(family: str, size: str) -> None:
    assert [row["size"] for row in ROWS if row["tag_name"] == family and row["default"] == "true"] == [size]


# Files with more than the language model's matrices at the tag's kind, by family, and what they hold besides.
LARGER = {
    "llama3.2-vision": "the tower in 16 bits",
    "minicpm-v": "the tower in 16 bits",
    "ministral-3": "the tower in 16 bits",
    "qwen2.5vl": "the tower in 16 bits",
    "qwen3.5": "the tower in 16 bits and the linear attention's projections in 8",
    "qwen3.6": "the tower in 16 bits and the linear attention's projections in 8",
    "gemma3": "the tower in 16 bits",
    "gemma3n": "the per-layer tables in 16 bits",
    "gemma4": "the per-layer tables and the towers in 16 bits",
    "nemotron-3-nano": "matrices whose rows no K block divides, in the next kind up",
}
SMALL = 3.5e9  # below it the tables, in a higher precision or twice, are a large part of the file


@each([row for row in ROWS if row["tag_name"] not in LARGER])
def test_the_file_is_as_large_as_the_models_weights(row: dict[str, str]) -> None:
    """A second source for which model a tag is: its listed size in that precision, within what a kind's mix allows."""
    counted = count(lookup.model(row["model"])[0])
    weights = counted.total + counted.excluded
    low, high = BITS[row["default_quantisation"]]
    assert low <= float(row["file_gb"]) * 8e9 / weights <= high + (2 if weights < SMALL else 0)


@each([row for row in ROWS if row["tag_name"] in LARGER])
def test_a_file_with_16_bit_parts_is_between_its_kind_and_16_bits(row: dict[str, str]) -> None:
    counted = count(lookup.model(row["model"])[0])
    assert BITS[row["default_quantisation"]][0] <= float(row["file_gb"]) * 8e9 / (counted.total + counted.excluded) <= 12
