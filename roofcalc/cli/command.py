"""Builds a command from its options, and prints what it answers."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from roofcalc.cli.options import OUTPUT, OUTPUT_NAMES, PAGE, PICTURE, TEXT_FORMAT, Option
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.report.table import Column, Table
from roofcalc.solvers import progress

FORMATS = ("table", "csv", "json", "md")
TEXT_FORMATS = ("text", "md")
UNITS = ("gb", "gib")
PAGES = (".html", ".htm")
SUFFIXES = {".csv": "csv", ".json": "json", ".md": "md"}
OTHERS = {  # endings of files that hold something else than what a command prints, and what to write in place of them
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "write .csv, which spreadsheets open"),
    **dict.fromkeys((".svg", ".png", ".pdf"), "`roofcalc plot` draws, and a browser prints a report's .html"),
}


class GroupedHelp(TyperCommand):
    """A command whose options `--help` lists under their headings, as plain text."""

    examples: tuple[str, ...] = ()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(str(p.name).upper() for p in self.get_params(ctx) if p.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                default = "Arguments" if parameter.param_type_name == "argument" else "Other"
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or default, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def command(
    name: str,
    answer: Callable[..., Table | list[str]],
    options: tuple[Option, ...],
    help: str,
    examples: tuple[str, ...],
    failed: Callable[[Table], bool] | None = None,
    code: int = 2,
) -> Any:
    """The command `name`: its options' values go to `answer`, whose table is printed.

    Parameters
    ----------
    answer : callable
        Takes the options by their API names, those not given left out; returns a Table, or lines of finished text.
    examples : tuple of str
        Whole command lines that run.
    failed : callable, optional
        Whether a table that is printed tells of an error: exit `code`.
    """

    def callback(**values: Any) -> None:
        progress.allow()
        answered, output = answer(**_given(values)), {key: values[key] for key in OUTPUT_NAMES}
        if isinstance(answered, Table):
            emit(answered, **output)
            if failed and failed(answered):
                raise typer.Exit(code)
        else:
            emit_text(answered, **output)

    built = _built(name, callback, (*options, *OUTPUT), help, examples)
    built.answer, built.options = answer, options  # `plot` asks the same
    return built


def text_command(name: str, answer: Callable[..., Any], options: tuple[Option, ...], help: str, examples: tuple[str, ...]) -> Any:
    """The command `name` whose answer is a text: it has `text()`, `markdown()`, and a table with notes."""

    def callback(format: str | None, output: str | None, quiet: bool, **values: Any) -> None:
        from roofcalc.report.writers import write

        path = _path(output)
        chosen = format if format is not None else "md" if _ending(path) == ".md" else "text"
        if chosen not in TEXT_FORMATS:
            raise RoofcalcError(f"format: {chosen!r} is none of {', '.join(TEXT_FORMATS)}{did_you_mean(chosen, TEXT_FORMATS)}")
        found = answer(**_given(values))
        write(found.markdown() if chosen == "md" else found.text(), path)
        _print_notes(found.table, quiet)

    return _built(name, callback, (*options, TEXT_FORMAT, *(option for option in OUTPUT if option.name in ("output", "quiet"))), help, examples)


def page_command(name: str, answer: Callable[..., Any], options: tuple[Option, ...], help: str, examples: tuple[str, ...]) -> Any:
    """The command `name` whose answer is a page: it has `html()` and notes."""

    def callback(output: str | None, quiet: bool, **values: Any) -> None:
        from roofcalc.report.writers import write

        progress.allow()
        path = _path(output)
        if path and path.suffix.lower() not in PAGES:
            raise RoofcalcError(f"output: {output!r} ends in none of {', '.join(PAGES)}; a browser prints the page, to paper or .pdf")
        page = answer(**_given(values))
        write(page.html(), path)
        _print_notes(page, quiet)

    return _built(name, callback, (*options, PAGE, *(option for option in OUTPUT if option.name == "quiet")), help, examples)


def drawing_command(name: str, asked: Any, title: str, example: str) -> Any:
    """The command `plot name`: what the command `asked` answers to the same options, as a picture."""

    def callback(output: str | None, quiet: bool, **values: Any) -> None:
        from roofcalc.report.plots.kinds import need_matplotlib, plot
        from roofcalc.report.plots.save import format_of, rendered
        from roofcalc.report.writers import write, write_bytes

        if output is None:
            raise RoofcalcError(f"output: name a file for the picture, such as -o {name}.svg (or .png, .pdf; - prints SVG)")
        path = _path(output)
        format = format_of(output) if path else "svg"
        need_matplotlib()
        progress.allow()
        table = asked.answer(**_given(values))
        picture = rendered(plot(table), format)
        if path:
            write_bytes(picture, path)
        else:
            write(iter(picture.decode().splitlines()), None)
        _print_notes(table, quiet)

    options = (*asked.options, PICTURE, *(option for option in OUTPUT if option.name == "quiet"))
    return _built(
        name, callback, options, f"{title} The table of `roofcalc {name}` as a picture.", (f"roofcalc plot {name} {example} -o {name}.svg",)
    )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value is not False and key not in OUTPUT_NAMES}


def _built(name: str, callback: Any, options: tuple[Option, ...], help: str, examples: tuple[str, ...]) -> Any:
    parameters = [option.parameter for option in options]
    callback.__signature__ = inspect.Signature(parameters)
    callback.__annotations__ = {}
    callback.__doc__ = help
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=GroupedHelp, context_settings={"help_option_names": ["-h", "--help"]})(callback)
    built = typer.main.get_command(app)
    built.examples = examples  # type: ignore[attr-defined]
    return built


def _path(output: str | None) -> Path | None:
    if output == "":
        raise RoofcalcError("output: a file's name is missing")
    return Path(output) if output and output != "-" else None


def _ending(path: Path | None) -> str:
    """How a file's name ends, in lower case; refused where such files hold neither text nor tables."""
    ending = path.suffix.lower() if path else ""
    if ending in OTHERS:
        raise RoofcalcError(f"output: no {ending} file is written here: {OTHERS[ending]}")
    return ending


def _print_notes(answered: Any, quiet: bool) -> None:
    for note in () if quiet else answered.notes:
        print(f"note: {note}", file=sys.stderr)


def emit(
    table: Table, format: str | None, output: str | None, columns: str | None, unit: str | None, require: list[str] | None, quiet: bool
) -> None:
    """Prints a table in the form asked for, its notes on stderr; exit code 3 where a requirement or the table's own checks fail.

    Raises
    ------
    RoofcalcError
        An unknown format or column, a malformed requirement, or a file that cannot be written.
    """
    from roofcalc.report.writers import write

    path = _path(output)
    chosen = format if format is not None else SUFFIXES.get(_ending(path), "table")
    if chosen not in FORMATS:
        raise RoofcalcError(f"format: {chosen!r} is none of {', '.join(FORMATS)}{did_you_mean(chosen, FORMATS)}")
    unmet = _requirements(table, require) if require else ()
    if unit is not None:
        table = _in_unit(table, unit, chosen)
    shown = [table.column(name.strip()) for name in columns.split(",")] if columns is not None else []
    progress.allow(path is not None or not sys.stdout.isatty())  # never amid the rows themselves
    lines = _lines(table, chosen, shown, to_file=path is not None)
    write(lines, path)
    _print_notes(table, quiet)
    failed = False
    for line in chain(table.failures, unmet):
        failed = True
        print(f"failed: {line}", file=sys.stderr)
    if failed:
        raise typer.Exit(3)


def _requirements(table: Table, texts: list[str]) -> Iterator[str]:
    """What a table does not satisfy, found where it is asked for; what is asked is read at once."""
    from roofcalc.report import require

    return require.failures(table, [require.parse(text, table) for text in texts])


def _in_unit(table: Table, unit: str, format: str) -> Table:
    """A table with memory in the unit asked for.

    Raises
    ------
    RoofcalcError
        No such unit, or a format whose columns are always in GB.
    """
    chosen = unit.strip().lower()
    if chosen not in UNITS:
        raise RoofcalcError(f"unit: {unit!r} is none of {', '.join(UNITS)}{did_you_mean(chosen, UNITS)}")
    if chosen == "gb":
        return table
    if format not in ("table", "md"):
        raise RoofcalcError(f"unit: {format} keeps GB, as its columns are called; gib is for tables (-f table, -f md)")
    from roofcalc.report.gibibytes import in_gib

    return in_gib(table)


def emit_text(
    lines: list[str], format: str | None, output: str | None, columns: str | None, unit: str | None, require: list[str] | None, quiet: bool
) -> None:
    """Prints finished text, which is no table.

    Raises
    ------
    RoofcalcError
        A table's format, columns or requirements are asked of it, or the file cannot be written.
    """
    from roofcalc.report.writers import write

    if format is not None or columns is not None or unit is not None or require:
        raise RoofcalcError("format, columns, unit, require: they are of tables, and this is text")
    write(iter(lines), _path(output))


def _lines(table: Table, format: str, columns: Sequence[Column], to_file: bool) -> Iterator[str]:
    """The writer of a format, imported when it is used."""
    if format == "csv":
        from roofcalc.report.writers import csv_lines

        return csv_lines(table, columns)
    if format == "json":
        from roofcalc.report.writers import json_lines

        return json_lines(table, columns)
    if format == "md":
        from roofcalc.report import markdown

        return markdown.lines(table, columns)
    from roofcalc.report import terminal

    return terminal.lines(table, None if to_file else terminal.terminal_width(), columns, colour=not to_file, whole=to_file)
