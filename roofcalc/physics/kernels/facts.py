"""What a kernel model must know of a device, and the terms that all kernels share: roofs, waves of blocks and the last-level cache."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Number = float | Array  # a value or an array that broadcasts against the others

CACHE_SPEED = 2.5  # bandwidth of the last-level cache in units of the memory's; only benchmarks that repeat on the same data see it


@dataclass(frozen=True)
class DeviceFacts:
    """The figures of one device that kernel times depend on; arrays are allowed, for rows of several devices at once.

    Attributes
    ----------
    peak_flop_s
        Dense peak of the precision that the kernel computes in, FLOP/s (F_x).
    bandwidth_bytes_s
        Memory bandwidth of the data sheet, bytes/s (β).
    compute_units
        Streaming multiprocessors, compute units or cores over which blocks are spread.
    clock_hz
        Clock at which the peak is stated; scales fixed latencies from one device to another.
    cache_bytes
        Last-level cache, bytes; 0 where unknown.
    link_bytes_s
        Scale-up link per device and direction, bytes/s (λ); 0 where there is none.
    """

    peak_flop_s: Number
    bandwidth_bytes_s: Number
    compute_units: Number
    clock_hz: Number
    cache_bytes: Number = 0.0
    link_bytes_s: Number = 0.0


def joined(*times_s: Number) -> Array:
    """Time of work that overlaps almost perfectly: (Σ t³)^⅓, a smooth maximum, seconds.

    Never below the largest argument, at most n^(1/3) times it for n equal ones. The exponent 3 fits the tables as well as 4 does; cubes are
    cheaper than powers, and these functions are evaluated on grids of millions of points.
    """
    total: Number = 0.0
    for time in times_s:
        time = np.asarray(time, dtype=float)
        total = total + time * time * time
    return np.asarray(np.cbrt(total))


def waves(blocks: Number, units: Number) -> Array:
    """Rounds in which `blocks` equal blocks run on `units` compute units: a whole number, since the last round takes as long as a full one."""
    return np.ceil(np.asarray(blocks, dtype=float) / units)


def memory_s(moved_bytes: Number, bandwidth: Number, facts: DeviceFacts, copies: Number | None = None) -> Array:
    """Seconds to move `moved_bytes` at a fraction `bandwidth` of the memory's peak.

    Parameters
    ----------
    copies
        None for data that come from memory, as weights and KV entries of a served model do. A benchmark repeats its kernel over a few
        copies of the data; those that fit into the cache are then read at `CACHE_SPEED`. The share found there falls smoothly as
        copies × bytes passes the cache's size.
    """
    plain = np.asarray(moved_bytes, dtype=float) / (bandwidth * np.asarray(facts.bandwidth_bytes_s))
    if copies is None:
        return plain
    with np.errstate(divide="ignore", over="ignore"):
        found = 1.0 / (1.0 + (copies * np.asarray(moved_bytes, dtype=float) / np.asarray(facts.cache_bytes, dtype=float)) ** 4)
    return np.asarray(plain * (1.0 - found * (1.0 - 1.0 / CACHE_SPEED)))
