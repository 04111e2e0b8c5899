"""Time of collectives and sends: bytes over link bandwidth, or in `typical` the models of `roofcalc.physics.timing.messages`.

Sources: bytes that each collective moves, NVIDIA/nccl-tests, doc/PERFORMANCE.md; a switch that reduces in the network moves a message
up once and down once, NVIDIA SHARP (docs.nvidia.com/networking); tori, jax-ml/scaling-book, sharding.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import interconnect
from roofcalc.physics.interconnect import ring_factor
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.operation import Message
from roofcalc.specs.formula import formula


class LinkTime(NamedTuple):
    """Seconds on the scale-up link and on the scale-out link, and latency, each in the shape of the message sizes.

    In `typical` the link's seconds include the latency of the kernel models, unless `--link` replaces their bandwidths.
    """

    link: Array
    scale_out: Array
    latency: Array = 0.0


@formula("M = T·width·a")
def seconds(deployment: Deployment, message: Message, tokens: Array) -> LinkTime:
    """Time of one message of a rank with `tokens` tokens."""
    size = tokens * (message.elements * deployment.wire_bytes(message.dtype))
    least = _BY_KIND[message.kind](deployment, message, size)
    given = deployment.assumptions.collective_latency_us
    if deployment.profile is not None:
        from roofcalc.physics.timing import messages  # only `typical` needs it

        if deployment.assumptions.link is None:
            timed = messages.seconds(deployment, message, size)
            least = LinkTime(*messages.charged(deployment, message, timed, (least.link, least.scale_out)))
        elif given is None:  # a fraction given by hand replaces the bandwidths of the kernel models, not their latencies
            least = least._replace(latency=messages.latency_s(deployment, message))
    return least if given is None else least._replace(latency=np.float64(given * 1e-6))


@formula(
    "ring = 2·M·(g − 1)/(g·λ)",
    "in the switch = M·(1 + 1/g)/λ",
    "in the switch, bound = M·min(1, 2·(g − 1)/g)/λ",
    "inside each domain = 2·M·(D_s − 1)/(D_s·λ)",
    "inside each domain, bound = M·min(1, 2·(D_s − 1)/D_s)/λ",
    "across domains = 2·M/D_s·(domains − 1)/(domains·λ_out)",
)
def all_reduce(deployment: Deployment, message: Message, size: Array) -> LinkTime:
    """All-reduce of `size` bytes held by each device of a group.

    Within one domain a ring all-reduce, or a switch that reduces in the network where that is faster. Wider groups reduce-scatter and all-gather
    inside each domain and all-reduce 1/D_s of the message across the domains; in `bound` switches that reduce do the inner part.
    """
    group, domain = message.group, deployment.hardware.domain
    inside = min(group, domain)
    if group <= domain:
        return LinkTime(size * (_all_reduce_factor(deployment, group) / _rate(deployment, group)), 0.0)
    domains = -(-group // domain)
    link = 0.0 * size
    if inside > 1:
        factor = _all_reduce_factor(deployment, inside) if deployment.assumptions.is_bound else ring_factor(inside)
        link = size * (factor / _rate(deployment, inside))
    return LinkTime(link, size * (ring_factor(domains) / inside / _scale_out_rate(deployment)))


@formula(
    "inside the domain = copies·M/λ",
    "inside the domain, torus = M·min(copies/λ_a2a, (g − domains)/λ)",
    "across domains = across·M/λ_out",
)
def all_to_all(deployment: Deployment, message: Message, size: Array) -> LinkTime:
    """MoE dispatch or combine: `copies` of `size` bytes over the scale-up link, `across` over the scale-out link."""
    out = size * message.across / _scale_out_rate(deployment) if message.across else 0.0
    inside = min(message.group, deployment.hardware.domain)
    if inside == 1:
        return LinkTime(0.0, out)
    if interconnect.scale_up(deployment).shape == "torus":  # all-to-all, or all-gather of everything along the rings
        rate = interconnect.all_to_all_rate(deployment, inside) * interconnect.achieved(deployment)
        gathered = message.group - -(-message.group // inside)
        return LinkTime(size * min(message.copies / rate, gathered / _rate(deployment, inside)), out)
    return LinkTime(size * (message.copies / _rate(deployment, inside)), out)


@formula("inside the domain = (g − domains)·M/λ", "across domains = (domains − 1)·M/λ_out")
def all_gather(deployment: Deployment, message: Message, size: Array) -> LinkTime:
    """All-gather, or reduce-scatter, of `size` bytes from each device of a group: each receives those of all others.

    One message of each other domain comes over the scale-out link, the rest over the scale-up link.
    """
    inside = min(message.group, deployment.hardware.domain)
    domains = -(-message.group // inside)
    link = size * ((message.group - domains) / _rate(deployment, inside)) if inside > 1 else 0.0
    return LinkTime(link, size * ((domains - 1) / _scale_out_rate(deployment)) if domains > 1 else 0.0)


@formula("to the next stage = M/λ", "to the next stage, scale-out = M/λ_out")
def send(deployment: Deployment, message: Message, size: Array) -> LinkTime:
    """A point-to-point send to the next pipeline stage."""
    if message.wire == "scale_out":
        return LinkTime(0.0, size / _scale_out_rate(deployment))
    return LinkTime(size / (interconnect.send_rate(deployment) * interconnect.achieved(deployment)), 0.0)


_BY_KIND: dict[str, Callable[[Deployment, Message, Array], LinkTime]] = {
    "all_reduce": all_reduce,
    "all_to_all": all_to_all,
    "all_gather": all_gather,
    "send": send,
}


class AppliedFormula(NamedTuple):
    """A formula that gives a message's time on one link: its function, its name, and the values of its symbols, M aside."""

    function: Callable[..., LinkTime]
    name: str
    symbols: dict[str, float]
    link: str


def applied_formulas(deployment: Deployment, message: Message) -> list[AppliedFormula]:
    """The formulas behind the time of a message, one for each link that it crosses."""
    hardware, group = deployment.hardware, message.group
    inside = min(group, hardware.domain)
    domains = -(-group // hardware.domain)
    symbols = {"g": group, "D_s": hardware.domain, "domains": domains, "copies": message.copies, "across": message.across}
    if hardware.scale_out_bytes_per_s is not None:
        symbols["λ_out"] = _scale_out_rate(deployment)
    function = _BY_KIND[message.kind]
    if message.kind == "send":
        if message.wire == "scale_out":
            return [AppliedFormula(function, "to the next stage, scale-out", symbols, "scale_out")]
        symbols["λ"] = interconnect.send_rate(deployment) * interconnect.achieved(deployment)
        return [AppliedFormula(function, "to the next stage", symbols, "link")]
    found = []
    if inside > 1:
        symbols["λ"] = _rate(deployment, inside)
        if message.kind == "all_to_all" and interconnect.scale_up(deployment).shape == "torus":
            symbols["λ_a2a"] = interconnect.all_to_all_rate(deployment, inside) * interconnect.achieved(deployment)
        found.append(AppliedFormula(function, _name_inside(deployment, message, inside), symbols, "link"))
    if domains > 1:
        found.append(AppliedFormula(function, "across domains", symbols, "scale_out"))
    return found


def _name_inside(deployment: Deployment, message: Message, inside: int) -> str:
    """The name of the formula for a message's time on the scale-up link."""
    link = interconnect.scale_up(deployment)
    if message.kind == "all_to_all":
        return "inside the domain, torus" if link.shape == "torus" else "inside the domain"
    if message.kind == "all_gather":
        return "inside the domain"
    bound = ", bound" if deployment.assumptions.is_bound else ""
    if message.group > inside:
        return "inside each domain" + (bound if link.reduce else "")
    return f"in the switch{bound}" if _all_reduce_factor(deployment, inside) < ring_factor(inside) else "ring"


def _all_reduce_factor(deployment: Deployment, group: int) -> float:
    """Bytes over one device's link per byte reduced."""
    ring = ring_factor(group)
    if not interconnect.scale_up(deployment).reduce:
        return ring
    return min(ring, 1.0 if deployment.assumptions.is_bound else 1 + 1 / group)


def _rate(deployment: Deployment, group: int) -> float:
    return interconnect.rate(deployment, group) * interconnect.achieved(deployment)


def _scale_out_rate(deployment: Deployment) -> float:
    return interconnect.scale_out_rate(deployment) * interconnect.achieved(deployment)
