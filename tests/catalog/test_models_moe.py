"""What the catalog says of models with experts or latent attention, beside their totals: caches, layers, checkpoints to the last element."""

from collections.abc import Callable

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs import dtypes
from roofcalc.specs.attention import GQA
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.latent_attention import MLA, Pooled
from roofcalc.specs.model import Block, Model
from roofcalc.specs.parameter_count import count


def model(name: str) -> Model:
    return lookup.model(name)[0]


def layers(name: str, chosen: Callable[[Block], bool]) -> int:
    """Layers whose block is one of the chosen."""
    found = model(name)
    return sum(times for block, times in found.groups.items() if chosen(found.blocks[block]))


# 16-bit cache bytes that one token leaves in all layers, before any window cuts them off:
# layers x (KV heads x (key + value), or latent + rotary key, or one vector that is both) x 2
TOKEN_BYTES = {
    "deepseek-v3": 61 * (512 + 64) * 2,  # 70,272
    "deepseek-r1": 70_272,
    "deepseek-v3.2": 70_272,
    "deepseek-v2": 60 * 576 * 2,
    "deepseek-v2-lite": 27 * 576 * 2,
    "kimi-k2": 70_272,
    "kimi-k2.5": 70_272,
    "glm-5": 78 * 576 * 2,
    "glm-4.7-flash": 47 * 576 * 2,
    "longcat-flash": 28 * 2 * 576 * 2,  # two attentions per layer: 64,512
    "gpt-oss-120b": 36 * 8 * (64 + 64) * 2,  # 73,728
    "gpt-oss-20b": 24 * 8 * 128 * 2,  # 49,152
    "qwen3-235b-a22b": 94 * 4 * 256 * 2,
    "qwen3-30b-a3b": 48 * 4 * 256 * 2,
    "mixtral-8x7b": 32 * 8 * 256 * 2,  # 131,072
    "mixtral-8x22b": 56 * 8 * 256 * 2,
    "glm-4.5": 92 * 8 * 256 * 2,
    "llama-4-maverick": 48 * 8 * 256 * 2,
    "minimax-m2": 62 * 8 * 256 * 2,
    "minimax-m3": 60 * 4 * 256 * 2,
    "step3": 61 * 1 * 512 * 2,
    "step-3.5-flash": 45 * 8 * 256 * 2,
    "hunyuan-large": 32 * 8 * 160 * 2,  # every second of 64 layers has none of its own
    "mimo-v2-flash": (9 * 4 + 39 * 8) * (192 + 128) * 2,  # 222,720
    "grok-1": 64 * 8 * 256 * 2,
    "dbrx": 40 * 8 * 256 * 2,
    "mistral-large-3-675b": 70_272,
    "mistral-small-4-119b": 36 * (256 + 64) * 2,
    "moonlight-16b-a3b": 27 * 576 * 2,
    "glm-4.5v": 46 * 8 * 256 * 2,
    "sarvam-105b": 32 * 576 * 2,
}


@pytest.mark.parametrize(("name", "wanted"), TOKEN_BYTES.items())
def test_cache_bytes_of_a_token(name: str, wanted: int) -> None:
    found = model(name)
    elements = 0
    for block, times in found.groups.items():
        attention = found.blocks[block].attention
        if attention is not None and not (isinstance(attention, GQA) and attention.kv == "shared"):
            elements += times * attention.entry_elements()
    assert elements * 2 == wanted


# Experts, how many of them per token, layers that have them, dense layers before the first of those
EXPERTS = {
    "deepseek-v3": (256, 8, 58, 3),
    "deepseek-v2": (160, 6, 59, 1),
    "deepseek-v2-lite": (64, 6, 26, 1),
    "deepseek-v4-flash": (256, 6, 43, 0),
    "deepseek-v4-pro": (384, 6, 61, 0),
    "kimi-k2": (384, 8, 60, 1),
    "gpt-oss-120b": (128, 4, 36, 0),
    "gpt-oss-20b": (32, 4, 24, 0),
    "qwen3-235b-a22b": (128, 8, 94, 0),
    "qwen3-coder-480b-a35b": (160, 8, 62, 0),
    "glm-4.5": (160, 8, 89, 3),
    "glm-4.5-air": (128, 8, 45, 1),
    "glm-5": (256, 8, 75, 3),
    "glm-5.2": (256, 8, 75, 3),
    "minimax-m3": (128, 4, 57, 3),
    "llama-4-scout": (16, 1, 48, 0),
    "llama-4-maverick": (128, 1, 24, 1),  # every second layer
    "step3": (48, 3, 56, 4),  # and a dense one last
    "step-3.5-flash": (288, 8, 42, 3),
    "mimo-v2-flash": (256, 8, 47, 1),
    "ling-1t": (256, 8, 76, 4),
    "ernie-4.5-300b-a47b": (64, 8, 51, 3),
    "longcat-flash": (512, 12, 28, 1),
    "arctic": (128, 2, 35, 0),
    "hy3": (192, 8, 79, 1),
    "mistral-large-3-675b": (128, 4, 58, 3),
    "mistral-small-4-119b": (128, 4, 36, 0),
    "glm-4.5v": (128, 8, 45, 1),
    "moonlight-16b-a3b": (64, 6, 26, 1),
    "ling-lite": (64, 6, 28, 0),
}


@pytest.mark.parametrize(("name", "wanted"), EXPERTS.items())
def test_layers_of_experts(name: str, wanted: tuple[int, int, int, int]) -> None:
    found = model(name)
    before = 0
    for block, times in found.runs:
        if isinstance(found.blocks[block].mlp, Experts):
            break
        before += times
    (mlp,) = {(part.experts, part.top_k) for part in (block.mlp for block in found.blocks.values()) if isinstance(part, Experts)}
    assert (*mlp, layers(name, lambda block: isinstance(block.mlp, Experts)), before) == wanted


# Layers of a kind, from the configs' lists
@pytest.mark.parametrize(
    ("name", "chosen", "wanted"),
    [
        ("gpt-oss-120b", lambda block: block.attention.window == 128, 18),  # layer_types: every second
        ("gpt-oss-20b", lambda block: block.attention.window == 128, 12),
        ("llama-4-scout", lambda block: block.attention.chunk == 8192, 36),  # three of four
        ("llama-4-maverick", lambda block: block.attention.chunk == 8192, 36),
        ("mimo-v2-flash", lambda block: block.attention.window == 128, 39),  # 48 less 9 full ones
        ("step-3.5-flash", lambda block: block.attention.heads == 96, 33),  # 45 less 12 full ones of 64 heads
        ("glm-5.2", lambda block: not block.attention.index.shared, 21),  # layers 0, 1, 2 and 6, 10 … 74
        ("glm-5.2", lambda block: block.attention.index.shared, 57),
        ("deepseek-v4-flash", lambda block: block.attention.pool.ratio == 4, 21),  # compress_ratios: 0 0, then 4 and 128 by turns
        ("deepseek-v4-flash", lambda block: block.attention.pool.ratio == 128, 20),
        ("deepseek-v4-flash", lambda block: block.attention.pool.ratio == 0, 2),
        ("deepseek-v4-pro", lambda block: block.attention.pool.ratio == 4, 30),  # 128 128, then 4 and 128 by turns
        ("deepseek-v4-pro", lambda block: block.attention.pool.ratio == 128, 31),
        ("minimax-m3", lambda block: block.attention.blocks is not None, 57),  # sparse_attention_freq: all but the first three
        ("llama-4-maverick", lambda block: isinstance(block.mlp, Dense) and block.mlp.width == 16384, 24),
    ],
)
def test_layers_of_a_kind(name: str, chosen: Callable[[Block], bool], wanted: int) -> None:
    assert layers(name, chosen) == wanted


def test_spans_of_sparse_attention() -> None:
    v32 = model("deepseek-v3.2").blocks["moe"].attention
    v4 = model("deepseek-v4-pro").blocks["fine"].attention
    m3 = model("minimax-m3").blocks["sparse"].attention
    assert isinstance(v32, MLA) and v32.index is not None and (v32.index.heads, v32.index.top_k) == (64, 2048)
    assert isinstance(v4, Pooled) and v4.pool.index is not None and v4.pool.index.top_k == 1024 and v4.entry_elements() == 512
    assert isinstance(m3, GQA) and m3.blocks is not None and (m3.blocks.top_k + m3.blocks.local) * m3.blocks.size == 17 * 128


# What the published safetensors hold beside the language model's weights, element by element. A scale belongs to each
# 128 x 128 block of an 8-bit matrix; a matrix of r x c has ceil(r/128)·ceil(c/128) of them.
V3_EMBEDDING = 129_280 * 7_168
# DeepSeek-V3, blocks per layer: q_down 56·12, q_up 12·192, kv_down 56·5, kv_up 4·256, o 128·56 = 11,448; dense 3·56·144;
# expert 3·56·16 = 2,688, 257 of them; 58 layers of experts and the MTP layer
V3_SCALES = 3 * (11_448 + 24_192) + 59 * (11_448 + 257 * 2_688)
# V3.2's indexer adds queries 12·64 and keys 56·1 in 61 layers and the MTP layer; its head weights are not 8-bit
V32_SCALES = V3_SCALES + 62 * (768 + 56)
# Kimi K2: 64 heads: 672 + 12·96 + 280 + 4·128 + 64·56 = 6,200; one dense layer, 60 of 385 experts
K2_SCALES = 6_200 + 24_192 + 60 * (6_200 + 385 * 2_688)
# MiniMax-M2: qkv 24·64, o 48·24, 256 experts of 3·24·12
M2_SCALES = 62 * (1_536 + 1_152 + 256 * 864)
# MiMo-V2-Flash, without the output projections, which are 16-bit: 9 layers of q 32·96, k 32·6, v 32·4; 39 of q 32·96, k 32·12,
# v 32·8 = 3,712; one dense network 3·32·128, 47 times 256 experts of 3·32·16; three MTP layers with dense networks
MIMO_SCALES = 9 * 3_392 + 39 * 3_712 + 12_288 + 47 * 256 * 1_536 + 3 * (3_712 + 12_288)
# V4 Flash: 8·32, 8·256, 32·4, groups 8·32·8, o 64·32 = 6,528; 257 experts of 3·32·16; 44 layers; index queries 8·64 in 21; MTP's two projections
V4_FLASH = 44 * (6_528 + 257 * 1_536) + 21 * 512 + 2 * 32 * 32
# V4 Pro: 56·12, 12·512, 56·4, groups 16·32·8, o 128·56 = 18,304; 385 experts of 3·56·24; 62 layers; index queries 12·64 in 30
V4_PRO = 62 * (18_304 + 385 * 4_032) + 30 * 768 + 2 * 56 * 56
# Three layers route by a table of six experts per token, in place of the router's bias
V4_FLASH_ALSO = 3 * (129_280 * 6 - 256) + V4_FLASH
V4_PRO_ALSO = 3 * (129_280 * 6 - 384) + V4_PRO
# Two 4-bit weights count as one element, and a scale belongs to 32: what that leaves of experts' elements and block scales
V4_FLASH_EXPERTS = 44 * 256 * 3 * 4_096 * 2_048
V4_PRO_EXPERTS = 62 * 384 * 3 * 7_168 * 3_072
# Kimi K2.5: a scale per 32 of the experts' weights, and each matrix's two sizes, counted as eight 4-bit numbers each
K25_EXPERTS = 60 * 384 * 3 * 7_168 * 2_048


def packed(experts: int) -> int:
    return experts // 2 + experts // 32 - experts - experts // 128**2


ELEMENTS = {
    "deepseek-v3": (684_531_386_000, 2 * V3_EMBEDDING + V3_SCALES),
    "deepseek-r1": (684_531_386_000, 2 * V3_EMBEDDING + V3_SCALES),
    "deepseek-v3.2": (685_396_921_376, 2 * V3_EMBEDDING + V32_SCALES),
    "kimi-k2": (1_026_470_731_056, K2_SCALES + 61 * 56),  # 56 numbers more in each layer: not known what they are
    "kimi-k2.5": (1_058_589_420_528, 471_143_920 + K25_EXPERTS // 32 + 60 * 384 * 3 * 2 * 8),
    "minimax-m2": (228_703_644_928, M2_SCALES),
    "mimo-v2-flash": (309_785_318_400, MIMO_SCALES + 576),  # 576 numbers more: not known what they are
    "deepseek-v4-flash": (158_069_433_298, V4_FLASH_ALSO + packed(V4_FLASH_EXPERTS)),
    "deepseek-v4-pro": (861_608_274_846, V4_PRO_ALSO + packed(V4_PRO_EXPERTS)),
}


@pytest.mark.parametrize(("name", "elements"), ELEMENTS.items())
def test_checkpoints_to_the_last_element(name: str, elements: tuple[int, int]) -> None:
    published, also = elements
    found = count(model(name))
    assert found.total + found.mtp + also == published


def test_v4_base_checkpoints_to_the_last_element() -> None:
    # The Base models keep 8-bit experts, and the MTP layer's own embedding and head
    for name, published, also in (("deepseek-v4-flash", 292_021_347_282, V4_FLASH_ALSO), ("deepseek-v4-pro", 1_600_790_440_862, V4_PRO_ALSO)):
        found = count(model(name))
        assert found.total + found.mtp + 2 * found.embedding + also == published


def transformer(depth: int, width: int, inner: int) -> int:
    """A vision tower's layers: four projections, a network of two matrices, two norms, all with biases."""
    return depth * (4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width)


def merger(width: int, out: int) -> int:
    """Two linear layers with biases on four patches of `width` joined."""
    return (4 * width) * (4 * width + 1) + out * (4 * width + 1)


# Patches, positions and norms; layers; and what joins the towers to the language model, from the configs' vision parts
TOWERS = {
    "llama-4-scout": 588 * 1_408 + 1_408 + 577 * 1_408 + 4 * 1_408 + transformer(34, 1_408, 5_632) + 5_632 * 4_096 + 4_096**2 + 4_096 * 5_120,
    "kimi-k2.5": 589 * 1_152 + 64 * 64 * 1_152 + 2 * 1_152 + transformer(27, 1_152, 4_304) + 2 * 1_152 + merger(1_152, 7_168),
    "qwen3-vl-235b-a22b": 1_537 * 1_152 + 2_304 * 1_152 + transformer(27, 1_152, 4_304) + 2 * 1_152 + 3 * 2 * 4_608 + 4 * merger(1_152, 4_096),
    "qwen3-vl-30b-a3b": 1_537 * 1_152 + 2_304 * 1_152 + transformer(27, 1_152, 4_304) + 2 * 1_152 + 3 * 2 * 4_608 + 4 * merger(1_152, 2_048),
    "minimax-m3": 2 * 588 * 1_280 + 2 * 1_280 + transformer(32, 1_280, 5_120) + 1_281 * 6_144 + 2 * 6_145 * 6_144 + 24_577 * 6_144,
}


@pytest.mark.parametrize(("name", "wanted"), TOWERS.items())
def test_towers_counted_from_their_shapes(name: str, wanted: int) -> None:
    assert count(model(name)).excluded == wanted


def native_bytes(found: Model) -> float:
    """Weights in the checkpoint's own mix, the MTP layers and their 16-bit projections with them."""

    def width(tensor: str) -> float:
        return dtypes.dtype(getattr(found.dtypes, tensor) or found.dtypes.default).bytes_per_element

    def layer(block: Block) -> float:
        matrices = sum(matrix.elements * width(matrix.tensor) for one in block.parts for matrix in one.matrices(found.hidden))
        return matrices + found.block_vectors(block) * width("norm")

    total = sum(times * layer(found.blocks[block]) for block, times in found.groups.items()) + found.outer_vectors() * width("norm")
    total += found.embedding().elements * width("embed") + found.head().elements * width("head")
    if found.mtp:
        total += found.mtp.heads * (layer(found.blocks[found.mtp.layers]) + 2 * found.hidden**2 * 2)
    return total


# Sizes of the published files; DeepSeek-V3's hold the MTP layer's own embedding and head, 16-bit
@pytest.mark.parametrize(
    ("name", "size", "also", "to"),
    [
        ("gpt-oss-20b", 12.8 * 2**30, 0, 0.005),  # arXiv 2508.10925, table 1
        ("gpt-oss-120b", 60.8 * 2**30, 0, 0.002),
        ("deepseek-v3", 688_586_727_753, 2 * V3_EMBEDDING * 2, 0.001),  # the repository's weight files
        ("deepseek-v4-flash", 160e9, 0, 0.01),  # "~160 GB", "~865 GB": framia.pro/page/en-US/news/deepseek-v4-parameters
        ("deepseek-v4-pro", 865e9, 0, 0.001),
        ("llama-4-scout", 217_283_738_720 - 2 * 871_932_416, 0, 1e-5),  # the repository's weight files, less the tower
    ],
)
def test_native_dtypes_give_the_size_of_the_files(name: str, size: float, also: int, to: float) -> None:
    assert native_bytes(model(name)) + also == pytest.approx(size, rel=to)
