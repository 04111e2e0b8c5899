"""Work of recurrent layers: each token reads, updates and writes a state of fixed size.

Sources: Mamba arXiv 2312.00752; Mamba-2 arXiv 2405.21060; delta rule arXiv 2412.06464 and 2510.26692; lightning arXiv
2501.08313. FLOPs are those of the recurrent form, a lower bound for prefill.
"""

from __future__ import annotations

from roofcalc.physics.ops.types import Part, Recurrence, Sharding
from roofcalc.specs.dtypes import dtype
from roofcalc.specs.formula import formula
from roofcalc.specs.state_space import KDA, GatedDeltaNet, Mamba1, State

DECAY_FLOPS = 6.0  # per token and element: decay, outer product, sum, read-out
DELTA_FLOPS = 8.0  # the delta rule also reads the state's value for the key
CONVOLUTION_BYTES = 2.0


@formula("bytes = 2·N_s·b", "FLOPs = 6·N_s", "FLOPs, delta rule = 8·N_s")
def recurrent(state: State, hidden: int, sharding: Sharding) -> Part:
    """Work of a recurrent layer on one device; heads, or Mamba's channels, are divided over the tensor ranks.

    Mamba's dt, B and C are projected from all channels, so tensor ranks all-reduce them.
    """
    flops = DELTA_FLOPS if isinstance(state, (GatedDeltaNet, KDA)) else DECAY_FLOPS
    elements = state.elements(sharding.tp)
    return Part(
        state.matrices(hidden, sharding.tp),
        state.vectors(hidden, sharding.tp),
        recurrence=Recurrence(elements, dtype(state.dtype).bytes_per_element, flops) if elements else None,
        fixed_bytes=CONVOLUTION_BYTES * state.convolution(sharding.tp),
        all_reduced=float(state.dt_rank + 2 * state.state) if isinstance(state, Mamba1) else 0.0,
    )
