"""KV-cache size and attention FLOPs of variants of a model: windows, fewer KV heads, MLA, linear layers, narrower caches."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.physics.model_flops import attention_flops, bytes_per_sequence
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.specs.model import Model
from roofcalc.specs.variants import with_variant

UNCHANGED = "as it is"  # how the column `variant` names the model itself


@notes_idle_changes
def attention(model: Names | Model, *, seq: Numbers | None = None, variant: Names | None = None, **options: Unpack[Options]) -> Table:
    """KV bytes and attention FLOPs per token of a model's variants at every context, relative to the unchanged model.

    Parameters
    ----------
    model
        Names, aliases or paths.
    seq : tokens
        Contexts (default 1k to 128k, up to the model's maximum).
    variant : str or list of str
        Changes such as "window=1024:5of6", "kv_heads=1", "linear=lightning:7of8", "kv=fp8" (`roofcalc.specs.variants`).

    Returns
    -------
    Table
        One row per model, KV dtype, variant and context. An exponent of 1 means that doubling the context doubles the
        figure, 0 that it does not grow: sliding windows change the constant, linear attention the order of growth.

    Raises
    ------
    RoofcalcError
        Invalid arguments.
    """
    request = Request("attention", columns.ATTENTION, model, None, options)
    variants = [UNCHANGED, *([variant] if isinstance(variant, str) else variant or [])]
    for base, kv, changes in request.models_without_hardware():
        contexts = request.contexts(base, seq)
        first = None
        for text in variants:
            changed, dtype = (base, None) if text == UNCHANGED else with_variant(base, text)
            sharding = request.single_device_sharding(changed, dtype or kv)
            stored, stored_doubled = (bytes_per_sequence(changed, sharding, n) for n in (contexts, 2 * contexts))
            flops, flops_doubled = (attention_flops(changed, sharding, n) for n in (contexts, 2 * contexts))
            first = first or (stored, flops)
            with np.errstate(divide="ignore", invalid="ignore"):
                request.add_without_hardware(
                    base,
                    changes,
                    kv=request.cache_dtype(changed, dtype or kv).name,
                    seq=contexts,
                    variant=text,
                    kv_gb_per_seq=stored / 1e9,
                    kv_mb_per_token=stored / contexts / 1e6,
                    sdpa_gflop_per_token=flops / 1e9,
                    relative_kv=stored / first[0],
                    relative_flop=flops / first[1],
                    kv_exponent=np.log2(stored_doubled / stored),
                    flop_exponent=np.log2(flops_doubled / flops),
                )
    return request.table
