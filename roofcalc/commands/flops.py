"""Model FLOPs against context: per token, for a whole prompt, and the context at which compute becomes the limit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_RATE, MIN_RATE, Names, Numbers, number_array
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.workload import batch_sizes
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError, flag
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

WITHOUT_HARDWARE = ("kv", "kv_policy", "changes")  # options that affect the FLOPs of a model without hardware


@notes_idle_changes
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
    """FLOPs of one token and of a whole prompt at every context; with hardware, the context at which compute is the limit.

    Parameters
    ----------
    model : names
    hardware : names, optional
    seq : tokens
        Contexts (default 1k to 128k, up to the model's maximum).
    batch : sequences
        Batch at which `flop_limited_seq` is computed (default 1).
    interactivity : tok/s/user
        Speed at which `flop_limited_seq` is computed: the longest context whose FLOPs per token the hardware can sustain (default 30).
    ttft : seconds
        Instead of interactivity: `flop_limited_seq` is the longest prompt whose FLOPs take no longer than this.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    target = columns.MAX_TTFT_S if ttft is not None else columns.MIN_INTERACTIVITY
    request = Request("flops", columns.FLOPS, model, hardware, options, (), (columns.BATCH, target) if hardware is not None else ())
    batches = batch_sizes(batch)
    if hardware is None:
        if any(value is not None for value in (batch, interactivity, ttft)):
            raise RoofcalcError("flops: --batch, --interactivity and --ttft need hardware")
        if unused := [flag(name) for name, value in options.items() if value and value != NATIVE and name not in WITHOUT_HARDWARE]:
            raise RoofcalcError(f"flops: {', '.join(unused)}: no effect on the FLOPs of a model without hardware; name the hardware too")
        for base, kv, changes in request.models_without_hardware():
            contexts = request.contexts(base, seq)
            dtype = request.cache_dtype(base, kv).name
            sharding = request.single_device_sharding(base, kv)
            request.add_without_hardware(base, changes, kv=dtype, seq=contexts, **_figures(base, sharding, contexts))
        return request.table
    if interactivity is not None and ttft is not None:
        raise RoofcalcError("flops: give --interactivity or --ttft, not both")
    if ttft is None:
        targets = number_array(defaults.INTERACTIVITY if interactivity is None else interactivity, "--interactivity", 0, MAX_RATE)
        if interactivity is None:
            request.note(f"flop_limited_seq: at {units.plain(defaults.INTERACTIVITY)} tok/s for each user (--interactivity)")
    else:
        targets = number_array(ttft, "--ttft", MIN_RATE, MAX_RATE)
        request.note("flop_limited_seq: the longest prompt whose FLOPs alone take no longer than the time to first token")
    for deployment, changes in request.deployments():
        contexts = request.contexts(deployment.model, seq)
        sharding = request.single_device_sharding(deployment.model, deployment.kv.name)
        request.fill(deployment, changes, (contexts, batches, targets), partial(_rows, deployment, sharding, target.name))
    return request.answer()


def _rows(
    deployment: Deployment, sharding: Sharding, target_column: str, seq: NDArray[Any], batch: NDArray[Any], target: NDArray[Any]
) -> dict[str, Any]:
    """Result columns; `target` holds the values of `target_column`: seconds to the first token, or tok/s/user."""
    limit = np.full(seq.shape, np.nan)
    if deployment.has_time:
        pairs = list(zip(batch.tolist(), target.tolist(), strict=True))
        distinct = list(dict.fromkeys(pairs))
        batches, targets = np.array(distinct).T
        if target_column == columns.MAX_TTFT_S.name:
            solved = solver.flop_limited_prompt(deployment, batches, 1 / targets)
        else:
            solved = solver.flop_limited_context(deployment, batches, targets)
        by_pair = dict(zip(distinct, solved.tolist(), strict=True))
        limit = np.array([by_pair[pair] for pair in pairs])
    return {"seq": seq, **_figures(deployment.model, sharding, seq), "flop_limited_seq": limit, "batch": batch, target_column: target}


def _figures(model: Model, sharding: Sharding, seq: NDArray[Any]) -> dict[str, Any]:
    attention, linear = attention_flops(model, sharding, seq), linear_flops(model)
    return {
        "sdpa_gflop_per_token": attention / 1e9,
        "linear_gflop_per_token": linear / 1e9,
        "total_gflop_per_token": (attention + linear) / 1e9,
        "prefill_tflop": prefill_flops(model, sharding, seq) / 1e12,
    }
