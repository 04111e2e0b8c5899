"""A step put together from few roofs takes what its operations and messages take one by one."""

import itertools

import numpy as np
import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import CHOICES, assumptions
from roofcalc.deployment.deployment import deploy
from roofcalc.deployment.speculative import with_layout
from roofcalc.physics import breakdown
from roofcalc.physics.resources import RESOURCES
from roofcalc.physics.roofline import decode
from roofcalc.solvers.layouts import layouts, with_device_count
from tests.tiers import share

MODELS = ("llama-3.1-8b", "gemma-3-27b", "gpt-oss-120b", "deepseek-v3", "deepseek-v3.2", "qwen3-next", "falcon-h1-34b", "llama-4-maverick")
WAYS = [
    *({"assume": one} for one in CHOICES["assume"]),
    *({"overlap": one} for one in CHOICES["overlap"]),
    {"activations": True},
    {"imbalance": 1.7},
    {"network": "ideal", "mbu": 0.8, "mfu": 0.6},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_the_sum_of_its_operations(name: str, way: dict[str, object]) -> None:
    model, hardware = lookup.model(name)[0], lookup.hardware("8xh200-sxm")[0]
    batch, seq = np.array([1.0, 3, 64, 3000]), np.array([100.0, 5000, 5000, 40_000])
    base = deploy(model, hardware, weights="all=fp8", kv="fp8", assumptions=assumptions(**way), tp=1, pp=1, dp=8)  # type: ignore[arg-type]
    compared = 0
    for count in (8, 12):
        machine = with_device_count(hardware, count)
        assert machine is not None
        for layout in share(layouts(model, count), 12, f"{name} {way}"):
            deployment = with_layout(base, machine, layout)
            step = decode(deployment, seq)
            taken = sum(line.time_s for line in breakdown.lines(step, seq, batch))
            np.testing.assert_allclose(step.seconds(batch), taken, rtol=1e-9, err_msg=str(layout))
            if deployment.assumptions.overlap in ("op", "none"):
                parts = step.resources(batch)
                np.testing.assert_allclose(sum(parts[one] for one in RESOURCES), taken, rtol=1e-9, err_msg=str(layout))
            compared += 1
    assert compared


def test_a_dense_model_of_one_dtype_has_one_roof_for_each_class() -> None:
    deployment = deploy(lookup.model("llama-3.1-405b")[0], lookup.hardware("8xh100-sxm")[0], weights="all=fp8")
    fixed = decode(deployment, 1000).fixed
    assert {name: len(one.gemm_groups) for name, one in fixed.items()} == {"(head)": 1, "block": 2}  # attention and feed-forward


@pytest.mark.parametrize("name", ["deepseek-v3", "llama-3.1-70b"])
def test_a_grid_is_the_loop_over_its_points(name: str) -> None:
    deployment = deploy(lookup.model(name)[0], lookup.hardware("16xh200-sxm")[0], pp=2)
    batches, seqs = np.array([1.0, 2, 7, 100, 999]), np.array([1.0, 100, 5000])
    grid = decode(deployment, seqs).seconds(batches[:, None])
    for (i, batch), (j, seq) in itertools.product(enumerate(batches), enumerate(seqs)):
        assert grid[i, j] == pytest.approx(float(decode(deployment, seq).seconds(batch)), rel=1e-12)
