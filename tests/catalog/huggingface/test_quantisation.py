"""The checkpoint's dtypes: what each quantisation method says of each class of tensors."""

import re
from typing import Any

import pytest

from roofcalc.catalog.huggingface.convert import convert
from roofcalc.errors import RoofcalcError
from tests.catalog.huggingface.fixtures import changed, config, values

KEPT = {"embed": "bf16", "head": "bf16", "router": "bf16", "norm": "bf16"}
FP8 = {"default": "fp8-block128", **KEPT}
LINEAR = {"targets": ["Linear"]}


def dtypes(name: str, quantisation: dict[str, Any], beside: dict[str, Any] | None = None) -> Any:
    return convert(config(name, quantization_config=quantisation or None), "config.json", name, beside)["dtype"]


def group(**weights: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {**LINEAR, "weights": weights}}, "ignore": ["lm_head"]}


def test_what_the_published_checkpoints_say() -> None:
    assert values("deepseek-v3")["dtype"] == FP8  # without a list: everything but what the method always leaves
    assert values("minimax-m2")["dtype"] == FP8
    assert values("deepseek-v4-flash")["dtype"] == {"default": "fp8-block128", "experts": "mxfp4", **KEPT}
    assert values("gpt-oss-120b")["dtype"] == {"default": "bf16", "experts": "mxfp4"}
    assert values("kimi-k2.5")["dtype"] == {"default": "bf16", "experts": "int4-g32"}
    assert values("kimi-k3")["dtype"] == {"default": "bf16", "experts": "mxfp4"}
    assert values("llama-2-7b")["dtype"] == "fp16"


@pytest.mark.parametrize(
    ("quantisation", "dtype"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block128"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "fbgemm_fp8"}, "fp8"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4-g128"),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": True}, "int8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4-g64"),
        (group(num_bits=8, type="float", strategy="channel"), "fp8"),
        (group(num_bits=8, type="float", strategy="tensor"), "fp8"),
        (group(num_bits=8, type="float", strategy="block", block_structure=[128, 128]), "fp8-block128"),
        (group(num_bits=8, type="int", strategy="channel"), "int8"),
        (group(num_bits=4, type="int", strategy="group", group_size=128), "int4-g128"),
        (group(num_bits=4, type="float", strategy="tensor_group", group_size=16), "nvfp4"),
        (group(num_bits=4, type="float", strategy="group", group_size=32), "mxfp4"),
        ({"quant_algo": "FP8", "ignore": ["lm_head"]}, "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "W4A16_AWQ", "group_size": 128, "exclude_modules": ["lm_head"]}, "int4-g128"),
    ],
)
def test_methods(quantisation: dict[str, Any], dtype: str) -> None:
    assert dtypes("llama-3.1-8b", quantisation) == {"default": dtype, **KEPT}


def test_a_quantised_head_and_cache() -> None:
    whole = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}
    assert dtypes("llama-3.1-8b", whole) == {"default": "fp8", **KEPT, "head": "fp8", "kv": "fp8"}
    scheme = {**group(num_bits=8, type="float", strategy="tensor"), "kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    assert dtypes("llama-3.1-8b", scheme)["kv"] == "fp8"


def test_a_quantisation_file_of_its_own() -> None:
    beside = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    assert dtypes("llama-3.1-8b", {}, beside) == {"default": "fp8", **KEPT, "kv": "fp8"}
    with pytest.raises(RoofcalcError, match=re.escape("hf_quant_config.json: quantization is missing")):
        dtypes("llama-3.1-8b", {}, {"producer": {}})


def test_a_release_that_keeps_attention_and_two_layers() -> None:
    # As Meta's fp8 release of Llama 3.1 405B: attention everywhere, and all of the first and the last layer
    kept = [f"model.layers.{i}.self_attn.{part}_proj" for i in range(126) for part in "qkvo"]
    kept += [f"model.layers.{i}.mlp.{part}_proj" for i in (0, 125) for part in ("gate", "up", "down")]
    found = changed("llama-3.1-405b", quantization_config={"quant_method": "fbgemm_fp8", "modules_to_not_convert": kept})
    assert (found.dtypes.default, found.dtypes.mlp, found.dtypes.head) == ("bf16", "fp8", None)
    assert found.notes == "Of the 126 layers with mlp, 2 are bf16; recorded with the majority dtype."


@pytest.mark.parametrize(
    "kept",
    [
        ["model.layers.*.self_attn"],
        ["self_attn"],
        ["re:.*self_attn.*"],
        ["*self_attn*"],
        ["re:model\\.layers\\.\\d+\\.self_attn\\.(q|k|v|o)_proj"],
        [f"model.language_model.layers.{i}.self_attn" for i in range(61)],
        ["self_attn.q_a_proj", "self_attn.q_b_proj", "self_attn.kv_a_proj_with_mqa", "self_attn.kv_b_proj", "self_attn.o_proj"],
    ],
)
def test_ways_to_name_attention(kept: list[str]) -> None:
    found = dtypes("deepseek-v3", {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": kept})
    assert found == {"default": "bf16", "mlp": "fp8-block128", "experts": "fp8-block128", "shared": "fp8-block128"}


def test_part_of_a_class_is_not_the_class() -> None:
    router_and_norms = ["model.layers.5.mlp.gate", "gate", "model.layers.0.input_layernorm", "self_attn.o_proj", "mlp.gate_proj"]
    assert dtypes("deepseek-v3", {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": router_and_norms}) == FP8


def test_groups_with_targets_of_their_own() -> None:
    found = {
        "quant_method": "compressed-tensors",
        "config_groups": {
            "group_0": {"targets": ["re:.*mlp.experts.*"], "weights": {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}},
            "group_1": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}},
        },
        "ignore": ["lm_head"],
    }
    assert dtypes("qwen3-30b-a3b", found) == {"default": "fp8", "experts": "nvfp4", **KEPT}


@pytest.mark.parametrize(
    ("quantisation", "complaint"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "not supported: quant_method 'bitsandbytes'"),
        ({"quant_method": "fp8", "weight_block_size": [64, 64]}, "not supported: weight_block_size [64, 64]"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "not supported: 3-bit integers in groups of 128"),
        ({"quant_method": "gptq", "group_size": 128}, "bits is missing"),
        ({"quant_algo": "MIXED_PRECISION"}, "not supported: quant_algo 'MIXED_PRECISION'"),
        ({"quant_method": "compressed-tensors"}, "config_groups is missing"),
        (group(num_bits=6, type="float", strategy="channel"), "not supported: 6-bit weights of type 'float' in groups of None"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:(a+)+$"]}, "not supported: the module pattern '(a+)+$'"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:" + ".*a" * 20]}, "the module pattern"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:(a"]}, "the module pattern '(a' is not a valid regular expression"),
        ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, "modules_to_not_convert: expected a list of words"),
    ],
)
def test_quantisation_that_cannot_be_told(quantisation: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=re.escape(complaint)) as caught:
        dtypes("llama-3.1-8b", quantisation)
    assert len(caught.value.lines) == 1
