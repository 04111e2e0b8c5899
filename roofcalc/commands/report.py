"""The HTML report: the main tables and charts of models on hardware, on one page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands import defaults
from roofcalc.commands.arguments import Names, Numbers
from roofcalc.commands.catalog_list.hardware import hardware_show
from roofcalc.commands.catalog_list.models import models_show
from roofcalc.commands.compare import compare
from roofcalc.commands.explain import explain
from roofcalc.commands.flops import flops
from roofcalc.commands.frontier import frontier
from roofcalc.commands.interactivity import interactivity as interactivity_of
from roofcalc.commands.max_batch import max_batch
from roofcalc.commands.memory import memory
from roofcalc.commands.ops import ops
from roofcalc.commands.options import Options
from roofcalc.commands.plan import plan
from roofcalc.commands.request import Request
from roofcalc.commands.workload import generation_options
from roofcalc.errors import RoofcalcError, flag
from roofcalc.report.formatting import format_cell
from roofcalc.report.html.page import Page, Part
from roofcalc.report.html.tables import MAX_ROWS
from roofcalc.report.plots.kinds import need_matplotlib
from roofcalc.report.plots.lines import Row, cases, short
from roofcalc.report.table import Table
from roofcalc.units import tokens

OF_GENERATIONS = ("prefill", "arrivals", "hit_rate", "shared_prefix")  # options that steps at a context do not take
MAX_CONTEXTS, MAX_BATCHES, MAX_RATES = 500, 24, 24  # of longer lists, so many values are shown: every point of a chart is in the page
RANGE = 80  # percent of the measured runs that the ranges of `typical` hold
SEVERAL = ("model", "hardware", "weights", "kv", "assume")  # a comparison has rows that differ in one of these
MAX_EXPLAINED = 24  # with more rows, only one context is explained


def report(
    model: Names,
    hardware: Names,
    *,
    seq: Numbers | None = None,
    batch: Numbers | None = None,
    interactivity: Numbers | None = None,
    isl: Numbers | None = None,
    osl: Numbers | None = None,
    ttft: Numbers | None = None,
    requests_per_second: Numbers | None = None,
    usd_per_hour: Numbers | None = None,
    range: float | None = None,
    **options: Unpack[Options],
) -> Page:
    """A self-contained page about models on hardware; `page.html()` yields its lines.

    Parameters
    ----------
    model, hardware : names
    seq, interactivity, isl, osl, options
        As `max_batch` takes them. With isl and osl batches, speeds, layouts and derivations are those of served generations; memory,
        FLOPs and operations are shown at their last contexts.
    batch : sequences
        Batches of the memory and interactivity tables (default 1, 8 and 64).
    ttft, requests_per_second, usd_per_hour
        As `compare` takes them, for the comparison of several machines, models or precisions; with a rate, a plan is added for each.
    range : percent
        As `max_batch` takes it (default 80 with `assume="typical"`).

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    given = generation_options(isl, osl, None)
    names = Request("report", (), model, hardware, options, given)
    if not all(isinstance(name, str) for name in (*names.models, *names.machines)):
        raise RoofcalcError("report: give names of catalog entries or files, not records")
    seq, few_contexts = _thinned(seq, "--seq", MAX_CONTEXTS)
    interactivity, few_rates = _thinned(interactivity, "--interactivity", MAX_RATES)
    chosen, few_batches = _thinned(batch, "--batch", MAX_BATCHES)
    batches = defaults.REPORT_BATCHES if chosen is None else chosen
    requests: dict[str, Any] = {"seq": seq, "isl": isl, "osl": osl}
    if range is None and all(one.is_typical for one in names.presets):
        range = RANGE
    largest = max_batch(model, hardware, **requests, interactivity=interactivity, range=range, **options)
    context, size, rate = _representative_point(largest)
    contexts = list(dict.fromkeys(largest["seq"].tolist())) if len(largest) <= MAX_EXPLAINED else [context]
    step: Options = {name: value for name, value in options.items() if name not in OF_GENERATIONS}  # type: ignore[assignment]
    held = contexts if given else seq
    place = int((largest["seq"] == context).argmax())
    work = {name: float(largest[name][place]) for name in (("isl", "osl") if given else ("seq",))}
    limits: dict[str, Any] = {"interactivity": rate, "ttft": ttft, "requests_per_second": requests_per_second, "usd_per_hour": usd_per_hour}
    beside = _side_by_side(model, hardware, largest, {**work, **limits}, options)
    parts = (
        Part("Largest batch", largest),
        *beside,
        Part("Memory", memory(model, hardware, seq=held, batch=batches, **step)),
        Part("Speed of each user", interactivity_of(model, hardware, **requests, batch=batches, range=range, **options)),
        Part("FLOPs", flops(model, hardware, seq=held, batch=size, interactivity=rate, **step), listed=False),
        Part(f"Operations of a step, {tokens(context)} tokens, batch {size:,.0f}", ops(model, hardware, seq=context, batch=size, **step)),
        Part(
            "Every layout, served generations" if given else f"Every layout, {tokens(context)} tokens",
            frontier(model, hardware, **(requests if given else {"seq": context}), **options),
        ),
    )
    shown = requests if given else {"seq": contexts}
    explained = explain("max-batch", model, hardware, **shown, interactivity=interactivity, **options)
    entries = [(f"Model {name}", models_show(name)) for name in names.models] + [(f"Hardware {name}", hardware_show(name)) for name in names.machines]
    notes = [note for part in parts for note in part.table.notes]
    longest = max(len(part.table) for part in parts)
    notes = [note for note in notes if not any(other != note and other.startswith(note) for other in notes)]
    notes += [*few_contexts, *few_rates, *few_batches]
    notes += [f"tables of more than {MAX_ROWS:,} rows show their first and last {MAX_ROWS // 2}"] if longest > MAX_ROWS else []
    notes += [f"batch: {defaults.REPORT_BATCHES} (--batch)"] if batch is None else []
    no_charts = _why_no_charts()
    notes += [no_charts] if no_charts else []
    derivations = tuple((_heading(row), sections[1:]) for row, sections in zip(explained.table.rows(), explained.rows, strict=True))
    compared = [sentence for one in beside if one.table.command == "compare" for sentence in _compared(one.table, requests_per_second is not None)]
    answers = (*_answers(largest), *compared)
    return Page(_title(largest), answers, parts, not no_charts, derivations, tuple(entries), tuple(dict.fromkeys(notes)))


def _side_by_side(model: Names, hardware: Names, largest: Table, demand: dict[str, Any], options: Options) -> tuple[Part, ...]:
    """The comparison of several machines, models or precisions, if there are several; and with a rate the plan for each.

    Raises
    ------
    RoofcalcError
        Limits that only these sections take, without them; several requests where one is compared.
    """
    rate, several = demand["requests_per_second"], len(set(zip(*(largest[name].tolist() for name in SEVERAL), strict=True))) > 1
    if not several and rate is None and (extra := [flag(name) for name in ("ttft", "usd_per_hour") if demand[name] is not None]):
        raise RoofcalcError(f"{', '.join(extra)}: for a comparison or a plan; name two machines, or give --requests-per-second")
    found = []
    if several:
        found.append(Part("Side by side", compare(model, hardware, **demand, **options), drawn=False))
    if rate is not None:
        found.append(Part("Plan", plan(model, hardware, **demand, **options), drawn=False))
    return tuple(found)


def _compared(table: Table, planned: bool) -> Iterator[str]:
    """A sentence per row of a comparison; `planned` if it is for a rate of requests."""
    presets = len(set(table["assume"].tolist())) > 1
    for row in table.rows():
        many = (
            f"{format_cell(row['devices'])} devices in {format_cell(row['replicas'])} replicas" if planned else f"{format_cell(row['users'])} users"
        )
        preset = f", preset {row['assume']}" if presets else ""
        price, best = row["usd_per_mtok_out"], row["best"]
        cost = "" if price is None else f", {format_cell(price)} USD per million output tokens"
        yield f"{row['model']} on {row['hardware']}, {row['weights']} weights{preset}: {many}{cost}{f'; best in {best}' if best else ''}."


def _thinned(values: Numbers | None, name: str, most: int) -> tuple[Numbers | None, list[str]]:
    """At most `most` of the values, evenly spaced in their order with the first and the last among them, and a note if some are left out."""
    if values is None or isinstance(values, (int, float)):
        return values, []
    every = units.numbers(values, name) if isinstance(values, str) else np.ravel(np.asarray(values)).tolist()
    if len(every) <= most:
        return values, []
    places = np.unique(np.linspace(0, len(every) - 1, most).round().astype(int))
    return [every[place] for place in places], [f"{name}: {len(every):,} values; the page shows {places.size} of them, first and last included"]


def _representative_point(largest: Table) -> tuple[float, float, float]:
    """The median context, the largest batch that every case can serve at it, and the first interactivity."""
    contexts = np.unique(largest["seq"])
    middle = float(contexts[contexts.size // 2])
    batches = largest["max_batch"][largest["seq"] == middle]
    served = batches[np.isfinite(batches) & (batches > 0)]
    return middle, float(served.min()) if served.size else 1.0, float(largest["min_interactivity_tok_s"][0])


def _why_no_charts() -> str:
    """Why the page has no charts; empty if it has them."""
    try:
        need_matplotlib()
    except RoofcalcError as error:
        return f"{error.lines[0]} (left out here)"
    return ""


def _title(largest: Table) -> str:
    models, machines = (", ".join(dict.fromkeys(largest[name].tolist())) for name in ("model", "hardware"))
    return f"{models} on {machines}"


def _heading(row: Row) -> str:
    """Heading of the derivation of one row."""
    case = f"{row['model']} on {row['hardware']}, {row['weights']} weights, {row['kv']} KV"
    return f"{format_cell(row['seq'])} tokens, at least {short(row['min_interactivity_tok_s'])} tok/s: {case}"


def _answers(largest: Table) -> Iterator[str]:
    """A sentence per case: the largest batch at its shortest, middle and longest context."""
    found, shared = cases(largest, ("min_interactivity_tok_s",))
    for name, rows in found:
        chosen = [rows[number] for number in dict.fromkeys((0, len(rows) // 2, len(rows) - 1))]
        parts = [f"{format_cell(row['max_batch'])} at {tokens(float(row['seq'] or 0))} tokens (limit: {row['limited_by']})" for row in chosen]
        yield f"{', '.join(part for part in (name, shared) if part)}: the largest batch is {', '.join(parts)}."
