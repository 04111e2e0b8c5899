"""Demands of `plan` and `compare` from their arguments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.commands.arguments import Numbers
from roofcalc.commands.request import Request
from roofcalc.commands.request_mix import mix as mix_of
from roofcalc.commands.workload import axes, check_prompts, workload
from roofcalc.errors import RoofcalcError
from roofcalc.solvers.planner.demand import Demand
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def split_lists(hardware: Any) -> Any:
    """Several arguments, each of which may be a comma list, as one list."""
    if not isinstance(hardware, list) or not all(isinstance(text, str) for text in hardware):
        return hardware
    return [name for text in hardware for name in ([text] if os.path.isfile(text) else text.split(","))]


def demand_of(
    request: Request,
    model: Model,
    seq: Numbers | None,
    isl: Numbers | None,
    osl: Numbers | None,
    mix: str | None,
    kv_at: str | None,
    chunk: Any,
    loads: dict[str, NDArray[Any]],
) -> Demand:
    """Every combination of requests (or contexts) and loads; the requests vary slowest."""
    if mix is not None:
        if isl is not None or osl is not None or seq is not None:
            raise RoofcalcError("--mix: give either a file of requests (--mix), or --isl and --osl, or contexts (--seq)")
        kinds = mix_of(mix)
        request.note_context(model, kinds.isl + kinds.osl)
        check_prompts(request, kinds.isl)
        work, parts, number = workload([kinds.isl, kinds.osl], kv_at, chunk), kinds.parts, [np.zeros(1, dtype=np.intp)]
        of_work = work.at(np.arange(parts.size)[np.newaxis])
    else:
        points = request.cross(*axes(request, model, seq, isl, osl))
        work, parts, number = workload(points, kv_at, chunk), np.ones(1), [np.arange(points[0].size)]
        of_work = work.at(np.arange(points[0].size)[:, np.newaxis])
    which, *each = request.cross(*number, *loads.values())
    chosen = of_work.at(which.astype(np.intp))
    prompts = chosen.seq if chosen.isl is None else chosen.isl
    load: dict[str, Any] = {"batch": None, "rate": None, **dict(zip(loads, each, strict=True))}
    return Demand(prompts, chosen.osl, chosen.seq, parts, chunk=work.chunk, **load)
