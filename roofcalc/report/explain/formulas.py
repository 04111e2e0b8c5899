"""Evaluates the formulas that functions carry (`roofcalc.specs.formula`) for the numbers of one request.

`roofcalc explain` prints each formula with the numbers filled in and the value that this text evaluates to, independently of the
function that computed the answer.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from roofcalc.specs.formula import formulas
from roofcalc.units import plain

_NAME = re.compile(r"[^\W\d]\w*")
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "max": max,
    "min": min,
    "exp": math.exp,
    "ceil": lambda x: float(math.ceil(x - 1e-9)),
    "floor": lambda x: float(math.floor(x + 1e-9)),
    "tri": lambda x: x * (x + 1) / 2,
    "binom": lambda n, k: math.prod((n - i) / (k - i) for i in range(int(k))),
}
DIGITS = 8


class Evaluated(NamedTuple):
    """A formula with its numbers: `what = formula = numbers = value`."""

    what: str
    formula: str
    numbers: str
    value: float


def work(function: Callable[..., Any], what: str, values: Mapping[str, float], name: str | None = None) -> Evaluated:
    """The formula `what` of a function, with `values` filled in, and its value; printed under `name` where that is given.

    Raises
    ------
    KeyError
        The function has no such formula, or `values` lacks one of its symbols.
    """
    formula = formulas(function)[what]
    return Evaluated(name or what, formula, filled(formula, values), evaluate(formula, values))


def symbols(formula: str) -> set[str]:
    """The symbols of a formula: its names that are not functions."""
    return {match.group() for match in _NAME.finditer(formula) if not _is_call(formula, match)}


def filled(formula: str, values: Mapping[str, float]) -> str:
    """The formula with a number in place of each symbol."""
    return _NAME.sub(lambda match: match.group() if _is_call(formula, match) else number(values[match.group()]), formula)


def _is_call(formula: str, match: re.Match[str]) -> bool:
    return match.group() in _FUNCTIONS and formula[match.end() : match.end() + 1] == "("


def number(value: float) -> str:
    """A number that can be typed into a calculator: whole numbers in full, others with eight significant digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return plain(value)
    return f"{value:.{DIGITS}g}".replace("e-0", "e-").replace("e+0", "e+").replace("e+", "e")


def evaluate(formula: str, values: Mapping[str, float] | None = None) -> float:
    """The value of a formula: + − · / ^, brackets, numbers, the symbols in `values`, and max, min, exp, ceil, floor, tri, binom.

    `tri(x)` is x·(x + 1)/2 and `binom(n, k)` the binomial coefficient, for real n too. Floors and ceilings forgive rounding by 1e-9.

    Raises
    ------
    KeyError
        A symbol without a value, or an unknown function.
    SyntaxError, ValueError
        Not a formula.
    """
    text = formula.replace("·", "*").replace("−", "-").replace("×", "*").replace("^", "**")
    return _value(ast.parse(text.strip(), mode="eval").body, values if values is not None else {})


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.Name):
        return float(values[node.id])
    if isinstance(node, ast.BinOp):
        return float(_OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values)))
    if isinstance(node, ast.UnaryOp):
        return float(_OPERATORS[type(node.op)](_value(node.operand, values)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return float(_FUNCTIONS[node.func.id](*(_value(argument, values) for argument in node.args)))
    raise ValueError(f"not a formula: {ast.dump(node)}")
