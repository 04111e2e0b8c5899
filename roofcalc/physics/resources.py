"""Seconds by resource: operations, GEMMs and messages attributed to arithmetic, memory and links, and the resource that limits.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline", doi.org/10.1145/1498765.1498785: time = max(FLOPs / peak, bytes / bandwidth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import collectives, gemm_time
from roofcalc.physics.gemm_time import GemmGroup
from roofcalc.physics.kv_span import Array
from roofcalc.physics.offload import HOST
from roofcalc.physics.ops.operation import Message, Operation, TokenLoad
from roofcalc.specs.formula import formula
from roofcalc.specs.record import kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESOURCES = ("bandwidth", "compute", "network", "overhead", HOST)  # ties go to the first
LINKS = ("link", "scale_out")
UNKNOWN = "unknown"  # limited_by where the device lists no peak that an operation could run at

Terms = dict[str, Array]  # seconds by "bandwidth", "compute", "link", "scale_out" and, in `typical`, "overhead"


def add_seconds(terms: Terms, resource: str, seconds: Any) -> None:
    """Adds seconds to one resource, in place."""
    terms[resource] = terms.get(resource, 0.0) + seconds


def add_terms(terms: Terms, more: Terms, layers: Any = 1) -> None:
    """Adds `layers` times the seconds in `more` to `terms`, in place."""
    for resource, time in more.items():
        add_seconds(terms, resource, layers * time)


class Fixed(NamedTuple):
    """Work that does not depend on the context: GEMMs and messages."""

    gemm_groups: list[GemmGroup]
    messages: list[Message]


def fixed_terms(deployment: Deployment, fixed: Fixed, load: TokenLoad) -> Terms:
    """Seconds by resource of context-independent work, for the tokens of one device."""
    compute, memory = gemm_time.split(fixed.gemm_groups, load, deployment.assumptions.overlap)
    terms: Terms = {"compute": compute, "bandwidth": memory}
    add_messages(deployment, terms, fixed.messages, tokens_of_rank(deployment, load))
    return terms


def fixed_seconds(deployment: Deployment, fixed: Fixed, load: TokenLoad) -> Terms:
    """The same with arithmetic and memory summed under "bandwidth", which is faster and enough for the time of a step."""
    if deployment.assumptions.overlap == "full":
        return fixed_terms(deployment, fixed, load)
    terms: Terms = {"bandwidth": gemm_time.whole(fixed.gemm_groups, load, deployment.assumptions.overlap)}
    add_messages(deployment, terms, fixed.messages, tokens_of_rank(deployment, load))
    return terms


def tokens_of_rank(deployment: Deployment, load: TokenLoad) -> Array:
    """Tokens of a rank in its messages."""
    return load.tokens / deployment.layout.dp if deployment.assumptions.is_bound else load.tokens


def add_messages(
    deployment: Deployment, terms: Terms, messages: Iterable[Message], tokens: Array, known: dict[Message, collectives.LinkTime] | None = None
) -> None:
    """Adds the seconds of messages for `tokens` tokens of a rank to `terms`, unless the network is ideal.

    Messages of many blocks and stages are alike: each kind is computed once, and kept in `known`, which must be of these tokens.
    """
    has_latency = deployment.profile is not None or deployment.assumptions.collective_latency_us is not None
    known = {} if known is None else known
    for message in messages if deployment.assumptions.network != "ideal" else ():
        alike = message.alike
        times = known.get(alike) or collectives.seconds(deployment, message, tokens)
        known[alike] = times
        for name, time in zip((*LINKS, "overhead"), times, strict=True):
            if name in LINKS or has_latency:
                add_seconds(terms, name, message.layers * time)


def limit_of(deployment: Deployment, parts: dict[str, NDArray[Any]]) -> NDArray[np.str_]:
    """The resource with the largest part; ties go to bandwidth."""
    work_time = parts["bandwidth"] + parts["compute"]
    bandwidth, compute, network, overhead, host = np.broadcast_arrays(*(parts[name] for name in RESOURCES))
    if deployment.assumptions.overlap == "net":  # hidden communication limits only where it takes longer than all the work
        network = np.where(network > work_time + host, np.inf, -np.inf)
    return np.asarray(np.asarray(RESOURCES)[np.argmax(np.stack([bandwidth, compute, network, overhead, host]), axis=0)])


def combined(deployment: Deployment, terms: Terms) -> NDArray[Any]:
    """Seconds of a stage from the seconds by resource, in the overlap in force."""
    return overlapped(deployment, lambda names: np.asarray(sum((terms[name] for name in names if name in terms), start=np.float64(0.0))))


def overlapped(deployment: Deployment, seconds: Callable[[Iterable[str]], NDArray[Any]]) -> NDArray[Any]:
    """Seconds of a stage by the formulas of `Step.stage_seconds`; `seconds` gives those of some resources one after another."""
    overlap = deployment.assumptions.overlap
    if overlap in ("op", "none"):
        return seconds(("bandwidth", "compute", *LINKS, HOST, "overhead"))
    if overlap == "net":
        return np.asarray(np.maximum(seconds(("bandwidth", "compute", HOST)), seconds(LINKS)) + seconds(("overhead",)))
    wires = [(name,) for name in LINKS] if deployment.assumptions.is_bound else [LINKS]
    return np.asarray(reduce(np.maximum, [seconds(names) for names in [("bandwidth",), ("compute",), *wires, (HOST,)]]) + seconds(("overhead",)))


def cache_savings_s(deployment: Deployment) -> float:
    """Memory time of a stage that the last-level cache can save, in `bound` with full overlap."""
    rate = deployment.memory_bytes_per_s * (deployment.assumptions.mbu or 1.0)
    return deployment.cache_bytes / rate if deployment.assumptions.overlap == "full" else 0.0


@formula("compute = FLOPs/(mfu·F)", "memory = bytes/(mbu·β)", "time = max(compute, memory)", "time, nothing overlapped = compute + memory")
def operation_seconds(deployment: Deployment, operation: Operation) -> tuple[Array, Array]:
    """Arithmetic and memory time of one operation, at the efficiencies of `Deployment.achieved`."""
    flop_per_s, bytes_per_s = rates(deployment, operation.role, operation.tensor)
    return operation.flops / flop_per_s, operation.bytes / bytes_per_s


@kept
def rates(deployment: Deployment, role: str, tensor: str) -> tuple[float, float]:
    """FLOP/s and bytes/s that an operation reaches, by its role and the class of its weights."""
    rate = deployment.flop_per_s(deployment.format_of(role, tensor))
    assert rate is not None  # callers check Deployment.has_time first
    mfu, mbu = deployment.achieved
    return mfu * rate, mbu * deployment.memory_bytes_per_s


def operation_terms(deployment: Deployment, operations: Iterable[Operation]) -> Terms:
    """Seconds of operations, attributed to resources by the overlap in force."""
    if deployment.profile:
        from roofcalc.physics.timing.operations import operations_terms  # only `typical` needs it

        return operations_terms(deployment, operations)
    terms: Terms = {}
    for operation in operations:
        compute, memory = operation_seconds(deployment, operation)
        compute, memory = gemm_time.attributed(compute * operation.layers, memory * operation.layers, deployment.assumptions.overlap)
        add_terms(terms, {"compute": compute, "bandwidth": memory})
    return terms
