"""`roofcalc columns`: name, unit and meaning of every column."""

from typing import NamedTuple

import numpy as np

from roofcalc.commands.catalog_lint import FINDING_COLUMNS
from roofcalc.commands.catalog_list.hardware import HARDWARE_COLUMNS, SYSTEM_COLUMNS
from roofcalc.commands.catalog_list.models import MODEL_COLUMNS
from roofcalc.commands.from_command import COLUMNS as FROM_COLUMNS
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.report import columns as declared
from roofcalc.report.table import Block, Column, Table

SHARED = "(shared)"  # the case and the assumptions, which many commands print
_IF_GIVEN = "where given"
_GENERATIONS = "with --isl and --osl"
_RANGE = "with --range"
_DRAFTER = "with --draft-model, --mtp or --drafter eagle"

_COLUMNS = (
    Column("command", "command", "", "command that prints the column", "text", 9, "case"),
    Column("column", "column", "", "name in CSV, JSON and Python", "text", 9),
    Column("unit", "unit", "", "unit of its values", "any", 9),
    Column("printed", "printed", "", "when the column is printed; empty: always", "any", 8),
    Column("meaning", "meaning", "", "meaning of its values", "any", 9),
)


class Group(NamedTuple):
    """Columns that are printed together, and when; always, where that is empty."""

    columns: tuple[Column, ...]
    printed: str = ""


_SERVE = Group((declared.SERVE,), "with --for")


class Layout(NamedTuple):
    """The columns of a command in order: the case, its results, the assumptions, and results added at the end."""

    results: tuple[Group, ...]
    last: tuple[Group, ...] = ()
    has_case: bool = True


def _with_case(results: tuple[Column, ...], *last: Group) -> Layout:
    return Layout((Group(results),), last)


def _only(*groups: Group) -> Layout:
    return Layout(groups, has_case=False)


LAYOUTS: dict[str, Layout] = {
    "max-batch": Layout(
        (
            Group(declared.MAX_BATCH),
            Group((declared.DRAFT_WEIGHTS,), _DRAFTER),
            Group((*declared.BATCH_RANGE, *declared.SPEED_RANGE), _RANGE),
            Group(declared.TTFT_RANGE, f"{_RANGE}, --isl and --osl"),
        ),
        (Group(declared.GENERATION, _GENERATIONS), _SERVE),
    ),
    "interactivity": Layout(
        (
            Group(declared.INTERACTIVITY_ROWS),
            Group(declared.SPEED_RANGE, _RANGE),
            Group(declared.TTFT_RANGE, f"{_RANGE}, --isl and --osl"),
        ),
        (
            Group(declared.GENERATION, _GENERATIONS),
            Group(declared.PLAN_QUEUE, "with --requests-per-second"),
            Group(declared.GOODPUT, "with --goodput"),
        ),
    ),
    "memory": Layout(
        (
            Group(declared.MEMORY),
            Group(declared.MEMORY_OF_HOST, "with --offload or --gpu-layers"),
            Group((declared.DRAFT_WEIGHTS,), _DRAFTER),
        ),
        (_SERVE,),
    ),
    "from": _with_case(FROM_COLUMNS),
    "prefill": Layout(
        (Group(declared.PREFILL), Group(declared.TTFT_RANGE, _RANGE)),
        (Group(declared.PREFILL_OF_TIER, "with --offload kv=…"),),
    ),
    "frontier": _with_case(
        declared.FRONTIER,
        Group(declared.GENERATION, "with --isl and --osl, without --disaggregated"),
        Group(declared.FRONTIER_DISAGGREGATED, "with --disaggregated"),
        _SERVE,
    ),
    "plan": _with_case(
        declared.PLAN,
        Group(declared.PLAN_LIMITS),
        Group((declared.REQUESTS_PER_S,), "with --requests-per-second"),
        Group((declared.MAX_TTFT_S,), "with --ttft"),
        Group((declared.SPARE,), "with --spare"),
        Group(declared.PLAN_MORE),
        Group(declared.PLAN_QUEUE, "with --requests-per-second"),
        Group(declared.PLAN_LAYOUTS),
        Group((declared.LATENCY_S,), "with --isl and --osl, or --mix"),
        Group((declared.MAX_LATENCY_S,), "with --max-latency"),
        Group(declared.GOODPUT[-1:], "with --goodput"),
        Group((declared.PLAN_TTFT_PERCENTILE,), "with --ttft-percentile"),
        _SERVE,
    ),
    "compare": _with_case(
        declared.COMPARE,
        Group(declared.PLAN_LIMITS),
        Group((declared.MAX_TTFT_S,), "with --ttft"),
        Group((declared.MAX_LATENCY_S,), "with --max-latency"),
    ),
    "flops": _with_case(
        declared.FLOPS,
        Group((declared.BATCH,), "with hardware"),
        Group((declared.MIN_INTERACTIVITY,), "with hardware, without --ttft"),
        Group((declared.MAX_TTFT_S,), "with --ttft"),
    ),
    "ops": _with_case(
        declared.OPS,
        Group((declared.CACHED,), "with --phase prefill"),
        Group((declared.OVERHEAD_US,), "with typical, or with an overhead"),
        Group((declared.HOST_US,), "with --offload or --gpu-layers"),
        Group((declared.FORMAT,)),
    ),
    "attention": _with_case(declared.ATTENTION),
    "cost": Layout(
        (
            Group(declared.COST),
            Group(declared.COST_API, "with --api, or --price-in and --price-out"),
            Group(declared.COST_LOAD),
            Group(declared.COST_BREAK_EVEN, "with --api, or --price-in and --price-out"),
        )
    ),
    "vote": Layout((Group(declared.VOTE), Group(declared.VOTE_ACCURACY, "with --accuracy"))),
    "rollouts": _with_case(declared.ROLLOUTS),
    "overtrain": _only(Group(declared.OVERTRAIN)),
    "reliability": _with_case(declared.RELIABILITY),
    "validate": _only(
        Group(declared.VALIDATE, "without --summary"),
        Group(declared.VALIDATE_SUMMARY, "with --summary"),
        Group(declared.VALIDATE_MEMORY, "with --memory, without --summary"),
        Group(declared.VALIDATE_MEMORY_SUMMARY, "with --memory --summary"),
    ),
    "fit": _only(
        Group(declared.CASE, "without --residuals"),
        Group(declared.FIT, "without --residuals"),
        Group(declared.FIT_ASSUMED, "without --residuals"),
        Group(declared.FIT_ERRORS, "without --residuals"),
        Group(declared.FIT_GROUP, "with --by"),
        Group(declared.FIT_RESIDUALS, "with --residuals"),
    ),
    "check": _only(Group(declared.CHECK)),
    "columns": _only(Group(_COLUMNS)),
    "hardware list": _only(Group(HARDWARE_COLUMNS, "without --systems"), Group(SYSTEM_COLUMNS, "with --systems")),
    "hardware check": _only(Group(FINDING_COLUMNS)),
    "models list": _only(Group(MODEL_COLUMNS)),
    "models check": _only(Group(FINDING_COLUMNS)),
}
_SHARED = (Group(declared.CASE), Group(declared.ASSUMED), Group(declared.WHERE_GIVEN, _IF_GIVEN))


def columns(command: str | None = None) -> Table:
    """Name, unit and meaning of every column.

    Parameters
    ----------
    command : str, optional
        Only the columns of this command, all of them and in order. Without it, those of every command; the case and the
        assumptions that many commands share are then listed once, under `(shared)`.

    Raises
    ------
    RoofcalcError
        An unknown command.
    """
    table = Table("columns", _COLUMNS)
    if command is None:
        rows = [(SHARED, group) for group in _SHARED]
        rows += [(name, group) for name, layout in LAYOUTS.items() for group in (*layout.results, *layout.last)]
    else:
        name = command.strip()
        if name not in LAYOUTS:
            raise RoofcalcError(f"columns: unknown command {name!r}{did_you_mean(name, list(LAYOUTS))}; commands: {', '.join(LAYOUTS)}")
        rows = [(name, group) for group in of(name)]
    cells = [(name, column.name, column.unit, group.printed, column.meaning) for name, group in rows for column in group.columns]
    values: dict[str, object] = {column.name: np.array([row[i] for row in cells], dtype=object) for i, column in enumerate(_COLUMNS)}
    if command is not None:
        values["command"] = name
    table.blocks.append(Block(len(cells), values))
    return table


def of(command: str) -> tuple[Group, ...]:
    """All columns of a command, in the order in which it prints them."""
    layout = LAYOUTS[command]
    if not layout.has_case:
        return layout.results
    shown = {column.name for group in layout.results for column in group.columns}
    assumed = tuple(column for column in declared.ASSUMED if column.name not in shown)
    return (Group(declared.CASE), *layout.results, Group(assumed), Group(declared.WHERE_GIVEN, _IF_GIVEN), *layout.last)
