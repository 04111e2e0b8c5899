"""Typer commands made from their specs: call the function, print its result, set the exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from roofcalc.cli import options as o
from roofcalc.cli.adapters import load
from roofcalc.cli.commands import CommandSpec
from roofcalc.cli.option import Option, given
from roofcalc.errors import RoofcalcError, did_you_mean, invalid_choice
from roofcalc.report.streams import standard_output, write, write_bytes
from roofcalc.solvers import progress

if TYPE_CHECKING:  # NumPy is not needed for --version and --help
    from roofcalc.measurements.speeds import Speed
    from roofcalc.report.table import Column, Table

FORMATS = ("table", "csv", "json", "md")
TEXT_FORMATS = ("text", "md")
UNITS = ("gb", "gib")
PAGE_SUFFIXES = (".html", ".htm")
FORMAT_OF_SUFFIX = {".csv": "csv", ".json": "json", ".md": "md"}
OTHER_SUFFIXES = {  # files that are neither text nor a table, and what to do instead
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "write .csv, which spreadsheets open"),
    **dict.fromkeys((".svg", ".png", ".pdf"), "`roofcalc plot` draws charts, and a browser prints a report's .html"),
}


class Command(TyperCommand):
    """A command whose `--help` ends with examples that run."""

    examples: tuple[str, ...] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # which completion is
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            _refuse_repeated(given)
        return super().parse_args(ctx, args)

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.rich_help_panel = "Output"
        return option

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with standard_output():
            leave_terminal_detection_to_rich()
            super().format_help(ctx, formatter)
            from rich.console import Console

            console = Console(highlight=False, markup=False, emoji=False)
            console.print("Examples:", *(f"  {example}" for example in self.examples), sep="\n", soft_wrap=True)  # one line each, to copy


def _refuse_repeated(given: Sequence[Any]) -> None:
    """Refuses an option that is given several times, of which only the last would count.

    Parameters
    ----------
    given
        The parameters in the order in which they were given.
    """
    taken = [one for one in given if isinstance(one, TyperOption) and not one.multiple and not one.is_flag]
    for place, one in enumerate(taken):
        if one in taken[:place]:
            raise RoofcalcError(f"{one.opts[0]}: given twice; several values, where it takes them, are separated by commas")


class LazyGroup(TyperGroup):
    """A group that builds its commands when they are looked up. Without a command it prints its help."""

    def builders(self) -> dict[str, Callable[[], TyperCommand | TyperGroup]]:
        """A function per command that builds it."""
        return {}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.builders())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        build = self.builders().get(cmd_name)
        return build and build()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.builders() and not name.startswith("-"):
            self.unknown_command(ctx, name)
        return super().resolve_command(ctx, args)

    def unknown_command(self, ctx: Any, name: str) -> None:
        """Raises RoofcalcError with the nearest command."""
        known = list(self.builders())
        raise RoofcalcError(f"unknown command {name!r}{did_you_mean(name, known)}; commands: {', '.join(known)}")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with standard_output():
            leave_terminal_detection_to_rich()
            super().format_help(ctx, formatter)


def leave_terminal_detection_to_rich() -> None:
    """Typer takes GITHUB_ACTIONS and PY_COLORS to mean a terminal, and would put escape codes into a pipe; Rich does not."""
    from typer import rich_utils

    rich_utils.FORCE_TERMINAL = None


def build(name: str, spec: CommandSpec) -> Command:
    """The Typer command of a spec."""
    run, output = _RUNNERS[spec.result]

    def callback(**values: Any) -> None:
        function = load(spec.function)
        if not gc.isenabled():  # switched off for the start, see __main__
            gc.freeze()
            gc.enable()
        run(name, spec, function, values)

    command = Command(
        name,
        callback=callback,
        params=[option.parameter() for option in (*spec.options, *output)],
        help=spec.help,
        short_help=spec.summary,
        rich_markup_mode="rich",
        rich_help_panel=spec.panel,
    )
    command.examples = spec.examples
    return command


def _run_table(name: str, spec: CommandSpec, function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Prints a table in the format asked for; finished lines of text as they are."""
    from roofcalc.report.table import Table

    output = {option.name: values.pop(option.name) for option in o.OUTPUT}
    progress.enable()
    answer = function(*spec.arguments, **given(values, spec.options))
    if not isinstance(answer, Table):
        _print_text(answer, **output)
        return
    print_table(answer, **output)
    if spec.failed and load(spec.failed)(answer):
        raise typer.Exit(spec.failure_code)


def _run_text(name: str, spec: CommandSpec, function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Prints an answer that has `text()`, `markdown()`, and a table with notes."""
    format, quiet, path = values.pop("format"), values.pop("quiet"), _path(values.pop("output"))
    chosen = _choice(format if format is not None else "md" if _suffix(path) == ".md" else "text", TEXT_FORMATS)
    answer = function(*spec.arguments, **given(values, spec.options))
    write(answer.markdown() if chosen == "md" else answer.text(), path)
    _print_notes(answer.table.notes, quiet)


def _run_page(name: str, spec: CommandSpec, function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Prints an answer that has `html()` and notes."""
    quiet, output = values.pop("quiet"), values.pop("output")
    progress.enable()
    path = _path(output)
    if path and path.suffix.lower() not in PAGE_SUFFIXES:
        raise RoofcalcError(f"--output: {output!r} must end in {' or '.join(PAGE_SUFFIXES)}; a browser prints the page to paper or .pdf")
    page = function(**given(values, spec.options))
    write(page.html(), path)
    _print_notes(page.notes, quiet)


def _run_plot(name: str, spec: CommandSpec, function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Draws the chart of the table."""
    from roofcalc.measurements.speeds import of_models
    from roofcalc.report.plots.kinds import need_matplotlib, plot
    from roofcalc.report.plots.save import format_of, rendered

    quiet, output = values.pop("quiet"), values.pop("output")
    if output is None:
        raise RoofcalcError(f"--output: name a file for the chart, such as -o {name}.svg (or .png, .pdf; - prints SVG)")
    path = _path(output)
    format = format_of(output) if path else "svg"
    need_matplotlib()
    progress.enable()
    every, left_out = _measured(values.pop("points", None))
    table = function(**given(values, spec.options))
    points = of_models(every, set(table["model"].tolist())) if every else every
    picture = rendered(plot(table, points), format)
    if path:
        write_bytes(picture, path)
    else:
        write(iter(picture.decode().splitlines()), None)
    skipped = {"rows without a decode speed and a batch": left_out, "points of other models": len(every) - len(points)}
    _print_notes([*table.notes, *(f"--points: {count} {what} are left out" for what, count in skipped.items() if count)], quiet)


def _measured(path: str | None) -> tuple[Sequence[Speed], int]:
    """The measured points of a file, and how many rows are none."""
    if path is None:
        return (), 0
    from roofcalc.measurements.speeds import speeds

    return speeds(path)


def _run_yaml(name: str, spec: CommandSpec, function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Prints a catalog file, whose name depends on the output file's."""
    quiet, target = values.pop("quiet"), _path(values.pop("output"))
    lines, notes = function(target=target, **values)
    write(iter(lines), target)
    _print_notes(notes, quiet)


_RUNNERS: dict[str, tuple[Callable[..., None], tuple[Option, ...]]] = {
    "table": (_run_table, o.OUTPUT),
    "text": (_run_text, o.TEXT_OUTPUT),
    "page": (_run_page, o.PAGE_OUTPUT),
    "plot": (_run_plot, o.PLOT_OUTPUT),
    "yaml": (_run_yaml, o.YAML_OUTPUT),
}


def _path(output: str | None) -> Path | None:
    if output == "":
        raise RoofcalcError("--output: the file name is empty")
    return Path(output) if output and output != "-" else None


def _suffix(path: Path | None) -> str:
    """The suffix of an output file in lower case; refused where it promises neither text nor a table."""
    suffix = path.suffix.lower() if path else ""
    if suffix in OTHER_SUFFIXES:
        raise RoofcalcError(f"--output: cannot write a {suffix} file: {OTHER_SUFFIXES[suffix]}")
    return suffix


def _choice(value: str, choices: Sequence[str], flag: str = "--format") -> str:
    if value not in choices:
        raise invalid_choice(flag, value, choices)
    return value


def _print_notes(notes: Sequence[str], quiet: bool) -> None:
    for note in () if quiet else notes:
        print(f"note: {note}", file=sys.stderr)


def print_table(
    table: Table, format: str | None, output: str | None, columns: str | None, unit: str | None, require: Sequence[str], quiet: bool
) -> None:
    """Prints a table, its notes on stderr; exit code 3 where a requirement or one of the table's own checks fails.

    Raises
    ------
    RoofcalcError
        An unknown format or column, a malformed requirement, or a file that cannot be written.
    """
    path = _path(output)
    chosen = _choice(format if format is not None else FORMAT_OF_SUFFIX.get(_suffix(path), "table"), FORMATS)
    unmet = _unmet(table, require) if require else ()
    table = _in_unit(table, unit, chosen)
    shown = [_column(table, name.strip()) for name in columns.split(",")] if columns is not None else []
    progress.enable(path is not None or not sys.stdout.isatty())  # never between the rows of a table on the terminal
    closed: BrokenPipeError | None = None  # who reads the table may stop early (`| head`); requirements count all the same
    try:
        write(_lines(table, chosen, shown, to_file=path is not None), path)
    except BrokenPipeError as error:
        if not require and not table.failures:
            raise
        closed = error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at exit
    _print_notes(table.notes, quiet)
    failed = False
    for line in chain(table.failures, unmet):
        failed = True
        print(f"failed: {line}", file=sys.stderr)
        if closed is not None:  # nobody reads on: one failure is enough
            break
    if failed:
        raise typer.Exit(3)
    if closed is not None:
        raise closed


def _column(table: Table, name: str) -> Column:
    try:
        return table.column(name)
    except RoofcalcError as error:
        raise RoofcalcError(f"--columns: {error.lines[0]}") from None


def _unmet(table: Table, texts: Sequence[str]) -> Iterator[str]:
    """A line per requirement and row that does not meet it; the requirements are parsed at once, the rows checked lazily."""
    from roofcalc.report import require

    return require.failures(table, [require.parse(text, table) for text in texts])


def _in_unit(table: Table, unit: str | None, format: str) -> Table:
    """The table with memory in GB or GiB.

    Raises
    ------
    RoofcalcError
        An unknown unit, or a format whose columns are always in GB.
    """
    if unit is None or _choice(unit.strip().lower(), UNITS, "--unit") == "gb":
        return table
    if format not in ("table", "md"):
        raise RoofcalcError(f"--unit: {format} keeps GB, as its columns are called; gib is for tables (-f table, -f md)")
    from roofcalc.report.gibibytes import in_gib

    return in_gib(table)


def _print_text(
    lines: list[str], format: str | None, output: str | None, columns: str | None, unit: str | None, require: Sequence[str], quiet: bool
) -> None:
    for flag, value in (("--format", format), ("--columns", columns), ("--unit", unit), ("--require", require)):
        if value:
            raise RoofcalcError(f"{flag}: applies to tables; this prints text")
    write(iter(lines), _path(output))


def _lines(table: Table, format: str, columns: Sequence[Column], to_file: bool) -> Iterator[str]:
    """The output line by line; each writer is imported only where it is used."""
    if format == "csv":
        from roofcalc.report.csv_json import csv_lines

        return csv_lines(table, columns)
    if format == "json":
        from roofcalc.report.csv_json import json_lines

        return json_lines(table, columns)
    if format == "md":
        from roofcalc.report import markdown

        return markdown.lines(table, columns)
    from roofcalc.report import terminal

    return terminal.lines(table, columns, to_file=to_file)
