"""What the sequences of a request are: held at one context, or whole generations from a prompt to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.commands.arguments import MAX_TOKENS, Numbers, one_whole, whole
from roofcalc.commands.request import Request
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.solvers.workload import Workload
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

KV_AT = ("end", "mean")
SEARCHED_SEQ = 8000  # the context of a search, where none is given


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
