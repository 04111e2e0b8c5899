"""Memory and work of LoRA adapters: two low-rank matrices for each adapted one.

An adapter of a K × N matrix is A, K × rank, and B, rank × N (arXiv 2106.09685). Tensor ranks hold them with their part of the matrix: A whole and
B divided for a matrix that is divided by columns, the other way round by rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.lora import Lora
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.decode_ops import storage_sharding
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.operation import Operation, TokenLoad
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Sharding
from roofcalc.specs.formula import formula
from roofcalc.specs.weights import Matrix

BYTES = 2.0  # per element: adapters are stored in 16 bits
TENSOR = "adapter"  # a class of weights that no recipe names: in the model's 16-bit type


@formula("r_elements = rank·(joined·K + N)")
def _per_layer(deployment: Deployment, lora: Lora, name: str, sharding: Sharding) -> float:
    """Elements of one adapter in one layer of a block; matrices that engines join have a matrix A each."""
    total = 0.0
    for part in parts(deployment.model.blocks[name], deployment.model.hidden, sharding):
        for one in lora.adapted(part.matrices):
            total += lora.rank * (_joined(one, part.matrices) * one.rows + one.cols) * one.copies
    return total


def _joined(matrix: Matrix, beside: Sequence[Matrix]) -> int:
    """How many matrices of a checkpoint one of ours joins: queries, keys and values; gate and up."""
    if matrix.name.endswith("up") and matrix.tensor in ("mlp", "shared"):
        down = next((one for one in beside if one.name == matrix.name.removesuffix("up") + "down"), None)
        return 2 if down is not None and matrix.cols == 2 * down.rows else 1
    return {"qkv": 3, "kv": 2}.get(matrix.name, 1) if matrix.tensor == "attention" else 1


def adapter_elements(deployment: Deployment, stage: Stage, sharding: Sharding) -> float:
    """Elements of one adapter on one device of a stage."""
    lora = deployment.lora
    return sum(layers * _per_layer(deployment, lora, name, sharding) for name, layers in stage.groups) if lora else 0.0


@formula("adapters = count·r_elements·2")
def adapter_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of all adapters on one device of a stage."""
    lora = deployment.lora
    return lora.count * adapter_elements(deployment, stage, storage_sharding(deployment)) * BYTES if lora else 0.0


@formula("missed = 1 − 1/count", "used = count·(1 − missed^B_r)")
def adapters_used(lora: Lora, sequences: Array) -> Array:
    """Expected number of different adapters among so many sequences, each with one of them at random."""
    if lora.count == 1:
        return np.asarray(np.minimum(1.0, np.asarray(sequences, dtype=float)))
    return np.asarray(lora.count * -np.expm1(np.asarray(sequences, dtype=float) * np.log1p(-1.0 / lora.count)))


@formula("FLOPs = 2·T·r_elements", "bytes = used·r_elements·2")
def adapter_operations(deployment: Deployment, stage: Stage, load: TokenLoad, sequences: Array, prompt: bool = False) -> list[Operation]:
    """The pair of low-rank GEMMs of each adapted matrix, in a stage: of every token, reading the adapters in use once."""
    lora = deployment.lora
    if lora is None:
        return []
    elements = adapter_elements(deployment, stage, load.sharding) / load.spread
    moved = adapters_used(lora, sequences) * elements * BYTES
    return [Operation("adapters", 1, 2.0 * elements * load.tokens, moved, "linear", TENSOR, prompt=prompt)]
