"""Message sizes -> seconds on the links of a machine. Bandwidth alone: no latency.

Sources: a ring all-reduce moves 2(g-1)/g of the message (NVIDIA/nccl-tests, doc/PERFORMANCE.md); a switch that sums in the
network moves it up once and down once (NVIDIA SHARP, docs.nvidia.com/networking).
"""

from __future__ import annotations

from typing import NamedTuple

from roofcalc.deployment import Deployment
from roofcalc.hardware import Link
from roofcalc.operations.base import Array, Message


class WireTime(NamedTuple):
    """Seconds on each physical wire."""

    link: Array
    scale_out: Array


def seconds(deployment: Deployment, message: Message, tokens: Array) -> WireTime:
    """Time of one message for `tokens` tokens of a rank: `message.elements` each, at the wire's bytes per element."""
    size = tokens * (message.elements * deployment.comm_bytes)
    if message.kind == "all_reduce":
        return all_reduce(deployment, size, deployment.layout.tp)
    if message.wire == "link":
        return WireTime(size / (_link(deployment).bytes_per_s(2) * deployment.assumptions.link), 0.0)
    return WireTime(0.0, size / _scale_out(deployment))


def all_reduce(deployment: Deployment, size: Array, group: int) -> WireTime:
    """All-reduce of `size` bytes held by each of `group` devices.

    Within one domain a ring moves 2·M·(g−1)/g over the link; a switch that sums in the network moves M·(1+1/g) where
    that is less (M·min(1, 2(g−1)/g) in `bound`). Wider groups reduce-scatter and all-gather inside each domain of D
    devices and all-reduce M/D across the domains.
    """
    if group == 1:
        return WireTime(0.0, 0.0)
    domain = deployment.hardware.domain
    if group <= domain:
        return WireTime(size * (_factor(deployment, group) / _link_rate(deployment, group)), 0.0)
    inside = min(group, domain)
    across = -(-group // domain)
    link = size * (2 * (inside - 1) / inside / _link_rate(deployment, inside)) if inside > 1 else 0.0
    return WireTime(link, size * (2 * (across - 1) / across / inside / _scale_out(deployment)))


def _factor(deployment: Deployment, group: int) -> float:
    """Bytes over one device's link per byte reduced."""
    ring = 2 * (group - 1) / group
    if not _link(deployment).reduce:
        return ring
    return min(ring, 1.0 if deployment.assumptions.is_bound else 1 + 1 / group)


def _link(deployment: Deployment) -> Link:
    assert deployment.hardware.link is not None  # a domain wider than one device has a link
    return deployment.hardware.link


def _link_rate(deployment: Deployment, group: int) -> float:
    return _link(deployment).bytes_per_s(group) * deployment.assumptions.link


def _scale_out(deployment: Deployment) -> float:
    rate = deployment.hardware.scale_out_bytes_per_s
    assert rate is not None  # the catalog refuses devices that cannot reach one another
    return rate * deployment.assumptions.link
