"""What an engine's start holds: memory and the largest batch of a `vllm serve …` line and its like."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.commands import max_batch, memory
from roofcalc.commands.arguments import Names, Numbers, names
from roofcalc.commands.engine_environment import default_context
from roofcalc.commands.engine_start import Start, is_start, parse
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.tensor_overrides import experts_on_cpu
from roofcalc.commands.workload import batch_sizes
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.engines import visible_bytes
from roofcalc.errors import RoofcalcError
from roofcalc.physics.memory import batch_memory
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHARED = {column.name for column in columns.MEMORY}
COLUMNS = (*columns.MEMORY, *(column for column in columns.MAX_BATCH if column.name not in _SHARED and column.name != "min_interactivity_tok_s"))


@notes_idle_changes
def from_command(line: str, hardware: Names, *, seq: Numbers | None = None, batch: Numbers | None = None, **options: Unpack[Options]) -> Table:
    """Memory and the largest batch of the engine that a command line starts.

    Parameters
    ----------
    line : str
        Of vLLM, SGLang, TensorRT-LLM's trtllm-serve, llama.cpp or ollama, such as "vllm serve Qwen/Qwen3-32B-AWQ --tensor-parallel-size 4";
        variables may stand before it.
    hardware
        Devices; where the line fixes their number, a device without a count is taken so many times.
    seq, batch
        In place of the line's longest sequence, and of one sequence (llama.cpp: of its slots).
    options
        In place of what the line says.

    Returns
    -------
    Table
        One row per hardware, context and batch: the columns of `memory`, then those of `max_batch` without a least interactivity. Flags
        that were taken, that have no effect and that are not calculated are notes.

    Raises
    ------
    RoofcalcError
        No engine or model in the line, a value that cannot be read, or what `memory` refuses.
    """
    if isinstance(hardware, str) and is_start(hardware) and not is_start(line):
        raise RoofcalcError("from: the command line of the engine comes first, then the hardware")
    start = _with_moved_experts(parse(line))
    named = names(hardware, "hardware")
    machines = [_machine(start, name) for name in named]
    request = Request("from", COLUMNS, start.model, machines, {**start.options, **options})  # type: ignore[typeddict-item]
    _say(request, start)
    for name, machine in zip(named, machines, strict=True):
        if machine != name and lookup.COUNTED.match(name):
            request.note(f"{name}: the line starts {start.devices} of its devices ({_why(start)})")
    batches = batch_sizes(batch, start.batch or 1)
    for deployment, changes in request.deployments():
        contexts = np.array([_context(request, start, deployment)]) if seq is None else request.contexts(deployment.model, seq)
        request.note_context(deployment.model, contexts)
        if not (fitting := batch_memory(deployment, contexts)).all():
            request.note(fit_advice.what_would_fit(deployment, float(contexts[np.argmin(fitting)])))
        request.fill(deployment, changes, (contexts, batches), partial(_rows, deployment))
    return request.answer()


def _rows(deployment: Deployment, seq: NDArray[Any], batch: NDArray[Any]) -> dict[str, Any]:
    most = max_batch.rows(deployment, None, None, None, seq, np.zeros(seq.shape))
    return {**{name: value for name, value in most.items() if name != "min_interactivity_tok_s"}, **memory.rows(deployment, seq, batch)}


def _machine(start: Start, name: str) -> str:
    """The hardware with as many devices as the start takes.

    Raises
    ------
    RoofcalcError
        A system or a number of devices that the start's degrees do not take.
    """
    if start.devices is None:
        return name
    machine = lookup.hardware(name)[0]
    if machine.count == start.devices:
        return name
    degrees = f"the line starts {start.devices} ({_why(start)})"
    if machine.system is not None or (machine.count < start.devices and machine.count > 1):
        raise RoofcalcError(f"from: {machine.name} has {machine.count} devices, and {degrees}; name {start.devices} of them: {start.devices}xDEVICE")
    return f"{start.devices}x{re.sub(r'^(?:[0-9]+x)+', '', machine.name)}"


def _why(start: Start) -> str:
    return "those that its variables show" if start.engine == "llama.cpp" else "tp × pp × dp"


def _context(request: Request, start: Start, deployment: Deployment) -> float:
    """The longest sequence: the line's, ollama's default for so much memory, or the model's own. [tokens]"""
    longest = deployment.model.context
    if start.seq or not start.ollama:
        return float(start.seq or longest)
    hardware = deployment.hardware
    found = min(default_context(visible_bytes(hardware.device) * hardware.count), longest)
    tiers = "4,096, from 24 GiB 32,768, from 48 GiB 262,144, at most the model's own"
    request.note(f"ollama: {found:,} tokens, its default on {hardware.name} ({tiers}); OLLAMA_CONTEXT_LENGTH=… or --seq changes it")
    return float(found)


def _with_moved_experts(start: Start) -> Start:
    """The start with llama.cpp's moved tensors as `--offload` calls them; a note where it has no word for them."""
    if not start.moved:
        return start
    found = experts_on_cpu(start.moved, lookup.model(start.model)[0])
    if found is None:
        why = "of moved tensors only the experts of whole layers on the CPUs are (--offload experts=cpu)"
        return start._replace(notes=(*start.notes, f"--override-tensor {start.moved}: not calculated here: {why}"))
    before = start.options.get("offload", "")
    others = " ".join(word for word in before.split() if not word.startswith("experts="))
    return start._replace(options={**start.options, "offload": before if "experts=cpu" in before.split() else f"{others} {found}".strip()})


def _say(request: Request, start: Start) -> None:
    taken = [f"{name} {value}" for name, value in start.options.items() if value is not None]
    taken += [f"seq {start.seq}"] if start.seq else []
    request.note(f"from a start of {start.engine}: {', '.join(taken)}")
    for text in start.notes:
        request.note(text)
    if start.ignored:
        request.note(f"without effect here: {', '.join(start.ignored)}")
