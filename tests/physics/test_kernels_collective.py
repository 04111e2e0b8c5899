"""Kernel times of collectives and exchanges: hand-worked values and laws."""

import numpy as np
import pytest

from roofcalc.physics.kernels.collective import CollectiveParameters, ExchangeParameters, collective_s, exchange_s, wire_bytes
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.profile import fits

ROUND = DeviceFacts(1e15, 1e12, 100.0, 1e9, 50e6, 100e9)
CONSTANTS = CollectiveParameters(latency_us=5, small_gb_s=50, large_latency_us=20, large_gb_s=200, ramp_mb=0)


@pytest.mark.parametrize(("operation", "expected"), [("all_reduce", 1.75), ("all_gather", 0.875), ("reduce_scatter", 0.875), ("alltoall", 0.875)])
def test_bytes_on_the_wire(operation: str, expected: float) -> None:
    """Rings over eight: an all-reduce sends 2·7/8 of the message, the others 7/8 (COLLECTIVES of any textbook; NCCL's bus bandwidth factors)."""
    assert wire_bytes(operation, 1.0, 8) == expected


def test_all_reduce_by_hand() -> None:
    """8 devices. 100 kB one-shot: 5 µs + 7·100 kB/50 GB/s = 19 µs (two-shot 20.875). 10 MB two-shot: 20 µs + 17.5 MB/200 GB/s = 107.5 µs."""
    assert collective_s(CONSTANTS, "all_reduce", 1e5, 8) * 1e6 == pytest.approx(19)
    assert collective_s(CONSTANTS, "all_reduce", 1e7, 8) * 1e6 == pytest.approx(107.5)


def test_the_bandwidth_ramps_up() -> None:
    """A message as large as the ramp runs at 1/√2 of the bandwidth."""
    ramped = CollectiveParameters(1e9, 50, 20, 200, 10)
    assert collective_s(ramped, "all_gather", 1e7, 8) * 1e6 == pytest.approx(20 + 0.875e7 / (200e9 / 2**0.5) * 1e6)


def test_packaged_collectives_grow_with_the_message() -> None:
    sizes = 2.0 ** np.arange(8, 30)
    for (_, operation, kernel), rows in fits().values["collective"].items():
        devices = int(kernel.rsplit("x", 1)[1])
        for row in rows.values():
            seconds = collective_s(CollectiveParameters(*row), operation, sizes, devices)
            assert (np.diff(seconds) > 0).all()
            assert np.allclose(seconds, [float(collective_s(CollectiveParameters(*row), operation, size, devices)) for size in sizes])


def test_exchange_by_hand() -> None:
    """100 tokens × 7 copies × 10 kB = 7 MB; the link gives 50 GB/s, 10 units × 5 GB/s as much: 25 GB/s together, 280 µs; tokens 1 µs; floor 20."""
    constants = ExchangeParameters(latency_us=20, link_fraction=0.5, token_ns=10, unit_gb_s=5)
    assert exchange_s(constants, ROUND, 100, 1e4, 7, 10) * 1e6 == pytest.approx(20 + 280 + 1)
    assert exchange_s(constants, ROUND, 100, 1e4, 7) < exchange_s(constants, ROUND, 100, 1e4, 7, 10)
