"""The working of a prefill: every printed number can be worked out again, and all of them arrive at the answer."""

import itertools

import pytest

import roofcalc as rc
from roofcalc.errors import RoofcalcError
from roofcalc.report.explain.formulas import evaluate
from roofcalc.report.explain.render import Section
from tests.physics.test_prefill import KINDS
from tests.shell import refused, run
from tests.tiers import share

WAYS = (
    {},
    {"assume": "bound"},
    {"assume": "typical"},
    {"overlap": "none"},
    {"overlap": "net"},
    {"activations": True, "mbu": 0.7, "mfu": 0.6},
    {"network": "ideal", "overlap": "full"},
    {"kv": "fp8", "kv_policy": "reserved"},
    {"pp": 2},
    {"pp": 2, "assume": "bound"},
    {"dcp": 2},
)


def reevaluated(sections: list[Section]) -> int:
    """How many lines of numbers come to what stands behind them."""
    count = 0
    for section in sections:
        for line in section.lines:
            if line.numbers:
                assert evaluate(line.numbers) == pytest.approx(line.value, rel=1e-6, abs=1e-15), (section.title, line.text())
                count += 1
    return count


@pytest.mark.parametrize("model", KINDS)
def test_the_working_arrives_at_the_answer(model: str) -> None:
    explained = 0
    cases = share(itertools.product(("h100-sxm", "16xh100-sxm"), WAYS, ((1, 0, 1), (100, 10_000, 3), (9000, 0, 17))), 8, model)
    for machine, given, (new, cached, batch) in cases:
        try:
            found = rc.explain("prefill", model, machine, seq=new, cached=cached, batch=batch, **given)
        except RoofcalcError as error:  # one device has no two stages, one copy of the cache no stripes
            assert str(error).startswith(("pp 2", "--dcp: 2"))
            continue
        (row,), (sections,) = found.table.rows(), found.rows
        (answer,) = [line.value for line in sections[-1].lines if line.what == "TTFT"]
        assert float(answer) * 1e3 == pytest.approx(row["ttft_ms"], rel=1e-9), (machine, given)
        assert reevaluated(sections) > 40
        explained += 1
    assert explained >= len(cases) / 2


@pytest.mark.parametrize("command", ["interactivity", "memory"])
@pytest.mark.parametrize("model", ["deepseek-v4-flash", "kimi-linear-48b-a3b", "deepseek-v3.2", "llama-3.1-8b"])
def test_other_workings_can_be_worked_out_again_too(command: str, model: str) -> None:
    for given in share(WAYS, 2, command + model):
        try:
            found = rc.explain(command, model, "16xh100-sxm", seq=9000, batch=20, **given)
        except RoofcalcError as error:
            assert str(error).startswith("--dcp: 2")
            continue
        ((row,), (sections,)) = found.table.rows(), found.rows
        assert reevaluated(sections) > 10
        if command == "interactivity":
            (speed,) = [line.value for line in sections[-1].lines if line.what == "interactivity"]
            assert float(speed) == pytest.approx(row["interactivity_tok_s"], rel=1e-9), given


def test_the_prefill_that_helps_to_understand() -> None:
    text = run("explain prefill deepseek-v3 8xh200-sxm --seq 10k --cached 100k").stdout
    # C + P = 110,000: tri(110,000) − tri(100,000) pairs
    assert "pairs = sum_C_P − sum_C = 6050055000 − 5000050000 = 1050005000" in text
    assert "the faster one: expanded, keys and values of all heads are rebuilt from the latents" in text
    assert "T = 1 only the last token of each sequence is scored" in text
    few = run("explain prefill deepseek-v3 8xh200-sxm --seq 10 --cached 100k").stdout
    assert "the faster one: absorbed, heads attend to the latents" in few
    assert run("explain prefill gemma-3-27b h100-sxm --seq 1k -f md").stdout.startswith("### prefill: gemma-3-27b on h100-sxm")


def test_what_is_not_explained_is_said() -> None:
    with pytest.raises(RoofcalcError, match="chunk: explain shows a prefill in one step"):
        rc.explain("prefill", "llama-3.1-8b", "h100-sxm", seq=1000, chunk=100)
    assert "cached: expected a whole number" in refused("explain prefill llama-3.1-8b h100-sxm --seq 1k --cached 0.5")
    assert "so give a single context and batch" in refused("explain prefill llama-3.1-8b h100-sxm --seq 1:1000:1")
