"""The sequences that a deployment serves: decode at a fixed context, or whole generations of prompt and output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.generation import Timed, decode_tok_s, mean_step, step_at
from roofcalc.physics.prompt_cache import first_token_s
from roofcalc.physics.serving import ServedStep

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

    def served_step(self, step: Timed) -> Timed:
        """The step that the speed of a user follows: for generations with the waits for the prompts of others, else `step` itself."""
        return step if self.isl is None or self.osl is None else ServedStep(step, self.isl, self.osl, self.chunk, idle=False)

    def throughput(self, deployment: Deployment, step: Timed, batch: NDArray[Any], seconds: NDArray[Any]) -> NDArray[Any]:
        """Output tokens per second of the system; generations prefill their prompts as `--prefill` says.

        `step` and `seconds` are those of the pure decode step.
        """
        if self.isl is None or self.osl is None:
            return decode_tok_s(deployment, batch, seconds)
        found = ServedStep(step, self.isl, self.osl, self.chunk, idle=False).served(np.maximum(batch, 1)).throughput_tok_s
        return np.where(batch > 0, found, np.where(np.isnan(seconds), np.nan, 0.0))

    def more(self, deployment: Deployment, throughput: NDArray[Any], step: Timed | None = None, batch: Any = None) -> dict[str, Any]:
        """Further columns of rows about generations: at `batch` requests in flight, where a batch and its step are given."""
        if self.isl is None or self.osl is None:
            return {}
        unknown = np.full(np.shape(self.isl), np.nan)
        ttft = idle = decode = unknown
        if deployment.has_time:
            idle = first_token_s(deployment, self.isl, float(deployment.layout.dp), self.chunk)
            ttft = idle
            if step is not None:
                one = ServedStep(step, self.isl, self.osl, self.chunk).served(np.maximum(batch, 1))
                holds = np.asarray(batch) > 0
                ttft, idle, decode = np.where(holds, one.ttft_s, np.nan), one.ttft_idle_s, np.where(holds, 1 / one.decode_s, np.nan)
        shown = {"isl": self.isl, "osl": self.osl, "ttft_ms": ttft * 1e3, "requests_per_s": throughput / self.osl}
        return {**shown, "ttft_idle_ms": idle * 1e3 + 0 * ttft, "decode_tok_s": decode}

    def at(self, points: NDArray[Any]) -> Workload:
        """The workload at some of its points."""
        isl, osl = (one if one is None else one[points] for one in (self.isl, self.osl))
        return self._replace(seq=self.seq[points], isl=isl, osl=osl)

    @property
    def shared(self) -> dict[str, Any]:
        """Columns of generations with one value for all rows."""
        return {} if self.isl is None else {"kv_at": self.kv_at, "chunk": self.chunk}
