"""Time to first token: against a naive second way, by hand, and what must hold whatever the figures are."""

import itertools

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.errors import RoofcalcError
from roofcalc.physics.breakdown import prefill_lines
from roofcalc.physics.decode_ops import compute_sharding
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Part
from roofcalc.physics.prefill import prefill
from roofcalc.physics.prefill_ops import attention_to_gemm_rate_ratio, use_expanded_form
from roofcalc.physics.roofline import decode
from roofcalc.specs.attention import GQA
from roofcalc.specs.latent_attention import MLA
from roofcalc.specs.model import Model
from tests import catalogs
from tests.reference.prefill import ttft_seconds
from tests.tiers import share

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
    built = model if isinstance(model, Model) else lookup.model(model)[0]
    machine = lookup.hardware(hardware)[0]
    return deploy(built, machine, tp=tp, pp=pp, dp=dp, assumptions=assumptions(**given), **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(("machine", "t", "p", "d"), LAYOUTS)
@pytest.mark.parametrize(
    "model", ["llama-3.1-8b", "deepseek-v3", "deepseek-v3.2", "gemma-3-27b", "gpt-oss-20b", "qwen3-next-80b-a3b", "deepseek-v4-flash"]
)
def test_the_engine_equals_the_loops(model: str, machine: str, t: int, p: int, d: int) -> None:
    deployment = on(model, machine, t, p, d)
    for batch, new, cached in share(itertools.product((1, 9), (1, 5, 140), (0, 7, 300)), 3, f"{model} {machine} {t} {p}"):
        expected = ttft_seconds(deployment.model, deployment.hardware, t, p, d, batch, new, cached, deployment.layout.ep > 1)
        assert prefill(deployment, new, cached, batch).ttft_s == pytest.approx(expected, rel=1e-9), (batch, new, cached)


@pytest.mark.parametrize("new", [80, 90, 120, 171, 400])
@pytest.mark.parametrize("model", ["deepseek-v3", "deepseek-v3.2"])
def test_both_forms_of_latent_attention_equal_the_loops(model: str, new: int) -> None:
    deployment = on(model, "8xh200-sxm", 8, 1, 1)
    expected = ttft_seconds(deployment.model, deployment.hardware, 8, 1, 1, 2, new, 20_000, True)
    assert prefill(deployment, new, 20_000, 2).ttft_s == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("model", KINDS)
def test_operations_add_up_to_the_first_token(model: str) -> None:
    new, cached, batch = np.array([1.0, 40, 3000])[:, None, None], np.array([0.0, 5000])[:, None], np.array([1.0, 3, 33])
    machines = (("h100-sxm", 1, 1, 1), ("8xh200-sxm", 2, 1, 4), ("16xh100-sxm", 4, 4, 1))
    overlaps = ({}, *({"overlap": one} for one in ("full", "net", "none")), {"assume": "bound"}, {"assume": "typical"}, {"network": "ideal"})
    tried = 0
    for (machine, tp, pp, dp), given in share(itertools.product(machines, overlaps), 6, model):
        try:
            deployment = on(model, machine, tp, pp, dp, **given)
        except RoofcalcError:  # tp does not divide the heads
            continue
        for chunk, per_layer in ((None, False), (None, True), (900.0, False)):
            lines = prefill_lines(deployment, new, cached, batch, chunk, per_layer)
            total = sum(line.time_s for line in lines)
            np.testing.assert_allclose(total, prefill(deployment, new, cached, batch, chunk).ttft_s, rtol=1e-9, err_msg=f"{given} {pp}")
            tried += 1
    assert tried >= 3


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
    return parts(deployment.model.blocks[name], deployment.model.hidden, compute_sharding(deployment))[0]


@pytest.mark.parametrize("model", ["deepseek-v3", "deepseek-r1", "kimi-k2"])
def test_the_form_of_latent_attention_turns_at_171_new_tokens(model: str) -> None:
    # An entry rebuilt for all heads costs 2·512·(128 + 128) FLOPs a head, a pair saves 2·(2·512 + 64) − 2·(128 + 64 + 128): their
    # quotient is 262,144/1,536 = 170.7 new tokens after a prefix that is long against them
    part = latent_part(on(model, "8xh200-sxm"))
    assert [float(use_expanded_form(part, new, 1e9)) for new in (1.0, 100.0, 170.0, 171.0, 10_000.0)] == [0, 0, 0, 1, 1]
    assert [float(use_expanded_form(part, new, 0.0)) for new in (1.0, 171.0, 100_000.0)] == [1, 1, 1]  # no prefix to rebuild
    assert float(use_expanded_form(part, 1.0, 1.0)) == 0 and float(use_expanded_form(part, 100_000.0, 1000.0)) == 1


@pytest.mark.parametrize(
    ("weights", "assume", "turn", "attention", "product"),
    [
        ("bf16", "roofline", 170, 989.4, 989.4),
        ("fp8", "roofline", 85, 989.4, 1978.9),  # rebuilding is half as dear: 85.3
        ("native", "roofline", 85, 989.4, 1978.9),
        ("bf16", "bound", 341, 1978.9, 989.4),  # attention may run in fp8
        ("fp8", "bound", 170, 1978.9, 1978.9),
    ],
)
def test_the_form_that_is_done_sooner_is_taken(weights: str, assume: str, turn: int, attention: float, product: float) -> None:
    deployment = on("deepseek-v3", "8xh100-sxm", weights=weights, assume=assume)
    part, value = latent_part(deployment), attention_to_gemm_rate_ratio(deployment)
    assert [float(use_expanded_form(part, new, 1e12, value)) for new in (float(turn), turn + 1.0)] == [0, 1]
    for cached, new in itertools.product((1000.0, 50_000.0), (10.0, 80.0, 120.0, 160.0, 200.0, 300.0, 400.0, 5000.0)):
        seconds = []
        for expanded in (0.0, 1.0):  # of one head: attention, and its products
            pairs = new * cached + new * (new + 1) / 2
            seconds.append((2176 - 1536 * expanded) * pairs / attention + 2 * 512 * 256 * (new + cached * expanded) / product)
        assert float(use_expanded_form(part, new, cached, value)) == (seconds[1] < seconds[0]), (cached, new)


@pytest.mark.parametrize("model", catalogs.MODELS, ids=catalogs.short)
def test_a_prefill_of_one_token_is_a_decode_step(model: str) -> None:
    base = lookup.model(model)[0]
    batch = np.array([1.0, 3, 100])
    attentions = [base.blocks[name].attention for name in base.groups]
    chunked = any(isinstance(one, GQA) and one.chunk for one in attentions)
    contexts = [1, 127, 1000, 50_000] + ([] if any(isinstance(one, MLA) for one in attentions) else [0])  # alone, a token rebuilds itself
    for machine, given in (
        ("h100-sxm", {"kv": "fp8"}),
        ("8xh200-sxm", {"overlap": "none", "activations": True}),
        ("8xh200-sxm", {"assume": "bound"}),
    ):
        try:
            deployment = on(base, machine, pp=1, **given)
        except RoofcalcError:  # more devices than heads
            continue
        for cached in contexts:
            if chunked and cached + 1 > 8192 and not deployment.assumptions.is_bound:
                continue  # whose decode takes the fullest step
            step = decode(deployment, cached + 1).seconds(batch)
            np.testing.assert_allclose(prefill(deployment, 1, cached, batch).ttft_s, step, rtol=1e-9, err_msg=f"{machine} {given} {cached}")


@pytest.mark.parametrize("model", KINDS)
def test_presets_in_order(model: str) -> None:
    new, cached = np.array([1.0, 17, 1000, 40_000])[:, None, None], np.array([0.0, 1, 5000, 100_000])[:, None]
    batch = np.array([1.0, 2, 3, 8, 33])
    for (machine, tp, pp, dp), chunk in share(itertools.product((*LAYOUTS, ("16xh100-sxm", 4, 4, 1)), (None, 900.0)), 4, model):
        found = []
        for given in ({"assume": "bound"}, {"overlap": "full"}, {"overlap": "net"}, {"overlap": "op"}, {"overlap": "none"}):
            try:
                found.append(prefill(on(model, machine, tp, pp, dp, **given), new, cached, batch, chunk))
            except RoofcalcError:  # the heads do not divide
                continue
        if len(found) == 5:
            usual = prefill(on(model, machine, tp, pp, dp, assume="typical"), new, cached, batch, chunk)
            assert (usual.ttft_s > found[3].ttft_s).all() and (usual.batch_prefill_s > found[3].batch_prefill_s).all()
        for faster, slower in itertools.pairwise(found):
            assert (faster.ttft_s <= slower.ttft_s * (1 + 1e-12)).all() and (faster.batch_prefill_s <= slower.batch_prefill_s * (1 + 1e-12)).all()
        assert all((one.ttft_s > 0).all() and (one.batch_prefill_s >= one.ttft_s * (1 - 1e-12)).all() for one in found)


@pytest.mark.parametrize(("tp", "pp", "dp"), [(4, 1, 1), (1, 4, 1), (1, 1, 4), (2, 2, 1), (1, 2, 2)])
@pytest.mark.parametrize("assume", ["roofline", "bound"])
def test_no_layout_takes_prompts_in_faster_than_all_devices_compute(assume: str, tp: int, pp: int, dp: int) -> None:
    # 2·6,979,321,856 FLOPs per token and 524,288 per pair of Llama 3.1 8B's 8,000 tokens, on four H100 of 989.4 TFLOP/s (bound: 8 %
    # over the sheet's clock, and attention in fp8)
    peak = 4 * (989.4e12 if assume == "roofline" else 989.4e12 * lookup.hardware("h100-sxm")[0].device.best.clock)
    least = (2 * 6_979_321_856 * 8000 + 524_288 * 8000 * 8001 / 2 / (2 if assume == "bound" else 1)) / peak
    for row in rc.prefill("llama-3.1-8b", "4xh100-sxm", tp=tp, pp=pp, dp=dp, seq=8000, batch=[1, 2, 3, 4, 7, 64], assume=assume).rows():
        assert 8000 / row["prefill_tok_s"] >= least * (1 - 1e-9), row["batch"]  # type: ignore[operator]
        if row["batch"] % 4 == 0 and assume == "bound":  # type: ignore[operator]
            assert 8000 / row["prefill_tok_s"] == pytest.approx(least, rel=1e-3)  # type: ignore[operator]


def test_a_first_token_passes_every_stage() -> None:
    for model, pp in (("llama-3.1-8b", 4), ("llama-3.1-8b", 3), ("gpt-oss-20b", 2)):
        whole = prefill(on(model, "h100-sxm", network="ideal"), 1000, 500, 1.0)
        staged = prefill(on(model, f"{pp}xh100-sxm", 1, pp, network="ideal"), 1000, 500, np.array([1.0, pp, 2 * pp]))
        assert staged.ttft_s[0] == staged.ttft_s[1] == pytest.approx(float(whole.ttft_s), rel=1e-9)  # a prompt passes all layers
        assert staged.ttft_s[2] > staged.ttft_s[0]  # two prompts in a micro-batch
        slowest = staged.batch_prefill_s[1] / pp
        assert whole.ttft_s / pp < slowest < whole.ttft_s / pp * 1.2 and staged.batch_prefill_s[0] == staged.ttft_s[0]
    # 32 layers on three stages: 11, 11 and 10 with the head; the slowest of them sets the pace of three prompts
    lines = {line.op: float(line.time_s) for line in prefill_lines(on("llama-3.1-8b", "h100-sxm"), 1000, 500, 1)}
    layers, head = sum(time for op, time in lines.items() if op != "head"), lines["head"]
    three = prefill(on("llama-3.1-8b", "3xh100-sxm", 1, 3, network="ideal"), 1000, 500, 3)
    assert three.batch_prefill_s == pytest.approx(3 * max(11 / 32 * layers, 10 / 32 * layers + head), rel=1e-9)


@pytest.mark.parametrize("model", KINDS)
def test_more_tokens_are_never_faster(model: str) -> None:
    """Also in `bound`, whose pieces fill a pipeline: the last token passes all stages, as a prompt of one token does."""
    new = np.array([1.0, 2, 3, 4, 5, 8, 16, 100, 3000, 40_000])
    batch, cached = np.array([1.0, 2, 3, 16, 300])[:, None], np.array([0.0, 5000])[:, None, None]
    for (machine, tp, pp, dp), given in itertools.product(LAYOUTS, ({"assume": "bound"}, {})):
        try:
            deployment = on(model, machine, tp, pp, dp, **given)
        except RoofcalcError:  # the heads do not divide
            continue
        seconds = prefill(deployment, new, cached, batch).ttft_s
        assert (np.diff(seconds, axis=-1) >= -1e-12 * seconds[..., 1:]).all(), (machine, given)
        alone = prefill(deployment, 1.0, cached, 1.0).ttft_s
        assert (seconds >= alone * (1 - 1e-12)).all()


def test_two_tokens_in_a_pipeline_by_hand() -> None:
    """Llama 3.1 70B on two stages of two H100: every token reads 69,501,714,432 weights of blocks and head in two bytes, half of them on a device.

    A prompt of two tokens fills both stages with one token each; its last token still waits for all weights of one stage and then of the other.
    The cache adds 327,680 bytes a token, half on a device. 80 layers of two all-reduces of 8,192 numbers (bound: 4 bits) hide behind the memory.
    The last-level cache of 50 MB spares as many bytes of each stage.
    """
    deployment = on("llama-3.1-70b", "4xh100-sxm", 2, 2, assume="bound")
    weights = 80 * (8192 * (8192 + 2 * 1024) + 8192 * 8192 + 3 * 8192 * 28_672) + 8192 * 128_256
    assert weights == 69_501_714_432
    rate, spared = deployment.memory_bytes_per_s, 2 * deployment.cache_bytes
    one, two, many = (float(prefill(deployment, tokens).ttft_s) for tokens in (1, 2, 16))
    assert one == pytest.approx((weights * 2 / 2 + 327_680 / 2 - spared) / rate, rel=1e-6)
    assert two == pytest.approx((weights * 2 / 2 + 327_680 - spared) / rate, rel=1e-6)
    assert many == pytest.approx((weights * 2 / 2 + 16 * 327_680 / 2 - spared) / rate, rel=1e-6)


def gflop(model: str, chunk: int | None, new: int = 3000, cached: int = 700) -> dict[str, float]:
    table = rc.ops(model, "h100-sxm", phase="prefill", seq=new, cached=cached, chunk=chunk)
    return {str(row["op"]): float(row["gflop"]) for row in table.rows()}  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [name for name in KINDS if name not in ("deepseek-v3", "deepseek-v3.2", "kimi-linear-48b-a3b", "longcat-flash")])
def test_flops_of_chunks_sum_to_the_whole(model: str) -> None:
    whole = gflop(model, None)
    for chunk in (1, 128, 999, 3000, 10_000):
        assert gflop(model, chunk) == pytest.approx(whole, rel=1e-9)


def test_chunks_rebuild_what_came_before() -> None:
    # DeepSeek-V3: 3,000 tokens in three chunks rebuild 1,000, then 2,000, then 3,000 entries: twice as many as at once
    whole, chunked = gflop("deepseek-v3", None, cached=0), gflop("deepseek-v3", 1000, cached=0)
    for op, flops in whole.items():
        assert chunked[op] == pytest.approx(flops * (2 if op.endswith(("k_up", "v_up")) else 1), rel=1e-9), op


def test_every_chunk_reads_weights_and_states_and_the_last_one_the_head() -> None:
    def mb(model: str, chunk: int | None) -> dict[str, float]:
        table = rc.ops(model, "h100-sxm", phase="prefill", seq=1000, cached=300, chunk=chunk)
        return {str(row["op"]): float(row["mb"]) for row in table.rows()}  # type: ignore[arg-type]

    whole, chunked = mb("jamba-1.5-mini", None), mb("jamba-1.5-mini", 200)
    for op in ("mamba.in", "mamba.state", "mamba.up", "attn.qkv", "attn.down", "mamba_moe.router"):
        assert chunked[op] == pytest.approx(5 * whole[op], rel=1e-9), op
    assert chunked["head"] == whole["head"]
    # A state is read and written: 2 · 8,192 · 16 numbers of 4 bytes; 12 of Jamba's layers have a dense network beside it
    assert whole["mamba.state"] == pytest.approx(12 * 2 * 8192 * 16 * 4 / 1e6)
    # Entries of 8 heads · 2 · 128 · 2 bytes in 4 layers: each chunk reads what came before and writes its own
    entry = 4 * 8 * 2 * 128 * 2
    assert whole["attn.attention"] == pytest.approx(entry * 1300 / 1e6)
    assert chunked["attn.attention"] == pytest.approx(entry * (500 + 700 + 900 + 1100 + 1300) / 1e6)
    window = mb("gpt-oss-20b", None)["local.attention"]  # 127 of those before and 128 of its own are kept
    assert window == pytest.approx(12 * 8 * 2 * 64 * 2 * (127 + 128) / 1e6)


def test_arrays_are_loops_over_scalars() -> None:
    for model in ("llama-3.1-8b", "deepseek-v3", "deepseek-v4-flash"):
        deployment = on(model, "8xh200-sxm")
        new, cached, batch = np.array([1.0, 100, 5001])[:, None, None], np.array([0.0, 999])[:, None], np.array([1.0, 9])
        for chunk in (None, 700.0):
            found = prefill(deployment, new, cached, batch, chunk)
            for (i, p), (j, c), (k, b) in itertools.product(enumerate(new.ravel()), enumerate(cached.ravel()), enumerate(batch)):
                one = prefill(deployment, p, c, b, chunk)
                assert found.ttft_s[i, j, k] == pytest.approx(float(one.ttft_s), rel=1e-12) and found.limited_by[i, j, k] == one.limited_by


def test_longer_prompts_prefixes_and_batches_never_come_sooner() -> None:
    for model, given in itertools.product(KINDS, ({}, {"assume": "bound"})):
        deployment = on(model, "8xh200-sxm", **given)
        new, cached, batch = np.arange(1.0, 400, 7)[:, None, None], np.array([0.0, 5, 171, 8192, 30_000])[:, None], np.arange(1.0, 40)
        time = prefill(deployment, new, cached, batch).ttft_s
        assert (np.diff(time, axis=0) >= -1e-15).all() and (np.diff(time, axis=2) >= -1e-15).all()
        if model != "llama-4-scout":  # a new chunk forgets the one before
            assert (np.diff(time, axis=1) >= -1e-15).all()
