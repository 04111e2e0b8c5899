"""Rollouts for reinforcement learning: generated tokens, and the FLOPs to generate, verify and train on them.

A forward pass takes 2·N FLOPs per token and a backward pass twice as many (arXiv 2001.08361, section 2.1, and 2203.15556).
"""

from __future__ import annotations

from roofcalc.physics.kv_span import Array

FORWARD = 2.0  # FLOPs per parameter and token
TRAIN = 6.0  # forward and backward


def generated_tokens(problems: Array, rollouts: Array, tokens: Array, prefix: Array) -> Array:
    """Tokens processed by the model: the tokens of each rollout, and once per problem the prefix that its rollouts share.

    Formulas
    --------
    G = problems·rollouts·tokens + problems·prefix
    """
    return problems * (rollouts * tokens + prefix)


def generation_flop(active: float, generated: Array, attention: Array) -> Array:
    """FLOPs of generation: GEMMs, and `attention` FLOPs in total.

    Formulas
    --------
    generation = 2·N·G + attention
    """
    return FORWARD * active * generated + attention


def pass_flop(params: float, generated: Array) -> Array:
    """FLOPs of one forward pass of a verifier or reward model over the generated tokens.

    Formulas
    --------
    pass = 2·N·G
    """
    return FORWARD * params * generated


def train_flop(active: float, generated: Array, kept: float, forwards: float) -> Array:
    """FLOPs of training on the fraction `kept` of the tokens, with `forwards` forward passes per backward pass.

    Additional forward passes are those of old and reference policies and of value models.

    Formulas
    --------
    train = κ·G·(6·N + 2·N·(forwards − 1))
    """
    return kept * generated * (TRAIN * active + FORWARD * active * (forwards - 1))


def pretrain_flop(active: float, tokens: float) -> float:
    """FLOPs of pre-training with N = `active` parameters on D = `tokens` tokens.

    Formulas
    --------
    pretrain = 6·N·D
    """
    return TRAIN * active * tokens
