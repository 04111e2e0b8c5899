"""The demand on a plan: contexts or requests, interactivity, time to first token, and load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, mean_step, step_at
from roofcalc.physics.serving import ServedStep

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Demand(NamedTuple):
    """Demands to meet: flat arrays of N demands; those of requests have a last axis of K kinds.

    Attributes
    ----------
    isl, osl : array (N, K)
        Input and output tokens; osl is None for decode at fixed contexts.
    held : array (N, K)
        Context in tokens for memory, per sequence.
    parts : array (K,)
        Fraction of the requests of each kind.
    interactivity : array
        Least tok/s for each user.
    ttft_s : array
        Longest acceptable time to first token of any kind; inf: no limit.
    latency_s : array
        Longest acceptable mean time from arrival to last token of any kind; inf: no limit.
    batch, rate : array or None
        Load: sequences in flight, or requests per second.
    chunk : float or None
        Chunk size of prefill.
    percentile : float or None
        Percentile of the time to first token that must be met; None: the mean.
    """

    isl: NDArray[Any]
    osl: NDArray[Any] | None
    held: NDArray[Any]
    parts: NDArray[Any]
    interactivity: NDArray[Any]
    ttft_s: NDArray[Any]
    latency_s: NDArray[Any]
    batch: NDArray[Any] | None
    rate: NDArray[Any] | None
    chunk: float | None = None
    percentile: float | None = None

    @property
    def shares(self) -> NDArray[Any]:
        """Fraction of the decoding sequences of each kind, in proportion to the tokens that it generates."""
        tokens = self.parts * (np.ones(self.isl.shape) if self.osl is None else self.osl)
        return np.asarray(tokens / tokens.sum(axis=-1, keepdims=True))

    @property
    def answer(self) -> NDArray[Any]:
        """Mean output tokens of a request."""
        assert self.osl is not None
        return np.asarray((self.osl * self.parts).sum(axis=-1))

    def at(self, number: int) -> Demand:
        """One of the demands."""

        def one(values: Any) -> Any:
            return None if values is None else values[number : number + 1]

        arrays = ("isl", "osl", "held", "interactivity", "ttft_s", "latency_s", "batch", "rate")
        return self._replace(**{name: one(getattr(self, name)) for name in arrays})

    def fitting(self, deployment: Deployment) -> NDArray[Any]:
        """The largest batch that fits in memory and that the engine admits."""
        return memory.batch_limit(deployment, self.held, shares=self.shares)

    def served_step(self, step: Timed) -> Timed:
        """The step that the speed of a user follows: with the waits for the prompts of others where there are generations."""
        return step if self.osl is None else ServedStep(step, self.isl, self.osl, self.chunk, self.parts, idle=False)

    def step(self, deployment: Deployment) -> Timed:
        """The mean step of the sequences in flight."""
        if self.osl is None:
            return step_at(deployment, self.held[..., 0])
        return mean_step(deployment, self.isl, self.osl, shares=self.shares)
