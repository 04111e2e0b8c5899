"""Seconds of messages in `typical`: collectives of one scale-up domain by their kernel models, hierarchical ones between domains.

Between domains: latency per doubling of the domains, arXiv 2511.09557; dispatch and combine, deepseek-ai/DeepEP.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import interconnect
from roofcalc.physics.interconnect import ring_factor
from roofcalc.physics.kernels.collective import CollectiveParameters, ExchangeParameters, collective_s, exchange_s
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.operation import Message
from roofcalc.physics.timing.devices import Chosen, chosen

GRAPH_KERNELS = {"vllm": "vllm_graph", "sglang": "sglang_graph", "tensorrt-llm": "TRTLLM"}  # an engine's all-reduce in CUDA graphs
LIBRARY = "NCCL"


def collective(deployment: Deployment, operation: str, size: Array, group: int) -> Array:
    """Seconds of a collective of `size` bytes over devices of one domain: the engine's own kernel or the library's, the faster."""
    return np.asarray(
        np.minimum.reduce(
            [np.asarray(collective_s(one.parameters, operation, size, group)) for one in collective_constants(deployment, operation, group)]
        )
    )


def collective_constants(deployment: Deployment, operation: str, group: int) -> list[Chosen]:
    """Constants of the kernels that can run a collective, their bandwidths scaled to what one device of this group gets of the link."""
    profile = deployment.profile
    assert profile is not None
    names = [("nccl", LIBRARY)]
    if operation == "all_reduce":
        names.append((profile.kernel_engine, GRAPH_KERNELS.get(profile.kernel_engine, LIBRARY)))
    return [chosen(deployment, CollectiveParameters, "collective", operation, f"{kernel} x{group}", engine=engine) for engine, kernel in names]


def exchange_constants(deployment: Deployment, message: Message) -> list[tuple[Chosen, float]]:
    """Constants of the kernels that can run a dispatch or combine, and the copies of a token that each of them sends."""
    phase = "dispatch" if message.dtype == "dispatch" else "combine"
    form = "fp8" if phase == "dispatch" else "bf16"
    group = message.group
    each = message.choices * (min(group, deployment.hardware.domain) - 1) / group
    merged = chosen(deployment, ExchangeParameters, "exchange_normal", form, f"deepep_normal {phase}", engine="sglang"), message.copies
    single = chosen(deployment, ExchangeParameters, "exchange_ll", form, f"deepep_ll {phase}", engine="sglang"), each
    return [merged, single] if message.choices and each >= message.copies else [merged]


def exchange(deployment: Deployment, message: Message, size: Array) -> Array:
    """Seconds of dispatch or combine inside a domain: `size` bytes of a rank's tokens, each copied to several others; the faster kernel."""
    rate = interconnect.rate(deployment, min(message.group, deployment.hardware.domain))
    tokens = np.asarray(size, dtype=float) / (message.elements * deployment.wire_bytes(message.dtype))
    width = message.elements * deployment.wire_bytes(message.dtype)
    times = []
    for found, copies in exchange_constants(deployment, message):
        facts = DeviceFacts(*[*list(vars(found.facts).values())[:5], rate])
        times.append(np.asarray(exchange_s(found.parameters, facts, tokens, width, copies)))
    return np.asarray(np.minimum.reduce(times))


def seconds(deployment: Deployment, message: Message, size: Array) -> tuple[Array, Array]:
    """Seconds on the scale-up link, its latency included, and on the scale-out link, of one message of `size` bytes."""
    profile = deployment.profile
    assert profile is not None
    network, group, domain = profile.network, message.group, deployment.hardware.domain
    inside, domains = min(group, domain), -(-group // domain)
    if message.kind == "send":
        rate = (
            interconnect.scale_out_rate(deployment) * network.scale_out
            if message.wire == "scale_out"
            else interconnect.send_rate(deployment) * network.send
        )
        time = network.send_us * 1e-6 + size / rate
        return (0.0, time) if message.wire == "scale_out" else (time, 0.0)
    hops = network.scale_out_us * 1e-6 * math.ceil(math.log2(domains)) if domains > 1 else 0.0
    if message.kind == "all_reduce":
        if domains == 1:
            return collective(deployment, "all_reduce", size, group), 0.0
        near = collective(deployment, "reduce_scatter", size, inside) + collective(deployment, "all_gather", size, inside) if inside > 1 else 0.0
        return near, 2 * hops + size * ring_factor(domains) / inside / _out(deployment, network.scale_out)
    if message.kind == "all_gather":
        near = collective(deployment, "all_gather", np.asarray(size) * inside * domains, inside) if inside > 1 else 0.0
        return near, hops + size * (domains - 1) / _out(deployment, network.scale_out) if domains > 1 else 0.0
    near = exchange(deployment, message, size) if inside > 1 else 0.0
    if not message.across:
        return near, 0.0
    return near, network.exchange_us * 1e-6 + size * message.across / _out(deployment, network.exchange)


def _out(deployment: Deployment, fraction: float) -> float:
    return interconnect.scale_out_rate(deployment) * fraction


def latency_s(deployment: Deployment, message: Message) -> Any:
    """Seconds of a message that is almost empty, one byte, with the factor of whole runs: by the fastest kernel that can carry it."""
    nothing = np.float64(0.0)
    return sum(charged(deployment, message, seconds(deployment, message, np.float64(1.0)), (nothing, nothing)))


def charged(deployment: Deployment, message: Message, taken: tuple[Array, Array], least: tuple[Array, Array]) -> tuple[Any, Any]:
    """The times with the factors of whole runs, on each link not below the roofline's."""
    assert deployment.profile is not None
    run = deployment.profile.constants
    factor = run.exchange if message.kind == "all_to_all" else run.collective
    if isinstance(factor, float):
        return tuple(np.maximum(np.asarray(time) * factor, floor) for time, floor in zip(taken, least, strict=True))  # type: ignore[return-value]
    return tuple(factor * np.maximum(time, floor) for time, floor in zip(taken, least, strict=True))
