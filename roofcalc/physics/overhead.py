"""Time of a step that neither work nor messages account for: starting kernels, small operations, scheduling, sampling.

Source of a fixed time per layer: LIMINAL, arXiv 2507.14397v2; the figures in `roofcalc.measurements`.
"""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.ops.registry import KINDS


def seconds(deployment: Deployment, stage: Stage, prompt: bool = False) -> float:
    """Exposed time of one pass through a stage, of a decode step or of a prompt.

    Formulas
    --------
    exposed = layers·τ
    exposed, prompt = layers·τ·φ
    step = τ_step
    step, prompt = τ_step·φ
    """
    return sum(count * layer_seconds(deployment, name, prompt) for name, count in stage.groups) + pass_seconds(deployment, prompt)


def layer_seconds(deployment: Deployment, name: str, prompt: bool = False) -> float:
    """Of one layer of a block: given by hand, else the sum of what its parts take."""
    given, profile = deployment.assumptions.layer_overhead_us, deployment.profile
    if given is not None or profile is None:
        return (given or 0.0) * 1e-6
    own = sum(profile.exposed_us[KINDS[type(part)].overhead] for part in deployment.model.blocks[name].parts)
    return own * 1e-6 * (profile.prompt_factor if prompt else 1.0)


def pass_seconds(deployment: Deployment, prompt: bool = False) -> float:
    """Of one pass through a stage, besides its layers."""
    given, profile = deployment.assumptions.step_overhead_us, deployment.profile
    if given is not None or profile is None:
        return (given or 0.0) * 1e-6
    return profile.step_us * 1e-6 * (profile.prompt_factor if prompt else 1.0)
