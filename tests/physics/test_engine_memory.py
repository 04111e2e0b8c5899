"""Engine memory against logged starts, each worked by hand from a model's published shape. Rows m… are of the file of starts."""

import math

import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.deployment.engines import GIB, rules, total_bytes
from roofcalc.physics import engine_memory, memory
from roofcalc.physics.engine_memory import activation_bytes, grouped_pages, padding_bytes
from roofcalc.solvers.max_context import max_context
from roofcalc.specs.attention import GQA
from roofcalc.specs.record import replace


def start(model: str, device: str, engine: str, count: int = 1, weights: str = "native", kv: str | None = None, **given: float | None) -> Deployment:
    """A deployment over tensor ranks only, with what was asked of the engine in `given`."""
    built = lookup.model(model)[0]
    hardware = replace(lookup.hardware(device)[0], count=count, name=device, scale_out_bytes_per_s=1e9)
    assumed = assumptions("roofline", engine=engine, **given)
    return deploy(built, hardware, weights=weights, kv=kv, tp=count, pp=1, dp=1, ep=1, assumptions=assumed)


def gib(deployment: Deployment, seq: float) -> tuple[float, float, float, float]:
    """Weights, activations, runtime and cache of the last stage, in GiB."""
    found = memory.budget(deployment, deployment.stages[-1], seq)
    return found.weights / GIB, float(found.activations) / GIB, found.runtime / GIB, float(found.cache) / GIB


def tokens(deployment: Deployment, seq: float) -> float:
    return float(memory.kv_tokens(deployment, seq))


def test_the_runtime_reports_less_than_the_driver_shows() -> None:
    """79.19 GiB of an H100 (m010), 23.58 of an RTX 3090; an MI300X loses nothing: 191.98 (m072). An A10G, which has no log here: 22.06."""
    for device, logged in (("h100-sxm", 79.19), ("rtx-3090", 23.58), ("mi300x", 191.98), ("a10g", 22.06), ("rtx-4090", 23.52), ("b200-sxm", 178.35)):
        assert total_bytes(lookup.hardware(device)[0].device) / GIB == pytest.approx(logged, abs=0.12), device


def test_activations_of_the_sampler_are_sequences_by_vocabulary() -> None:
    """m022 and m023, Qwen3-14B on an H100: 5.64 GiB in vLLM 0.16, 2.23 in 0.18. By hand 1024·151936·38.4 and 1024·151936·14.9, and 8192·5120·2."""
    hidden = 8192 * 5120 * 2
    for engine, bytes_each, logged in (("vllm-0.16", 38.4, 5.64), ("vllm-0.18", 14.9, 2.23)):
        one = start("qwen3-14b", "h100-sxm", engine, util=0.95)
        by_hand = 1024 * 151936 * bytes_each + hidden
        assert float(activation_bytes(one, one.stages[-1], 8192.0)) == by_hand
        assert by_hand / GIB == pytest.approx(logged, abs=0.02)


def test_activations_of_a_whole_prompt_are_gate_up_and_product() -> None:
    """m072, Llama-3.1-8B on an MI300X, 131,072 tokens in one step: 14.63 GiB. By hand 131072·2·(3·14336 + 4·4096) = 14.5 GiB."""
    one = start("llama-3.1-8b", "mi300x", "vllm-0.7", max_batched_tokens=131072)
    by_hand = 131072 * 2 * (3 * 14336 + 4 * 4096)
    assert float(activation_bytes(one, one.stages[-1], 131072.0)) == by_hand
    assert by_hand / GIB == pytest.approx(14.63, rel=0.02)


def test_qwen3_14b_leaves_what_the_log_leaves() -> None:
    """m023: 0.95·79.19 − 27.52 − 2.23 − 0.25 = 45.23 GiB, 36.18 sequences of 8,192: 40 layers·8 heads·128·2·2 B = 163,840 B per token."""
    one = start("qwen3-14b", "h100-sxm", "vllm-0.18", util=0.95)
    assert gib(one, 8192.0) == pytest.approx((27.52, 2.23, 0.25, 45.23), abs=0.03)
    assert float(memory.max_concurrency(one, 8192.0)) == pytest.approx(45.23 * GIB / (163840 * 8192), rel=2e-3)
    assert float(memory.max_concurrency(one, 8192.0)) == pytest.approx(36.18, rel=2e-3)


def test_windowed_layers_of_gpt_oss_hold_window_and_batched_tokens() -> None:
    """m061, gpt-oss-20b: 12 full layers hold 512 blocks of 16 at 8,192, 12 windowed ceil((127 + 2048)/16) + 1 = 137; 2,048 B per token and layer."""
    one = start("gpt-oss-20b", "gb10", "vllm-0.13", util=0.25)
    page = grouped_pages(one, one.stages[-1])
    assert page is not None and (page.layers, page.size, page.all_groups) == (12, 2048 * 16, 2)
    assert float(engine_memory.blocks(one, page, 8192.0)) == 512 + 137
    pages = math.floor(12.94 * GIB / (12 * 2048 * 16))
    assert pages / (512 + 137) == pytest.approx(54.44, rel=2e-3)  # the log's concurrency from its own cache
    assert pages // 2 * 16 == pytest.approx(282_624, rel=1e-3)  # and its tokens
    assert tokens(one, 8192.0) == pytest.approx(282_624, rel=0.02)


def test_gpt_oss_120b_at_tensor_degree_4() -> None:
    """m041: 17.22 GiB of padded weights, 6,130,106 tokens: width 720 to 768 and hidden 2880 to 3072, 36·128·3·768·3072 weights of 17/32 B a rank."""
    one = start("gpt-oss-120b", "h200-sxm", "vllm-0.22", 4, util=0.9, max_seqs=64)
    weights, _, _, cache = gib(one, 2068.0)
    assert (weights, cache) == pytest.approx((17.22, 106.25), rel=0.003)
    padding = 36 * 128 * 3 * (768 * 3072 - 720 * 2880) * 17 / 32
    rotary, vocabulary = 2 * 131072 * 64, 2 * 32 * 2880 * 2  # 201,088 tokens to 201,216: 32 rows more a rank, of embedding and head
    assert padding_bytes(one, one.stages[-1]) == padding + rotary + vocabulary
    assert tokens(one, 2068.0) == pytest.approx(6_130_106, rel=0.003)


def test_gpt_oss_120b_does_not_start_on_one_h100() -> None:
    """m033 and vllm#23278: 65.97 GiB of weights at 0.9 leave −2.14 GiB; at 0.95 with 1,024 batched tokens 1.71 GiB."""
    one = start("gpt-oss-120b", "h100-sxm", "vllm-0.10", util=0.9)
    weights, _, _, cache = gib(one, 8192.0)
    assert weights == pytest.approx(65.97, rel=0.002) and cache == pytest.approx(-2.14, abs=0.1)
    assert not memory.batch_memory(one, 1.0)
    more = start("gpt-oss-120b", "h100-sxm", "vllm-0.10", util=0.95, max_batched_tokens=1024)
    assert gib(more, 8192.0)[3] == pytest.approx(1.71, abs=0.2)


def test_recurrent_pages_are_as_long_as_a_state() -> None:
    """m074, Qwen3.5-27B over 4 ranks: a state of 12·128·128·4 + 2560·3·2 = 801,792 B needs blocks of 784 tokens of 1,024 B; 45 pages a sequence."""
    one = start("qwen3.5-27b", "rtx-3090", "vllm-0.19", 4, util=0.9)
    page = grouped_pages(one, one.stages[-1])
    assert page is not None and (page.block, page.layers, page.all_groups) == (784, 16, 4)
    assert float(engine_memory.blocks(one, page, 32768.0)) == math.ceil(32768 / 784) + 3
    assert float(memory.max_concurrency(one, 32768.0)) == pytest.approx(12.98, rel=0.01)
    assert tokens(one, 32768.0) == pytest.approx(114_464, rel=0.01)


def test_states_double_with_prefix_caching() -> None:
    """Qwen3.8-27B FP8: 302,921 tokens on two RTX 3090 (talos-argocd-proxmox PR#1995), 377,456 on two RTX 5090 (vllm recipes PR#810)."""
    one = start("qwen3.8-27b", "rtx-3090", "vllm", 2, "fp8-block128", "fp8", util=0.92)
    page = grouped_pages(one, one.stages[-1])
    assert page is not None and float(engine_memory.blocks(one, page, 131072.0)) == 84 + 3 * 2
    assert pytest.approx(302_921, rel=1e-4) == 208 / 90 * 131072  # what the log must have had: 208 pages
    assert tokens(one, 131072.0) == pytest.approx(302_921, rel=0.15)
    other = start("qwen3.8-27b", "rtx-5090", "vllm", 2, "fp8-block128")
    assert gib(other, 262144.0)[0] == pytest.approx(14.28, rel=0.01)
    assert tokens(other, 262144.0) == pytest.approx(377_456, rel=0.15)


def test_gemma_4_caches_keys_that_serve_as_values_twice() -> None:
    """configiq#112: 64.68 GiB hold 2.39 sequences of 262,144: 10 full layers of 8,192 B a token and 50 windowed of 9,232 tokens of 16,384 B."""
    one = start("gemma-4-31b", "h200-sxm", "vllm-0.22", util=0.9)
    kept = float(memory.kv_bytes(one, one.stages[-1], 262144.0))
    assert kept == 10 * 8192 * 262144 + 50 * 9232 * 16384
    assert 64.68 * GIB / kept == pytest.approx(2.39, rel=2e-3)
    assert float(memory.max_concurrency(one, 262144.0)) == pytest.approx(2.39, rel=0.05)
    minimal = start("gemma-4-31b", "h200-sxm", "vllm-0.22", kv_policy="minimal")
    assert float(memory.kv_bytes(minimal, minimal.stages[-1], 262144.0)) < 0.6 * kept


def test_gemma_3_counts_70_layers() -> None:
    """10 full and 52 windowed layers make groups of 10: 1 and 6 of them (vLLM's own example in kv_cache_utils.py)."""
    one = start("gemma-3-27b", "h100-sxm", "vllm")
    page = grouped_pages(one, one.stages[-1])
    assert page is not None and page.layers * page.all_groups == 70


def test_fp8_latents_are_576_bytes_but_for_the_sparse_kernel() -> None:
    """DeepSeek-V3: 61·576 = 35,136 B a token; DeepSeek-V3.2's sparse kernel 656 and an index key of 132 besides."""
    dense, sparse = (start(name, "h200-sxm", "none", 8, kv="fp8") for name in ("deepseek-v3", "deepseek-v3.2"))
    assert float(memory.kv_bytes(dense, dense.stages[0], 1000.0)) == 1000 * 61 * 576
    assert float(memory.kv_bytes(sparse, sparse.stages[0], 1000.0)) == 1000 * 61 * (656 + 132)


def test_llama_cpp_to_the_byte() -> None:
    """m095, gpt-oss-120b: 18 full layers of 262,144 cells 9,216 MiB; windowed 128 + 512 → 768. m113, Gemma 3 before: the whole context, 15.5 GiB."""
    one = start("gpt-oss-120b", "mi300x", "llama.cpp", kv="fp16")
    windowed = 18 * 768 * 2048
    assert float(memory.kv_bytes(one, one.stages[0], 131072.0)) == 9216 * 2**20 / 2 + windowed
    whole = start("gemma-3-27b", "mi300x", "llama.cpp-b4000", kv="fp16")
    assert float(memory.kv_bytes(whole, whole.stages[0], 32768.0)) == 15.5 * GIB


def test_an_8b_model_on_an_rtx_3090() -> None:
    """vllm#10517: 14.99 GiB of weights; at 20,000 a cache of 3.81 GiB = 31,232 tokens; 29,000 is refused (0.82×)."""
    for length, fits in ((20_000.0, True), (29_000.0, False)):
        one = start("llama-3.1-8b", "rtx-3090", "vllm-0.6", util=0.9)
        assert gib(one, length)[0] == pytest.approx(14.99, rel=0.002)
        assert bool(memory.batch_memory(one, length) >= 1) is fits
    assert tokens(one, 20_000.0) == pytest.approx(31_232, rel=0.15)
    assert float(memory.max_concurrency(one, 29_000.0)) == pytest.approx(0.82, rel=0.15)


def test_llama_70b_fp8_is_refused_on_one_h100() -> None:
    """llm-d-benchmark#621: 16,000 tokens at 0.95 do not start; m003: over two ranks 33.88 GiB of weights each."""
    one = start("llama-3.3-70b", "h100-sxm", "vllm-0.10", weights="fp8", util=0.95)
    assert not memory.batch_memory(one, 16_000.0)
    two = start("llama-3.3-70b", "h100-sxm", "vllm-0.10", 2, "fp8", util=0.9)
    assert gib(two, 16_000.0)[0] == pytest.approx(33.88, rel=0.002)


@pytest.mark.parametrize(("model", "logged", "length"), [("qwen2.5-32b", 18_144, 18_144.0), ("qwen3-30b-a3b", 87_584, 32_000.0)])
def test_fp8_models_on_two_rtx_4090(model: str, logged: int, length: float) -> None:
    """LMCache#1241 (vLLM 0.9.0): tokens of the cache over two ranks."""
    one = start(model, "rtx-4090", "vllm-0.9", 2, "fp8-block128" if "qwen" in model else "fp8")
    assert tokens(one, length) == pytest.approx(logged, rel=0.15)


def test_the_first_405b_fp8_checkpoint_had_16_kv_heads() -> None:
    """vllm#6746 (July 2024): 57.75 GiB a device and 79,392 tokens on 8 H100; at 8 KV heads it would be 1 GiB less and twice as many."""
    built = lookup.model("llama-3.1-405b")[0]
    block = built.blocks["block"]
    assert isinstance(block.attention, GQA)
    early = replace(built, blocks={"block": replace(block, attention=replace(block.attention, kv_heads=16))})
    hardware = replace(lookup.hardware("8xh100-sxm")[0])
    one = deploy(early, hardware, weights="mlp@1-124=fp8", tp=8, pp=1, dp=1, assumptions=assumptions("roofline", engine="vllm-0.5", util=0.9))
    assert gib(one, 8192.0)[0] == pytest.approx(57.75, rel=0.005)
    assert tokens(one, 8192.0) == pytest.approx(79_392, rel=0.15)


@pytest.mark.parametrize(
    ("model", "device", "longest"),
    [("llama-4-scout", "h100-sxm", 1_280_000), ("llama-4-scout", "h200-sxm", 3_600_000), ("llama-4-maverick", "h100-sxm", 430_000)],
)
def test_longest_contexts_of_llama_4(model: str, device: str, longest: int) -> None:
    """vllm PR#16104: on 8 devices. Chunked layers hold the whole context; Maverick's routed experts are FP8; Scout's 10M rotary table is 2.5 GiB."""
    one = start(model, device, "vllm-0.8", 8)
    if model == "llama-4-maverick":
        one = replace(one, weights="experts=fp8")
    assert float(max_context(one, 1)) == pytest.approx(longest, rel=0.15)


def test_releases_are_the_newest_not_newer_than_asked() -> None:
    assert [rules(name).name for name in ("vllm", "vllm-0.18.1", "vllm 0.16", "vllm-v0.12.0", "vllm-0.2")] == [  # type: ignore[union-attr]
        "vllm-0.26",
        "vllm-0.17",
        "vllm-0.10",
        "vllm-0.10",
        "vllm-0.1",
    ]
    assert rules("none") is None and rules("gpt-fast") is None and rules(None) is None
