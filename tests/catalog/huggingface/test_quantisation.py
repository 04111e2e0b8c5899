"""The checkpoint's dtypes: what each quantisation method says of each class of tensors."""

import re
from typing import Any

import pytest

from roofcalc.catalog import lookup
from roofcalc.catalog.huggingface.convert import convert
from roofcalc.deployment.deployment import deploy
from roofcalc.errors import RoofcalcError
from roofcalc.physics.memory import weight_bytes
from roofcalc.specs.model import Model
from roofcalc.specs.schema import build
from roofcalc.specs.stored_weights import weight_dtypes
from tests.catalog.huggingface.fixtures import changed, config, model, values

KEPT = {"embed": "bf16", "head": "bf16", "router": "bf16", "norm": "bf16"}
FP8 = {"default": "fp8-block128", **KEPT}
LINEAR = {"targets": ["Linear"]}


def dtypes(name: str, quantisation: dict[str, Any], beside: dict[str, Any] | None = None) -> Any:
    return convert(config(name, quantization_config=quantisation or None), "config.json", name, beside)["dtype"]


def group(**weights: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {**LINEAR, "weights": weights}}, "ignore": ["lm_head"]}


def size(name: str, quantisation: dict[str, Any] | None, beside: dict[str, Any] | None = None) -> float:
    """Bytes of the weights by the config path."""
    found = convert(config(name, quantization_config=quantisation or None), "config.json", name, beside)
    return bytes_of(build(Model, found, {}, name), "native")


def recipe_size(name: str, weights: str) -> float:
    """Bytes of the weights by the name path: the same model without a quantisation config, and a recipe."""
    return bytes_of(build(Model, convert(config(name, quantization_config=None), "config.json", name), {}, name), weights)


def bytes_of(model: Model, weights: str) -> float:
    deployment = deploy(model, lookup.hardware("h100-sxm")[0], weights=weights, tp=1, pp=1)
    return weight_bytes(deployment, deployment.stages[0])


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
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4-g128-zp"),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": True}, "int8-channel"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "int3-g128-zp"),
        ({"quant_method": "gptq", "bits": 2, "group_size": 64}, "int2-g64-zp"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "packing_format": "auto_round:auto_gptq"}, "int4-g128-zp"),
        ({"quant_method": "fp8", "weight_block_size": [64, 64]}, "fp8-block64x64"),
        ({"quant_method": "fp8", "weight_block_size": [1, 128]}, "fp8-block1x128"),
        ({"quant_method": "fp8", "weight_block_size": [1, 32]}, "mxfp8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
        ({"quant_method": "bitsandbytes", "_load_in_4bit": True, "bnb_4bit_use_double_quant": True}, "nf4-dq"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]}, "int8-channel"),
        ({"quant_method": "eetq", "weights": "int8", "modules_to_not_convert": ["lm_head"]}, "int8-channel"),
        ({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}, "ternary"),
        ({"quant_method": "quanto", "weights": "int4"}, "int4-g128-zp"),
        ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 128}}}}, "mlx4-g128"),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "int8-channel"),
        ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Float8DynamicActivationFloat8WeightConfig", "_data": {}}}}, "fp8"),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64, "axis": 1}}}, "mlx4-g64"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}}, "exclude": ["lm_head"]}, "fp8"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}}, "exclude": ["lm_head"]}, "mxfp4"),
        (group(num_bits=3, type="int", strategy="group", group_size=128), "int3-g128"),
        (group(num_bits=6, type="int", strategy="channel"), "int6-channel"),
        (group(num_bits=4, type="int", strategy="group", group_size=128, symmetric=False), "int4-g128-zp"),
        ({"quant_method": "modelopt", "quant_algo": "FP8_PB_WO", "exclude_modules": ["lm_head"]}, "fp8-block128"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4-g64-zp"),
        (group(num_bits=8, type="float", strategy="channel"), "fp8"),
        (group(num_bits=8, type="float", strategy="tensor"), "fp8"),
        (group(num_bits=8, type="float", strategy="block", block_structure=[128, 128]), "fp8-block128"),
        (group(num_bits=8, type="int", strategy="channel"), "int8-channel"),
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
    assert found.dtypes.mix == "dense@0-0=bf16 dense@125-125=bf16" and found.notes is None
    assert weight_dtypes(found, "native").mlp == weight_dtypes(found, "mlp@1-124=fp8").mlp


@pytest.mark.parametrize(
    "kept",
    [
        ["model.layers.*.self_attn"],
        ["self_attn"],
        ["re:.*self_attn.*"],
        ["*self_attn*"],
        ["re:model\\.layers\\.\\d+\\.self_attn\\.(q_a_proj|q_b_proj|kv_a_proj_with_mqa|kv_b_proj|o_proj)"],
        [f"model.language_model.layers.{i}.self_attn" for i in range(61)],
        ["self_attn.q_a_proj", "self_attn.q_b_proj", "self_attn.kv_a_proj_with_mqa", "self_attn.kv_b_proj", "self_attn.o_proj"],
    ],
)
def test_ways_to_name_attention(kept: list[str]) -> None:
    found = dtypes("deepseek-v3", {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": kept})
    assert found == {"default": "bf16", "mlp": "fp8-block128", "experts": "fp8-block128", "shared": "fp8-block128"}


def test_part_of_a_class_is_not_the_class() -> None:
    router_and_norms = ["model.layers.5.mlp.gate", "gate", "model.layers.0.input_layernorm", "mlp.gate_proj"]
    given = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    assert dtypes("deepseek-v3", {**given, "modules_to_not_convert": router_and_norms}) == FP8
    assert size("deepseek-v3", {**given, "modules_to_not_convert": ["self_attn.o_proj"]}) == recipe_size("deepseek-v3", "fp8-block128 o=bf16")


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
        ({"quant_method": "aqlm", "nbits_per_codebook": 16}, "not supported: quant_method 'aqlm'"),
        ({"quant_method": "vptq"}, "not supported: quant_method 'vptq'"),
        ({"method": "mine"}, "not supported: quant_method None"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "not supported: weight_block_size [128]"),
        ({"quant_method": "gptq", "bits": 7, "group_size": 128}, "not supported: 7-bit integers in groups of 128"),
        ({"quant_method": "bitsandbytes"}, "neither load_in_4bit nor load_in_8bit"),
        ({"quant_method": "torchao", "quant_type": "uintx"}, "not supported: torchao's quant_type 'uintx'"),
        ({"quant_method": "gptq", "group_size": 128}, "bits is missing"),
        ({"quant_algo": "MIXED_PRECISION"}, "not supported: quant_algo 'MIXED_PRECISION' without quantized_layers"),
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


def _modelopt(*excluded: str, algorithm: str = "NVFP4") -> dict[str, Any]:
    return {"quant_method": "modelopt", "quant_algo": algorithm, "group_size": 16, "ignore": list(excluded)}


def _listed(**algorithms: str) -> dict[str, Any]:
    """MIXED_PRECISION over 64 layers: module in a layer -> algorithm, with `__` for dots."""
    named = {name.replace("__", "."): {"quant_algo": algorithm} for name, algorithm in algorithms.items()}
    layers = {f"model.language_model.layers.{i}.{name}": algorithm for name, algorithm in named.items() for i in range(64)}
    return {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {**layers, "lm_head": {"quant_algo": "NVFP4"}}}


LAYERS = range(128)
BITS = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True}


# The config path and the name path give the same bytes.
@pytest.mark.parametrize(
    ("name", "quantisation", "recipe"),
    [
        ("llama-3.1-8b", {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "awq"),
        ("llama-3.1-8b", {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, "gptq"),
        ("llama-3.1-8b", {"quant_method": "gptq", "bits": 8, "group_size": 128}, "gptq-int8"),
        ("llama-3.1-8b", {"quant_method": "gptq", "bits": 4, "group_size": 128, "lm_head": True}, "gptq head=gptq"),
        ("llama-3.1-8b", {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}, "bnb-4bit"),
        ("llama-3.1-8b", {"quant_method": "bitsandbytes", "load_in_8bit": True}, "bnb-8bit"),
        ("llama-3.1-8b", {"quant_method": "fbgemm_fp8"}, "fp8"),
        ("llama-3.1-8b", group(**BITS), "w4a16"),
        ("llama-3.1-8b", _modelopt("lm_head", algorithm="FP8"), "fp8"),
        ("llama-3.1-8b", _modelopt(), "nvfp4 head=nvfp4"),
        ("qwen3-30b-a3b", _modelopt("lm_head", "*.mlp.gate", "*router*"), "nvfp4"),
        ("deepseek-v3", {"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block128"),
        ("deepseek-v3.2", {"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block128 index=fp8-block128"),
        ("gpt-oss-120b", {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}, "experts=mxfp4"),
        # lists of nvidia's checkpoints
        (
            "gemma-4-26b-a4b",
            _modelopt("lm_head", *(f"model.language_model.layers.{i}.{part}*" for i in LAYERS for part in ("self_attn", "mlp", "router"))),
            "experts=nvfp4",
        ),
        (
            "kimi-k2.5",
            _modelopt(
                "language_model.lm_head",
                "language_model.model.layers.0.*",
                *(f"language_model.model.layers.{i}.{part}*" for i in LAYERS for part in ("self_attn", "mlp.shared_experts")),
            ),
            "experts=nvfp4",
        ),
        (
            "deepseek-v3",
            _modelopt("lm_head", *(f"model.layers.{i}.self_attn.{part}_proj*" for i in LAYERS for part in ("q_a", "q_b", "kv_a", "kv_b"))),
            "nvfp4 attention=bf16 o=nvfp4",
        ),
        (
            "qwen3.5-27b",
            _listed(mlp="NVFP4", self_attn="FP8", linear_attn="FP8"),
            "mlp=nvfp4 head=nvfp4 attention=fp8 state=fp8",
        ),
        (
            "qwen3.5-35b-a3b",
            _listed(mlp__experts="NVFP4", mlp__shared_expert="NVFP4", self_attn="FP8", linear_attn="FP8"),
            "mlp=nvfp4 head=nvfp4 attention=fp8 state=fp8",
        ),
        # overrides by module
        (
            "llama-3.1-8b",
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:.*down_proj.*": {"bits": 8}, "-:.*o_proj.*": {}}},
            "gptq down=gptq-int8 o=bf16",
        ),
        (
            "llama-3.1-8b",
            {
                "quant_method": "auto-round",
                "bits": 4,
                "group_size": 128,
                "extra_config": {**{f"model.layers.{i}.self_attn.o_proj": {"bits": 8} for i in range(32)}, "model.layers.0.mlp": {"bits": 16}},
            },
            "gptq o=gptq-int8 mlp@0=bf16",
        ),
        (
            "llama-3.1-8b",
            {
                "quant_method": "quark",
                "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}},
                "layer_quant_config": {"*.mlp.*": {"weight": {"dtype": "fp4", "group_size": 32}}},
                "exclude": ["lm_head", "*.o_proj"],
            },
            "fp8 mlp=mxfp4 o=bf16",
        ),
    ],
)
def test_config_and_recipe_agree(name: str, quantisation: dict[str, Any], recipe: str) -> None:
    assert size(name, quantisation) == pytest.approx(recipe_size(name, recipe), rel=1e-9)


def test_mlx() -> None:
    for bits, word in ((4, "mlx-4bit"), (8, "mlx-8bit"), (3, "mlx-3bit")):
        given = config("llama-3.1-8b", quantization={"group_size": 64, "bits": bits}, quantization_config=None)
        found = convert(given, "config.json", "llama-3.1-8b")
        assert bytes_of(build(Model, found, {}, "m"), "native") == recipe_size("llama-3.1-8b", word)
    both = {"group_size": 64, "bits": 4, "mode": "affine", "model.layers.0.mlp.gate_proj": {"group_size": 64, "bits": 8}, "lm_head": False}
    found = convert(config("llama-3.1-8b", quantization=both, quantization_config=both), "config.json", "llama-3.1-8b")
    assert (found["dtype"]["default"], found["dtype"]["embed"], found["dtype"]["head"]) == ("mlx4-g64", "mlx4-g64", "bf16")
    mx = {"group_size": 32, "bits": 4, "mode": "mxfp4"}
    found = convert(config("llama-3.1-8b", quantization=mx, quantization_config=mx), "config.json", "llama-3.1-8b")
    assert bytes_of(build(Model, found, {}, "m"), "native") == recipe_size("llama-3.1-8b", "mlx-mxfp4")


def test_modelopt_on_top_of_a_quantised_checkpoint() -> None:
    """nvidia's NVFP4 of DeepSeek V4: the experts listed, all else as DeepSeek published it."""
    layers = {f"layers.{i}.ffn.experts": {"quant_algo": "NVFP4", "group_size": 16} for i in range(43)}
    beside = {"quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers, "exclude_modules": ["*.attn.*", "head"]}}
    published = config("deepseek-v4-flash")["quantization_config"]
    assert size("deepseek-v4-flash", published, beside) == bytes_of(model("deepseek-v4-flash"), "native experts=nvfp4")


@pytest.mark.parametrize(
    ("scheme", "kv"),
    [("FP8", "fp8"), ("INT8", "int8"), ("NVFP4", "nvfp4"), ({"num_bits": 8, "type": "int"}, "int8"), ({"num_bits": 4, "type": "float"}, "nvfp4")],
)
def test_dtypes_of_the_cache(scheme: Any, kv: str) -> None:
    name = "kv_cache_quant_algo" if isinstance(scheme, str) else "kv_cache_scheme"
    whole = {"quant_algo": "FP8", "exclude_modules": ["lm_head"]} if isinstance(scheme, str) else group(num_bits=8, type="float", strategy="tensor")
    assert dtypes("llama-3.1-8b", {**whole, name: scheme})["kv"] == kv


def test_sparsity_is_said_not_to_count() -> None:
    given = {**group(num_bits=8, type="float", strategy="channel"), "sparsity_config": {"format": "sparse-24-bitmask", "sparsity_structure": "2:4"}}
    assert "Sparsity (sparse-24-bitmask) is not counted." in str(changed("llama-3.1-8b", quantization_config=given).notes)
