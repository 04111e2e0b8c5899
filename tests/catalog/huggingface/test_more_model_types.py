"""Types that share the layers of another: small configurations, written by hand, beside the published parameter counts."""

from typing import Any

import pytest

from roofcalc.catalog.huggingface.convert import convert
from roofcalc.errors import RoofcalcError
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count
from roofcalc.specs.schema import build


def sized(layers: int, hidden: int, heads: int, kv: int, width: int, vocab: int, context: int = 32768, **more: Any) -> dict[str, Any]:
    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv, "intermediate_size": width}
    return {**sizes, "vocab_size": vocab, "max_position_embeddings": context, "torch_dtype": "bfloat16", **more}


def read(config: dict[str, Any]) -> Model:
    return build(Model, convert(config, "config.json", "m"), {}, "m")


QWEN2_7B = sized(28, 3584, 28, 4, 18944, 152_064, tie_word_embeddings=False)
MISTRAL = sized(32, 4096, 32, 8, 14336, 32_064, model_type="mistral", sliding_window=None)
VISION = {"vision_config": {"depth": 32}, "vision_start_token_id": 1, "image_token_id": 2}

# Published totals without their encoders (huggingface.co, the safetensors index of each); 8,291,375,616 of Qwen2-VL 7B includes 675,759,104.
CASES: list[tuple[dict[str, Any], int]] = [
    ({"model_type": "qwen2_vl", **QWEN2_7B, **VISION}, 8_291_375_616 - 675_759_104),  # as first published: sizes at the top
    ({"model_type": "qwen2_vl", "text_config": {"model_type": "qwen2_vl_text", **QWEN2_7B}, **VISION}, 8_291_375_616 - 675_759_104),
    ({"model_type": "qwen2_5_vl", **QWEN2_7B, **VISION}, 8_292_166_656 - 676_550_144),
    ({"model_type": "phi", **sized(32, 2560, 32, 32, 10240, 51_200, 2048), "qk_layernorm": False}, 2_779_683_840),
    ({"model_type": "arcee", **sized(36, 2560, 20, 4, 18432, 128_004, 65536), "head_dim": 128}, 4_619_184_640),
    (
        {"model_type": "seed_oss", **sized(64, 5120, 80, 8, 27648, 155_136), "head_dim": 128, "attention_bias": True, "attention_out_bias": False},
        36_151_104_512,
    ),
    ({"model_type": "internlm3", **sized(48, 4096, 32, 2, 10240, 128_512), "bias": False, "qkv_bias": False, "head_dim": 128}, 8_804_241_408),
    (
        {
            "model_type": "dots1",
            **sized(62, 4096, 32, 32, 10944, 152_064),
            "first_k_dense_replace": 1,
            "n_routed_experts": 128,
            "n_shared_experts": 2,
            "num_experts_per_tok": 6,
            "moe_intermediate_size": 1408,
            "n_group": 1,
            "topk_group": 1,
            "attention_bias": False,
            "sliding_window": None,
        },
        142_774_381_696,
    ),
    ({"model_type": "llava_next", "text_config": MISTRAL, "vision_config": {}, "image_grid_pinpoints": [[336, 672]]}, 7_566_747_648 - 324_491_264),
    (
        {"model_type": "internvl_chat", "llm_config": {"model_type": "qwen2", **QWEN2_7B, "vocab_size": 151_674}, "select_layer": -1},
        7_944_373_760 - 331_552_768,
    ),
]


@pytest.mark.parametrize(("config", "total"), CASES, ids=lambda value: value["model_type"] if isinstance(value, dict) else str(value))
def test_a_type_of_another_s_layers(config: dict[str, Any], total: int) -> None:
    assert count(read(config)).total == total


def test_a_flat_file_without_sizes_is_still_refused() -> None:
    with pytest.raises(RoofcalcError, match="model_type 'qwen2_vl' needs a text_config"):
        read({"model_type": "qwen2_vl", "vision_config": {}})


def test_step_3_7_flash_with_its_sizes_at_the_top() -> None:
    types = (["full_attention"] + ["sliding_attention"] * 3) * 11 + ["full_attention"]
    config = {
        "model_type": "step3p7",
        **sized(45, 4096, 64, 8, 11264, 128_896, 65536),
        "head_dim": 128,
        "sliding_window": 512,
        "layer_types": types,
        "first_k_dense_replace": 3,
        "num_experts": 288,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 1280,
        "share_expert_dim": 1280,
        "n_shared_experts": 1,
        "num_nextn_predict_layers": 3,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    }
    found = read(config)
    experts = found.blocks["local_moe"].mlp
    assert (found.depth, getattr(experts, "experts", None), found.dtypes.default) == (45, 288, "fp8-block128")
    assert "the released models have more" in str(found.notes)


@pytest.mark.parametrize(
    ("rope", "context"),
    [
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131_072),  # as Qwen's cards say to set it
        ({"rope_type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}, 163_840),  # DeepSeek-V3
        ({"rope_type": "yarn", "factor": 2.0}, 65_536),  # of the context given
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}, 32_768),  # the context given is the extended one
        ({"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}, 32_768),
        ({"rope_type": "linear", "factor": 8.0}, 32_768),  # Gemma 3: says its own context
        ({"rope_type": "default"}, 32_768),
    ],
)
def test_rope_scaling_gives_the_context_that_engines_derive(rope: dict[str, Any], context: int) -> None:
    for name in ("rope_scaling", "rope_parameters"):
        assert read({"model_type": "qwen2", **QWEN2_7B, name: rope}).context == context
