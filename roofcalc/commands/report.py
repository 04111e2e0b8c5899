"""Everything about some models on some hardware, gathered for one page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

import numpy as np

from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.catalog_list.hardware import hardware_show
from roofcalc.commands.catalog_list.models import models_show
from roofcalc.commands.explain import explain
from roofcalc.commands.flops import flops
from roofcalc.commands.frontier import frontier
from roofcalc.commands.interactivity import interactivity as interactivity_of
from roofcalc.commands.max_batch import max_batch
from roofcalc.commands.memory import memory
from roofcalc.commands.ops import ops
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.errors import RoofcalcError
from roofcalc.report.formatting import format_cell
from roofcalc.report.html.page import Page, Part
from roofcalc.report.plots.kinds import need_matplotlib
from roofcalc.report.plots.lines import Row, cases, short
from roofcalc.report.table import Table
from roofcalc.units import tokens

DEFAULT_BATCHES = "1,8,64"
MOST_WORKINGS = 24


def report(
    model: Names,
    hardware: Names,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    interactivity: Numbers | None = None,
    **options: Unpack[Options],
) -> Page:
    """A page about models on hardware: `page.html()` yields its lines.

    Parameters
    ----------
    model, hardware : names
    seq, interactivity, options
        As `max_batch` takes them.
    batch : sequences
        For memory and speed at constant batches (default 1, 8 and 64).

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    names = Request("report", (), model, hardware, options)
    if not all(isinstance(name, str) for name in (*names.models, *names.machines)):
        raise RoofcalcError("report: it shows what catalogs and files say; give names, not records")
    batches = DEFAULT_BATCHES if batch is None else batch
    largest = max_batch(model, hardware, seq=seq, interactivity=interactivity, **options)
    one, many, rate = _one_point(largest)
    parts = (
        Part("Largest batch", largest),
        Part("Memory", memory(model, hardware, seq=seq, batch=batches, **options)),
        Part("Speed of each user", interactivity_of(model, hardware, seq=seq, batch=batches, **options)),
        Part("FLOPs", flops(model, hardware, seq=seq, batch=many, interactivity=rate, **options), listed=False),
        Part(f"Operations of a step, {tokens(one)} tokens, batch {many:,.0f}", ops(model, hardware, seq=one, batch=many, **options)),
        Part(f"Every layout, {tokens(one)} tokens", frontier(model, hardware, seq=one, **options)),
    )
    contexts = list(dict.fromkeys(largest["seq"].tolist())) if len(largest) <= MOST_WORKINGS else one
    working = explain("max-batch", model, hardware, seq=contexts, interactivity=interactivity, **options)
    entries = [(f"Model {name}", models_show(name)) for name in names.models] + [(f"Hardware {name}", hardware_show(name)) for name in names.machines]
    notes = [note for part in parts for note in part.table.notes]
    notes += [f"batch: {DEFAULT_BATCHES} (--batch)"] if batch is None else []
    lacking = _lacking()
    notes += [lacking] if lacking else []
    worked = tuple((_named(row), sections[1:]) for row, sections in zip(working.table.rows(), working.rows, strict=True))
    return Page(_title(largest), tuple(_answers(largest)), parts, not lacking, worked, tuple(entries), tuple(dict.fromkeys(notes)))


def _one_point(largest: Table) -> tuple[float, float, float]:
    """A context in the middle, a batch that all cases can serve there, and the interactivity asked for first."""
    contexts = np.unique(largest["seq"])
    middle = float(contexts[contexts.size // 2])
    there = largest["max_batch"][largest["seq"] == middle]
    served = there[np.isfinite(there) & (there > 0)]
    return middle, float(served.min()) if served.size else 1.0, float(largest["min_interactivity_tok_s"][0])


def _lacking() -> str:
    """Why there are no charts; empty where there are."""
    try:
        need_matplotlib()
    except RoofcalcError as error:
        return f"{error.lines[0]} (left out here)"
    return ""


def _title(largest: Table) -> str:
    models, machines = (", ".join(dict.fromkeys(largest[name].tolist())) for name in ("model", "hardware"))
    return f"{models} on {machines}"


def _named(row: Row) -> str:
    """What a piece of working is about."""
    case = f"{row['model']} on {row['hardware']}, {row['weights']} weights, {row['kv']} KV"
    return f"{format_cell(row['seq'])} tokens, at least {short(row['min_interactivity_tok_s'])} tok/s: {case}"


def _answers(largest: Table) -> Iterator[str]:
    """The largest batch of each case at its shortest, middle and longest context."""
    found, shared = cases(largest, ("min_interactivity_tok_s",))
    for name, rows in found:
        chosen = [rows[place] for place in dict.fromkeys((0, len(rows) // 2, len(rows) - 1))]
        parts = [f"{format_cell(row['max_batch'])} at {tokens(float(row['seq'] or 0))} tokens (limit: {row['limited_by']})" for row in chosen]
        yield f"{', '.join(part for part in (name, shared) if part)}: the largest batch is {', '.join(parts)}."
