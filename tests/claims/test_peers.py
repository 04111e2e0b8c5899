"""Other calculators' figures beside roofcalc's: `peers.csv` names tool, version, case and how each figure was obtained.

Where the two differ on purpose, DIFFERENCES says why and by how much, worked by hand from both definitions: where the peer
says x, roofcalc should answer `factor · x + offset`.
"""

import csv
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup

PEERS = {row["id"]: row for row in csv.DictReader(Path(__file__).with_name("peers.csv").read_text(encoding="utf-8").splitlines())}
GIB = 2**30


class Difference(NamedTuple):
    """What roofcalc answers where a peer says x: `factor · x + offset`, within `tolerance` of it, and why."""

    why: str
    factor: float = 1.0
    offset: float = 0.0
    tolerance: float = 0.005


def products(tokens: int, rows: int, columns: int, of: float = 1.0) -> Difference:
    """A product of `tokens` by a matrix whose elements are one byte wide; `of` what else is to be multiplied."""
    weights = rows * columns
    return Difference(
        "aiconfigurator moves a product's inputs and outputs too, as wide as its weights", of * weights / (weights + tokens * (rows + columns))
    )


def queries(cache: int, elements: int) -> Difference:
    """Attention over `cache` bytes of one sequence and layer; `elements` of its queries and outputs, in 16 bits."""
    return Difference("aiconfigurator moves queries and outputs too", cache / (cache + 2 * elements))


def hit(experts: int, chosen: int, tokens: int) -> float:
    """Distinct experts that tokens hit under uniform routing, over the min(experts, tokens · chosen) of aiconfigurator."""
    return experts * (1 - (1 - chosen / experts) ** tokens) / min(experts, tokens * chosen)


def pochenai(cache: int) -> Difference:
    """`cache`: bytes per token on one of 8 devices; its room is 72e9 bytes less 1 GiB and the weights."""
    why = "pochenai keeps 16,384 · 2 / 8 bytes of activations for each token of a prompt, and has 405e9 bytes of weights; whole sequences"
    room = 72e9 - GIB
    return Difference(why, (cache + 4096) / cache * (room - 405.916e9 / 8) / (room - 405e9 / 8), tolerance=0.02)


NO_LOOKUP = "roofcalc reads the head, and of the embedding only a row; the peer reads both"
LINEAR_8B = 6_979_321_856  # Llama 3.1 8B: 32 layers of 218,103,808
HALF_A_SQUARE = Difference("GenZ counts every pair of a prompt; a token attends to itself and those before: 8,193 / (2 · 8,192)", 8193 / 16384)

# By rows' names, with wildcards; a row that none names must agree within 1 %.
DIFFERENCES: dict[str, Difference] = {
    "aic-405b-7661x72-qkv": products(72, 16_384, 2304),
    "aic-405b-7661x72-o": products(72, 2048, 16_384),
    "aic-405b-7661x72-up": products(72, 16_384, 13_312),
    "aic-405b-7661x72-down": products(72, 6656, 16_384),
    "aic-405b-1024x256-up": products(256, 16_384, 13_312),
    "aic-405b-1024x256-attention": queries(1025 * 256, 2 * 16 * 128),
    "aic-70b-1024x64-attention": queries(1025 * 512, 2 * 8 * 128),
    "aic-qwen3-30b-x16-attention": queries(1001 * 2048, 2 * 32 * 128),
    "aic-405b-7661x72-head": Difference(
        "aiconfigurator holds head and embedding in 16 bits whatever the weights", 0.5 * products(72, 16_384, 16_032).factor
    ),
    "aic-405b-weights": Difference("the same: one byte more for each of 2 · 128,256 · 16,384 weights", offset=-2 * 128_256 * 16_384 / 8 / GIB),
    "aic-*-all-reduce": Difference(
        "aiconfigurator: 2 · 7/8 of the message at 900 GB/s, the sum of both directions; here switches reduce: 1 + 1/8 at 450 GB/s", 2 * 1.125 / 1.75
    ),
    "aic-*-kv-bound-*": Difference(
        "reserve_gb: its 3.883 GiB for the engine, 0.068 of activations, and the 0.489 of a 16-bit head and embedding", tolerance=0.002
    ),
    "aic-qwen3-30b-weights": Difference("aiconfigurator has one of the two untied 151,936 · 2,048 matrices", offset=2 * 151_936 * 2048 / GIB),
    "aic-qwen3-30b-x16-experts": Difference("aiconfigurator reads min(E, T·k) experts, not the 82.4 that 16 tokens hit of 128", hit(128, 8, 16)),
    "aic-gpt-oss-experts": Difference(
        "the same, 28.7 for 32; and its mxfp4 has no scales: half a byte where there are 17 for 32 elements", hit(128, 4, 8) * (0.5 + 1 / 32) / 0.5
    ),
    "aic-deepseek-v3-mla-x64": Difference(
        "aiconfigurator moves 16 · 1,088 queries too",
        offset=64 * 61 * (-2 * 16 * 1088) / 4800e9 * 1e3,
    ),
    "aic-deepseek-v3-mla-x1": Difference(
        "aiconfigurator's MLA block leaves out the projections: down 7,168 · (1,536 + 576), up 1,536 · 16 · 192 and out 16 · 128 · 7,168 weights in "
        "61 layers; the cache as before",
        offset=61 * (7168 * 2112 + 1536 * 16 * 192 + 2048 * 7168 - 2 * 16 * 1088) / 4800e9 * 1e3,
    ),
    "genz-*attention-x1024": Difference("GenZ moves queries, outputs and some of the scores too", tolerance=0.02),
    "genz-405b-attention": Difference("the same: 16 heads of scores for each entry of one head", tolerance=0.03),
    "genz-8b-prefill-attention": HALF_A_SQUARE,
    "genz-8b-prefill-v5e": HALF_A_SQUARE,
    "genz-8b-prefill-linear": Difference(
        "GenZ multiplies every token of a prompt by head and embedding; left out here, where one token is scored", LINEAR_8B / 8_029_995_008
    ),
    "genz-mixtral-x64": Difference(
        "GenZ reads 2 experts of 8 at any batch: 32,256 of its 44,414 MiB of weights stay unread; 64 tokens hit all 8", 44_414 / (44_414 - 32_256)
    ),
    "genz-405b-memory": Difference("GenZ has no embedding in memory: room for 128,256 · 16,384 bytes more; whole sequences", offset=-1),
    "book-13b-*step-*": Difference("the book: 26 GB of weights, embedding included, and 820 GB/s; here no look-ups, and 819", tolerance=0.012),
    "book-quiz-*": Difference("printed with two digits", tolerance=0.02),
    "book-70b-weights-step": Difference(
        "the book: 70e9 of 5.3 ms, printed as 5.5; here 70.0e9 and the copies of 8 KV heads on 16 devices", tolerance=0.02
    ),
    "book-70b-step-x32": Difference("printed with two digits", tolerance=0.02),
    "book-70b-caches-bf16": Difference(
        "the book: (256 − 140) / 2.654; here 16 devices copy the projections of 8 KV heads: (256 − 143.8) / 2.684; whole sequences",
        (256 - 143.8) / 2.684 / ((256 - 140) / 2.654),
        tolerance=0.025,
    ),
    "book-70b-caches-int8": Difference(
        "the book leaves 68 of 128 GB beside 70 GB of weights: 68 / 1.327 = 51.2, said 52; here 57.4 / 1.342; whole sequences",
        57.4 / 1.342 / 52,
        tolerance=0.025,
    ),
    "hf-mem-deepseek-v3": Difference("hf-mem sees 128 heads of 56, twice, and no latent of 512 + 64", 576 / (2 * 128 * 56)),
    "hf-mem-nemotron-h-56b": Difference(
        "hf-mem takes 118 layers for attention where 10 are, and has no states: 54 of 256 · 64 · 256 elements of 4 bytes and 3 · 20,480 of 2",
        10 / 118,
        54 * (256 * 64 * 256 * 4 + 3 * 20_480 * 2),
    ),
    "llm-cal-405b-rate": Difference(NO_LOOKUP, 405_853_388_800 / (405_853_388_800 - 128_256 * 16_384)),
    "llm-cal-8b-rate-*": Difference(NO_LOOKUP, 8_030_261_248 / (8_030_261_248 - 128_256 * 4096)),
    "llm-cal-8b-prefill": Difference("llm-cal multiplies every token of a prompt by head and embedding too", LINEAR_8B / 8_030_261_248),
    "llm-cal-405b-users": Difference(
        "llm-cal lets each user read all weights: its limit knows no batch (505 worked by hand in test_claims)", 505 / 17
    ),
    "llm-cal-deepseek-v3-kv": Difference("llm-cal keeps the latent of 512 without the 64 rotary dimensions", 576 / 512),
    "llm-cal-gpt-oss-120b-kv": Difference("llm-cal holds 128 tokens in all layers; half of them hold all 8,192", (8192 + 128) / (2 * 128)),
    "pochenai-405b-time-*": Difference(NO_LOOKUP + "; it has no time of FLOPs: peaks out of the way", tolerance=0.005),
    "pochenai-405b-memory-bf16-*": pochenai(64_512),
    "pochenai-405b-memory-fp8-*": pochenai(32_256),
    "llm-viewer-405b-weights": Difference("LLM-Viewer leaves out embedding and head", offset=2 * 128_256 * 16_384 / 1e9),
    "llm-viewer-405b-kv": Difference("LLM-Viewer, with flash attention, reads a cache of 128 heads where there are 8", 8 / 128),
    "llm-analysis-405b-params": Difference("llm-analysis counts one of the two vocabulary matrices", offset=128_256 * 16_384 / 1e9),
}
SCALES = {
    ("kv_gb_per_seq", "B"): 1e9,
    ("kv_mb_per_token", "B"): 1e6,
    ("weights_gb", "GiB per device"): 1e9 / GIB,
    ("kv_gb", "GiB per device"): 1e9 / GIB,
}


def differences(row: str) -> list[Difference]:
    return [difference for pattern, difference in DIFFERENCES.items() if fnmatch(row, pattern)]


def options(text: str) -> dict[str, Any]:
    given: dict[str, Any] = dict(part.split("=", 1) for part in text.split())
    for name, value in given.items():
        if name == "changes":
            given[name] = value.split(";")
        elif name in ("util", "reserve_gb"):
            given[name] = float(value)
        elif name == "activations":
            given[name] = value == "true"
    return given


def ours(row: dict[str, str]) -> float:
    """roofcalc's answer in the row's unit."""
    hardware = [row["hardware"]] if row["hardware"] else []
    table = getattr(rc, row["question"].replace("-", "_"))(row["model"], *hardware, **options(row["options"]))
    if row["question"] == "ops":
        picked = {str(line["op"]): float(line["time_us"]) for line in table.rows() if line["op"] in row["pick"].split()}
        assert set(picked) == set(row["pick"].split()) and row["unit"] == "ms"
        return sum(picked.values()) / 1e3
    (answer,) = table.rows()
    devices = lookup.hardware(row["hardware"])[0].count if row["unit"].endswith("per device") else 1
    return float(answer[row["pick"]]) * SCALES.get((row["pick"], row["unit"]), 1) / devices


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_s_figure(name: str) -> None:
    row = PEERS[name]
    known = [*differences(name), Difference("", tolerance=0.01)][0]
    assert ours(row) == pytest.approx(known.factor * float(row["value"]) + known.offset, rel=known.tolerance), known.why


def test_the_comparison_is_wide() -> None:
    assert len(PEERS) >= 40 and len({row["tool"] for row in PEERS.values()}) >= 6
    assert all(row["version"] and row["asked"] and row["source"].startswith("https://") for row in PEERS.values())


def test_each_difference_is_said_once_and_met() -> None:
    assert all(len(differences(name)) <= 1 for name in PEERS)
    assert [pattern for pattern in DIFFERENCES if not any(fnmatch(name, pattern) for name in PEERS)] == []
    assert all(difference.why for difference in DIFFERENCES.values())


@pytest.mark.parametrize("name", [name for name in PEERS if any(d.factor != 1 or d.offset for d in differences(name))])
def test_without_its_reason_a_difference_would_show(name: str) -> None:
    """A reason that moves less than its tolerance would explain nothing."""
    (known,) = differences(name)
    value = float(PEERS[name]["value"])
    assert abs(known.factor * value + known.offset - value) > known.tolerance * value
