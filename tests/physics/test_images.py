"""Images in prompts: tokens by each family's rule, towers by the parameters of checkpoints, and their work in a prefill by hand."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.images import images
from roofcalc.errors import RoofcalcError
from roofcalc.physics.breakdown import prefill_lines
from roofcalc.physics.prefill import prefill
from roofcalc.report import columns
from roofcalc.report.explain.prefill import prefill as explain_prefill
from tests.catalogs import NAMES
from tests.each import each

SIZES = ((1024, 1024), (640, 480), (1920, 1080), (50, 40), (4000, 3000), (1500, 400))
# Tokens that the image processors of transformers 5.24 give at these sizes, with the limits of each model's preprocessor_config.json.
PROCESSED = {
    "qwen2.5-vl-7b": (1369, 391, 2691, 6, 15301, 756),
    "qwen3-vl-8b": (1024, 300, 2040, 72, 11750, 564),
    "glm-4.5v": (1369, 391, 2691, 12, 6030, 756),
    "gemma-4-31b": (256, 266, 264, 252, 266, 256),
    "pixtral-12b": (4160, 1230, 2340, 15, 3120, 1170),
    "mistral-small-3.1-24b": (1406, 432, 1736, 6, 2352, 825),
    "internvl3-8b": (2560, 3328, 2304, 3328, 3328, 1280),
    "kimi-k2.5": (1369, 414, 2691, 4, 4200, 810),
    "minimax-m3": (576, 391, 576, 6, 540, 552),
    "kimi-k3": (1369, 414, 2691, 4, 15444, 810),
    "llava-1.6-mistral-7b": (2928, 2340, 1948, 1320, 2340, 2036),
    "llava-onevision-7b": (7371, 2929, 7269, 1317, 7309, 3781),
    "llama-4-scout": (2467, 727, 2322, 147, 1887, 1597),
}
TOWERS = [name for name in NAMES if lookup.model(name)[0].vision is not None]
# Weights beside the matrices, as shares of the tower: Gemma 4's table of 10,240 positions, Llama 3.2's tables for tiles, LLaVA's last layer,
# which it does not use.
BESIDE = {"gemma-4": 0.1, "medgemma": 0.02, "llama-3.2": 0.09, "llava-1": 0.05, "llava-next": 0.05}


def deployed(model: str, hardware: str = "h100-sxm", **options: Any) -> Deployment:
    ((deployment, _),) = Request("prefill", columns.PREFILL, model, hardware, options).deployments()  # type: ignore[arg-type]
    return deployment


@each(list(PROCESSED))
def test_tokens_as_processors_give_them(name: str) -> None:
    vision = lookup.model(name)[0].vision
    assert vision is not None
    assert tuple(vision.encode(*size).tokens for size in SIZES) == PROCESSED[name]


@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [
        ("qwen2.5-vl-7b", (1024, 1024), 1369),  # visionsqueezer.com/providers/qwen
        ("qwen2.5-vl-7b", (896, 896), 1024),  # the same
        ("gemma-3-27b", (3000, 2000), 256),  # the model card: images are scaled to 896 x 896 and encoded to 256 tokens each
        ("llava-1.5-7b", (640, 480), 576),  # arXiv 2310.03744: 24 x 24 patches of a 336-pixel encoder
        ("internvl3-8b", (448, 448), 256),  # arXiv 2404.16821: a tile of 448 pixels becomes 256 tokens
        ("llama-4-scout", (336, 336), 147),  # one tile of 144, its start, the image's mark and its end
    ],
)
def test_published_tokens(name: str, size: tuple[int, int], tokens: int) -> None:
    vision = lookup.model(name)[0].vision
    assert vision is not None and vision.encode(*size).tokens == tokens


def test_towers_are_those_of_many_models() -> None:
    assert len(TOWERS) >= 78


@each(TOWERS)
def test_a_tower_has_the_parameters_of_its_checkpoint(name: str) -> None:
    """Matrices by the shape, beside the parameters of the published checkpoint that are not the language model's."""
    model = lookup.model(name)[0]
    assert model.vision is not None
    published = model.excluded["vision"]
    most = next((share for family, share in BESIDE.items() if name.startswith(family)), 0.02)
    assert 0 <= (published - model.vision.elements) / published < most + 0.01


def test_a_tower_by_hand() -> None:
    """Qwen2.5-VL 7B at 1036 x 1036: 5,476 patches; 28 of 32 layers see windows of 64."""
    vision = lookup.model("qwen2.5-vl-7b")[0].vision
    assert vision is not None
    one = vision.encode(1036, 1036)
    assert one == (1369, 5476, 5476, 1369)
    layer = 4 * 1280**2 + 3 * 1280 * 3420
    projector = 5120 * 5120 + 5120 * 3584
    assert vision.linear_flops(one) == 2 * 5476 * (32 * layer + 3 * 14 * 14 * 2 * 1280) + 2 * 1369 * projector
    assert vision.attention_flops(one) == 4 * 1280 * 5476 * (4 * 5476 + 28 * 64)


def ttft_s(deployment: Deployment, new: float, batch: float = 1.0, chunk: float | None = None) -> float:
    return float(prefill(deployment, np.array([new]), 0.0, batch, chunk).ttft_s[0])


@pytest.mark.parametrize("chunk", [None, 512.0])
def test_a_tower_adds_its_time_once(chunk: float | None) -> None:
    plain, seeing = deployed("qwen2.5-vl-7b"), deployed("qwen2.5-vl-7b", images="2@1036x1036")
    found = seeing.images
    assert found and found.vision and found.tokens == 2738
    peak, rate = 989.4e12, 3350e9
    linear = max(2 * found.vision.linear_flops(found.one) / peak, found.vision.elements * 2 / rate)
    expected = linear + 2 * found.vision.attention_flops(found.one) / peak
    assert ttft_s(seeing, 3738, chunk=chunk) - ttft_s(plain, 3738, chunk=chunk) == pytest.approx(expected, rel=1e-9)


def test_tensor_ranks_and_batches_divide_and_multiply_it() -> None:
    added = {}
    for tp, batch in ((1, 1.0), (2, 1.0), (1, 3.0)):
        plain, seeing = (deployed("qwen2.5-vl-7b", f"{tp}xh100-sxm", tp=tp, **more) for more in ({}, {"images": "1@1036x1036"}))
        added[tp, batch] = ttft_s(seeing, 2000, batch) - ttft_s(plain, 2000, batch)
    assert added[2, 1.0] == pytest.approx(added[1, 1.0] / 2) and added[1, 3.0] == pytest.approx(3 * added[1, 1.0])


@pytest.mark.parametrize("more", [{}, {"pp": 2}, {"tp": 2}, {"assume": "bound"}, {"assume": "typical"}, {"lora": "rank=8,count=3"}])
def test_operations_and_the_explanation_add_up(more: dict[str, Any]) -> None:
    devices = 2 if {"pp", "tp"} & set(more) else 1
    seeing = deployed("qwen2.5-vl-7b", f"{devices}xh100-sxm", images="2@640x480", **more)
    expected = ttft_s(seeing, 1500, 2.0)
    if "assume" not in more:
        found = prefill_lines(seeing, 1500, 0, 2)
        assert sum(float(line.time_s) for line in found) == pytest.approx(expected, rel=1e-9)
        assert {"tower.matrices", "tower.attention"} <= {line.op for line in found}
    if more.get("assume") != "typical":
        assert explain_prefill(seeing, 1500.0, 0.0, 2.0)[1] == pytest.approx(expected, rel=1e-9)


def test_rows_count_the_tokens_of_images() -> None:
    (row,) = rc.prefill("qwen2.5-vl-7b", "h100-sxm", seq=1000, images="2@1024x1024").rows()
    assert (row["seq"], row["images"]) == (3738, "2@1024x1024: 2738 tokens")
    (row,) = rc.interactivity("qwen2.5-vl-7b", "h100-sxm", isl=1000, osl=200, batch=8, images="1@500").rows()
    assert (row["isl"], row["seq"]) == (1500, 1700)
    (row,) = rc.max_batch("qwen2.5-vl-7b", "h100-sxm", isl=1000, osl=200, images="1@500").rows()
    (same,) = rc.max_batch("qwen2.5-vl-7b", "h100-sxm", isl=1500, osl=200).rows()
    assert row["isl"] == 1500 and row["batch_memory"] == same["batch_memory"] and row["throughput_tok_s"] < same["throughput_tok_s"]
    (row,) = rc.cost("qwen2.5-vl-7b", "h100-sxm", query="1000:200", images="1@500", usd_per_hour=3).rows()
    (same,) = rc.cost("qwen2.5-vl-7b", "h100-sxm", query="1500:200", usd_per_hour=3).rows()
    assert row["prompt"] == 1500 and row["usd_per_query"] > same["usd_per_query"]
    (row, *_), (same, *_) = (
        rc.plan("qwen2.5-vl-7b", "h100-sxm", isl=isl, osl=200, batch=16, **more).rows() for isl, more in ((1000, {"images": "1@500"}), (1500, {}))
    )
    assert row["isl"] == 1500 and row["ttft_ms"] > same["ttft_ms"]
    given = {"isl": 1000, "osl": 200, "interactivity": 30, "usd_per_hour": 3}
    seen, blind = (rc.compare("qwen2.5-vl-7b", "h100-sxm,h200-sxm", **{**given, **more}) for more in ({"images": "1@500"}, {"isl": 1500}))
    assert list(seen["isl"]) == [1500, 1500] and all(seen["users"] < blind["users"])


@pytest.mark.parametrize(
    ("model", "text", "says"),
    [
        ("qwen2.5-vl-7b", "2", "'2' is not COUNT@WIDTHxHEIGHT"),
        ("qwen2.5-vl-7b", "0@10x10", "expected 1 to 10,000 images"),
        ("qwen2.5-vl-7b", "1@0x10", "expected 1 to 10,000 images"),
        ("qwen2.5-vl-7b", "1@10x3000", "no processor takes a side 200 times the other"),
        ("llama-3.1-8b", "1@100x100", "llama-3.1-8b sees no images; give the tokens of an image: 1@1000"),
        ("gemma-3n-e4b", "3@100x100", "has a tower whose shape is not in the catalog; give the tokens of an image: 3@1000"),
    ],
)
def test_refusals(model: str, text: str, says: str) -> None:
    with pytest.raises(RoofcalcError, match=says):
        images(text, lookup.model(model)[0])


def test_only_for_prompts() -> None:
    with pytest.raises(RoofcalcError, match="--images: memory counts no images"):
        rc.memory("qwen2.5-vl-7b", "h100-sxm", images="1@100x100")
    with pytest.raises(RoofcalcError, match="--images: only for prompts; give --isl and --osl"):
        rc.max_batch("qwen2.5-vl-7b", "h100-sxm", images="1@100x100")
