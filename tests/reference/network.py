"""Seconds of messages on the links: (within the domain, between domains)."""

import itertools
import math

from tests.reference.case import Case

Seconds = tuple[float, float]


def rate(case: Case, g: int) -> float:
    """Bytes per second and direction of one of g devices in a ring, or through a switch."""
    link = case.hardware.link
    if link.topology == "torus":
        return max(sum(axis(case, n) for n in shape if n > 1) for shape in shapes(case, g))
    return float(min((g - 1) * link.pair_gb_s, link.gb_s) if link.pair_gb_s else link.gb_s) * 1e9


def scale_out(case: Case) -> float:
    return float(case.hardware.scale_out_bytes_per_s)


def all_reduce(case: Case, size: float, g: int) -> Seconds:
    """`size` bytes on each of g devices."""
    domain = case.domain
    if g <= domain:
        ring = 2 * size * (g - 1) / (g * rate(case, g))
        return (min(ring, size * (1 + 1 / g) / rate(case, g)) if case.hardware.link.reduce else ring), 0.0
    domains = math.ceil(g / domain)
    inside = 2 * (size * (domain - 1) / domain) / rate(case, domain) if domain > 1 else 0.0  # reduce-scatter, all-gather
    return inside, 2 * (size / domain) * (domains - 1) / (domains * scale_out(case))


def exchange(case: Case, size: float, g: int, reached: float, domains_reached: float) -> Seconds:
    """`size` bytes from each of g devices to `reached` others: one copy over the scale-out link for each other domain
    among them, the others of those copies, passed on within it, over the links."""
    inside = min(g, case.domain)
    out = size * domains_reached / scale_out(case) if domains_reached else 0.0
    if inside == 1:
        return 0.0, out
    over_links = reached - domains_reached
    if case.hardware.link.topology != "torus":
        return size * over_links / rate(case, inside), out
    assert domains_reached == 0
    # an all-to-all takes a quarter of the all-gather of what all hold together, the part that stays included
    spread = size * over_links * g / (g - 1)
    evenly = min(max(spread * n / (4 * axis(case, n)) for n in shape if n > 1) for shape in shapes(case, g))
    return min(evenly, size * (g - 1) / rate(case, g)), 0.0


def gather(case: Case, size: float, g: int) -> Seconds:
    """`size` bytes of each of g devices to all others: one per domain comes in from outside, the others over the links."""
    inside = min(g, case.domain)
    domains = math.ceil(g / inside)
    link = size * (g - domains) / rate(case, inside) if inside > 1 else 0.0
    return link, size * (domains - 1) / scale_out(case) if domains > 1 else 0.0


def send(case: Case, size: float, stage: int) -> Seconds:
    """To the next stage: over the scale-out link where any rank's successor is in another domain."""
    first = stage * case.g
    if any(rank // case.domain != (rank + case.g) // case.domain for rank in range(first, first + case.g)):
        return 0.0, size / scale_out(case)
    link = case.hardware.link
    if link.topology == "torus":
        return size / (link.gb_s * 1e9 / (2 * len(link.axes))), 0.0
    return size / ((link.pair_gb_s or link.gb_s) * 1e9), 0.0


def axis(case: Case, n: int) -> float:
    """Bytes per second of both directions of a ring along an axis; half where it does not close."""
    link = case.hardware.link
    both = 2 * link.gb_s * 1e9 / (2 * len(link.axes))
    ring = n > 2 and (n >= link.wrap if link.wrap else n in link.axes)
    return both if ring else both / 2


def shapes(case: Case, g: int) -> list[tuple[int, ...]]:
    """Ways to lay g devices over the axes; a line where there is none."""
    sizes = [range(1, n + 1) for n in case.hardware.link.axes]
    return [shape for shape in itertools.product(*sizes) if math.prod(shape) == g] or [(g,)]
