"""Time to first token: against a naive second way, by hand, and what must hold whatever the figures are."""

import itertools

import numpy as np
import pytest

import roofcalc as rc
from roofcalc import catalog
from roofcalc.architecture.model import Model
from roofcalc.assumptions import assumptions
from roofcalc.breakdown import prefill_lines
from roofcalc.deployment import Deployment, deploy
from roofcalc.errors import RoofcalcError
from roofcalc.operations.base import Part
from roofcalc.operations.kinds import parts
from roofcalc.operations.prefill import is_expanded, worth
from roofcalc.operations.step import work_place
from roofcalc.prefill import prefill
from roofcalc.roofline import decode
from tests.reference_prefill import ttft_seconds

KINDS = (  # every kind of attention, state and feed-forward part, and every span
    "llama-3.1-8b",
    "deepseek-v3",
    "deepseek-v3.2",
    "deepseek-v4-flash",
    "gpt-oss-20b",
    "gemma-3n-e4b",
    "llama-4-scout",
    "jamba-1.5-mini",
    "qwen3-next-80b-a3b",
    "kimi-linear-48b-a3b",
    "minimax-m3",
    "longcat-flash",
    "zamba2-2.7b",
    "step3",
)
LAYOUTS = (("h100-sxm", 1, 1, 1), ("8xh200-sxm", 8, 1, 1), ("8xh200-sxm", 2, 1, 4), ("8xh200-sxm", 2, 4, 1), ("8xh200-sxm", 1, 2, 4))


def on(model: str | Model, hardware: str, tp: int | None = None, pp: int | None = None, dp: int | None = None, **given: object) -> Deployment:
    rest = {name: given.pop(name) for name in ("weights", "kv", "ep", "dcp") if name in given}
    built = model if isinstance(model, Model) else catalog.model(model)[0]
    machine = catalog.hardware(hardware)[0]
    return deploy(built, machine, tp=tp, pp=pp, dp=dp, assumptions=assumptions(**given), **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(("machine", "t", "p", "d"), LAYOUTS)
@pytest.mark.parametrize(
    "model", ["llama-3.1-8b", "deepseek-v3", "deepseek-v3.2", "gemma-3-27b", "gpt-oss-20b", "qwen3-next-80b-a3b", "deepseek-v4-flash"]
)
def test_the_engine_equals_the_loops(model: str, machine: str, t: int, p: int, d: int) -> None:
    deployment = on(model, machine, t, p, d)
    for batch, new, cached in itertools.product((1, 9), (1, 5, 140), (0, 7, 300)):
        expected = ttft_seconds(deployment.model, deployment.hardware, t, p, d, batch, new, cached, deployment.layout.ep > 1)
        assert prefill(deployment, new, cached, batch).ttft_s == pytest.approx(expected, rel=1e-9), (batch, new, cached)


@pytest.mark.parametrize("model", KINDS)
def test_operations_add_up_to_the_first_token(model: str) -> None:
    new, cached, batch = np.array([1.0, 40, 3000])[:, None, None], np.array([0.0, 5000])[:, None], np.array([1.0, 3, 33])
    tried = 0
    for machine, tp, pp, dp in (("h100-sxm", 1, 1, 1), ("8xh200-sxm", 2, 1, 4), ("16xh100-sxm", 4, 4, 1)):
        for overlap in ({}, {"overlap": "full"}, {"overlap": "net"}, {"overlap": "none"}, {"assume": "bound"}, {"network": "ideal"}):
            try:
                deployment = on(model, machine, tp, pp, dp, **overlap)
            except RoofcalcError:  # tp does not divide the heads
                continue
            for chunk, per_layer in ((None, False), (None, True), (900.0, False)):
                lines = prefill_lines(deployment, new, cached, batch, chunk, per_layer)
                total = sum(line.time_s for line in lines)
                np.testing.assert_allclose(total, prefill(deployment, new, cached, batch, chunk).ttft_s, rtol=1e-9, err_msg=f"{overlap} {pp}")
                tried += 1
    assert tried >= 18


def test_ops_of_a_prefill_count_layers_whole() -> None:
    for assume in ("roofline", "bound"):
        for pp in (1, 4):
            table = rc.ops("llama-3.1-8b", "4xh100-sxm", tp=4 // pp, pp=pp, seq=8000, phase="prefill", assume=assume)
            layers = {row["op"]: row["layers"] for row in table.rows()}
            assert {row["limited_by"] for row in table.rows() if row["op"] == "kept in cache"} <= {"bandwidth"}
            assert layers["block.qkv"] == layers["block.attention"] == 32 and layers["head"] == 1
            assert sum(table["share"]) == pytest.approx(1)
            each = rc.ops("llama-3.1-8b", "4xh100-sxm", tp=4 // pp, pp=pp, seq=8000, phase="prefill", assume=assume, per_layer=True)
            assert sum(each["share"]) == pytest.approx(1) and each["gflop"].sum() == pytest.approx(table["gflop"].sum())


@pytest.mark.parametrize("model", ["deepseek-v3", "deepseek-v3.2", "deepseek-v4-flash", "llama-3.1-8b"])
def test_stripes_of_decode_do_not_hasten_a_prefill(model: str) -> None:
    # 2 KV heads fewer than ranks need copies: Llama's 8 heads have them on 16 ranks
    machine, tp = ("16xh200-sxm", 16) if model == "llama-3.1-8b" else ("8xh200-sxm", 8)
    plain, striped = (on(model, machine, tp, dcp=dcp) for dcp in (1, 2))
    for new, cached in ((1000, 0), (10, 50_000)):
        assert prefill(striped, new, cached, 3).ttft_s == prefill(plain, new, cached, 3).ttft_s
    assert decode(striped, 50_000).seconds(100) != decode(plain, 50_000).seconds(100)


def latent_part(deployment: Deployment) -> Part:
    name = next(iter(deployment.model.groups))
    return parts(deployment.model.blocks[name], deployment.model.hidden, work_place(deployment))[0]


@pytest.mark.parametrize("model", ["deepseek-v3", "deepseek-r1", "kimi-k2"])
def test_the_form_of_latent_attention_turns_at_171_new_tokens(model: str) -> None:
    # An entry rebuilt for all heads costs 2·512·(128 + 128) FLOPs a head, a pair saves 2·(2·512 + 64) − 2·(128 + 64 + 128): their
    # quotient is 262,144/1,536 = 170.7 new tokens after a prefix that is long against them
    part = latent_part(on(model, "8xh200-sxm"))
    assert [float(is_expanded(part, new, 1e9)) for new in (1.0, 100.0, 170.0, 171.0, 10_000.0)] == [0, 0, 0, 1, 1]
    assert [float(is_expanded(part, new, 0.0)) for new in (1.0, 171.0, 100_000.0)] == [1, 1, 1]  # no prefix to rebuild
    assert float(is_expanded(part, 1.0, 1.0)) == 0 and float(is_expanded(part, 100_000.0, 1000.0)) == 1


def test_bound_takes_the_form_that_is_done_sooner() -> None:
    # On an H100 fp8 attention has twice the rate of products by bf16 weights, so that a rebuilt entry costs as much as 341.3 pairs save
    for weights, turn in (("bf16", 341), ("fp8", 170)):
        deployment = on("deepseek-v3", "8xh100-sxm", weights=weights, assume="bound")
        part = latent_part(deployment)
        assert [float(is_expanded(part, new, 1e12, worth(deployment))) for new in (float(turn), turn + 1.0)] == [0, 1], weights
        for cached, new in itertools.product((1000.0, 50_000.0), (10.0, 160.0, 200.0, 300.0, 400.0, 5000.0)):
            seconds = []
            for expanded in (0.0, 1.0):  # of one head: attention, and its products
                pairs = new * cached + new * (new + 1) / 2
                again = 2 * 512 * 256 * (new + cached * expanded)
                seconds.append((2176 - 1536 * expanded) * pairs / 1978.9 + again / (989.4 if weights == "bf16" else 1978.9))
            assert float(is_expanded(part, new, cached, worth(deployment))) == (seconds[1] < seconds[0]), (weights, cached, new)
    assert worth(on("deepseek-v3", "8xh100-sxm", weights="bf16")) == 1
