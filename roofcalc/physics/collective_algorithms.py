"""Calibrated collective times: α–β models of the algorithms that libraries choose between; the fastest is used.

Each algorithm has a latency α and a time per byte on each link, so that small messages go by the algorithm with the least latency and
large ones by that with the most bandwidth. Sources: one-shot and two-shot all-reduce, NVIDIA/TensorRT-LLM customAllReduce and
vllm-project/vllm custom_all_reduce; dispatch and combine, deepseek-ai/DeepEP; their figures come from `roofcalc.deployment.efficiency`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.efficiency import InterconnectProfile
from roofcalc.physics import interconnect
from roofcalc.physics.interconnect import ring_factor
from roofcalc.physics.ops.types import Message
from roofcalc.specs.formula import formula

T = TypeVar("T")


class Hop(NamedTuple):
    """What one algorithm sends over one link.

    Attributes
    ----------
    link : "link" or "scale_out"
        Which link.
    per_byte : float
        Seconds per byte of the message.
    function, formula, symbols
        The formula behind `per_byte` (`roofcalc.specs.formula`), and the values of its symbols, M aside.
    """

    link: str
    per_byte: float
    function: Callable[..., Any]
    formula: str
    symbols: dict[str, float]

    @property
    def efficiency_symbol(self) -> str:
        """The symbol of the fraction of the link bandwidth that is achieved."""
        return "η" if self.link == "link" else "η_out"

    @property
    def efficiency(self) -> float:
        """The fraction of the link bandwidth that is achieved."""
        return self.symbols[self.efficiency_symbol]


class Algorithm(NamedTuple):
    """An algorithm for one message: its latency, and what it sends over each link."""

    latency_s: float
    hops: tuple[Hop, ...]

    def per_byte(self, link: str) -> float:
        """Seconds per byte of the message on a link."""
        return sum(hop.per_byte for hop in self.hops if hop.link == link)


def algorithms(deployment: Deployment, message: Message) -> list[Algorithm]:
    """The algorithms that can carry a message; the fastest for its size is used."""
    assert deployment.profile is not None
    return _BY_KIND[message.kind](deployment, deployment.profile.interconnect, message)


@formula(
    "one-shot = (g − 1)·M/(η·λ)",
    "two-shot = 2·(g − 1)/g·M/(η·λ)",
    "inside each domain = 2·(D_s − 1)/D_s·M/(η·λ)",
    "across domains = 2·(domains − 1)/domains·M/D_s/(η_out·λ_out)",
)
def all_reduce(deployment: Deployment, profile: InterconnectProfile, message: Message) -> list[Algorithm]:
    """One-shot, where each device reads the messages of all others, and two-shot or in-switch; hierarchical if wider than a domain."""
    group, domain = message.group, deployment.hardware.domain
    inside, domains = min(group, domain), -(-group // domain)
    first_us, first, second_us, second = nearest(profile.all_reduce, inside)
    if group <= domain:
        symbols = {"g": float(group)}
        return [
            Algorithm(first_us * 1e-6, (_link(deployment, all_reduce, "one-shot", group - 1, inside, first, symbols),)),
            Algorithm(second_us * 1e-6, (_link(deployment, all_reduce, "two-shot", ring_factor(group), inside, second, symbols),)),
        ]
    symbols = {"D_s": float(inside), "domains": float(domains)}
    hops = [_link(deployment, all_reduce, "inside each domain", ring_factor(inside), inside, second, symbols)] if inside > 1 else []
    hops.append(_scale_out(deployment, all_reduce, "across domains", ring_factor(domains) / inside, profile.scale_out, symbols))
    latency_us = (second_us if inside > 1 else 0.0) + 2 * _doublings(domains) * profile.scale_out_us
    return [Algorithm(latency_us * 1e-6, tuple(hops))]


@formula(
    "each copy, inside = choices·(g_in − 1)/g·M/(η·λ)",
    "each copy, outside = choices·(g − g_in)/g·M/(η_out·λ_out)",
    "merged, inside = copies·M/(η·λ)",
    "merged, outside = across·M/(η_out·λ_out)",
    "torus, inside = M·min(copies_in/λ_a2a, (g − domains)/λ)/η",
)
def all_to_all(deployment: Deployment, profile: InterconnectProfile, message: Message) -> list[Algorithm]:
    """MoE dispatch or combine: each copy straight to its rank, or copies merged to one per rank and one per domain.

    Between domains both links are busy at the same time, and the slower one sets the time (`_overlap_links`). Sending each copy is
    offered only where it takes at least the time of the merged bytes at the full link bandwidth.
    """
    group, domain = message.group, deployment.hardware.domain
    inside, is_wide = min(group, domain), group > domain
    symbols = {"g": float(group), "g_in": float(inside), "domains": float(-(-group // inside))}
    symbols |= {"choices": message.choices, "copies": message.copies, "across": message.across}
    near, far = profile.all_to_all, profile.scale_out_all_to_all if is_wide else profile.all_to_all

    def algorithm(name: str, latency_us: float, copies: float, efficiency: float, across: float, efficiency_out: float) -> Algorithm:
        hops = [_inside(deployment, f"{name}, inside", copies, inside, efficiency, symbols)] if inside > 1 else []
        hops += [_scale_out(deployment, all_to_all, f"{name}, outside", across, efficiency_out, symbols)] if is_wide else []
        overlap = len(hops) > 1 and deployment.assumptions.link is None
        return Algorithm(latency_us * 1e-6, tuple(_overlap_links(hops) if overlap else hops))

    merged = algorithm("merged", far.merged_us, message.copies, near.merged, message.across, far.merged)
    if not message.choices:
        return [merged]
    copies, across = message.choices * (inside - 1) / group, message.choices * (group - inside) / group
    per_copy = algorithm("each copy", far.per_copy_us, copies, near.per_copy, across, far.per_copy)
    least = sum(hop.per_byte * hop.efficiency for hop in merged.hops)
    return [per_copy, merged] if sum(hop.per_byte for hop in per_copy.hops) >= least else [merged]


def _overlap_links(hops: list[Hop]) -> list[Hop]:
    """Hops that run at the same time, rewritten to one efficiency for both links with which they add up to the time of the slower one.

    That efficiency is at most 1: together they take no less than both links at full bandwidth one after another, as in the roofline.
    """
    at_full_rate = sum(hop.per_byte * hop.efficiency for hop in hops)
    common = at_full_rate / max(at_full_rate, *(hop.per_byte for hop in hops))
    return [hop._replace(per_byte=hop.per_byte * hop.efficiency / common, symbols={**hop.symbols, hop.efficiency_symbol: common}) for hop in hops]


def _inside(deployment: Deployment, name: str, copies: float, inside: int, efficiency: float, symbols: dict[str, float]) -> Hop:
    """The bytes of an all-to-all inside a domain; in a torus an all-gather along its rings may be faster."""
    if interconnect.scale_up(deployment).shape != "torus":
        return _link(deployment, all_to_all, name, copies, inside, efficiency, symbols)
    ring, all_to_all_rate = interconnect.rate(deployment, inside), interconnect.all_to_all_rate(deployment, inside)
    factor = ring * min(copies / all_to_all_rate, (symbols["g"] - symbols["domains"]) / ring)
    symbols = {**symbols, "copies_in": copies, "λ_a2a": all_to_all_rate}
    return _link(deployment, all_to_all, "torus, inside", factor, inside, efficiency, symbols)


@formula("inside the domain = (g − domains)·M/(η·λ)", "across domains = (domains − 1)·M/(η_out·λ_out)")
def all_gather(deployment: Deployment, profile: InterconnectProfile, message: Message) -> list[Algorithm]:
    """All-gather, or reduce-scatter, of M bytes from each of g devices; one message per other domain crosses the scale-out link."""
    inside = min(message.group, deployment.hardware.domain)
    domains = -(-message.group // inside)
    symbols = {"g": float(message.group), "domains": float(domains)}
    latency_us = (nearest(profile.all_gather_us, inside) if inside > 1 else 0.0) + _doublings(domains) * profile.scale_out_us
    hops = [_link(deployment, all_gather, "inside the domain", message.group - domains, inside, profile.all_gather, symbols)] if inside > 1 else []
    hops += [_scale_out(deployment, all_gather, "across domains", domains - 1, profile.scale_out, symbols)] if domains > 1 else []
    return [Algorithm(latency_us * 1e-6, tuple(hops))]


@formula("to the next stage = M/(η·λ)", "to the next stage, scale-out = M/(η_out·λ_out)")
def send(deployment: Deployment, profile: InterconnectProfile, message: Message) -> list[Algorithm]:
    """A point-to-point send to the next pipeline stage."""
    latency_s = profile.send_us * 1e-6
    if message.wire == "scale_out":
        return [Algorithm(latency_s, (_scale_out(deployment, send, "to the next stage, scale-out", 1.0, profile.scale_out, {}),))]
    efficiency, rate = interconnect.achieved(deployment, profile.send), interconnect.send_rate(deployment)
    return [Algorithm(latency_s, (Hop("link", 1 / (efficiency * rate), send, "to the next stage", {"η": efficiency, "λ": rate}),))]


def _link(
    deployment: Deployment, function: Callable[..., Any], name: str, factor: float, group: int, efficiency: float, symbols: dict[str, float]
) -> Hop:
    """`factor` times the message over the scale-up link of a group."""
    efficiency, rate = interconnect.achieved(deployment, efficiency), interconnect.rate(deployment, group)
    return Hop("link", factor / (efficiency * rate), function, name, {**symbols, "η": efficiency, "λ": rate})


def _scale_out(deployment: Deployment, function: Callable[..., Any], name: str, factor: float, efficiency: float, symbols: dict[str, float]) -> Hop:
    """`factor` times the message over the scale-out link."""
    efficiency, rate = interconnect.achieved(deployment, efficiency), interconnect.scale_out_rate(deployment)
    return Hop("scale_out", factor / (efficiency * rate), function, name, {**symbols, "η_out": efficiency, "λ_out": rate})


def nearest(by_ranks: Mapping[str, T], ranks: int) -> T:
    """The figures of the smallest measured group with at least `ranks` ranks, else of the largest."""
    sizes = sorted(map(int, by_ranks))
    return by_ranks[str(next((size for size in sizes if size >= ranks), sizes[-1]))]


def _doublings(domains: int) -> int:
    """Steps of a recursive-doubling collective over so many domains (arXiv 2511.09557)."""
    return math.ceil(math.log2(domains))


_BY_KIND: dict[str, Callable[[Deployment, InterconnectProfile, Message], list[Algorithm]]] = {
    "all_reduce": all_reduce,
    "all_to_all": all_to_all,
    "all_gather": all_gather,
    "send": send,
}
