"""What a measured point asks of the calculator: model, machine, precision, layout and workload; or why it cannot be compared."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.deployment.deployment import NATIVE, Deployment, deploy
from roofcalc.deployment.parallelism import choose, legal_ep
from roofcalc.errors import RoofcalcError
from roofcalc.measurements import spellings
from roofcalc.measurements.metrics import METRICS, Metric, Work
from roofcalc.measurements.points import Point
from roofcalc.specs import dtypes
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record

REASONS = {
    "not comparable": "the file says that the run does what the row does not tell",
    "repeated": "the same figure of the same run stands above it",
    "unknown metric": f"none of {', '.join(METRICS)}",
    "unknown model": "the catalog has no model of that name",
    "unknown hardware": "the catalog has no device or system of that name",
    "unknown dtype": "no number format of that name",
    "no context": "the context, or the input and output tokens, are not given",
    "no batch": "the batch is not given",
    "not joined": "the catalog knows no link that joins so many devices",
    "impossible layout": "tensor, pipeline and data parallel degrees do not make up the devices, or do not divide the model",
    "no peak": "the device has no arithmetic for these weights",
}


# An engine's releases whose kernels are a generation of their own. Before XQA, TensorRT-LLM's attention of single tokens did not share what the
# query heads of a group read: NVIDIA/TensorRT-LLM, docs/source/blogs/XQA-kernel.md, Falcon180B-H200.md (2.4 times the throughput after).
GENERATIONS = {("tensorrt-llm", "0.5"): "tensorrt-llm-0.6", ("tensorrt-llm", "0.6"): "tensorrt-llm-0.6"}


class Case(Record):
    """A comparable point in the calculator's terms.

    Attributes
    ----------
    hardware : Hardware
        All devices that work together; `share` of them, and of their batch, is what the point is of.
    weights : str
        A dtype, or "native" for the model's own mix.
    kv, compute : str or None
        None where the source does not say.
    tp, pp, dp, ep : int or None
        As far as they are known.
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
        """The case deployed under assumptions: in the layout given, else in the one that `roofcalc.deployment.parallelism.choose` completes."""
        degrees = layout or self.degrees
        compute = None if assumed.is_bound else self.compute
        return deploy(self.model, self.hardware, weights=self.weights, kv=kv or self.kv, compute=compute, assumptions=assumed, **degrees)

    @property
    def engine(self) -> str:
        """The engine's name without its version or back-end; empty where the source names none."""
        return (self.point.engine or "").split("(")[0].strip().lower().replace(" ", "-")

    @property
    def generation(self) -> str | None:
        """What `typical` calls the engine's release, where its kernels are a generation of their own."""
        return GENERATIONS.get((self.engine, (self.point.engine_version or "")[:3]))

    @property
    def degrees(self) -> dict[str, Any]:
        """The degrees that are known; an expert degree between 1 and all ranks is left open."""
        known = {"tp": self.tp, "pp": self.pp, "dp": self.dp}
        layout = choose(self.model, self.hardware, **known)
        return {**known, "ep": self.ep if self.ep in legal_ep(self.model, layout.tp, layout.dp) else None}

    def value(self, deployment: Deployment) -> float:
        """The point's figure as a deployment of the case would give it, in its unit."""
        whole = self.metric.of(deployment, self.work)
        return whole * self.share if self.metric.of_system else whole

    def speed(self, value: float) -> float:
        """A figure as a speed, whose ratio to another is above 1 where it is faster."""
        return 1 / value if self.metric.is_time else value

    def seconds(self, value: float) -> float:
        """A figure as the seconds of one token, or of the one thing that was timed."""
        return (1e-3 if self.metric.is_time else 1.0) / self.speed(value)

    def passes(self, deployment: Deployment) -> float:
        """Passes of the model in these seconds."""
        whole = self.metric.passes(deployment, self.work)
        return whole / self.share if self.metric.of_system else whole


def cases(points: Iterable[Point]) -> list[Case | str]:
    """For each point its case, or the reason (of `REASONS`) why it has none."""
    model, hardware = cache(spellings.model), cache(spellings.hardware)
    found: list[Case | str] = []
    for point in points:
        one = _case(point, model, hardware)
        earlier = [other for other in found if isinstance(other, Case)]
        found.append("repeated" if isinstance(one, Case) and any(_same(one, other) for other in earlier) else one)
    return found


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
        model, weights = spellings.weights(point.weights_dtype, model) if point.weights_dtype else (model, NATIVE)
        compute = _compute(point, weights)
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


def _compute(point: Point, weights: str) -> str | None:
    """The format of linear operations where it is not the one that the weights ask for."""
    if point.compute_dtype is None:
        return None
    asked = spellings.dtype(point.compute_dtype).compute
    return None if weights == NATIVE or dtypes.dtype(weights).compute == asked else asked


def _unit(point: Point, devices: int) -> tuple[int | None, int]:
    """The tensor parallel degree of attention, and the devices that work together.

    Attention that is data-parallel within a tensor group of the whole machine is written with both degrees (tp 8, dp 8 on 8
    devices). Otherwise more ranks than devices mean a figure of a share of a larger unit (8 devices of dp 144).
    """
    t, p, d = point.tp or 1, point.pp or 1, point.dp or 1
    if t > 1 and t == d and p * d == devices:
        return 1, devices
    return point.tp, max(devices, t * p * d, point.ep or 1)


def _batch(point: Point, unit: int, share: float) -> float:
    """Sequences in flight over all devices that work together."""
    if point.batch is not None:
        return point.batch / share
    assert point.tokens_per_device is not None and point.isl  # a metric lacks its batch otherwise
    return point.tokens_per_device * unit / point.isl


def _has_time(case: Case) -> bool:
    return case.deployment(assumptions()).has_time


def _same(one: Case, other: Case) -> bool:
    """Whether two points are one measurement, printed with more or fewer digits."""
    a, b = one.point, other.point
    of_run = ("metric", "model", "hardware", "weights", "kv", "compute", "tp", "pp", "dp", "ep", "share", "work")
    if any(getattr(one, name) != getattr(other, name) for name in of_run) or a.engine != b.engine:
        return False
    return abs(a.value - b.value) <= max(_half_a_digit(a.value), _half_a_digit(b.value))


def _half_a_digit(value: float) -> float:
    """Half a unit of the last decimal that a figure is printed with; nothing for whole numbers of 100 and more, which are exact."""
    decimals = len(repr(value).partition(".")[2]) if value != int(value) else 0
    return 0.5 * 10.0**-decimals if decimals or value < 100 else 0.0
