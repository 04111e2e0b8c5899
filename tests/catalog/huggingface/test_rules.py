"""What a configuration means beside its plain figures: windows that are off, defaults, patterns, and what stops an import."""

import copy
import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofcalc.catalog.huggingface.convert import convert
from roofcalc.catalog.huggingface.plan import expression
from roofcalc.errors import RoofcalcError
from roofcalc.specs.attention import GQA
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.latent_attention import MLA
from roofcalc.specs.layer_pattern import parse
from roofcalc.specs.model import Model
from roofcalc.specs.schema import build
from tests.catalog.huggingface.fixtures import changed, config, model, values
from tests.catalog.huggingface.test_model_types import layers
from tests.tiers import share


def spans(found: Model) -> list[int | None]:
    """Each layer's window."""
    return [block.attention.window for block in layers(found) if isinstance(block.attention, GQA)]


def test_a_window_that_is_switched_off_is_off() -> None:
    assert set(spans(model("qwen2.5-7b"))) == {None}  # 131072, but use_sliding_window is false
    assert set(spans(model("phi-3.5-mini"))) == {None}  # 262144, beyond the context
    assert set(spans(changed("qwen2.5-7b", sliding_window=4096))) == {None}
    assert set(spans(changed("mistral-7b-v0.1", sliding_window=32768))) == {None}  # as long as the context
    assert set(spans(model("mistral-7b-v0.1"))) == {4096} and set(spans(model("phi-3-mini-4k"))) == {2047}


def test_a_window_that_is_switched_on_serves_the_later_layers() -> None:
    on = changed("qwen2.5-7b", sliding_window=4096, use_sliding_window=True, max_window_layers=20)
    assert spans(on) == [None] * 20 + [4096] * 8
    listed = ["full_attention"] * 27 + ["sliding_attention"]
    assert spans(changed("qwen2.5-7b", sliding_window=4096, use_sliding_window=True, max_window_layers=20, layer_types=listed)) == [None] * 27 + [
        4096
    ]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("gpt-oss-120b", "18*(local full)"),
        ("gemma-2-9b", "21*(local full)"),
        ("gemma-3-27b", "10*(5*local full) 2*local"),
        ("gemma-4-26b-a4b", "5*(5*local full)"),
        ("command-r7b", "8*(3*local full)"),
        ("exaone-4.0-32b", "16*(3*local full)"),
        ("olmo-3-32b", "16*(3*local full)"),
        ("deepseek-v3", "3*dense 58*moe"),
        ("kimi-k2", "dense 60*moe"),
        ("llama-4-scout", "12*(3*chunked full)"),
        ("llama-4-maverick", "12*(chunked_dense chunked_moe chunked_dense full_moe)"),
        ("qwen3-next-80b-a3b", "12*(3*linear full)"),
        ("minimax-text-01", "10*(7*linear full)"),
        ("kimi-linear-48b-a3b", "kda_dense 6*(2*kda_moe mla_moe kda_moe) kda_moe mla_moe"),
        ("hunyuan-large", "32*(own_kv shared_kv)"),
        ("step3", "4*dense 56*moe dense"),
        ("longcat-flash", "28*(attention_dense experts attention_dense)"),
        ("mimo-v2-flash", "full_dense 4*local_moe 7*(full_moe 5*local_moe) full_moe"),
        ("llama-3.1-405b", "126*block"),
    ],
)
def test_layers_as_the_shortest_repetition(name: str, pattern: str) -> None:
    assert model(name).layers == pattern


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_an_expression_stands_for_its_layers(names: list[str]) -> None:
    assert [name for name, times in parse(expression(names)) for _ in range(times)] == names


def test_head_dim() -> None:
    assert layers(model("llama-3.1-8b"))[0].attention.head_dim == 128  # type: ignore[union-attr]  # 4096 / 32
    assert layers(model("gpt-oss-120b"))[0].attention.head_dim == 64  # type: ignore[union-attr]  # given, not 2880 / 64
    latent = layers(changed("deepseek-v3", head_dim=64))[0].attention
    assert isinstance(latent, MLA) and (latent.nope_dim, latent.rope_dim) == (128, 64)


def test_key_value_heads_without_a_field() -> None:
    assert layers(changed("llama-3.1-8b", num_key_value_heads=...))[0].attention.kv_heads == 32  # type: ignore[union-attr]
    assert layers(model("falcon-7b"))[0].attention.kv_heads == 1  # type: ignore[union-attr]  # multi_query, whatever num_kv_heads says
    assert layers(model("starcoder"))[0].attention.kv_heads == 1  # type: ignore[union-attr]


def test_biases_that_no_field_tells() -> None:
    assert layers(model("qwen2.5-7b"))[0].attention.bias == "qkv"  # type: ignore[union-attr]
    assert layers(model("qwen3-8b"))[0].attention.bias == "none"  # type: ignore[union-attr]


def test_tied_by_the_config_else_by_the_type() -> None:
    assert not changed("llama-3.1-8b", tie_word_embeddings=...).tied and changed("llama-3.1-8b", tie_word_embeddings=True).tied
    assert model("gemma-2b").tied and not changed("gemma-2b", tie_word_embeddings=False).tied
    refused(config("mimo-7b", tie_word_embeddings=...), "tie_word_embeddings is missing, and model_type 'mimo' does not imply it")


def test_the_makers_own_files_leave_out_what_the_type_implies() -> None:
    gemma = model("gemma-3-4b")
    assert (gemma.vocab, gemma.context, gemma.tied) == (262208, 131072, True)
    assert model("bloom").context == model("falcon-40b").context == 2048


def test_shared_indexes() -> None:
    mine = layers(changed("glm-5", indexer_types=(["full"] + ["shared"] * 2) * 26))
    owned = [block.attention.index.shared for block in mine if isinstance(block.attention, MLA) and block.attention.index]
    assert owned == [False, True, True] * 26
    # GLM 5.2's schedule: every fourth layer from the second on, as its configuration class counts
    every = layers(changed("glm-5", index_topk_freq=4, index_skip_topk_offset=3))
    own = [i for i, block in enumerate(every) if isinstance(block.attention, MLA) and block.attention.index and not block.attention.index.shared]
    assert own[:5] == [0, 1, 2, 6, 10]
    letters = layers(changed("glm-5", index_topk_pattern="FFS" * 26))
    assert [block.attention.index.shared for block in letters[:3]] == [False, False, True]  # type: ignore[union-attr]


def test_no_window_where_a_pattern_stands_without_one() -> None:
    assert set(spans(changed("exaone-4.0-32b", sliding_window=None))) == {None}
    assert spans(changed("exaone-4.0-32b", sliding_window_pattern=2))[:3] == [4096, None, 4096]


def test_experts_in_some_layers() -> None:
    def routed(found: Model) -> list[int]:
        return [i for i, block in enumerate(layers(found)) if isinstance(block.mlp, Experts)]

    assert routed(changed("qwen3-30b-a3b", decoder_sparse_step=2))[:3] == [1, 3, 5]
    assert routed(changed("qwen3-30b-a3b", mlp_only_layers=[0, 1]))[:2] == [2, 3]
    assert routed(changed("ernie-4.5-21b-a3b", moe_layer_interval=2, moe_layer_end_index=7)) == [1, 3, 5, 7]
    assert routed(changed("deepseek-v3", mlp_layer_types=["dense"] * 60 + ["sparse"])) == [60]
    assert routed(changed("step3", moe_layers_enum=[4, 5])) == [4, 5]
    assert routed(changed("jamba-1.5-mini", num_experts=1)) == []


def test_corrections_by_the_routing_method() -> None:
    def corrected(found: Model) -> bool:
        return layers(found)[-1].mlp.router_bias  # type: ignore[union-attr]

    assert corrected(model("deepseek-v3")) and corrected(changed("deepseek-v3", topk_method=...))
    assert not corrected(model("deepseek-v2-lite")) and not corrected(changed("deepseek-v3", topk_method="greedy"))


def test_a_state_in_another_dtype() -> None:
    assert layers(changed("qwen3.5-27b", mamba_ssm_dtype="bfloat16"))[0].state.dtype == "bf16"  # type: ignore[union-attr]
    assert layers(model("qwen3.5-27b"))[0].state.dtype == "fp32"  # type: ignore[union-attr]
    refused(config("qwen3.5-27b", mamba_ssm_dtype="int8"), "mamba_ssm_dtype: invalid choice 'int8' (choose from float32, bfloat16, float16)")


def test_figures_left_to_a_rule() -> None:
    assert changed("jamba-1.5-mini", mamba_dt_rank="auto") == model("jamba-1.5-mini")  # 4096 / 16
    assert changed("granite-4.0-h-small", mamba_d_head="auto") == model("granite-4.0-h-small")  # 2·4096 / 128
    assert changed("mamba-2.8b", time_step_rank=..., intermediate_size=...) == model("mamba-2.8b")  # 2560 / 16, 2·2560
    refused(config("granite-4.0-h-small", mamba_d_head="auto", mamba_n_heads=100), "mamba_n_heads 100 does not divide the inner size 8192")


def test_towers_are_named() -> None:
    assert values("qwen3-vl-4b")["notes"] == "Not counted: the vision tower."
    assert "notes" not in values("qwen3-8b")


def test_without_a_dtype_one_is_assumed_and_said_so() -> None:
    silent = changed("llama-3.1-8b", torch_dtype=...)
    assert silent.dtype == "bf16" and silent.unverified == ("dtype",) and "does not give a dtype" in (silent.notes or "")


def refused(found: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=re.escape(complaint)) as caught:
        convert(found, "config.json", "x")
    assert len(caught.value.lines) == 1 and str(caught.value).startswith("config.json: ")


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("llama-3.1-8b", {"model_type": "lama"}, "unknown model_type 'lama'; did you mean llama"),
        ("llama-3.1-8b", {"model_type": ...}, "model_type is missing"),
        ("llama-3.1-8b", {"model_type": 5}, "model_type: expected text, got 5"),
        ("llama-3.1-8b", {"model_type": "gemma3"}, "model_type 'gemma3' needs a text_config"),
        ("llama-3.1-8b", {"hidden_size": ...}, "hidden_size is missing (also known as d_model, n_embd"),
        ("llama-3.1-8b", {"vocab_size": ...}, "vocab_size is missing"),
        ("llama-3.1-8b", {"max_position_embeddings": ...}, "max_position_embeddings is missing"),
        ("llama-3.1-8b", {"hidden_size": -4096}, "hidden_size: expected a whole number from 1 to 1000000000, got -4096"),
        ("llama-3.1-8b", {"hidden_size": 10**30}, "hidden_size: expected a whole number from 1 to 1000000000, got 1000"),
        ("llama-3.1-8b", {"hidden_size": "4096"}, "hidden_size: expected a whole number from 1 to 1000000000, got '4096'"),
        ("llama-3.1-8b", {"hidden_size": float("nan")}, "hidden_size: expected a whole number from 1 to 1000000000, got nan"),
        ("llama-3.1-8b", {"hidden_size": True}, "hidden_size: expected a whole number from 1 to 1000000000, got true"),
        ("llama-3.1-8b", {"num_hidden_layers": 10**6}, "num_hidden_layers: expected a whole number from 1 to 10000"),
        ("llama-3.1-8b", {"hidden_size": 4097}, "head_dim is missing, and hidden_size 4097 is not divisible by 32 heads"),
        ("llama-3.1-8b", {"tie_word_embeddings": "no"}, "tie_word_embeddings: expected true or false, got 'no'"),
        ("llama-3.1-8b", {"n_embd": 5120}, "hidden_size 4096 and n_embd 5120 contradict each other"),
        ("llama-3.1-8b", {"layer_types": ["full_attention"] * 31}, "layer_types has 31 entries, but the model has 32 layers"),
        ("llama-3.1-8b", {"layer_types": ["mamba"] * 32}, "not supported: a layer of kind 'mamba'"),
        ("llama-3.1-8b", {"layer_types": "full"}, "layer_types: expected a list of words, got 'full'"),
        ("llama-3.1-8b", {"num_experts": 8, "new_expert_width": 7}, "model_type 'llama': unknown keys: num_experts, new_expert_width"),
        ("llama-3.1-8b", {"linear_num_key_heads": 4}, "unknown keys: linear_num_key_heads"),
        ("llama-3.1-8b", {"kv_lora_rank": 512}, "unknown keys: kv_lora_rank"),
        ("llama-3.1-8b", {"torch_dtype": "int3"}, "torch_dtype: invalid choice 'int3' (choose from bfloat16, float16"),
        ("qwen3-30b-a3b", {"num_local_experts": 64}, "num_experts 128 and num_local_experts 64 contradict each other"),
        ("qwen3-30b-a3b", {"num_experts_per_tok": ...}, "num_experts_per_tok is missing"),
        ("qwen3-30b-a3b", {"use_qk_norm": False}, "not supported: use_qk_norm false in this type"),
        ("qwen2.5-7b", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": ...}, "max_window_layers is missing"),
        ("deepseek-v3", {"kv_lora_rank": ...}, "kv_lora_rank is missing"),
        ("deepseek-v3", {"attention_bias": True}, "not supported: biases in latent attention (attention_bias)"),
        ("deepseek-v3", {"first_k_dense_replace": 62}, "first_k_dense_replace: expected a whole number from 0 to 61, got 62"),
        ("glm-5", {"index_topk_pattern": "FX" * 39}, "index_topk_pattern: expected 78 letters F or S"),
        ("deepseek-v4-flash", {"compress_ratios": [4, 128]}, "compress_ratios has 2 entries, but the model has 43 layers"),
        ("kimi-linear-48b-a3b", {"num_hidden_layers": 28}, "must list each layer from 1 to 28 once"),
        ("nemotron-nano-9b-v2", {"hybrid_override_pattern": "M-X"}, "hybrid_override_pattern: expected letters of M * - E, got 'M-X'"),
        ("nemotron-nano-9b-v2", {"hybrid_override_pattern": "M-"}, "has 2 entries, but the model has 56 layers"),
        ("nemotron-super-49b", {"block_configs": []}, "block_configs has 0 entries, but the model has 80 layers"),
        ("nemotron-super-49b", {"block_configs": 3}, "block_configs: expected a list of objects, got 3"),
        ("falcon-h1-34b", {"mamba_d_ssm": 4000}, "mamba_d_ssm 4000 and 32 heads of 128 contradict each other"),
        ("mamba-2.8b", {"use_bias": True}, "not supported: use_bias true in this type"),
        ("gemma-4-e2b", {"num_kv_shared_layers": 35}, "num_kv_shared_layers: expected a whole number from 0 to 34, got 35"),
        ("lfm2-1.2b", {"conv_dim": 1024}, "not supported: conv_dim other than the hidden size"),
        ("lfm2-1.2b", {"full_attn_idxs": ...}, "layer_types is missing (also known as full_attn_idxs)"),
        ("zamba2-2.7b", {"n_mamba_heads": 77}, "n_mamba_heads 77 does not divide the inner size 5120"),
        ("opt-6.7b", {"word_embed_proj_dim": 512}, "an embedding narrower than the hidden size (word_embed_proj_dim)"),
        ("llama-4-scout", {"no_rope_layers": [1, 0]}, "no_rope_layers has 2 entries, but the model has 48 layers"),
        ("step3", {"moe_layers_enum": "4,x"}, "moe_layers_enum: expected comma-separated layer numbers"),
        ("hunyuan-a13b", {"moe_topk": [8] * 31 + [4]}, "not supported: moe_topk that differs between layers"),
        ("dbrx", {"ffn_config": ...}, "ffn_config is missing"),
    ],
)
def test_what_stops_an_import(name: str, changes: dict[str, Any], complaint: str) -> None:
    found = config(name, **changes)
    with pytest.raises(RoofcalcError, match=re.escape(complaint)) as caught:
        convert(found, "config.json", "x")
    assert len(caught.value.lines) == 1 and str(caught.value).startswith("config.json: ")


def test_what_stands_outside_and_inside_must_agree() -> None:
    found = {**config("gemma-4-26b-a4b", dtype="bfloat16"), "dtype": "float16"}
    refused(found, "dtype outside and inside text_config contradict each other")
    found = config("qwen3-vl-4b")
    found["new_layer_scale"] = 3
    refused(found, "model_type 'qwen3_vl': unknown keys: new_layer_scale")
    found = {**config("qwen3-vl-4b"), "model_type": "my_wrapper"}
    refused(found, "unknown model_type 'my_wrapper'")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("phi-3-mini-4k", {"attention_bias": False, "resid_pdrop": 0.0, "full_attn_mod": 1, "interpolate_factor": 1}),
        ("jamba-1.5-mini", {"mamba_inner_layernorms": True, "n_ctx": 262144, "sliding_window": None}),
        (
            "mamba-2.8b",
            {"d_model": 2560, "d_inner": 5120, "n_layer": 64, "rms_norm": True, "fused_add_norm": True, "time_step_init_scheme": "random"},
        ),
        ("codestral-mamba-7b", {"rms_norm": True, "norm_before_gate": True, "chunk_size": 256, "time_step_rank": 256}),
        ("starcoder2-3b", {"norm_type": "layer_norm", "mlp_type": "default", "norm_epsilon": 1e-5}),
        ("llama-4-scout", {"moe_layers": [], "attn_temperature_tuning": 4, "floor_scale": 8192, "for_llm_compressor": False}),
        ("gpt2-xl", {"summary_use_proj": True, "resid_pdrop": 0.1, "task_specific_params": {"text-generation": {"max_length": 50}}}),
        ("minimax-m2", {"attn_type_list": [1] * 62, "shared_moe_mode": "sigmoid", "layernorm_full_attention_beta": 1.0}),
        ("qwen3-8b", {"layer_types": ["full_attention"] * 36, "a_new_layer_switch": False, "a_new_layer_count": 0}),
    ],
)
def test_other_keys_of_published_files(name: str, keys: dict[str, Any]) -> None:
    assert changed(name, **keys) == model(name)


def test_training_and_sampling_keys_do_not_matter() -> None:
    harmless = {"initializer_range": 0.02, "attention_dropout": 0.1, "rope_theta": 5e5, "rms_norm_eps": 1e-5, "num_beam_groups": 1, "pad_token_id": 0}
    assert changed("llama-3.1-8b", **harmless, rope_scaling={"factor": 8.0}, head_mask=None, pruned_heads={}) == model("llama-3.1-8b")


@pytest.mark.parametrize(
    "name", ["qwen2.5-7b", "deepseek-v4-flash", "gemma-4-26b-a4b", "kimi-k2.5", "kimi-linear-48b-a3b", "nemotron-nano-9b-v2", "mpt-7b"]
)
def test_any_wrong_value_is_one_clear_error_or_a_model(name: str) -> None:
    whole = config(name)

    def places(found: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        return [one for key, value in found.items() for one in [(*path, key), *(places(value, (*path, key)) if isinstance(value, dict) else [])]]

    for path, wrong in share(itertools.product(places(whole), (None, -1, 0, 3, "x", [], ["a"], {"a": 1}, 1.5, True, 10**30)), 4, name):
        found = copy.deepcopy(whole)
        inner = found
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = wrong
        try:
            build(Model, convert(found, "config.json", "x"), {}, "config.json")
        except RoofcalcError as error:
            assert all(line.startswith("config.json: ") for line in error.lines), (path, wrong, error)
