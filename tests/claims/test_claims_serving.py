"""Served generations worked by hand: cached prompts, drafts and bursts of requests."""

import pytest

import roofcalc as rc

# Llama 3.1 8B in bf16 on one H100 (989.4 TFLOP/s, 3,350 GB/s, 80 GB): 32 layers of 218,103,808 weights in GEMMs and a head of
# 4096 · 128,256, 16,060,522,496 bytes in memory; 131,072 bytes and 524,288 FLOPs per token of context
LAYERS, HEAD = 32 * 218_103_808, 4096 * 128_256
WEIGHTS, ENTRY, PAIR = 16_060_522_496, 131_072, 524_288
FLOPS, BANDWIDTH = 989.4e12, 3350e9


def test_a_prompt_of_which_three_quarters_are_known() -> None:
    # 4,000 tokens: 2,000 of a system prompt, half of the rest from earlier turns. 1,000 remain; each attends to all before it.
    (row,) = rc.prefill("llama-3.1-8b", "h100-sxm", seq=4000, shared_prefix=2000, hit_rate=0.5).rows()
    pairs = 1000 * 3000 + 1000 * 1001 / 2
    seconds = (2 * LAYERS * 1000 + PAIR * pairs) / FLOPS + 2 * HEAD / BANDWIDTH
    assert (row["seq"], row["cached"]) == (1000, 3000)
    assert row["ttft_ms"] == pytest.approx(seconds * 1e3, rel=1e-9)


def test_a_system_prompt_is_kept_once() -> None:
    # 2,000 tokens once, and 2,500 for each request of 4,000 in and 500 out
    (row,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=4000, osl=500, interactivity=0, shared_prefix=2000, hit_rate=0.5).rows()
    assert row["max_batch"] == row["batch_memory"] == (80e9 - WEIGHTS - 2000 * ENTRY) // (2500 * ENTRY) == 194
    (one,) = rc.memory("llama-3.1-8b", "h100-sxm", seq=4500, batch=100, shared_prefix=2000).rows()
    assert one["kv_gb"] == pytest.approx((2000 + 100 * 2500) * ENTRY / 1e9) and one["batch_memory"] == 194


def test_a_system_prompt_is_loaded_once() -> None:
    # 355 tokens of a step: GEMMs at 2 FLOPs per weight take longer than their bytes, attention over 2,000 + 355 · 2,000 entries does not
    (row,) = rc.interactivity("llama-3.1-8b", "h100-sxm", seq=4000, batch=355, shared_prefix=2000).rows()
    seconds = 355 * 2 * (LAYERS + HEAD) / FLOPS + (2000 + 355 * 2000) * ENTRY / BANDWIDTH
    assert row["step_ms"] == pytest.approx(seconds * 1e3, rel=1e-9)


def test_local_layers_keep_a_window_of_the_system_prompt() -> None:
    # Gemma 3 27B in bf16: 10 layers hold everything, 52 a window of 1,024; 16 heads of 128 for keys and values, 8,192 bytes.
    # Of the 2,000 common tokens 10 · 2,000 + 52 · 1,024 entries stay for requests to come, each request has as many of its own
    (row,) = rc.memory("gemma-3-27b", "h100-sxm", seq=4000, batch=3, shared_prefix=2000).rows()
    assert row["kv_gb"] == pytest.approx(4 * (10 * 2000 + 52 * 1024) * 8192 / 1e9)


def test_states_of_the_system_prompt_stay() -> None:
    (alone,) = rc.memory("mamba2-2.7b", "h100-sxm", seq=4000, batch=1).rows()
    (row,) = rc.memory("mamba2-2.7b", "h100-sxm", seq=4000, batch=7, shared_prefix=2000).rows()
    assert row["kv_gb"] == pytest.approx(8 * alone["kv_gb"])  # type: ignore[operator]


def test_a_chat_with_instructions_by_hand() -> None:
    # 100 requests of 4,000 in and 500 out, 2,000 of them instructions, half of the rest from earlier turns. A step reads the weights,
    # 2,000 entries once and on average 2,250.5 for each request; while a request generates, 99 others have 1,000 tokens prefilled
    (row,) = rc.interactivity("llama-3.1-8b", "h100-sxm", isl=4000, osl=500, batch=100, shared_prefix=2000, hit_rate=0.5).rows()
    prompt = (2 * LAYERS * 1000 + PAIR * (1000 * 3000 + 500_500)) / FLOPS + 2 * HEAD / BANDWIDTH
    step = (2 * (LAYERS + HEAD) + (2000 + 100 * 2250.5) * ENTRY) / BANDWIDTH
    wait = 99 * prompt / 1000
    assert row["ttft_idle_ms"] == pytest.approx(prompt * 1e3, rel=1e-9)
    assert row["ttft_ms"] == pytest.approx((prompt + wait) * 1e3, rel=1e-9)
    assert row["interactivity_tok_s"] == pytest.approx(1 / (step + (99 * prompt - wait) / 500), rel=1e-9)


def test_two_drafts_of_an_eagle_head_by_hand() -> None:
    # A step verifies 3 tokens with one pass over the weights and drafts 2 with a layer, a projection of 2 · 4,096 to 4,096 and the
    # target's head each; 1.75 tokens are accepted at a chance of one half. The head keeps 4,096 bytes per token besides
    given = {"draft": 2, "acceptance": 0.5, "drafter": "eagle"}
    (row,) = rc.interactivity("llama-3.1-8b", "h100-sxm", seq=1000, batch=1, **given).rows()  # type: ignore[arg-type]
    verify = 2 * (LAYERS + HEAD) + 1000 * ENTRY
    draft = 2 * (LAYERS / 32 + 2 * 4096**2 + HEAD) + 1000 * ENTRY / 32
    assert row["interactivity_tok_s"] == pytest.approx(1.75 * BANDWIDTH / (verify + 2 * draft), rel=1e-9)


def test_a_head_leaves_less_room() -> None:
    # a layer, the projection and three norms in 16 bits; of each token's entries one layer more
    (row,) = rc.memory("llama-3.1-8b", "h100-sxm", seq=4000, draft=2, accepted=1.75, drafter="eagle").rows()
    head = 2 * (LAYERS / 32 + 2 * 4096**2 + 3 * 4096)
    assert row["batch_memory"] == (80e9 - WEIGHTS - head) // (4000 * ENTRY * 33 / 32)
    assert row["acceptance"] == pytest.approx(0.5)
