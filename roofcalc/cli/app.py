"""The entry point: finds the command that was named, imports only that one, and turns every mishap into a line.

Exit codes: 0 answered, 2 wrong use or bad input, 3 a requirement failed, 1 the unexpected.
"""

import errno
import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from roofcalc import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "max-batch": ("roofcalc.cli.max_batch", "How many sequences fit and stay fast enough."),
    "interactivity": ("roofcalc.cli.interactivity", "Tokens per second for each user, at any batch and context."),
    "memory": ("roofcalc.cli.memory", "What fills the memory, and how far it reaches."),
    "prefill": ("roofcalc.cli.prefill", "Time to the first token of a prompt."),
    "frontier": ("roofcalc.cli.frontier", "Throughput per device against interactivity, over batches and layouts."),
    "plan": ("roofcalc.cli.plan", "The least hardware, or money, that meets a demand."),
    "flops": ("roofcalc.cli.flops", "FLOPs against context, and where they are the limit."),
    "ops": ("roofcalc.cli.ops", "The step, operation by operation."),
    "attention": ("roofcalc.cli.attention", "What windows, fewer heads, latent and linear layers change."),
    "cost": ("roofcalc.cli.cost", "Money and energy per token and query."),
    "vote": ("roofcalc.cli.vote", "Several answers to a query: what sharing their prefix saves, and what voting gains."),
    "rollouts": ("roofcalc.cli.rollouts", "Data for reinforcement learning against pre-training: tokens, FLOPs, hours, money."),
    "overtrain": ("roofcalc.cli.overtrain", "What a smaller model, trained longer to the same loss, costs and saves."),
    "reliability": ("roofcalc.cli.reliability", "The chance that a generation meets a silent error or a failure."),
    "from": ("roofcalc.cli.from_command", "Memory and the largest batch of an engine's start: a vllm serve … line, in quotes."),
    "explain": ("roofcalc.cli.explain", "The same request with its working shown: max-batch, interactivity, memory, prefill."),
    "validate": ("roofcalc.cli.validate", "Measured points against the model."),
    "fit": ("roofcalc.cli.fit", "The efficiencies that measured points imply."),
    "check": ("roofcalc.cli.check", "Assertions for CI, from a YAML file."),
    "plot": ("roofcalc.cli.plot", "The same figures as a picture: SVG, PNG or PDF."),
    "report": ("roofcalc.cli.report", "One self-contained HTML page: charts, tables, working and sources."),
    "hardware": ("roofcalc.cli.hardware", "The catalog of devices and systems: list, show, check."),
    "models": ("roofcalc.cli.models", "The catalog of models: list, show, check, import."),
}


INTERRUPTED = 130
MOST_LINES = 100  # of what is wrong with a file


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and module, and imports one when it is asked for."""

    table: ClassVar[dict[str, tuple[str, str]]] = COMMANDS

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        return getattr(import_module(module), attribute or "COMMAND")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            from roofcalc.errors import RoofcalcError, did_you_mean

            if name in COMMANDS:
                raise RoofcalcError(f"`{ctx.command_path}` has no {name!r}; it has {', '.join(self.table)} (`roofcalc {name} --help`)")
            raise RoofcalcError(f"unknown command {name!r}{did_you_mean(name, list(self.table))}; commands: {', '.join(self.table)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in self.table.items()])

    def main(self, args: Any = None, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        def run() -> Any:
            return super(LazyGroup, self).main(args, standalone_mode=False, **extra)

        return sys.exit(guarded(run)) if standalone_mode else run()


def guarded(run: Callable[[], Any]) -> int:
    """Runs, and returns the exit code; whatever goes wrong becomes one line on stderr, never a traceback."""
    from roofcalc.errors import RoofcalcError

    try:
        if sys.stdout is None:
            sys.stdout = _Closed()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a dash or a line that the terminal's encoding lacks becomes a question mark
                stream.reconfigure(errors="replace")
        result = run()
        sys.stdout.flush()
        if result == INTERRUPTED:
            _complain("interrupted")
        return result if isinstance(result, int) else 0
    except RoofcalcError as error:
        return _complain(*error.lines)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the interpreter's last flush is quiet
        return 0
    except SystemExit as ended:  # typer's own answer to a closed pipe
        if isinstance(ended.__context__, BrokenPipeError):
            return 0
        raise
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        return INTERRUPTED
    except MemoryError:
        return _complain("out of memory: ask for fewer rows")
    except OSError as error:
        return _complain(f"cannot write: {error.strerror or error}")
    except Exception as error:
        if hasattr(error, "format_message"):  # the command line's own complaint about its arguments
            context = getattr(error, "ctx", None)
            more = f" (`{context.command_path} --help` shows all)" if context else ""
            return _complain(_of_arguments(error) + more)
        if os.environ.get("ROOFCALC_TRACEBACK"):
            raise
        _complain(f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (ROOFCALC_TRACEBACK=1 shows where)")
        return 1


def _of_arguments(error: Any) -> str:
    """The command line's complaint in one line; of a misspelt option with the nearest, of what is missing with a line that has it."""
    from roofcalc.errors import nearest

    name, context = str(getattr(error, "option_name", "")), error.ctx
    if context is None or not hasattr(error, "possibilities"):
        said = " ".join(str(error.format_message()).split())
        examples = getattr(context and context.command, "examples", ()) if said.startswith("Missing argument") else ()
        return f"{said.rstrip('.')}; for instance: {examples[0]}" if examples else said
    from roofcalc.commands.engine_flags import hint

    if elsewhere := hint(name):
        return f"No such option: {elsewhere}"
    near = nearest(name, [word for one in context.command.params for word in one.opts if word.startswith("--")], 2)
    return f"No such option: {name}" + (f"; did you mean {' or '.join(near)}?" if near else "")


class _Closed(io.TextIOBase):
    """Stands for a standard output that was closed before the start: an error only once something is written."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def _complain(*lines: str) -> int:
    from roofcalc.errors import printable

    try:
        for line in lines[:MOST_LINES]:
            print(f"error: {printable(line)}", file=sys.stderr)
        if len(lines) > MOST_LINES:
            print(f"error: and {len(lines) - MOST_LINES:,} more", file=sys.stderr)
    except OSError:  # nobody listens; the exit code still tells
        pass
    return 2


def _version(value: bool) -> None:
    if value:
        print(f"roofcalc {__version__}")
        raise typer.Exit


def help_if_alone(ctx: typer.Context) -> None:
    """A group without a command shows its help, and that is an answer."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
        raise typer.Exit


app = typer.Typer(name="roofcalc", cls=LazyGroup, rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def roofcalc(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """How many users fit, how fast each is served, and what runs out first: rooflines for LLM inference."""
    help_if_alone(ctx)
