"""Prompts whose first tokens are in the KV cache already: a prefix that all requests share, and hits of earlier requests.

The shared prefix (`--shared-prefix`, a system prompt) lies in the cache of every data-parallel rank once; of what follows it, each
prompt finds a fraction (`--hit-rate`). Prefill starts after the cached prefix and computes at least the last token, whose logits give
the first output token. Engines look up whole blocks; the part of a block that is computed again is not counted.
Where earlier caches lie in the host's memory or on its drives (`--offload kv=host:GB`), hits are fetched before the prefill, unless
computing them again is sooner; other requests go on meanwhile, so that fetching takes time from the first token alone.
Sources: prefix caching in vLLM, docs.vllm.ai/en/stable/design/prefix_caching; RadixAttention, arXiv 2312.07104.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory, offload
from roofcalc.physics.prefill import Prefill, prefill
from roofcalc.physics.recent import recent_prefill
from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


@formula("found = min(prefix + floor(hit_rate·(isl − prefix)), isl − 1)")
def found_tokens(deployment: Deployment, isl: Any) -> NDArray[Any]:
    """Tokens of prompts of `isl` tokens that need not be computed; 0 for empty prompts.

    They are in the cache when a prompt arrives, or fetched from another tier where that is sooner than computing them.
    """
    isl, assumed = np.asarray(isl, dtype=float), deployment.assumptions
    prefix = np.minimum(isl, assumed.shared_prefix)
    hits = np.floor(assumed.hit_rate * (isl - prefix) * (1 + 1e-12))
    found = np.asarray(np.maximum(np.minimum(prefix + hits, isl - 1), 0.0))
    if deployment.offload is None or not deployment.offload.has_tier or not deployment.has_time:
        return found
    at_hand, ranks = np.minimum(prefix, found), float(deployment.layout.dp)
    saved = prefill(deployment, isl - at_hand, at_hand, ranks).ttft_s - prefill(deployment, isl - found, found, ranks).ttft_s
    return np.asarray(np.where(tier_s(deployment, at_hand, found) < saved, found, at_hand))


@formula(
    "fetched = KV_found − KV_kept",
    "fetch, host = fetched/(σ·min(λ_h, β_h/devices))",
    "fetch, nvme = fetched_all/(σ·nvme)",
)
def tier_s(deployment: Deployment, prefix: Any, found: Any) -> NDArray[Any]:
    """Seconds to fetch the cache entries between `prefix` and `found` tokens of one sequence on each rank: all devices at once."""
    assert deployment.offload is not None
    host, offloaded = deployment.offload.host, deployment.offload
    kept = [memory.kv_bytes(deployment, stage, found) - memory.kv_bytes(deployment, stage, prefix) for stage in deployment.stages]
    of_device = np.maximum.reduce(kept)
    seconds = of_device / offload.stream_bytes_per_s(deployment, host)
    if offloaded.kv_nvme_gb:
        whole = sum(stage.count * one for stage, one in zip(deployment.stages, kept, strict=True)) * deployment.layout.tp * deployment.layout.dp
        seconds = np.maximum(seconds, whole / (host.figure("nvme_gb_s", "the read bandwidth of the host's drives") * 1e9 * host.stream))
    return np.asarray(np.where(np.asarray(found) > np.asarray(prefix), seconds, 0.0))


def fetch_s(deployment: Deployment, isl: Any) -> NDArray[Any]:
    """Seconds that a prompt of `isl` tokens waits for what it finds in another tier; 0 where nothing is fetched."""
    isl = np.asarray(isl, dtype=float)
    if deployment.offload is None or not deployment.offload.has_tier:
        return np.zeros(isl.shape)
    found = found_tokens(deployment, isl)
    return tier_s(deployment, np.minimum(found, deployment.assumptions.shared_prefix), found)


def first_token_s(deployment: Deployment, isl: Any, batch: Any = 1.0, chunk: float | None = None) -> NDArray[Any]:
    """Seconds to the first token of prompts on an idle machine: fetching what is found elsewhere, then the prefill of the rest."""
    return np.asarray(prompt_prefill(deployment, isl, batch, chunk).ttft_s + fetch_s(deployment, isl))


def prompt_prefill(deployment: Deployment, isl: Any, batch: Any = 1.0, chunk: float | None = None) -> Prefill:
    """Times of the prefill of whole prompts of `isl` tokens after the cached prefix; other parameters of `prefill`."""
    found = found_tokens(deployment, isl)
    return recent_prefill(deployment, np.asarray(isl, dtype=float) - found, found, batch, chunk)
