"""Queries answered by several parallel streams: batch size, machine time and latency of each query.

All streams of a query run on one rank and share its prefix. Sources: attention with a shared prefix arXiv 2402.05099;
self-consistency arXiv 2203.11171.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.economics.request_time import request_time
from roofcalc.physics.generation import limited_by, mean_step, prefill_s_per_request
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import ServedStep
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


@formula("machine_s = (suffix·TPOT + TTFT)/queries", "latency_s = TTFT + suffix·TPOT")
def shared(deployment: Deployment, streams: float, prefix: Any, suffix: Any, rate: float, chunk: float | None = None) -> Case:
    """Queries of `streams` streams with a shared prefix, each stream at `rate` tokens per second or more.

    The prefixes of other queries are prefilled meanwhile, where `--prefill` says: speed and latency are those of served generations
    (`roofcalc.physics.serving`), machine time that of `roofcalc.economics.request_time`.
    """
    prefix, suffix = np.broadcast_arrays(np.asarray(prefix, dtype=float), np.asarray(suffix, dtype=float))
    shared_prefix = SharedPrefix(streams, prefix)
    if not deployment.has_time:
        fitting = solver.max_batch(deployment, prefix + suffix, rate, shared_prefix=shared_prefix).max_batch
        unknown = np.full(fitting.shape, np.nan)
        return Case(fitting, unknown, unknown, np.full(fitting.shape, ""))
    paced = ServedStep(mean_step(deployment, prefix, suffix, streams), prefix, suffix, chunk)
    largest = solver.max_batch(deployment, prefix + suffix, rate, paced, shared_prefix)
    some = np.maximum(largest.max_batch, 1)
    one, possible = paced.served(some), largest.max_batch > 0
    machine = np.where(possible, request_time(paced, some, streams).total_s, np.nan)
    latency = np.where(possible, one.ttft_s + suffix * one.tpot_s, np.nan)
    return Case(largest.max_batch, machine, latency, limited_by(paced, some))


@formula("queries = floor(max_batch/streams)", "machine_s, unshared = streams·(suffix·TPOT + TTFT)/max_batch")
def independent_machine_s(deployment: Deployment, streams: float, prefix: Any, suffix: Any, rate: float, chunk: float | None = None) -> NDArray[Any]:
    """Machine time per query where each stream is an independent sequence with its own prefill of the prefix. [s]"""
    prefix, suffix = np.broadcast_arrays(np.asarray(prefix, dtype=float), np.asarray(suffix, dtype=float))
    if not deployment.has_time:
        return np.full(prefix.shape, np.nan)
    paced = ServedStep(mean_step(deployment, prefix, suffix), prefix, suffix, chunk)
    queries = np.floor(solver.max_batch(deployment, prefix + suffix, rate, paced).max_batch / streams)
    sequences = np.maximum(queries, 1) * streams
    return np.where(queries > 0, streams * request_time(paced, sequences).total_s, np.nan)


def read(reader: Deployment, streams: float, prefix: Any, suffix: Any, chunk: float | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Machine time and latency of a verifier per query: prefill of the prefix, then of all answers after it. [s]"""
    machine = prefill_s_per_request(reader, prefix, chunk) + streams * prefill_s_per_request(reader, suffix, chunk, prefix)
    waited = prefill(reader, prefix, 0.0, float(reader.layout.dp), chunk).ttft_s + prefill(reader, suffix, prefix, streams, chunk).ttft_s
    return machine, waited
