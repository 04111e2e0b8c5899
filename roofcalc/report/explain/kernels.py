"""Explains the times of `typical`: kernel models with their constants, launch floors, and the constants of whole runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import collectives
from roofcalc.physics.ops.operation import Message, Operation
from roofcalc.physics.resources import Terms
from roofcalc.report.explain.formulas import number
from roofcalc.report.explain.render import Line, Section, total


def is_timed(deployment: Deployment) -> bool:
    """Whether operations are timed by kernel models: in `typical`, unless both fractions are given by hand."""
    given = deployment.assumptions
    return deployment.profile is not None and (given.mfu is None or given.mbu is None)


def operation_lines(deployment: Deployment, operation: Operation, sequences: Any) -> tuple[list[Line], Terms]:
    """The time of an operation in all its layers, its launches, and the constants behind it."""
    from roofcalc.physics.timing import describe  # only `typical` needs it
    from roofcalc.physics.timing.operations import operations_terms

    terms = {name: float(np.squeeze(value)) for name, value in operations_terms(deployment, [operation], sequences).items()}
    busy = terms.get("compute", 0.0) + terms.get("bandwidth", 0.0)
    nearer = "compute" if terms.get("compute", 0.0) > terms.get("bandwidth", 0.0) else "memory"
    lines = [Line("kernels", busy, f"s in all layers, limited by {nearer}")]
    if launched := terms.get("overhead", 0.0):
        lines.append(Line("launches", launched, "s in all layers"))
    words = _given(deployment, operation) or describe.of_operation(deployment, operation)
    return [*lines, Line("constants", words)], terms  # type: ignore[return-value]


def _given(deployment: Deployment, operation: Operation) -> str:
    """The fraction given by hand that replaces an operation's kernel model; empty where none does."""
    from roofcalc.physics.timing.charge import is_replaced  # only `typical` needs it

    given = deployment.assumptions
    compute = float(np.squeeze(operation.flops)) / (deployment.flop_per_s(deployment.format_of(operation.role, operation.tensor)) or np.inf)
    memory = float(np.squeeze(operation.bytes)) / deployment.memory_bytes_per_s
    if not is_replaced(deployment, compute, memory):
        return ""
    return f"none: mfu {given.mfu:g}, given by hand" if compute > memory else f"none: mbu {given.mbu:g}, given by hand"


def message_lines(deployment: Deployment, message: Message, tokens: float) -> tuple[list[Line], collectives.LinkTime]:
    """The time of a message, by the fastest kernel that can carry it, and the constants of all that can."""
    from roofcalc.physics.timing import describe  # only `typical` needs it

    time = collectives.LinkTime(*(float(np.squeeze(one)) for one in collectives.seconds(deployment, message, np.float64(tokens))))
    lines = [Line("constants", words) for words in describe.of_message(deployment, message)]
    for name, seconds in (("link", time.link), ("scale_out", time.scale_out), ("latency", time.latency)):
        if seconds:
            all_ = float(seconds) * message.layers
            lines.append(Line(f"{name} in all", all_, "s, the fastest kernel", "", f"{message.layers}·{number(float(seconds))}"))
    return lines, time


def run_section(deployment: Deployment) -> Section:
    """The constants of whole runs that multiply kernel times, and whose they are."""
    profile = deployment.profile
    assert profile is not None
    values = profile.constants._asdict()
    lines = tuple(Line(name, value, unit_of(name)) for name, value in values.items())
    words = (
        f"fitted to whole runs: engine {profile.engine}, family {profile.family}, {profile.kind} models; factors without a unit multiply kernel "
        "times: kernels = layers·max(factor·t, FLOPs/F, bytes/β), launches = layers·launch·t0; t is the kernel's model without its floor "
        "t0, by the constants that each operation lists (formulas: docs/calibration.md)"
    )
    return Section("Constants of whole runs", lines, words)


def unit_of(name: str) -> str:
    """The unit in a constant's name."""
    return {"us": "µs", "ms": "ms"}.get(name.rpartition("_")[2], "")


def small_section(deployment: Deployment, groups: tuple[tuple[str, int], ...], tokens: float) -> tuple[Section, float]:
    """The small kernels around the operations of each block: their bytes, and their time."""
    from roofcalc.physics.timing.step import block_work, small_s  # only `typical` needs it

    lines, seconds = [], []
    for name, layers in groups:
        all_ = float(small_s(deployment, name, tokens)) * layers
        moved = block_work(deployment, name).small_bytes
        lines.append(Line(name, all_, f"s in {layers} layers: {number(moved)} B for each of {number(tokens)} tokens"))
        seconds.append(all_)
    lines.append(total("small kernels", seconds, "s"))
    words = "norms, activations, rotary embeddings, cache writes: 8·h bytes a part and 3 bytes per element that its matrices produce"
    return Section("Small kernels", tuple(lines), words), sum(seconds)
