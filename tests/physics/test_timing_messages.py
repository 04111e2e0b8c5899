"""Seconds of messages in `typical`, within a domain by kernel functions with hand-written sizes, between domains by hand."""

import numpy as np
import pytest

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.kernels.collective import collective_s
from roofcalc.physics.ops.operation import Message
from roofcalc.physics.timing import messages
from tests.catalogs import on

HIDDEN = 16_384  # elements of a message's token, two bytes each
SIZE = 100.0 * HIDDEN * 2


def over(domains: int) -> Deployment:
    """Domains of 8 H100 that share 50 GB/s per device; 16,384 numbers a token."""
    return on("llama-3.1-405b", f"{8 * domains}xh100-sxm", tp=8, pp=domains, assume="typical")


def inside(deployment: Deployment, operation: str, size: float, group: int = 8) -> float:
    """The fastest kernel for a message of `size` bytes in one domain."""
    found = messages.collective_constants(deployment, operation, group)
    return min(float(collective_s(one.parameters, operation, size, group)) for one in found)


def taken(deployment: Deployment, message: Message, size: float = SIZE) -> tuple[float, float]:
    link, out = messages.seconds(deployment, message, np.float64(size))
    return float(link), float(out)


@pytest.mark.parametrize(("domains", "hops"), [(2, 1), (4, 2), (3, 2), (8, 3)])
def test_all_reduces_across_domains(domains: int, hops: int) -> None:
    """Reduce-scatter and all-gather of the whole message in each domain; between, an eighth of it in a ring of the domains, 2·(d − 1)/d times.

    8.5 µs for each doubling of the domains, twice; 0.9 of 50 GB/s.
    """
    deployment = over(domains)
    link, out = taken(deployment, Message("x", "all_reduce", 1, HIDDEN, 8 * domains))
    assert link == pytest.approx(inside(deployment, "reduce_scatter", SIZE) + inside(deployment, "all_gather", SIZE), rel=1e-12)
    assert out == pytest.approx(2 * hops * 8.5e-6 + SIZE / 8 * 2 * (domains - 1) / domains / 45e9, rel=1e-12)


def test_an_all_reduce_within_a_domain() -> None:
    deployment = over(1)
    assert taken(deployment, Message("x", "all_reduce", 1, HIDDEN, 8)) == (inside(deployment, "all_reduce", SIZE), 0)


@pytest.mark.parametrize(("domains", "hops"), [(2, 1), (4, 2)])
def test_all_gathers_across_domains(domains: int, hops: int) -> None:
    """Everything that is gathered, SIZE from each of the devices, goes around in a domain; one message of each other domain comes from outside."""
    deployment = over(domains)
    link, out = taken(deployment, Message("x", "all_gather", 1, HIDDEN, 8 * domains))
    assert link == pytest.approx(inside(deployment, "all_gather", 8 * domains * SIZE), rel=1e-12)
    assert out == pytest.approx(hops * 8.5e-6 + (domains - 1) * SIZE / 45e9, rel=1e-12)


def test_sends() -> None:
    """10 µs; 0.8 of 450 GB/s within a domain, 0.9 of 50 GB/s between two."""
    deployment = over(2)
    assert taken(deployment, Message("x", "send", 1, HIDDEN, 2, wire="link")) == (pytest.approx(10e-6 + SIZE / 360e9, rel=1e-12), 0)
    assert taken(deployment, Message("x", "send", 1, HIDDEN, 2, wire="scale_out")) == (0, pytest.approx(10e-6 + SIZE / 45e9, rel=1e-12))


def test_an_exchange_across_domains() -> None:
    """25 µs and 0.85 of 50 GB/s for the copies that leave the domain."""
    deployment = over(2)
    message = Message("x", "all_to_all", 1, HIDDEN, 16, dtype="combine", copies=4.0, across=0.75, choices=8.0)
    assert taken(deployment, message)[1] == pytest.approx(25e-6 + 0.75 * SIZE / 42.5e9, rel=1e-12)
    assert taken(deployment, Message("x", "all_to_all", 1, HIDDEN, 8, dtype="combine", copies=4.0, choices=8.0))[1] == 0
