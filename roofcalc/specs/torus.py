"""A torus of links: which axes a group of devices spans, and how fast rings and exchanges run on it.

Source: jax-ml/scaling-book, sharding.md and tpus.md: an all-gather or reduce-scatter of V gathered bytes over one axis takes
V / W with W the axis' bandwidth in both directions; several axes share the work; an axis too short to close into a ring has
half of it; an all-to-all takes a quarter of the all-gather.
"""

from __future__ import annotations

from functools import lru_cache

from roofcalc.specs.device import Link
from roofcalc.specs.formula import formula

OPEN = 0.5  # what an axis without wrap-around keeps of a ring's bandwidth


def port_bytes_per_s(link: Link) -> float:
    """One direction of one of a device's 2 × axes ports."""
    return link.gb_s * 1e9 / (2 * len(link.axes))


def axis_bytes_per_s(link: Link, size: int) -> float:
    """W of an axis of `size` devices: both directions of a ring, half of it where it does not close."""
    return 2 * port_bytes_per_s(link) * (1.0 if closes(link, size) else OPEN)


def closes(link: Link, size: int) -> bool:
    """Whether an axis of `size` devices is a ring: long enough for the wrap-around, or, where that is not said, a whole axis."""
    return size > 2 and (size in link.axes if link.wrap is None else size >= link.wrap)


@formula("all-gather = M_all·(g − 1)/(g·W_axes)")
def ring_bytes_per_s(link: Link, group: int) -> float:
    """The rate at which rings over all axes of the best shape of `group` devices gather."""
    return max(sum(axis_bytes_per_s(link, size) for size in shape if size > 1) for shape in shapes(link.axes, group))


@formula("all-to-all rate = 4·W_axis/n_axis·(g − 1)/g")
def exchange_bytes_per_s(link: Link, group: int) -> float:
    """The rate at which each device of a group sends to all others evenly.

    An axis of n devices carries each byte n/4 hops on average over both directions of its ring, the 1/g that a device keeps
    included: the slowest axis of the best shape sets the pace.
    """
    return max(min(4 * axis_bytes_per_s(link, n) / n for n in shape if n > 1) for shape in shapes(link.axes, group)) * (group - 1) / group


@lru_cache(maxsize=256)
def shapes(axes: tuple[int, ...], group: int) -> tuple[tuple[int, ...], ...]:
    """Every way to lay `group` devices over the axes, as many along each as it has at most; a line where none divides."""
    found = _shapes(axes, group)
    return found or ((group,),)


def _shapes(axes: tuple[int, ...], group: int) -> tuple[tuple[int, ...], ...]:
    if not axes:
        return ((),) if group == 1 else ()
    first, *rest = axes
    return tuple((size, *others) for size in range(1, min(first, group) + 1) if group % size == 0 for others in _shapes(tuple(rest), group // size))
