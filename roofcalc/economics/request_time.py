"""Machine time of a served request: the time of the whole machine over the requests that it completes, as `max-batch` counts them.

A request takes 1/B of the machine while B are in flight, together with its prompt; where another pool reads the prompts
(`--prefill separate`), it takes that pool's time as well. In `bound` it is the floor of any arrangement, prompts included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.economics.cost import output_seconds
from roofcalc.physics.generation import fewest_seconds, prompt_s_per_request
from roofcalc.physics.serving import ServedStep
from roofcalc.specs.formula import formula
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANY = 2.0**20  # prompts that wait for each rank of a pool that only prefills: its packs are full


class RequestTime(NamedTuple):
    """Machine seconds of one request, arrays in the shape of the batch.

    Attributes
    ----------
    output_s : array
        Its share of the pure decode steps.
    prompt_s : array
        The rest: its prompt, and what the prompts of others add to the steps; 0 without a prompt.
    """

    output_s: NDArray[Any]
    prompt_s: NDArray[Any]

    @property
    def total_s(self) -> NDArray[Any]:
        return np.asarray(self.output_s + self.prompt_s)


class SharedPromptStep(Record):
    """The served step of requests of which several share the work of one prompt, as solvers use it.

    Attributes
    ----------
    paced : ServedStep
        Of requests that each have a prompt of their own.
    prompts_per_request : float or array
    """

    paced: ServedStep
    prompts_per_request: Any

    @property
    def deployment(self) -> Deployment:
        return self.paced.deployment

    @formula("TPOT, shared prompt = T_step/A + prompts_per_request·(TPOT − T_step/A)")
    def seconds(self, batch: Any) -> NDArray[Any]:
        """Seconds per accepted tokens: the waits for the prompts of others in proportion to their number."""
        pure = np.asarray(self.paced.step.seconds(batch))
        return np.asarray(pure + self.prompts_per_request * np.maximum(self.paced.seconds(batch) - pure, 0.0))

    def resources(self, batch: Any) -> dict[str, NDArray[Any]]:
        """Seconds of the pure step by resource."""
        return self.paced.resources(batch)


@formula("machine_s = 1/requests_per_s", "machine_s, separate = 1/requests_per_s + T_prompt")
def request_time(paced: ServedStep, batch: Any, streams: float = 1.0, prompts_per_request: Any = 1.0) -> RequestTime:
    """Machine time of each of `batch` requests in flight.

    Parameters
    ----------
    paced : ServedStep
        The served step of the requests; of `streams` answers to each prompt, where its mean step is.
    batch : array
        Requests in flight, at least 1.
    streams : float
        Answers to one prompt that count as one request (`vote`).
    prompts_per_request : float or array
        Below 1 where several requests share the work of one prompt (`rollouts`): `prompt_s` is that fraction. Where chunks of prompts
        fill every decode step, this counts the waits of a machine that reads all prompts, which is more than there are.
    """
    deployment, isl, osl = paced.deployment, np.asarray(paced.isl, dtype=float), np.asarray(paced.osl, dtype=float)
    batch = np.asarray(batch, dtype=float)
    decode = output_seconds(paced.step.seconds(batch), osl, batch, deployment.accepted)
    if deployment.assumptions.is_bound:
        total = fewest_seconds(deployment, isl, osl, batch, streams=streams, prompts_per_request=prompts_per_request) / batch
        output = np.where(isl > 0, np.minimum(decode, total), total)
        return RequestTime(output, np.asarray(total - output))
    total = np.asarray(osl / paced.served(batch).throughput_tok_s)
    output = np.where(isl > 0, np.minimum(decode, total), total)
    return RequestTime(output, np.asarray((total - output + other_pool_s(deployment, isl, paced.chunk)) * prompts_per_request))


def other_pool_s(deployment: Deployment, isl: Any, chunk: float | None = None) -> NDArray[Any]:
    """Seconds per prompt of a pool that only prefills, of as many devices in the same layout; 0 where the same devices prefill.

    In `bound` 0 as well: its floor counts the prompts already.
    """
    isl = np.asarray(isl, dtype=float)
    if deployment.assumptions.prefill != "separate" or deployment.assumptions.is_bound:
        return np.zeros(isl.shape)
    return np.asarray(prompt_s_per_request(deployment, isl, chunk, batch=MANY * deployment.layout.pp * deployment.layout.dp))
