"""Workload arguments that several commands share: contexts or whole generations, and the required interactivity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc import units
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_RATE, MAX_TOKENS, Numbers, integer_array, number_array, single_integer, single_number
from roofcalc.commands.grid import iter_chunks
from roofcalc.commands.request import MAX_KEPT, Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.physics import memory
from roofcalc.solvers import fit_advice
from roofcalc.solvers.max_batch import MAX_BATCH
from roofcalc.solvers.workload import Workload
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

KV_AT = ("end", "mean")


def axes(request: Request, model: Model, seq: Numbers | None, isl: Numbers | None, osl: Numbers | None) -> list[NDArray[Any]]:
    """The axes of a request's grid in tokens: one of contexts, or one of prompt lengths and one of output lengths.

    Raises
    ------
    RoofcalcError
        Only one of isl and osl, or either of them together with seq.
    """
    if isl is None and osl is None:
        if request.options.get("images") is not None:
            raise RoofcalcError("--images: only for prompts; give --isl and --osl")
        return [request.contexts(model, seq)]
    if isl is None or osl is None:
        raise RoofcalcError("--isl, --osl: a generation needs both, the input and the output tokens")
    if seq is not None:
        raise RoofcalcError("--seq: give either contexts (--seq) or generations (--isl and --osl)")
    prompts, outputs = integer_array(isl, "--isl", MAX_TOKENS, 0) + request.image_tokens(model), integer_array(osl, "--osl", MAX_TOKENS)
    request.note_context(model, prompts.max() + outputs.max())
    check_prompts(request, prompts)
    return [prompts, outputs]


def check_prompts(request: Request, prompts: NDArray[Any]) -> None:
    """Refuses prompts that are shorter than the shared prefix, which they include.

    Raises
    ------
    RoofcalcError
        A shorter prompt.
    """
    prefix = request.assumptions.shared_prefix
    if (prompts < prefix).any():
        raise RoofcalcError(f"--shared-prefix: prompts include its {prefix:,} tokens; one has {units.plain(prompts.min())}")


def workload(grid: list[NDArray[Any]], kv_at: str | None, chunk: Any) -> Workload:
    """The workload at the points of a grid: `grid` holds contexts, or prompt and output lengths, as flat arrays.

    Raises
    ------
    RoofcalcError
        An invalid kv_at or chunk, or either of them for contexts.
    """
    chosen = kv_at or "end"
    if chosen not in KV_AT:
        raise invalid_choice("--kv-at", chosen, KV_AT)
    tokens = chunk_tokens(chunk)
    if len(grid) == 1:
        if kv_at is not None or tokens is not None:
            raise RoofcalcError("--kv-at, --chunk: only for generations; give --isl and --osl")
        return Workload(grid[0])
    prompts, outputs = grid
    held = prompts + outputs if chosen == "end" else prompts + np.ceil((outputs + 1) / 2)
    return Workload(held, prompts, outputs, chosen, tokens)


def chunk_tokens(value: Any) -> float | None:
    """Tokens of the largest prefill step; None if a prompt is processed in one step."""
    return None if value is None else float(single_integer(value, "--chunk", MAX_TOKENS))


def batch_sizes(value: Numbers | None, default: Numbers = defaults.BATCH) -> NDArray[Any]:
    """Numbers of sequences in flight over the whole system."""
    return integer_array(default if value is None else value, "--batch", MAX_BATCH)


def generation_options(isl: Any, osl: Any, chunk: Any) -> tuple[str, ...]:
    """The generation options that were given, as names of assumption columns."""
    generations = isl is not None or osl is not None
    return (*(("isl", "osl", "kv_at") if generations else ()), *(("chunk",) if chunk is not None else ()))


def note_prompts_of_others(request: Request, isl: Any) -> None:
    """Notes what the speed of generations counts: the prompts of other requests, or none where another pool prefills them."""
    served = [one for one in request.presets if not one.is_bound]
    if isl is not None and any(one.prefill != "separate" for one in served):
        alone = "; decode_tok_s is the speed without it" if any(column.name == "decode_tok_s" for column in request.table.columns) else ""
        request.note(f"interactivity: includes the prefill of other requests (--prefill){alone}")
    if request.options.get("prefill") == "separate":
        request.note("--prefill separate: another pool prefills; its devices are not counted (frontier --disaggregated counts both)")
    else:
        _note_prefill_of_bound(request)


def _note_prefill_of_bound(request: Request) -> None:
    """Notes that `bound` does not depend on where prompts are prefilled, where that was given."""
    if request.options.get("prefill") is not None and any(one.is_bound for one in request.presets):
        request.note("bound: a floor wherever prompts are prefilled, so that --prefill changes nothing there")


def note_other_pool(request: Request) -> None:
    """Notes where the cost counts a second pool, for commands whose figures are those of both."""
    if any(one.prefill == "separate" and not one.is_bound for one in request.presets):
        request.note("--prefill separate: the prompts are read by other devices of the same kind in the same layout; the cost counts their time too")
    _note_prefill_of_bound(request)


def required_interactivity(request: Request, value: Numbers | None) -> NDArray[Any]:
    """The lowest acceptable speeds in tok/s/user; a note if the default applies."""
    _note_default(request, value, "user")
    return number_array(defaults.INTERACTIVITY if value is None else value, "--interactivity", 0, MAX_RATE)


def required_speed(request: Request, value: Numbers | None, receiver: str = "user") -> float:
    """The lowest acceptable speed in tok/s, for commands that take a single one; a note if the default applies."""
    _note_default(request, value, receiver)
    return single_number(defaults.INTERACTIVITY if value is None else value, "--interactivity", 0, MAX_RATE)


def _note_default(request: Request, value: Numbers | None, receiver: str) -> None:
    if value is None:
        request.note(f"interactivity: at least {units.plain(defaults.INTERACTIVITY)} tok/s for each {receiver} (--interactivity)")


def note_single_user(request: Request, placed: Deployment, points: list[NDArray[Any]], kv_at: str | None, chunk: Any, least: NDArray[Any]) -> None:
    """A note on the speed of a single user, where even with the shortest context it is below every speed of `least` that is asked for."""
    work = workload([axis.min(keepdims=True) for axis in points], kv_at, chunk)
    if not placed.has_time or memory.batch_memory(placed, work.seq)[0] < 1:
        return
    alone = float(placed.accepted / work.served_step(work.step(placed)).seconds(np.ones(1))[0])
    if alone < least.min():
        where = f"{placed.model.name} on {placed.hardware.name}"
        request.note(f"{where}: a single user gets {alone:.4g} tok/s, less than the {least.min():g} required (--interactivity)")


def note_what_would_fit(request: Request, placed: Deployment, points: list[NDArray[Any]], kv_at: str | None, chunk: Any) -> None:
    """A note on the first point whose sequences do not fit; of a grid too large to look through, on the longest sequence."""
    longest = [axis.max(keepdims=True) for axis in points]
    if memory.batch_memory(placed, workload(longest, kv_at, chunk).seq).all():  # more tokens never take less memory
        return
    for some in iter_chunks(points if math.prod(axis.size for axis in points) <= MAX_KEPT else longest):
        held = workload(some, kv_at, chunk).seq
        if not (fits := memory.batch_memory(placed, held)).all():
            request.note(fit_advice.what_would_fit(placed, float(held[np.argmin(fits)])))
            return
