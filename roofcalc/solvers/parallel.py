"""Work split over whatever runs it: in this process one after another, or by an executor.

An executor is any `concurrent.futures.Executor`: a process or thread pool, `distributed.Client().get_executor()` of Dask,
or a class around Ray whose `submit` returns `ray.remote(function).remote(*arguments).future()`. Results come in order,
and only so many are worked on ahead that memory stays bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from roofcalc.errors import RoofcalcError
from roofcalc.solvers.progress import Progress

if TYPE_CHECKING:  # most runs need none
    from concurrent.futures import Executor

T = TypeVar("T")
S = TypeVar("S")

AHEAD = 64  # batches handed out at a time


def checked(executor: Any) -> Executor | None:
    """An executor, or None.

    Raises
    ------
    RoofcalcError
        It has no `submit` to call.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise RoofcalcError(f"executor: expected a concurrent.futures.Executor, got {executor!r}"[:200])
    return executor  # type: ignore[no-any-return]


def mapped(executor: Executor | None, function: Callable[[S], T], items: Sequence[S], batch: int = 8) -> Generator[T]:
    """`function` of each item, in their order.

    Parameters
    ----------
    executor : Executor, optional
        Gets `batch` items at a time; function, items and results must then travel to its workers.
    """
    progress = Progress(len(items))
    try:
        for result in map(function, items) if executor is None else _ahead(executor, function, items, batch):
            yield result
            progress.advance()
    finally:
        progress.clear()


def _ahead(executor: Executor, function: Callable[[S], T], items: Sequence[S], batch: int) -> Iterator[T]:
    """Results in order, up to `AHEAD` batches under way; whoever stops reading leaves none waiting."""
    batches = (items[begin : begin + batch] for begin in range(0, len(items), batch))
    under_way = deque(executor.submit(_several, function, one) for one in islice(batches, AHEAD))
    try:
        while under_way:
            results = under_way.popleft().result()
            under_way.extend(executor.submit(_several, function, one) for one in islice(batches, 1))
            yield from results
    finally:
        for future in under_way:
            future.cancel()


def _several(function: Callable[[S], T], items: Iterable[S]) -> list[T]:
    return [function(item) for item in items]
