"""The fitted constants: reading, the chain to what is nearest, scaling, and agreement with the hardware catalog."""

from pathlib import Path

import pytest
import yaml

from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.gemm import GemmParameters
from roofcalc.physics.kernels.profile import FILE, fits, nearest, parameters, parsed, scaled

H100 = DeviceFacts(989.4e12, 3350e9, 132.0, 1.83e9, 50e6, 450e9)
GB300 = DeviceFacts(2500e12, 8000e9, 148.0, 2.062e9, 126e6, 900e9)
MI300X = DeviceFacts(1307e12, 5300e9, 304.0, 2.1e9, 256e6, 448e9)
HARDWARE = Path(__file__).resolve().parents[2] / "hardware"

# FLOPs of dense bf16 per compute unit and cycle; with units and clock they make the sheets' peaks.
FLOP_PER_CYCLE = {"ampere": 2048, "hopper": 4096, "blackwell": 8192, "ada": 1024, "blackwell-rtx": 1024, "xe2": 2048}


def test_a_fit_that_exists_is_used() -> None:
    source = nearest("gemm", "h100-sxm", H100, "tensorrt-llm", "fp8")
    assert (source.engine, source.dtype, source.exact) == ("tensorrt-llm", "fp8", True)
    assert source.device in ("h100-sxm", "hopper")


def test_a_new_device_of_a_known_architecture_takes_its_architecture() -> None:
    source = nearest("decode", "gb300", GB300, "vllm", "bf16")
    assert source.device == "blackwell"
    assert source.engine == "vllm"


@pytest.mark.parametrize(("engine", "dtype"), [("vllm", "fp8_block"), ("nobody", "bfloat16"), ("sglang", "fp3"), ("nobody", "fp3")])
@pytest.mark.parametrize(("device", "facts"), [("mi300x", MI300X), ("h100-sxm", H100), ("gb300", GB300)])
@pytest.mark.parametrize("subject", sorted(fits().values))
def test_the_chain_always_ends(subject: str, device: str, facts: DeviceFacts, engine: str, dtype: str) -> None:
    assert not nearest(subject, device, facts, engine, dtype, "a kernel of tomorrow x16").exact


def test_the_block_scaled_products_of_vllm_come_from_another_engine() -> None:
    """vLLM's own timings of fp8_block are left out (docs/calibration.md)."""
    source = nearest("gemm", "h100-sxm", H100, "vllm", "fp8_block")
    assert source.dtype == "fp8_block"
    assert source.engine != "vllm"


def test_more_devices_than_timed_take_the_nearest_number() -> None:
    assert nearest("collective", "gb200", GB300, "nccl", "all_reduce", "NCCL x72").kernel == "NCCL x8"
    assert nearest("collective", "h100-sxm", H100, "nccl", "all_reduce", "NCCL x16").kernel == "NCCL x8"


H200 = DeviceFacts(989.4e12, 4800e9, 132.0, 1.83e9, 50e6, 450e9)
B200 = DeviceFacts(2250e12, 7700e9, 148.0, 1.856e9, 126e6, 900e9)


@pytest.mark.parametrize(
    ("subject", "device", "facts", "engine", "form", "kernel", "part", "instead"),
    [
        # SGLang runs 16-bit experts with Triton; CUTLASS was timed on Nemotron's ungated experts alone
        ("experts", "h200-sxm", H200, "sglang", "bfloat16", None, "fused_moe_triton", "cutlass"),
        ("experts", "b200-sxm", B200, "sglang", "bfloat16", None, "fused_moe_triton", "flashinfer"),
        ("experts", "b200-sxm", B200, "sglang", "fp8_block", None, "flashinfer_trtllm", "triton"),
        # vLLM takes Triton's MXFP4 kernels on compute capability 9.0 (https://github.com/vllm-project/vllm/issues/31085)
        ("experts", "h200-sxm", H200, "vllm", "w4a16_mxfp4", None, "oaitriton", "marlin"),
        # the engine's kernel known for the architecture, not another one known for the device itself
        ("experts", "b200-sxm", B200, "vllm", "nvfp4", None, "flashinfer_trtllm", "cutlass"),
        # kernels of single tokens are in the tables of prompts too
        ("prompt", "b200-sxm", B200, "vllm", "bf16", None, "trtllmprefill", "decode"),
        ("prompt", "l40s", DeviceFacts(362e12, 864e9, 142.0, 2.49e9, 96e6), "vllm", "bf16-kv8", None, "prefill", "decode"),
        # dense attention was timed up to 2,048 tokens, below which nothing is left out
        ("sparse_prompt", "h200-sxm", H200, "sglang", "bf16+fp8_block", "dsa", "flashmla", "dense"),
        ("sparse_prompt", "b200-sxm", B200, "sglang", "bf16-kv8+fp8_block", "dsa", "indexer_trtllm", "dense"),
    ],
)
def test_the_kernels_that_engines_run(
    subject: str, device: str, facts: DeviceFacts, engine: str, form: str, kernel: str | None, part: str, instead: str
) -> None:
    timed = [key[2] for key in fits().values[subject] if key[:2] == (engine, form)]
    assert any(part in name for name in timed) and any(instead in name for name in timed)
    source = nearest(subject, device, facts, engine, form, kernel)
    assert (source.engine, source.dtype) == (engine, form) and part in source.kernel and instead not in source.kernel


def test_times_shrink_and_streams_grow_with_the_clock() -> None:
    known = fits().devices["h100-sxm"]
    twice = DeviceFacts(1e15, 1e12, 132.0, 2 * known.clock_hz, 0.0, 3 * known.link_bytes_s)
    names = ("t0_us", "compute", "feed_gb_s", "small_gb_s", "expert_ns", "copies")
    values = scaled(names, (4.0, 0.5, 100.0, 30.0, 10.0, 3.0), known, twice)
    assert values == {"t0_us": 2.0, "compute": 0.5, "feed_gb_s": 200.0, "small_gb_s": 90.0, "expert_ns": 5.0, "copies": 3.0}


def test_a_record_is_filled_by_name() -> None:
    record, source = parameters(GemmParameters, "gemm", "h100-sxm", H100, "tensorrt-llm", "bfloat16")
    assert source.exact
    assert 1 < record.t0_us < 6  # KERNELS.md: 2 to 4 µs in bf16
    assert 0.6 < record.compute <= 1


def test_unknown_subject_and_malformed_file() -> None:
    with pytest.raises(RoofcalcError, match="no kernel times for gem"):
        nearest("gem", "h100-sxm", H100, "vllm", "fp8")
    head = FILE.read_text(encoding="utf-8").split("\nkernels:", 1)[0]
    with pytest.raises(RoofcalcError, match=r"kernels\.gemm\.a\|b\|c does not have the fields"):
        parsed(head + '\nkernels:\n  gemm:\n    fields: [x, y]\n    fits:\n      "a|b|c":\n        hopper: 1\n', "here")
    with pytest.raises(RoofcalcError, match="not readable as YAML"):
        parsed("devices: [", "here")


def test_every_fraction_is_one() -> None:
    """Fractions of a roof stay within it, and all constants are positive."""
    table = fits()
    for subject, names in table.names.items():
        for group in table.values[subject].values():
            for row in group.values():
                assert all(value > 0 for value in row)
                for name, value in zip(names, row, strict=True):
                    if name in ("compute", "bandwidth") or name.endswith(("_compute", "linear_bandwidth", "core_bandwidth", "_fraction")):
                        assert value <= 1


@pytest.mark.parametrize("name", sorted(fits().devices))
def test_devices_agree_with_the_catalog(name: str) -> None:
    """Bandwidth and link as in hardware/; units × clock × FLOPs per cycle make the sheet's bf16 peak to 0.2 %."""
    found = next(path for path in HARDWARE.rglob(f"{name}.yaml"))
    sheet = yaml.safe_load(found.read_text(encoding="utf-8"))
    known = fits().devices[name]
    assert known.bandwidth_bytes_s == pytest.approx(sheet["memory"]["bandwidth_gb_s"] * 1e9)
    assert known.link_bytes_s == pytest.approx(sheet.get("link", {}).get("gb_s", 0) * 1e9)
    peak = known.compute_units * known.clock_hz * FLOP_PER_CYCLE[known.architecture]
    assert peak == pytest.approx(sheet["peak_tflop_s"]["bf16"] * 1e12, rel=2e-3)


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 200_000
