"""Laws of memory under engines, over every device of the catalog: `typical` holds no more than `roofline`, nor that than `bound`."""

import os

import numpy as np
import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment import engines
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.physics.memory import batch_memory, budget, max_concurrency, system_kv_bytes, weight_bytes
from roofcalc.specs.device import Hardware

MODELS = ("llama-3.1-8b", "qwen3-30b-a3b", "gpt-oss-20b", "gemma-4-31b", "deepseek-v2-lite", "qwen3.5-9b", "llama-3.2-1b", "falcon-h1-7b")
SEQ = np.array([512.0, 8192.0, 100_000.0])
DEVICES = sorted(name for name, path in lookup.entries("hardware").items() if "device:" not in path.read_text(encoding="utf-8"))


def _deployments(model: str, device: str, policy: str | None) -> list[Deployment]:
    hardware = lookup.hardware(device)[0]
    one = Hardware(hardware.device.name, hardware.device, 1, hardware.link, hardware.scale_out_bytes_per_s)
    presets = ("typical", "roofline", "bound")
    return [deploy(lookup.model(model)[0], one, assumptions=assumptions(preset, kv_policy=policy)) for preset in presets]


ALL = [(model, policy) for model in MODELS for policy in ("architectural", "full", "minimal")]
FAST = [("gpt-oss-20b", "architectural"), ("gemma-4-31b", "minimal"), ("llama-3.2-1b", "full"), ("qwen3.5-9b", "architectural")]


@pytest.mark.parametrize(("model", "policy"), ALL if os.environ.get("ROOFCALC_NIGHTLY") else FAST)
def test_presets_are_ordered_in_memory_on_every_device(model: str, policy: str) -> None:
    assert len(DEVICES) > 120
    for device in DEVICES:
        three = _deployments(model, device, policy)
        typical, roofline, bound = ([one.usable_bytes, batch_memory(one, SEQ), max_concurrency(one, SEQ)] for one in three)
        for less, more in ((typical, roofline), (roofline, bound)):
            for a, b in zip(less, more, strict=True):
                assert (np.asarray(a) <= np.asarray(b) * (1 + 1e-12)).all(), (device, model, policy, less, more)


@pytest.mark.parametrize("engine", engines.engines())
@pytest.mark.parametrize("model", MODELS)
def test_an_engine_leaves_no_more_than_there_is(model: str, engine: str) -> None:
    """What is taken adds up, activations and runtime are never negative, and more context never leaves more room."""
    for device in ("h100-sxm", "rtx-4090", "mi300x", "gb10"):
        one = deploy(lookup.model(model)[0], lookup.hardware(device)[0], assumptions=assumptions("roofline", engine=engine))
        found = budget(one, one.stages[-1], SEQ)
        assert (found.activations >= 0).all() and found.runtime >= 0 and found.weights >= weight_bytes(one, one.stages[-1])
        assert (np.diff(found.cache) <= 0).all()
        assert (found.cache <= engines.total_bytes(one.hardware.device)).all()
        assert (np.diff(batch_memory(one, SEQ)) <= 0).all()
        assert (np.diff(system_kv_bytes(one, SEQ)) >= 0).all()


def test_fewer_batched_tokens_or_sequences_never_leave_less() -> None:
    model, hardware = lookup.model("qwen3-14b")[0], lookup.hardware("h100-sxm")[0]
    rooms = []
    for tokens, seqs in ((16384, 1024), (8192, 1024), (8192, 256), (2048, 256), (2048, 16)):
        one = deploy(model, hardware, assumptions=assumptions("roofline", engine="vllm", max_batched_tokens=tokens, max_seqs=seqs))
        rooms.append(float(budget(one, one.stages[-1], 8192.0).cache))
    assert rooms == sorted(rooms) and rooms[0] < rooms[-1]
