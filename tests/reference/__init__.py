"""A second way to every figure: PHYSICS' formulas written out naively, one layer, one device and one sequence at a time.

Shares no code with roofcalc's engine: it reads only the fields of the catalog's records, and loops where the engine
multiplies. `Case` says what is asked; `step_seconds`, `weight_bytes`, `kv_bytes` and `batch_memory` answer.
"""

from tests.reference.case import Case, layouts
from tests.reference.memory import batch_memory, kv_bytes, weight_bytes
from tests.reference.step import step_seconds

__all__ = ["Case", "batch_memory", "kv_bytes", "layouts", "step_seconds", "weight_bytes"]
