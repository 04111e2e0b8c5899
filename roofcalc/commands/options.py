"""The options that every command shares, as a typed dictionary for type checkers and readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from roofcalc.commands.arguments import Names, Numbers
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Options(TypedDict, total=False):
    """The options that every command shares; all are optional.

    Attributes
    ----------
    weights, kv : str or list of str
        Dtypes of the weights (default "native", as in the checkpoint) and of the KV cache (default: the checkpoint's
        16-bit type).
    compute : str
        Format in which GEMMs compute (default: determined by the weights).
    comm_dtype, dispatch_dtype, combine_dtype : str
        Dtypes of messages: all-reduces (default: 16-bit), dispatch of tokens to experts (fp8 if the experts compute in fp8 or
        narrower, otherwise 16-bit) and combine (16-bit).
    tp, pp, dp, ep, dcp : int or list of int
        Tensor, pipeline, data, expert and decode-context parallel degrees; degrees that are not given are chosen.
    assume : "roofline", "bound" or "typical", or a list of them
        The preset; the options below override its values one by one.
    engine : str
        vllm, sglang, tensorrt-llm, llama.cpp or mlx, with a release where wanted (vllm-0.16), or none: the engine whose memory
        rules apply, in any preset, and in `typical` whose measurements are used, where there are any.
    max_batched_tokens, max_seqs : int
        Tokens of the engine's largest step, and sequences of one replica, which cap the batch too.
    overlap, network, capacity, kv_policy, prefill, arrivals : str
        See `roofcalc.deployment.assumptions.Assumptions`, also for the next three lines.
    shared_prefix : int; hit_rate : float
        Tokens that all prompts begin with, and the fraction of the rest of a prompt that is found in the cache.
    mbu, mfu, link, util : float
    reserve_gb : float; kv_block, redundant_experts : int; imbalance : float; routing : str; activations : bool
    images : str
        Images of every prompt: COUNT@WIDTHxHEIGHT, by the family's rule, or COUNT@TOKENS (`roofcalc.deployment.images`).
    lora : str
        LoRA adapters loaded with the model: rank=16,count=40 (`roofcalc.deployment.lora`).
    layer_overhead_us, step_overhead_us, collective_latency_us : float
    profile : path
        A file of `fit(..., save_profile=...)`: its efficiencies go before the preset's, and after those given here.
    draft, acceptance, accepted, drafter, draft_model, mtp
        Speculative decoding: tokens drafted per step, the probability that a draft token is accepted or the mean tokens accepted per step
        (one of them; no default), and what drafts: "eagle" or "ngram", a smaller model, or the model's own multi-token-prediction
        layer; without any, drafting is free.
    offload, gpu_layers, host
        What lies in the host's memory ("experts=cpu", "weights=host:40"), the layers that the devices hold, and figures of the host
        that the catalog lacks ("memory_gb_s=400,tflop_s=5"): `roofcalc.deployment.offload`.
    changes : str or list of str
        Overrides such as "hardware.memory.bandwidth_gb_s=4000" (`--set`); a range sweeps over its values.
    executor : concurrent.futures.Executor
        Computes the rows: a pool of processes or threads, or any other executor (`roofcalc.solvers.parallel`); default: this process.
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
    prefill: str | None
    arrivals: str | None
    shared_prefix: Numbers | None
    hit_rate: float | None
    kv_block: int | None
    imbalance: float | None
    routing: str | None
    redundant_experts: int | None
    activations: bool | None
    layer_overhead_us: float | None
    step_overhead_us: float | None
    collective_latency_us: float | None
    profile: str | Path | None
    max_batched_tokens: int | None
    max_seqs: int | None
    images: str | None
    lora: str | None
    draft: int | None
    acceptance: float | None
    accepted: float | None
    drafter: str | None
    draft_model: str | Model | None
    mtp: bool | None
    offload: str | None
    gpu_layers: int | None
    host: str | None
    changes: Names
    executor: Executor | None
