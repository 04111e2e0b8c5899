"""Fixed per-layer and per-step overhead: kernel launches, small operations, scheduling, sampling.

A fixed time per layer: LIMINAL, arXiv 2507.14397v2; in `typical` the device profile's (`roofcalc.deployment.efficiency`).
"""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.ops.registry import KINDS
from roofcalc.specs.formula import formula


@formula("layers = layers·τ", "layers, prefill = layers·τ·φ", "step = τ_step", "step, prefill = τ_step·φ")
def seconds(deployment: Deployment, stage: Stage, prompt: bool = False) -> float:
    """Overhead of one pass through a stage, in seconds, in a decode step or a prefill."""
    return sum(count * layer_seconds(deployment, name, prompt) for name, count in stage.groups) + pass_seconds(deployment, prompt)


def layer_seconds(deployment: Deployment, name: str, prompt: bool = False) -> float:
    """Overhead of one layer of a block: `--layer-overhead-us` where it is given, else the sum over its parts from the device profile."""
    given, profile = deployment.assumptions.layer_overhead_us, deployment.profile
    if given is not None or profile is None:
        return (given or 0.0) * 1e-6
    own = sum(profile.layer_overhead_us[KINDS[type(part)].overhead] for part in deployment.model.blocks[name].parts)
    return own * 1e-6 * (profile.prefill_overhead_factor if prompt else 1.0)


def pass_seconds(deployment: Deployment, prompt: bool = False) -> float:
    """Overhead of one pass through a stage beyond that of its layers: `--step-overhead-us`, else the device profile's."""
    given, profile = deployment.assumptions.step_overhead_us, deployment.profile
    if given is not None or profile is None:
        return (given or 0.0) * 1e-6
    return profile.step_overhead_us * 1e-6 * (profile.prefill_overhead_factor if prompt else 1.0)
