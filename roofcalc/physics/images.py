"""Work of a vision tower in a prefill: its matrices and its attention over the patches of each image."""

from __future__ import annotations

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.operation import Operation, TokenLoad
from roofcalc.specs.formula import formula

TENSOR = "tower"


@formula("FLOPs = B_r·images·FLOPs_tower/t", "bytes = P_tower·w/t", "FLOPs, attention = B_r·images·FLOPs_tower_attention/t")
def tower_operations(deployment: Deployment, stage: Stage, load: TokenLoad, sequences: Array, first: Array) -> list[Operation]:
    """The tower's operations on one device of the first stage, divided over t; none in other stages and without images.

    Its weights are read once for all images of a step. The patches' activations are small beside both and not counted.

    Parameters
    ----------
    sequences : array
        Sequences of one data-parallel rank.
    first : array
        1 in the step that begins a prompt, else 0: chunks that follow encode nothing.
    """
    images = deployment.images
    if images is None or images.vision is None or not stage.first:
        return []
    vision, ranks = images.vision, load.sharding.tp * load.spread
    runs = sequences * images.count * first / ranks
    moved = vision.elements * deployment.weight_dtype(TENSOR).bytes_per_element / ranks * first
    zero = np.zeros(np.shape(runs))
    return [
        Operation("tower.matrices", 1, vision.linear_flops(images.one) * runs, moved, "linear", TENSOR, prompt=True),
        Operation("tower.attention", 1, vision.attention_flops(images.one) * runs, zero, "attention", TENSOR, prompt=True),
    ]
