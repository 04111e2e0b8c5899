"""Formulas as docstrings write them: read, filled with numbers, and worked out.

A function's `Formulas` section is the one description of what it computes: people read it there, and `roofcalc explain`
prints it with this request's numbers put in, worked out here and not by the function itself.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from roofcalc.units import plain

_HEADING = re.compile(r"^\s*Formulas\s*\n\s*-{3,}\s*\n(.*?)(?=^\s*\n|\Z)", re.MULTILINE | re.DOTALL)
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
    "ceil": lambda x: float(math.ceil(x - 1e-9)),
    "floor": lambda x: float(math.floor(x + 1e-9)),
    "tri": lambda x: x * (x + 1) / 2,
    "C": lambda n, k: math.prod((n - i) / (k - i) for i in range(int(k))),
}
DIGITS = 8


class Worked(NamedTuple):
    """A formula with its numbers: `what = formula = numbers = value`."""

    what: str
    formula: str
    numbers: str
    value: float


def formulas(function: Callable[..., Any]) -> dict[str, str]:
    """The formulas of a function's docstring: what each gives, and how."""
    match = _HEADING.search((function.__doc__ or "") + "\n")
    lines = (line.partition(" = ") for line in (match.group(1) if match else "").splitlines() if " = " in line)
    return {what.strip(): formula.strip() for what, _, formula in lines}


def work(function: Callable[..., Any], what: str, values: Mapping[str, float], name: str | None = None) -> Worked:
    """The formula called `what` in a function's docstring, filled with `values` and worked out.

    Raises
    ------
    KeyError
        The docstring has no such formula, or `values` lacks one of its letters.
    """
    formula = formulas(function)[what]
    return Worked(name or what, formula, filled(formula, values), evaluate(formula, values))


def filled(formula: str, values: Mapping[str, float]) -> str:
    """The formula with numbers in place of its letters."""

    def put(match: re.Match[str]) -> str:
        is_call = match.group() in _FUNCTIONS and formula[match.end() : match.end() + 1] == "("
        return match.group() if is_call else number(values[match.group()])

    return _NAME.sub(put, formula)


def number(value: float) -> str:
    """A number that can be typed into a calculator: whole ones in full, others with eight digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return plain(value)
    return f"{value:.{DIGITS}g}".replace("e-0", "e-").replace("e+0", "e+").replace("e+", "e")


def evaluate(formula: str, values: Mapping[str, float] | None = None) -> float:
    """What a formula comes to: + − · / ^, brackets, max, min, ceil, floor, C(n, k), numbers, and the letters in `values`."""
    text = formula.replace("·", "*").replace("−", "-").replace("×", "*").replace("^", "**")
    return _value(ast.parse(text.strip(), mode="eval").body, values or {})


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
