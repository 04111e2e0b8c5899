"""Several answers to one question: the chance that one of them, the majority's, or a verifier's choice is right.

Knows chances alone: what answers cost is in `roofcalc.economics.cost` and the steps that they share.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray


@formula("pass_at_k = 1 − (1 − accuracy)^answers")
def pass_at_k(accuracy: Any, answers: Any) -> NDArray[Any]:
    """Chance that at least one of `answers` independent answers is right (arXiv 2107.03374, section 2.1)."""
    accuracy = np.asarray(accuracy, dtype=float)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.asarray(answers, dtype=float) * np.log1p(-accuracy)))


def majority_accuracy(accuracy: float, answers: int) -> float:
    """Chance that more than half of `answers` are right, where all the wrong ones agree; a tie counts half.

    That wrong answers agree is the worst case of a vote (arXiv 2203.11171 lets them scatter over many). With accuracy p and n answers
    it is the binomial tail Σ C(n, i)·p^i·(1 − p)^(n − i) over i > n/2, and half the term i = n/2.
    """
    if accuracy in (0.0, 1.0):
        return accuracy
    right = np.arange(answers // 2, answers + 1) if answers % 2 == 0 else np.arange(answers // 2 + 1, answers + 1)
    ways = math.lgamma(answers + 1) - _log_factorials(right) - _log_factorials(answers - right)
    terms = np.exp(ways + right * math.log(accuracy) + (answers - right) * math.log1p(-accuracy))
    if answers % 2 == 0:
        terms[0] /= 2
    return min(1.0, float(terms.sum()))


def _log_factorials(numbers: NDArray[Any]) -> NDArray[Any]:
    return np.array([math.lgamma(n + 1) for n in numbers.tolist()])


@formula(
    "accepted = accuracy·recall + (1 − accuracy)·false_positive",
    "verifier = (1 − (1 − accepted)^answers)·accuracy·recall/accepted + (1 − accepted)^answers·accuracy·(1 − recall)/(1 − accepted)",
)
def verifier_accuracy(accuracy: Any, answers: Any, recall: Any, false_positive: Any) -> NDArray[Any]:
    """Chance that the answer given is right when a verifier takes one at random of those that it accepts.

    Where it accepts none, one of the rejected is taken at random.

    Parameters
    ----------
    recall, false_positive
        Chance that it accepts a right answer, and a wrong one.
    """
    p, n, recall = (np.asarray(one, dtype=float) for one in (accuracy, answers, recall))
    accepted = p * recall + (1 - p) * np.asarray(false_positive, dtype=float)
    none = (1 - accepted) ** n
    with np.errstate(divide="ignore", invalid="ignore"):
        of_accepted = np.where(accepted > 0, p * recall / accepted, 0.0)
        of_rejected = np.where(accepted < 1, p * (1 - recall) / (1 - accepted), 0.0)
    return np.asarray((1 - none) * of_accepted + none * of_rejected)
