"""Map over independent items, in this process or on an executor, with bounded memory and results in order.

An executor is any `concurrent.futures.Executor`: a process or thread pool, `distributed.Client().get_executor()` of Dask,
or a class around Ray whose `submit` returns `ray.remote(function).remote(*arguments).future()`. From Python 3.14 on,
`Executor.map(buffersize=…)` does the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from roofcalc.errors import RoofcalcError
from roofcalc.solvers.progress import Progress

if TYPE_CHECKING:  # most runs do not need it
    from concurrent.futures import Executor

T = TypeVar("T")
S = TypeVar("S")

AHEAD = 64  # batches submitted ahead of the one being read


def checked_executor(executor: Any) -> Executor | None:
    """The argument, if it is an executor or None.

    Raises
    ------
    RoofcalcError
        It has no `submit` method.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise RoofcalcError(f"executor: expected a concurrent.futures.Executor, got {executor!r}"[:200])
    return executor  # type: ignore[no-any-return]


def map_in_order(executor: Executor | None, function: Callable[[S], T], items: Sequence[S], batch: int = 8) -> Generator[T]:
    """`function(item)` for each item, in order.

    Parameters
    ----------
    executor : Executor, optional
        Gets `batch` items per task; the function, items and results must be picklable for it.
    """
    progress = Progress(len(items))
    try:
        for result in map(function, items) if executor is None else _ahead(executor, function, items, batch):
            yield result
            progress.advance()
    finally:
        progress.clear()


def _ahead(executor: Executor, function: Callable[[S], T], items: Sequence[S], batch: int) -> Iterator[T]:
    """Results in order, with up to `AHEAD` batches submitted; closing the generator cancels those that have not started."""
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
