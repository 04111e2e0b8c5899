"""The options that every question takes, for type checkers and readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from roofcalc.commands.arguments import Names, Numbers
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Options(TypedDict, total=False):
    """What every question takes; each is optional.

    Attributes
    ----------
    weights, kv : str or list of str
        Dtypes of weights (default "native", the checkpoint's own) and of the KV cache (default: the checkpoint's
        16-bit type).
    compute : str
        Format of linear operations (default: what the weights ask for).
    comm_dtype, dispatch_dtype, combine_dtype : str
        Dtypes on the wire: of all-reduces (default: 16-bit), of tokens to experts (fp8 where these compute in fp8 or
        narrower, else 16-bit) and back (16-bit).
    tp, pp, dp, ep, dcp : int or list of int
        Tensor, pipeline, data, expert and decode context parallel degrees; what is left out is filled in.
    assume : "roofline", "bound" or "typical", or a list of them
        The preset that the following override one by one.
    engine : str
        In `typical`: an engine with measurements of its own.
    overlap, network, capacity, kv_policy : str
        See `roofcalc.assumptions.Assumptions`, also for the next two lines.
    mbu, mfu, link, util : float
    reserve_gb : float; kv_block, redundant_experts : int; imbalance : float; activations : bool
    layer_overhead_us, step_overhead_us : float
    draft, acceptance, draft_model, mtp
        Speculation: tokens drafted per step, the rate at which each is accepted (never assumed), and a smaller model, or the
        model's own multi-token-prediction layer, that drafts; without either, drafts cost nothing.
    changes : str or list of str
        Overrides such as "hardware.memory.bandwidth_gb_s=4000"; a range sweeps.
    executor : concurrent.futures.Executor
        What computes the rows: a pool of processes or threads, or any other (`roofcalc.solvers.parallel`); default: this process.
    """

    weights: Names
    kv: Names | None
    compute: str | None
    comm_dtype: str | None
    dispatch_dtype: str | None
    combine_dtype: str | None
    tp: Numbers | None
    pp: Numbers | None
    dp: Numbers | None
    ep: Numbers | None
    dcp: Numbers | None
    assume: Names
    engine: str | None
    overlap: str | None
    network: str | None
    mbu: float | None
    mfu: float | None
    link: float | None
    util: float | None
    reserve_gb: float | None
    capacity: str | None
    kv_policy: str | None
    kv_block: int | None
    imbalance: float | None
    redundant_experts: int | None
    activations: bool | None
    layer_overhead_us: float | None
    step_overhead_us: float | None
    draft: int | None
    acceptance: float | None
    draft_model: str | Model | None
    mtp: bool | None
    changes: Names
    executor: Executor | None
