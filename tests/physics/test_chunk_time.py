"""What a chunk of a prompt takes of the step that it rides on: by hand, and never less than the prompt on an idle replica."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.speculative import with_drafts
from roofcalc.physics.chunk_time import added_s, chunk_s
from roofcalc.physics.generation import SpeculativeStep, mean_step
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import served
from roofcalc.specs.record import replace
from tests.catalogs import on
from tests.physics.test_images import deployed
from tests.shell import rows

HOST = "--host memory_gb_s=83,tflop_s=1,link_gb_s=25"
REPLICAS = (
    "llama-3.1-8b h100-sxm",
    "llama-3.1-8b h100-sxm --lora rank=512,count=1",
    "llama-3.1-8b h100-sxm --lora rank=64,count=16 --overlap full",
    "qwen2.5-vl-7b h100-sxm --images 4@1024x1024",
    f"llama-3.1-8b rtx-4090 --gpu-layers 20 --weights q4_k_m {HOST}",
    f"gpt-oss-20b rtx-4090 --offload experts=cpu {HOST}",
    f"qwen3-30b-a3b rtx-4090 --offload experts=cpu --weights int4 {HOST}",
    f"gpt-oss-20b rtx-4090 --offload experts=host {HOST}",
    f"llama-3.1-8b rtx-4090 --offload weights=host:8 {HOST}",
    "llama-3.1-70b 4xh100-sxm --weights fp8 --tp 2 --pp 2",
    "llama-3.1-70b 4xh100-sxm --weights fp8 --tp 1 --pp 4",
    "deepseek-v3 8xh200-sxm --tp 8",
    "llama-3.1-8b h100-sxm --draft 3 --acceptance 0.7 --draft-model llama-3.2-1b",
)


@pytest.mark.parametrize("preset", ["roofline", "typical"])
@pytest.mark.parametrize("replica", REPLICAS)
@pytest.mark.parametrize("arrivals", ["staggered", "burst"])
def test_a_prompt_that_rides_along_is_no_faster_than_on_an_idle_replica(replica: str, preset: str, arrivals: str) -> None:
    """One request alone and its whole prompt in one chunk: the step computes all that a prefill does, and a token besides."""
    line = f"interactivity {replica} --isl 4000 --osl 300 --batch 1 --prefill chunked --max-batched-tokens 16384"
    (row,) = rows(f"{line} --assume {preset} --arrivals {arrivals}")
    assert float(row["ttft_idle_ms"]) <= float(row["ttft_ms"]) < 1.5 * float(row["ttft_idle_ms"]) + 300


def added(model: str, hardware: str, batch: float, new: float, count: float = 1.0, **given: Any) -> float:
    deployment = deployed(model, hardware, **given)
    return float(chunk_s(deployment, mean_step(deployment, new, 500), batch, np.array([new]), np.array([count]))[0])


def test_adapters_by_hand() -> None:
    # rank 512 on all seven matrices of Llama 3.1 8B: 41,943,040 / 16 x 512 elements = 1.342e9, 2.684 GB; 64 sequences read them in
    # 2.684 / 3350 = 0.801 ms; 64 tokens and a chunk of 2,048 compute 2 x 2112 x 1.342e9 FLOPs in 5.730 ms: 4.929 ms more
    elements = 41_943_040 / 16 * 512
    expected = 2 * 2112 * elements / 989.4e12 - 2 * elements / 3350e9
    step = ("llama-3.1-8b", "h100-sxm", 64.0, 2048.0)
    assert expected == pytest.approx(4.929e-3, rel=1e-3)
    assert added(*step, lora="rank=512,count=1") - added(*step) == pytest.approx(expected, rel=2e-3)


def test_a_vision_tower_reads_the_images_of_a_prompt_once() -> None:
    """In one chunk or in four as much as the prefill of a whole prompt counts."""
    images = {"images": "4@1024x1024"}
    seen, blind = (float(prefill(deployed("qwen2.5-vl-7b", **given), 8000).ttft_s) for given in (images, {}))
    for count in (1.0, 4.0):
        more = added("qwen2.5-vl-7b", "h100-sxm", 8.0, 8000.0, count, **images) - added("qwen2.5-vl-7b", "h100-sxm", 8.0, 8000.0, count)
        assert count * more == pytest.approx(seen - blind, rel=1e-9) and seen - blind > 0.03


def test_attention_in_layers_of_the_host_by_hand() -> None:
    # 20 layers of the GPU are the output and 19 of 32, which leaves 13 to CPUs of 1 TFLOP/s: a chunk of 4,000 adds 13 x 2 x 218,103,808 x 4000
    # FLOPs of GEMMs, 22.68 s, and attention of 13 x 4 x 32 x 128 x 4000 x 4001 / 2, 1.70 s
    found = added("llama-3.1-8b", "rtx-4090", 1.0, 4000.0, gpu_layers=20, host="memory_gb_s=83,tflop_s=1,link_gb_s=25")
    gemms, attention = 13 * 2 * 218_103_808 * 4000 / 1e12, 13 * 4 * 4096 * 4000 * 4001 / 2 / 1e12
    read = 13 * 2 * 218_103_808 / 83e9  # of one token, which the step takes anyway
    on_device = 19 / 32 * float(prefill(deployed("llama-3.1-8b", "rtx-4090"), 4000).ttft_s)
    assert found == pytest.approx(gemms + attention - read + on_device, rel=0.002)


def test_a_chunk_in_a_pipeline_delays_others_by_one_stage_and_itself_by_all() -> None:
    deployment = on("llama-3.1-70b", "4xh100-sxm", weights="fp8", tp=1, pp=4)
    mean, chunk = mean_step(deployment, 2000, 300), (np.array([2000.0]), np.array([1.0]))
    one, all_of_them = (float(added[0]) for added in added_s(deployment, mean, 4.0, *chunk))
    # four stages of 20 layers, the last with the LM head, which the chunk does not pass
    assert all_of_them == pytest.approx(4 * one, rel=1e-3)


def test_first_token_in_a_pipeline_by_hand() -> None:
    """A request alone: its chunks pass four stages, each with the token that decodes; a rank is free for the next after one."""
    deployment = on("llama-3.1-70b", "4xh100-sxm", weights="fp8", tp=1, pp=4)
    mean = mean_step(deployment, 2000, 300)
    one = served(deployment, 2000, 300, 1.0, mean, "chunked", 1000.0)
    each = float(chunk_s(deployment, mean, 1.0, np.array([2000.0]), np.array([2.0]))[0])
    assert one.prompt is not None
    assert one.ttft_s == pytest.approx(2 * (float(mean.seconds(1.0)) + 4 * each), rel=1e-3)
    assert one.prompt.own_s == one.ttft_s and one.prompt.occupied_s == pytest.approx(2 * (float(mean.seconds(1.0)) + each), rel=1e-9)


@pytest.mark.parametrize("prompts", [1, 2, 8])
def test_several_prompts_in_a_step_by_hand(prompts: int) -> None:
    """Llama 3.1 8B on one H100, 64 sequences and whole prompts of 1,000: GEMMs of all tokens, and the attention of each prompt."""
    deployment = on("llama-3.1-8b", "h100-sxm")
    elements, attention = 32 * 218_103_808, 32 * 4 * 32 * 128 * 1000 * 1001 / 2
    expected = (2 * elements * (64 + prompts * 1000) + prompts * attention) / 989.4e12 - 2 * elements / 3350e9
    (found,) = chunk_s(deployment, mean_step(deployment, 1000, 500), 64.0, np.array([1000.0]), np.array([1.0]), prompts)
    assert found == pytest.approx(expected, rel=1e-9)


def test_latents_that_a_chunk_expands_again_by_hand() -> None:
    """DeepSeek V3 on 8 H200, 16 heads each: a chunk of 4,096 after as many tokens in the cache, less the same chunk without any.

    It scores 4096² pairs more, in the expanded form 2·16·(128 + 64 + 128) FLOPs each, and rebuilds keys and values of the 4,096 latents,
    2·512·16·(128 + 128) FLOPs each, in 61 layers: 10.59 ms at 989.4 TFLOP/s, and 0.53 ms at the 1,978.9 of fp8.
    """
    deployment = on("deepseek-v3", "8xh200-sxm", tp=8)
    mean, chunk = mean_step(deployment, 8192, 500), (np.array([4096.0]), np.array([1.0]))
    after, before = (float(chunk_s(deployment, mean, 1.0, *chunk, cached=np.array([cached]))[0]) for cached in (4096.0, 0.0))
    pairs, rebuilt = 61 * 2 * 16 * 320 * 4096**2 / 989.4e12, 61 * 2 * 512 * 16 * 256 * 4096 / 1978.9e12
    assert (pairs, rebuilt) == (pytest.approx(10.59e-3, rel=1e-3), pytest.approx(0.53e-3, rel=1e-2))
    assert after - before == pytest.approx(pairs + rebuilt, rel=1e-3)


def test_each_copy_of_a_drafting_layer_reads_the_chunk() -> None:
    plain = with_drafts(on("deepseek-v3", "8xh200-sxm", tp=8), 3, 0.7, own_layers=True)
    assert plain.draft is not None and plain.draft.deployment is not None
    mean, chunk = mean_step(plain, 8192, 500), (8.0, np.array([8192.0]), np.array([1.0]))
    assert isinstance(mean, SpeculativeStep) and mean.draft is not None
    layer, verify = (float(chunk_s(one.deployment, one, *chunk)[0]) for one in (mean.draft, mean.verify))
    three = replace(plain, draft=replace(plain.draft, copies=3))
    assert float(chunk_s(three, mean, *chunk)[0]) == pytest.approx(verify + 3 * layer, rel=1e-9) and layer > 1e-3


@pytest.mark.parametrize("preset", ["roofline", "typical"])
@pytest.mark.parametrize(
    ("model", "machine"), [("llama-3.1-8b", "l4"), ("gpt-oss-20b", "rtx-4090"), ("deepseek-v3", "8xh200-sxm"), ("gemma-3-27b", "h100-sxm")]
)
def test_a_row_does_not_depend_on_the_others(model: str, machine: str, preset: str) -> None:
    """Prompts of one chunk beside prompts of several: the cases of one table are answered as each alone."""
    batches, prompts = [1, 30, 60], [700, 6000]
    given = {"assume": preset, "prefill": "chunked", "max_batched_tokens": 2048, "osl": 200}
    several = rc.interactivity(model, machine, batch=batches, isl=prompts, **given)
    place = 0
    for isl, batch in zip(several["isl"], several["batch"], strict=True):
        alone = rc.interactivity(model, machine, batch=int(batch), isl=int(isl), **given)
        for column in ("interactivity_tok_s", "ttft_ms", "throughput_tok_s"):
            assert several[column][place] == pytest.approx(alone[column][0], rel=1e-9), (isl, batch, column)
        place += 1
    assert place == 6
