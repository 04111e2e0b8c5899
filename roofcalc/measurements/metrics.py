"""Measured metrics, each computed by the definition of its publishers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.generation import Timed, mean_step, output_tok_s, step_at
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import Served, served
from roofcalc.specs.record import Record

if TYPE_CHECKING:
    from roofcalc.measurements.points import Point


class Work(Record):
    """Workload of a run: input tokens (the context where `osl` is None), output tokens, and sequences in flight on all devices."""

    isl: int
    osl: int | None
    batch: float

    @property
    def held(self) -> float:
        """Tokens in the KV cache of a sequence at its end."""
        return float(max(1, self.isl + (self.osl or 0)))


class Metric(Record):
    """Definition of a metric.

    Attributes
    ----------
    of : callable
        Value for all devices, in `unit`.
    passes : callable
        Forward passes of the model per token, or per timed event.
    needs : tuple of str
        Required fields: isl, osl, prompt (isl above 0), batch.
    of_system : bool
        Scales with the number of devices; else per user.
    is_time : bool
        A time: smaller is faster.
    """

    unit: str
    meaning: str
    of: Callable[[Deployment, Work], float]
    passes: Callable[[Deployment, Work], float]
    needs: tuple[str, ...] = ("isl", "batch")
    of_system: bool = False
    is_time: bool = False

    def lacks(self, point: "Point") -> str | None:
        """The key of `REASONS` for which a point lacks an input of this metric; None where it has all."""
        alone = point.batch == 1 and self.needs == ("isl", "batch")  # the caches of one sequence weigh little beside the weights
        if (point.isl is None and not alone) or ("osl" in self.needs and point.osl is None) or ("prompt" in self.needs and not point.isl):
            return "no context"
        if point.batch is None and not self.at_most(point) and not (point.tokens_per_device and point.isl):
            return "no batch"
        return None

    def at_most(self, point: "Point") -> bool:
        """Whether a point without a batch is taken at maximum load: generated tokens of all devices, whose batch is as many as fit."""
        return point.batch is None and not point.tokens_per_device and self.of_system and "prompt" not in self.needs


def step(deployment: Deployment, work: Work) -> Timed:
    """The mean decode step of the generations, or the step at the context."""
    return step_at(deployment, float(max(1, work.isl))) if work.osl is None else mean_step(deployment, work.isl, work.osl)


def is_served(deployment: Deployment, work: Work) -> bool:
    """Whether a figure includes the prompts of other requests, in chunks: in `typical`, for servers."""
    return deployment.profile is not None and deployment.assumptions.prefill == "chunked" and work.osl is not None and work.isl > 0


def _served(deployment: Deployment, work: Work) -> Served:
    return served(deployment, work.isl, work.osl, work.batch, step(deployment, work), deployment.assumptions.prefill)


def _step_s(deployment: Deployment, work: Work) -> float:
    if is_served(deployment, work):
        return float(_served(deployment, work).tpot_s * deployment.accepted)
    return float(step(deployment, work).seconds(work.batch))


def _output_tok_s(deployment: Deployment, work: Work) -> float:
    if is_served(deployment, work):
        return float(_served(deployment, work).throughput_tok_s)
    return float(output_tok_s(deployment, work.isl, work.osl, work.batch, step(deployment, work)))


def _prefill_tok_s(deployment: Deployment, work: Work) -> float:
    return float(work.batch * work.isl / prefill(deployment, work.isl, 0.0, work.batch).batch_prefill_s)


def _ttft_ms(deployment: Deployment, work: Work) -> float:
    return float(prefill(deployment, work.isl, 0.0, work.batch).ttft_s) * 1e3


def _once(deployment: Deployment, work: Work) -> float:
    return 1.0


def _per_token(deployment: Deployment, work: Work) -> float:
    return 1.0 / deployment.accepted


def _per_batch(deployment: Deployment, work: Work) -> float:
    return 1.0 / (deployment.accepted * work.batch)


def _per_output(deployment: Deployment, work: Work) -> float:
    """Per output token: decode steps, and the prefill of the prompts, one per DP rank and pipeline stage at a time."""
    layout, tokens = deployment.layout, float(work.osl or 1)
    return (tokens / deployment.accepted + work.batch / (layout.dp * layout.pp)) / (work.batch * tokens)


def _per_prompt_token(deployment: Deployment, work: Work) -> float:
    return 1.0 / (work.batch * work.isl)


METRICS = {
    "tok_s_user": Metric("tok/s/user", "tokens per second of each sequence during decode", lambda d, w: d.accepted / _step_s(d, w), _per_token),
    "tpot_ms": Metric("ms", "time per output token of each sequence", lambda d, w: 1e3 * _step_s(d, w) / d.accepted, _per_token, is_time=True),
    "decode_tok_s_total": Metric(
        "tok/s", "output tokens of devices that only decode", lambda d, w: w.batch * d.accepted / _step_s(d, w), _per_batch, of_system=True
    ),
    "output_tok_s_total": Metric(
        "tok/s", "output tokens of devices that also run prefill", _output_tok_s, _per_output, ("isl", "osl", "batch"), of_system=True
    ),
    "prefill_tok_s": Metric("tok/s", "prompt tokens processed", _prefill_tok_s, _per_prompt_token, ("prompt", "batch"), of_system=True),
    "ttft_ms": Metric("ms", "time to the first token of the batch", _ttft_ms, _once, ("prompt", "batch"), is_time=True),
}
