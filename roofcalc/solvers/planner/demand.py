"""What a plan has to meet: contexts or requests, how fast, how soon, how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, mean_step, step_at

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Demand(NamedTuple):
    """What has to be met: arrays of one flat shape (N,); those of requests have a last axis of K kinds.

    Attributes
    ----------
    isl, osl : array (N, K)
        Prompts and answers in tokens; without answers (None) contexts that are held.
    held : array (N, K)
        Tokens that memory must hold for each sequence.
    parts : array (K,)
        Each kind's part of the requests.
    interactivity : array
        Least tok/s for each user.
    ttft_s : array
        Longest time to the first token of any kind; inf is none.
    batch, rate : array or None
        Sequences in flight, or requests per second.
    chunk : float or None
        Largest prefill step.
    """

    isl: NDArray[Any]
    osl: NDArray[Any] | None
    held: NDArray[Any]
    parts: NDArray[Any]
    interactivity: NDArray[Any]
    ttft_s: NDArray[Any]
    batch: NDArray[Any] | None
    rate: NDArray[Any] | None
    chunk: float | None = None

    @property
    def shares(self) -> NDArray[Any]:
        """Each kind's share of the sequences that decode: by the tokens that it generates."""
        tokens = self.parts * (np.ones(self.isl.shape) if self.osl is None else self.osl)
        return np.asarray(tokens / tokens.sum(axis=-1, keepdims=True))

    @property
    def answer(self) -> NDArray[Any]:
        """Tokens of the mean answer."""
        assert self.osl is not None
        return np.asarray((self.osl * self.parts).sum(axis=-1))

    def at(self, number: int) -> Demand:
        """One of them."""

        def one(values: Any) -> Any:
            return None if values is None else values[number : number + 1]

        arrays = ("isl", "osl", "held", "interactivity", "ttft_s", "batch", "rate")
        return self._replace(**{name: one(getattr(self, name)) for name in arrays})

    def fitting(self, deployment: Deployment) -> NDArray[Any]:
        """Sequences that the memory holds."""
        return memory.batch_limit(deployment, self.held, shares=self.shares)

    def step(self, deployment: Deployment) -> Timed:
        """The mean step of those in flight."""
        if self.osl is None:
            return step_at(deployment, self.held[..., 0])
        return mean_step(deployment, self.isl, self.osl, shares=self.shares)
