"""LoRA adapters: their size by a published count, their work by hand, and the sum of what is explained."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.lora import Lora, lora
from roofcalc.errors import RoofcalcError
from roofcalc.physics import adapters, memory
from roofcalc.physics.breakdown import lines
from roofcalc.physics.decode_ops import token_load
from roofcalc.physics.roofline import decode
from roofcalc.report import columns
from roofcalc.report.explain.memory import memory as explain_memory
from roofcalc.report.explain.stages import step as explain_step


def deployed(model: str, hardware: str = "h100-sxm", **options: Any) -> Deployment:
    ((deployment, _),) = Request("memory", columns.MEMORY, model, hardware, options).deployments()  # type: ignore[arg-type]
    return deployment


def elements(deployment: Deployment) -> float:
    return adapters.adapter_bytes(deployment, deployment.stages[0]) / 2


def test_the_published_count_of_llama_3_1_8b() -> None:
    """Rank 16 on all seven matrices of a layer: 41,943,040 trainable parameters, as PEFT prints them."""
    assert elements(deployed("llama-3.1-8b", lora="rank=16")) == 41_943_040
    by_hand = 32 * 16 * (4096 + 4096 + 2 * (4096 + 1024) + 4096 + 4096)
    assert elements(deployed("llama-3.1-8b", lora="rank=16,on=attention")) == by_hand


def test_adapters_are_in_memory_and_leave_less_for_the_cache() -> None:
    plain, served = deployed("llama-3.1-8b"), deployed("llama-3.1-8b", lora="rank=16,count=40")
    stage = served.stages[0]
    assert memory.weight_bytes(served, stage) - memory.weight_bytes(plain, stage) == 40 * 41_943_040 * 2
    assert memory.batch_memory(served, np.array([8000.0])) < memory.batch_memory(plain, np.array([8000.0]))


def test_tensor_ranks_hold_one_of_the_two_matrices_whole() -> None:
    """Columns divided: A whole and B divided; rows divided: A divided and B whole."""
    a_whole = 3 * 4096 + 2 * 4096  # of queries, keys and values; of gate and up
    b_whole = 2 * 4096  # of the output projection and down
    divided = (4096 + 2 * 1024 + 2 * 14336 + 4096 + 14336) / 4
    assert elements(deployed("llama-3.1-8b", "4xh100-sxm", tp=4, pp=1, dp=1, lora="rank=16")) == 32 * 16 * (a_whole + b_whole + divided)


@pytest.mark.parametrize(("count", "sequences", "used"), [(1, 8, 1.0), (40, 1, 1.0), (2, 2, 1.5), (40, 1000, 40.0)])
def test_adapters_in_use(count: int, sequences: float, used: float) -> None:
    """Of two adapters two sequences use 1 or 2 at the same odds."""
    assert adapters.adapters_used(Lora(16, count), np.float64(sequences)) == pytest.approx(used, rel=1e-9)


@pytest.mark.parametrize(("count", "batch"), [(1, 1.0), (40, 16.0)])
def test_a_step_by_hand(count: int, batch: float) -> None:
    plain, served = deployed("llama-3.1-8b"), deployed("llama-3.1-8b", lora=f"rank=16,count={count}")
    seq = np.array([4000.0])
    more = float(decode(served, seq).seconds(batch)[0] - decode(plain, seq).seconds(batch)[0])
    used = count * (1 - (1 - 1 / count) ** batch)
    assert more == pytest.approx(max(2 * batch * 41_943_040 / 989.4e12, used * 41_943_040 * 2 / 3350e9), rel=1e-9)


@pytest.mark.parametrize("more", [{}, {"tp": 2}, {"pp": 2}, {"assume": "bound"}, {"overlap": "full"}, {"draft": 3, "acceptance": 0.6}])
def test_operations_and_explanations_add_up(more: dict[str, Any]) -> None:
    devices = 2 if {"pp", "tp"} & set(more) else 1
    served = deployed("llama-3.1-8b", f"{devices}xh100-sxm", lora="rank=16,count=40", **more)
    seconds = float(decode(served, np.array([4000.0])).seconds(8.0)[0])
    if not {"assume", "overlap", "draft"} & set(more):
        found = lines(decode(served, np.array([4000.0])), np.array([4000.0]), np.array([8.0]))
        assert sum(float(np.sum(line.time_s)) for line in found) == pytest.approx(seconds, rel=1e-9)
        assert "adapters" in {line.op for line in found}
    assert explain_step(served, 4000.0, 8.0)[1] == pytest.approx(seconds, rel=1e-9)
    total = next(section for section in explain_memory(served, 4000.0) if section.title.startswith("Weights")).lines[-1]
    assert float(total.value) == pytest.approx(memory.weight_bytes(served, served.stages[0]), rel=1e-9)


def test_rows_state_the_adapters() -> None:
    (row,) = rc.max_batch("llama-3.1-8b", "h100-sxm", seq=8000, lora="rank=16,count=40").rows()
    assert row["lora"] == "rank=16,count=40,on=linear"
    assert row["weights_gb"] == pytest.approx(16.0606 + 40 * 0.083886, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("16", "'16' is not one of rank=16,count=40"),
        ("rank=0", "rank=0: expected a whole number from 1"),
        ("count=4", "the rank is missing"),
        ("rank=4,rank=8", "rank is given twice"),
        ("rank=4,on=all", "on=all: invalid choice"),
        ("rank=4,cout=3", "did you mean count"),
    ],
)
def test_refusals(text: str, says: str) -> None:
    with pytest.raises(RoofcalcError, match=says):
        lora(text)


def test_a_recipe_of_the_towers_leaves_adapters_in_16_bits() -> None:
    """2·1024·41,943,040 FLOPs at the 989.4 TFLOP/s of bf16: 86.8 µs, whatever holds the weights."""
    for weights in ("native", "tower=fp8", "all=fp8"):
        served = deployed("llama-3.1-8b", lora="rank=16,count=4", weights=weights)
        (line,) = [one for one in lines(decode(served, np.array(1000.0)), 1000.0, 1024.0) if one.op == "adapters"]
        assert (line.format, float(line.compute_s)) == ("bf16", pytest.approx(2 * 1024 * 41_943_040 / 989.4e12, rel=1e-9)), weights


def test_keys_and_values_that_an_engine_joins_have_a_matrix_a_each() -> None:
    """Step3, whose keys and values are one matrix of 7,168 × 512 beside the queries' own: two matrices A of 7,168 × 16, and B of 16 × 512.

    Of the others: 7,168 × 2,048 and 2,048 × 64·256 for the queries, 64·256 × 7,168 for the output; 61 layers.
    """
    layer = 16 * (2 * 7168 + 512 + 7168 + 2048 + 2048 + 64 * 256 + 64 * 256 + 7168)
    one = deployed("step3", "8xh200-sxm", tp=1, dp=8, lora="rank=16,on=attention")
    assert elements(one) == 61 * layer


def test_in_bound_all_devices_share_the_adapters_work() -> None:
    """Llama 3.1 8B on four devices: each pass of 512 tokens is 2·512·41,943,040 FLOPs, divided perfectly by 4."""
    served = deployed("llama-3.1-8b", "4xh100-sxm", tp=1, dp=4, assume="bound", lora="rank=16")
    stage = served.stages[0]
    load, sequences = token_load(served, np.float64(512.0))
    (operation,) = adapters.adapter_operations(served, stage, load, sequences)
    assert float(operation.flops) == pytest.approx(2 * 512 * 41_943_040 / 4, rel=1e-12)
    assert float(operation.bytes) == pytest.approx(2 * 41_943_040 / 4, rel=1e-12)
