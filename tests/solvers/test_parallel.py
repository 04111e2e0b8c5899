"""Work split over executors gives the same rows, in order, without running ahead of who reads them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

import roofcalc as rc
from roofcalc.solvers.parallel import AHEAD, map_in_order


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    """Threads; tests/process/test_process_pool.py asks the same of processes."""
    with ThreadPoolExecutor(2) as made:
        yield made


QUESTIONS: dict[str, Callable[..., rc.Table]] = {
    "max_batch": lambda **given: rc.max_batch(
        "llama-3.1-8b,qwen3-8b", "h100-sxm,2xh100-sxm", seq=[1000, 8000], weights=["bf16", "fp8"], interactivity=[20, 50], **given
    ),
    "generations": lambda **given: rc.max_batch("llama-3.1-8b", "h100-sxm", isl=[100, 2000], osl=[10, 500], **given),
    "interactivity": lambda **given: rc.interactivity("deepseek-v3", "8xh200-sxm", seq="1:200:1", batch="1:200:1", **given),  # several chunks
    "memory": lambda **given: rc.memory("llama-3.1-70b", "8xh100-sxm", seq=[1000, 100_000], batch=[1, 32], **given),
    "prefill": lambda **given: rc.prefill("llama-3.1-70b", "8xh100-sxm", seq=[1000, 100_000], cached=[0, 1000], chunk=512, **given),
    "flops": lambda **given: rc.flops("llama-3.1-70b", "8xh100-sxm", seq=[1000, 100_000], batch=[1, 32], **given),
    "sweep": lambda **given: rc.max_batch("llama-3.1-8b", "h100-sxm", seq=1000, changes="hardware.memory.bandwidth_gb_s=1000:4000:100", **given),
    "frontier": lambda **given: rc.frontier("gpt-oss-120b", "8xh100-sxm", seq=[1000, 8000], devices=[1, 2, 4, 8], kv=["bf16", "fp8"], **given),
    "two pools": lambda **given: rc.frontier("llama-3.1-8b", "4xh100-sxm", isl=4000, osl=500, disaggregated=True, devices=[1, 4], **given),
    "plan": lambda **given: rc.plan("llama-3.1-70b", "h100-sxm,mi300x", weights="all=fp8", batch=[1, 100], spare=1, **given),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_executor_gives_the_same_rows_and_notes(question: str, pool: Executor) -> None:
    here, there = QUESTIONS[question](), QUESTIONS[question](executor=pool)
    assert list(there.rows()) == list(here.rows()) and there.notes == here.notes and len(here) > 0


def test_errors_come_back(pool: Executor) -> None:
    with pytest.raises(rc.RoofcalcError, match="tp: 3 does not divide"):
        rc.max_batch("llama-3.1-8b", "3xh100-sxm", tp=3, executor=pool)


@pytest.mark.parametrize("given", [5, "pool", object()])
def test_what_is_no_executor(given: Any) -> None:
    with pytest.raises(rc.RoofcalcError, match=r"executor: expected a concurrent\.futures\.Executor"):
        rc.max_batch("llama-3.1-8b", "h100-sxm", executor=given)


class Watched(Executor):
    """Runs nothing until a result is asked for, and remembers how much was handed out and called off."""

    def __init__(self) -> None:
        self.given = 0
        self.futures: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given += 1
        future.result = lambda timeout=None: function(*args, **kwargs)  # type: ignore[method-assign]
        self.futures.append(future)
        return future


def test_little_is_worked_on_ahead_and_none_is_left() -> None:
    watched = Watched()
    results = map_in_order(watched, lambda item: item * 2, range(10_000), batch=4)
    assert [next(results) for _ in range(9)] == list(range(0, 18, 2))
    assert watched.given <= AHEAD + 3
    results.close()
    assert all(future.cancelled() for future in watched.futures[3:])
    assert list(map_in_order(watched, str, range(9), batch=4)) == list("012345678")


def test_without_an_executor_nothing_is_computed_before_it_is_asked_for() -> None:
    done: list[int] = []
    results = map_in_order(None, done.append, range(100))
    assert done == []
    next(results)
    assert done == [0]
