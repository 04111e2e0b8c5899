"""Messages as libraries carry them: a latency, and a fraction of the link, in the cheapest of a few ways.

Every way takes α and, for each byte, its time on the links: a small message goes the way with the least latency, a large one
the way with the most bandwidth. Sources of the ways: one-shot and two-shot all-reduce, NVIDIA/TensorRT-LLM customAllReduce and
vllm-project/vllm custom_all_reduce; dispatch and combine, deepseek-ai/DeepEP; their figures in `roofcalc.measurements`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.efficiency import Wires
from roofcalc.physics import interconnect
from roofcalc.physics.ops.types import Message

T = TypeVar("T")


class Leg(NamedTuple):
    """Bytes on one wire ("link" or "scale_out"): seconds per byte of the message, and the formula that says so with its letters."""

    wire: str
    per_byte: float
    function: Callable[..., Any]
    formula: str
    letters: dict[str, float]

    @property
    def letter(self) -> str:
        """The letter of the fraction of the wire that is achieved."""
        return "f" if self.wire == "link" else "f_out"

    @property
    def share(self) -> float:
        """The fraction of the wire that is achieved."""
        return self.letters[self.letter]


class Way(NamedTuple):
    """One way to carry a message: its latency, and what its bytes take on each wire."""

    latency_s: float
    legs: tuple[Leg, ...]

    def per_byte(self, wire: str) -> float:
        """Seconds per byte of the message on a wire."""
        return sum(leg.per_byte for leg in self.legs if leg.wire == wire)


def ways(deployment: Deployment, message: Message) -> list[Way]:
    """The ways that a message can go; the cheapest is taken."""
    assert deployment.profile is not None
    return _KINDS[message.kind](deployment, deployment.profile.wires, message)


def all_reduce(deployment: Deployment, wires: Wires, message: Message) -> list[Way]:
    """One-shot, each device reading all others' message, or two-shot or in-switch; wider than a domain by its levels.

    Formulas
    --------
    one-shot = (g − 1)·M/(f·λ)
    two-shot = 2·(g − 1)/g·M/(f·λ)
    inside each domain = 2·(D_s − 1)/D_s·M/(f·λ)
    across domains = 2·(m − 1)/m·M/D_s/(f_out·λ_out)
    """
    group, domain = message.group, deployment.hardware.domain
    inside, domains = min(group, domain), -(-group // domain)
    first_us, first, second_us, second = nearest(wires.reduce, inside)
    if group <= domain:
        letters = {"g": float(group)}
        return [
            Way(first_us * 1e-6, (_link(deployment, all_reduce, "one-shot", group - 1, inside, first, letters),)),
            Way(second_us * 1e-6, (_link(deployment, all_reduce, "two-shot", 2 * (group - 1) / group, inside, second, letters),)),
        ]
    letters = {"D_s": float(inside), "m": float(domains)}
    legs = [_link(deployment, all_reduce, "inside each domain", 2 * (inside - 1) / inside, inside, second, letters)] if inside > 1 else []
    legs.append(_out(deployment, all_reduce, "across domains", 2 * (domains - 1) / domains / inside, wires.out, letters))
    return [Way(((second_us if inside > 1 else 0.0) + 2 * _doublings(domains) * wires.out_us) * 1e-6, tuple(legs))]


def exchange(deployment: Deployment, wires: Wires, message: Message) -> list[Way]:
    """Tokens to the ranks of their experts, or back: each copy straight to its rank, or merged to one per rank and one per domain.

    Between domains both wires are busy at once, and take as long as the slower one (`_at_once`). Sending each copy is offered only
    where it takes at least the merged bytes' time at the links' whole rates.

    Formulas
    --------
    each copy, inside = k·(g_in − 1)/g·M/(f·λ)
    each copy, outside = k·(g − g_in)/g·M/(f_out·λ_out)
    merged, inside = copies·M/(f·λ)
    merged, outside = across·M/(f_out·λ_out)
    torus, inside = M·min(near/λ_x, (g − m)/λ)/f
    """
    group, domain = message.group, deployment.hardware.domain
    inside, far = min(group, domain), group > domain
    letters = {"g": float(group), "g_in": float(inside), "m": float(-(-group // inside))}
    letters |= {"k": message.choices, "copies": message.copies, "across": message.across}
    own, between = wires.exchange, wires.exchange_out if far else wires.exchange

    def way(name: str, latency_us: float, near: float, share: float, across: float, share_out: float) -> Way:
        legs = [_near(deployment, f"{name}, inside", near, inside, share, letters)] if inside > 1 else []
        legs += [_out(deployment, exchange, f"{name}, outside", across, share_out, letters)] if far else []
        return Way(latency_us * 1e-6, tuple(_at_once(legs) if len(legs) > 1 and deployment.assumptions.link is None else legs))

    merged = way("merged", between.merged_us, message.copies, own.merged, message.across, between.merged)
    if not message.choices:
        return [merged]
    near, out = message.choices * (inside - 1) / group, message.choices * (group - inside) / group
    each = way("each copy", between.each_us, near, own.each, out, between.each)
    least = sum(leg.per_byte * leg.share for leg in merged.legs)
    return [each, merged] if sum(leg.per_byte for leg in each.legs) >= least else [merged]


def _at_once(legs: list[Leg]) -> list[Leg]:
    """Legs whose bytes go at the same time: at one fraction of both wires, with which they add up to the time of the slower one.

    It is at most 1: together they take no less than both at their whole rates, one after another, as in the roofline.
    """
    whole = sum(leg.per_byte * leg.share for leg in legs)
    share = whole / max(whole, *(leg.per_byte for leg in legs))
    return [leg._replace(per_byte=leg.per_byte * leg.share / share, letters={**leg.letters, leg.letter: share}) for leg in legs]


def _near(deployment: Deployment, name: str, copies: float, inside: int, share: float, letters: dict[str, float]) -> Leg:
    """An exchange's bytes inside a domain; a torus may gather everything along its rings instead."""
    if interconnect.scale_up(deployment).shape != "torus":
        return _link(deployment, exchange, name, copies, inside, share, letters)
    ring, spread = interconnect.rate(deployment, inside), interconnect.exchange_rate(deployment, inside)
    factor = ring * min(copies / spread, (letters["g"] - letters["m"]) / ring)
    return _link(deployment, exchange, "torus, inside", factor, inside, share, {**letters, "near": copies, "λ_x": spread})


def gather(deployment: Deployment, wires: Wires, message: Message) -> list[Way]:
    """All-gather, or reduce-scatter, of M bytes from each of g devices, one of each other domain over the scale-out link.

    Formulas
    --------
    inside the domain = (g − m)·M/(f·λ)
    across domains = (m − 1)·M/(f_out·λ_out)
    """
    inside = min(message.group, deployment.hardware.domain)
    domains = -(-message.group // inside)
    letters = {"g": float(message.group), "m": float(domains)}
    latency_us = (nearest(wires.gather_us, inside) if inside > 1 else 0.0) + _doublings(domains) * wires.out_us
    legs = [_link(deployment, gather, "inside the domain", message.group - domains, inside, wires.gather, letters)] if inside > 1 else []
    legs += [_out(deployment, gather, "across domains", domains - 1, wires.out, letters)] if domains > 1 else []
    return [Way(latency_us * 1e-6, tuple(legs))]


def send(deployment: Deployment, wires: Wires, message: Message) -> list[Way]:
    """One message to the next stage.

    Formulas
    --------
    to the next stage = M/(f·λ)
    to the next stage, scale-out = M/(f_out·λ_out)
    """
    if message.wire == "scale_out":
        return [Way(wires.send_us * 1e-6, (_out(deployment, send, "to the next stage, scale-out", 1.0, wires.out, {}),))]
    share, rate = interconnect.achieved(deployment, wires.send), interconnect.send_rate(deployment)
    return [Way(wires.send_us * 1e-6, (Leg("link", 1 / (share * rate), send, "to the next stage", {"f": share, "λ": rate}),))]


def _link(deployment: Deployment, function: Callable[..., Any], name: str, factor: float, group: int, share: float, letters: dict[str, float]) -> Leg:
    share, rate = interconnect.achieved(deployment, share), interconnect.rate(deployment, group)
    return Leg("link", factor / (share * rate), function, name, {**letters, "f": share, "λ": rate})


def _out(deployment: Deployment, function: Callable[..., Any], name: str, factor: float, share: float, letters: dict[str, float]) -> Leg:
    share, rate = interconnect.achieved(deployment, share), interconnect.out_rate(deployment)
    return Leg("scale_out", factor / (share * rate), function, name, {**letters, "f_out": share, "λ_out": rate})


def nearest(by_ranks: Mapping[str, T], ranks: int) -> T:
    """The figures of the smallest group measured that has so many ranks, or of the largest."""
    sizes = sorted(map(int, by_ranks))
    return by_ranks[str(next((size for size in sizes if size >= ranks), sizes[-1]))]


def _doublings(domains: int) -> int:
    """Steps of an exchange that doubles the domains reached each time (arXiv 2511.09557)."""
    return math.ceil(math.log2(domains))


_KINDS: dict[str, Callable[[Deployment, Wires, Message], list[Way]]] = {
    "all_reduce": all_reduce,
    "all_to_all": exchange,
    "all_gather": gather,
    "send": send,
}
