"""The engine against naive loops written from the formulas alone: every model, kind of network, layout and dtype."""

import random

import numpy as np
import pytest

from roofcalc.deployment import parallelism
from roofcalc.physics import memory
from roofcalc.physics.roofline import decode
from tests import catalogs, reference
from tests.reference import Case
from tests.tiers import NIGHTLY

MACHINES = ("8xh100-sxm", "16xh100-sxm", "8xmi300x", "h200-sxm", "dgx-b200", "2xa100-sxm-80gb", "8xl40s", "torus-16", "torus-8")
SHAPES = [(1, 1000), (7, 3333), (64, 200), (13, 70_001), (40, 1_000_000), (3, 8_200)]
EACH = 3 if NIGHTLY else 2  # layouts per model and machine


def machines(name: str) -> list[str]:
    """More than half of them, others for every model."""
    return random.Random(catalogs.short(name)).sample(MACHINES, 5)


def samples(name: str, machine: str) -> list[Case]:
    """Some of the layouts and precisions, others for every model; each machine's widest experts and data ranks always."""
    draw = random.Random(f"{catalogs.short(name)} {machine}")
    model, hardware = catalogs.model(name), catalogs.machine(machine)
    layouts = sorted(reference.layouts(model, hardware.count))
    chosen = [*draw.sample(layouts, min(EACH - 1, len(layouts))), max(layouts, key=lambda one: (one[3], one[2], one[4]))]
    found = []
    for t, p, d, e, dcp in dict.fromkeys(chosen):
        weights, kv, overlap = draw.choice(["native", "bf16", "fp8", "nvfp4", "int8"]), draw.choice(["bf16", "fp8"]), draw.choice(OVERLAPS)
        further = {"q": draw.choice([1, 1, 4]), "imbalance": draw.choice([1.0, 1.0, 1.7, 100.0]), "redundant": draw.choice([0, 0, 5])}
        kept = {"reserved": draw.choice([False, True]), "kv_block": draw.choice([1, 16])}
        found.append(Case(model, hardware, weights, kv, t, p, d, e, dcp, overlap, draw.random() < 0.9, **further, **kept))
    return found


OVERLAPS = ("op", "op", "none", "full", "net")


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_the_engine_equals_the_loops(name: str) -> None:
    for machine in machines(name):
        for case in samples(name, machine):
            deployment = catalogs.on(
                name,
                machine,
                case.weights,
                case.kv,
                **dict(zip(catalogs.LAYOUT, case[4:9], strict=True)),
                overlap=case.overlap,
                network="bandwidth" if case.network else "ideal",
                imbalance=case.imbalance,
                redundant_experts=case.redundant,
                kv_policy="reserved" if case.reserved else "architectural",
                kv_block=case.kv_block,
            )
            where = (machine, case[2:])
            weights = [memory.weight_bytes(deployment, stage) for stage in deployment.stages]
            assert sorted(set(weights)) == pytest.approx(sorted(set(reference.weight_bytes(case)))), where
            for batch, seq in random.Random(str(where)).sample(SHAPES, 2):
                here = (*where, batch, seq)
                seconds = decode(deployment, seq, case.q).seconds(batch)
                assert seconds == pytest.approx(reference.step_seconds(case, batch, seq), rel=1e-9, abs=0), here
                kept = {float(memory.kv_bytes(deployment, stage, np.float64(seq))) for stage in deployment.stages}
                assert max(kept) == pytest.approx(max(reference.kv_bytes(case, seq)), rel=1e-12, abs=0), here
                assert memory.batch_memory(deployment, seq) == reference.batch_memory(case, seq), here


def test_the_samples_meet_every_kind_and_layout() -> None:
    met = set()
    for name in catalogs.MODELS:
        for machine in machines(name):
            for case in samples(name, machine):
                mlps = [block.mlp for block in case.model.blocks.values() if block.mlp and block.mlp.type == "experts"]
                tokens = {"exchange": bool(mlps) and case.d > 1, "striped": case.dcp > 1, "wide": case.t > case.domain, "pipeline": case.p > 1}
                tokens |= {"spread": case.e > 1, "split over data ranks": bool(mlps) and case.e == 1 and case.d > 1}
                tokens |= {
                    "sent across": case.p > 1 and case.g * case.p > case.domain,
                    "wide exchange": bool(mlps) and case.d > 1 and case.g > case.domain,
                }
                met |= {(machine, word) for word, said in tokens.items() if said}
                met |= {part.type for block in case.model.blocks.values() for part in block.parts}
    assert {"gqa", "mla", "pooled", "mamba1", "mamba2", "gated_deltanet", "kda", "lightning", "dense", "experts"} <= met
    for machine in ("8xh100-sxm", "8xmi300x", "dgx-b200", "torus-16", "16xh100-sxm"):
        assert {(machine, word) for word in ("exchange", "striped", "pipeline", "spread", "split over data ranks")} <= met
    assert {("16xh100-sxm", word) for word in ("wide", "sent across", "wide exchange")} <= met


@pytest.mark.parametrize("count", [6, 8, 16])
def test_the_engine_knows_the_same_layouts(count: int) -> None:
    for name in catalogs.MODELS:
        model = catalogs.model(name)
        found = {
            (t, p, count // t // p, e, dcp)
            for t in parallelism.legal_tp(model, count)
            for p in range(1, min(count // t, model.depth) + 1)
            if count // t % p == 0
            for e in parallelism.legal_ep(model, t, count // t // p)
            for dcp in parallelism.legal_dcp(model, t)
        }
        assert found == set(reference.layouts(model, count)), name
