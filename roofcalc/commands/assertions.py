"""Files of assertions for `roofcalc check`: their format, and validation against the commands and their options.

checks:
  - name: 64 chats of 8k tokens
    command: max-batch
    arguments: {model: llama-3.1-70b, hardware: 4xh100-sxm, weights: fp8, seq: 8k}
    column: max_batch
    op: ">="
    value: 64
"""

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from roofcalc.catalog.yamlfile import load, read_text
from roofcalc.commands.options import Options
from roofcalc.errors import RoofcalcError, did_you_mean, option_name
from roofcalc.report.require import NEAR, OPERATORS
from roofcalc.report.table import Table
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Lines, Problem, Range, build, try_build

TABLE_COMMANDS = (
    *("max_batch", "interactivity", "memory", "ops", "prefill", "flops", "attention", "frontier", "plan", "validate", "fit"),
    *("compare", "cost", "vote", "rollouts", "overtrain", "reliability"),
)
UNQUOTED = re.compile(r"^[\s{,-]*(?:.*[{,]\s*)?op:\s*[>!=|]", re.MULTILINE)

Argument = str | bool | tuple[str | bool | float, ...] | float


class Assertion(Record):
    """One assertion: the table that `command` returns for `arguments` satisfies `column` `op` `value`.

    Attributes
    ----------
    arguments : dict
        Model, hardware and options, under their Python names or their flags.
    op : ">=", "<=", "==", "!=", ">", "<" or "~"
        In quotes, because most of these are syntax in YAML; `~` means within `tolerance`, a fraction of the value.
    rows : "all", "any" or "first"
        The rows for which it must hold; a table without rows fails.
    """

    name: str
    command: str
    arguments: dict[str, Argument]
    column: str
    op: str | None
    value: str | bool | float
    tolerance: Annotated[float, Range(1e-9, 1)] | None = None
    rows: Literal["all", "any", "first"] = "all"

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.name.isprintable():
            yield "name", "expected one line of text"
        if self.op not in OPERATORS:
            yield "op", f"expected one of {' '.join(OPERATORS)} in quotes, got {'nothing (a bare ~ is null)' if self.op is None else repr(self.op)}"
        elif (self.op == NEAR) != (self.tolerance is not None):
            yield (
                "tolerance",
                "op '~' needs a tolerance, a fraction of the value" if self.op == NEAR else f"op {self.op!r} takes no tolerance; '~' does",
            )
        elif self.op == NEAR and self.value == 0:
            yield "tolerance", "a fraction of 0 is 0: use two checks, >= and <="
        known = table_commands()
        if self.api_command not in known.values():
            yield "command", f"unknown command {self.command!r}{did_you_mean(self.command, tuple(known))}; known: {', '.join(known)}"
        else:
            yield from self._argument_problems()

    def _argument_problems(self) -> Iterator[tuple[str, str]]:
        parameters = inspect.signature(self.function).parameters
        named = [name for name, one in parameters.items() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        known = (*named, *(Options.__annotations__ if len(named) < len(parameters) else ()))
        seen: dict[str, str] = {}
        for key in self.arguments:
            name = option_name(key)
            if name not in known:
                yield f"arguments.{key}", f"unknown option of {self.command}{did_you_mean(name, known)}"
            elif name in seen:
                yield f"arguments.{key}", f"already given as {seen[name]}"
            seen[name] = key
        for name in named:
            if name not in seen and parameters[name].default is inspect.Parameter.empty:
                yield "arguments", f"`{name}` is missing"

    @property
    def api_command(self) -> str:
        """The Python name of the command."""
        return self.command.replace("-", "_")

    @property
    def function(self) -> Callable[..., Table]:
        """The public function of the command."""
        found: Callable[..., Table] = getattr(import_module(f"roofcalc.commands.{self.api_command}"), self.api_command)
        return found

    def given(self) -> dict[str, Any]:
        """The arguments under their Python names."""
        return {option_name(key): _plain(value) for key, value in self.arguments.items()}


class AssertionFile(Record):
    """All assertions of a file; their names are unique, so that a report can tell them apart."""

    checks: tuple[Assertion, ...]

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.checks:
            yield "checks", "expected at least one check"
        names = [check.name for check in self.checks]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield f"checks.{i}.name", f"{name!r} is the name of another check too"


def table_commands() -> dict[str, str]:
    """Every command that returns a table: its command-line name and its Python name."""
    return {name.replace("_", "-"): name for name in TABLE_COMMANDS}


def read(path: Path) -> tuple[dict[int, Assertion], Lines, list[Problem]]:
    """The valid assertions of a file by their position, the line numbers of its keys, and the problems of the other assertions.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or is not a YAML mapping.
    """
    try:
        value, lines = load(path)
    except RoofcalcError as error:
        if "not valid YAML" in error.lines[0] and UNQUOTED.search(read_text(path)):
            raise RoofcalcError(*error.lines[:-1], f'{error.lines[-1]}; write an op in quotes: op: ">="') from None
        raise
    built, problems = try_build(AssertionFile, value, lines, str(path))
    if not problems:
        return dict(enumerate(built.checks)), lines, []
    wrong = {tuple(problem.field.split(".")[:2]) for problem in problems}
    items = value.get("checks")
    numbered = enumerate(items if isinstance(items, list) else [])
    return {i: build(Assertion, item, {}, "") for i, item in numbered if ("checks", str(i)) not in wrong}, lines, problems


def _plain(value: Argument) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
