"""Configurations of newer types, written by hand from published sizes, with the parameters that they must have."""

from typing import Any

from tests.catalog.huggingface.test_more_model_types import sized

FULL, SLIDING = "full_attention", "sliding_attention"


def moe(experts: int, top_k: int, width: int, **more: Any) -> dict[str, Any]:
    return {"n_routed_experts": experts, "num_experts_per_tok": top_k, "moe_intermediate_size": width, **more}


def mla(q_rank: int | None, rank: int, nope: int, rope: int, value: int) -> dict[str, Any]:
    names = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return dict(zip(names, (q_rank, rank, nope, rope, value), strict=True))


TRINITY_MINI = {
    "model_type": "afmoe",
    **sized(32, 2048, 32, 4, 6144, 200_192, 131_072),
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 1024,
    "num_shared_experts": 1,
    "num_dense_layers": 2,
    "sliding_window": 2048,
    "global_attn_every_n_layers": 4,
    "n_group": 1,
    "num_expert_groups": 1,
    "num_limited_groups": 1,
    "score_func": "sigmoid",
    "route_norm": True,
    "route_scale": 2.826,
    "mup_enabled": True,
    "topk_group": 1,
}
LAGUNA_S = {
    "model_type": "laguna",
    **sized(48, 3072, 48, 8, 12_288, 100_352, 262_144),
    "head_dim": 128,
    "num_experts": 256,
    "num_experts_per_tok": 10,
    "moe_intermediate_size": 1024,
    "shared_expert_intermediate_size": 1024,
    "gating": "per-head",
    "gating_types": ["per_head"] * 48,
    "sliding_window": 512,
    "layer_types": [FULL, *[SLIDING] * 3] * 12,
    "num_attention_heads_per_layer": [48, 72, 72, 72] * 12,
    "mlp_layer_types": ["dense", *["sparse"] * 47],
    "mlp_only_layers": [0],
    "moe_apply_router_weight_on_input": False,
}
SWASH = {"tie_word_embeddings": True, "sliding_window": 128, "layer_rope_theta": [10000.0] * 24, "embedding_multiplier": 12.0}
LING_2_6_FLASH = {
    "model_type": "bailing_hybrid",
    **sized(32, 4096, 32, 32, 9216, 157_184, 131_072),
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 1024,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    **mla(1536, 512, 128, 64, 128),
    "head_dim": 128,
    "layer_group_size": 8,
    "group_norm_size": 4,
    "num_nextn_predict_layers": 1,
    "moe_router_enable_expert_bias": True,
    "score_function": "sigmoid",
    "use_qk_norm": True,
}
LING_3_TINY = {
    "model_type": "bailing_hybrid",
    **sized(24, 1536, 16, 16, 4608, 157_184, 131_072),
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 512,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    **mla(256, 512, 128, 64, 128),
    "head_dim": 128,
    "qk_head_dim": 192,
    "layer_group_size": 4,
    "short_conv_kernel_size": 4,
    "no_kda_lora": True,
    "kda_safe_gate": True,
    "kda_lower_bound": -5.0,
    "gated_attention_proj_granularity_type": "head_wise",
    "moe_shared_expert_intermediate_size": 512,
    "moe_router_enable_expert_bias": True,
    "use_qk_norm": True,
    "n_group": 8,
    "topk_group": 4,
}
MLLAMA_TEXT = {
    "model_type": "mllama_text_model",
    **sized(40, 4096, 32, 8, 14_336, 128_256, 131_072),
    "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
}
GEMMA_12B_TEXT = {
    "model_type": "gemma4_unified_text",
    **sized(48, 3840, 16, 8, 15_360, 262_144, 262_144),
    "tie_word_embeddings": True,
    "head_dim": 256,
    "sliding_window": 1024,
    "layer_types": [*[SLIDING] * 5, FULL] * 8,
    "attention_k_eq_v": True,
    "per_layer_config": {f"{i:02}": {"head_dim": 512, "num_key_value_heads": 1} for i in range(5, 48, 6)},
}

ERNIE_VL = {
    "model_type": "ernie4_5_moe_vl",
    **sized(28, 2560, 20, 4, 12_288, 103_424, 131_072),
    "tie_word_embeddings": True,
    "moe_num_experts": [64, 64],
    "moe_intermediate_size": [1536, 512],
    "moe_k": 6,
    "moe_num_shared_experts": 2,
    "moe_layer_start_index": [1, 1],
    "moe_layer_end_index": [29, 28],
    "moe_layer_interval": 1,
    "vision_config": {"depth": 32},
}
HY4 = {
    "model_type": "hy_v4",
    **sized(34, 2816, 32, 32, 6912, 120_832, 262_144),
    **mla(1536, 512, 192, 64, 256),
    **moe(256, 8, 768, n_shared_experts=1),
    "hc_mult": 4,
    "swiglu_limit": 10.0,
    "index_topk": 2048,
    "index_head_dim": 128,
    "index_n_heads": 16,
    "mlp_layer_types": ["dense", *["sparse"] * 33],
    "indexer_types": [*["full"] * 2, *["shared"] * 3, *["full", *["shared"] * 3] * 7, "full"],
}

# Published totals: hf_models.json of llmfit 1.1.17 (github.com/AlexsJones/llmfit), from the safetensors of each repository.
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "arcee-ai/Trinity-Mini": (TRINITY_MINI, 26_123_974_400),
    "poolside/Laguna-S-2.1": (LAGUNA_S, 117_561_977_600),
    "swiss-ai/Apertus-8B-2509": (
        {"model_type": "apertus", **sized(32, 4096, 32, 8, 21_504, 131_072, 65_536), "hidden_act": "xielu"},
        8_053_338_176 - 64,  # two numbers of the activation in each of 32 layers
    ),
    "allenai/OLMo-7B-hf": ({"model_type": "olmo", **sized(32, 4096, 32, 32, 11_008, 50_304, 2048), "clip_qkv": None}, 6_888_095_744 + 4096),
    "ibm-granite/granite-swash-2b": ({"model_type": "granite_swa", **sized(24, 2560, 20, 4, 8192, 100_352, 8192), **SWASH}, 2_144_463_840),
    "JetBrains/Mellum2-12B-A2.5B-Base": (
        {
            "model_type": "mellum",
            **sized(28, 2304, 32, 4, 7168, 98_304, 131_072),
            "head_dim": 128,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 896,
            "sliding_window": 1024,
            "layer_types": [*[SLIDING] * 3, FULL] * 7,
        },
        12_149_923_072,
    ),
    "CohereLabs/North-Mini-Code-1.0": (
        {
            "model_type": "cohere2_moe",
            **sized(49, 2048, 32, 4, 768, 262_144, 131_072),
            "tie_word_embeddings": True,
            "head_dim": 128,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "sliding_window": 4096,
            "first_k_dense_replace": 1,
            "prefix_dense_intermediate_size": 3072,
            "expert_selection_fn": "sigmoid",
        },
        30_484_303_872,
    ),
    "tencent/Hy3": (
        {
            "model_type": "hy_v3",
            **sized(80, 4096, 64, 8, 13_312, 120_832, 262_144),
            "head_dim": 128,
            "num_experts": 192,
            "num_experts_per_tok": 8,
            "num_shared_experts": 1,
            "moe_intermediate_size": 1536,
            "expert_hidden_dim": 1536,
            "first_k_dense_replace": 1,
            "num_nextn_predict_layers": 1,
            "qk_norm": True,
        },
        298_786_155_776,
    ),
    "sarvamai/sarvam-30b": (
        {
            "model_type": "sarvam_moe",
            **sized(19, 4096, 64, 4, 8192, 262_144, 131_072),
            "head_dim": 64,
            "num_experts": 128,
            "num_experts_per_tok": 6,
            "num_shared_experts": 1,
            "moe_intermediate_size": 1024,
            "use_qk_norm": True,
            "use_qkv_bias": False,
        },
        32_152_650_368,
    ),
    "sarvamai/sarvam-105b": (
        {
            "model_type": "sarvam_mla",
            **sized(32, 4096, 64, 64, 16_384, 262_144, 131_072),
            **moe(128, 8, 2048, n_shared_experts=1),
            **mla(None, 512, 128, 64, 128),
        },
        106_031_767_424,
    ),
    "upstage/Solar-Open-100B": (
        {
            "model_type": "solar_open",
            **sized(48, 4096, 64, 8, 10_240, 196_608, 131_072),
            "head_dim": 128,
            **moe(128, 8, 1280, n_shared_experts=1),
            "first_k_dense_replace": 0,
        },
        102_651_793_408,
    ),
    "mistralai/Mistral-Small-4-119B-2603": (
        {
            "model_type": "mistral3",
            "vision_config": {},
            "text_config": {
                "model_type": "mistral4",
                **sized(36, 4096, 32, 32, 12_288, 131_072, 1_048_576),
                **moe(128, 4, 2048, n_shared_experts=1, first_k_dense_replace=0),
                **mla(1024, 256, 64, 64, 128),
            },
        },
        119_401_317_952 - 428_472_320 - 19_008,  # without the tower and the scales of 8-bit matrices
    ),
    "tencent/Youtu-LLM-2B": (
        {"model_type": "youtu", **sized(32, 2048, 16, 16, 6144, 128_256, 131_072), **mla(1536, 512, 128, 64, 128), "tie_word_embeddings": True},
        1_961_560_064,
    ),
    "inclusionAI/Ling-2.6-flash": (LING_2_6_FLASH, 107_494_409_216),
    "inclusionAI/Ling-3.0-tiny": (LING_3_TINY, 7_893_392_800),
    "meta-llama/Llama-3.2-11B-Vision": ({"model_type": "mllama", "text_config": MLLAMA_TEXT, "vision_config": {}}, 10_670_220_835 - 895_028_755),
    "baidu/ERNIE-4.5-VL-28B-A3B-PT": (
        ERNIE_VL,
        29_399_294_336 - 774_658_560,
    ),  # without the tower and the resampler, as transformers 5.24 builds them
    "baidu/ERNIE-4.5-VL-28B-A3B-PT in transformers' form": (
        {
            "model_type": "ernie4_5_vl_moe",
            "text_config": {
                **{
                    key: value for key, value in ERNIE_VL.items() if not key.endswith("_index") and key not in ("vision_config", "moe_layer_interval")
                },
                "model_type": "ernie4_5_vl_moe_text",
                "moe_num_experts": 64,
                "mlp_layer_types": ["dense", *["sparse"] * 27],
            },
        },
        29_399_294_336 - 774_658_560,
    ),
}

# Parameters of the language model that transformers 5.24.0 builds from the same fields, with the corrections that it keeps as buffers.
BUILT: dict[str, tuple[dict[str, Any], int]] = {
    "granitemoe_swa": (
        {
            "model_type": "granitemoe_swa",
            **sized(28, 1280, 20, 4, 512, 100_352, 8192),
            "num_local_experts": 48,
            "num_experts_per_tok": 6,
            "shared_intermediate_size": 1280,
            "tie_word_embeddings": True,
        },
        3_020_382_000,
    ),
    "minicpm3": (
        {
            "model_type": "minicpm3",
            **sized(62, 2560, 40, 40, 6400, 73_448, 32_768),
            **mla(768, 256, 64, 32, 64),
            "tie_word_embeddings": True,
            "scale_emb": 12,
            "scale_depth": 1.4,
            "dim_model_base": 256,
        },
        4_073_875_968,
    ),
    "hy_v4": (HY4, 58_278_193_133 + 33 * 256),
    "gemma4_unified": ({"model_type": "gemma4_unified", "text_config": GEMMA_12B_TEXT, "vision_config": None}, 11_907_350_272 + 48),
    "minicpmv4_6": (
        {
            "model_type": "minicpmv4_6",
            "vision_config": {},
            "tie_word_embeddings": True,
            "text_config": {
                "model_type": "qwen3_5_text",
                **sized(24, 1024, 8, 2, 3584, 248_094, 262_144),
                "tie_word_embeddings": True,
                "head_dim": 256,
                "linear_num_key_heads": 16,
                "linear_num_value_heads": 16,
                "linear_key_head_dim": 128,
                "linear_value_head_dim": 128,
                "linear_conv_kernel_dim": 4,
                "layer_types": [*["linear_attention"] * 3, FULL] * 6,
            },
        },
        752_161_600,
    ),
}
