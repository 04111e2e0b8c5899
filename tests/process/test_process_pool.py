"""Work split over processes gives the same rows, notes and errors."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import roofcalc as rc
from tests.solvers.test_parallel import QUESTIONS


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as made:
        yield made


@pytest.mark.parametrize("question", QUESTIONS)
def test_processes_give_the_same_rows_and_notes(question: str, pool: Executor) -> None:
    here, there = QUESTIONS[question](), QUESTIONS[question](executor=pool)
    assert list(there.rows()) == list(here.rows()) and there.notes == here.notes and len(here) > 0


def test_errors_come_back_from_processes(pool: Executor) -> None:
    with pytest.raises(rc.RoofcalcError, match="tp: 3 does not divide"):
        rc.max_batch("llama-3.1-8b", "3xh100-sxm", tp=3, executor=pool)
