"""How many devices a demand takes: replicas of one layout, each as full as memory, speed and its prompts allow.

A replica serves as many sequences as fit and stay fast enough. Asked for requests per second, it must do two things at
once: hold the sequences that Little's law has in flight (doi.org/10.1287/opre.9.3.383), and take in their prompts between its
steps. Both rates grow with the batch from one multiple of a layout's ranks to the next, so that the largest batch, or the
largest multiple below it, serves the most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc import capacity, limits
from roofcalc.curve import Piece
from roofcalc.deployment import Deployment
from roofcalc.generation import Timed, mean_step, step_at
from roofcalc.hardware import Hardware
from roofcalc.layout import Layout
from roofcalc.precision import dtype
from roofcalc.prefill import prefill
from roofcalc.record import replace
from roofcalc.search import significant
from roofcalc.solve import largest
from roofcalc.speculation import moved

if TYPE_CHECKING:  # a tenth of the start would go into it
    from numpy.typing import NDArray

REASONS = ("", "ttft", "interactivity", "capacity", "weights")  # what is in the way, the least first
STEP = 0.1  # by which a figure of the hardware grows to see what that is worth


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
        return capacity.batch_memory(deployment, self.held, shares=self.shares)

    def step(self, deployment: Deployment) -> Timed:
        """The mean step of those in flight."""
        if self.osl is None:
            return step_at(deployment, self.held[..., 0])
        return mean_step(deployment, self.isl, self.osl, shares=self.shares)


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
    prompt_s: NDArray[Any]
    limited_by: NDArray[np.str_]


def reading(demand: Demand, deployment: Deployment) -> Reading:
    """Times of the prompts, or of whole contexts where there are no answers."""
    layout = deployment.layout
    batches = np.array([layout.dp, layout.dp * layout.pp], dtype=float)  # one on each rank; and one on each of its stages too
    times = prefill(deployment, demand.isl, 0.0, batches.reshape(-1, *(1,) * demand.isl.ndim), demand.chunk)
    first, pace = times.ttft_s[0], times.pace_s[1] / batches[1] * demand.parts
    limit = np.take_along_axis(times.limited_by[1], pace.argmax(axis=-1)[..., np.newaxis], axis=-1)[..., 0]
    return Reading(first.max(axis=-1), (first * demand.parts).sum(axis=-1), pace.sum(axis=-1), limit)


def requests_per_s(demand: Demand, step: Timed, batch: NDArray[Any], prompts: Reading) -> NDArray[Any]:
    """Requests per second of one replica that has `batch` sequences in flight.

    Formulas
    --------
    decoding = osl/A·T_step
    in flight, Little's law = B/(TTFT + decoding)
    with the prompts' own work = B/(decoding + B·T_prompt)
    """
    decoding = demand.answer / step.deployment.accepted * np.asarray(step.seconds(batch))
    return np.asarray(np.minimum(batch / (prompts.mean_first_s + decoding), batch / (decoding + batch * prompts.prompt_s)))


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


def ability(demand: Demand, deployment: Deployment, read: dict[Layout, Reading] | None = None) -> Ability:
    """The largest load of one replica; `read` keeps what prompts take, which does not depend on context ranks."""
    shape = demand.interactivity.shape
    fitting, nothing = demand.fitting(deployment), np.zeros(shape)
    if fitting.max() < 1:
        why = REASONS.index("capacity" if capacity.weights_fit(deployment) else "weights")
        return Ability(np.full(shape, why), nothing, None)
    step = demand.step(deployment)
    fast = limits.batch_interactivity(step, demand.interactivity, shape)
    batch = np.minimum(fitting, fast)
    late, most = np.zeros(shape, dtype=bool), batch
    if demand.rate is not None or np.isfinite(demand.ttft_s).any():
        alike = replace(deployment.layout, dcp=1)
        prompts = (read or {}).get(alike) or reading(demand, deployment)
        if read is not None:
            read[alike] = prompts
        late = prompts.first_s > demand.ttft_s
        if demand.rate is not None:
            most = _most_requests(demand, step, batch, prompts)
    reason = np.select([fitting < 1, fast < 1, late], [REASONS.index(name) for name in ("capacity", "interactivity", "ttft")], 0)
    return Ability(reason, np.where(reason == 0, most, 0.0), step)


def _most_requests(demand: Demand, step: Timed, batch: NDArray[Any], prompts: Reading) -> NDArray[Any]:
    """The most requests per second of any batch up to `batch`."""
    layout = step.deployment.layout
    full = np.floor(batch / (layout.pp * layout.dp)) * layout.pp * layout.dp
    rates = [requests_per_s(demand, step, np.maximum(one, 1.0), prompts) for one in (batch, full)]
    return np.where(batch >= 1, np.maximum(*rates), 0.0)


def least_batch(demand: Demand, step: Timed, rate: NDArray[Any], most: NDArray[Any], prompts: Reading) -> NDArray[Any]:
    """The least batch, up to `most`, at which one replica serves `rate` requests per second; all of it where none does."""
    ranks = step.deployment.layout.pp * step.deployment.layout.dp
    full = np.floor(most / ranks)

    def short(batch: NDArray[Any]) -> NDArray[Any]:
        return requests_per_s(demand, step, np.maximum(batch, 1.0), prompts) < rate * (1 - 1e-12)

    multiples = largest(lambda count: (full > 0) & short(np.minimum(count, full) * ranks), most.shape, max(1, int(full.max())))
    within = largest(lambda more: short(np.minimum(multiples * ranks + more, most)), most.shape, ranks)
    return np.asarray(np.minimum(multiples * ranks + within + 1, most))


class Choices(NamedTuple):
    """What a piece of the search found, in the shape (layouts, demands).

    Attributes
    ----------
    replicas : array
        That meet the demand; inf where none do.
    reason : array of int
        What is in the way of one.
    merit : array
        The higher, the better among layouts of as many devices. Of sequences: tok/s for each user at the load that is asked, and
        thus the least money per token. Of requests per second: what the replicas could carry over what is asked of them.
    """

    replicas: NDArray[Any]
    reason: NDArray[np.intp]
    merit: NDArray[Any]


def choices(demand: Demand, piece: Piece) -> Choices:
    """The replicas that each layout of a piece needs, and what they are worth."""
    read: dict[Layout, Reading] = {}
    found = [ability(demand, piece.placed(number), read) for number in range(len(piece.layouts))]
    most, reason = np.stack([one.most for one in found]), np.stack([one.reason for one in found])
    load = demand.batch if demand.rate is None else demand.rate
    with np.errstate(divide="ignore", invalid="ignore"):
        replicas = np.where(most > 0, np.maximum(np.ceil(load / most * (1 - 1e-12)), 1.0), np.inf)
        if demand.rate is None:
            merit = np.stack([_speed(one, np.ceil(load / each)) for one, each in zip(found, replicas, strict=True)])
        else:
            merit = replicas * most / load
    return Choices(replicas, reason, np.where(most > 0, significant(merit), 0.0))


def _speed(one: Ability, batch: NDArray[Any]) -> NDArray[Any]:
    """Tokens per second for each user of a replica that has `batch` sequences in flight."""
    if one.step is None:
        return np.zeros(batch.shape)
    return np.asarray(one.step.deployment.accepted / one.step.seconds(np.maximum(batch, 1.0)))


def relief(demand: Demand, deployment: Deployment) -> dict[str, float]:
    """By how much more one replica could carry with a tenth more of each figure of the hardware, or with a narrower cache.

    `demand` is of one need.
    """
    machine, layout = deployment.hardware, deployment.layout
    changed = {f"{name} +{STEP * 100:.0f} %": moved(deployment, one, layout) for name, one in _more(machine).items()}
    if deployment.kv.bytes_per_element > dtype("fp8").bytes_per_element:
        changed["fp8 KV"] = moved(replace(deployment, kv=dtype("fp8")), machine, layout)
    usual = float(ability(demand, deployment).most[0])
    return {name: float(ability(demand, one).most[0]) / usual - 1 for name, one in changed.items()}


def _more(machine: Hardware) -> dict[str, Hardware]:
    """The machine with a tenth more of each figure."""
    device, more = machine.device, 1 + STEP
    memory, link = device.memory, machine.link

    def grown(value: float | None) -> float | None:
        return None if value is None else value * more

    fast = replace(memory, bandwidth_gb_s=memory.bandwidth_gb_s * more)
    large = replace(memory, capacity_gb=memory.capacity_gb * more, visible_mib=grown(memory.visible_mib))
    best = replace(device.best, bandwidth_gb_s=grown(device.best.bandwidth_gb_s))
    wide = link and replace(link, gb_s=link.gb_s * more, pair_gb_s=grown(link.pair_gb_s))
    return {
        "bandwidth": replace(machine, device=replace(device, memory=fast, best=best)),
        "capacity": replace(machine, device=replace(device, memory=large)),
        "FLOPs": replace(machine, device=replace(device, peak_tflop_s={name: peak * more for name, peak in device.peak_tflop_s.items()})),
        "link": replace(machine, link=wide, scale_out_bytes_per_s=grown(machine.scale_out_bytes_per_s)),
    }
