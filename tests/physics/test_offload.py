"""Weights, experts and layers in the host's memory: by hand, against the deployment without offload, and published runs."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import reached
from roofcalc.physics import decode_ops as work
from roofcalc.physics import memory, offload
from roofcalc.physics.breakdown import lines, prefill_lines
from roofcalc.physics.prefill import prefill
from roofcalc.physics.prompt_cache import fetch_s, first_token_s, found_tokens, tier_s
from roofcalc.physics.resources import operation_seconds
from roofcalc.physics.roofline import decode
from roofcalc.report import columns
from roofcalc.report.explain.prefill import prefill as explain_prefill
from roofcalc.report.explain.stages import step as explain_step
from roofcalc.specs.host import Host

HOST = "memory_gb=512,memory_gb_s=100,tflop_s=2,link_gb_s=25"


def deployed(model: str, hardware: str = "rtx-4090", **options: Any) -> Deployment:
    ((deployment, _),) = Request("prefill", columns.PREFILL, model, hardware, options).deployments()  # type: ignore[arg-type]
    return deployment


def step_s(deployment: Deployment, batch: float = 1.0, seq: float = 4000.0) -> float:
    return float(decode(deployment, np.array([seq])).seconds(np.array([batch]))[0])


def test_experts_on_the_cpus_by_hand() -> None:
    # gpt-oss-120b: 36 layers, 4 of 128 experts of three 2880 × 2880 matrices each, 4.25 bits a weight; one 2880-wide vector of 16 bits each way.
    experts_s = 36 * 4 * 3 * 2880 * 2880 * 4.25 / 8 / 100e9
    vectors_s = 36 * 2 * 2880 * 2 / 25e9
    plain = deployed("gpt-oss-120b", "4xrtx-4090", pp=1, tp=4)
    assert plain.offload is None
    hosted = deployed("gpt-oss-120b", offload="experts=cpu", host=HOST)
    assert decode(hosted, np.array([4000.0])).resources(np.array([1.0]))["host"] == pytest.approx([experts_s + vectors_s], rel=1e-9)
    assert decode(hosted, np.array([4000.0])).limited_by(np.array([1.0])).tolist() == ["host"]


def test_experts_streamed_by_hand() -> None:
    hosted = deployed("gpt-oss-120b", offload="experts=host", host=HOST)
    # 16 tokens reach 128·(1 − (1 − 4/128)^16) different experts in each layer; the link is slower than the memory
    read = 36 * 128 * (1 - (1 - 4 / 128) ** 16) * 3 * 2880 * 2880 * 4.25 / 8
    assert decode(hosted, np.array([4000.0])).resources(np.array([16.0]))["host"] == pytest.approx([read / 25e9], rel=1e-9)


@pytest.mark.parametrize("overlap", ["op", "none", "net", "full"])
@pytest.mark.parametrize("batch", [1.0, 24.0])
def test_the_devices_do_the_rest(overlap: str, batch: float) -> None:
    plain = deployed("gpt-oss-120b", overlap=overlap)
    hosted = deployed("gpt-oss-120b", offload="experts=cpu", host=HOST, overlap=overlap)
    before, after = (decode(one, np.array([4000.0])).resources(np.array([batch])) for one in (plain, hosted))
    load, _ = work.token_load(plain, np.array([batch]))
    routed = [one for one in work.batch_operations(plain, plain.stages[0], load) if one.tensor == "experts"]
    spared = sum(float(np.maximum(*operation_seconds(plain, one))[0]) * one.layers for one in routed)
    if overlap == "op":
        on_device = before["bandwidth"] + before["compute"] - after["bandwidth"] - after["compute"]
        assert on_device == pytest.approx([spared], rel=1e-9)
    host = float(after["host"][0])
    rest = step_s(hosted, batch) - host
    assert rest >= -1e-12 if overlap == "full" else rest > 0
    assert step_s(hosted, batch) > step_s(plain, batch)


@pytest.mark.parametrize(
    "given", [{"offload": "experts=cpu"}, {"offload": "experts=host"}, {"offload": "experts=cpu:20"}, {"offload": "weights=host:30"}]
)
def test_what_leaves_a_device_arrives_at_the_host(given: dict[str, Any]) -> None:
    plain, hosted = deployed("gpt-oss-120b", "2xrtx-4090", tp=2), deployed("gpt-oss-120b", "2xrtx-4090", tp=2, host=HOST, **given)
    whole = memory.system_weight_bytes(plain)
    assert memory.system_weight_bytes(hosted) + offload.host_weight_bytes(hosted) == pytest.approx(whole, rel=1e-12)
    assert offload.host_weight_bytes(hosted) > 0


def test_all_layers_with_experts_is_all_experts() -> None:
    every, counted = deployed("gpt-oss-120b", offload="experts=cpu", host=HOST), deployed("gpt-oss-120b", offload="experts=cpu:36", host=HOST)
    assert step_s(every, 3) == step_s(counted, 3) and memory.system_weight_bytes(every) == memory.system_weight_bytes(counted)
    seconds = [step_s(deployed("gpt-oss-120b", offload=f"experts=cpu:{count}", host=HOST)) for count in (1, 12, 24, 36)]
    assert seconds == sorted(seconds)


def test_layers_of_the_host_by_hand() -> None:
    # llama-3.1-70b in bf16: a layer has 855,638,016 weights in matrices; 61 of 80 layers on the devices (with the output layer, 62) leave 19
    hosted = deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=62, host=HOST)
    found = decode(hosted, np.array([1000.0])).resources(np.array([2.0]))["host"]
    weights_s = 19 * 855_638_016 * 2 / 100e9
    cache_s = 19 * 2 * 1000 * (2 * 8 * 128 * 2) / 100e9
    vectors_s = 2 * 8192 * 2 / 25e9
    assert found == pytest.approx([weights_s + cache_s + vectors_s], rel=1e-9)
    assert dict(hosted.stages[0].groups) == {"block": 61}
    assert memory.host_kv_bytes(hosted, np.array([1000.0])) == pytest.approx([19 * 1000 * 2 * 8 * 128 * 2])
    assert deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=81, host=HOST).offload is None


def test_streamed_weights_take_their_share_of_the_link() -> None:
    # 40 of 141.1 GB: each step reads all but the embedding; what it reads of the host's share crosses the link
    plain = deployed("llama-3.1-70b", "h200-sxm")
    hosted = deployed("llama-3.1-70b", "h200-sxm", offload="weights=host:40", host=HOST)
    stored = memory.system_weight_bytes(plain)
    read = 2 * (70_553_706_496 - 128_256 * 8192 - (2 * 80 + 1) * 8192)
    assert step_s(hosted) - step_s(plain) == pytest.approx(40e9 / stored * read / 25e9, rel=1e-9)


@pytest.mark.parametrize("experts", ["cpu", "host"])
@pytest.mark.parametrize("batch", [1.0, 40.0])
def test_streamed_weights_are_not_those_of_the_hosts_experts(experts: str, batch: float) -> None:
    """All that is left on the device is streamed whole, its embedding aside, and half of it half; no more where more is asked for."""
    plain = deployed("gpt-oss-20b", offload=f"experts={experts}", host=HOST)
    left = memory.system_weight_bytes(plain)

    def streamed_s(gb: float) -> float:
        both = deployed("gpt-oss-20b", offload=f"experts={experts} weights=host:{gb}", host=HOST)
        host = [float(decode(one, np.array([4000.0])).resources(np.array([batch]))["host"][0]) for one in (both, plain)]
        return host[0] - host[1]

    # gpt-oss-20b: an embedding of 201,088 × 2,880 in 16 bits is stored and not read, nor are the experts' biases, in 24 layers of 32 experts
    # 2 · 2,880 of up and gate and 2,880 of down; norms, sinks and the biases of attention are less than a thousandth
    read = left - 2 * (201_088 * 2880 + 24 * 32 * 3 * 2880)
    assert streamed_s(left / 1e9) == pytest.approx(read / 25e9, rel=1e-3)
    assert streamed_s(left / 2e9) == pytest.approx(read / 50e9, rel=1e-3)
    assert streamed_s(left / 1e9 + 5) == pytest.approx(streamed_s(left / 1e9))


def test_sequences_that_the_host_has_no_room_for() -> None:
    small = deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=41, host="memory_gb=80,memory_gb_s=100,link_gb_s=25")
    room = 80e9 - 40 * (855_638_016 * 2 + 2 * 8192 * 2)
    assert memory.batch_memory(small, np.array([8000.0])) == [room // (40 * 8000 * 4096)]
    full = deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=41, host="memory_gb=60,memory_gb_s=100,link_gb_s=25")
    assert memory.batch_memory(full, np.array([8000.0])) == [0]


@pytest.mark.parametrize("overlap", ["op", "none", "full"])
@pytest.mark.parametrize(
    "given",
    [{"offload": "experts=cpu"}, {"offload": "experts=cpu:9"}, {"offload": "experts=host"}, {"offload": "weights=host:9"}, {"gpu_layers": 20}],
)
def test_operations_add_up_to_the_step_and_to_the_first_token(given: dict[str, Any], overlap: str) -> None:
    hosted = deployed("gpt-oss-20b", host=HOST, **({"assume": overlap} if overlap == "typical" else {"overlap": overlap}), **given)
    seq, batch = np.array([3000.0]), np.array([4.0])
    summed = sum(one.time_s for one in lines(decode(hosted, seq), seq, batch))
    assert summed == pytest.approx(decode(hosted, seq).seconds(batch), rel=1e-9)
    summed = sum(one.time_s for one in prefill_lines(hosted, seq, 0.0, batch))
    assert summed == pytest.approx(prefill(hosted, seq, 0.0, batch).ttft_s, rel=1e-9)


def test_a_prefill_takes_the_sooner_of_computing_and_streaming() -> None:
    seq = np.array([2000.0])
    times = {
        tflop: float(prefill(deployed("gpt-oss-20b", offload="experts=cpu", host=f"memory_gb_s=100,link_gb_s=25,tflop_s={tflop}"), seq).ttft_s[0])
        for tflop in (0.5, 2, 1000)
    }
    streamed = float(prefill(deployed("gpt-oss-20b", offload="experts=host", host="memory_gb_s=100,link_gb_s=25"), seq).ttft_s[0])
    assert times[0.5] == pytest.approx(streamed) and times[1000] < times[2] <= streamed


@pytest.mark.parametrize(("cpu_ms", "on_device"), [(25.7, False), (26.3, True)])
def test_streamed_experts_take_the_devices_time_too(cpu_ms: float, on_device: bool) -> None:
    # gpt-oss-20b, one token in 12 of its 24 layers: 4 experts of 3 · 2,880 · 2,880 weights of 4.25 bits, 634.5 MB: 25.4 ms over the link
    # and 0.63 ms more from the memory of an RTX 4090 (1,008 GB/s), 26.0 ms; the CPUs' arithmetic is set to take less, and more
    flops = 12 * 4 * 2 * 3 * 2880 * 2880
    host = f"memory_gb_s=100,link_gb_s=25,tflop_s={flops / cpu_ms / 1e9}"
    hosted = deployed("gpt-oss-20b", offload="experts=cpu", host=host)
    found = {one.op: float(one.bytes[0]) for one in prefill_lines(hosted, np.array([1.0]), 0.0, np.array([1.0]))}
    assert (found["full.expert_up"] > 0) == (found["local.expert_up"] > 0) == on_device


@pytest.mark.parametrize(
    "given",
    [{"offload": "experts=cpu"}, {"offload": "experts=cpu:9"}, {"offload": "weights=host:9"}, {"gpu_layers": 20}],
)
@pytest.mark.parametrize("assume", ["roofline", "typical"])
def test_explanations_end_in_the_same_figures(given: dict[str, Any], assume: str) -> None:
    hosted = deployed("gpt-oss-20b", host=HOST, assume=assume, **given)
    assert explain_step(hosted, 3000.0, 4.0)[1] == pytest.approx(step_s(hosted, 4, 3000), rel=1e-9)
    assert explain_prefill(hosted, 3000.0, 0.0, 2.0)[1] == pytest.approx(prefill(hosted, np.array([3000.0]), 0.0, 2.0).ttft_s[0], rel=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"offload": "experts=disk"}, "is not one of weights=host:GB"),
        ({"offload": "weights=host"}, "needs a number of GB"),
        ({"offload": "experts=cpu experts=host"}, "given twice"),
        ({"offload": "experts=cpu"}, "llama-3.1-8b has no routed experts"),
        ({"offload": "kv=nvme:4", "host": HOST}, "the read bandwidth of the host's drives is not known"),
        ({"offload": "kv=host:4000", "host": HOST}, "more than the 512 GB of the host's memory"),
        ({"offload": "weights=host:4", "assume": "bound"}, "bound takes no memory"),
        ({"gpu_layers": 10}, "the bandwidth of the host's memory is not known for this machine; give it, as in --host memory_gb_s=90 "),
        ({"host": HOST}, "has no effect without --offload"),
        ({"gpu_layers": 10, "host": "memory=4"}, "is not one of cpu="),
        ({"gpu_layers": 10, "host": "memory_gb_s=-4"}, "is not a number above 0"),
        ({"gpu_layers": 10, "host": "cpu=nope"}, "unknown CPU 'nope'"),
        ({"gpu_layers": 10, "host": "count=2"}, "count is that of cpu=NAME or of the memory of memory_gb_s"),
        ({"gpu_layers": 10, "host": "cpu=9654,numa=2"}, "numa='2' is not on or off"),
    ],
)
def test_refusals(given: dict[str, Any], message: str) -> None:
    with pytest.raises(rc.RoofcalcError, match=message):
        rc.memory("llama-3.1-8b", "rtx-4090", seq=1000, **given)


def test_memory_that_is_the_hosts_has_no_second_tier() -> None:
    with pytest.raises(rc.RoofcalcError, match="the memory of m4-max is the host's"):
        rc.memory("llama-3.1-8b", "m4-max", seq=1000, offload="weights=host:4")


# Published runs: command, tokens per second of one user, source. `typical` is within 35 %, and the roofline never slower than measured.
XEON_6454S = "cpu=6454S,memory_gb=512"  # 8 × DDR5-4800
TWO_XEON_6454S = "cpu=6454S,count=2,memory_gb=1000"
KTRANSFORMERS = "https://github.com/kvcache-ai/ktransformers/blob/034a1163/doc/en/DeepseekR1_V3_tutorial.md"
MINIMAX = "https://github.com/kvcache-ai/ktransformers/blob/15c624dc/doc/en/kt-kernel/MiniMax-M2.1-Tutorial.md"
_HOST_9950X = "memory_gb_s=76.8,memory_gb=128"  # two channels of DDR5-4800
_QWEN35 = "https://reddit.sentinel-team.org/posts/1rei65v/snapshots/2026-02-25T19%3A22%3A50.330313Z"
_QWEN122 = "https://ai-navigate-news.com/en/articles/2e7c1ad5-3042-4803-8f2e-fb12d3fb7a0f"
_IK_490 = "https://github.com/ikawrakow/ik_llama.cpp/issues/490"
_KIMI = "https://github.com/sousekd/local-ai-dockerfiles/blob/fa41a145/models/kimi-k2/sglang-ktransformers-v3.md"
_IQ3_K = "experts=3.79bpw attention=6.56bpw head=8.5bpw"  # iq3_k and iq4_k, iq6_k, q8_0
# What `typical` takes of the host's memory was chosen on these: u_experts on the first, the factor of two sockets on the second, and 0.8
# of the memory, which a memory tester's readings gave (https://github.com/ikawrakow/ik_llama.cpp/pull/370), was kept for the two desktops.
CHOSEN = [
    # Q4_K_M, one RTX 4090 D and one socket (decode after a prompt of 500 tokens, 8 experts), v0.2
    (("deepseek-v3", "rtx-4090"), {"weights": "q4_k_m", "seq": 650, "offload": "experts=cpu", "host": XEON_6454S}, 8.73, KTRANSFORMERS),
    # the same with two sockets, each with all experts (USE_NUMA=1), v0.2.1 on an RTX 4090, after 1,930 tokens
    (("deepseek-v3", "rtx-4090"), {"weights": "q4_k_m", "seq": 2080, "offload": "experts=cpu", "host": TWO_XEON_6454S}, 13.4, KTRANSFORMERS),
    # all 36 layers' experts on a Core i9-14900K (--n-cpu-moe 36), 12,717 tokens read and 1,966 written
    (
        ("gpt-oss-120b", "rtx-3090"),
        {"seq": 13700, "offload": "experts=cpu", "host": "cpu=14900K,memory_gb=96"},
        25.62,
        "https://gokawiil.com/article/74814",
    ),
    # 22 layers' experts beside a Ryzen 9 9900X with DDR5-5600; llama-server fits the rest into an RTX 5090
    (
        ("gpt-oss-120b", "rtx-5090"),
        {"seq": 1000, "offload": "experts=cpu:22", "host": "memory_gb_s=89.6,memory_gb=64"},
        44.2,
        "https://github.com/kvcache-ai/ktransformers/blob/1f634203/doc/en/kt-kernel/GPT-OSS-120B-Kernel-Work.md",
    ),
]
# Copies to the device: their fraction of the link was chosen on the first.
STREAMED = [
    # Grace Hopper 96 GB: all that is above 0.8 of the memory (141.1 − 77.6 GB) streamed over the chip-to-chip link by vLLM
    (("llama-3-70b", "gh200-96gb"), {"seq": 500, "offload": "weights=host:64"}, 4.6, "https://github.com/vllm-project/vllm/pull/6317"),
    # vLLM --cpu-offload-gb 20: all 15.2 GB over PCIe 4.0 x16 (two channels of DDR5 taken)
    (
        ("qwen2-7b", "rtx-4090"),
        {"seq": 500, "offload": "weights=host:15.2", "host": "memory_gb_s=83.2,memory_gb=64"},
        1.65,
        "https://rl.huuu.biz/r/Vllm/comments/1onqfx7/the_35x_performance_tax_vllms_cpu_offloading_is_a",
    ),
]
UNSEEN = [
    # two sockets, each computing what lies in its memory: after 7,678 tokens
    (("deepseek-v3", "rtx-4090"), {"weights": "q4_k_m", "seq": 7828, "offload": "experts=cpu", "host": TWO_XEON_6454S}, 12.4, KTRANSFORMERS),
    # USE_NUMA=1, answers of about 1,100 tokens, TPOT 0.0568 s
    (
        ("deepseek-r1", "rtx-4090"),
        {"weights": "q4_k_m", "seq": 600, "offload": "experts=cpu", "host": "cpu=9135,count=2,memory_gb=1152"},
        17.3,
        "https://github.com/kvcache-ai/ktransformers/issues/797",
    ),
    # MiniMax-M2.1 in fp8 (the shapes of M2), DDR5-5600
    (("minimax-m2", "rtx-5090"), {"seq": 2048, "offload": "experts=cpu", "host": "memory_gb_s=1075.2,count=2,memory_gb=1000"}, 32.1, MINIMAX),
    (("minimax-m2", "rtx-5090"), {"seq": 32768, "offload": "experts=cpu", "host": "memory_gb_s=1075.2,count=2,memory_gb=1000"}, 27.6, MINIMAX),
    # a card with 48 GB
    (("minimax-m2", "rtx-4090"), {"seq": 2048, "offload": "experts=cpu", "host": "cpu=8488C,count=2,memory_gb=1000"}, 21.8, MINIMAX),
    # two sockets whose threads read one another's memory: ik_llama.cpp, layers 12 to 93, and all experts in IQ4_K_R4 and IQ5_K_R4;
    # 768 GB in 24 channels, DDR5-6000 taken, tg128
    (
        ("qwen3-235b-a22b", "rtx-3090"),
        {"weights": _IQ3_K, "seq": 64, "offload": "experts=cpu:82", "host": "memory_gb_s=1152,count=2,numa=off,memory_gb=768"},
        19.01,
        _IK_490,
    ),
    (
        ("deepseek-v3", "rtx-3090"),
        {
            "weights": "experts=4.83bpw attention=8.5bpw shared=8.5bpw head=8.5bpw",
            "seq": 64,
            "offload": "experts=cpu",
            "host": "memory_gb_s=1152,count=2,numa=off,memory_gb=768",
        },
        10.08,
        _IK_490,
    ),
    # two Xeon 6330 with USE_NUMA=1, whose memory shows that the experts are there only once; 16 × DDR4-2933 taken
    (
        ("deepseek-r1", "l40"),
        {"weights": "q4_k_m", "seq": 600, "offload": "experts=cpu", "host": "memory_gb_s=375.4,count=2,numa=off,memory_gb=2000"},
        7.0,
        "https://github.com/kvcache-ai/ktransformers/issues/824",
    ),
    # one socket, twelve channels
    (
        ("deepseek-r1", "rtx-4090"),
        {"weights": "q4_k_m", "seq": 1000, "offload": "experts=cpu", "host": "cpu=9654,memory_gb=768"},
        14.0,
        "https://github.com/kvcache-ai/ktransformers/issues/314",
    ),
    (
        ("deepseek-r1", "rtx-4090"),
        {"weights": "q4_k_m", "seq": 10000, "offload": "experts=cpu", "host": "cpu=9654,memory_gb=768"},
        10.0,
        "https://github.com/kvcache-ai/ktransformers/issues/314",
    ),
    # an EPYC 9355, layers 15 to 93, ik_llama.cpp; the speed of the memory is not given, DDR5-6000 taken
    (
        ("qwen3-235b-a22b", "rtx-5090"),
        {"weights": _IQ3_K, "seq": 256, "offload": "experts=cpu:79", "host": "memory_gb_s=576,memory_gb=768"},
        24.07,
        "https://github.com/ikawrakow/ik_llama.cpp/issues/629",
    ),
    # MiniMax-M2.5 in IQ5_K, ik_llama.cpp with 13 threads: the mean of runs between 34 and 37
    (
        ("minimax-m2.5", "rtx-pro-6000-max-q"),
        {"weights": "mlp=5.5bpw", "seq": 1500, "offload": "experts=cpu", "host": "cpu=9175F,memory_gb=768"},
        35.2,
        "https://website-7t7.pages.dev/en/docs/tech/llm-research/minimax-2-5-expert-offload-and-web-generation",
    ),
    # Kimi-K2.7 (the shapes of K2.5) as published, an EPYC 9355 with DDR5-6400; SGLang defers an expert of each token, so that the CPUs
    # compute while the device does
    *(
        (
            ("kimi-k2.5", "rtx-pro-6000-workstation"),
            {"seq": seq, "offload": "experts=cpu", "overlap": "full", "host": "memory_gb_s=614.4,memory_gb=768"},
            measured,
            _KIMI,
        )
        for seq, measured in ((500, 18.1), (32768, 16.4), (131072, 15.4))
    ),
    # two channels: about 10, layers 12 to 93, DDR5-6400, ik_llama.cpp
    (
        ("qwen3-235b-a22b", "rtx-3090-ti"),
        {"weights": _IQ3_K, "seq": 500, "offload": "experts=cpu:82", "host": "memory_gb_s=102.4,memory_gb=96"},
        10.0,
        "https://huggingface.co/ubergarm/Qwen3-235B-A22B-GGUF",
    ),
    # short outputs
    (("qwen3.5-35b-a3b", "rtx-5080"), {"weights": "q8_0", "seq": 500, "offload": "experts=cpu", "host": _HOST_9950X}, 35.7, _QWEN35),
    (("qwen3.5-35b-a3b", "rtx-5080"), {"weights": "q4_k_m", "seq": 500, "offload": "experts=cpu", "host": _HOST_9950X}, 51.0, _QWEN35),
    # --n-cpu-moe 24
    (("qwen3.5-35b-a3b", "rtx-5080"), {"weights": "q4_k_m", "seq": 500, "offload": "experts=cpu:24", "host": _HOST_9950X}, 69.6, _QWEN35),
    # Q4_K_L, a Ryzen 9 7950X with 96 GB (DDR5-5200 taken): all 48 layers' experts, and those of 40
    (
        ("qwen3.5-122b-a10b", "rtx-4090"),
        {"weights": "q4_k_l", "seq": 3000, "offload": "experts=cpu", "host": "cpu=AMD Ryzen 9 7950X,memory_gb=96"},
        15.65,
        _QWEN122,
    ),
    (
        ("qwen3.5-122b-a10b", "rtx-4090"),
        {"weights": "q4_k_l", "seq": 3000, "offload": "experts=cpu:40", "host": "cpu=AMD Ryzen 9 7950X,memory_gb=96"},
        17.87,
        _QWEN122,
    ),
    # --cpu-moe beside a Ryzen 9 5900X with two channels of DDR4-3200: about 20
    (
        ("gpt-oss-20b", "rx-7900-xt"),
        {"seq": 500, "offload": "experts=cpu", "host": "memory_gb_s=51.2,memory_gb=32"},
        20.0,
        "https://github.com/ggml-org/llama.cpp/discussions/15396",
    ),
]
# Where `typical` is further off: predicted over measured.
BEYOND = [
    # 26 layers' experts on a Ryzen 7 5800X with DDR4 (3,200 MT/s taken), rows over two RTX 3090: 10 to 17 tok/s, the middle
    (
        ("gpt-oss-120b", "2xrtx-3090"),
        {"seq": 1000, "tp": 2, "pp": 1, "offload": "experts=cpu:26", "host": "memory_gb_s=51.2,memory_gb=64"},
        13.5,
        "https://llmgarage.ai/gpt-oss-120b-dual-3090",
        1.69,
    ),
    # IQ4_NL, ik_llama.cpp: the mean of 28 runs
    (
        ("qwen3.5-397b-a17b", "rtx-pro-6000-workstation"),
        {"weights": "iq4_nl", "seq": 2000, "offload": "experts=cpu", "host": "cpu=9175F,memory_gb=768"},
        22.5,
        "https://website-7t7.pages.dev/en/docs/tech/llm-research/qwen3-5-397b-iq4-nl-hybrid-inference-benchmark",
        1.40,
    ),
    # an RTX 2080 (as RTX 2080 Ti) and a Core i9-10900X with four channels, --n-cpu-moe 36
    (
        ("qwen3-30b-a3b-2507", "rtx-2080-ti"),
        {"weights": "q4_k_m", "seq": 500, "offload": "experts=cpu:36", "host": "memory_gb_s=102.4,memory_gb=64"},
        36.7,
        "https://github.com/AlexsJones/llmfit/pull/755",
        1.41,
    ),
]


def tok_s(where: tuple[str, str], given: dict[str, Any], assume: str) -> float:
    return float(rc.interactivity(*where, batch=1, assume=assume, engine="none", **given)["interactivity_tok_s"][0])  # type: ignore[arg-type]


@pytest.mark.parametrize(("where", "given", "measured", "source"), CHOSEN + STREAMED + UNSEEN)
def test_published_runs(where: tuple[str, str], given: dict[str, Any], measured: float, source: str) -> None:
    assert source.startswith("https://")
    assert tok_s(where, given, "roofline") >= measured
    assert tok_s(where, given, "typical") == pytest.approx(measured, rel=0.35)


@pytest.mark.parametrize(("where", "given", "measured", "source", "ratio"), BEYOND)
def test_published_runs_that_typical_misses(where: tuple[str, str], given: dict[str, Any], measured: float, source: str, ratio: float) -> None:
    assert source.startswith("https://")
    assert tok_s(where, given, "roofline") >= measured
    assert tok_s(where, given, "typical") / measured == pytest.approx(ratio, rel=0.05)


def test_errors_on_runs_that_the_fractions_were_not_chosen_on() -> None:
    unseen = [*UNSEEN, *(case[:4] for case in BEYOND)]
    factors = np.exp(np.abs([np.log(tok_s(where, given, "typical") / measured) for where, given, measured, _ in unseen]))
    assert np.median(factors) < 1.2 and np.max(factors) < 1.75


def test_what_sockets_reach_by_hand() -> None:
    # one socket of 307.2 GB/s: 1/(1/0.8 + 307.2/270) in experts, 1/(1/0.8 + 307.2/1200) in layers
    one = reached(307.2, 1, True)
    assert (one["expert_mbu"], one["mbu"]) == pytest.approx((0.4187, 0.6641), abs=5e-4)
    apart, across = reached(614.4, 2, True), reached(614.4, 2, False)
    assert [apart[name] / one[name] for name in ("mbu", "expert_mbu")] == pytest.approx([0.87, 0.87], abs=2e-3)
    assert [across[name] / one[name] for name in ("mbu", "expert_mbu")] == pytest.approx([0.5, 0.5], abs=2e-3)


def test_dense_matrices_on_one_socket() -> None:
    # an EPYC 9554 by itself, 460.8 GB/s: Phi-4 in Q4_K_M at 28.74 tok/s, in Q8_0 at 19.194 (8.43 and 14.51 GiB)
    # https://ahelpme.com/?p=6685
    measured = [8.43 * 2**30 * 28.74 / 460.8e9, 14.51 * 2**30 * 19.194 / 460.8e9]
    assert measured == pytest.approx([reached(460.8, 1, True)["mbu"]] * 2, rel=0.1)


def test_fractions_of_a_host() -> None:
    def host(text: str | None, hardware: str = "rtx-4090", **options: Any) -> Host:
        offload = deployed("gpt-oss-120b", hardware, offload="experts=cpu", host=text, assume="typical", **options).offload
        assert offload is not None
        return offload.host

    two = "cpu=6454S,count=2,memory_gb=1000"
    assert "mbu=0.578,expert_mbu=0.364" in host(two).label
    assert host(f"{two},mbu=0.3").expert_mbu == host(f"{two},mbu=0.3").mbu == 0.3
    assert host(f"{two},expert_mbu=0.3").expert_mbu == 0.3 and host(f"{two},expert_mbu=0.3").mbu == 0.578
    assert host(two, engine="llama.cpp").expert_mbu == host(f"{two},numa=off").expert_mbu == 0.209
    assert host(f"{two},numa=on", engine="llama.cpp").expert_mbu == 0.364
    assert host("memory_gb_s=614.4,count=2").expert_mbu == 0.364 and host("memory_gb_s=614.4").expert_mbu < 0.3
    # the catalog's system has two packages
    assert host(None, "dgx-h100") == host("count=2,memory_gb_s=614.4", "dgx-h100")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"host": "cpu=6454S,count=2", "engine": "llama.cpp"}, "with --numa distribute give --host numa=on"),
        ({"host": "cpu=6454S,numa=on"}, "numa changes nothing here"),
        ({"host": "cpu=6454S,count=2,numa=off", "assume": "roofline"}, "numa changes nothing here"),
    ],
)
def test_notes_on_sockets(given: dict[str, Any], word: str) -> None:
    options = {"assume": "typical", "batch": 1, "seq": 1000, "offload": "experts=cpu"} | given
    assert any(word in note for note in rc.interactivity("gpt-oss-120b", "rtx-4090", **options).notes)  # type: ignore[arg-type]


def test_a_published_prefill() -> None:
    # ktransformers 0.3 with AMX kernels, a prompt of 2K (1,930) tokens on two Xeon 6454S: 255.26 tok/s; 0.2 without them 88.5
    given: dict[str, Any] = {"weights": "q4_k_m", "seq": 1930, "offload": "experts=cpu", "host": TWO_XEON_6454S, "engine": "none"}
    found = rc.prefill("deepseek-v3", "rtx-4090", assume="typical", **given)["prefill_tok_s"][0]
    assert found == pytest.approx(255.26, rel=0.35)


def tiered(tier: str, hit_rate: float = 0.9, **options: Any) -> Deployment:
    host = "memory_gb=1500,memory_gb_s=700,nvme_gb_s=25,link_gb_s=63"
    return deployed("llama-3.1-70b", "4xh100-sxm", tp=4, pp=1, hit_rate=hit_rate, offload=tier, host=host, **options)


def test_fetching_by_hand() -> None:
    # 80 layers, 8 KV heads of 128 in 16 bits: 327,680 bytes a token, of which each of four devices fetches a quarter over its link
    found, isl = np.array([90_000.0]), np.array([100_000.0])
    assert fetch_s(tiered("kv=host:500"), isl) == pytest.approx(90_000 * 327_680 / 4 / 63e9)
    assert fetch_s(tiered("kv=nvme:500"), isl) == pytest.approx(90_000 * 327_680 / 25e9)
    assert found_tokens(tiered("kv=host:500"), isl) == found


def test_ranks_share_the_drives_and_the_hosts_memory() -> None:
    # llama-3.1-8b: 32 layers, 8 KV heads of 128 in 16 bits, 131,072 bytes a token; eight ranks fetch 28,800 tokens each
    host = "memory_gb=1500,memory_gb_s=400,nvme_gb_s=25,link_gb_s=63"
    (nvme, ram) = (deployed("llama-3.1-8b", "8xh100-sxm", tp=1, dp=8, hit_rate=0.9, offload=f"kv={tier}:500", host=host) for tier in ("nvme", "host"))
    isl, fetched = np.array([32_000.0]), 28_800 * 131_072
    assert tier_s(nvme, 0.0, isl * 0.9) == pytest.approx(8 * fetched / 25e9)
    assert fetch_s(ram, isl) == pytest.approx(8 * fetched / 400e9)
    staged = deployed("llama-3.1-8b", "4xh100-sxm", tp=1, pp=4, hit_rate=0.9, offload="kv=nvme:500", host=host)
    assert tier_s(staged, 0.0, isl * 0.9) == pytest.approx(fetched / 25e9)  # the layers of four stages


def test_what_is_computed_sooner_is_not_fetched() -> None:
    slow = deployed("llama-3.1-70b", "4xh100-sxm", tp=4, pp=1, hit_rate=0.9, offload="kv=nvme:500", host="memory_gb_s=700,link_gb_s=63,nvme_gb_s=0.5")
    isl = np.array([4000.0, 100_000.0])
    assert found_tokens(slow, isl).tolist() == [0, 0] and fetch_s(slow, isl).tolist() == [0, 0]
    plain = deployed("llama-3.1-70b", "4xh100-sxm", tp=4, pp=1)
    assert prefill(plain, isl).ttft_s == pytest.approx(first_token_s(slow, isl))


@pytest.mark.parametrize("mode", ["colocated", "chunked", "separate"])
def test_fetching_delays_the_first_token_alone(mode: str) -> None:
    def row(**options: Any) -> dict[str, Any]:
        options |= {"hit_rate": 0.9, "tp": 4, "pp": 1, "prefill": mode}
        return next(rc.interactivity("llama-3.1-70b", "4xh100-sxm", isl=50_000, osl=500, batch=6, **options).rows())

    near, far = row(), row(offload="kv=host:500", host="memory_gb_s=700,link_gb_s=63")
    fetched_ms = 45_000 * 327_680 / 4 / 63e9 * 1e3
    assert far["ttft_ms"] - near["ttft_ms"] == pytest.approx(fetched_ms)
    assert far["ttft_idle_ms"] - near["ttft_idle_ms"] == pytest.approx(fetched_ms)
    assert far["interactivity_tok_s"] == pytest.approx(near["interactivity_tok_s"])
    stay = 500 / far["interactivity_tok_s"] + far["ttft_ms"] / 1e3
    assert 6 * 500 / far["throughput_tok_s"] == pytest.approx(stay)


def test_sessions_that_a_tier_keeps() -> None:
    kept = memory.tier_sessions(tiered("kv=host:500 kv=nvme:1000"), np.array([100_000.0]))
    assert kept == pytest.approx([1500e9 / (100_000 * 327_680)])


def test_a_plan_waits_for_what_is_fetched() -> None:
    def first_ms(**options: Any) -> float:
        demand = {"isl": 50_000, "osl": 500, "requests_per_second": 0.05, "hit_rate": 0.9, "tp": 4}
        return float(rc.plan("llama-3.1-70b", "4xh100-sxm", **demand, **options)["ttft_ms"][0])

    far = first_ms(offload="kv=host:500", host="memory_gb_s=700,link_gb_s=63")
    assert far - first_ms() == pytest.approx(45_000 * 327_680 / 4 / 63e9 * 1e3, rel=0.01)
