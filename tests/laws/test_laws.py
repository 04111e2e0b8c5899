"""What must hold whatever the figures are: exactness of the solvers, monotony, scaling, order of the presets."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.physics import memory
from roofcalc.physics.resources import RESOURCES
from roofcalc.physics.roofline import decode
from roofcalc.solvers.max_batch import max_batch
from roofcalc.solvers.max_context import max_context
from roofcalc.specs.device import Hardware
from roofcalc.specs.record import replace
from tests.tiers import share

MODELS = ("llama-2-13b", "llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "qwen2.5-7b", "qwen3-32b", "mistral-7b-v0.3")
MACHINES = ("h100-sxm", "8xh100-sxm", "16xh100-sxm", "8xmi300x", "4xh100-pcie", "8xl40s", "8-way-l40s", "dgx-b200", "2xa100-sxm-80gb", "rtx-4090")
SEQS = np.array([1.0, 100, 775, 4096, 7661, 65_536, 131_072])
BATCHES = np.array([1.0, 2, 3, 5, 8, 16, 33, 100, 257, 1000, 5000])


def on(model: str, hardware: str | Hardware, weights: str = "fp8", kv: str | None = None, **given: object) -> Deployment:
    layout = {name: given.pop(name) for name in ("tp", "pp", "dp") if name in given}
    machine = lookup.hardware(hardware)[0] if isinstance(hardware, str) else hardware
    return deploy(lookup.model(model)[0], machine, weights=weights, kv=kv, assumptions=assumptions(**given), **layout)  # type: ignore[arg-type]


def scaled(hardware: Hardware, factor: float, *, memory: bool = True, peaks: bool = True, links: bool = True) -> Hardware:
    """The same machine with some rates times `factor`."""
    device = hardware.device
    rates = {name: peak * (factor if peaks else 1) for name, peak in device.peak_tflop_s.items()}
    store = replace(device.memory, bandwidth_gb_s=device.memory.bandwidth_gb_s * (factor if memory else 1))
    link, wide = hardware.link, hardware.scale_out_bytes_per_s
    if links and link:
        link = replace(link, gb_s=link.gb_s * factor, pair_gb_s=link.pair_gb_s and link.pair_gb_s * factor)
    return replace(
        hardware,
        device=replace(device, peak_tflop_s=rates, memory=store),
        link=link,
        scale_out_bytes_per_s=wide * factor if wide and links else wide,
    )


def degrees(count: int) -> list[tuple[int, int, int]]:
    return [(t, p, d) for t, p, d in itertools.product(range(1, count + 1), repeat=3) if t * p * d == count]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("model", MODELS)
def test_the_solver_is_exact(model: str, machine: str) -> None:
    for assumed in ({}, {"overlap": "none"}, {"assume": "bound"}, {"overlap": "net"}):
        deployment = on(model, machine, **assumed)
        rates = np.array([[1.0], [30.0], [100.0]])
        found = max_batch(deployment, SEQS, rates)
        step = decode(deployment, SEQS)
        enough = found.batch_interactivity
        assert (np.where(enough > 0, step.seconds(np.maximum(enough, 1)) * rates, 0) <= 1 + 1e-12).all()
        assert (step.seconds(enough + 1) * rates > 1).all()
        fits = found.batch_memory
        room = deployment.usable_bytes * (1 + 1e-9)
        for stage in deployment.stages:
            held = memory.kv_bytes(deployment, stage, SEQS)
            if fits.any():
                assert (memory.weight_bytes(deployment, stage) + fits / deployment.layout.dp * held <= room).all()
        if memory.weights_fit(deployment):
            more = [
                memory.weight_bytes(deployment, stage) + (fits / deployment.layout.dp + 1) * memory.kv_bytes(deployment, stage, SEQS)
                for stage in deployment.stages
            ]
            assert (np.max(more, axis=0) > deployment.usable_bytes * (1 - 1e-9)).all()
        assert (found.max_batch == np.minimum(enough, fits)).all()


@pytest.mark.parametrize("machine", ["8xh100-sxm", "8xl40s", "16xh100-sxm"])
def test_the_longest_context_is_exact(machine: str) -> None:
    for block in (1, 16):
        deployment = on("llama-3.1-70b", machine, kv_block=block)
        batches = np.array([1.0, 7, 64])
        longest = max_context(deployment, batches)
        assert (memory.batch_memory(deployment, longest) >= batches).all()
        assert (memory.batch_memory(deployment, longest + 1) < batches).all()
        assert (longest % block == 0).all()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("model", MODELS)
def test_presets_in_order(model: str, machine: str) -> None:
    count = lookup.hardware(machine)[0].count
    for (t, p, d), kv in share(itertools.product(degrees(count), ("bf16", "fp8")), 3 if count > 1 else 1, model + machine):
        if lookup.model(model)[0].blocks["block"].attention.heads % t:  # type: ignore[union-attr]
            continue
        times = [
            decode(on(model, machine, kv=kv, tp=t, pp=p, dp=d, **given), SEQS[:, None]).seconds(BATCHES)
            for given in ({"assume": "bound"}, {"overlap": "full"}, {"overlap": "net"}, {"overlap": "op"}, {"overlap": "none"})
        ]
        for faster, slower in itertools.pairwise(times):
            assert (faster <= slower * (1 + 1e-12)).all(), (t, p, d, kv)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("overlap", ["op", "full", "net", "none"])
def test_steps_never_get_shorter(machine: str, overlap: str) -> None:
    time = decode(on("llama-3.1-70b", machine, overlap=overlap), SEQS).seconds(np.arange(1.0, 300)[:, None])
    assert np.isfinite(time).all() and (time > 0).all()
    assert (np.diff(time, axis=0) >= -1e-15).all() and (np.diff(time, axis=1) >= -1e-15).all()


@pytest.mark.parametrize("machine", MACHINES)
def test_faster_parts_never_slow_a_step(machine: str) -> None:
    hardware = lookup.hardware(machine)[0]
    usual = decode(on("llama-3.1-70b", hardware), SEQS).seconds(BATCHES[:, None])
    for part in ("memory", "peaks", "links"):
        faster = scaled(hardware, 1.5, **{name: name == part for name in ("memory", "peaks", "links")})
        assert (decode(on("llama-3.1-70b", faster), SEQS).seconds(BATCHES[:, None]) <= usual * (1 + 1e-12)).all()
    twice = decode(on("llama-3.1-70b", scaled(hardware, 2)), SEQS).seconds(BATCHES[:, None])
    np.testing.assert_allclose(twice * 2, usual, rtol=1e-12)


def test_narrower_weights_never_lower_the_batch() -> None:
    for machine in MACHINES:
        found = [max_batch(on("llama-3.1-70b", machine, weights), SEQS, 20).max_batch for weights in ("bf16", "fp8", "int4")]
        # int4 computes in bf16: it may be slower than fp8 where FLOPs bind, never worse than bf16
        assert (found[0] <= found[1]).all() and (found[0] <= found[2]).all()


def test_efficiencies_divide_their_own_resource() -> None:
    whole = decode(on("llama-3.1-70b", "8xh100-sxm"), 2000).resources(np.array([4.0]))
    part = decode(on("llama-3.1-70b", "8xh100-sxm", mbu=0.5, link=0.25), 2000).resources(np.array([4.0]))
    assert part["bandwidth"] == pytest.approx(2 * whole["bandwidth"]) and part["network"] == pytest.approx(4 * whole["network"])
    busy = decode(on("llama-3.1-70b", "8xh100-sxm", mfu=0.5), 1).resources(np.array([5000.0]))
    assert busy["compute"] == pytest.approx(2 * decode(on("llama-3.1-70b", "8xh100-sxm"), 1).resources(np.array([5000.0]))["compute"])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("overlap", ["op", "none"])
def test_resources_add_up_to_the_step(machine: str, overlap: str) -> None:
    step = decode(on("llama-3.1-405b", machine, overlap=overlap), SEQS)
    parts = step.resources(BATCHES[:, None])
    np.testing.assert_allclose(sum(parts[name] for name in RESOURCES), step.seconds(BATCHES[:, None]), rtol=1e-12)
    largest = np.argmax(np.stack(np.broadcast_arrays(*(parts[name] for name in RESOURCES))), axis=0)
    assert (np.array(RESOURCES)[largest] == step.limited_by(BATCHES[:, None])).all()


def test_in_network_reduction_is_never_slower_than_a_ring() -> None:
    hardware = lookup.hardware("8xh100-sxm")[0]
    assert hardware.link is not None
    ring = replace(hardware, link=replace(hardware.link, reduce=False))
    for t in (2, 4, 8):
        d = 8 // t
        by_switch = decode(on("llama-3.1-70b", hardware, tp=t, dp=d), 100).seconds(BATCHES)
        assert (by_switch <= decode(on("llama-3.1-70b", ring, tp=t, dp=d), 100).seconds(BATCHES)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.sampled_from(MACHINES),
    st.lists(st.integers(1, 200_000), min_size=1, max_size=4),
    st.lists(st.floats(0.5, 500), min_size=1, max_size=3),
    st.sampled_from(["op", "full", "none", "net"]),
)
def test_arrays_equal_loops_over_scalars(model: str, machine: str, seqs: list[int], rates: list[float], overlap: str) -> None:
    deployment = on(model, machine, overlap=overlap)
    grid = max_batch(deployment, np.array(seqs, dtype=float)[:, None], np.array(rates))
    for (i, seq), (j, rate) in itertools.product(enumerate(seqs), enumerate(rates)):
        one = max_batch(deployment, seq, rate)
        for name in one._fields:
            got, expected = getattr(grid, name)[i, j], getattr(one, name)
            assert got == expected or (got != got and expected != expected), name


def test_weights_plus_cache_plus_free_is_the_capacity() -> None:
    for machine in MACHINES:
        table = rc.memory("llama-3.1-8b,llama-3.1-70b", machine, seq="1k,50k", batch="1,10,1000", util=0.9, reserve_gb=2)
        total = table["weights_gb"] + table["kv_gb"] + table["free_gb"]
        np.testing.assert_allclose(total, table["capacity_gb"], rtol=1e-12)
        assert (table["fits_memory"] == (table["batch_memory"] >= table["batch"])).all()


def test_no_figure_is_nan_or_infinite() -> None:
    for command in (rc.max_batch, rc.interactivity, rc.memory):
        for row in command(list(MODELS), list(MACHINES), seq=[1, 10**6], assume="bound").rows():
            assert all(value == value and value not in (float("inf"), float("-inf")) for value in row.values())
