"""One test over many cases: entries of a catalog, rows of a table."""

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any


def each(cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Makes one test of a check and its cases; it runs them all and reports every one that fails.

    A plain tuple gives the check's arguments, anything else its only one. For thousands of short checks this is many times cheaper than
    `pytest.mark.parametrize`.
    """

    listed = list(cases)

    def test_of(check: Callable[..., None]) -> Callable[[], None]:
        def test() -> None:
            failed = []
            for case in listed:
                try:
                    check(*case) if type(case) is tuple else check(case)
                except AssertionError as error:
                    failed.append(f"{case}: {error}")
            assert listed, "no cases"
            assert not failed, f"{len(failed)} of {len(listed)} cases\n" + "\n".join(failed)

        update_wrapper(test, check)
        del test.__wrapped__  # type: ignore[attr-defined]  # whose parameters pytest would take for fixtures
        return test

    return test_of
