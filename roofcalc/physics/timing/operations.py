"""Seconds of operations in `typical`: those of a step or a prefill together, or of one operation for a breakdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as work
from roofcalc.physics.ops.operation import Grouped, Operation, Product
from roofcalc.physics.resources import Terms, add_terms
from roofcalc.physics.timing.attention import sequence_terms
from roofcalc.physics.timing.charge import charge, run_constants
from roofcalc.physics.timing.products import Key, expert_terms, gemm_terms


def operations_terms(deployment: Deployment, operations: Iterable[Operation], sequences: Any = 1.0) -> Terms:
    """Seconds by resource of operations in all their layers; `sequences` of a rank for those that are of one sequence.

    GEMMs are evaluated together. Of the fused experts' matrices each takes its share of the kernel.
    """
    operations = list(operations)
    terms: Terms = {}
    products: list[tuple[Operation, Product]] = []
    for one in operations:
        if isinstance(one.shape, Product):
            products.append((one, one.shape))
        elif isinstance(one.shape, Grouped):
            routed = one.shape.routed
            if len(operations) > 1 and one.shape.matrix:
                continue  # with the first matrix the whole kernel was counted
            share = 1.0 if len(operations) > 1 else routed.matrices[one.shape.matrix].elements / sum(matrix.elements for matrix in routed.matrices)
            found = expert_terms(deployment, routed, work.storage_sharding(deployment), one.layers, one.shape.tokens, share)
            add_terms(terms, {name: value * one.shape.kept for name, value in found.items()})
        elif one.shape is None:
            add_terms(terms, plain_terms(deployment, one))
        else:
            add_terms(terms, sequence_terms(deployment, one, sequences, one.layers))
    if products:
        keys = tuple(Key(shape.rows, shape.cols, shape.copies, one.tensor, shape.fused) for one, shape in products)
        layers = np.array([one.layers for one, _ in products], dtype=float)
        tokens = np.stack(np.broadcast_arrays(*(np.asarray(shape.tokens, dtype=float) for _, shape in products)))
        add_terms(terms, gemm_terms(deployment, keys, layers, tokens, each=True))
    return terms


def plain_terms(deployment: Deployment, operation: Operation) -> Terms:
    """Seconds by resource of an operation without a kernel model (adapters, vision towers): the roofline with the factors of GEMMs."""
    rate = deployment.flop_per_s(deployment.format_of(operation.role, operation.tensor)) or np.inf
    compute, memory = np.asarray(operation.flops / rate), np.asarray(operation.bytes / deployment.memory_bytes_per_s)
    terms: Terms = {}
    run = run_constants(deployment)
    charge(terms, deployment, (run.gemm, run.gemm_compute), np.maximum(compute, memory), compute, memory, operation.layers)
    return terms
