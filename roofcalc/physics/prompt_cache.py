"""Prompts whose first tokens are in the KV cache already: a prefix that all requests share, and hits of earlier requests.

The shared prefix (`--shared-prefix`, a system prompt) lies in the cache of every data-parallel rank once; of what follows it, each
prompt finds a fraction (`--hit-rate`). Prefill starts behind what was found and computes at least the last token, whose logits give
the first output token. Engines look up whole blocks; the part of a block that is computed again is not counted.
Sources: prefix caching in vLLM, docs.vllm.ai/en/stable/design/prefix_caching; RadixAttention, arXiv 2312.07104.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.prefill import Prefill, prefill
from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


@formula("found = min(prefix + floor(hit_rate·(isl − prefix)), isl − 1)")
def found_tokens(deployment: Deployment, isl: Any) -> NDArray[Any]:
    """Tokens of prompts of `isl` tokens that are in the cache when they arrive; 0 for empty prompts."""
    isl, assumed = np.asarray(isl, dtype=float), deployment.assumptions
    prefix = np.minimum(isl, assumed.shared_prefix)
    hits = np.floor(assumed.hit_rate * (isl - prefix) * (1 + 1e-12))
    return np.asarray(np.maximum(np.minimum(prefix + hits, isl - 1), 0.0))


def prompt_prefill(deployment: Deployment, isl: Any, batch: Any = 1.0, chunk: float | None = None) -> Prefill:
    """Times of the prefill of whole prompts of `isl` tokens behind what is in the cache; other parameters of `prefill`."""
    found = found_tokens(deployment, isl)
    return prefill(deployment, np.asarray(isl, dtype=float) - found, found, batch, chunk)
