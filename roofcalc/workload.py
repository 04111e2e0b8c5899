"""What the sequences of a request are: held at one context, or whole generations from a prompt to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.architecture.model import Model
from roofcalc.deployment import Deployment
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.generation import Timed, mean_step, output_tok_s, step_at
from roofcalc.given import MAX_TOKENS, Numbers, one_whole, whole
from roofcalc.prefill import prefill
from roofcalc.request import Request

if TYPE_CHECKING:  # a tenth of the start would go into it
    from numpy.typing import NDArray

KV_AT = ("end", "mean")
SEARCHED_SEQ = 8000  # the context of a search, where none is given


class Workload(NamedTuple):
    """Contexts in the shape of a request's grid, and for generations their prompts and answers.

    Attributes
    ----------
    seq : array
        The context that memory must hold: the one asked for, or that of a generation at its end or mean.
    isl, osl : array or None
        Input and output tokens.
    kv_at : str
        Which context of a generation `seq` is.
    chunk : float or None
        Largest prefill step.
    """

    seq: NDArray[Any]
    isl: NDArray[Any] | None = None
    osl: NDArray[Any] | None = None
    kv_at: str = "end"
    chunk: float | None = None

    def step(self, deployment: Deployment) -> Timed:
        """The step, or the mean step of the generations."""
        return step_at(deployment, self.seq) if self.isl is None else mean_step(deployment, self.isl, self.osl)

    def throughput(self, deployment: Deployment, step: Timed, batch: NDArray[Any], seconds: NDArray[Any]) -> NDArray[Any]:
        """Output tokens per second of the system; those of generations take in their prompts on the same devices."""
        if self.isl is None or self.osl is None:
            return np.asarray(batch * deployment.accepted / seconds)
        found = output_tok_s(deployment, self.isl, self.osl, np.maximum(batch, 1), step, self.chunk)
        return np.where(batch > 0, found, np.where(np.isnan(seconds), np.nan, 0.0))

    def more(self, deployment: Deployment, throughput: NDArray[Any]) -> dict[str, Any]:
        """Columns that only generations have."""
        if self.isl is None or self.osl is None:
            return {}
        ttft = prefill(deployment, self.isl, 0.0, float(deployment.layout.dp), self.chunk).ttft_s
        return {"isl": self.isl, "osl": self.osl, "ttft_ms": ttft * 1e3, "requests_per_s": throughput / self.osl}

    def at(self, points: NDArray[Any]) -> Workload:
        """The workload of some of its points."""
        isl, osl = (one if one is None else one[points] for one in (self.isl, self.osl))
        return self._replace(seq=self.seq[points], isl=isl, osl=osl)

    @property
    def shared(self) -> dict[str, Any]:
        """Columns of generations that are alike in all rows."""
        return {} if self.isl is None else {"kv_at": self.kv_at, "chunk": self.chunk}


def axes(request: Request, model: Model, seq: Numbers | None, isl: Numbers | None, osl: Numbers | None) -> list[NDArray[Any]]:
    """The axes of a request's grid: contexts, or prompts and answers.

    Raises
    ------
    RoofcalcError
        A prompt without an answer, an answer without a prompt, or both beside contexts.
    """
    if isl is None and osl is None:
        return [request.contexts(model, seq)]
    if isl is None or osl is None:
        raise RoofcalcError("isl, osl: a generation needs both, the input and the output tokens")
    if seq is not None:
        raise RoofcalcError("seq: give either contexts (--seq) or generations (--isl and --osl)")
    prompts, answers = whole(isl, "isl", MAX_TOKENS, 0), whole(osl, "osl", MAX_TOKENS)
    if prompts.max() + answers.max() > model.context:
        request.note(f"{model.name}: generations beyond the model's {model.context} tokens are computed all the same")
    return [prompts, answers]


def workload(grid: list[NDArray[Any]], kv_at: str | None, chunk: Any) -> Workload:
    """The workload of a grid whose first axes are those of `axes`.

    Raises
    ------
    RoofcalcError
        No such place, no such chunk, or either without generations.
    """
    chosen = kv_at or "end"
    if chosen not in KV_AT:
        raise RoofcalcError(f"kv_at: {chosen!r} is none of {', '.join(KV_AT)}{did_you_mean(chosen, KV_AT)}")
    size = None if chunk is None else one_whole(chunk, "chunk", MAX_TOKENS)
    if len(grid) == 1:
        if kv_at is not None or size is not None:
            raise RoofcalcError("kv_at, chunk: they are of generations; give --isl and --osl")
        return Workload(grid[0])
    prompts, answers = grid
    held = prompts + answers if chosen == "end" else prompts + np.ceil((answers + 1) / 2)
    return Workload(held, prompts, answers, chosen, size)
