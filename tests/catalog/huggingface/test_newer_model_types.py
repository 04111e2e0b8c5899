"""Newer types: configurations written by hand from published sizes, beside the published parameter counts."""

from typing import Any

import pytest

from roofcalc.catalog.huggingface.convert import convert
from roofcalc.errors import RoofcalcError
from roofcalc.specs.attention import GQA, MLA
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count
from tests.catalog.huggingface.newer_configs import (
    BUILT,
    CASES,
    ERNIE_VL,
    GEMMA_12B_TEXT,
    LAGUNA_S,
    LING_2_6_FLASH,
    LING_3_TINY,
    MLLAMA_TEXT,
    TRINITY_MINI,
    moe,
)
from tests.catalog.huggingface.test_more_model_types import read, sized


@pytest.mark.parametrize("name", CASES)
def test_published_totals(name: str) -> None:
    config, total = CASES[name]
    found = read(config)
    assert count(found).total + count(found).mtp + sum(found.excluded.values()) == total


@pytest.mark.parametrize("name", BUILT)
def test_totals_of_the_classes_themselves(name: str) -> None:
    config, total = BUILT[name]
    found = read(config)
    too_high = {"hy_v4": 12_255_300}.get(name, 0)  # its remark says so
    assert count(found).total == total + too_high
    assert f"{too_high:,} too high" in (found.notes or "") or not too_high


def order(model: Model) -> list[str]:
    """The block of each layer."""
    return [name for name, times in model.runs for _ in range(times)]


def test_deepseek_ocr_has_plain_attention() -> None:
    """The shapes of its checkpoint, added up: 12 layers of 4 × 1280², one FFN of 6848, 11 × (64 experts of 896, 2 shared, a router)."""
    sizes = sized(12, 1280, 10, 10, 6848, 129_280, 8192)
    latent = {"use_mla": False, "kv_lora_rank": None, "q_lora_rank": None, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0}
    inner = {"model_type": "deepseek_v2", **sizes, **moe(64, 6, 896, n_shared_experts=2, first_k_dense_replace=1, topk_method="greedy"), **latent}
    model = read({"model_type": "deepseek_vl_v2", **sizes, "language_config": inner, "projector_config": {}, "vision_config": {}})
    experts = 11 * (66 * 3 * 1280 * 896 + 64 * 1280)
    assert count(model).total == 2 * 129_280 * 1280 + 12 * (4 * 1280**2 + 2 * 1280) + 3 * 1280 * 6848 + experts + 1280
    with pytest.raises(RoofcalcError, match="v_head_dim without latent attention"):
        read({"model_type": "deepseek_vl_v2", "language_config": {**inner, "v_head_dim": 128}})


def test_windows_and_heads_by_layer() -> None:
    laguna = read(LAGUNA_S)
    full, local = (laguna.blocks[name].attention for name in ("full_moe", "local_moe"))
    assert isinstance(full, GQA) and isinstance(local, GQA)
    assert (full.heads, full.window, local.heads, local.window, local.head_gate) == (48, None, 72, 512, True)
    assert order(laguna) == ["full_dense", *["local_moe"] * 3, *["full_moe", *["local_moe"] * 3] * 11]
    assert order(read(TRINITY_MINI)) == [*["local_dense"] * 2, "local_moe", "full_moe", *[*["local_moe"] * 3, "full_moe"] * 7]
    assert order(read(CASES["ibm-granite/granite-swash-2b"][0])) == ["full", "local", "local", "local"] * 6


def test_latent_attention_ends_each_group_of_ling() -> None:
    assert order(read(LING_2_6_FLASH)) == ["lightning_dense", *["lightning_moe"] * 6, "mla_moe", *[*["lightning_moe"] * 7, "mla_moe"] * 3]
    tiny = read(LING_3_TINY)
    assert order(tiny) == ["kda_dense", "kda_moe", "kda_moe", "mla_moe", *["kda_moe", "kda_moe", "kda_moe", "mla_moe"] * 5]
    attention = tiny.blocks["mla_moe"].attention
    assert isinstance(attention, MLA) and attention.head_gate and attention.q_rank == 256
    assert order(read({**LING_3_TINY, "num_hidden_layers": 25}))[-2:] == ["mla_moe", "mla_moe"]  # a layer beyond the last group


def test_image_experts_of_ernie_take_memory_alone() -> None:
    model = read(ERNIE_VL)
    experts = model.blocks["moe"].mlp
    assert isinstance(experts, Experts) and (experts.experts, experts.width, experts.shared) == (64, 1536, 3072)
    assert model.excluded == {"vision_experts": 27 * 64 * (3 * 2560 * 512 + 2560 + 1)}


def test_layers_of_cross_attention_are_no_layers_of_text() -> None:
    model = read(CASES["meta-llama/Llama-3.2-11B-Vision"][0])
    assert model.depth == 32 and model.excluded == {"cross_attention": 1_744_930_832}  # 10,670,220,835 - 8,030,261,248 - 895,028,755
    with pytest.raises(RoofcalcError, match="cross_attention_layers"):
        read({"model_type": "mllama", "text_config": {**MLLAMA_TEXT, "cross_attention_layers": [40]}})


def test_gemma_4_as_transformers_saves_it() -> None:
    """Head size and KV heads of the full layers, by layer instead of under global_head_dim."""
    listed = read({"model_type": "gemma4", "text_config": {**GEMMA_12B_TEXT, "model_type": "gemma4_text"}})
    plain = {key: value for key, value in GEMMA_12B_TEXT.items() if key != "per_layer_config"}
    before = read(
        {"model_type": "gemma4", "text_config": {**plain, "model_type": "gemma4_text", "global_head_dim": 512, "num_global_key_value_heads": 1}}
    )
    assert (listed.blocks, listed.layers) == (before.blocks, before.layers)
    for wrong in ({"05": {"head_dim": 512}}, {f"{i:02}": {"head_dim": 512 + i} for i in range(5, 48, 6)}, {"all": {"head_dim": 512}}, {"05": 512}):
        with pytest.raises(RoofcalcError, match="per_layer_config"):
            read({"model_type": "gemma4", "text_config": {**GEMMA_12B_TEXT, "model_type": "gemma4_text", "per_layer_config": wrong}})


@pytest.mark.parametrize(("outside", "inside"), [(False, True), (True, False)])
def test_the_whole_model_ties_its_head(outside: bool, inside: bool) -> None:
    model = read({"model_type": "gemma4", "tie_word_embeddings": outside, "text_config": {**GEMMA_12B_TEXT, "tie_word_embeddings": inside}})
    assert model.tied is outside
    assert "tie_word_embeddings outside text_config applies; tie_word_embeddings inside differs." in (model.notes or "")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {"model_type": "glm5_next", "text_config": {"model_type": "glm5_next_text"}},
            "model_type 'glm5_next' is not supported: its indexer scores pooled blocks",
        ),
        ({"model_type": "qwen4_exp", "text_config": {}}, "hashed n-gram embeddings"),
        ({"model_type": "zaya"}, "convolves queries and keys"),
        ({"model_type": "mistral_large4"}, "queries of full rank"),
        ({"model_type": "laguna", **LAGUNA_S, "gating": "per-element"}, "a gate other than one per head"),
        ({"model_type": "solar_open", **CASES["upstage/Solar-Open-100B"][0], "first_k_dense_replace": 1}, "dense layers in this type"),
        ({**LING_2_6_FLASH, "use_qkv_bias": True}, "biases in this type"),
        ({**ERNIE_VL, "moe_num_experts": [64, 64, 64]}, "moe_num_experts: expected a value for text and one for images, got 3"),
    ],
)
def test_refusals_say_why(config: dict[str, Any], why: str) -> None:
    with pytest.raises(RoofcalcError, match=why):
        convert(config, "config.json", "m")
