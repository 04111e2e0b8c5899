"""The formulas of the functions that they describe, as text that `roofcalc explain` can evaluate.

A decorator and not a section of the docstring, since Python drops docstrings under `-OO`. Symbols: docs/glossary.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

_FORMULAS: dict[str, dict[str, str]] = {}


def formula(*equations: str) -> Callable[[T], T]:
    """Registers equations, each `"name = expression"`, for the function or class below.

    Names are free text (`"entry bytes, fp8 = …"`). Expressions use symbols of the glossary, numbers, + − · / ^, brackets and the
    functions of `roofcalc.report.explain.formulas`. What cannot be written so belongs into the docstring as prose.
    """
    found = dict(one.split(" = ", 1) for one in equations)

    def register(function: T) -> T:
        _FORMULAS[_key(function)] = found
        return function

    return register


def formulas(function: Callable[..., Any]) -> dict[str, str]:
    """The expressions registered for a function or class, by name; none where it has none of its own."""
    return _FORMULAS.get(_key(function), {})


def registered() -> dict[str, dict[str, str]]:
    """All formulas of the modules imported so far, by `module:qualified name`."""
    return {key: dict(found) for key, found in _FORMULAS.items()}


def _key(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"
