"""The schema holds every kind of block, device and system: examples parse, and count what they must."""

from pathlib import Path

import pytest

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Device, System
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count
from roofcalc.specs.schema import build

EXAMPLES = Path(__file__).parent.parent / "examples"


def model(name: str) -> Model:
    path = EXAMPLES / "models" / f"{name}.yaml"
    value, lines = yamlfile.load(path)
    return build(Model, value, lines, str(path))


# The safetensors (or keras_hub preset) totals of the models that the examples describe, to the last digit.
EXACT = {
    "gqa-dense": 405_853_388_800,  # Llama 3.1 405B
    "latent-dense-beginning": 671_026_419_200,  # DeepSeek-V3 without its MTP layer
    "windowed-mixed-dtypes": 116_829_156_672,  # gpt-oss-120b
    "windowed-tied": 27_009_346_304,  # Gemma 3 27B, text part with 262,208 rows
    "recurrent": 7_272_665_088,  # Falcon-Mamba 7B
    "mamba2": 2_702_599_680,  # Mamba-2 2.7B
    "hybrid-mamba-moe": 51_570_323_328,  # Jamba 1.5 Mini
    "hybrid-parallel": 33_642_516_224,  # Falcon-H1 34B
    "hybrid-single-parts": 8_888_227_328,  # Nemotron Nano 9B v2
    "gated-deltanet-mtp": 79_674_391_296,  # Qwen3-Next without its MTP layer
    "kda-latent": 49_122_681_728,  # Kimi Linear 48B-A3B
    "lightning": 456_089_655_296,  # MiniMax-Text-01
    "parallel": 41_303_293_952,  # Falcon 40B without the second copy of its embedding
    "learned-positions": 6_658_473_984,  # OPT 6.7B
}

# Small examples, added up by hand.
BY_HAND = {
    # embedding and head 2·1000·64; final norm 64
    # whole: qkv 64·(64+64), o 64·64, mlp 3·64·256, norms 128 = 61,568
    # narrow: qkv 64·(64+32), o 4096, mlp 3·64·100, norms 128 = 29,568, twice; no-ops: nothing
    # wide: mlp 3·64·4096, norm 64 = 786,496; attention only: qkv 64·192, o 4096, norm 64 = 16,448
    "irregular": 128_000 + 64 + 61_568 + 2 * 29_568 + 786_496 + 16_448,
    # three dense: qkv 64·128, o 4096, qk norms 32, mlp 3·64·128, norms 128 = 37,024
    # five sparse: attention as before plus index 64·(4+1)·128; router 512 and 8 biases;
    #   experts 8·3·64·32, shared 3·64·32, norms 128, of index queries and keys 256 = 12,320 + 40,960 + 520 + 49,152 + 6,144 + 128 + 256
    "block-choice": 128_000 + 64 + 3 * 37_024 + 5 * 109_480,
    # full: qkv 64·128, gate 64·4, o 4096, mlp 3·64·128, norms 128 = 37,248; local: qkv 64·160, gate 64·6, o 96·64, mlp, norms = 41,472
    "head-gate": 128_000 + 64 + 37_248 + 3 * 41_472,
    # tied: 64,000; look-up table 80,000; final norm 64; five local: qkv 64·128, o 4096, norms 32 and 4·64, mlp 24,576
    # full: q 64·128 and one vector 64·32 for key and value, o 128·64, norms 64 and 256, mlp 24,576; a scale in each of six
    "per-layer-sizes": 64_000 + 80_000 + 64 + 5 * 37_152 + 43_328 + 6,
    # embedding and head 128,000, the head's bias 1000; a norm after the embedding and a final one, each 2·64
    # three: qkv 64·192, o 4096, mlp 2·64·256 with biases 256 + 64, one norm 128 = 49,600
    "head-bias": 128_000 + 1000 + 256 + 3 * 49_600,
    # tied 64,000; look-up table 900·96, its projection 64·96 and norm 16; streams 2·3·64·64; final norm 64
    # six: qkv 64·128, o 4096, qk norms 32, mlp 3·64·128, side 2·64·24, six norms 384,
    #   streams: router and norm 5·64, scale 64, corrections 16, predictions 64 = 40,816
    "alternating-updates": 64_000 + 86_400 + 6_144 + 16 + 24_576 + 64 + 6 * 40_816,
    # experts part: router 512, 8 biases, latent 2·64·32, shared 3·64·48, experts 8·3·32·24 = 32,264
    # kda: qkv 3·64·64, forget 64·16 and 16·64, gate 64·64, beta 256, out 4096, convolutions 3·64·4, A 4, dt 64, norm 16 = 23,636
    # mla: 64·24 + 24·96 + 64·24 + 16·64 + 16·64 + gate 4096 + out 4096, norms 24+16 = 15,656; two norms 128 everywhere
    "latent-experts": 128_000 + 64 + 6 * (23_636 + 32_264 + 128) + 2 * (15_656 + 32_264 + 128),
    # kda: qkv 3·64·64, forget and gate 2·64·64, beta 256, out 4096, convolutions 3·64·4, A 4, dt 64, norm 16 = 25,684
    # mla: q 64·4·24, down 64·24, up 16·64 twice, out 4096, gate 64·4, norm 16 = 14,096; mlp 24,576, norms 128 everywhere
    # lightning: qkv 3·64·64, gate and out 2·64·64, output norm 64, query and key norms 32 = 20,576
    "full-gates": 128_000 + 64 + 4 * (25_684 + 24_704) + 2 * (14_096 + 24_704) + 20_576 + 24_704,
    # tied: 64,000; final norm 64; mamba: inner 128, channels 160: in 64·(128+160+4), out 128·64, convolution 160·5,
    #   A, D and dt 12, gated norm 128, norm 64 = 27,884
    # shared, twice: qkv 128·384, o 128·64, mlp 3·64·128, norms 3·64 = 82,112
    "shared-weights": 64_000 + 64 + 10 * 27_884 + 2 * 82_112,
    # tied: 64,000; final norm 64; mlp 24,576 and norms 128 everywhere
    # conv: in 64·192, out 64·64, convolution 64·3 = 16,576; full: qkv 64·128, o 4096, norms 32 = 12,320
    "short-convolutions": 64_000 + 64 + 4 * (16_576 + 24_704) + 2 * (12_320 + 24_704),
}

# Headlines: the published digits are all there is.
ROUNDED = {
    "compressed": (284e9, 0.5e9),  # DeepSeek-V4-Flash: 284B
    "indexed": (671e9, 1e9),  # DeepSeek V3.2: 671B, and 0.85B of indexers
    "borrowed": (389e9, 0.5e9),  # Hunyuan-Large: 389B
    "chunked": (107.8e9, 0.05e9),  # Llama 4 Scout: 108.6B with a 0.87B vision tower
    "low-rank-query": (316e9, 0.5e9),  # Step3: 316B
}


@pytest.mark.parametrize(("name", "params"), {**EXACT, **BY_HAND}.items())
def test_counted_parameters(name: str, params: int) -> None:
    assert count(model(name)).total == params


@pytest.mark.parametrize(("name", "figures"), ROUNDED.items())
def test_counted_parameters_round_to_the_headline(name: str, figures: tuple[float, float]) -> None:
    assert count(model(name)).total == pytest.approx(figures[0], abs=figures[1])


def test_multi_token_layers_are_counted_apart() -> None:
    # Qwen3-Next's safetensors hold 81,324,862,720 parameters with the MTP layer, 79,674,391,296 without.
    assert count(model("gated-deltanet-mtp")).mtp == 81_324_862_720 - 79_674_391_296
    # DeepSeek-V4-Flash's module: attention without a pool 4096·1024 + 1024·32,768 + 4096·512 + 8·4096·1024 + 8192·4096 + 1024 + 512 + 64;
    # router, its bias, 256 experts and one shared; norms; mixing of each part 24·(4·4096 + 1) + 3; then 2·4096² of projections,
    # three norms, and the mixing before the head 16·4096 + 5.
    attention = 4_194_304 + 33_554_432 + 2_097_152 + 33_554_432 + 33_554_432 + 1_024 + 512 + 64
    experts = 4_096 * 256 + 256 + 257 * 3 * 4_096 * 2_048
    assert count(model("compressed")).mtp == attention + experts + 2 * 4_096 + 2 * (24 * 16_385 + 3) + 2 * 4_096**2 + 3 * 4_096 + 65_541
    # Twice a local layer, 2·64² of projection and three norms, whatever the heads they share.
    assert count(model("head-gate")).mtp == 2 * (41_472 + 2 * 64 * 64 + 3 * 64)
    # LongCat-Flash's 561,862,880,256 hold the MTP layer and its own copy of the embedding.
    longcat = count(model("zero-experts"))
    assert longcat.total + longcat.mtp + longcat.embedding == 561_862_880_256


def test_active_parameters() -> None:
    # gpt-oss-120b: 5.13B, arXiv 2508.10925: four of 128 experts with their biases, and no input embedding.
    assert count(model("windowed-mixed-dtypes")).active == pytest.approx(5.13e9, abs=0.005e9)
    assert count(model("latent-dense-beginning")).active == pytest.approx(37e9, abs=0.5e9)  # DeepSeek-V3: 37B
    assert count(model("zero-experts")).active == pytest.approx(27e9, abs=0.5e9)  # LongCat: 27B on average


def test_every_example_is_held_to_a_count() -> None:
    names = {path.stem for path in (EXAMPLES / "models").glob("*.yaml")}
    assert names == {*EXACT, *BY_HAND, *ROUNDED, "zero-experts"}


def test_layers_keep_their_order() -> None:
    runs = model("kda-latent").runs
    assert runs[:4] == (("dense_kda", 1), ("kda", 2), ("mla", 1), ("kda", 3))
    assert sum(n for _, n in runs) == 27


def test_device_mesh_torus_and_system() -> None:
    def read(name: str, record: type) -> object:
        path = EXAMPLES / "hardware" / f"{name}.yaml"
        value, lines = yamlfile.load(path)
        return build(record, value, lines, str(path))

    device, mesh, torus, system = (read("a-device", Device), read("a-mesh", Device), read("a-torus", Device), read("a-system", System))
    assert isinstance(device, Device) and device.link is not None and device.link.shape == "switch"
    assert device.memory.readings() == {"nominal": 80e9, "visible": 81559 * 2**20, "binary": 80 * 2**30}
    assert isinstance(mesh, Device) and mesh.link is not None
    assert [mesh.link.bytes_per_s(group) for group in (2, 4, 8)] == [64e9, 192e9, 448e9]
    assert isinstance(torus, Device) and torus.link is not None and torus.link.shape == "torus"
    assert isinstance(system, System) and system.hosts is not None and system.hosts.count == 36


BROKEN = """\
name: broken
vocab: 0
hiden: 64
context: 4096
blocks:
  block:
    attention: {heads: 5, kv_heads: 2, head_dim: 16, window: 10, chunk: 10}
    mlp: {width: 1e6}
layers: 2*(block other
published: {params: yes}
"""


def test_all_errors_of_a_file_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    value, lines = yamlfile.load(path)
    with pytest.raises(RoofcalcError) as caught:
        build(Model, value, lines, str(path))
    text = str(caught.value)
    for part in (
        ":2: vocab: expected a number from 1",
        ":3: hiden: unknown key; did you mean hidden?",
        "`hidden` is missing",
        ":7: blocks.block.attention.kv_heads: 5 query heads do not divide into 2 groups",
        ":7: blocks.block.attention: window, chunk and blocks exclude one another",
        ":8: blocks.block.mlp.width: expected a whole number, got '1e6'; write plain decimals",
        ":10: published.params: expected a whole number, got true",
    ):
        assert part in text, part
    assert len(caught.value.lines) == 7


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\na: 2\n", ":1: a: given more than once"),
        ("- 1\n", "expected a mapping"),
        ("a: [1\n", "not valid YAML"),
        ("a: &x {b: *x}\n", "nested too deeply"),
        ("", "expected a mapping"),
        ("a: 2026-13-01\n", "month must be in 1..12"),
    ],
)
def test_unusable_yaml(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(RoofcalcError, match=complaint):
        yamlfile.load(path)


@pytest.mark.parametrize("layers", ["", "3*", "3*(a", "a)", "0*a", "99999*a", "(" * 500, "a, b", "9*9*9*9*9*(a b)"])
def test_malformed_layers(layers: str) -> None:
    from roofcalc.specs.layer_pattern import parse

    with pytest.raises(ValueError):
        parse(layers)
