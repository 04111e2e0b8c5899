"""A file of checks: what each asks and expects. Knows which questions and options there are, not what they answer.

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
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.report.require import NEAR, OPERATORS
from roofcalc.report.table import Table
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Lines, Problem, Range, build, try_build

TABLE_COMMANDS = (
    *("max_batch", "interactivity", "memory", "ops", "prefill", "flops", "attention", "frontier", "plan", "validate", "fit"),
    *("cost", "vote", "rollouts", "overtrain", "reliability"),
)
SPELLINGS = {"set": "changes", "reserve": "reserve_gb"}  # options whose name in the shell is another than in the API
UNQUOTED = re.compile(r"^[\s{,-]*(?:.*[{,]\s*)?op:\s*[>!=|]", re.MULTILINE)

Argument = str | bool | tuple[str | bool | float, ...] | float


class Check(Record):
    """One assertion: what `command` answers to `arguments` has in `column` what `op` and `value` say.

    Attributes
    ----------
    arguments : dict
        Model, hardware and options by the names that the API or the shell gives them.
    op : ">=", "<=", "==", "!=", ">", "<" or "~"
        Quoted, since YAML has other uses for most of them; `~` is within `tolerance`, a fraction of the value.
    rows : "all", "any" or "first"
        Of the answer, for which it must hold; an answer without rows fails.
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
            yield "op", f"expected one of {' '.join(OPERATORS)} in quotes, got {'nothing (a bare ~ is)' if self.op is None else repr(self.op)}"
        elif (self.op == NEAR) != (self.tolerance is not None):
            yield "tolerance", "op '~' needs one, a fraction of the value" if self.op == NEAR else f"op {self.op!r} takes none; '~' does"
        elif self.op == NEAR and self.value == 0:
            yield "tolerance", "a fraction of 0 is 0: compare with two checks, >= and <="
        known = questions()
        if self.api_command not in known.values():
            yield "command", f"unknown command {self.command!r}{did_you_mean(self.command, tuple(known))}; known: {', '.join(known)}"
        else:
            yield from self._argument_problems()

    def _argument_problems(self) -> Iterator[tuple[str, str]]:
        parameters = inspect.signature(self.question).parameters
        named = [name for name, one in parameters.items() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        known = (*named, *(Options.__annotations__ if len(named) < len(parameters) else ()))
        seen: dict[str, str] = {}
        for key in self.arguments:
            name = api_name(key)
            if name not in known:
                yield f"arguments.{key}", f"unknown option of {self.command}{did_you_mean(name, known)}"
            elif name in seen:
                yield f"arguments.{key}", f"given before, as {seen[name]}"
            seen[name] = key
        for name in named:
            if name not in seen and parameters[name].default is inspect.Parameter.empty:
                yield "arguments", f"`{name}` is missing"

    @property
    def api_command(self) -> str:
        """The name of the command in the API."""
        return self.command.replace("-", "_")

    @property
    def question(self) -> Callable[..., Table]:
        """The function that answers the command."""
        found: Callable[..., Table] = getattr(import_module(f"roofcalc.commands.{self.api_command}"), self.api_command)
        return found

    def given(self) -> dict[str, Any]:
        """The arguments by their API names."""
        return {api_name(key): _plain(value) for key, value in self.arguments.items()}


class CheckFile(Record):
    """All checks of a file; their names differ, so that a report can tell them apart."""

    checks: tuple[Check, ...]

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.checks:
            yield "checks", "expected at least one check"
        names = [check.name for check in self.checks]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield f"checks.{i}.name", f"{name!r} is the name of another check too"


def questions() -> dict[str, str]:
    """Every command that answers with a table: its name in the shell and in the API."""
    return {name.replace("_", "-"): name for name in TABLE_COMMANDS}


def api_name(key: str) -> str:
    """An option's name in the API, from that or its spelling in the shell: `--kv-block`, `reserve`, `set`."""
    name = key.removeprefix("--").replace("-", "_")
    return SPELLINGS.get(name, name)


def read(path: Path) -> tuple[dict[int, Check], Lines, list[Problem]]:
    """The checks of a file that are right, by their place in it; the lines of its keys; and what is wrong with the others.

    Raises
    ------
    RoofcalcError
        The file cannot be read, or is no YAML mapping.
    """
    try:
        value, lines = load(path)
    except RoofcalcError as error:
        if "not valid YAML" in error.lines[0] and UNQUOTED.search(read_text(path)):
            raise RoofcalcError(*error.lines[:-1], f'{error.lines[-1]}; write an op in quotes: op: ">="') from None
        raise
    built, problems = try_build(CheckFile, value, lines, str(path))
    if not problems:
        return dict(enumerate(built.checks)), lines, []
    wrong = {tuple(problem.field.split(".")[:2]) for problem in problems}
    items = value.get("checks")
    apart = enumerate(items if isinstance(items, list) else [])
    return {i: build(Check, item, {}, "") for i, item in apart if ("checks", str(i)) not in wrong}, lines, problems


def _plain(value: Argument) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
