"""Overtraining: a smaller model trained longer to the same loss costs more training FLOPs and fewer inference FLOPs per token.

Uses scaling laws only: training takes 6·N·D FLOPs and inference 2·N per token, for N parameters and D training tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

BISECTIONS = 200  # enough to narrow any interval to two adjacent floats


@formula("loss = E_law + A_law/params^α_law + B_law/train_tokens^β_law")
class Law(Record):
    """A scaling law: the loss of a model with N parameters after D training tokens."""

    name: str
    E: float
    A: float
    B: float
    alpha: float
    beta: float
    source: str


LAWS = {
    law.name: law
    for law in (
        Law("hoffmann", 1.69, 406.4, 410.7, 0.34, 0.28, "https://arxiv.org/abs/2203.15556"),
        Law("besiroglu", 1.8172, 482.01, 2085.43, 0.3478, 0.3658, "https://arxiv.org/abs/2404.10102"),
    )
}


@formula("train_tokens = (β_law·B_law/(α_law·A_law)·params^α_law)^(1/β_law)")
def optimal_tokens(law: Law, params: Any) -> NDArray[Any]:
    """Compute-optimal number of training tokens for a model of `params` parameters.

    The minimum of L for constant 6·N·D is where α·A/N^α = β·B/D^β.
    """
    params = np.asarray(params, dtype=float)
    return np.asarray((law.beta * law.B / (law.alpha * law.A) * params**law.alpha) ** (1 / law.beta))


@formula("token_ratio = (1 + β_law/α_law·(1 − fold^α_law))^(−1/β_law)")
def token_ratio(law: Law, fold: Any) -> NDArray[Any]:
    """D'/D with which a model of N/r parameters (r = `fold`) reaches the loss of the compute-optimal one; inf where none suffices."""
    fold = np.asarray(fold, dtype=float)
    left = 1 + law.beta / law.alpha * (1 - fold**law.alpha)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.maximum(left, 0.0) ** (-1 / law.beta))


@formula("train_flop_ratio = token_ratio/fold")
def train_flop_ratio(law: Law, fold: Any) -> NDArray[Any]:
    """Training FLOPs over the compute-optimal ones at equal loss, for N/r parameters (r = `fold`)."""
    return np.asarray(token_ratio(law, fold) / np.asarray(fold, dtype=float))


@formula("largest fold = (1 + α_law/β_law)^(1/α_law)")
def max_fold(law: Law) -> float:
    """Limit of the size reduction r at equal loss as training FLOPs go to infinity."""
    return float((1 + law.alpha / law.beta) ** (1 / law.alpha))


def fold_for(law: Law, train_ratio: Any) -> NDArray[Any]:
    """Size reduction r at equal loss for `train_ratio` (at least 1) times the compute-optimal training FLOPs, by bisection."""
    wanted = np.asarray(train_ratio, dtype=float)
    low, high = np.ones(wanted.shape), np.full(wanted.shape, max_fold(law))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = train_flop_ratio(law, middle) <= wanted
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return np.where(wanted > 1, low, 1.0)  # the optimum is flat: adjacent values have equal cost in floats


@formula("break_even = 3·train_tokens·(train_flop_ratio − 1)/(1 − 1/fold)")
def break_even_tokens(train_ratio: Any, fold: Any, train_tokens: Any) -> NDArray[Any]:
    """Number of inference tokens at which the savings of the smaller model equal its additional training FLOPs; 0 for r = 1.

    Parameters
    ----------
    train_tokens
        Of the compute-optimal model. N cancels: 6·N·D·(ratio − 1) additional FLOPs, 2·N·(1 − 1/r) saved per token.
    """
    ratio, fold = np.asarray(train_ratio, dtype=float), np.asarray(fold, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        tokens = 3 * np.asarray(train_tokens, dtype=float) * (ratio - 1) / (1 - 1 / fold)
    return np.where(fold > 1, tokens, 0.0)
