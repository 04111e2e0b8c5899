"""Measured points as calculator inputs: model, machine, precision, layout and workload; or the reason why a point is skipped."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.deployment.parallelism import choose, legal_ep
from roofcalc.errors import RoofcalcError
from roofcalc.measurements import spellings
from roofcalc.measurements.metrics import METRICS, Metric, Work
from roofcalc.measurements.points import Point
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record
from roofcalc.specs.stored_weights import weight_dtypes
from roofcalc.specs.weight_recipes import NATIVE

REASONS = {
    "not comparable": "the file says that the run uses features that the row does not describe",
    "repeated": "the same figure of the same run appears earlier in the file",
    "unknown metric": f"not one of {', '.join(METRICS)}",
    "unknown model": "the catalog has no model of that name",
    "unknown hardware": "the catalog has no device or system of that name",
    "unknown dtype": "there is no number format of that name",
    "no context": "the context, or input and output tokens, are not given",
    "no batch": "the batch is not given",
    "not joined": "the catalog has no link that connects that many devices",
    "impossible layout": "tensor, pipeline and data parallel degrees do not multiply to the number of devices, or do not divide the model",
    "no peak": "the device has no peak for these weights",
}


# Engine releases with their own generation of kernels. Before XQA, decode attention of TensorRT-LLM loaded KV entries once per query head instead
# of once per group: NVIDIA/TensorRT-LLM, docs/source/blogs/XQA-kernel.md, Falcon180B-H200.md (2.4 times the throughput with XQA).
GENERATIONS = {("tensorrt-llm", "0.5"): "tensorrt-llm-0.6", ("tensorrt-llm", "0.6"): "tensorrt-llm-0.6"}


class Case(Record):
    """A comparable point as calculator input.

    Attributes
    ----------
    hardware : Hardware
        All devices that run the model together; the point's value and batch refer to the fraction `share` of them.
    weights : str
        A recipe (`roofcalc.specs.weight_recipes`), or "native" for the dtypes of the checkpoint.
    kv, compute : str or None
        None where the source does not give it.
    tp, pp, dp, ep : int or None
        Degrees that the source gives.
    """

    point: Point
    metric: Metric
    model: Model
    hardware: Hardware
    weights: str
    kv: str | None
    compute: str | None
    tp: int | None
    pp: int | None
    dp: int | None
    ep: int | None
    share: float
    work: Work

    def deployment(self, assumed: Assumptions, kv: str | None = None, layout: dict[str, Any] | None = None) -> Deployment:
        """The deployment under assumptions, in the given layout or that of `roofcalc.deployment.parallelism.choose`."""
        degrees = layout or self.degrees
        compute = None if assumed.is_bound else self.compute
        return deploy(self.model, self.hardware, weights=self.weights, kv=kv or self.kv, compute=compute, assumptions=assumed, **degrees)

    @property
    def engine(self) -> str:
        """The engine's name without version and back-end; empty where the source gives none."""
        return (self.point.engine or "").split("(")[0].strip().lower().replace(" ", "-")

    @property
    def generation(self) -> str | None:
        """Name in `typical` of an engine release with its own generation of kernels; None for other engines."""
        return GENERATIONS.get((self.engine, (self.point.engine_version or "")[:3]))

    @property
    def degrees(self) -> dict[str, Any]:
        """Degrees that the source gives; an expert-parallel degree that is not legal here is left open."""
        known = {"tp": self.tp, "pp": self.pp, "dp": self.dp}
        layout = choose(self.model, self.hardware, **known)
        return {**known, "ep": self.ep if self.ep in legal_ep(self.model, layout.tp, layout.dp) else None}

    def value(self, deployment: Deployment) -> float:
        """The prediction of a deployment for the point's metric, in its unit."""
        whole = self.metric.of(deployment, self.work)
        return whole * self.share if self.metric.of_system else whole

    def speed(self, value: float) -> float:
        """A value of the metric as a speed: larger is faster."""
        return 1 / value if self.metric.is_time else value

    def seconds(self, value: float) -> float:
        """A value of the metric as seconds per token, or of the timed event."""
        return (1e-3 if self.metric.is_time else 1.0) / self.speed(value)

    def passes(self, deployment: Deployment) -> float:
        """Forward passes of the model in these seconds."""
        whole = self.metric.passes(deployment, self.work)
        return whole / self.share if self.metric.of_system else whole


def cases(points: Iterable[Point]) -> list[Case | str]:
    """For each point its case, or the key of `REASONS` for which it is skipped."""
    model, hardware = cache(spellings.model), cache(spellings.hardware)
    results: list[Case | str] = []
    for point in points:
        one = _case(point, model, hardware)
        earlier = [other for other in results if isinstance(other, Case)]
        results.append("repeated" if isinstance(one, Case) and any(_same(one, other) for other in earlier) else one)
    return results


def _case(point: Point, model_of: Any, hardware_of: Any) -> Case | str:
    if not point.comparable:
        return "not comparable"
    metric = METRICS.get(point.metric)
    if metric is None:
        return "unknown metric"
    model = model_of(point.model)
    if model is None:
        return "unknown model"
    if hardware_of(point.hardware) is None:
        return "unknown hardware"
    try:
        kv = spellings.dtype(point.kv_dtype).name if point.kv_dtype else None
        weights = spellings.weights(point.weights_dtype, model) if point.weights_dtype else NATIVE
        compute = _compute(point, model, weights)
    except RoofcalcError:
        return "unknown dtype"
    if reason := metric.lacks(point):
        return reason
    devices = point.n_devices or max(hardware_of(point.hardware).count, (point.tp or 1) * (point.pp or 1) * (point.dp or 1))
    tp, unit = _unit(point, devices)
    try:
        hardware = hardware_of(point.hardware, unit)
    except RoofcalcError:
        return "not joined"
    share = devices / unit
    try:
        work = Work(point.isl or 0, point.osl, _batch(point, unit, share))
        built = Case(point, metric, model, hardware, weights, kv, compute, tp, point.pp, point.dp, point.ep, share, work)
        choose(model, hardware, tp, point.pp, point.dp)
    except RoofcalcError:
        return "impossible layout"
    return built if _has_time(built) else "no peak"


def _compute(point: Point, model: Model, weights: str) -> str | None:
    """The compute format of GEMMs where it differs from that of the weights."""
    if point.compute_dtype is None:
        return None
    asked = spellings.dtype(point.compute_dtype).compute
    by_class = weights == NATIVE or "=" in weights.removeprefix("all=")
    return None if by_class or weight_dtypes(model, weights).mlp.compute == asked else asked


def _unit(point: Point, devices: int) -> tuple[int | None, int]:
    """The tensor-parallel degree of attention, and the number of devices that run the model together.

    Data-parallel attention within a tensor-parallel group is written with both degrees (tp 8, dp 8 on 8 devices). Otherwise
    more ranks than devices mean that the figure refers to a fraction of a larger unit (8 devices of dp 144).
    """
    t, p, d = point.tp or 1, point.pp or 1, point.dp or 1
    if t > 1 and t == d and p * d == devices:
        return 1, devices
    return point.tp, max(devices, t * p * d, point.ep or 1)


def _batch(point: Point, unit: int, share: float) -> float:
    """Sequences in flight on all devices of the unit."""
    if point.batch is not None:
        return point.batch / share
    assert point.tokens_per_device is not None and point.isl  # checked by Metric.lacks
    return point.tokens_per_device * unit / point.isl


def _has_time(case: Case) -> bool:
    return case.deployment(assumptions()).has_time


def _same(one: Case, other: Case) -> bool:
    """Whether two points are the same measurement, possibly rounded to different digits."""
    a, b = one.point, other.point
    of_run = ("metric", "model", "hardware", "weights", "kv", "compute", "tp", "pp", "dp", "ep", "share", "work")
    if any(getattr(one, name) != getattr(other, name) for name in of_run) or a.engine != b.engine:
        return False
    return abs(a.value - b.value) <= max(_half_a_digit(a.value), _half_a_digit(b.value))


def _half_a_digit(value: float) -> float:
    """Half a unit of the last printed decimal; 0 for whole numbers from 100, which are taken as exact."""
    decimals = len(repr(value).partition(".")[2]) if value != int(value) else 0
    return 0.5 * 10.0**-decimals if decimals or value < 100 else 0.0
