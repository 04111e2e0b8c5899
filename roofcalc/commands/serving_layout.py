"""Replaces a default layout that holds no sequence by one that does, so that a batch of 0 means that no layout of the devices serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.fallbacks import notes
from roofcalc.deployment.speculative import with_layout
from roofcalc.physics import memory
from roofcalc.solvers.layouts import layouts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def placements(request: Request, deployment: Deployment, held: NDArray[Any]) -> Iterator[tuple[Deployment, slice]]:
    """The deployment for each run of contexts, in order: in its own layout, or in the one that holds the most where its own holds none.

    Parameters
    ----------
    held : (n,) array
        Tokens that one sequence must hold.
    """
    best = memory.batch_memory(deployment, held)
    which = np.zeros(held.size, dtype=np.intp)
    ways = [deployment]
    if not best.all() and deployment.draft is None:
        empty = best == 0
        for layout in layouts(
            deployment.model, deployment.hardware.count, request.fixed_degrees(deployment.assumptions.engine), pipelines=deployment.takes_stages
        ):
            if layout == deployment.layout:
                continue
            other = with_layout(deployment, deployment.hardware, layout)
            batch = np.where(empty, memory.batch_memory(other, held), 0)
            if (batch > best).any():
                ways.append(other)
                which, best = np.where(batch > best, len(ways) - 1, which), np.maximum(batch, best)
    ends = np.flatnonzero(np.diff(which)) + 1
    for begin, end in zip([0, *ends.tolist()], [*ends.tolist(), held.size], strict=True):
        taken = ways[int(which[begin])]
        if taken is not deployment:
            _say(request, deployment, taken, float(held[begin]))
        yield taken, slice(begin, end)


def serving(request: Request, deployment: Deployment, held: NDArray[Any]) -> Deployment:
    """The deployment in its own layout, or where that holds not even one of the longest sequences, in the one that holds the most of them."""
    longest = np.array([held.max()])
    ((taken, _),) = placements(request, deployment, longest)
    return taken


def _say(request: Request, deployment: Deployment, taken: Deployment, seq: float) -> None:
    def words(one: Deployment) -> str:
        degrees = {name: getattr(one.layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}
        return " ".join(f"{name} {degree}" for name, degree in degrees.items() if degree > 1 or name == "tp")

    where = f"{deployment.model.name} on {deployment.hardware.name}"
    request.note(f"{where}: {words(deployment)} holds no sequence of {seq:,.0f} tokens; {words(taken)} is taken, which does")
    for text in notes(taken):
        request.note(text)
