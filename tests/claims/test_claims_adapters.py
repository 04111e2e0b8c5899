"""Images in prompts and adapters beside a model, worked by hand from published shapes and counts."""

import pytest

import roofcalc as rc

FLOPS, BANDWIDTH, CAPACITY = 989.4e12, 3350e9, 80e9  # one H100 in bf16
LLAMA = 16_060_522_496  # bytes of Llama 3.1 8B
MODEL = "qwen2.5-vl-7b"
RANK_16 = 41_943_040  # parameters that PEFT prints for rank 16 on the seven matrices of each of its layers


def ttft_s(model: str, **given: object) -> float:
    """Seconds to the first token on one H100."""
    return float(rc.prefill(model, "h100-sxm", **given)["ttft_ms"][0]) / 1e3  # type: ignore[arg-type]


def step_s(**given: object) -> float:
    """Seconds of a step of 8 sequences of Llama 3.1 8B on one H100."""
    return float(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=1000, batch=8, **given)["step_ms"][0]) / 1e3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("qwen2.5-vl-7b", "1024x1024", 37 * 37),  # squares of 28 pixels
        ("qwen2-vl-7b", "644x476", 23 * 17),
        ("qwen3-vl-8b", "1024x1024", 32 * 32),  # squares of 32
        ("gemma-3-27b", "4000x1000", 256),  # "normalized to 896 x 896 and encoded to 256 tokens each"
        ("pixtral-12b", "1024x1024", 64 * 65),  # 64 rows of 64 patches of 16, each with a token behind it
        ("mistral-small-3.1-24b", "1540x1540", 55 * 56),
        ("internvl3-8b", "448x448", 256),
        ("llama-4-scout", "336x336", 147),  # 144, and start, image and end
    ],
)
def test_pictures_make_prompts_longer(model: str, size: str, tokens: int) -> None:
    (row,) = rc.prefill(model, "8xh200-sxm", seq=1000, images=f"3@{size}").rows()
    assert row["seq"] == 1000 + 3 * tokens


def test_two_pictures_of_a_million_pixels() -> None:
    # 74 x 74 patches each, through 32 layers of 1280 (16 heads, 3420 wide, gated); 28 of them look at 64 patches, 4 at all; 4 patches become a token
    patches, tokens = 74 * 74, 37 * 37
    layers = 32 * (4 * 1280 * 1280 + 3 * 1280 * 3420)
    first, last = 3 * 2 * 14 * 14 * 1280, 5120 * 5120 + 5120 * 3584
    seen = 28 * 64 + 4 * patches
    flops = 2 * (2 * (layers + first) * patches + 2 * last * tokens + 4 * 1280 * seen * patches)
    for batch in (1, 4):
        seen_s, text_s = ttft_s(MODEL, seq=1000, images="2@1024x1024", batch=batch), ttft_s(MODEL, seq=1000 + 2 * tokens, batch=batch)
        assert seen_s - text_s == pytest.approx(batch * flops / FLOPS, rel=1e-9)


def test_generations_with_a_picture_are_those_of_longer_prompts() -> None:
    (row,) = rc.max_batch(MODEL, "h100-sxm", isl=1000, osl=200, images="1@1024x1024", interactivity=0).rows()
    (same,) = rc.max_batch(MODEL, "h100-sxm", isl=2369, osl=200, interactivity=0).rows()
    assert row["max_batch"] == same["max_batch"] and row["isl"] == same["isl"] == 2369


def test_forty_tenants_take_the_place_of_three_sequences() -> None:
    # 8,000 tokens of 131,072 bytes each; 40 · 41,943,040 · 2 bytes of them
    (row,) = rc.max_batch("llama-3.1-8b", "h100-sxm", seq=8000, lora="rank=16,count=40").rows()
    assert row["batch_memory"] == (CAPACITY - LLAMA - 40 * 2 * RANK_16) // (8000 * 131_072) == 57


def test_a_step_with_one_tenant_reads_little_more() -> None:
    assert step_s(lora="rank=16,count=1") - step_s() == pytest.approx(2 * RANK_16 / BANDWIDTH, rel=1e-9)


def test_a_prompt_goes_through_its_tenant() -> None:
    plain, one = (ttft_s("llama-3.1-8b", seq=8000, **given) for given in ({}, {"lora": "rank=16,count=9"}))
    assert one - plain == pytest.approx(2 * 8000 * RANK_16 / FLOPS, rel=1e-9)


def test_eight_sequences_of_forty_tenants() -> None:
    # each has one of 40 at random: 40 · (1 − (39/40)^8) different ones are read
    assert step_s(lora="rank=16,count=40") - step_s() == pytest.approx(40 * (1 - (39 / 40) ** 8) * 2 * RANK_16 / BANDWIDTH, rel=1e-9)
