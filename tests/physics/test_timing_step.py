"""Seconds of small kernels and GEMMs in `typical`, by hand."""

import numpy as np
import pytest

from roofcalc.physics.kernels.gemm import gemm_s
from roofcalc.physics.timing.devices import facts
from roofcalc.physics.timing.products import Key, gemm_constants, gemm_terms
from roofcalc.physics.timing.step import block_work, small_s
from tests.catalogs import on


def test_small_kernels_by_hand() -> None:
    """Llama 3.1 8B on two devices: two norms with residuals of 4,096 numbers, 8 bytes each; and 3 bytes for each number that queries, keys and values
    ((32 + 2·8)·128 of the whole model) and gate and up (2·14,336) produce; what writes hidden vectors is in the norms."""
    deployment = on("llama-3.1-8b", "2xh100-sxm", tp=2, assume="typical")
    moved = 2 * 8 * 4096 + 3 * (48 * 128 + 2 * 14_336) / 2
    assert block_work(deployment, "block").small_bytes == moved
    assert deployment.profile is not None
    factor = deployment.profile.constants.small
    assert float(small_s(deployment, "block", 64.0)) == pytest.approx(factor * 64 * moved / 3350e9, rel=1e-12)


def test_gemms_by_hand() -> None:
    """Queries, keys and values of Llama 3.1 8B, 4,096 × 6,144 in 16 bits, in 32 layers, for 64 tokens, which the memory limits.

    w = c³/(c³ + m³) of the roofs c = 2·64·4096·6144/989.4e12 and m = (4096·6144 + 64·(4096 + 6144))·2/3350e9.
    """
    deployment = on("llama-3.1-8b", "h100-sxm", assume="typical")
    assert deployment.profile is not None
    found, run = gemm_constants(deployment, "attention")[0], deployment.profile.constants
    launch = found.parameters.t0_us * 1e-6
    busy = float(gemm_s(found.parameters, found.facts, 64, 6144, 4096, 2.0, 2.0, 1)) - launch
    compute, memory = 2 * 64 * 4096 * 6144 / 989.4e12, (4096 * 6144 + 64 * (4096 + 6144)) * 2 / 3350e9
    weight = compute**3 / (compute**3 + memory**3)
    terms = gemm_terms(deployment, (Key(4096, 6144, 1, "attention"),), np.array([32.0]), np.array([64.0]))
    expected = 32 * busy * (run.gemm + (run.gemm_compute - run.gemm) * weight)
    assert expected > 32 * memory
    assert np.asarray(terms["bandwidth"]).item() == pytest.approx(expected, rel=1e-9)
    assert np.asarray(terms["compute"]).item() == 0
    assert np.asarray(terms["overhead"]).item() == pytest.approx(32 * launch * run.launch, rel=1e-12)


def test_projections_of_one_input_are_one_gemm() -> None:
    """DeepSeek-V3's q_a and kv_a, 7,168 × 1,536 and 7,168 × 576, take together what one GEMM of 7,168 × 2,112 takes, by their columns."""
    deployment = on("deepseek-v3", "8xh100-sxm", tp=8, assume="typical")
    keys = {(key.rows, key.cols): key for key in block_work(deployment, "moe").keys}
    parts = (keys[7168, 1536], keys[7168, 576])
    assert [key.fused for key in parts] == [2112, 2112] and keys[1536, 16 * 192].fused == 0

    def seconds(*keys: Key) -> float:
        terms = gemm_terms(deployment, keys, np.ones(len(keys)), np.array([8.0]))
        return sum(np.asarray(value).item() for value in terms.values())

    whole = seconds(Key(7168, 2112, 1, "attention"))
    assert seconds(*parts) == pytest.approx(whole, rel=1e-9)
    assert seconds(parts[1]) == pytest.approx(whole * 576 / 2112, rel=1e-9)
    assert whole < 0.7 * seconds(*(key._replace(fused=0) for key in parts))  # one launch, and more blocks to fill the device


def test_gates_of_attention_are_multiplied_with_the_queries() -> None:
    keys = block_work(on("qwen3-next-80b-a3b", "h100-sxm", assume="typical"), "full").keys
    gated = [key for key in keys if key.fused]
    assert sum(key.cols for key in gated) == gated[0].fused and len(gated) == 2


@pytest.mark.parametrize(("engine", "beside"), [("vllm", True), ("sglang", True), ("tensorrt-llm", True), ("llama.cpp", False), ("vllm-0.7", False)])
def test_shared_experts_run_beside_routed_ones(engine: str, beside: bool) -> None:
    """They take their bytes' time of the memory that both read, and neither a launch nor the time to fill the device."""
    deployment = on("deepseek-v3", "8xh100-sxm", tp=8, assume="typical", engine=engine)
    shared = next(key for key in block_work(deployment, "moe").keys if key.tensor == "shared")
    terms = gemm_terms(deployment, (shared,), np.ones(1), np.array([8.0]))
    read = (shared.rows * shared.cols * deployment.weight_dtype("shared").bytes_per_element + 8 * (shared.rows + shared.cols) * 2) / 3350e9
    found = np.asarray(terms["bandwidth"]).item()
    assert (np.asarray(terms.get("overhead", 0)).item() == 0) == beside
    assert (found == pytest.approx(read, rel=0.01)) == beside


@pytest.mark.parametrize(
    ("machine", "units"),
    [
        ("rtx-3090", 35.6e12 / (256 * 2.49e9)),  # fp32; by the bf16 peak with fp32 accumulation, 71.2e12, it would be half of that
        ("rtx-4090", 82.6e12 / (256 * 2.49e9)),  # 129.6 for the card's 128
        ("v100-sxm2-32gb", 125e12 / (1024 * 2.49e9)),  # its tensor peak is worth more units of an L40S than its fp32 peak of 15.7
        ("m1-max", 10.4e12 / (256 * 2.49e9)),
        ("l40s", 142),  # timed: its own
    ],
)
def test_compute_units_of_devices_without_timed_kernels(machine: str, units: float) -> None:
    deployment = on("llama-3.1-8b", machine, assume="typical")
    assert deployment.profile is not None
    device = deployment.hardware.device
    assert facts(device, None, deployment.profile, "fp16").compute_units == pytest.approx(units, rel=1e-9)
