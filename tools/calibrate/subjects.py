"""What the tables of timed kernels hold: for each, the rows' groups, and the kernel model that predicts them.

A subject prepares a table once (bytes, FLOPs, loads) and then gives times for any parameters, which is what a fit needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roofcalc.physics.kernels import facts as kernel_facts
from tools.calibrate.tables import Columns

Prepared = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """One kernel model and the table that it is fitted on and judged by.

    Attributes
    ----------
    name, kind
        Its section in kernels.yaml; gemm, attention, experts or collectives in the judge's rows.
    table
        Name of the CSV file.
    record
        The record of parameters, whose field names are those of the YAML.
    shape
        Columns that make a shape: a fifth of them is never fitted.
    rows
        Rows of the table that belong to this subject, with columns engine, dtype and kernel added, and `us` in microseconds.
    prepare
        Arrays that do not depend on parameters.
    seconds
        Times for parameters, facts and prepared arrays.
    start, low, high, spread
        For each parameter: the value that a fit starts from and is drawn to, its bounds, and how far it may stray (a factor e^spread).
    peak_dtype
        Number format that the kernel computes in, for each row.
    """

    name: str
    kind: str
    table: str
    record: type
    shape: tuple[str, ...]
    rows: Callable[[Columns], Columns]
    prepare: Callable[[Columns], Prepared]
    seconds: Callable[[Any, kernel_facts.DeviceFacts, Prepared], npt.NDArray[Any]]
    start: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    spread: tuple[float, ...]
    peak_dtype: Callable[[Columns], npt.NDArray[Any]]


# Bytes per element as the kernels read them, scales included (PHYSICS §0); activations beside weights.
WEIGHT_BYTES = {
    "bfloat16": 2.0, "fp8": 1.0, "fp8_block": 1 + 4 / 16384, "nvfp4": 0.5625, "int8_wo": 1.0, "int4_wo": 0.5 + 2 / 128, "sq": 1.0,
    "w4a16_mxfp4": 0.53125, "w4a8_mxfp4_mxfp8": 0.53125,
}  # fmt: skip
ACTIVATION_BYTES = {
    "bfloat16": 2.0, "fp8": 1.0, "fp8_block": 1 + 4 / 128, "nvfp4": 0.5625, "int8_wo": 2.0, "int4_wo": 2.0, "sq": 1.0,
    "w4a16_mxfp4": 2.0, "w4a8_mxfp4_mxfp8": 1.03125,
}  # fmt: skip
COMPUTE_DTYPE = {
    "bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "nvfp4": "fp4", "int8_wo": "bf16", "int4_wo": "bf16", "sq": "int8",
    "w4a16_mxfp4": "bf16", "w4a8_mxfp4_mxfp8": "fp8",
}  # fmt: skip


def looked_up(table: dict[str, Any], names: npt.NDArray[Any], default: Any) -> npt.NDArray[Any]:
    """`table`'s value for each name, `default` for names that it lacks."""
    known = {name: table.get(name, default) for name in np.unique(names).tolist()}
    return np.array([known[name] for name in names.tolist()])


def compute_dtype(column: str) -> Callable[[Columns], npt.NDArray[Any]]:
    """The peak's format of the rows' `column`."""
    return lambda columns: looked_up(COMPUTE_DTYPE, columns[column], "bf16")
