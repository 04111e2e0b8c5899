"""`roofcalc plot max-batch`, `plot memory` and so on: the options of the command of that name, and a picture for an answer."""

from typing import Any, ClassVar

import typer

from roofcalc.cli.app import COMMANDS, LazyGroup, help_if_alone
from roofcalc.cli.command import drawing_command
from roofcalc.report.plots.kinds import KINDS


class PlotGroup(LazyGroup):
    table: ClassVar = {name: (COMMANDS[name][0], kind.title) for name, kind in KINDS.items() if name in COMMANDS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        asked = super().get_command(ctx, cmd_name)
        return asked and drawing_command(cmd_name, asked, KINDS[cmd_name].title, KINDS[cmd_name].example)


_app = typer.Typer(cls=PlotGroup, add_completion=False, rich_markup_mode=None, invoke_without_command=True)


@_app.callback()
def _plot(ctx: typer.Context) -> None:
    """The same figures as a picture."""
    help_if_alone(ctx)


COMMAND = typer.main.get_command(_app)
