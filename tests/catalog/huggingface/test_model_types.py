"""Every model type: a configuration of a published model becomes one that counts what that model has."""

import pytest

from roofcalc.catalog import lookup, yamlfile
from roofcalc.catalog.huggingface import table, writing
from roofcalc.specs.dtypes import dtype
from roofcalc.specs.model import Block, Model
from roofcalc.specs.parameter_count import count
from roofcalc.specs.schema import build
from tests.catalog.huggingface.fixtures import NAMES, changed, config, model, values
from tests.each import each
from tests.specs.test_schema import EXACT
from tests.specs.test_schema import model as example

# Parameters of the language model that transformers 5.24.0 builds from the same fields, with one correction per routed
# expert where it keeps them as buffers. Most equal the totals of the checkpoints that tests/test_schema.py and the
# catalog cite. Tied embeddings count once, prediction layers and towers not at all.
BUILT = {
    "bamba-9b": 9_780_235_392,
    "bloom": 176_247_271_424,
    "codestral-mamba-7b": 7_285_403_648,
    "command-r": 34_980_831_232,
    "command-r-plus": 103_810_674_688,
    "command-r7b": 8_028_033_024,
    "dbrx": 131_596_523_520,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,
    "deepseek-v3.2": 671_877_944_064,
    "deepseek-v4-flash": 284_332_240_471,
    "ernie-4.5-0.3b": 360_748_032,
    "ernie-4.5-21b-a3b": 21_825_437_888,
    "exaone-3.5-7.8b": 7_818_448_896,
    "exaone-4.0-32b": 32_003_216_384,
    "falcon-40b": 41_303_293_952,
    "falcon-7b": 6_921_720_704,
    "falcon-h1-34b": 33_642_516_224,
    "falcon-h1-7b": 7_585_648_736,
    "falcon-mamba-7b": 7_272_665_088,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2b": 2_506_172_416,
    "gemma-3-1b": 999_885_952,
    "gemma-3-27b": 27_009_346_304,
    "gemma-3-4b": 3_880_263_168,
    "gemma-3n-e4b": 6_835_235_568,
    "gemma-4-26b-a4b": 25_233_141_760,
    "gemma-4-e2b": 4_628_569_344,
    "glm-4-32b-0414": 32_566_081_536,
    "glm-4-9b": 9_399_951_360,
    "glm-4.6": 352_797_829_024,
    "glm-4.7-flash": 29_943_393_920,
    "glm-5": 743_911_218_432,
    "gpt-j-6b": 6_050_882_784,
    "gpt-neox-20b": 20_554_567_680,
    "gpt-oss-120b": 116_829_156_672,
    "gpt2-xl": 1_557_611_200,
    "granite-3.0-3b-a800m": 3_298_793_472,
    "granite-3.1-8b": 8_170_848_256,
    "granite-4.0-h-micro": 3_191_396_096,
    "granite-4.0-h-small": 32_207_337_984,
    "hunyuan-7b": 7_504_568_320,
    "hunyuan-a13b": 80_393_183_232,
    "jamba-1.5-mini": 51_570_323_328,
    "k-exaone-236b-a23b": 236_571_156_352,
    "kimi-k2": 1_026_408_232_448,
    "kimi-k2.5": 1_026_408_232_448,
    "kimi-linear-48b-a3b": 49_122_681_728,
    "lfm2-1.2b": 1_170_340_608,
    "lfm2-8b-a1b": 8_339_930_560,
    "llama-2-7b": 6_738_415_616,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.2-1b": 1_235_814_400,
    "llama-4-maverick": 400_711_848_960,
    "llama-4-scout": 107_769_861_120,
    "mamba-2.8b": 2_768_345_600,
    "mimo-7b": 7_622_619_136,
    "mimo-v2-flash": 308_778_780_864,
    "minimax-01-hf": 456_089_655_296,
    "minimax-m2": 228_689_764_864,
    "minimax-m3": 426_174_572_928,
    "ministral-8b": 8_019_808_256,
    "ministral3-8b": 8_489_553_920,
    "mistral-7b-v0.1": 7_241_732_096,
    "mistral-7b-v0.3": 7_248_023_552,
    "mistral-small-3.1": 23_572_403_200,
    "mixtral-8x7b": 46_702_792_704,
    "mpt-7b": 6_649_286_656,
    "nemotron-3-nano-30b-a3b": 31_577_940_288,
    "nemotron-3-ultra-550b-a55b": 549_308_993_536,
    "nemotron-4-340b": 341_029_195_776,
    "nemotron-nano-9b-v2": 8_888_227_328,
    "olmo-2-7b": 7_298_617_344,
    "olmo-3-32b": 32_233_522_176,
    "olmoe-1b-7b": 6_919_161_856,
    "opt-6.7b": 6_658_473_984,
    "phi-3-mini-4k": 3_821_079_552,
    "phi-3.5-mini": 3_821_079_552,
    "phi-3.5-moe": 41_873_153_344,
    "qwen2-57b-a14b": 57_408_658_944,
    "qwen2-7b": 7_615_616_512,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-8b": 8_190_735_360,
    "qwen3-next-80b-a3b": 79_674_391_296,
    "qwen3-vl-30b-a3b": 30_532_122_624,
    "qwen3-vl-4b": 4_022_468_096,
    "qwen3.5-27b": 26_895_998_464,
    "qwen3.5-35b-a3b": 34_660_610_688,
    "smollm3-3b": 3_075_098_624,
    "stablelm-2-1.6b": 1_644_515_328,
    "stablelm-2-12b": 12_143_185_920,
    "starcoder": 15_517_456_384,
    "starcoder2-3b": 3_030_371_328,
    "step-3.5-flash": 196_956_130_368,
    "zamba2-1.2b": 1_215_064_704,
    "zamba2-2.7b": 2_662_214_560,
}

# Types that transformers has no code for, or whose vocabulary it does not pad.
OTHERWISE = {
    "longcat-flash": 560_664_980_480,  # with its prediction layer and that one's embedding the checkpoint's 561,862,880,256
    "mamba2-2.7b": EXACT["mamba2"],
    "minimax-text-01": EXACT["lightning"],
    "ling-mini-2.0": 16_255_643_392,  # the checkpoint's total
    # the checkpoint's 2,779,931,837,184 (as the catalog cites it) less the tower's 447,358,976, and less what the fields do not
    # carry: norms of the latent input 92·3584, query and norm before the head 14336, spare decay rates 2208
    "kimi-k3": 2_779_931_837_184 - 447_358_976 - 92 * 3584 - 14336 - 2208,
    "nemotron-super-49b": 49_867_145_216,  # the checkpoint's total
    # embedding and head 2·32000·7168, final norm 7168; 35 layers: q and o 2·7168², k and v 2·7168·1024, router 7168·128,
    #   experts 128·3·7168·4864, dense branch 3·7168·7168, three norms
    "arctic": 2 * 32000 * 7168 + 7168 + 35 * (2 * 7168**2 + 2 * 7168 * 1024 + 7168 * 128 + 128 * 3 * 7168 * 4864 + 3 * 7168**2 + 3 * 7168),
    # tied embedding 131072·6144, final norm; 64 layers: q and o 2·6144², k and v 2·6144·1024, router 6144·8,
    #   experts 8·3·6144·32768, four norms
    "grok-1": 131072 * 6144 + 6144 + 64 * (2 * 6144**2 + 2 * 6144 * 1024 + 6144 * 8 + 8 * 3 * 6144 * 32768 + 4 * 6144),
    # tied embedding 129024·6400, final norm; 64 layers: q and o 2·6400², router 6400·16, 16 experts and one shared 17·3·6400·18304,
    #   two norms, norms of queries and keys 2·80; keys and values 2·6400·640 in every second layer
    "hunyuan-large": 129024 * 6400 + 6400 + 64 * (2 * 6400**2 + 6400 * 16 + 17 * 3 * 6400 * 18304 + 2 * 6400 + 160) + 32 * 2 * 6400 * 640,
    # embedding and head 2·128815·7168, final norm; 61 layers: queries 7168·2048 + 2048·16384 with a norm of 2048, key and value
    #   2·7168·256, o 16384·7168, two norms; 5 dense 3·7168·18432; 56 with router 7168·48 and 49 networks 3·7168·5120
    "step3": 2 * 128815 * 7168
    + 7168
    + 61 * (7168 * 2048 + 2048 * 16384 + 2048 + 2 * 7168 * 256 + 16384 * 7168 + 2 * 7168)
    + 5 * 3 * 7168 * 18432
    + 56 * (7168 * 48 + 49 * 3 * 7168 * 5120),
}

# What the count leaves out, or has besides; the import says of the first that it is left out.
LEFT_OUT = {
    "gemma-4-26b-a4b": -30,  # a number per layer that transformers keeps as a buffer
    "deepseek-v4-flash": -3 * 256,  # the first three layers route by a table and have no correction
    "gemma-3n-e4b": -15 * (2 * 2048 * 512 + 256),  # projections and key norms of borrowing layers, which checkpoints have
    "gemma-4-e2b": -(16 * 256 + 4 * 512) - 35,  # key norms of borrowing layers; a number per layer
    "zamba2-1.2b": 6 * (2048 * 2048 + 128 * (2048 + 2 * 8192) + 3 * 128 * 8192),  # maps and adapters of each use, kept apart
    "zamba2-2.7b": 9 * (2560 * 2560 + 128 * (2560 + 2 * 10240)),
}


# The headline's digits are all there is, or the last of the small vectors are told apart.
ROUNDED = {
    "nemotron-ultra-253b": (253e9, 0.5e9),
}


@pytest.mark.parametrize(("name", "figures"), ROUNDED.items())
def test_counted_parameters_round_to_the_headline(name: str, figures: tuple[float, float]) -> None:
    assert count(model(name)).total == pytest.approx(figures[0], abs=figures[1])


@each({**BUILT, **OTHERWISE}.items())
def test_counted_parameters(name: str, params: int) -> None:
    assert count(model(name)).total + LEFT_OUT.get(name, 0) == params
    if LEFT_OUT.get(name, 0) > 0:
        assert model(name).notes


def test_layers_without_parts() -> None:
    # Llama-3.1-Nemotron-Ultra-253B: 162 layers, of which many are nothing, and networks up to 425,984 wide
    ultra = model("nemotron-ultra-253b")
    assert ultra.depth == 162 and ultra.blocks["nothing"] == Block()
    assert max(block.mlp.width for block in ultra.blocks.values() if block.mlp) == 425_984


def test_prediction_layers() -> None:
    # Totals with the prediction layer: GLM-4.6 356,785,898,816, Qwen3-Next's none in its config; LongCat's also copies the embedding
    assert sum(count(model("glm-4.6"))[i] for i in (0, 3)) == 356_785_898_816
    assert count(model("qwen3-next-80b-a3b")).mtp == 0
    longcat = count(model("longcat-flash"))
    assert longcat.total + longcat.mtp + longcat.embedding == 561_862_880_256
    assert values("nemotron-3-ultra-550b-a55b")["mtp"] == {"layers": "attention_moe", "heads": 1}


# A type that reads another's fields by the same function.
ALSO = {
    "bailing_moe": "ling-mini-2.0",
    "granitemoeshared": "granite-3.0-3b-a800m",
    "mimo_v2": "mimo-v2-flash",
    "minimax_m3_vl_text": "minimax-m3",
    "baichuan": "llama-2-7b",
    "internlm2": "llama-2-7b",
    "qwen2_vl_text": "qwen2.5-7b",
    "qwen2_5_vl_text": "qwen2.5-7b",
    "qwen2_5_omni_text": "qwen2.5-7b",
    "glm4v_text": "glm-4-32b-0414",
    "exaone4_5_text": "exaone-4.0-32b",
    "glm4v_moe_text": "glm-4.6",
    "qwen3_omni_moe_text": "qwen3-30b-a3b",
}
ELSEWHERE = {"phi", "arcee", "seed_oss", "internlm3", "dots1"}  # test_more_model_types
ELSEWHERE |= {
    "apertus",
    "olmo",
    "mllama_text_model",
    "gemma4_unified_text",
    "granite_swa",
    "hy_v3",
    "sarvam_moe",
    "solar_open",
}  # test_newer_model_types
ELSEWHERE |= {"ernie4_5_vl_moe_text", "afmoe", "laguna", "mellum", "granitemoe_swa", "cohere2_moe", "mistral4", "sarvam_mla", "minicpm3", "youtu"}
ELSEWHERE |= {"hy_v4", "bailing_hybrid"}


def test_every_type_is_held_to_a_count() -> None:
    kinds = {config(name).get("text_config", config(name))["model_type"] for name in NAMES}
    assert kinds | set(ALSO) | ELSEWHERE == set(table.FAMILIES)
    assert set(NAMES) == {*BUILT, *OTHERWISE, *ROUNDED}
    for kind, name in ALSO.items():
        assert layers(changed(name, model_type=kind)) == layers(model(name))


def layers(model: Model) -> list[Block]:
    return [model.blocks[name] for name, times in model.runs for _ in range(times)]


_CLASSES = ("attention", "mlp", "experts", "shared", "state", "router", "norm", "embed", "head", "kv")


def essence(model: Model) -> dict[str, object]:
    """What two descriptions of one model must agree on: neither names, nor how the dtypes of classes are put."""
    wide = "bf16" if dtype(model.dtypes.default).bytes_per_element < 2 else model.dtypes.default
    own = {name: getattr(model.dtypes, name) or (wide if name in ("router", "norm", "kv") else model.dtypes.default) for name in _CLASSES}
    fields = ("vocab", "hidden", "context", "tied", "norms", "norm_bias", "parallel", "positions", "hyper_connections", "extra_embed")
    return {"layers": layers(model), "dtypes": own, **{name: getattr(model, name) for name in fields}}


EXAMPLES = {
    "gqa-dense": "llama-3.1-405b",
    "latent-dense-beginning": "deepseek-v3",
    "windowed-mixed-dtypes": "gpt-oss-120b",
    "windowed-tied": "gemma-3-27b",
    "mamba2": "mamba2-2.7b",
    "hybrid-mamba-moe": "jamba-1.5-mini",
    "hybrid-parallel": "falcon-h1-34b",
    "hybrid-single-parts": "nemotron-nano-9b-v2",
    "gated-deltanet-mtp": "qwen3-next-80b-a3b",
    "kda-latent": "kimi-linear-48b-a3b",
    "lightning": "minimax-text-01",
    "parallel": "falcon-40b",
    "learned-positions": "opt-6.7b",
    "compressed": "deepseek-v4-flash",
    "indexed": "deepseek-v3.2",
    "borrowed": "hunyuan-large",
    "chunked": "llama-4-scout",
    "low-rank-query": "step3",
    "zero-experts": "longcat-flash",
}


@pytest.mark.parametrize(("name", "imported"), EXAMPLES.items())
def test_an_import_equals_the_example_written_by_hand(name: str, imported: str) -> None:
    assert essence(model(imported)) == essence(example(name))


@pytest.mark.parametrize("name", ["llama-3.1-405b", "llama-3.1-8b", "llama-2-7b", "llama-3.2-1b", "mistral-7b-v0.3", "qwen2.5-7b", "qwen3-8b"])
def test_an_import_equals_the_catalog(name: str) -> None:
    assert essence(model(name)) == essence(lookup.model(name)[0])


def test_the_recurrent_example_has_a_context_that_its_config_has_not() -> None:
    imported, written = essence(model("falcon-mamba-7b")), essence(example("recurrent"))
    assert (imported.pop("context"), written.pop("context")) == (1048576, 8192) and imported == written
    assert model("falcon-mamba-7b").unverified == ("context",)


@pytest.mark.parametrize("name", NAMES)
def test_the_written_file_reads_as_the_same_model(name: str, tmp_path: object) -> None:
    own = values(name)
    path = lookup.Path(f"{tmp_path}/{own['name']}.yaml")
    path.write_text("\n".join(writing.lines(own)) + "\n")
    value, lines = yamlfile.load(path)
    assert build(Model, value, lines, str(path)) == model(name)
    assert max(map(len, path.read_text().splitlines())) <= 150 or model(name).depth > 61
