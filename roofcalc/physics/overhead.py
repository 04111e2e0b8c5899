"""Fixed per-layer and per-step overhead: host work, small kernels, scheduling, sampling.

A fixed time per layer: LIMINAL, arXiv 2507.14397v2; in `typical` the constants of whole runs (`roofcalc.deployment.efficiency`).
"""

from __future__ import annotations

from typing import Any

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.specs.formula import formula


@formula("layers = layers·τ", "step = τ_step", "step, with sequences = τ_step + B_r·τ_seq")
def seconds(deployment: Deployment, stage: Stage, prompt: bool = False, sequences: Any = 0.0) -> Any:
    """Overhead of one pass through a stage, in seconds, in a decode step of so many sequences of a rank or in a prefill."""
    layers = sum(count for _, count in stage.groups)
    return layers * layer_seconds(deployment, prompt) + pass_seconds(deployment, prompt, sequences)


def layer_seconds(deployment: Deployment, prompt: bool = False) -> Any:
    """Overhead of one layer: `--layer-overhead-us` where it is given, else that of whole runs, in decode steps or in prefills."""
    given, profile = deployment.assumptions.layer_overhead_us, deployment.profile
    if given is not None or profile is None:
        return (given or 0.0) * 1e-6
    return (profile.constants.prompt_layer_us if prompt else profile.constants.layer_us) * 1e-6


def pass_seconds(deployment: Deployment, prompt: bool = False, sequences: Any = 0.0) -> Any:
    """Overhead of one pass through a stage beyond that of its layers: `--step-overhead-us`, else that of whole runs."""
    given, profile = deployment.assumptions.step_overhead_us, deployment.profile
    if given is not None or profile is None:
        return (given or 0.0) * 1e-6
    run = profile.constants
    return run.prompt_step_us * 1e-6 if prompt else run.step_us * 1e-6 + sequences * (run.sequence_us * 1e-6)


def request_seconds(deployment: Deployment) -> Any:
    """Per-request overhead before the first token, in `typical`: HTTP, tokenising, scheduling."""
    profile = deployment.profile
    return 0.0 if profile is None else profile.constants.request_ms * 1e-3
