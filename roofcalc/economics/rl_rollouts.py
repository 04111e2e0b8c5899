"""Data for reinforcement learning: how many tokens problems × rollouts generate, and the FLOPs to make, check and train on them.

Knows counts and parameters alone. A token's forward pass takes 2·N FLOPs, a backward pass twice as many (arXiv 2001.08361,
section 2.1, and 2203.15556).
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Array
from roofcalc.specs.formula import formula

FORWARD = 2.0  # FLOPs per parameter and token
TRAIN = 6.0  # forward and backward


@formula("G = problems·(rollouts·suffix + prefix)")
def generated_tokens(problems: Array, rollouts: Array, tokens: Array, prefix: Array) -> Array:
    """Tokens that go through the model: each rollout's own, and once per problem what its rollouts share."""
    return problems * (rollouts * tokens + prefix)


@formula("generation = 2·params·G + attention_flop")
def generation_flop(active: float, generated: Array, attention: Array) -> Array:
    """FLOPs of generating: products by weights, and `attention` in all."""
    return FORWARD * active * generated + attention


@formula("pass = 2·params·G")
def pass_flop(params: float, generated: Array) -> Array:
    """FLOPs of one pass of a verifier or reward model over all that was generated."""
    return FORWARD * params * generated


@formula("train = κ·G·(6·params + 2·params·(forwards − 1))")
def train_flop(active: float, generated: Array, kept: float, forwards: float) -> Array:
    """FLOPs of training on the share `kept`, with `forwards` forward passes for each backward pass.

    More than one: old and reference policies, value models.
    """
    return kept * generated * (TRAIN * active + FORWARD * active * (forwards - 1))


@formula("pretrain = 6·params·train_tokens")
def pretrain_flop(active: float, tokens: float) -> float:
    """FLOPs of pre-training."""
    return TRAIN * active * tokens
