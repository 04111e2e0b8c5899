"""Exact solvers, and arrays that equal loops over scalars, for every model; no figure that is none."""

import itertools
import random
from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import layers_with_experts
from roofcalc.physics import memory
from roofcalc.physics.roofline import decode
from roofcalc.solvers.max_batch import max_batch
from roofcalc.solvers.max_context import max_context
from tests import catalogs
from tests.catalogs import drawn, on
from tests.tiers import share

SEQS = np.array([1.0, 130, 8192, 8193, 70_001, 1_000_000])
BATCHES = np.array([1.0, 7, 64, 1000])
CHOICES: tuple[dict[str, Any], ...] = ({}, {"overlap": "none"}, {"assume": "bound"}, {"overlap": "net", "kv_block": 16, "util": 0.9})
MACHINES = ("8xh100-sxm", "16xh100-sxm", "8xmi300x", "torus-16", "dgx-b200")


def some(name: str, count: int) -> list[Deployment]:
    """`count` machines, with a layout, precision and assumptions each, others for every model."""
    draw = random.Random(catalogs.short(name))
    return [on(name, machine, **where, **draw.choice(CHOICES)) for machine in draw.sample(MACHINES, count) for where in drawn(name, machine, 1)]


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_the_largest_batch_is_exact(name: str) -> None:
    rates = np.array([[1.0], [60.0]])
    for one in some(name, 2):
        found = max_batch(one, SEQS, rates)
        step, fast, fits = decode(one, SEQS), found.batch_interactivity, found.batch_memory
        assert (np.where(fast > 0, step.seconds(np.maximum(fast, 1)) * rates, 0) <= 1 + 1e-12).all()
        assert (step.seconds(fast + 1) * rates > 1).all()
        assert (found.max_batch == np.minimum(fast, fits)).all()
        assert_the_memory_is_full(one, fits[0])


def assert_the_memory_is_full(one: Deployment, fits: Any) -> None:
    """Each data-parallel rank's sequences fit beside its weights in every stage, and one more does not in some stage."""
    each = fits / one.layout.dp
    assert (each == np.floor(each)).all()
    weights = [memory.weight_bytes(one, stage) for stage in one.stages]
    kept = [memory.kv_bytes(one, stage, SEQS) for stage in one.stages]
    if max(weights) > one.usable_bytes:
        assert (fits == 0).all()
        return
    filled = [w + each * k for w, k in zip(weights, kept, strict=True)]
    over = [w + (each + 1) * k for w, k in zip(weights, kept, strict=True)]
    assert (np.max(filled, axis=0) <= one.usable_bytes * (1 + 1e-9)).all()
    assert (np.max(over, axis=0) > one.usable_bytes * (1 - 1e-9)).all()


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_the_longest_context_is_exact(name: str) -> None:
    for one in some(name, 2):
        longest = max_context(one, BATCHES)
        found = np.isfinite(longest)
        served = found & (longest > 0)
        assert (memory.batch_memory(one, longest[served]) >= BATCHES[served]).all()
        assert (memory.batch_memory(one, longest[found] + 1) < BATCHES[found]).all()


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_arrays_equal_loops_over_scalars(name: str) -> None:
    draw = random.Random(f"scalars of {catalogs.short(name)}")
    (one,) = some(name, 1)
    rates = np.array([3.0, 60.0])
    grid = max_batch(one, SEQS[:, None], rates)
    times, kept = decode(one, SEQS[:, None]).seconds(BATCHES), memory.batch_memory(one, SEQS)
    assert times.shape == (6, 4) and kept.shape == (6,)
    i, j = draw.randrange(6), draw.randrange(2)
    alone = max_batch(one, SEQS[i], rates[j])
    for field in alone._fields:
        got, expected = getattr(grid, field)[i, j], getattr(alone, field)
        assert got == expected or (got != got and expected != expected), field
    for i, j in itertools.product((0, 3, 5), (0, 3)):
        assert times[i, j] == decode(one, SEQS[i]).seconds(BATCHES[j])
        assert kept[i] == memory.batch_memory(one, SEQS[i])


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_no_figure_is_nan_or_infinite(name: str) -> None:
    draw = random.Random(f"figures of {catalogs.short(name)}")
    uneven = {"imbalance": 100.0} if layers_with_experts(catalogs.model(name)) else {}  # refused for dense models
    machine, given = draw.choice(["8xh100-sxm", "8xmi300x"]), draw.choice([*CHOICES, {"kv_policy": "reserved", **uneven}])
    questions: tuple[tuple[Any, dict[str, str]], ...] = ((rc.max_batch, {}), (rc.interactivity, {"batch": "1,100"}), (rc.memory, {"batch": "1,100"}))
    for command, further in share(questions, 3, name):
        for row in command(name, machine, seq=[1, 10**7], **further, **given).rows():
            assert all(value == value and value not in (float("inf"), float("-inf")) for value in row.values()), row
