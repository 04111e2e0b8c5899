"""A kind of attention added from outside, as docs/adding-a-layer.md describes: one record, one function, one registration.

The toy kind pairs its KV heads: two heads with a key each share one value vector. All expected figures are worked by hand
in the comments, from the sizes in `MODEL` and `DEVICE`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.commands.catalog_lint import lint_models
from roofcalc.physics.kv_span import Full
from roofcalc.physics.ops import registry
from roofcalc.physics.ops.types import Cache, FormulaUse, Part, Sharding
from roofcalc.specs.attention import ATTENTION_KINDS
from roofcalc.specs.attention_spec import AttentionSpec
from roofcalc.specs.formula import formula
from roofcalc.specs.parameter_count import count
from roofcalc.specs.record import replace
from roofcalc.specs.schema import Count
from roofcalc.specs.weights import Matrix, shard_size
from tests.shell import refused, run


class PairedValues(AttentionSpec):
    """KV heads in pairs: a key for each head, one value vector for both."""

    type: ClassVar[str] = "paired_values"
    tp_divides_cache: ClassVar[bool] = True
    kv_heads: Count
    head_dim: Count
    v_dim: Count

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.kv_heads % 2:
            yield "kv_heads", f"{self.kv_heads} heads do not form pairs"

    def entry_elements(self, tp: int = 1) -> int:
        return shard_size(self.kv_heads // 2, tp) * (2 * self.head_dim + self.v_dim)

    def kv_copies(self, tp: int) -> int:
        return max(1, tp // (self.kv_heads // 2))

    def symbols(self, tp: int) -> dict[str, float]:
        return {"n": self.heads // tp, "pairs": self.kv_heads // 2, "d_k": self.head_dim, "d_v": self.v_dim}

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        n = shard_size(self.heads, tp)
        return (
            Matrix("qkv", hidden, n * self.head_dim + self.entry_elements(tp), "attention"),
            Matrix("o", n * self.v_dim, hidden, "attention"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        return 0

    def warnings(self, context: int) -> Iterator[tuple[str, str]]:
        if self.v_dim > 2 * self.head_dim:
            yield "v_dim", f"one value of {self.v_dim} is larger than two of {self.head_dim}: sharing saves nothing"


@formula("pairs on a device = max(1, ceil(pairs/t))", "entry bytes = m_2·(2·d_k + d_v)·c", "FLOPs per entry = 2·n·(d_k + d_v)")
def paired_values(attention: PairedValues, hidden: int, sharding: Sharding) -> Part:
    """Work of paired KV heads on one device."""
    formulas = (
        FormulaUse(paired_values, "pairs on a device", "m_2", "pairs of KV heads"),
        FormulaUse(paired_values, "entry bytes", unit="B"),
        FormulaUse(paired_values, "FLOPs per entry", "f_entry"),
    )
    entry_bytes = attention.entry_elements(sharding.tp) * sharding.kv_bytes / sharding.dcp
    flops = 2.0 * (attention.heads // sharding.tp) * (attention.head_dim + attention.v_dim)
    cache = Cache("attention", Full(), entry_bytes, flops, formulas=formulas)
    return Part(attention.matrices(hidden, sharding.tp), attention.vectors(hidden, sharding.tp), (cache,))


MODEL = """
name: toy
sources: [https://example.com/toy]
vocab: 1000
hidden: 64
context: 4096
dtype: bf16
blocks:
  block:
    attention: {type: paired_values, heads: 8, kv_heads: 4, head_dim: 16, v_dim: 32}
    mlp: {width: 128}
layers: 2*block
published: {params: 243008, source: https://example.com/toy}
"""
DEVICE = """
name: toy-device
sources: [https://example.com/toy]
vendor: Example
memory: {kind: HBM3, capacity_gb: 1, bandwidth_gb_s: 100}
peak_tflop_s: {bf16: 2}
link: {kind: NVLink 4, gb_s: 100, domain: 8}
"""


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for kind, text in (("models/toy", MODEL), ("hardware/toy-device", DEVICE)):
        path = tmp_path / f"{kind}.yaml"
        path.parent.mkdir()
        path.write_text(text)
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    registry.register(PairedValues, paired_values)
    yield
    del ATTENTION_KINDS["paired_values"], registry.KINDS[PairedValues]


# Weights of a layer: qkv 64 x (8·16 + 2·(2·16 + 32)) = 64 x 256 = 16,384; o 8·32 x 64 = 16,384; up and gate 64 x 2·128 = 16,384;
# down 128 x 64 = 8,192; in all 57,344. Embedding and head 64,000 each; norms 2·64 a layer and 64 at the end.
LAYER, HEAD, NORMS = 57_344, 64_000, 2 * 2 * 64 + 64
ENTRY = 2 * (2 * 16 + 32) * 2  # bytes of a token in a layer: two pairs, 128 elements of 2 bytes
F = 2 * 8 * (16 + 32)  # FLOPs of a query token with an entry: eight heads score a key and add up a value
PEAK, BANDWIDTH = 2e12, 1e11


def test_parameters() -> None:
    counted = count(lookup.model("toy")[0])
    assert counted.total == 2 * LAYER + 2 * HEAD + NORMS == 243_008
    assert counted.active == 243_008 - 64_000  # all but the input embedding


def test_memory() -> None:
    # 243,008 weights of 2 bytes; 1,000 tokens of 256 bytes in 2 layers; (10^9 − 486,016)/512,000 = 1,952.2 sequences
    (row,) = rc.memory("toy", "toy-device", seq=1000, batch=1).rows()
    assert row["weights_gb"] == pytest.approx(486_016e-9) and row["kv_gb"] == pytest.approx(512_000e-9)
    assert rc.max_batch("toy", "toy-device", seq=1000, interactivity=1)["batch_memory"].tolist() == [1952]


def test_memory_of_more_ranks_than_pairs() -> None:
    # four ranks, two pairs: each rank holds one pair, 128 bytes a token and layer, and each pair is held twice
    table = rc.memory("toy", "4xtoy-device", seq=1000, batch=1, tp=4)
    assert table["kv_gb"].tolist() == pytest.approx([4 * 2 * 1000 * 128e-9])
    assert any("replicated over 4 tensor ranks: each entry is stored 2 times" in note for note in table.notes)
    striped = rc.memory("toy", "4xtoy-device", seq=1000, batch=1, tp=4, dcp=2)
    assert striped["kv_gb"].tolist() == pytest.approx([2 * 2 * 1000 * 128e-9])
    with pytest.raises(rc.RoofcalcError, match="stored 2 times; possible: 1, 2"):
        rc.memory("toy", "4xtoy-device", seq=1000, batch=1, tp=4, dcp=4)


def test_interactivity() -> None:
    # ten sequences of 1,000 tokens: weights and caches are read from memory longer than they are computed with
    read = (2 * LAYER + HEAD) * 2 + 10 * 2 * 1000 * ENTRY
    assert read == 357_376 + 5_120_000
    (row,) = rc.interactivity("toy", "toy-device", seq=1000, batch=10).rows()
    assert row["interactivity_tok_s"] == pytest.approx(1 / (read / BANDWIDTH)) and row["limited_by"] == "bandwidth"


def first_token_s() -> float:
    """100 tokens: layers at 2 FLOPs a weight and token, 100·101/2 pairs in each; the head reads its weights for one token."""
    layers = 2 * 100 * 2 * LAYER / PEAK
    attention = 2 * F * (100 * 101 / 2) / PEAK
    assert (layers, attention) == pytest.approx((11.4688e-6, 3.8784e-6))
    return layers + attention + HEAD * 2 / BANDWIDTH


def test_prefill() -> None:
    (row,) = rc.prefill("toy", "toy-device", seq=100).rows()
    assert row["ttft_ms"] == pytest.approx(first_token_s() * 1e3) and first_token_s() == pytest.approx(16.6272e-6)


def test_flops_without_a_device() -> None:
    (row,) = rc.flops("toy", seq=1000).rows()
    assert row["sdpa_gflop_per_token"] == pytest.approx(2 * F * 1000 / 1e9)


def test_a_kind_without_heads_has_times_in_the_typical_preset() -> None:
    slow, fast = (
        rc.interactivity("toy", "toy-device", seq=1000, batch=10, assume=preset)["interactivity_tok_s"] for preset in ("typical", "roofline")
    )
    assert 0 < slow[0] < fast[0]


@pytest.mark.parametrize(
    ("command", "given", "lines"),
    [
        (
            "memory",
            {"seq": 1000, "batch": 1},
            [
                "block.attention: m_2 = max(1, ceil(pairs/t)) = max(1, ceil(2/1)) = 2 pairs of KV heads",
                "block.attention: entry bytes = m_2·(2·d_k + d_v)·c = 2·(2·16 + 32)·2 = 256 B",
                "KV = 512000 B",
            ],
        ),
        (
            "interactivity",
            {"seq": 1000, "batch": 10},
            [
                "f_entry = 2·n·(d_k + d_v) = 2·8·(16 + 32) = 768",
                "FLOPs of one sequence = q·f_entry·reads = 1·768·1000 = 768000",
                "bytes of one sequence = entry·loaded = 256·1000 = 256000",
            ],
        ),
        (
            "prefill",
            {"seq": 100},
            [
                "entry bytes = m_2·(2·d_k + d_v)·c = 2·(2·16 + 32)·2 = 256 B",
                "FLOPs = B_r·f_entry·pairs = 1·768·5050 = 3878400",
                "TTFT = 1.66272e-5 s",
            ],
        ),
    ],
)
def test_explain(command: str, given: dict[str, int], lines: list[str]) -> None:
    text = [line.strip() for line in rc.explain(command, "toy", "toy-device", **given).text()]
    assert [line for line in lines if line not in text] == []


def test_explain_prints_figures_without_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(attention: PairedValues, hidden: int, sharding: Sharding) -> Part:
        made = paired_values(attention, hidden, sharding)
        (cache,) = made.caches
        return replace(made, caches=(replace(cache, formulas=()),))

    monkeypatch.setitem(registry.KINDS, PairedValues, bare)
    registry.parts.cache_clear()
    text = [line.strip() for line in rc.explain("interactivity", "toy", "toy-device", seq=1000, batch=10).text()]
    assert "entry bytes = 256 B" in text and "f_entry = 768" in text
    registry.parts.cache_clear()


def test_model_listing() -> None:
    (row,) = (row for row in json.loads(run("models list -f json").stdout)["rows"] if row["name"] == "toy")
    assert (row["kind"], row["params"], row["kv_bytes_per_token"]) == ("dense", 243_008, 2 * ENTRY)
    shown = run("models show toy").stdout
    assert "block (2): paired_values" in shown and "heads 8, kv_heads 4, head_dim 16, v_dim 32" in shown and "512" in shown


def test_lint(tmp_path: Path) -> None:
    path = tmp_path / "models" / "toy.yaml"
    assert list(lint_models([str(path)]).rows()) == []
    # values of 40 for keys of 16: 64 x (128 + 2·72) + 320 x 64 + 24,576 = 62,464 weights a layer
    path.write_text(MODEL.replace("v_dim: 32", "v_dim: 40").replace("243008", str(2 * 62_464 + 2 * HEAD + NORMS)))
    (row,) = lint_models([str(path)]).rows()
    assert (row["field"], row["severity"]) == ("blocks.block.attention.v_dim", "warning")
    assert row["problem"] == "one value of 40 is larger than two of 16: sharing saves nothing"
    path.write_text(MODEL.replace("kv_heads: 4", "kv_heads: 3"))
    (row,) = lint_models([str(path)]).rows()
    assert (row["severity"], row["problem"]) == ("error", "3 heads do not form pairs")


def test_registration_is_checked() -> None:
    class Half(AttentionSpec):
        type: ClassVar[str] = "half"

    with pytest.raises(TypeError, match="Half does not define tp_divides_cache, matrices, vectors, entry_elements, kv_copies, symbols"):
        registry.register(Half, paired_values)
    with pytest.raises(ValueError, match="named 'paired_values' already: PairedValues"):
        registry.register(PairedValues, paired_values)


def test_an_unregistered_kind_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "models" / "other.yaml"
    path.write_text(MODEL.replace("name: toy", "name: other").replace("paired_values", "unheard_of"))
    assert "unknown kind 'unheard_of'; known: gqa, mla, pooled, paired_values" in refused(f"models show {path}")


def test_every_kind_has_a_record_and_a_function() -> None:
    assert set(ATTENTION_KINDS.values()) <= set(registry.KINDS)
    assert all(name == record.type for name, record in ATTENTION_KINDS.items())
