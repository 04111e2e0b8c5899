"""How kernel times become seconds in `typical`: fractions given by hand replace the kernel models of the operations that they limit."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from roofcalc.physics.breakdown import lines
from roofcalc.physics.prefill import prefill
from roofcalc.physics.roofline import decode
from roofcalc.physics.timing.charge import Terms, charge
from roofcalc.report.explain.stages import step
from tests.catalogs import on

# Seconds on both roofs, and 7 by the kernel model: limited by compute, by memory, and by memory but not at a tenth of the peak.
COMPUTE, MEMORY, KERNEL = np.array([4.0, 1.0, 2.0]), np.array([3.0, 4.0, 4.0]), np.array([7.0, 7.0, 7.0])


def charged(overlap: str = "op", **given: Any) -> tuple[list[float], list[float]]:
    """Seconds of the three operations on compute and on memory, with every constant of whole runs 1."""
    terms: Terms = {}
    charge(terms, on("llama-3.1-8b", "h100-sxm", assume="typical", overlap=overlap, **given), (1.0, 1.0), KERNEL, COMPUTE, MEMORY)
    return np.asarray(terms["compute"]).tolist(), np.asarray(terms["bandwidth"]).tolist()


@pytest.mark.parametrize(
    ("given", "compute", "memory"),
    [
        ({}, [7, 0, 0], [0, 7, 7]),
        # compute/mfu: 4/0.5 = 8 of the first alone; the others keep their kernels
        ({"mfu": 0.5}, [8, 0, 0], [0, 7, 7]),
        ({"mfu": 1.0}, [4, 0, 0], [0, 7, 7]),
        # 4/0.1 = 40; 1/0.1 = 10 and 2/0.1 = 20 are more than the kernels' 7, and compute limits them now
        ({"mfu": 0.1}, [40, 10, 20], [0, 0, 0]),
        # memory/mbu: 4/0.5 = 8; the first keeps its kernel, 3/0.5 = 6 being less, but memory limits it now
        ({"mbu": 0.5}, [0, 0, 0], [7, 8, 8]),
        ({"mbu": 1.0}, [7, 0, 0], [0, 4, 4]),
        ({"mbu": 0.25}, [0, 0, 0], [12, 16, 16]),
        # both: max(4/0.5, 3/0.8), max(1/0.5, 4/0.8), max(2/0.5, 4/0.8)
        ({"mfu": 0.5, "mbu": 0.8}, [8, 0, 0], [0, 5, 5]),
    ],
)
def test_three_operations_by_hand(given: dict[str, float], compute: list[float], memory: list[float]) -> None:
    assert charged(**given) == (pytest.approx(compute), pytest.approx(memory))


def test_where_resources_overlap_the_other_roof_is_that_of_its_fraction() -> None:
    """mfu 0.5, mbu 0.8: the second operation moves its bytes in 4/0.8 s and computes for 1/0.5 s."""
    compute, memory = charged("full", mfu=0.5, mbu=0.8)
    assert (compute[1], memory[1]) == (pytest.approx(2), pytest.approx(5))


MODELS = (
    ("deepseek-v3", "8xh200-sxm", {"tp": 8}),
    ("llama-3.1-70b", "8xh100-sxm", {"tp": 8}),
    ("gpt-oss-120b", "4xh100-sxm", {"tp": 4}),
    ("qwen3-next-80b-a3b", "4xh100-sxm", {"tp": 4}),
    ("deepseek-v3.2", "8xh200-sxm", {"tp": 1, "dp": 8}),
)
BATCHES, SEQS = np.array([[1.0], [64.0], [2000.0]]), np.array([100.0, 4_000.0, 64_000.0])
CASES = pytest.mark.parametrize("case", MODELS, ids=lambda case: str(case[0]))


def times(case: tuple[str, str, dict[str, int]], **given: Any) -> list[np.ndarray[Any, Any]]:
    """Steps and prefills."""
    one = on(case[0], case[1], **case[2], assume="typical", **given)
    return [decode(one, SEQS).seconds(BATCHES), prefill(one, SEQS, 0.0, BATCHES).ttft_s]


@CASES
@pytest.mark.parametrize("name", ["mfu", "mbu", "link"])
def test_a_lower_fraction_is_never_faster(case: tuple[str, str, dict[str, int]], name: str) -> None:
    before = times(case, **{name: 1.0})
    for fraction in (0.9, 0.5, 0.2, 0.02):
        now = times(case, **{name: fraction})
        assert all((slower >= faster * (1 - 1e-12)).all() for slower, faster in zip(now, before, strict=True)), fraction
        before = now


@CASES
@pytest.mark.parametrize("given", [{"mfu": 1.0}, {"mbu": 1.0}, {"mfu": 1.0, "mbu": 1.0}, {"mfu": 0.3}, {"mbu": 0.3}], ids=str)
def test_no_fraction_beats_the_roofline_at_it(case: tuple[str, str, dict[str, int]], given: dict[str, float]) -> None:
    """Each operation in all its layers, the matrices of fused experts together: at least FLOPs/(mfu·F) and bytes/(mbu·β)."""
    one = on(case[0], case[1], **case[2], assume="typical", **given)
    plain = on(case[0], case[1], **case[2], activations=True, **given)
    for batch in (1, 64, 2000):
        taken, least = Counter[str](), Counter[str]()
        for line in lines(decode(one, 4000.0), 4000.0, batch):
            taken[line.op.partition(".expert")[0]] += float(line.time_s) if line.flops else 0.0
        for line in lines(decode(plain, 4000.0), 4000.0, batch):
            least[line.op.partition(".expert")[0]] += max(float(line.compute_s), float(line.memory_s)) if line.flops else 0.0
        assert all(taken[name] >= seconds * (1 - 1e-9) for name, seconds in least.items())


def test_an_mfu_does_not_speed_up_a_step_that_the_memory_limits() -> None:
    """DeepSeek-V3 at batch 64 on 8 H200: no GEMM reaches the ridge, so mfu 0.3 leaves the kernels' times; before, it was 25.7 for 32.5 ms."""
    plain, given = (float(decode(on("deepseek-v3", "8xh200-sxm", assume="typical", **one), 4000).seconds(64)) for one in ({}, {"mfu": 0.3}))
    assert given >= plain


def test_launches_and_small_kernels_stay_unless_both_fractions_are_given() -> None:
    """A GEMM of one token: its launch floors stand beside whatever limits it."""

    def overhead_s(**given: float) -> float:
        one = on("llama-3.1-8b", "h100-sxm", assume="typical", layer_overhead_us=0.0, step_overhead_us=0.0, **given)
        return float(decode(one, 100.0).resources(1.0)["overhead"])

    assert overhead_s(mfu=0.5) == overhead_s(mbu=0.5) == overhead_s() > 0
    assert overhead_s(mfu=0.5, mbu=0.5) == 0


@pytest.mark.parametrize("given", [{"mfu": 0.3}, {"mbu": 0.6}, {"mfu": 0.6, "mbu": 0.3}, {"link": 0.5}, {"link": 0.5, "collective_latency_us": 5.0}])
def test_explanations_and_operations_add_up(given: dict[str, float]) -> None:
    for model, machine, layout in MODELS:
        one = on(model, machine, **layout, assume="typical", **given)
        seconds = float(decode(one, 4000.0).seconds(64.0))
        assert step(one, 4000.0, 64.0)[1] == pytest.approx(seconds, rel=1e-9)
        assert sum(float(np.sum(line.time_s)) for line in lines(decode(one, 4000.0), 4000.0, 64.0)) == pytest.approx(seconds, rel=1e-9)
