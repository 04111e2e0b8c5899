"""Show every formula behind an answer with the numbers of this request filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Unpack

import numpy as np

from roofcalc.commands.arguments import Names
from roofcalc.commands.interactivity import interactivity
from roofcalc.commands.max_batch import max_batch
from roofcalc.commands.memory import memory
from roofcalc.commands.options import Options
from roofcalc.commands.prefill import prefill
from roofcalc.commands.request import Request
from roofcalc.commands.workload import generation_options
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.physics.generation import decode_tok_s, interactivity_tok_s, mean_step
from roofcalc.physics.serving import ServedStep
from roofcalc.report.explain import inputs, render
from roofcalc.report.explain.formulas import work
from roofcalc.report.explain.memory import memory as memory_sections
from roofcalc.report.explain.prefill import prefill as prefill_sections
from roofcalc.report.explain.render import Line, Section
from roofcalc.report.explain.served import Generation, served_sections
from roofcalc.report.explain.stages import step as step_sections
from roofcalc.report.table import Table
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

MAX_ROWS = 100
NO_PEAK = Line("no time", "the catalog lists no peak FLOP/s for the formats of these operations")


class Explanation(NamedTuple):
    """The rows of a table, each with the sections that derive it; `text` and `markdown` yield lines.

    Attributes
    ----------
    table : Table
        The answer, with its notes.
    rows : list of list of Section
        The derivation of each row.
    """

    table: Table
    rows: list[list[Section]]

    def text(self) -> Iterator[str]:
        """Plain text."""
        for number, sections in enumerate(self.rows):
            yield from ([""] if number else [])
            yield from render.text(sections)

    def markdown(self) -> Iterator[str]:
        """Markdown."""
        for number, sections in enumerate(self.rows):
            yield from (["", "---", ""] if number else [])
            yield from render.markdown(sections)


def explain(command: str, model: Names | Model, hardware: Names | Hardware, **options: Any) -> Explanation:
    """The answer of `max_batch`, `interactivity`, `memory` or `prefill`, with its derivation.

    Parameters
    ----------
    command : "max-batch", "interactivity", "memory" or "prefill"
    model, hardware, options
        As the command of that name takes them.

    Raises
    ------
    RoofcalcError
        Another command, arguments that the command rejects, speculative decoding, a rate of requests, or more than MAX_ROWS rows.
    """
    if command not in _EXPLAINED:
        raise invalid_choice("explain", command, _EXPLAINED)
    answer, derivation = _EXPLAINED[command]
    if options.get("requests_per_second") is not None:
        raise RoofcalcError("explain: requests per second are not explained; give the number in flight (--batch)")
    table = answer(model, hardware, **options)
    if len(table) > MAX_ROWS:
        raise RoofcalcError(f"explain: {len(table):,} rows; at most {MAX_ROWS} are explained at once, so give a single context and batch")
    given = generation_options(options.get("isl"), options.get("osl"), options.get("chunk"))
    shared: Options = {name: value for name, value in options.items() if name in Options.__annotations__}  # type: ignore[assignment]
    deployments = [deployment for deployment, _ in _request(command, model, hardware, given, **shared).deployments()]
    if any(deployment.draft for deployment in deployments):
        raise RoofcalcError("explain: speculative decoding is not explained; leave out the draft options")
    rows = []
    for deployment, block in zip(deployments, table.computed(), strict=True):
        for number in range(block.size):
            row = {name: value[number] if isinstance(value, np.ndarray) else value for name, value in block.values.items()}
            rows.append([_title(command, row), *inputs.sections(deployment), *derivation(deployment, row)])
    return Explanation(table, rows)


def _generation(row: dict[str, Any]) -> Generation | None:
    """The tokens of the requests of a row; None where it is about a context."""
    if "isl" not in row or row["isl"] is None:
        return None
    chunk = row.get("chunk")
    return Generation(float(row["isl"]), float(row["osl"]), None if chunk is None else float(chunk))


def _request(command: str, model: Any, hardware: Any, given: tuple[str, ...], **options: Unpack[Options]) -> Request:
    return Request(command, (), model, hardware, options, given)


def _title(command: str, row: dict[str, Any]) -> Section:
    return Section(f"{command}: {row['model']} on {row['hardware']}, {row['weights']} weights, {row['kv']} KV", ())


def _interactivity(deployment: Deployment, row: dict[str, Any]) -> list[Section]:
    seq, batch = float(row["seq"]), float(row["batch"])
    if not deployment.has_time:
        return [Section("Step", (NO_PEAK,))]
    if (requests := _generation(row)) is not None:
        return served_sections(deployment, requests, batch, str(row["limited_by"]))
    sections, seconds = step_sections(deployment, seq, batch)
    return [*sections, _speed(seconds, batch, deployment.hardware.count, row["limited_by"])]


def _speed(seconds: float, batch: float, devices: int, limited_by: str) -> Section:
    values = {"A": 1.0, "T_step": seconds, "B": batch, "devices": devices}
    speed = work(interactivity_tok_s, "interactivity", values)
    values["interactivity"] = speed.value
    lines = [render.line(speed, "tok/s/user")]
    throughput = work(decode_tok_s, "throughput", values)
    values["throughput"] = throughput.value
    lines += [render.line(throughput, "tok/s"), render.line(work(decode_tok_s, "throughput per device", values), "tok/s")]
    return Section("Speed", (*lines, Line("limited_by", str(limited_by), "the largest part of the step")))


def _memory(deployment: Deployment, row: dict[str, Any]) -> list[Section]:
    return memory_sections(deployment, float(row["seq"]), float(row["batch"]))


def _max_batch(deployment: Deployment, row: dict[str, Any]) -> list[Section]:
    seq, rate = float(row["seq"]), float(row["min_interactivity_tok_s"])
    sections = memory_sections(deployment, seq)
    largest = float(row["batch_interactivity"])
    answer = (Line("max_batch", float(row["max_batch"]), "sequences, the smaller of the two"), Line("limited_by", str(row["limited_by"])))
    if not deployment.has_time:
        return [*sections, Section("Batch by time", (NO_PEAK,))]
    if not np.isfinite(largest):
        unlimited = "no limit on the speed" if rate == 0 else "any batch is fast enough"
        sections.append(Section("Batch by time", (Line("batch_interactivity", f"no limit: {unlimited}"),)))
        return [*sections, *_at_largest(deployment, row), Section("Answer", answer)]
    if (requests := _generation(row)) is not None:
        paced = ServedStep(mean_step(deployment, requests.isl, requests.osl), requests.isl, requests.osl, requests.chunk)
        found = [float(paced.served(np.float64(max(n, 1.0))).tpot_s) for n in (largest, largest + 1)]
        lines = [Line("allowed", 1 / rate, "s per token", "1/interactivity", f"1/{rate:g}")]
        lines += [Line(f"TPOT at {largest:.0f}", found[0], "s, within the limit")] if largest > 0 else []
        lines += [Line(f"TPOT at {largest + 1:.0f}", found[1], "s, above the limit"), Line("batch_interactivity", largest, "sequences")]
        return [*sections, Section("Batch by time", tuple(lines)), *_at_largest(deployment, row), Section("Answer", answer)]
    allowed = work(solver.batch_interactivity, "T_allowed", {"interactivity": rate, "A": deployment.accepted})
    lines = [render.line(allowed, "s")]
    if largest > 0:
        steps, seconds = step_sections(deployment, seq, largest)
        sections += steps
        lines.append(Line(f"T_step at {largest:.0f}", seconds, "s, within the limit"))
    _, above = step_sections(deployment, seq, largest + 1)
    lines += [Line(f"T_step at {largest + 1:.0f}", above, "s, above the limit"), Line("batch_interactivity", largest, "sequences")]
    sections.append(Section("Batch by time", tuple(lines)))
    return [*sections, Section("Answer", answer)]


def _at_largest(deployment: Deployment, row: dict[str, Any]) -> list[Section]:
    """What users get at the largest batch, where there is one and the row is about generations."""
    requests, batch = _generation(row), float(row["max_batch"])
    return served_sections(deployment, requests, batch) if requests is not None and batch > 0 else []


def _prefill(deployment: Deployment, row: dict[str, Any]) -> list[Section]:
    if row.get("chunk") is not None:
        raise RoofcalcError("--chunk: explain shows a prefill in one step; leave it out, or give each chunk with --seq and --cached")
    if not deployment.has_time:
        return [Section("Step", (NO_PEAK,))]
    new, batch = float(row["seq"]), float(row["batch"])
    sections, seconds = prefill_sections(deployment, new, float(row["cached"]), batch)
    answer = [Line("TTFT", seconds, "s"), Line("limited_by", str(row["limited_by"]), "the largest part")]
    return [*sections, Section("Answer", tuple(answer))]


_EXPLAINED: dict[str, tuple[Callable[..., Table], Callable[[Deployment, dict[str, Any]], list[Section]]]] = {
    "max-batch": (max_batch, _max_batch),
    "interactivity": (interactivity, _interactivity),
    "memory": (memory, _memory),
    "prefill": (prefill, _prefill),
}
