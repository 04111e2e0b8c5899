"""Notes on what a deployment falls back to: formats that a device lacks, ends that stay in 16 bits, caches that several ranks hold."""

from roofcalc.deployment.deployment import Deployment
from roofcalc.specs import weight_recipes
from roofcalc.specs.attention_spec import AttentionSpec


def notes(deployment: Deployment) -> list[str]:
    """Notes on fallbacks and replication that affect the result."""
    model, device = deployment.model, deployment.hardware.device
    found = []
    found += _sixteen_bit_ends(deployment)
    wider: dict[tuple[str, str], list[str]] = {}  # dtypes of weights by the peak that is missing and the one that is taken
    for name in deployment.linear_classes:
        stored = deployment.weight_dtype(name)
        used = deployment.linear_format(name)
        if used is None:
            found.append(f"{device.name}: the catalog lists no peak FLOP/s for {stored.compute} or wider; latency cannot be computed")
            continue
        wanted = deployment.wanted_format(name)
        lacks = used != wanted and wanted != "fp16_acc16"  # most devices multiply fp16 at one rate, whatever the sums
        if lacks and not deployment.assumptions.is_bound and deployment.compute is None:
            wider.setdefault((wanted, used), []).extend(stored.name.split("+"))
    for (lacking, used), stored_as in wider.items():
        found.append(f"{device.name} has no {lacking} peak: GEMMs with {', '.join(dict.fromkeys(stored_as))} weights compute in {used}")
    if deployment.kv.compute == "fp8" and deployment.attention_format not in ("fp8", None) and not deployment.assumptions.is_bound:
        found.append(f"{device.name} has no fp8 peak: attention over the {deployment.kv.name} cache computes in {deployment.attention_format}")
    found += [_replicated(deployment, model.blocks[name].attention) for name in model.groups]
    found += [_states_of_hits(deployment)]
    return [text for text in dict.fromkeys(found) if text]


def _sixteen_bit_ends(deployment: Deployment) -> list[str]:
    """A sentence on what a narrow recipe leaves in 16 bits."""
    if not weight_recipes.parse(deployment.weights).linear_only:
        return []
    ends = deployment.weight_dtype("embed").name
    every = deployment.weight_dtype(next(iter(deployment.linear_classes))).name
    recipe = deployment.weights
    return [f"weights {recipe}: the blocks' linear layers; embedding and LM head stay {ends} as in published checkpoints (all={every}: every matrix)"]


def _replicated(deployment: Deployment, attention: AttentionSpec | None) -> str:
    """A sentence on cache entries that several tensor ranks hold."""
    layout, model = deployment.layout, deployment.model
    if attention is None or layout.tp == 1:
        return ""
    copies = attention.kv_copies(layout.tp) // layout.dcp
    return f"{model.name}: {attention.describe_copies(layout.tp, copies)} (--dcp shards it, --dp avoids copies)" if copies > 1 else ""


def _states_of_hits(deployment: Deployment) -> str:
    """A sentence on the states that cache hits need where layers are recurrent."""
    model = deployment.model
    if not deployment.assumptions.hit_rate or not any(model.blocks[name].state for name in model.groups):
        return ""
    return f"{model.name}: a cache hit needs the recurrent states at its end; the states that an engine keeps for that are not counted in memory"
