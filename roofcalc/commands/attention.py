"""What windows, fewer KV heads, latent or linear layers and narrower caches change, against context."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.physics.model_flops import attention_flops, bytes_per_sequence
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.specs.model import Model
from roofcalc.specs.variants import with_variant

AS_IT_IS = "as it is"


def attention(model: Names | Model, *, seq: Numbers | None = None, variant: Names | None = None, **options: Unpack[Options]) -> Table:
    """KV bytes and attention FLOPs per token of variants of a model, at every context, relative to the model as it is.

    Parameters
    ----------
    model
        Names, aliases or paths.
    seq : tokens
        Contexts (default 1k to 128k, up to the model's own).
    variant : str or list of str
        Changes such as "window=1024:5of6", "kv_heads=1", "linear=lightning:7of8", "kv=fp8" (`roofcalc.specs.variants`).

    Returns
    -------
    Table
        One row per model, KV dtype, variant and context. An exponent of 1 says that doubling the context doubles the
        figure, 0 that it does not grow: local layers change the constant, linear ones the order.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    request = Request("attention", columns.ATTENTION, model, None, options)
    wanted = [AS_IT_IS, *([variant] if isinstance(variant, str) else variant or [])]
    for base, kv, changes in request.models_alone():
        contexts = request.contexts(base, seq)
        first = None
        for text in wanted:
            changed, dtype = (base, None) if text == AS_IT_IS else with_variant(base, text)
            place = request.whole_place(changed, dtype or kv)
            held, doubled = (bytes_per_sequence(changed, place, n) for n in (contexts, 2 * contexts))
            flops, flops_doubled = (attention_flops(changed, place, n) for n in (contexts, 2 * contexts))
            first = first or (held, flops)
            with np.errstate(divide="ignore", invalid="ignore"):
                request.add_alone(
                    base,
                    changes,
                    kv=request.cache_dtype(changed, dtype or kv).name,
                    seq=contexts,
                    variant=text,
                    kv_gb_per_seq=held / 1e9,
                    kv_mb_per_token=held / contexts / 1e6,
                    sdpa_gflop_per_token=flops / 1e9,
                    relative_kv=held / first[0],
                    relative_flop=flops / first[1],
                    kv_exponent=np.log2(doubled / held),
                    flop_exponent=np.log2(flops_doubled / flops),
                )
    return request.table
