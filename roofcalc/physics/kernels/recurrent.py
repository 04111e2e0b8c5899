"""Time of the kernels of recurrent layers: short convolutions, chunked scans of prompts, state updates of decode and verification."""

from dataclasses import dataclass

import numpy as np

from roofcalc.physics.kernels.facts import Array, DeviceFacts, Number, joined, memory_s


@dataclass(frozen=True)
class RecurrentParameters:
    """Fitted constants of one kernel on one device and engine.

    Attributes
    ----------
    t0_us
        Launch floor, µs.
    compute, bandwidth
        Fractions of the tensor peak and of the memory bandwidth.
    step_us
        One step of the recurrence (a chunk in a scan, a token elsewhere) on one block, µs.
    sequence_us
        Work per sequence that nothing hides, µs.
    copies
        Copies of the operands over which the benchmark repeats (see `facts.memory_s`).
    """

    t0_us: float
    compute: float
    bandwidth: float
    step_us: float
    sequence_us: float
    copies: float


def recurrent_s(
    parameters: RecurrentParameters,
    facts: DeviceFacts,
    sequences: Number,
    blocks: Number,
    steps: Number,
    flops: Number,
    moved_bytes: Number,
    *,
    repeated: bool = False,
) -> Array:
    """Seconds of one kernel: t = t0 + sequences·sequence_us + join(bytes/(η_b·β), FLOPs/(η·F), steps·step_us·rounds).

    Parameters
    ----------
    blocks
        Independent recurrences: sequences × heads (or channel blocks); beyond the compute units they run in rounds.
    steps
        Steps that follow one another within a sequence.
    flops, moved_bytes
        Of the whole call; states are read and written once.
    """
    rounds = np.maximum(1.0, np.asarray(blocks, dtype=float) / facts.compute_units)
    serial = np.asarray(steps, dtype=float) * parameters.step_us * 1e-6 * rounds
    compute = np.asarray(flops, dtype=float) / (parameters.compute * np.asarray(facts.peak_flop_s))
    busy = joined(memory_s(moved_bytes, parameters.bandwidth, facts, parameters.copies if repeated else None), compute, serial)
    return np.asarray(parameters.t0_us * 1e-6 + np.asarray(sequences, dtype=float) * parameters.sequence_us * 1e-6 + busy)
