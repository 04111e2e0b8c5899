"""llama.cpp on consumer devices that the fit has not seen: prompts and tokens of Llama 3 8B.

Source: https://github.com/XiongjieDai/GPU-Benchmarks-on-LLM-Inference, README.md, snapshots of May 2024 (pp 1024, tg 512, tok/s).
The fit has an RTX 4080 and professional cards of this source.
"""

from pathlib import Path

import pytest

import roofcalc as rc
from roofcalc.measurements import points

CARDS = [  # hardware, prompt tok/s and tok/s of one user in Q4_K_M
    ("rtx-3080-10gb", 3557.02, 109.57),
    ("rtx-3090", 3865.39, 115.42),
    ("rtx-4070-ti", 3653.07, 83.50),
    ("rtx-4090", 6898.71, 130.58),
    ("m2-ultra", 1023.89, 78.81),
]
SIXTEEN_BIT = [("rtx-3090", 4239.64, 47.40), ("rtx-4090", 9056.26, 54.84)]


@pytest.mark.parametrize(("machine", "prompts", "tokens"), CARDS)
def test_four_bits(machine: str, prompts: float, tokens: float) -> None:
    given = {"assume": "typical", "weights": "q4_k_m"}
    assert rc.prefill("llama-3-8b", machine, seq=1024, **given)["prefill_tok_s"][0] == pytest.approx(prompts, rel=0.25)
    assert rc.interactivity("llama-3-8b", machine, seq=512, batch=1, **given)["interactivity_tok_s"][0] == pytest.approx(tokens, rel=0.15)


@pytest.mark.parametrize(("machine", "prompts", "tokens"), SIXTEEN_BIT)
def test_sixteen_bits(machine: str, prompts: float, tokens: float) -> None:
    given = {"assume": "typical", "weights": "fp16", "engine": "llama.cpp"}
    assert rc.prefill("llama-3-8b", machine, seq=1024, **given)["prefill_tok_s"][0] == pytest.approx(prompts, rel=0.35)
    assert rc.interactivity("llama-3-8b", machine, seq=512, batch=1, **given)["interactivity_tok_s"][0] == pytest.approx(tokens, rel=0.12)


def test_the_fit_has_not_seen_them() -> None:
    """The files that `python -m tools.calibrate fit` reads."""
    fitted = [point for name in ("measured.csv", "published_2026.csv") for point in points.read(Path(__file__).with_name(name))]
    cards = {point.hardware for point in fitted if not isinstance(point, str) and point.engine == "llama.cpp"}
    assert any("4080" in card for card in cards)
    assert not [card for card in cards for name in ("3080", "3090", "4070", "4090") if name in card]
