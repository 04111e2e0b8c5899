"""Votes and verifiers against every outcome counted one by one."""

import itertools

import numpy as np
import pytest

from roofcalc.economics.voting import majority_accuracy, pass_at_k, verifier_accuracy
from tests.each import each

CHANCES = (0.0, 0.1, 0.5, 0.7, 1.0)


def outcomes(p: float, n: int) -> list[tuple[float, tuple[bool, ...]]]:
    """All 2^n ways in which n answers can be right or wrong, and the chance of each."""
    return [(float(np.prod([p if right else 1 - p for right in way])), way) for way in itertools.product((True, False), repeat=n)]


@pytest.mark.parametrize("p", CHANCES)
@pytest.mark.parametrize("n", range(1, 9))
def test_every_outcome_counted(p: float, n: int) -> None:
    assert float(pass_at_k(p, n)) == pytest.approx(sum(chance for chance, way in outcomes(p, n) if any(way)), abs=1e-14)
    won = sum(chance * (1.0 if 2 * sum(way) > n else 0.5 if 2 * sum(way) == n else 0.0) for chance, way in outcomes(p, n))
    assert majority_accuracy(p, n) == pytest.approx(won, abs=1e-14)


VERDICTS = ((0.9, 0.2), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.5, 0.5), (0.0, 0.3))


@each(itertools.product(CHANCES, (1, 2, 4), VERDICTS))
def test_every_verdict_counted(p: float, n: int, rates: tuple[float, float]) -> None:
    recall, false_positive = rates
    expected = 0.0
    for chance, way in outcomes(p, n):
        for verdict in itertools.product((True, False), repeat=n):
            yes = [recall if right else false_positive for right in way]
            said = np.prod([chance_of_yes if accepted else 1 - chance_of_yes for chance_of_yes, accepted in zip(yes, verdict, strict=True)])
            pool = [right for right, accepted in zip(way, verdict, strict=True) if accepted] or list(way)
            expected += chance * float(said) * sum(pool) / len(pool)
    assert float(verifier_accuracy(p, n, recall, false_positive)) == pytest.approx(expected, abs=1e-14)


def test_limits() -> None:
    for n in (1, 2, 5, 100, 1001):
        assert (majority_accuracy(0.0, n), majority_accuracy(1.0, n)) == (0, 1)
        assert majority_accuracy(0.5, n) == pytest.approx(0.5, abs=1e-12)
    assert pass_at_k(np.array([0.0, 0.5, 1.0]), 5).tolist() == [0, 1 - 0.5**5, 1]
    assert majority_accuracy(0.6, 100_001) == pytest.approx(1, abs=1e-9) and majority_accuracy(0.4, 100_001) == pytest.approx(0, abs=1e-9)
    assert float(verifier_accuracy(0.3, 50, 1, 0)) == pytest.approx(float(pass_at_k(0.3, 50)))  # never wrong: one right answer is enough
    assert float(verifier_accuracy(0.3, 50, 0.5, 0.5)) == pytest.approx(0.3)  # knows nothing: as one answer
    assert float(pass_at_k(1e-18, 10)) == pytest.approx(1e-17)


def test_five_answers_by_hand() -> None:
    # p = 0.6: 10 · 0.216 · 0.16 + 5 · 0.1296 · 0.4 + 0.07776 = 0.3456 + 0.2592 + 0.07776
    assert majority_accuracy(0.6, 5) == pytest.approx(0.68256)
    # four answers: 4 · 0.216 · 0.4 + 0.1296, and half of 6 · 0.36 · 0.16
    assert majority_accuracy(0.6, 4) == pytest.approx(0.3456 + 0.1296 + 0.1728)
