"""Seconds of attention and recurrent updates in `typical`: kernel functions called with arguments written out by hand."""

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics.kernels.attention import decode_s, prompt_s
from roofcalc.physics.kernels.modules import ModuleParameters
from roofcalc.physics.kernels.recurrent import recurrent_s
from roofcalc.physics.ops.operation import Attended, Operation
from roofcalc.physics.ops.types import NO_SHARING
from roofcalc.physics.prefill import Chunks, stage_work
from roofcalc.physics.timing import attention
from roofcalc.physics.timing.devices import Chosen
from tests.catalogs import on

PROMPTS = 3.0  # of 1,000 new tokens each


def decoding(deployment: Deployment, name: str, context: float, tokens: float = 1.0) -> Operation:
    """The operation of one layer on one sequence."""
    block = name.partition(".")[0]
    found = work.block_operations(deployment, block, 1, work.at_context(np.float64(context)), tokens, NO_SHARING)
    return next(one for one in found if one.name == name)


def prompting(deployment: Deployment, name: str, cached: float) -> Operation:
    """The operation of one layer on the prompts, each after so many cached tokens."""
    operations, _, _ = stage_work(deployment, 0, Chunks(np.array([1000.0]), np.array([cached]), np.array([1.0])), np.array([PROMPTS]))
    return next(one for one in operations if one.name == name)


def constants(deployment: Deployment, operation: Operation) -> Chosen:
    assert isinstance(operation.shape, Attended)
    return attention.constants(deployment, operation.shape.cache, operation.prompt)


@pytest.mark.parametrize(
    ("model", "machine", "tp", "name", "entries", "query", "kv", "entry_bytes", "entry_flops"),
    [
        # Llama 3.1 8B: 32 query and 8 key-value heads of 128 (config.json), divided by 2; 16-bit keys and values
        ("llama-3.1-8b", "2xh100-sxm", 2, "block.attention", 4000, 16, 4, 2 * 128 * 2, 2 * (128 + 128)),
        # gpt-oss-120b: 64 and 8 heads of 64, every other layer a window of 128 tokens, divided by 4
        ("gpt-oss-120b", "4xh100-sxm", 4, "full.attention", 4000, 16, 2, 2 * 64 * 2, 2 * (64 + 64)),
        ("gpt-oss-120b", "4xh100-sxm", 4, "local.attention", 128, 16, 2, 2 * 64 * 2, 2 * (64 + 64)),
        # DeepSeek-V3: 128 query heads on one latent of 512 + 64 numbers, of which 512 are the value, divided by 8
        ("deepseek-v3", "8xh200-sxm", 8, "moe.attention", 4000, 16, 1, 576 * 2, 2 * (576 + 512)),
    ],
)
def test_decode(
    model: str, machine: str, tp: int, name: str, entries: float, query: float, kv: float, entry_bytes: float, entry_flops: float
) -> None:
    """One token of 20 sequences at 4,000 tokens; and four of each, whose query heads the kernel sees at once."""
    deployment = on(model, machine, tp=tp, assume="typical")
    operation = decoding(deployment, name, 4000)
    found = constants(deployment, operation)
    launch = found.parameters.t0_us * 1e-6
    expected = decode_s(found.parameters, found.facts, 20, entries, query, kv, entry_bytes, entry_flops) - launch
    busy = attention.decode_busy(deployment, operation, np.float64(20))
    assert (float(busy.seconds), busy.launch_s) == (pytest.approx(float(expected), rel=1e-9), launch)
    drafted = decoding(deployment, name, 4000, 4.0)
    assert isinstance(drafted.shape, Attended)
    expected = decode_s(found.parameters, found.facts, 20, drafted.shape.loaded, 4 * query, kv, entry_bytes, entry_flops) - launch
    seconds = attention.decode_busy(deployment, drafted, np.float64(20)).seconds
    if entries == 4000:  # four tokens of a window see 131 entries together and 128 each
        assert float(seconds) == pytest.approx(float(expected), rel=1e-9)
    assert float(seconds) > float(busy.seconds)


@pytest.mark.parametrize(
    ("model", "machine", "tp", "name", "cached", "query", "kv", "key", "value", "window"),
    [
        ("llama-3.1-8b", "2xh100-sxm", 2, "block.attention", 500, 16, 4, 128, 128, None),
        ("gpt-oss-120b", "4xh100-sxm", 4, "full.attention", 500, 16, 2, 64, 64, None),
        ("gpt-oss-120b", "4xh100-sxm", 4, "local.attention", 500, 16, 2, 64, 64, 128),
        # expanded: 16 heads of 128 + 64 and of 128 numbers, 320 together, each with keys and values of its own
        ("deepseek-v3", "8xh200-sxm", 8, "moe.attention", 0, 16, 16, 160, 160, None),
    ],
)
def test_prompts(
    model: str, machine: str, tp: int, name: str, cached: float, query: int, kv: int, key: float, value: float, window: float | None
) -> None:
    """The kernel's time does not change with the division of key + value into the two."""
    deployment = on(model, machine, tp=tp, assume="typical")
    operation = prompting(deployment, name, cached)
    found = constants(deployment, operation)
    launch = found.parameters.t0_us * 1e-6
    expected = prompt_s(found.parameters, found.facts, PROMPTS, 1000, cached, query, kv, key, value, 2.0, window) - launch
    busy = attention.prompt_busy(deployment, operation)
    assert (busy.seconds.item(), busy.launch_s) == (pytest.approx(float(expected), rel=1e-9), launch)


def test_a_recurrent_update_of_decode_steps() -> None:
    """Qwen3-Next: 32 value heads of 128 × 128 numbers in 32 bits, divided by 4: 131,072 a sequence, in 8 blocks; 8 FLOPs each (delta rule)."""
    deployment = on("qwen3-next-80b-a3b", "4xh100-sxm", tp=4, assume="typical")
    operation, found = decoding(deployment, "linear.state", 4000), attention.state_constants(deployment, prompt=False)
    launch = found.parameters.t0_us * 1e-6
    expected = recurrent_s(found.parameters, found.facts, 100, 100 * 8, 1, 100 * 8 * 131_072, 100 * 2 * 4 * 131_072) - launch
    assert float(attention.state_busy(deployment, operation, np.float64(100)).seconds) == pytest.approx(float(expected), rel=1e-9)


def test_a_chunked_scan_of_prompts() -> None:
    """The same of three prompts of 1,000 tokens: 16 chunks of 64; states are read and written once."""
    deployment = on("qwen3-next-80b-a3b", "4xh100-sxm", tp=4, assume="typical")
    operation, found = prompting(deployment, "linear.state", 500), attention.state_constants(deployment, prompt=True)
    launch = found.parameters.t0_us * 1e-6
    expected = recurrent_s(found.parameters, found.facts, 3, 3 * 8, 16, 3 * 1000 * 8 * 131_072, 3 * 2 * 4 * 131_072) - launch
    assert attention.state_busy(deployment, operation, np.array([3.0])).seconds.item() == pytest.approx(float(expected), rel=1e-9)


def module_parts(found: Chosen, flops: float, moved: float, compute: float) -> float:
    """(compute³ + memory³)^⅓."""
    parts = flops / (compute * found.facts.peak_flop_s), moved / (found.parameters.core_bandwidth * found.facts.bandwidth_bytes_s)
    return float((parts[0] ** 3 + parts[1] ** 3) ** (1 / 3))


def test_the_core_of_a_sparse_module() -> None:
    """MiniMax-M3 on 8 devices: 8 query heads and one key-value head of 128, of the chosen 17 blocks of 128 tokens; fewer heads than a tile holds.

    A decode step of 20 sequences at 4,000 tokens reads 2,176 entries of 512 bytes each. Three prompts of 1,000 tokens after 3,000 load 3,000 and
    write 1,000 entries each, and all of their tokens see 2,176.
    """
    deployment = on("minimax-m3", "8xh200-sxm", tp=8, assume="typical")
    for operation, tokens, flops, moved in (
        (decoding(deployment, "sparse.attention", 4000), 20, 20 * 2176 * 8 * 512, 20 * 2176 * 512),
        (prompting(deployment, "sparse.attention", 3000), 3000, 3000 * 2176 * 8 * 512, 3 * 4000 * 512),
    ):
        found = constants(deployment, operation)
        parameters = found.parameters
        assert isinstance(parameters, ModuleParameters) and parameters.head_tile > 8
        core = module_parts(found, flops * parameters.head_tile / 8, moved, parameters.core_compute)
        busy = attention.prompt_busy(deployment, operation) if operation.prompt else attention.decode_busy(deployment, operation, np.float64(20))
        assert busy.seconds.item() == pytest.approx(core + tokens * parameters.token_ns * 1e-9, rel=1e-9)
        assert busy.launch_s == parameters.t0_us * 1e-6


def test_the_indexer_of_a_sparse_module() -> None:
    """DeepSeek-V3.2: 64 heads of 128 numbers score each entry of 128 bytes and a 4-byte scale, all on every device, without a launch.

    A prompt's token sees 3,000 cached ones and on average 500.5 of its own prompt.
    """
    deployment = on("deepseek-v3.2", "8xh200-sxm", tp=8, assume="typical")
    for operation, tokens, candidates, moved in (
        (decoding(deployment, "moe.index", 4000), 20, 4000, 20 * 4000 * 132),
        (prompting(deployment, "moe.index", 3000), 3000, 3500.5, 3 * 4000 * 132),
    ):
        found = constants(deployment, operation)
        scores = module_parts(found, tokens * candidates * 2 * 64 * 128, moved, found.parameters.index_compute)
        busy = attention.prompt_busy(deployment, operation) if operation.prompt else attention.decode_busy(deployment, operation, np.float64(20))
        assert busy.seconds.item() == pytest.approx(scores + tokens * candidates * found.parameters.candidate_ps * 1e-12, rel=1e-9)
        assert busy.launch_s == 0
