"""What one replica in one layout can do: as full as memory, speed and its prompts allow.

A replica serves as many sequences as fit and stay fast enough. Asked for requests per second, it must do two things at
once: hold the sequences that Little's law has in flight (doi.org/10.1287/opre.9.3.383), and take in their prompts between its
steps. Both rates grow with the batch from one multiple of a layout's ranks to the next, so that the largest batch, or the
largest multiple below it, serves the most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout
from roofcalc.physics import memory
from roofcalc.physics.generation import Timed, output_tok_s
from roofcalc.physics.prefill import prefill
from roofcalc.solvers import max_batch as solver
from roofcalc.solvers.integer_search import largest
from roofcalc.solvers.planner.demand import Demand
from roofcalc.specs.formula import formula
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

REASONS = ("", "ttft", "interactivity", "capacity", "weights")  # what is in the way, the least first


class Reading(NamedTuple):
    """What prompts take on one replica.

    Attributes
    ----------
    first_s, mean_first_s : array
        Until the first token: the longest of all kinds, and on average.
    prompt_s : array
        Seconds of the whole replica that a prompt takes on average, one of each rank and stage at a time.
    limited_by : array of str
        The resource that takes the largest part of these, in the kind of request that takes the most.
    """

    first_s: NDArray[Any]
    mean_first_s: NDArray[Any]
    prefill_s_per_request: NDArray[Any]
    limited_by: NDArray[np.str_]


def reading(demand: Demand, deployment: Deployment) -> Reading:
    """Times of the prompts, or of whole contexts where there are no answers."""
    layout = deployment.layout
    batches = np.array([layout.dp, layout.dp * layout.pp], dtype=float)  # one on each rank; and one on each of its stages too
    times = prefill(deployment, demand.isl, 0.0, batches.reshape(-1, *(1,) * demand.isl.ndim), demand.chunk)
    first, pace = times.ttft_s[0], times.batch_prefill_s[1] / batches[1] * demand.parts
    limit = np.take_along_axis(times.limited_by[1], pace.argmax(axis=-1)[..., np.newaxis], axis=-1)[..., 0]
    return Reading(first.max(axis=-1), (first * demand.parts).sum(axis=-1), pace.sum(axis=-1), limit)


@formula("T_decode = osl/A·T_step", "in flight, Little's law = B/(TTFT + T_decode)", "with prefill on the same devices = B/(T_decode + B·T_prompt)")
def requests_per_s(demand: Demand, step: Timed, batch: NDArray[Any], prompts: Reading) -> NDArray[Any]:
    """Requests per second of one replica that has `batch` sequences in flight.

    Prompts that cost something else than `prompts` says, since they ride along with steps, hold up other ranks or are read by a
    drafter too, count as in `roofcalc.physics.generation.output_tok_s`.
    """
    deployment = step.deployment
    if deployment.assumptions.is_bound or deployment.profile or deployment.draft:
        assert demand.osl is not None
        return np.asarray(output_tok_s(deployment, demand.isl, demand.osl, batch, step, demand.chunk, demand.parts) / demand.answer)
    decoding = demand.answer / deployment.accepted * np.asarray(step.seconds(batch))
    return np.asarray(np.minimum(batch / (prompts.mean_first_s + decoding), batch / (decoding + batch * prompts.prefill_s_per_request)))


class Ability(NamedTuple):
    """What one replica in one layout can do for each demand.

    Attributes
    ----------
    reason : array of int
        What is in the way, of `REASONS`; 0 where nothing is.
    most : array
        Sequences, or requests per second where they are asked for; 0 where something is in the way.
    step : Timed or None
        Of those in flight; None where nothing fits.
    """

    reason: NDArray[np.intp]
    most: NDArray[Any]
    step: Timed | None


def ability(demand: Demand, deployment: Deployment, read: dict[Layout, Reading] | None = None, met: NDArray[Any] | None = None) -> Ability:
    """The largest load of one replica.

    `read` keeps what prompts take, which does not depend on context ranks. With `met` requests per second of another layout, one that
    does not reach them even without prompts serves none.
    """
    shape = demand.interactivity.shape
    fitting, nothing = demand.fitting(deployment), np.zeros(shape)
    if fitting.max() < 1:
        why = REASONS.index("capacity" if memory.weights_fit(deployment) else "weights")
        return Ability(np.full(shape, why), nothing, None)
    step = demand.step(deployment)
    fast = solver.batch_interactivity(step, demand.interactivity, shape)
    batch = np.minimum(fitting, fast)
    late, most = np.zeros(shape, dtype=bool), batch
    if met is not None and not deployment.assumptions.is_bound and (_most_decoded(demand, step, batch) < met).all():
        return Ability(np.zeros(shape, dtype=np.intp), nothing, step)
    if batch.max() >= 1 and (demand.rate is not None or np.isfinite(demand.ttft_s).any()):
        alike = replace(deployment.layout, dcp=1)
        prompts = (read or {}).get(alike) or reading(demand, deployment)
        if read is not None:
            read[alike] = prompts
        late = prompts.first_s > demand.ttft_s
        if demand.rate is not None:
            most = _most_requests(demand, step, batch, prompts)
    reason = np.select([fitting < 1, fast < 1, late], [REASONS.index(name) for name in ("capacity", "interactivity", "ttft")], 0)
    return Ability(reason, np.where(reason == 0, most, 0.0), step)


def _most_decoded(demand: Demand, step: Timed, batch: NDArray[Any]) -> NDArray[Any]:
    """What `_most_requests` would be if prompts took no time."""
    layout = step.deployment.layout
    some = np.maximum([batch, np.floor(batch / (layout.pp * layout.dp)) * layout.pp * layout.dp], 1.0)
    return np.asarray((some / np.asarray(step.seconds(some))).max(axis=0) * step.deployment.accepted / demand.answer)


def _most_requests(demand: Demand, step: Timed, batch: NDArray[Any], prompts: Reading) -> NDArray[Any]:
    """The most requests per second of any batch up to `batch`."""
    layout = step.deployment.layout
    full = np.floor(batch / (layout.pp * layout.dp)) * layout.pp * layout.dp
    rates = requests_per_s(demand, step, np.maximum([batch, full], 1.0), prompts)
    return np.where(batch >= 1, rates.max(axis=0), 0.0)


def least_batch(demand: Demand, step: Timed, rate: NDArray[Any], most: NDArray[Any], prompts: Reading) -> NDArray[Any]:
    """The least batch, up to `most`, at which one replica serves `rate` requests per second; all of it where none does."""
    ranks = step.deployment.layout.pp * step.deployment.layout.dp
    full = np.floor(most / ranks)

    def short(batch: NDArray[Any]) -> NDArray[Any]:
        return requests_per_s(demand, step, np.maximum(batch, 1.0), prompts) < rate * (1 - 1e-12)

    multiples = largest(lambda count: (full > 0) & short(np.minimum(count, full) * ranks), most.shape, max(1, int(full.max())))
    within = largest(lambda more: short(np.minimum(multiples * ranks + more, most)), most.shape, ranks)
    return np.asarray(np.minimum(multiples * ranks + within + 1, most))
