"""Queries answered by several parallel streams: batch size, machine time and latency of each query.

All streams of a query run on one rank and share its prefix. Sources: attention with a shared prefix arXiv 2402.05099;
self-consistency arXiv 2203.11171.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.economics.cost import output_seconds
from roofcalc.physics.generation import limited_by, mean_step, prefill_s_per_request
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.physics.prefill import prefill
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Case(NamedTuple):
    """Queries at the largest batch; all arrays have the shape of prefixes and suffixes.

    Attributes
    ----------
    queries : array
        Largest number in flight that fits in memory and meets the rate.
    machine_s : array
        Machine time per query; nan where no query fits. [s]
    latency_s : array
        Time from the query to its last token. [s]
    limited_by : array of str
        Resource with the largest share of the step; "" where the device has no peak for the weights.
    """

    queries: NDArray[Any]
    machine_s: NDArray[Any]
    latency_s: NDArray[Any]
    limited_by: NDArray[np.str_]


@formula("machine_s = T_prompt + suffix/A·T_step/queries", "latency_s = TTFT + suffix/A·T_step")
def shared(deployment: Deployment, streams: float, prefix: Any, suffix: Any, rate: float, chunk: float | None = None) -> Case:
    """Queries of `streams` streams with a shared prefix, each stream at `rate` tokens per second or more."""
    prefix, suffix = np.broadcast_arrays(np.asarray(prefix, dtype=float), np.asarray(suffix, dtype=float))
    shared_prefix = SharedPrefix(streams, prefix)
    if not deployment.has_time:
        fitting = solver.max_batch(deployment, prefix + suffix, rate, shared_prefix=shared_prefix).max_batch
        unknown = np.full(fitting.shape, np.nan)
        return Case(fitting, unknown, unknown, np.full(fitting.shape, ""))
    step = mean_step(deployment, prefix, suffix, streams)
    largest = solver.max_batch(deployment, prefix + suffix, rate, step, shared_prefix)
    machine = prefill_s_per_request(deployment, prefix, chunk) + output_seconds(largest.step_s, suffix, largest.max_batch, deployment.accepted)
    first = prefill(deployment, prefix, 0.0, float(deployment.layout.dp), chunk).ttft_s
    latency = first + suffix / deployment.accepted * largest.step_s
    return Case(largest.max_batch, machine, latency, limited_by(step, np.maximum(largest.max_batch, 1)))


@formula("queries = floor(max_batch/streams)", "machine_s = streams·T_prompt + suffix/A·T_step/queries")
def independent_machine_s(deployment: Deployment, streams: float, prefix: Any, suffix: Any, rate: float, chunk: float | None = None) -> NDArray[Any]:
    """Machine time per query where each stream is an independent sequence with its own prefill of the prefix. [s]"""
    prefix, suffix = np.broadcast_arrays(np.asarray(prefix, dtype=float), np.asarray(suffix, dtype=float))
    if not deployment.has_time:
        return np.full(prefix.shape, np.nan)
    step = mean_step(deployment, prefix, suffix)
    queries = np.floor(solver.max_batch(deployment, prefix + suffix, rate, step).max_batch / streams)
    seconds = np.where(queries > 0, step.seconds(np.maximum(queries, 1) * streams), np.nan)
    return np.asarray(streams * prefill_s_per_request(deployment, prefix, chunk) + output_seconds(seconds, suffix, queries, deployment.accepted))


def read(reader: Deployment, streams: float, prefix: Any, suffix: Any, chunk: float | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Machine time and latency of a verifier per query: prefill of the prefix, then of all answers after it. [s]"""
    machine = prefill_s_per_request(reader, prefix, chunk) + streams * prefill_s_per_request(reader, suffix, chunk, prefix)
    waited = prefill(reader, prefix, 0.0, float(reader.layout.dp), chunk).ttft_s + prefill(reader, suffix, prefix, streams, chunk).ttft_s
    return machine, waited
