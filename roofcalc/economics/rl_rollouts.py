"""Rollouts for reinforcement learning: generated tokens, and the FLOPs to generate, verify and train on them.

A forward pass takes 2·N FLOPs per token and a backward pass twice as many (arXiv 2001.08361, section 2.1, and 2203.15556).
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Array
from roofcalc.specs.formula import formula

FORWARD = 2.0  # FLOPs per parameter and token
TRAIN = 6.0  # forward and backward


@formula("G = problems·(rollouts·suffix + prefix)")
def generated_tokens(problems: Array, rollouts: Array, tokens: Array, prefix: Array) -> Array:
    """Tokens processed by the model: the tokens of each rollout, and once per problem the prefix that its rollouts share."""
    return problems * (rollouts * tokens + prefix)


@formula("generation = 2·params·G + attention_flop")
def generation_flop(active: float, generated: Array, attention: Array) -> Array:
    """FLOPs of generation: GEMMs, and `attention` FLOPs in total."""
    return FORWARD * active * generated + attention


@formula("pass = 2·params·G")
def pass_flop(params: float, generated: Array) -> Array:
    """FLOPs of one forward pass of a verifier or reward model over the generated tokens."""
    return FORWARD * params * generated


@formula("train = κ·G·(6·params + 2·params·(forwards − 1))")
def train_flop(active: float, generated: Array, kept: float, forwards: float) -> Array:
    """FLOPs of training on the fraction `kept` of the tokens, with `forwards` forward passes per backward pass.

    Additional forward passes are those of old and reference policies and of value models.
    """
    return kept * generated * (TRAIN * active + FORWARD * active * (forwards - 1))


@formula("pretrain = 6·params·train_tokens")
def pretrain_flop(active: float, tokens: float) -> float:
    """FLOPs of pre-training with N = `active` parameters on D = `tokens` tokens."""
    return TRAIN * active * tokens
