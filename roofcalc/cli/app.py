"""Entry point of the command line: finds the command, and reports every error in one line.

Exit codes: 0 answered, 2 wrong use or bad input, 3 a check or requirement failed, 1 an unexpected error.
"""

import errno
import io
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from roofcalc import __version__
from roofcalc.cli.command import LazyGroup, build
from roofcalc.cli.commands import COMMANDS
from roofcalc.cli.groups import GROUPS, GroupSpec
from roofcalc.errors import RoofcalcError, nearest, printable
from roofcalc.report.streams import standard_output

INTERRUPTED = 130
MAX_ERRORS = 100  # lines printed about one file
UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # Typer exports only this subclass of it


class Group(LazyGroup):
    """`hardware`, `models`, `plot` or `explain`."""

    def __init__(self, name: str, spec: GroupSpec) -> None:
        super().__init__(name=name, help=spec.summary, rich_markup_mode="rich", rich_help_panel=spec.panel)
        self.spec = spec

    def builders(self) -> dict[str, Callable[[], Any]]:
        return {name: partial(build, name, spec._replace(panel="Commands")) for name, spec in self.spec.commands().items()}

    def unknown_command(self, ctx: Any, name: str) -> None:
        if name in COMMANDS or name in GROUPS:
            has = ", ".join(self.builders())
            raise RoofcalcError(f"`{ctx.command_path}` has no command {name!r}; commands: {has} (`roofcalc {name} --help`)")
        super().unknown_command(ctx, name)


class Roofcalc(LazyGroup):
    """The root command."""

    def builders(self) -> dict[str, Callable[[], Any]]:
        commands = {name: partial(build, name, spec) for name, spec in COMMANDS.items()}
        return {**commands, **{name: partial(Group, name, spec) for name, spec in GROUPS.items()}}

    def main(self, args: Any = None, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        def run() -> Any:
            return super(Roofcalc, self).main(args, standalone_mode=False, **extra)

        return sys.exit(guarded(run)) if standalone_mode else run()


def guarded(run: Callable[[], Any]) -> int:
    """Runs the command line and returns its exit code; an error is one line on stderr, never a traceback."""
    try:
        if sys.stdout is None:
            sys.stdout = _Closed()
        if sys.stderr is None:  # print(file=None) would write to standard output
            sys.stderr = _Unheard()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # characters that the terminal's encoding lacks become question marks
                stream.reconfigure(errors="replace")
        result = run()
        with standard_output():
            sys.stdout.flush()
        if result == INTERRUPTED:
            _complain("interrupted")
        return result if isinstance(result, int) else 0
    except RoofcalcError as error:
        return _complain(*error.lines)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at exit
        return 0
    except SystemExit as exit:  # Typer's reaction to a closed pipe
        if isinstance(exit.__context__, BrokenPipeError):
            return 0
        raise
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        return INTERRUPTED
    except MemoryError:
        return _complain("out of memory: ask for fewer rows")
    except UsageError as error:
        context = getattr(error, "ctx", None)
        return _complain(_usage(error) + (f" (see `{context.command_path} --help`)" if context else ""))
    except Exception as error:
        if os.environ.get("ROOFCALC_TRACEBACK"):
            raise
        _complain(f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (ROOFCALC_TRACEBACK=1 shows where)")
        return 1


_OTHER_WORDS = {  # flags that people try, and those of ours that mean the same, where a command has them
    **dict.fromkeys(("--users", "--concurrency", "--batch-size"), ("--batch", "--batches")),
    **dict.fromkeys(("--rate", "--qps", "--rps"), ("--requests-per-second",)),
    **dict.fromkeys(("--ctx", "--context", "--context-length", "--context-size"), ("--seq",)),
}


def _usage(error: Any) -> str:
    """Typer's complaint in one line that names the flag: the nearest flag to a misspelt one, an example where an argument is missing."""
    context, parameter = error.ctx, getattr(error, "param", None)
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    if context is not None and hasattr(error, "possibilities"):
        flags = [flag for one in context.command.params for flag in one.opts if flag.startswith("--")]
        from roofcalc.commands.engine_flags import hint

        if elsewhere := hint(str(error.option_name)):
            return f"No such option: {elsewhere}"
        meant = _OTHER_WORDS.get(str(error.option_name))
        near = nearest(str(error.option_name), flags, 2) if meant is None else [flag for flag in meant if flag in flags]
        return f"No such option: {error.option_name}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    if message.startswith("Missing argument"):
        examples = getattr(context and context.command, "examples", ())
        return message + (f"; for example: {examples[0]}" if examples else "")
    if message.endswith("requires an argument"):
        return f"{error.option_name}: a value is missing"
    if parameter is not None and parameter.opts and error.message:
        return f"{parameter.opts[0]}: {error.message.rstrip('.')}"
    return message


class _Closed(io.TextIOBase):
    """Replaces a standard output that was closed before the start: an error only when something is written."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


class _Unheard(io.TextIOBase):
    """Replaces a standard error that was closed before the start: the exit code alone tells."""

    def write(self, text: str) -> int:
        return len(text)


def _complain(*lines: str) -> int:
    try:
        for line in lines[:MAX_ERRORS]:
            print(f"error: {printable(line)}", file=sys.stderr)
        if len(lines) > MAX_ERRORS:
            print(f"error: and {len(lines) - MAX_ERRORS:,} more", file=sys.stderr)
    except OSError:  # stderr is closed; the exit code still signals the error
        pass
    return 2


def _version(value: bool) -> None:
    if value:
        with standard_output():
            print(f"roofcalc {__version__}")
        raise typer.Exit


app = typer.Typer(name="roofcalc", cls=Roofcalc, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def roofcalc(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Roofline calculator for LLM inference: how many users fit, how fast each is served, and which resource is the limit."""
