"""Accuracy of several answers to one question: pass@k, majority vote, and selection by a verifier.

The cost of the answers is computed in `roofcalc.economics.cost` and `roofcalc.economics.shared_prefix`.
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
    """Probability that at least one of k independent answers is right (arXiv 2107.03374, section 2.1)."""
    accuracy = np.asarray(accuracy, dtype=float)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.asarray(answers, dtype=float) * np.log1p(-accuracy)))


def majority_accuracy(accuracy: float, answers: int) -> float:
    """Probability that a majority vote of n answers is right when all wrong answers agree; a tie counts half.

    Agreement of the wrong answers is the worst case (in arXiv 2203.11171 they are spread over many values).
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
    """Probability that a random one of the answers accepted by a verifier is right; of all answers where it accepts none.

    Parameters
    ----------
    recall, false_positive
        Probability that the verifier accepts a right answer, and a wrong one.
    """
    p, n, recall = (np.asarray(one, dtype=float) for one in (accuracy, answers, recall))
    accepted = p * recall + (1 - p) * np.asarray(false_positive, dtype=float)
    none = (1 - accepted) ** n
    with np.errstate(divide="ignore", invalid="ignore"):
        of_accepted = np.where(accepted > 0, p * recall / accepted, 0.0)
        of_rejected = np.where(accepted < 1, p * (1 - recall) / (1 - accepted), 0.0)
    return np.asarray((1 - none) * of_accepted + none * of_rejected)
