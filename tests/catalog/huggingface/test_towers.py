"""Vision towers of configurations: those that the catalog has of the same models, which are held to the checkpoints' parameters."""

from typing import Any

import pytest

from roofcalc.catalog import lookup
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.convert import convert
from roofcalc.catalog.huggingface.towers import vision
from roofcalc.specs.schema import build
from roofcalc.specs.vision import Vision
from tests.catalog.huggingface.newer_configs import MLLAMA_TEXT
from tests.catalog.huggingface.test_more_model_types import QWEN2_7B

MERGED = {"spatial_merge_size": 2, "temporal_patch_size": 2}
SIGLIP = {"num_hidden_layers": 27, "hidden_size": 1152, "num_attention_heads": 16, "intermediate_size": 4304, "patch_size": 14}
PIXTRAL = {"model_type": "pixtral", "num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096}
CLIP = {"num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "patch_size": 14, "image_size": 336}
KIMI_K3 = {"patch_size": 14, "qkv_hidden_size": 1536, "merge_kernel_size": [2, 2], "mm_hidden_size": 1024}
# As published: vision_config, and what stands beside it.
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "qwen2-vl-7b",
        "qwen2_vl",
        {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "hidden_size": 3584, "patch_size": 14, **MERGED},
        {},
    ),
    (
        "qwen2.5-vl-72b",
        "qwen2_5_vl",
        {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3456,
            "num_heads": 16,
            "patch_size": 14,
            **MERGED,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "out_hidden_size": 8192,
        },
        {},
    ),
    (
        "qwen3-vl-4b",
        "qwen3_vl",
        {
            "depth": 24,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_heads": 16,
            "patch_size": 16,
            **MERGED,
            "deepstack_visual_indexes": [5, 11, 17],
        },
        {},
    ),
    (
        "glm-4.5v",
        "glm4v_moe",
        {"depth": 24, "hidden_size": 1536, "intermediate_size": 10944, "out_hidden_size": 4096, "num_heads": 12, "patch_size": 14, **MERGED},
        {},
    ),
    ("llava-1.6-mistral-7b", "llava_next", CLIP, {}),
    ("llava-onevision-7b", "llava_onevision", {**SIGLIP, "num_hidden_layers": 26, "image_size": 384}, {}),
    (
        "minimax-m3",
        "minimax_m3_vl",
        {"num_hidden_layers": 32, "hidden_size": 1280, "num_attention_heads": 16, "intermediate_size": 5120, "patch_size": 14, **MERGED},
        {"projector_hidden_size": 6144},
    ),
    (
        "kimi-k3",
        "kimi_k3",
        {"vt_num_hidden_layers": 27, "vt_hidden_size": 1024, "vt_num_attention_heads": 12, "vt_intermediate_size": 4096, **KIMI_K3},
        {},
    ),
    ("gemma-3-27b", "gemma3", {**SIGLIP, "image_size": 896}, {"mm_tokens_per_image": 256}),
    (
        "gemma-4-31b",
        "gemma4",
        {**SIGLIP, "patch_size": 16, "pooling_kernel_size": 3},
        {"vision_soft_tokens_per_image": 280},
    ),
    (
        "llama-4-scout",
        "llama4",
        {
            "num_hidden_layers": 34,
            "hidden_size": 1408,
            "num_attention_heads": 16,
            "intermediate_size": 5632,
            "patch_size": 14,
            "image_size": 336,
            "pixel_shuffle_ratio": 0.5,
            "projector_input_dim": 4096,
            "projector_output_dim": 4096,
        },
        {},
    ),
    (
        "llama-3.2-90b-vision",
        "mllama",
        {
            "num_hidden_layers": 32,
            "num_global_layers": 8,
            "hidden_size": 1280,
            "attention_heads": 16,
            "intermediate_size": 5120,
            "patch_size": 14,
            "image_size": 560,
            "max_num_tiles": 4,
            "vision_output_dim": 7680,
        },
        {},
    ),
    ("mistral-small-3.1-24b", "mistral3", {**PIXTRAL, "patch_size": 14, "image_size": 1540}, {"spatial_merge_size": 2}),
    ("pixtral-12b", "llava", {**PIXTRAL, "patch_size": 16, "image_size": 1024}, {}),
    ("llava-1.5-7b", "llava", {"model_type": "clip_vision_model", **CLIP}, {"vision_feature_layer": -2}),
    ("internvl3-14b", "internvl_chat", {**CLIP, "image_size": 448}, {"downsample_ratio": 0.5, "max_dynamic_patch": 12}),
    (
        "kimi-vl-a3b",
        "kimi_vl",
        {"num_hidden_layers": 27, "hidden_size": 1152, "num_attention_heads": 16, "intermediate_size": 4304, "patch_size": 14},
        {},
    ),
    (
        "kimi-k2.5",
        "kimi_k25",
        {"vt_num_hidden_layers": 27, "vt_hidden_size": 1152, "vt_num_attention_heads": 16, "vt_intermediate_size": 4304, "patch_size": 14},
        {},
    ),
]


INNER = {kind: inner for _, kind, inner, _ in CASES}


@pytest.mark.parametrize(("name", "kind", "inner", "beside"), CASES, ids=[case[0] for case in CASES])
def test_the_tower_is_the_one_in_the_catalog(name: str, kind: str, inner: dict[str, Any], beside: dict[str, Any]) -> None:
    model = lookup.model(name)[0]
    found = vision(Config({"vision_config": inner, **beside}, "config.json"), kind, model.hidden)
    assert found is not None and build(Vision, found, {}, "config.json") == model.vision


def test_an_import_has_the_tower_and_its_weights() -> None:
    values = convert({"model_type": "qwen2_5_vl", **QWEN2_7B, "vision_config": INNER["qwen2_5_vl"]}, "config.json", "m")
    assert values["excluded"] == {"vision": build(Vision, values["vision"], {}, "m").elements}
    assert values["notes"] == "The vision tower is counted by its matrices."
    both = convert({"model_type": "mllama", "text_config": MLLAMA_TEXT, "vision_config": INNER["mllama"]}, "config.json", "m")
    assert list(both["excluded"]) == ["vision", "cross_attention"]


@pytest.mark.parametrize("inner", [{}, {"depth": 32}, {**INNER["qwen2_5_vl"], "depth": "many"}])
def test_a_tower_that_cannot_be_read_is_not_counted(inner: dict[str, Any]) -> None:
    """The language model is imported all the same, and the remark says so."""
    values = convert({"model_type": "qwen2_5_vl", **QWEN2_7B, "vision_config": inner}, "config.json", "m")
    assert "vision" not in values and values["notes"] == "Not counted: the vision tower."
