"""Claims on the catalog's hybrid and newest models that are not parameter totals: layers per kind, states, caches, tensors."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs.attention import GQA
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.latent_attention import MLA
from roofcalc.specs.layer_pattern import Runs
from roofcalc.specs.model import Block, Model
from roofcalc.specs.parameter_count import block_total, count
from roofcalc.specs.state_space import KDA, GatedDeltaNet, Lightning, Mamba1, Mamba2, ShortConvolution


def model(name: str) -> Model:
    return lookup.model(name)[0]


def states(name: str) -> int:
    """Elements of the recurrent states of one sequence."""
    one = model(name)
    return sum(layers * one.blocks[block].state.elements() for block, layers in one.groups.items() if one.blocks[block].state)  # type: ignore[union-attr]


def positions(runs: Runs, *names: str) -> list[int]:
    """Layer numbers, from 0, of the blocks called `names`."""
    order = [name for name, layers in runs for _ in range(layers)]
    return [number for number, name in enumerate(order) if name in names]


# Layers with attention, with a recurrent state, with a feed-forward part. Each by counting the publisher's pattern.
KINDS = {
    "falcon-mamba-7b": (0, 64, 0),
    "jamba-1.5-mini": (4, 28, 32),  # 32 layers, attention every 8th
    "jamba-1.5-large": (9, 63, 72),  # 72 layers, attention every 8th
    "jamba2-3b": (2, 26, 28),  # 28 layers, attention every 14th
    "falcon-h1-34b": (72, 72, 72),  # side by side in every layer
    "nemotron-h-8b": (4, 24, 24),  # 4 *, 24 M, 24 -
    "nemotron-h-47b": (5, 45, 48),  # 5 *, 45 M, 48 -
    "nemotron-h-56b": (10, 54, 54),  # 10 *, 54 M, 54 -
    "nemotron-nano-9b-v2": (4, 27, 25),  # 4 *, 27 M, 25 -
    "nemotron-nano-12b-v2": (6, 28, 28),  # 6 *, 28 M, 28 -
    "nemotron-3-nano-30b-a3b": (6, 23, 23),  # 6 *, 23 M, 23 E
    "nemotron-3-super-120b-a12b": (8, 40, 40),  # 8 *, 40 M, 40 E
    "nemotron-3-ultra-550b-a55b": (12, 48, 48),  # 12 *, 48 M, 48 E
    "granite-4.0-h-small": (4, 36, 40),  # layers 5, 15, 25 and 35 of 40
    "bamba-9b": (3, 29, 32),  # layers 9, 18 and 27 of 32
    "zamba2-2.7b": (9, 54, 9),  # a shared block before 9 of 54 Mamba layers
    "lfm2-2.6b": (8, 22, 30),  # 8 of 30
    "minimax-text-01": (10, 70, 80),  # 7 to 1
    "qwen3-next-80b-a3b": (12, 36, 48),  # 3 to 1
    "qwen3.5-397b-a17b": (15, 45, 60),  # 3 to 1
    "kimi-linear-48b-a3b": (7, 20, 27),  # 4, 8, 12, 16, 20, 24 and 27
    "kimi-k3": (24, 69, 93),  # every 4th of 92, and the 93rd
    "ling-3.0-flash": (7, 35, 42),  # every 6th
    "ring-2.5-1t": (10, 70, 80),  # every 8th
    "gemma-4-26b-a4b": (30, 0, 30),
}


@pytest.mark.parametrize(("name", "layers"), KINDS.items())
def test_layers_per_kind(name: str, layers: tuple[int, int, int]) -> None:
    one = model(name)

    def having(part: str) -> int:
        return sum(n for block, n in one.groups.items() if getattr(one.blocks[block], part) is not None)

    assert (having("attention"), having("state"), having("mlp")) == layers


# Where the layers with attention stand, from 0, as the publishers' lists have them.
PLACES = {
    "kimi-linear-48b-a3b": ("mla", [3, 7, 11, 15, 19, 23, 26]),
    "bamba-9b": ("attn", [9, 18, 27]),
    "granite-4.0-h-1b": ("attn", [5, 15, 25, 35]),
    "granite-4.0-h-350m": ("attn", [10, 13, 17, 27]),
    "lfm2-1.2b": ("full", [2, 5, 8, 10, 12, 14]),
    "lfm2-2.6b": ("full", [2, 5, 9, 13, 17, 21, 24, 27]),
    "lfm2-8b-a1b": ("full", [2, 6, 10, 14, 18, 21]),
    "jamba2-3b": ("attn", [7, 21]),
    "qwen3.5-0.8b": ("full", [3, 7, 11, 15, 19, 23]),
}


@pytest.mark.parametrize(("name", "block", "places"), [(name, *place) for name, place in PLACES.items()])
def test_places_of_attention(name: str, block: str, places: list[int]) -> None:
    assert positions(model(name).runs, block) == places


# Elements of the recurrent states of one sequence, all layers, by hand from the published shapes.
STATES = {
    "falcon-mamba-7b": 64 * 8192 * 16,
    "mamba2-2.7b": 64 * 80 * 64 * 128,
    "jamba-1.5-mini": 28 * 8192 * 16,
    "falcon-h1-34b": 72 * 32 * 128 * 256,
    "nemotron-h-56b": 54 * 256 * 64 * 256,
    "nemotron-nano-9b-v2": 27 * 128 * 80 * 128,
    "minimax-text-01": 70 * 64 * 128 * 128,
    "qwen3-next-80b-a3b": 36 * 32 * 128 * 128,
    "kimi-linear-48b-a3b": 20 * 32 * 128 * 128,
    "kimi-k3": 69 * 96 * 128 * 128,
    "lfm2-1.2b": 0,
    "gemma-4-31b": 0,
}


@pytest.mark.parametrize(("name", "elements"), STATES.items())
def test_elements_of_the_states(name: str, elements: int) -> None:
    assert states(name) == elements


def test_state_of_a_qwen3_next_sequence() -> None:
    # 36 layers: 32 heads of 128 × 128 in fp32 = 2 MiB each; the convolution keeps 3 inputs of 2·16·128 + 32·128 = 8192
    # channels in bf16 = 49,152 bytes each; 36·(2,097,152 + 49,152) = 77,266,944 bytes = 73.7 MiB
    state = model("qwen3-next").blocks["linear"].state
    assert isinstance(state, GatedDeltaNet)
    one = state.elements() * 4 + state.channels(1) * (state.conv - 1) * 2
    assert 36 * one == 77_266_944 and 36 * one / 2**20 == pytest.approx(73.7, abs=0.02)


def test_a_qwen3_next_token_costs_little_cache() -> None:
    # 12 layers with 2 KV heads of 256: 12·2·2·256·2 bytes = 24 KiB, so that the state equals about 3,144 tokens
    attention = model("qwen3-next").blocks["full"].attention
    assert isinstance(attention, GQA)
    assert 12 * attention.entry_elements() * 2 == 24 * 1024


def test_latent_caches() -> None:
    # 512 latent and 64 rotary numbers per token and layer; Kimi Linear keeps 7 such layers of 27, Kimi K3 24 of 93
    for name, layers in (("kimi-linear", 7), ("kimi-k3", 24), ("ling-3.0-flash", 7)):
        one = model(name)
        attention = one.blocks["mla"].attention
        assert isinstance(attention, MLA)
        assert one.groups["mla"] * attention.entry_elements() == layers * 576


def test_groups_are_not_divided_below_one() -> None:
    # Granite 4 H-Small: one group of B and C for all ranks: 8192/8 inner channels and 2·128 on each of 8
    state = model("granite-4.0-h-small").blocks["mamba"].state
    assert isinstance(state, Mamba2)
    assert state.channels(1) == 8192 + 256 and state.channels(8) == 1024 + 256


def test_short_convolutions_keep_two_inputs() -> None:
    # LFM2 1.2B: 10 layers, 2 inputs of 2048 channels in bf16 = 80 KiB a sequence, whatever its length
    one = model("lfm2-1.2b")
    state = one.blocks["conv"].state
    assert isinstance(state, ShortConvolution)
    assert one.groups["conv"] * state.convolution() * 2 == 80 * 1024


# Parameters of one layer as the header of Kimi K3's files has them (k3-layers.json of model-research-atlas), less the
# norm of the latent input, 3584, and the decay rates of 32 heads that pad 96 to 128.
@pytest.mark.parametrize(
    ("block", "params"),
    [("dense_kda", 1_170_446_592 - 32), ("kda", 30_228_720_256 - 3584 - 32), ("mla", 30_017_175_936 - 3584)],
)
def test_layers_of_kimi_k3(block: str, params: int) -> None:
    one = model("kimi-k3")
    assert block_total(one, one.blocks[block]) == params


def test_routed_experts_of_kimi_k3() -> None:
    # 92 layers · 896 experts · 3 · 3584 · 3072 = 2,722,740,830,208, the count of 4-bit weights in its files
    one = model("kimi-k3")
    routed = 0
    for name, layers in one.groups.items():
        network = one.blocks[name].mlp
        if isinstance(network, Experts):
            matrices = [m for m in network.matrices(one.hidden) if m.name.startswith("expert_")]
            routed += layers * sum(m.elements for m in matrices)
    assert routed == 2_722_740_830_208


def test_multi_token_layers() -> None:
    # NVIDIA publishes Super's MTP layer as a checkpoint of its own: 2,942,325,248
    assert count(model("nemotron-3-super")).mtp == 2_942_325_248
    # Qwen3-Next's files hold 81,324,862,720, Qwen3-Coder-Next's 79,674,391,296 without the layer
    assert count(model("qwen3-next")).mtp == 81_324_862_720 - 79_674_391_296
    assert count(model("qwen3-coder-next")).mtp == 0


def test_gemma_4_global_layers_have_shapes_of_their_own() -> None:
    # 26B-A4B: 25 windowed layers with 8 heads of 256 and a window of 1024, 5 global with 2 heads of 512
    one = model("gemma-4-26b-a4b")
    local, full = one.blocks["local"].attention, one.blocks["full"].attention
    assert isinstance(local, GQA) and isinstance(full, GQA)
    assert (local.kv_heads, local.head_dim, local.window) == (8, 256, 1024)
    assert (full.kv_heads, full.head_dim, full.window) == (2, 512, None)
    assert full.heads * full.head_dim == 8192 and local.heads * local.head_dim == 4096


def test_gemma_4_layers_that_borrow_a_cache() -> None:
    # E2B: layers 15 to 34 borrow; E4B: 24 to 41
    assert positions(model("gemma-4-e2b").runs, "local_borrowed", "full_borrowed") == list(range(15, 35))
    assert positions(model("gemma-4-e4b").runs, "local_borrowed", "full_borrowed") == list(range(24, 42))
    # the look-up table of 256 per layer: 262,144 · 35 · 256 = 2,348,810,240, never multiplied by
    one = model("gemma-4-e2b")
    assert one.extra_embed is not None and one.extra_embed.rows * one.extra_embed.dim == 2_348_810_240
    assert count(one).active < count(one).total - 2_348_810_240 + one.head().elements


def test_zamba2_stores_two_blocks_and_uses_them_thirteen_times() -> None:
    # 7B: qkv 3·7168² = 154,140,672, o 7168·3584 = 25,690,112, mlp 3·3584·14336 = 154,140,672, norms 3·3584 = 10,752:
    # 333,982,208 together; 13 uses of 2 copies leave 11 that are not stored
    one = model("zamba2-7b")
    shared = one.blocks["shared"]
    assert isinstance(shared, Block) and block_total(one, shared) == 333_982_208
    counted = count(one)
    assert counted.active - counted.total == 11 * 333_982_208


def test_states_are_kept_in_fp32() -> None:
    for name in ("nemotron-h-8b", "nemotron-3-ultra", "qwen3.5-27b", "kimi-linear", "falcon-h1-34b", "minimax-text-01"):
        one = model(name)
        kinds = [block.state for block in one.blocks.values() if block.state is not None]
        assert kinds and all(isinstance(state, (Mamba1, Mamba2, GatedDeltaNet, KDA, Lightning)) and state.dtype == "fp32" for state in kinds)
