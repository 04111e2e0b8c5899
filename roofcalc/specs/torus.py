"""Torus interconnects: sub-tori for a group of devices, and the bandwidth of ring collectives and all-to-all on them.

Source: jax-ml/scaling-book, sharding.md and tpus.md. An all-gather or reduce-scatter of V gathered bytes along one axis takes
V / W, where W is the axis bandwidth in both directions; several axes share the bytes; an axis without wrap-around has half of
W; an all-to-all takes a quarter of the time of the all-gather.
"""

from __future__ import annotations

from functools import lru_cache

from roofcalc.specs.device import Link
from roofcalc.specs.formula import formula

OPEN = 0.5  # bandwidth of an axis without wrap-around over that of a ring


def port_bytes_per_s(link: Link) -> float:
    """Bandwidth of one of a device's 2 × axes ports in one direction. [byte/s]"""
    return link.gb_s * 1e9 / (2 * len(link.axes))


def axis_bytes_per_s(link: Link, size: int) -> float:
    """W of an axis of `size` devices: both directions of a ring, or half of that without wrap-around. [byte/s]"""
    return 2 * port_bytes_per_s(link) * (1.0 if closes(link, size) else OPEN)


def closes(link: Link, size: int) -> bool:
    """Whether an axis of `size` devices is a ring: at least `link.wrap` long, or a whole axis of the torus where `wrap` is not given."""
    return size > 2 and (size in link.axes if link.wrap is None else size >= link.wrap)


@formula("all-gather = M_all·(g − 1)/(g·W_axes)")
def ring_bytes_per_s(link: Link, group: int) -> float:
    """Ring bandwidth of a group: the sum over the axes of its best sub-torus. [byte/s]"""
    return max(sum(axis_bytes_per_s(link, size) for size in shape if size > 1) for shape in shapes(link.axes, group))


@formula("all-to-all rate = 4·W_axis/n_axis·(g − 1)/g")
def exchange_bytes_per_s(link: Link, group: int) -> float:
    """Rate at which each device of a group sends in a balanced all-to-all. [byte/s]

    On a ring of n devices a byte travels n/4 hops on average, counting the 1/g of the bytes that stay on the device. The
    slowest axis of the best sub-torus is the bottleneck.
    """
    return max(min(4 * axis_bytes_per_s(link, n) / n for n in shape if n > 1) for shape in shapes(link.axes, group)) * (group - 1) / group


@lru_cache(maxsize=256)
def shapes(axes: tuple[int, ...], group: int) -> tuple[tuple[int, ...], ...]:
    """Every sub-torus of `group` devices, as sizes along each axis; a line of `group` where no product of axis sizes equals it."""
    return _shapes(axes, group) or ((group,),)


def _shapes(axes: tuple[int, ...], group: int) -> tuple[tuple[int, ...], ...]:
    if not axes:
        return ((),) if group == 1 else ()
    first, *rest = axes
    return tuple((size, *others) for size in range(1, min(first, group) + 1) if group % size == 0 for others in _shapes(tuple(rest), group // size))
