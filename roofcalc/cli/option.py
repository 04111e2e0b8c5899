"""An option as the tables of options and commands declare it, and the Typer parameter made of it."""

from typing import Any, NamedTuple

from typer.core import TyperArgument, TyperOption

from roofcalc.cli import complete
from roofcalc.errors import RoofcalcError, flag


class Option(NamedTuple):
    """An option, or an argument where it has no flags.

    Attributes
    ----------
    name : str
        Keyword argument of the API function; `no_x` for a flag that sets the argument `x` to False.
    flags : str
        As typed, alternatives separated by `|`: `--output|-o`.
    panel : str
        Heading in `--help`.
    default : str
        The default as `--help` shows it; the API function applies it.
    kind : type
        str, float or bool. Numbers that may be lists, ranges or carry a suffix are str, and parsed by the API function.
    metavar : str
        Placeholder of the value; `a|b` lists the choices, which the shell then completes.
    many : bool
        Repeatable option, or an argument that takes several words.
    """

    name: str
    flags: str
    panel: str
    help: str
    default: str = ""
    kind: type = str
    metavar: str = ""
    many: bool = False
    required: bool = False

    def parameter(self) -> TyperOption | TyperArgument:
        """The Typer parameter."""
        if not self.flags:
            return TyperArgument(
                param_decls=[self.name],
                type=self.kind,
                required=self.required,
                nargs=-1 if self.many else 1,
                metavar=self.metavar or self.name.upper(),
                show_default=self.default or False,
                autocompletion=complete.COMPLETERS.get(self.name),
                help=self.help,
            )
        is_flag = self.kind is bool
        return TyperOption(
            param_decls=[self.name, *self.flags.split("|")],
            type=None if is_flag else self.kind,
            is_flag=is_flag,
            multiple=self.many,
            metavar=self.metavar or None,
            show_default=self.default or False,
            autocompletion=self._completer(),
            help=self.help,
            rich_help_panel=self.panel,
        )

    def _completer(self) -> complete.Completer | None:
        if "|" in self.metavar:
            return complete.choices(self.metavar.split("|"))
        return complete.COMPLETERS.get(self.metavar.lower())


def named(options: tuple[Option, ...], *names: str) -> tuple[Option, ...]:
    """Those of `options` that have one of these names."""
    return tuple(option for option in options if option.name in names)


def given(values: dict[str, Any], options: tuple[Option, ...]) -> dict[str, Any]:
    """Options given on the command line, as keyword arguments of an API function; several values are a list.

    Raises
    ------
    RoofcalcError
        An option with an empty value, or a flag together with its opposite.
    """
    positional = {option.name for option in options if not option.flags}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if value is None or value == ():
            continue
        if value == "" and name not in positional:  # commands say what an argument has to name
            raise RoofcalcError(f"{flag(name)}: the value is empty; leave the option out for its default")
        positive = name.removeprefix("no_")
        if positive != name:
            if positive in arguments:
                word = positive.replace("_", "-")
                raise RoofcalcError(f"--no-{word}: cannot be combined with --{word}")
            arguments[positive] = False
        else:
            arguments[name] = list(value) if isinstance(value, tuple) else value
    return arguments
