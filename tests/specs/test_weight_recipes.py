"""Recipes: the words of `--weights`, mixes by class, matrix and layer, and the bytes that follow by hand."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment.deployment import deploy
from roofcalc.deployment.speculative import with_drafts
from roofcalc.errors import RoofcalcError
from roofcalc.specs import dtypes, gguf_kinds
from roofcalc.specs.stored_weights import weight_dtypes
from roofcalc.specs.weight_recipes import parse, without_layers

LLAMA = lookup.model("llama-3.1-8b")[0]
MIXTRAL = lookup.model("mixtral-8x7b")[0]
DEEPSEEK = lookup.model("deepseek-v3")[0]


def names(model: str, weights: str, *classes: str) -> list[str]:
    found = weight_dtypes(lookup.model(model)[0], weights)
    return [found.of(name).name for name in classes]


@pytest.mark.parametrize(
    ("word", "label", "linear", "ends"),
    [
        ("fp8", "fp8", "fp8", "bf16"),
        ("FP8_E4M3", "fp8", "fp8", "bf16"),
        ("float8_e4m3fn", "fp8", "fp8", "bf16"),
        ("fp8_e5m2", "fp8", "fp8", "bf16"),
        ("fp8-dynamic", "fp8-dynamic", "fp8", "bf16"),
        ("nvfp4", "nvfp4", "nvfp4", "bf16"),
        ("int4", "int4", "int4-g128-zp", "bf16"),
        ("awq", "awq", "int4-g128-zp", "bf16"),
        ("gptq", "gptq", "int4-g128-zp", "bf16"),
        ("4bit", "int4", "int4-g128-zp", "bf16"),
        ("w4a16", "w4a16", "int4-g128", "bf16"),
        ("gptq-int8", "gptq-int8", "int8-g128-zp", "bf16"),
        ("8bit", "8bit", "int8-channel", "bf16"),
        ("w8a8", "w8a8", "int8", "bf16"),
        ("w8a16", "w8a16", "int8-channel", "bf16"),
        ("nf4", "nf4", "nf4", "bf16"),
        ("bnb-4bit", "bnb-4bit", "nf4-dq", "bf16"),
        ("bnb_8bit", "bnb-8bit", "int8-channel", "bf16"),
        ("int4-g32", "int4-g32", "int4-g32", "bf16"),
        ("4.25bpw", "4.25bpw", "4.25bpw", "bf16"),
        ("mlx-4bit", "mlx-4bit", "mlx4-g64", "mlx4-g64"),
        ("mlx-8bit", "mlx-8bit", "mlx8-g64", "mlx8-g64"),
        ("all=fp8", "all=fp8", "fp8", "fp8"),
        ("all=int4", "all=int4", "int4", "int4"),
        ("half", "fp16", "fp16", "fp16"),
        ("float16", "fp16", "fp16", "fp16"),
        ("bfloat16", "bf16", "bf16", "bf16"),
        ("float32", "fp32", "fp32", "fp32"),
        ("auto", "native", "bf16", "bf16"),
        ("q8_0", "q8_0", "q8_0", "q8_0"),
        ("Q4_0", "q4_0", "q4_0", "q4_0"),
    ],
)
def test_the_words_people_use(word: str, label: str, linear: str, ends: str) -> None:
    assert parse(word).label == label and parse(label).label == label
    assert names("llama-3.1-8b", word, "attention", "mlp", "embed") == [linear, linear, ends]


@pytest.mark.parametrize(
    "text", ["mlp=fp8 attention=bf16", "mlp=fp8+attention=bf16", " attention = bf16 ; mlp=fp8", "fp8 attention=bf16", "attention=bf16 fp8"]
)
def test_mixes_by_class(text: str) -> None:
    assert names("llama-3.1-8b", text, "attention", "mlp", "embed", "head", "norm") == ["bf16", "fp8", "bf16", "bf16", "bf16"]


def test_a_narrower_selector_wins_in_any_order() -> None:
    for text in ("all=fp8 mlp=int8 experts=nvfp4", "experts=nvfp4 mlp=int8 all=fp8"):
        found = names("deepseek-v3", text, "attention", "mlp", "experts", "shared", "head", "router")
        assert found == ["fp8", "int8", "nvfp4", "int8", "fp8", "bf16"]


def test_classes_without_an_item_are_16_bit_or_the_checkpoint_s() -> None:
    assert names("deepseek-v3", "experts=nvfp4", "attention", "experts") == ["bf16", "nvfp4"]
    assert names("deepseek-v3", "native experts=nvfp4", "attention", "experts", "head") == ["fp8-block128", "nvfp4", "bf16"]
    assert names("deepseek-v3", "fp8 router=fp32 index=fp8 norm=fp32", "router", "index", "norm") == ["fp32", "fp8", "fp32"]


def test_layers_and_matrices_are_averaged_over_elements() -> None:
    # 32 layers alike, two of which stay in 16 bits: (30 · 1 + 2 · 2)/32 bytes
    found = weight_dtypes(LLAMA, "fp8 mlp@0=bf16 mlp@31=bf16").mlp
    assert (found.name, found.bytes_per_element, found.compute) == ("fp8+bf16", 34 / 32, "fp8")
    # of attention 4,096 · 4,096 of the output projection, of 4,096 · (4,096 + 6,144) in all
    found = weight_dtypes(LLAMA, "nvfp4 o=bf16").attention
    assert found.bytes_per_element == pytest.approx((0.5625 * 6144 + 2.0 * 4096) / 10_240, rel=1e-12)
    # experts are in layers 3 … 60 of DeepSeek-V3: in 29 of these 58
    assert weight_dtypes(DEEPSEEK, "experts@3-31=nvfp4").experts.bytes_per_element == pytest.approx((0.5625 + 2) / 2)


def test_q4_k_m_by_hand() -> None:
    """Llama 3.1 8B: Q6_K for values and down projections of 4 + 4 layers at the ends, and of every third of the 24 between: 16 of 32."""
    found = weight_dtypes(LLAMA, "q4_k_m")
    q4, q6 = 4.5 / 8, 6.5625 / 8
    assert (found.embed.bytes_per_element, found.head.bytes_per_element) == (q4, q6)
    assert found.mlp.bytes_per_element == pytest.approx((2 * q4 + (q4 + q6) / 2) / 3)  # up, gate and down alike
    value = 1024 / (4096 + 2 * 1024 + 4096)
    assert found.attention.bytes_per_element == pytest.approx(q4 + value * (q6 - q4) / 2)


def test_eight_experts_keep_keys_and_values_in_q8_0() -> None:
    # Mixtral: Q4_K_M with keys and values (1,024 of 10,240 columns each) in Q8_0, outputs (4,096) in Q5_K
    found = weight_dtypes(MIXTRAL, "q4_k_m").attention.bytes_per_element * 8
    assert found == pytest.approx((4.5 * 4096 + 8.5 * 2048 + 5.5 * 4096) / 10_240)


def test_rows_that_do_not_divide_into_blocks_fall_back() -> None:
    """gpt-oss: 2,880 is no multiple of 256: Q4_K becomes Q5_0, Q6_K becomes Q8_0."""
    found = weight_dtypes(lookup.model("gpt-oss-20b")[0], "q4_k_m")
    assert found.head.name == "q8_0" and set(found.attention.name.split("+")) <= {"q5_0", "q8_0", "q4_k"}


def test_every_kind_of_gguf_gives_every_model_of_the_catalog_its_bytes() -> None:
    kinds = {str(gguf_kinds.canonical(name)) for name in gguf_kinds.KINDS}
    for kind in sorted(kinds):
        for name in ("llama-3.1-8b", "mixtral-8x7b", "deepseek-v3", "nemotron-h-8b", "gemma-3-27b", "falcon-7b", "zamba2-1.2b", "phi-4"):
            found = weight_dtypes(lookup.model(name)[0], kind)
            used = [found.of(cls).bytes_per_element * 8 for cls in ("attention", "mlp", "experts")]
            assert all(1.5 < bits <= 16 for bits in used)


def test_a_larger_kind_takes_more_bytes() -> None:
    order = ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m"]
    bits = [weight_dtypes(LLAMA, kind).mlp.bytes_per_element for kind in (*order, "q6_k", "q8_0")]
    assert bits == sorted(bits)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "got nothing"),
        ("awqq", "did you mean awq"),
        ("fp8 nvfp4", "exclude one another"),
        ("mlp=q4_k_m", "a recipe for a whole model"),
        ("mlp=fp9", "unknown dtype 'fp9'"),
        ("mlp@5-3=fp8", "end before they begin"),
        ("mlp@=fp8", "cannot read"),
        ("mlp=", "cannot read"),
        ("knees=fp8", "no class or matrix 'knees'"),
        ("q9_k", "unknown dtype 'q9_k'"),
    ],
)
def test_refusals(text: str, complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=complaint):
        weight_dtypes(LLAMA, text)


def test_a_word_is_a_dtype_where_a_class_is_named() -> None:
    assert dtypes.dtype("int4").bytes_per_element * 8 == 4.125 and weight_dtypes(LLAMA, "int4").mlp.bytes_per_element * 8 == 4 + 20 / 128
    assert weight_dtypes(LLAMA, "mlp=int4").mlp.bytes_per_element * 8 == 4.125
    assert weight_dtypes(LLAMA, "mlp=awq").mlp.bytes_per_element * 8 == 4 + 20 / 128


def test_numbered_layers_are_those_of_the_model_not_of_its_prediction_layers() -> None:
    # DeepSeek-V3's prediction layer has experts of its own, whatever layers 0 … 60 have
    assert without_layers("fp8 experts@3-60=nvfp4") == "fp8" and without_layers("experts@3-60=nvfp4") == "bf16"
    deployment = deploy(DEEPSEEK, lookup.hardware("8xh200-sxm")[0], weights="fp8 experts@0-60=nvfp4")
    draft = with_drafts(deployment, None, 0.8, None, True).draft
    assert draft and draft.deployment and draft.deployment.weight_dtype("experts").name == "fp8"
    assert deployment.weight_dtype("experts").name == "nvfp4"
