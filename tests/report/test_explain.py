"""Steps taken apart and explained: the parts add up to the answer, and every printed line is right by itself."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.breakdown import lines
from roofcalc.physics.memory import batch_memory
from roofcalc.physics.roofline import decode
from roofcalc.report.explain.formulas import evaluate, number
from roofcalc.report.explain.memory import memory
from roofcalc.report.explain.render import Line, Section
from roofcalc.report.explain.stages import step
from tests import catalogs
from tests.catalogs import drawn, on
from tests.tiers import NIGHTLY

CHOICES: tuple[dict[str, Any], ...] = (
    *({"overlap": overlap} for overlap in ("op", "full", "net", "none")),
    {"assume": "bound"},
    {"assume": "bound", "overlap": "op"},
    {"imbalance": 3.0, "redundant_experts": 4, "activations": True},
    {"mbu": 0.7, "mfu": 0.6, "link": 0.5, "kv_policy": "reserved", "kv_block": 16, "util": 0.9, "reserve_gb": 2.0},
)
MACHINES = ("8xh100-sxm", "16xh100-sxm", "8xmi300x", "torus-16", "dgx-b200")
POINTS = [(1, 1000), (7, 3333), (64, 8_200), (300, 70_001), (3, 1_000_000)]


def cases(name: str, count: int) -> Iterator[tuple[Deployment, int, int]]:
    draw = random.Random(f"working of {catalogs.short(name)}")
    for machine in draw.sample(MACHINES, count if NIGHTLY else 1):
        for where in drawn(name, machine, 1):
            yield (on(name, machine, **where, **draw.choice(CHOICES)), *draw.choice(POINTS))


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_operations_add_up_to_the_step(name: str) -> None:
    for one, batch, seq in cases(name, 2):
        whole = decode(one, seq)
        for per_layer in (False, True):
            total = sum(line.time_s for line in lines(whole, seq, batch, per_layer))
            assert total == pytest.approx(float(whole.seconds(batch)), rel=1e-9), (one.hardware.name, one.layout, per_layer)


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_the_working_arrives_at_the_answer(name: str) -> None:
    for one, batch, seq in cases(name, 2):
        sections, seconds = step(one, seq, batch)
        assert seconds == pytest.approx(float(decode(one, seq).seconds(batch)), rel=1e-9), (one.hardware.name, one.layout)
        kept = memory(one, seq)
        assert value_of(kept[-1], "batch_memory") == pytest.approx(float(batch_memory(one, np.float64(seq))), rel=1e-9)
        for section in (*sections, *kept):
            for line in section.lines:
                assert_the_line_is_right(section, line)


def value_of(section: Section, what: str) -> float:
    (found,) = [line.value for line in section.lines if line.what == what]
    assert not isinstance(found, str)
    return found


def assert_the_line_is_right(section: Section, line: Line) -> None:
    """What its numbers come to, as printed, is what it prints."""
    if isinstance(line.value, str) or not line.numbers:
        return
    assert number(line.value) in line.text() and line.numbers in line.text(), line
    printed, again = float(number(line.value)), evaluate(line.numbers)
    near = max(abs(again), largest_term(line.numbers)) * 1e-7
    assert printed == pytest.approx(again, abs=near), (section.title, line.text())


def largest_term(numbers: str) -> float:
    """Of a sum, whose terms may cancel; 0 of anything else."""
    if any(mark in numbers for mark in "(·/"):
        return 0.0
    return max((abs(float(term)) for term in numbers.split(" + ")), default=0.0)
