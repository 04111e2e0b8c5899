"""Weights, experts and layers in the host's memory: by hand, and against the deployment without offload."""

from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics import memory, offload
from roofcalc.physics.breakdown import lines, prefill_lines
from roofcalc.physics.prefill import prefill
from roofcalc.physics.resources import operation_seconds
from roofcalc.physics.roofline import decode
from roofcalc.report import columns
from roofcalc.report.explain.prefill import prefill as explain_prefill
from roofcalc.report.explain.stages import step as explain_step

HOST = "memory_gb=512,memory_gb_s=100,tflop_s=2,link_gb_s=25"


def deployed(model: str, hardware: str = "rtx-4090", **options: Any) -> Deployment:
    ((deployment, _),) = Request("prefill", columns.PREFILL, model, hardware, options).deployments()  # type: ignore[arg-type]
    return deployment


def step_s(deployment: Deployment, batch: float = 1.0, seq: float = 4000.0) -> float:
    return float(decode(deployment, np.array([seq])).seconds(np.array([batch]))[0])


def test_experts_on_the_cpus_by_hand() -> None:
    # gpt-oss-120b: 36 layers, 4 of 128 experts of three 2880 × 2880 matrices each, 4.25 bits a weight; one 2880-wide vector of 16 bits each way.
    experts_s = 36 * 4 * 3 * 2880 * 2880 * 4.25 / 8 / 100e9
    vectors_s = 36 * 2 * 2880 * 2 / 25e9
    plain = deployed("gpt-oss-120b", "4xrtx-4090", pp=1, tp=4)
    assert plain.offload is None
    hosted = deployed("gpt-oss-120b", offload="experts=cpu", host=HOST)
    assert decode(hosted, np.array([4000.0])).resources(np.array([1.0]))["host"] == pytest.approx([experts_s + vectors_s], rel=1e-9)
    assert decode(hosted, np.array([4000.0])).limited_by(np.array([1.0])).tolist() == ["host"]


def test_experts_streamed_by_hand() -> None:
    hosted = deployed("gpt-oss-120b", offload="experts=host", host=HOST)
    # 16 tokens reach 128·(1 − (1 − 4/128)^16) different experts in each layer; the link is slower than the memory
    read = 36 * 128 * (1 - (1 - 4 / 128) ** 16) * 3 * 2880 * 2880 * 4.25 / 8
    assert decode(hosted, np.array([4000.0])).resources(np.array([16.0]))["host"] == pytest.approx([read / 25e9], rel=1e-9)


@pytest.mark.parametrize("overlap", ["op", "none", "net", "full"])
@pytest.mark.parametrize("batch", [1.0, 24.0])
def test_the_devices_do_the_rest(overlap: str, batch: float) -> None:
    plain = deployed("gpt-oss-120b", overlap=overlap)
    hosted = deployed("gpt-oss-120b", offload="experts=cpu", host=HOST, overlap=overlap)
    before, after = (decode(one, np.array([4000.0])).resources(np.array([batch])) for one in (plain, hosted))
    load, _ = work.token_load(plain, np.array([batch]))
    routed = [one for one in work.batch_operations(plain, plain.stages[0], load) if one.tensor == "experts"]
    spared = sum(float(np.maximum(*operation_seconds(plain, one))[0]) * one.layers for one in routed)
    if overlap == "op":
        on_device = before["bandwidth"] + before["compute"] - after["bandwidth"] - after["compute"]
        assert on_device == pytest.approx([spared], rel=1e-9)
    host = float(after["host"][0])
    rest = step_s(hosted, batch) - host
    assert rest >= -1e-12 if overlap == "full" else rest > 0
    assert step_s(hosted, batch) > step_s(plain, batch)


@pytest.mark.parametrize(
    "given", [{"offload": "experts=cpu"}, {"offload": "experts=host"}, {"offload": "experts=cpu:20"}, {"offload": "weights=host:30"}]
)
def test_what_leaves_a_device_arrives_at_the_host(given: dict[str, Any]) -> None:
    plain, hosted = deployed("gpt-oss-120b", "2xrtx-4090", tp=2), deployed("gpt-oss-120b", "2xrtx-4090", tp=2, host=HOST, **given)
    whole = memory.system_weight_bytes(plain)
    assert memory.system_weight_bytes(hosted) + offload.host_weight_bytes(hosted) == pytest.approx(whole, rel=1e-12)
    assert offload.host_weight_bytes(hosted) > 0


def test_all_layers_with_experts_is_all_experts() -> None:
    every, counted = deployed("gpt-oss-120b", offload="experts=cpu", host=HOST), deployed("gpt-oss-120b", offload="experts=cpu:36", host=HOST)
    assert step_s(every, 3) == step_s(counted, 3) and memory.system_weight_bytes(every) == memory.system_weight_bytes(counted)
    seconds = [step_s(deployed("gpt-oss-120b", offload=f"experts=cpu:{count}", host=HOST)) for count in (1, 12, 24, 36)]
    assert seconds == sorted(seconds)


def test_layers_of_the_host_by_hand() -> None:
    # llama-3.1-70b in bf16: a layer has 855,638,016 weights in matrices; 61 of 80 layers on the devices (with the output layer, 62) leave 19
    hosted = deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=62, host=HOST)
    found = decode(hosted, np.array([1000.0])).resources(np.array([2.0]))["host"]
    weights_s = 19 * 855_638_016 * 2 / 100e9
    cache_s = 19 * 2 * 1000 * (2 * 8 * 128 * 2) / 100e9
    vectors_s = 2 * 8192 * 2 / 25e9
    assert found == pytest.approx([weights_s + cache_s + vectors_s], rel=1e-9)
    assert dict(hosted.stages[0].groups) == {"block": 61}
    assert memory.host_kv_bytes(hosted, np.array([1000.0])) == pytest.approx([19 * 1000 * 2 * 8 * 128 * 2])
    assert deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=81, host=HOST).offload is None


def test_streamed_weights_take_their_share_of_the_link() -> None:
    # 40 of 141.1 GB: each step reads all but the embedding; what it reads of the host's share crosses the link
    plain = deployed("llama-3.1-70b", "h200-sxm")
    hosted = deployed("llama-3.1-70b", "h200-sxm", offload="weights=host:40", host=HOST)
    stored = memory.system_weight_bytes(plain)
    read = 2 * (70_553_706_496 - 128_256 * 8192 - (2 * 80 + 1) * 8192)
    assert step_s(hosted) - step_s(plain) == pytest.approx(40e9 / stored * read / 25e9, rel=1e-9)


@pytest.mark.parametrize("experts", ["cpu", "host"])
@pytest.mark.parametrize("batch", [1.0, 40.0])
def test_streamed_weights_are_not_those_of_the_hosts_experts(experts: str, batch: float) -> None:
    """All that is left on the device is streamed whole, its embedding aside, and half of it half; no more where more is asked for."""
    plain = deployed("gpt-oss-20b", offload=f"experts={experts}", host=HOST)
    left = memory.system_weight_bytes(plain)

    def streamed_s(gb: float) -> float:
        both = deployed("gpt-oss-20b", offload=f"experts={experts} weights=host:{gb}", host=HOST)
        host = [float(decode(one, np.array([4000.0])).resources(np.array([batch]))["host"][0]) for one in (both, plain)]
        return host[0] - host[1]

    # gpt-oss-20b: an embedding of 201,088 × 2,880 in 16 bits is stored and not read, nor are the experts' biases, in 24 layers of 32 experts
    # 2 · 2,880 of up and gate and 2,880 of down; norms, sinks and the biases of attention are less than a thousandth
    read = left - 2 * (201_088 * 2880 + 24 * 32 * 3 * 2880)
    assert streamed_s(left / 1e9) == pytest.approx(read / 25e9, rel=1e-3)
    assert streamed_s(left / 2e9) == pytest.approx(read / 50e9, rel=1e-3)
    assert streamed_s(left / 1e9 + 5) == pytest.approx(streamed_s(left / 1e9))


def test_sequences_that_the_host_has_no_room_for() -> None:
    small = deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=41, host="memory_gb=80,memory_gb_s=100,link_gb_s=25")
    room = 80e9 - 40 * (855_638_016 * 2 + 2 * 8192 * 2)
    assert memory.batch_memory(small, np.array([8000.0])) == [room // (40 * 8000 * 4096)]
    full = deployed("llama-3.1-70b", "4xrtx-4090", tp=4, pp=1, gpu_layers=41, host="memory_gb=60,memory_gb_s=100,link_gb_s=25")
    assert memory.batch_memory(full, np.array([8000.0])) == [0]


@pytest.mark.parametrize("overlap", ["op", "none", "full"])
@pytest.mark.parametrize(
    "given",
    [{"offload": "experts=cpu"}, {"offload": "experts=cpu:9"}, {"offload": "experts=host"}, {"offload": "weights=host:9"}, {"gpu_layers": 20}],
)
def test_operations_add_up_to_the_step_and_to_the_first_token(given: dict[str, Any], overlap: str) -> None:
    hosted = deployed("gpt-oss-20b", host=HOST, **({"assume": overlap} if overlap == "typical" else {"overlap": overlap}), **given)
    seq, batch = np.array([3000.0]), np.array([4.0])
    summed = sum(one.time_s for one in lines(decode(hosted, seq), seq, batch))
    assert summed == pytest.approx(decode(hosted, seq).seconds(batch), rel=1e-9)
    summed = sum(one.time_s for one in prefill_lines(hosted, seq, 0.0, batch))
    assert summed == pytest.approx(prefill(hosted, seq, 0.0, batch).ttft_s, rel=1e-9)


def test_a_prefill_takes_the_sooner_of_computing_and_streaming() -> None:
    seq = np.array([2000.0])
    times = {
        tflop: float(prefill(deployed("gpt-oss-20b", offload="experts=cpu", host=f"memory_gb_s=100,link_gb_s=25,tflop_s={tflop}"), seq).ttft_s[0])
        for tflop in (0.5, 2, 1000)
    }
    streamed = float(prefill(deployed("gpt-oss-20b", offload="experts=host", host="memory_gb_s=100,link_gb_s=25"), seq).ttft_s[0])
    assert times[0.5] == pytest.approx(streamed) and times[1000] < times[2] <= streamed


@pytest.mark.parametrize(("cpu_ms", "on_device"), [(25.7, False), (26.3, True)])
def test_streamed_experts_take_the_devices_time_too(cpu_ms: float, on_device: bool) -> None:
    # gpt-oss-20b, one token in 12 of its 24 layers: 4 experts of 3 · 2,880 · 2,880 weights of 4.25 bits, 634.5 MB: 25.4 ms over the link
    # and 0.63 ms more from the memory of an RTX 4090 (1,008 GB/s), 26.0 ms; the CPUs' arithmetic is set to take less, and more
    flops = 12 * 4 * 2 * 3 * 2880 * 2880
    host = f"memory_gb_s=100,link_gb_s=25,tflop_s={flops / cpu_ms / 1e9}"
    hosted = deployed("gpt-oss-20b", offload="experts=cpu", host=host)
    found = {one.op: float(one.bytes[0]) for one in prefill_lines(hosted, np.array([1.0]), 0.0, np.array([1.0]))}
    assert (found["full.expert_up"] > 0) == (found["local.expert_up"] > 0) == on_device


@pytest.mark.parametrize(
    "given",
    [{"offload": "experts=cpu"}, {"offload": "experts=cpu:9"}, {"offload": "weights=host:9"}, {"gpu_layers": 20}],
)
@pytest.mark.parametrize("assume", ["roofline", "typical"])
def test_explanations_end_in_the_same_figures(given: dict[str, Any], assume: str) -> None:
    hosted = deployed("gpt-oss-20b", host=HOST, assume=assume, **given)
    assert explain_step(hosted, 3000.0, 4.0)[1] == pytest.approx(step_s(hosted, 4, 3000), rel=1e-9)
    assert explain_prefill(hosted, 3000.0, 0.0, 2.0)[1] == pytest.approx(prefill(hosted, np.array([3000.0]), 0.0, 2.0).ttft_s[0], rel=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"offload": "experts=disk"}, "is not one of weights=host:GB"),
        ({"offload": "weights=host"}, "needs a number of GB"),
        ({"offload": "experts=cpu experts=host"}, "given twice"),
        ({"offload": "experts=cpu"}, "llama-3.1-8b has no routed experts"),
        ({"offload": "kv=nvme:4", "host": HOST}, "the read bandwidth of the host's drives is not known"),
        ({"offload": "kv=host:4000", "host": HOST}, "more than the 512 GB of the host's memory"),
        ({"offload": "weights=host:4", "assume": "bound"}, "bound takes no memory"),
        ({"gpu_layers": 10}, "the bandwidth of the host's memory is not known for this machine; give it, as in --host memory_gb_s=90 "),
        ({"host": HOST}, "has no effect without --offload"),
        ({"gpu_layers": 10, "host": "memory=4"}, "is not one of cpu="),
        ({"gpu_layers": 10, "host": "memory_gb_s=-4"}, "is not a number above 0"),
        ({"gpu_layers": 10, "host": "cpu=nope"}, "unknown CPU 'nope'"),
        ({"gpu_layers": 10, "host": "count=2"}, "count is that of cpu=NAME or of the memory of memory_gb_s"),
        ({"gpu_layers": 10, "host": "cpu=9654,numa=2"}, "numa='2' is not on or off"),
    ],
)
def test_refusals(given: dict[str, Any], message: str) -> None:
    with pytest.raises(rc.RoofcalcError, match=message):
        rc.memory("llama-3.1-8b", "rtx-4090", seq=1000, **given)


def test_memory_that_is_the_hosts_has_no_second_tier() -> None:
    with pytest.raises(rc.RoofcalcError, match="the memory of m4-max is the host's"):
        rc.memory("llama-3.1-8b", "m4-max", seq=1000, offload="weights=host:4")
