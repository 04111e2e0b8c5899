"""Link rates of a system: what one device of a group gets of the scale-up link, and of the scale-out link.

Knows machines, not messages, and no efficiency but the one that is set by hand.
"""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.specs import torus
from roofcalc.specs.device import Link


def scale_up(deployment: Deployment) -> Link:
    """The scale-up link."""
    assert deployment.hardware.link is not None  # a domain wider than one device has a link
    return deployment.hardware.link


def achieved(deployment: Deployment, efficiency: float = 1.0) -> float:
    """The fraction of the link bandwidth that messages reach: `--link` where it is given, else `efficiency`."""
    given = deployment.assumptions.link
    return efficiency if given is None else given


def ring_factor(group: int) -> float:
    """Bytes that each device of a ring all-reduce sends per byte reduced, 2·(g − 1)/g (NVIDIA/nccl-tests, doc/PERFORMANCE.md)."""
    return 2 * (group - 1) / group


def rate(deployment: Deployment, group: int) -> float:
    """Bytes per second and direction that one device of a group moves in a ring or through a switch."""
    link = scale_up(deployment)
    return torus.ring_bytes_per_s(link, group) if link.shape == "torus" else link.bytes_per_s(group)


def all_to_all_rate(deployment: Deployment, group: int) -> float:
    """Bytes per second that each device of a group in a torus sends, spread evenly over all others."""
    return torus.exchange_bytes_per_s(scale_up(deployment), group)


def send_rate(deployment: Deployment) -> float:
    """Bytes per second that one device sends to one other."""
    link = scale_up(deployment)
    return torus.port_bytes_per_s(link) if link.shape == "torus" else link.bytes_per_s(2)


def scale_out_rate(deployment: Deployment) -> float:
    """Bytes per second that one device sends to other domains."""
    rate = deployment.hardware.scale_out_bytes_per_s
    assert rate is not None  # the catalog refuses devices that cannot reach one another
    return rate
