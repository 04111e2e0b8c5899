"""Time of collectives on one scale-up domain: two algorithms with a latency and a bandwidth each, the faster taken.

Small messages go one-shot or by a low-latency protocol (each device reads all others: latency-bound); large ones two-shot, by a ring
or reduced in the switch (bandwidth-bound). Bytes on the wire per device and direction, M the full message:
all-reduce 2·(g−1)/g·M; all-gather, reduce-scatter and all-to-all (g−1)/g·M.
"""

from dataclasses import dataclass

import numpy as np

from roofcalc.physics.kernels.facts import Array, DeviceFacts, Number

ONE_SHOT, LARGE = "one_shot", "large"
_TIMES = {"all_reduce": 2.0, "all_gather": 1.0, "reduce_scatter": 1.0, "alltoall": 1.0}


@dataclass(frozen=True)
class CollectiveParameters:
    """Fitted constants of one collective of one library on one device and number of devices.

    Attributes
    ----------
    latency_us
        α of the small-message algorithm, µs.
    small_gb_s
        Bandwidth of the small-message algorithm, on its own wire bytes, GB/s.
    large_latency_us
        α of the large-message algorithm: its steps and synchronisations, µs.
    large_gb_s
        Bandwidth of the large-message algorithm at messages that fill it, GB/s. In-switch reduction may exceed the link's, since the
        all-reduce formula counts both directions of a ring.
    ramp_mb
        Message per device at which the large algorithm reaches half its bandwidth gain (its pipeline fills), MB.
    """

    latency_us: float
    small_gb_s: float
    large_latency_us: float
    large_gb_s: float
    ramp_mb: float


def wire_bytes(operation: str, message_bytes: Number, devices: Number) -> Array:
    """Bytes that each device sends in a bandwidth-optimal algorithm."""
    devices = np.asarray(devices, dtype=float)
    return np.asarray(_TIMES[operation] * np.asarray(message_bytes, dtype=float) * (devices - 1) / devices)


def collective_s(parameters: CollectiveParameters, operation: str, message_bytes: Number, devices: Number) -> Array:
    """Seconds of one collective of `message_bytes` over `devices`.

    t = min(α1 + bytes1/B1, α2 + bytes2/(B2·√(M/(M + ramp)))), with bytes1 = (g−1)·M for a one-shot all-reduce, else bytes2.
    """
    message = np.asarray(message_bytes, dtype=float)
    large = wire_bytes(operation, message, devices)
    small = message * (np.asarray(devices, dtype=float) - 1) if operation == "all_reduce" else large
    filled = message / (message + parameters.ramp_mb * 1e6)
    one_shot = parameters.latency_us * 1e-6 + small / (parameters.small_gb_s * 1e9)
    bulk = parameters.large_latency_us * 1e-6 + large / (parameters.large_gb_s * 1e9 * np.sqrt(filled))
    return np.asarray(np.minimum(one_shot, bulk))


@dataclass(frozen=True)
class ExchangeParameters:
    """Fitted constants of a dispatch or combine kernel of one library.

    Attributes
    ----------
    latency_us
        Launch, notification and arrival of the first token, µs.
    link_fraction
        Fraction of the link that the kernel fills.
    token_ns
        Work per token sent (choosing ranks, quantising, summing), ns.
    unit_gb_s
        Stream of one compute unit, where the kernel is given only some of them, GB/s.
    """

    latency_us: float
    link_fraction: float
    token_ns: float
    unit_gb_s: float


def exchange_s(
    parameters: ExchangeParameters,
    facts: DeviceFacts,
    tokens: Number,
    token_bytes: Number,
    copies: Number,
    units: Number | None = None,
) -> Array:
    """Seconds of one dispatch or combine: t = α + bytes/min(η·λ, units·stream) + tokens·token_ns.

    Parameters
    ----------
    tokens
        Tokens of each device.
    token_bytes
        Bytes of one token on the wire.
    copies
        Copies of a token that leave the device: (g−1)·P_hit where copies to one rank are merged, k·(g−1)/g where not (PHYSICS §3).
    units
        Compute units given to the kernel; None for all of them.
    """
    tokens = np.asarray(tokens, dtype=float)
    link = parameters.link_fraction * np.asarray(facts.link_bytes_s)
    used = np.asarray(facts.compute_units if units is None else units, dtype=float)
    rate = 1.0 / (1.0 / link + 1.0 / (used * parameters.unit_gb_s * 1e9))
    return np.asarray(parameters.latency_us * 1e-6 + tokens * copies * token_bytes / rate + tokens * parameters.token_ns * 1e-9)
