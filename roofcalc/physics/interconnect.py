"""Bytes per second of a machine's links: what a group of devices gets of the scale-up link, and the scale-out link.

Knows machines; not messages, nor which fraction of a link they achieve beyond the one that is given by hand.
"""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.specs import torus
from roofcalc.specs.device import Link


def scale_up(deployment: Deployment) -> Link:
    """The link in force."""
    assert deployment.hardware.link is not None  # a domain wider than one device has a link
    return deployment.hardware.link


def achieved(deployment: Deployment, fraction: float = 1.0) -> float:
    """The fraction of a link that messages reach: the one given by hand, else `fraction`."""
    given = deployment.assumptions.link
    return fraction if given is None else given


def rate(deployment: Deployment, group: int) -> float:
    """What one device of a group moves per second and direction in a ring or through a switch."""
    link = scale_up(deployment)
    return torus.ring_bytes_per_s(link, group) if link.shape == "torus" else link.bytes_per_s(group)


def exchange_rate(deployment: Deployment, group: int) -> float:
    """What each device of a group in a torus sends to all others evenly."""
    return torus.exchange_bytes_per_s(scale_up(deployment), group)


def send_rate(deployment: Deployment) -> float:
    """What one device sends to one other."""
    link = scale_up(deployment)
    return torus.port_bytes_per_s(link) if link.shape == "torus" else link.bytes_per_s(2)


def out_rate(deployment: Deployment) -> float:
    """What one device sends to other domains."""
    whole = deployment.hardware.scale_out_bytes_per_s
    assert whole is not None  # the catalog refuses devices that cannot reach one another
    return whole
