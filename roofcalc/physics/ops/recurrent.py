"""Recurrent layers: a state that each token reads, changes and writes, in place of a cache.

Sources: Mamba arXiv 2312.00752; Mamba-2 arXiv 2405.21060; delta rule arXiv 2412.06464 and 2510.26692; lightning arXiv
2501.08313. FLOPs are those of the recurrent form, a lower bound.
"""

from __future__ import annotations

from roofcalc.physics.ops.types import Part, Place, Recurrence
from roofcalc.specs.dtypes import dtype
from roofcalc.specs.formula import formula
from roofcalc.specs.state_space import KDA, GatedDeltaNet, Mamba1, State

DECAY_FLOPS = 6.0  # per token and element: decay, outer product, sum, read-out
DELTA_FLOPS = 8.0  # the delta rule first reads what the state holds for the key
CONVOLUTION_BYTES = 2.0


@formula("bytes = 2·N_s·b", "FLOPs = 6·N_s", "FLOPs, delta rule = 8·N_s")
def recurrent(state: State, hidden: int, place: Place) -> Part:
    """What a device does for a recurrent layer; heads, or Mamba's channels, are divided over the tensor ranks.

    Mamba's dt, B and C come from all channels: tensor ranks add them up.
    """
    flops = DELTA_FLOPS if isinstance(state, (GatedDeltaNet, KDA)) else DECAY_FLOPS
    elements = state.elements(place.tp)
    return Part(
        state.matrices(hidden, place.tp),
        state.vectors(hidden, place.tp),
        recurrence=Recurrence(elements, dtype(state.dtype).bytes_per_element, flops) if elements else None,
        kept_bytes=CONVOLUTION_BYTES * state.convolution(place.tp),
        summed=float(state.dt_rank + 2 * state.state) if isinstance(state, Mamba1) else 0.0,
    )
