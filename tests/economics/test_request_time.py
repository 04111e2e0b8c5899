"""Machine time of requests that share prompts, or whose prompts another pool reads: by hand."""

import numpy as np
import pytest

from roofcalc.economics.request_time import SharedPromptStep, other_pool_s, request_time
from roofcalc.physics.generation import mean_step
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import ServedStep
from tests.catalogs import on


def test_eight_answers_wait_for_an_eighth_of_the_prompts_by_hand() -> None:
    """33 in flight, of 500 tokens: while one decodes 32 others begin, with 4 prompts between them, but for half a step before its first token."""
    deployment = on("llama-3.1-8b", "h100-sxm")
    mean = mean_step(deployment, 4000, 500)
    step, prompt = float(mean.seconds(33)), float(prefill(deployment, 4000).ttft_s)
    shared = SharedPromptStep(ServedStep(mean, 4000, 500), 1 / 8)
    assert float(shared.seconds(33)) == pytest.approx(step + 4 * prompt * (1 - 1 / 1000) / 500, rel=1e-9)
    one = request_time(ServedStep(mean, 4000, 500), 33, prompts_per_request=1 / 8)
    assert float(one.output_s) == pytest.approx(500 * step / 33, rel=1e-9)
    assert float(one.prompt_s) == pytest.approx(prompt / 8, rel=1e-9)


@pytest.mark.parametrize("layout", [{"tp": 4}, {"tp": 1, "dp": 4}, {"tp": 2, "pp": 2}], ids=str)
def test_a_pool_that_only_prefills_fills_its_steps_by_hand(layout: dict[str, int]) -> None:
    """`typical`, 8,192 tokens in a step: eight prompts of 1,000 at a time on each rank and stage, and the remainder of each step left empty."""
    deployment = on("llama-3.1-8b", "4xh100-sxm", assume="typical", prefill="separate", **layout)
    full = 8 * layout.get("dp", 1) * layout.get("pp", 1)
    expected = float(prefill(deployment, 1000, 0, full).batch_prefill_s) / full
    assert other_pool_s(deployment, np.array(1000.0)) == pytest.approx(expected, rel=1e-9)
    assert other_pool_s(on("llama-3.1-8b", "4xh100-sxm", assume="typical", prefill="colocated", **layout), np.array(1000.0)) == 0
