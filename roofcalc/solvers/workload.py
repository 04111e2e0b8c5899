"""The sequences that a deployment serves: decode at a fixed context, or whole generations of prompt and output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.generation import Timed, decode_tok_s, mean_step, output_tok_s, step_at
from roofcalc.physics.prefill import prefill

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Workload(NamedTuple):
    """Contexts in the shape of the request's grid, and for generations their input and output lengths.

    Attributes
    ----------
    seq : array
        Context in tokens for memory: the given one, or that of a generation at its end or mean.
    isl, osl : array or None
        Input and output tokens of generations.
    kv_at : "end" or "mean"
        Which context of a generation `seq` is.
    chunk : float or None
        Chunk size of prefill.
    """

    seq: NDArray[Any]
    isl: NDArray[Any] | None = None
    osl: NDArray[Any] | None = None
    kv_at: str = "end"
    chunk: float | None = None

    def step(self, deployment: Deployment) -> Timed:
        """The step at the context, or the mean step of the generations."""
        return step_at(deployment, self.seq) if self.isl is None else mean_step(deployment, self.isl, self.osl)

    def throughput(self, deployment: Deployment, step: Timed, batch: NDArray[Any], seconds: NDArray[Any]) -> NDArray[Any]:
        """Output tokens per second of the system; generations prefill their prompts on the same devices."""
        if self.isl is None or self.osl is None:
            return decode_tok_s(deployment, batch, seconds)
        found = output_tok_s(deployment, self.isl, self.osl, np.maximum(batch, 1), step, self.chunk)
        return np.where(batch > 0, found, np.where(np.isnan(seconds), np.nan, 0.0))

    def more(self, deployment: Deployment, throughput: NDArray[Any]) -> dict[str, Any]:
        """Further columns of rows about generations."""
        if self.isl is None or self.osl is None:
            return {}
        ttft = np.full(np.shape(self.isl), np.nan)
        if deployment.has_time:
            ttft = prefill(deployment, self.isl, 0.0, float(deployment.layout.dp), self.chunk).ttft_s
        return {"isl": self.isl, "osl": self.osl, "ttft_ms": ttft * 1e3, "requests_per_s": throughput / self.osl}

    def at(self, points: NDArray[Any]) -> Workload:
        """The workload at some of its points."""
        isl, osl = (one if one is None else one[points] for one in (self.isl, self.osl))
        return self._replace(seq=self.seq[points], isl=isl, osl=osl)

    @property
    def shared(self) -> dict[str, Any]:
        """Columns of generations with one value for all rows."""
        return {} if self.isl is None else {"kv_at": self.kv_at, "chunk": self.chunk}
