"""FLOPs against context: per token, for a whole prompt, and where they become the limit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers, positive, whole
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError
from roofcalc.physics.model_flops import attention_flops, linear_flops, prefill_flops
from roofcalc.physics.ops.types import Sharding
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.weight_recipes import NATIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALONE = ("kv", "kv_policy", "changes")  # the options that a model without hardware takes


def flops(
    model: Names | Model,
    hardware: Names | Hardware | None = None,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    interactivity: Numbers | None = None,
    ttft: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """FLOPs of one token and of a whole prompt at every context; with hardware, the context at which FLOPs are the limit.

    Parameters
    ----------
    model : names
    hardware : names, optional
    seq : tokens
        Contexts (default 1k to 128k, up to the model's own).
    batch : sequences
        For the FLOP-limited context (default 1).
    interactivity : tok/s/user
        Speed at which the FLOPs wanted are counted (default 30).
    ttft : seconds
        In place of interactivity: the prompt whose FLOPs take so long.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    pace = columns.TTFT_ASKED if ttft is not None else columns.MIN_INTERACTIVITY
    request = Request("flops", columns.FLOPS, model, hardware, options, (), (columns.BATCH, pace) if hardware is not None else ())
    batches = whole(1 if batch is None else batch, "batch", solver.MAX_BATCH)
    if hardware is None:
        if any(value is not None for value in (batch, interactivity, ttft)):
            raise RoofcalcError("flops: batch, interactivity and ttft need hardware, whose FLOPs they may exceed")
        if idle := [name for name, value in options.items() if value and value != NATIVE and name not in ALONE]:
            raise RoofcalcError(f"flops: {', '.join(idle)}: FLOPs of a model alone do not depend on it; give hardware too")
        for base, kv, changes in request.models_alone():
            contexts = request.contexts(base, seq)
            dtype = request.cache_dtype(base, kv).name
            request.add_alone(base, changes, kv=dtype, seq=contexts, **_figures(base, request.whole_place(base, kv), contexts))
        return request.table
    if interactivity is not None and ttft is not None:
        raise RoofcalcError("flops: either --interactivity or --ttft sets the pace, not both")
    if ttft is None:
        rates = positive(30 if interactivity is None else interactivity, "interactivity", 0, 1e9)
        if interactivity is None:
            request.note("flop_limited_seq: at 30 tok/s for each user (--interactivity)")
    else:
        rates = 1 / positive(ttft, "ttft", 1e-6, 1e9)
        request.note("flop_limited_seq: the prompt whose FLOPs alone take the time to first token")
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq)
        place = request.whole_place(deployment.model, deployment.kv.name)
        request.fill(deployment, changes, (contexts, batches, rates), partial(_rows, deployment, place, ttft is not None))
    return request.answer()


def _rows(deployment: Deployment, place: Sharding, is_prompt: bool, seq: NDArray[Any], batch: NDArray[Any], rate: NDArray[Any]) -> dict[str, Any]:
    limit = np.full(seq.shape, np.nan)
    if deployment.has_time:
        find = solver.flop_limited_prompt if is_prompt else solver.flop_limited_context
        pairs = list(zip(batch.tolist(), rate.tolist(), strict=True))
        each = list(dict.fromkeys(pairs))
        known = dict(zip(each, find(deployment, *np.array(each).T).tolist(), strict=True))
        limit = np.array([known[pair] for pair in pairs])
    figures = _figures(deployment.model, place, seq)
    return {"seq": seq, **figures, "flop_limited_seq": limit, "batch": batch, **_pace(is_prompt, rate)}


def _pace(is_prompt: bool, rate: Any) -> dict[str, Any]:
    return {"max_ttft_s": 1 / rate} if is_prompt else {"min_interactivity_tok_s": rate}


def _figures(model: Model, place: Any, seq: Any) -> dict[str, Any]:
    attention, linear = attention_flops(model, place, seq), linear_flops(model)
    return {
        "sdpa_gflop_per_token": attention / 1e9,
        "linear_gflop_per_token": linear / 1e9,
        "total_gflop_per_token": (attention + linear) / 1e9,
        "prefill_tflop": prefill_flops(model, place, seq) / 1e12,
    }
