"""The option `--for`: which engine's command line a table adds to its rows (`roofcalc.commands.serve_line` writes it)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.commands.request import Request
from roofcalc.commands.workload import chunk_tokens
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import invalid_choice
from roofcalc.report import columns
from roofcalc.report.table import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roofcalc.commands.serve_line import ServeLines

SERVERS = {"vllm": "vllm", "sglang": "sglang", "trtllm-serve": "tensorrt-llm", "llama-server": "llama.cpp"}
ALIASES = {"llama.cpp": "llama-server", "llamacpp": "llama-server", "tensorrt-llm": "trtllm-serve", "trtllm": "trtllm-serve"}  # engines by name
DOCKER = "docker-"
TARGETS = (*SERVERS, *(DOCKER + server for server in SERVERS))


class Target(NamedTuple):
    """What a line starts: an engine (its name in `engine_flags.TABLES`), by itself or in a container."""

    engine: str
    docker: bool


def target(name: str | None) -> Target | None:
    """The target that `--for` names.

    Raises
    ------
    RoofcalcError
        An unknown one.
    """
    if name is None:
        return None
    given = name.strip().lower() if isinstance(name, str) else ""
    server = given.removeprefix(DOCKER)
    engine = SERVERS.get(ALIASES.get(server, server))
    if engine is None:
        raise invalid_choice("--for", name, TARGETS)
    return Target(engine, given != server)


def with_lines(lines: ServeLines | None, compute: Callable[..., dict[str, Any]], batch: str, lengths: int, *axes: NDArray[Any]) -> dict[str, Any]:
    """The result columns of `compute` at points, and the line of each row.

    Parameters
    ----------
    batch : str
        Result column with the sequences in flight.
    lengths : int
        So many axes come first whose sum is the length of a sequence: its context, or prompt and output.
    """
    values = compute(*axes)
    return values if lines is None else {**values, "serve": lines.of(np.sum(axes[:lengths], axis=0), values[batch])}


def lines_of(request: Request, server: Target | None, deployment: Deployment, chunk: Any = None) -> ServeLines | None:
    """The lines of a deployment, and a note for each thing that they do not say or that the engine cannot do."""
    if server is None:
        return None
    from roofcalc.commands.serve_line import ServeLines  # most runs do not need it

    lines = ServeLines(server, deployment, chunk_tokens(chunk))
    for text in lines.notes():
        request.note(f"--for: {text}")
    return lines


def serve_columns(server: Target | None) -> tuple[Column, ...]:
    """The column of the lines, where a server is named."""
    return () if server is None else (columns.SERVE,)
