"""Message sizes -> seconds on the links of a machine: bandwidth alone, or in `typical` the ways of `roofcalc.physics.collective_algorithms`.

Sources: bytes that each collective moves (NVIDIA/nccl-tests, doc/PERFORMANCE.md); a switch that sums in the network moves a
message up once and down once (NVIDIA SHARP, docs.nvidia.com/networking); tori: jax-ml/scaling-book, sharding.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import interconnect
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.types import Message


class WireTime(NamedTuple):
    """Seconds on each physical wire, and before the first byte arrives."""

    link: Array
    scale_out: Array
    latency: Array = 0.0


def seconds(deployment: Deployment, message: Message, tokens: Array) -> WireTime:
    """Time of one message for `tokens` tokens of a rank: e elements each, at the wire's bytes per element.

    Formulas
    --------
    M = T·e·a
    """
    size = tokens * (message.elements * deployment.wire_bytes(message.dtype))
    return _cheapest(deployment, message, size) if deployment.profile else _KINDS[message.kind](deployment, message, size)


def _cheapest(deployment: Deployment, message: Message, size: Array) -> WireTime:
    """The way that takes the least time, size by size."""
    from roofcalc.physics import collective_algorithms  # for this preset alone

    found: WireTime | None = None
    for way in collective_algorithms.ways(deployment, message):
        one = WireTime(size * way.per_byte("link"), size * way.per_byte("scale_out"), way.latency_s)
        if found is not None:
            less = np.less(one.link + one.scale_out + one.latency, found.link + found.scale_out + found.latency)
            one = WireTime(*(np.where(less, new, old) for new, old in zip(one, found, strict=True)))
        found = one
    assert found is not None
    return found


def all_reduce(deployment: Deployment, message: Message, size: Array) -> WireTime:
    """All-reduce of `size` bytes held by each of a group of g devices.

    Within one domain a ring moves 2·M·(g−1)/g over the link; a switch that sums in the network moves M·(1+1/g) where
    that is less (M·min(1, 2(g−1)/g) in `bound`). Wider groups reduce-scatter and all-gather inside each domain of D_s
    devices and all-reduce M/D_s across the domains; in `bound` switches that sum do so on the way there and back.

    Formulas
    --------
    ring = 2·M·(g − 1)/(g·λ)
    in the switch = M·(1 + 1/g)/λ
    in the switch, bound = M·min(1, 2·(g − 1)/g)/λ
    inside each domain = 2·M·(D_s − 1)/(D_s·λ)
    inside each domain, bound = M·min(1, 2·(D_s − 1)/D_s)/λ
    across domains = 2·M/D_s·(m − 1)/(m·λ_out)
    """
    group, domain = message.group, deployment.hardware.domain
    inside = min(group, domain)
    if group <= domain:
        return WireTime(size * (_factor(deployment, group) / _rate(deployment, group)), 0.0)
    across = -(-group // domain)
    link = 0.0 * size
    if inside > 1:
        factor = _factor(deployment, inside) if deployment.assumptions.is_bound else 2 * (inside - 1) / inside
        link = size * (factor / _rate(deployment, inside))
    return WireTime(link, size * (2 * (across - 1) / across / inside / _scale_out(deployment)))


def exchange(deployment: Deployment, message: Message, size: Array) -> WireTime:
    """Tokens to the ranks that need them, or back: `copies` of `size` bytes over the links, `across` to other domains.

    Formulas
    --------
    inside the domain = copies·M/λ
    inside the domain, torus = M·min(copies/λ_x, (g − m)/λ)
    across domains = across·M/λ_out
    """
    out = size * message.across / _scale_out(deployment) if message.across else 0.0
    inside = min(message.group, deployment.hardware.domain)
    if inside == 1:
        return WireTime(0.0, out)
    if interconnect.scale_up(deployment).shape == "torus":
        rate = interconnect.exchange_rate(deployment, inside) * interconnect.achieved(deployment)
        gathered = message.group - -(-message.group // inside)
        return WireTime(size * min(message.copies / rate, gathered / _rate(deployment, inside)), out)
    return WireTime(size * (message.copies / _rate(deployment, inside)), out)


def gather(deployment: Deployment, message: Message, size: Array) -> WireTime:
    """All-gather, or reduce-scatter, of `size` bytes from each of g devices: each receives those of the others.

    One of each other domain comes over the scale-out link, the rest over the links.

    Formulas
    --------
    inside the domain = (g − m)·M/λ
    across domains = (m − 1)·M/λ_out
    """
    inside = min(message.group, deployment.hardware.domain)
    across = -(-message.group // inside)
    link = size * ((message.group - across) / _rate(deployment, inside)) if inside > 1 else 0.0
    return WireTime(link, size * ((across - 1) / _scale_out(deployment)) if across > 1 else 0.0)


def send(deployment: Deployment, message: Message, size: Array) -> WireTime:
    """One message to the next stage.

    Formulas
    --------
    to the next stage = M/λ
    to the next stage, scale-out = M/λ_out
    """
    if message.wire == "scale_out":
        return WireTime(0.0, size / _scale_out(deployment))
    return WireTime(size / (interconnect.send_rate(deployment) * interconnect.achieved(deployment)), 0.0)


_KINDS: dict[str, Callable[[Deployment, Message, Array], WireTime]] = {
    "all_reduce": all_reduce,
    "all_to_all": exchange,
    "all_gather": gather,
    "send": send,
}


def worked_by(deployment: Deployment, message: Message) -> list[tuple[Callable[..., WireTime], str, dict[str, float]]]:
    """The formulas that a message's time follows, one per wire: function, name, and the letters that it takes."""
    hardware, group = deployment.hardware, message.group
    inside = min(group, hardware.domain)
    domains = -(-group // hardware.domain)
    letters = {"g": group, "D_s": hardware.domain, "m": domains, "copies": message.copies, "across": message.across}
    if hardware.scale_out_bytes_per_s is not None:
        letters["λ_out"] = _scale_out(deployment)
    function = _KINDS[message.kind]
    if message.kind == "send":
        if message.wire == "scale_out":
            return [(function, "to the next stage, scale-out", letters)]
        return [(function, "to the next stage", {**letters, "λ": interconnect.send_rate(deployment) * interconnect.achieved(deployment)})]
    found = []
    if inside > 1:
        name = "inside the domain"
        letters["λ"] = _rate(deployment, inside)
        if message.kind == "all_reduce":
            ring = 2 * (group - 1) / group
            bound = ", bound" if deployment.assumptions.is_bound else ""
            if group > inside:
                name = "inside each domain" + (bound if interconnect.scale_up(deployment).reduce else "")
            else:
                name = f"in the switch{bound}" if _factor(deployment, group) < ring else "ring"
        elif message.kind == "all_to_all" and interconnect.scale_up(deployment).shape == "torus":
            name = "inside the domain, torus"
            letters["λ_x"] = interconnect.exchange_rate(deployment, inside) * interconnect.achieved(deployment)
        found.append((function, name, letters))
    if domains > 1:
        found.append((function, "across domains", letters))
    return found


def _factor(deployment: Deployment, group: int) -> float:
    """Bytes over one device's link per byte reduced."""
    ring = 2 * (group - 1) / group
    if not interconnect.scale_up(deployment).reduce:
        return ring
    return min(ring, 1.0 if deployment.assumptions.is_bound else 1 + 1 / group)


def _rate(deployment: Deployment, group: int) -> float:
    return interconnect.rate(deployment, group) * interconnect.achieved(deployment)


def _scale_out(deployment: Deployment) -> float:
    return interconnect.out_rate(deployment) * interconnect.achieved(deployment)
