"""Models with towers, and models made from others: their published counts of elements, and towers counted by hand from their shapes."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.commands.catalog_list.models import kv_elements_per_token
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count


def model(name: str) -> Model:
    return lookup.model(name)[0]


def biased(depth: int, width: int, inner: int) -> int:
    """Layers of four projections, a network of two matrices and two norms, all with biases."""
    return depth * (4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width)


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def clip_large(positions: int) -> int:
    """CLIP's large tower: patches of 14 without biases, a class token, positions, 24 layers, norms before and after."""
    return 588 * 1_024 + 1_024 + positions * 1_024 + 2 * 2 * 1_024 + biased(24, 1_024, 4_096)


def intern_small(hidden: int) -> int:
    """InternViT 300M: layer scales besides CLIP's layers; four patches joined, a norm and two linear layers."""
    tower = linear(588, 1_024) + 1_024 + 1_025 * 1_024 + biased(24, 1_024, 4_096) + 24 * 2 * 1_024
    return tower + 2 * 4_096 + linear(4_096, hidden) + linear(hidden, hidden)


def intern_large(hidden: int) -> int:
    """InternViT 6B: no biases in queries, keys and values, norms without biases, two more on queries and keys, and layer scales."""
    layer = 4 * 3_200**2 + 3_200 + linear(3_200, 12_800) + linear(12_800, 3_200) + (2 + 2 + 2) * 3_200
    return linear(588, 3_200) + 3_200 + 1_025 * 3_200 + 45 * layer + 2 * 12_800 + linear(12_800, hidden) + linear(hidden, hidden)


def qwen2_vl(hidden: int) -> int:
    """Patches of 14 in two frames, 32 layers of 1,280, a norm, and four patches joined by two linear layers."""
    return 2 * 588 * 1_280 + biased(32, 1_280, 5_120) + 2 * 1_280 + linear(5_120, 5_120) + linear(5_120, hidden)


def pixtral(hidden: int) -> int:
    """Patches of 16, 24 layers of 1,024 as a Llama has them, a norm, and two linear layers."""
    return 768 * 1_024 + 1_024 + 24 * (4 * 1_024**2 + 3 * 1_024 * 4_096 + 2 * 1_024) + linear(1_024, hidden) + linear(hidden, hidden)


# Step-3.7: patches of 14, 52·52 positions, two norms, 47 layers of 1,536 with layer scales, two 3·3 convolutions that double the width
STEP = 588 * 1_536 + 2_704 * 1_536 + 2 * 1_536 + biased(47, 1_536, 8_960) + 47 * 2 * 1_536
STEP += linear(9 * 1_536, 3_072) + linear(9 * 3_072, 6_144) + 6_144 * 4_096

TOWERS = {
    "llava-1.5-7b": clip_large(577) + linear(1_024, 4_096) + linear(4_096, 4_096),
    "llava-1.5-13b": clip_large(577) + linear(1_024, 5_120) + linear(5_120, 5_120),
    "qwen2-vl-2b": qwen2_vl(1_536),
    "qwen2-vl-7b": qwen2_vl(3_584),
    "qwen2-vl-72b": qwen2_vl(8_192),
    "pixtral-12b": pixtral(5_120),
    "apriel-1.5-15b": pixtral(5_120),
    "internvl3-8b": intern_small(3_584),
    "internvl3.5-8b": intern_small(4_096),
    "intern-s1-mini": intern_small(4_096),
    "internvl3-38b": intern_large(5_120),
    "internvl3-78b": intern_large(8_192),
    "internvl3.5-241b-a28b": intern_large(4_096),
    "intern-s1": intern_large(4_096),
    "step-3.7-flash": STEP,
}


@pytest.mark.parametrize(("name", "wanted"), TOWERS.items())
def test_towers_counted_from_their_shapes(name: str, wanted: int) -> None:
    assert count(model(name)).excluded == wanted


# Elements of the checkpoints in safetensors, towers among them: hf_models.json of github.com/AlexsJones/llmfit at v1.1.17
ELEMENTS = {
    "llama-3.2-11b-vision": 10_670_220_835,
    "llama-3.2-90b-vision": 88_593_355_323,
    "qwen2-vl-2b": 2_208_985_600,
    "qwen2-vl-7b": 8_291_375_616,
    "qwen2-vl-72b": 73_405_560_320,
    "pixtral-12b": 12_682_739_712,
    "internvl3-8b": 7_944_373_760,
    "internvl3-38b": 38_388_164_992,
    "internvl3-78b": 78_408_318_336,
    "intern-s1": 240_709_856_128,
    "llava-1.5-7b": 7_063_427_072,
    "llava-1.6-34b": 34_752_083_968,
    "llava-onevision-7b": 8_030_807_584,
    "llava-onevision-72b": 73_181_570_592,
    "glm-4.5v": 107_710_933_120,
    "glm-4.1v-9b": 10_292_777_472,
    "qwen2.5-omni-7b": 8_931_813_888,
    "apriel-1.5-15b": 14_863_859_712,
    "qwen3-embedding-0.6b": 595_776_512,
    "qwen3-embedding-4b": 4_021_774_336,
    "qwen3-embedding-8b": 7_567_295_488,
    "vicuna-7b": 6_738_415_616,
    "vicuna-13b": 13_015_864_320,
    "medgemma-27b": 27_009_002_240,
    "solar-open-100b": 102_651_793_408,
    "solar-pro-preview-22b": 22_140_032_000,
    "trinity-large-400b-a13b": 398_635_286_016,
    "sarvam-105b": 106_031_767_424,
    "laguna-s-2.1": 117_561_977_600,
    "ling-lite": 16_801_974_272,
    "deepseek-moe-16b": 16_375_728_128,
    "arctic": 478_584_608_768,
    "hunyuan-a13b": 80_393_183_232,
    "olmoe-1b-7b": 6_919_161_856,
    "qwen2-57b-a14b": 57_408_658_944,
    # with the MTP layers
    "hy3": 298_786_155_776,
    "k-exaone-236b-a23b": 237_099_669_632,
}


@pytest.mark.parametrize(("name", "elements"), ELEMENTS.items())
def test_checkpoints_to_the_last_element(name: str, elements: int) -> None:
    counted = count(model(name))
    assert counted.total + counted.excluded + counted.mtp == elements


@pytest.mark.parametrize(
    ("name", "bytes_per_token"),
    [
        ("llama-3.2-11b-vision", 131_072),  # 32 layers with a cache that grows: 32 · 2 · 8 · 128 · 2; the 8 of cross-attention keep the image's
        ("llama-3.2-90b-vision", 327_680),  # 80 of 100
        ("qwen2-vl-72b", 327_680),  # 80 · 2 · 8 · 128 · 2
        ("pixtral-12b", 163_840),  # 40 · 2 · 8 · 128 · 2
        ("internvl3-38b", 262_144),  # Qwen2.5 32B's 64 · 2 · 8 · 128 · 2
        ("llava-1.5-7b", 524_288),  # Llama 2 7B's 32 · 2 · 32 · 128 · 2
        ("glm-4.5v", 188_416),  # 46 · 2 · 8 · 128 · 2
        ("mistral-large-3-675b", 70_272),  # 61 · (512 + 64) · 2
        ("mistral-small-4-119b", 23_040),  # 36 · (256 + 64) · 2
        ("hy3", 327_680),  # 80 · 2 · 8 · 128 · 2
        ("trinity-large-400b-a13b", 61_440),  # 15 full layers of 60: 15 · 2 · 8 · 128 · 2
        ("laguna-s-2.1", 49_152),  # 12 of 48
    ],
)
def test_cache_that_a_further_token_adds(name: str, bytes_per_token: int) -> None:
    assert 2 * kv_elements_per_token(model(name)) == bytes_per_token


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b"),
        ("NousResearch/Hermes-3-Llama-3.1-70B", "llama-3.1-70b"),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", "llama-3.1-nemotron-70b"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3-235b-a22b-2507"),
        ("moonshotai/Kimi-K2.7-Code", "kimi-k2.5"),
        ("zai-org/GLM-5.1", "glm-5"),
        ("google/medgemma-27b-text-it", "medgemma-27b"),
        ("Qwen/QwQ-32B", "qwq-32b"),
        ("Salesforce/xLAM-2-32b-fc-r", "qwen2.5-32b"),
    ],
)
def test_repositories_of_derived_models(identifier: str, name: str) -> None:
    assert model(identifier).name == name
