"""Claims about the catalog's dense models besides their parameter counts; each literal is worked by hand beside it."""

import pytest

from roofcalc.catalog import lookup
from roofcalc.commands.catalog_list.models import kv_elements_per_token
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.physics import memory
from roofcalc.specs.attention import GQA
from roofcalc.specs.feedforward import Dense
from roofcalc.specs.model import Model


def model(name: str) -> Model:
    return lookup.model(name)[0]


def alone(name: str) -> Deployment:
    """The model on one device, whether it fits or not."""
    return deploy(model(name), lookup.hardware("h100-sxm")[0], weights="native", kv=None, assumptions=assumptions())


def attention(name: str, block: str = "block") -> GQA:
    found = model(name).blocks[block].attention
    assert isinstance(found, GQA)
    return found


@pytest.mark.parametrize(
    ("name", "bytes_per_token"),
    [
        ("llama-2-7b", 524_288),  # 32 layers · 2 · 32 heads · 128 · 2 bytes
        ("mpt-30b", 1_376_256),  # 48 · 2 · 64 · 112 · 2
        ("falcon-7b", 8_192),  # 32 · 2 · 1 · 64 · 2: one head for 71 of queries
        ("glm-4-32b-0414", 62_464),  # 61 · 2 · 2 · 128 · 2: two heads for 48
        ("qwen1.5-72b", 2_621_440),  # 80 · 2 · 64 · 128 · 2, before the family had grouped queries
        ("qwen2.5-72b", 327_680),  # 80 · 2 · 8 · 128 · 2, an eighth
        ("llama-3.1-nemotron-ultra-253b", 262_144),  # 64 of 162 blocks have attention: 64 · 2 · 8 · 128 · 2
        ("llama-3.3-nemotron-super-49b", 200_704),  # 49 of 80: 49 · 2 · 8 · 128 · 2
        ("gemma-3-27b", 81_920),  # only the 10 full layers grow: 10 · 2 · 16 · 128 · 2
        ("command-a-111b", 65_536),  # 16 of 64: 16 · 2 · 8 · 128 · 2
        ("gemma-3n-e4b", 8_192),  # 4 full layers with a cache of their own: 4 · 2 · 2 · 256 · 2
        ("mistral-7b-v0.1", 0),  # every layer windowed
    ],
)
def test_cache_that_a_further_token_adds(name: str, bytes_per_token: int) -> None:
    assert 2 * kv_elements_per_token(model(name)) == bytes_per_token


@pytest.mark.parametrize(
    ("name", "tokens", "bytes_"),
    [
        # 10 full layers · 131,072 · 8,192 bytes and 52 windowed ones · 1,024 · 8,192
        ("gemma-3-27b", 131_072, 10_737_418_240 + 436_207_616),
        # 32 layers · 2 · 32 · 96 · 2 bytes = 393,216 a token, and the window keeps 2,047 of 4,096
        ("phi-3-mini-4k", 4_096, 804_913_152),
        # 13 of 26 layers full, each 2 · 4 · 256 · 2 = 4,096 bytes a token: 13 · 4,096 · (8,192 + 4,096)
        ("gemma-2-2b", 8_192, 654_311_424),
        # 8 of 32 layers full, each 2 · 32 · 128 · 2 = 16,384: 16,384 · (8 · 65,536 + 24 · 4,096)
        ("olmo-3-7b", 65_536, 10_200_547_328),
        # layers that borrow keep nothing: 16 windowed and 4 full, each 2 · 2 · 256 · 2 = 2,048: 2,048 · (16 · 512 + 4 · 32,768)
        ("gemma-3n-e4b", 32_768, 285_212_672),
        # the same 20 owners in the smaller model
        ("gemma-3n-e2b", 32_768, 285_212_672),
        # 32 layers · 2 · 4 · 128 · 2 = 65,536 a token, windows of 4,096
        ("starcoder2-7b", 16_384, 268_435_456),
    ],
)
def test_cache_of_one_sequence(name: str, tokens: int, bytes_: int) -> None:
    deployment = alone(name)
    assert memory.kv_bytes(deployment, deployment.stages[0], tokens) == bytes_


def test_declared_windows_that_never_bite_are_off() -> None:
    # Qwen's use_sliding_window is false; Phi's window of 262,144 and Ministral's of 32,768 reach past their contexts
    for name in ("qwen2-7b", "qwen2.5-7b", "mimo-7b", "phi-3-mini-128k", "phi-3.5-mini", "phi-4-mini", "ministral-8b-2410"):
        assert attention(name).window is None, name


def test_windows_come_before_the_full_layer() -> None:
    # Gemma 3: five and one, and a tail of two; Cohere, OLMo 3, EXAONE 4: three and one; Gemma 2: one and one
    assert model("gemma-3-27b").runs[:3] == (("local", 5), ("full", 1), ("local", 5))
    assert model("gemma-3-27b").runs[-1] == ("local", 2)
    for name in ("command-r7b", "olmo-3-32b", "exaone-4.0-32b"):
        assert model(name).runs[:2] == (("local", 3), ("full", 1)), name
        assert model(name).runs[-1] == ("full", 1), name
    assert model("gemma-2-9b").groups == {"local": 21, "full": 21}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("gemma-3-27b", 262_144 + 64),  # 64 rows more for images than the text-only sizes have
        ("gemma-3-1b", 262_144),
        ("qwen2.5-0.5b", 151_936),  # 1,187 · 128, above the tokenizer's 151,643 and its special tokens
        ("qwen2.5-7b", 152_064),  # 297 · 512
        ("devstral-2-123b", 4 * 32_768),  # Mistral Large 2 with four times the rows: 2 · 98,304 · 12,288 parameters more
        ("bloom-176b", 250_880),
        ("granite-3.3-8b", 49_159),  # an odd number: nothing divides it
    ],
)
def test_rows_of_the_vocabulary(name: str, rows: int) -> None:
    assert model(name).vocab == rows


def test_queries_may_be_wider_than_the_hidden_state() -> None:
    # 16 · 256, 16 · 128, 80 · 128, and 32 · 128, which is narrower
    widths = {"gemma-7b": (4096, 3072), "qwen3-0.6b": (2048, 1024), "seed-oss-36b": (10240, 5120), "mistral-nemo-12b": (4096, 5120)}
    assert {name: (attention(name).heads * attention(name).head_dim, model(name).hidden) for name in widths} == widths


def test_layers_of_the_searched_models() -> None:
    # Runs in block_configs of its config: 1+1+6+1+3+2+3+3+1+3+1+4+4+4+4+1+3+1+3+1+1+1+1+1+1+1+2+1+4+1 = 64 with attention,
    # 4+6+5+3+5+5+5+5+5+2+1+5+8+8+8+5+1 = 81 with nothing, 1+1+2+7+1+1+1+1+1+1 = 17 with a feed-forward part alone
    ultra = model("llama-3.1-nemotron-ultra-253b")
    parts = [(ultra.blocks[name].attention is not None, ultra.blocks[name].mlp is not None, n) for name, n in ultra.groups.items()]
    counted = {kind: sum(n for *has, n in parts if tuple(has) == kind) for kind in ((True, True), (False, False), (False, True))}
    assert counted == {(True, True): 64, (False, False): 81, (False, True): 17}
    # ffn_mult 39 is the largest: 2 · 39 · 16,384 / 3 = 425,984, a multiple of 256
    assert max(block.mlp.width for block in ultra.blocks.values() if isinstance(block.mlp, Dense)) == 425_984


def test_weights_that_gemma_3n_keeps_on_the_accelerator() -> None:
    # Published 7,849,978,192 without the look-up table of 262,144 · 35 · 256 = 2,348,810,240, two bytes each
    deployment = alone("gemma-3n-e4b")
    assert memory.weight_bytes(deployment, deployment.stages[0]) == 2 * 5_501_167_952


def test_heads_of_their_own() -> None:
    # A tied table is held once; the distilled model stores 151,936 · 1,536 weights more, two bytes each
    tied, apart = alone("qwen2.5-1.5b"), alone("deepseek-r1-distill-qwen-1.5b")
    more = memory.weight_bytes(apart, apart.stages[0]) - memory.weight_bytes(tied, tied.stages[0])
    assert more == 2 * 233_373_696


def test_contexts() -> None:
    # max_position_embeddings; Command R's is 8,192 there and 131,072 in model_max_length
    contexts = {"qwq-32b": 40_960, "olmo-2-7b": 4_096, "devstral-small-2-24b": 393_216, "command-r-35b": 131_072, "gemma-3-1b": 32_768}
    assert {name: model(name).context for name in contexts} == contexts


def test_one_all_reduce_where_both_parts_run_side_by_side() -> None:
    together = ("falcon-7b", "falcon-180b", "gpt-j-6b", "gpt-neox-20b", "pythia-12b", "phi-2", "command-r-35b", "command-a-111b", "aya-expanse-8b")
    one_by_one = ("falcon3-7b", "bloom-176b", "opt-175b", "mpt-30b", "phi-4", "starcoder2-15b", "gemma-3-27b")
    assert all(model(name).parallel for name in together) and not any(model(name).parallel for name in one_by_one)
