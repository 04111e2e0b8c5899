"""Weights and experts in the host's memory against published runs, and the fractions of a host that were chosen on some of them."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.offload import reached
from roofcalc.specs.host import Host
from tests.physics.test_offload import deployed

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
