"""Measured points as calculator inputs: model, machine, precision, layout and workload; or the reason why a point is skipped."""

import math
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.deployment.parallelism import choose, legal_ep
from roofcalc.deployment.speculative import acceptance_of, with_drafts
from roofcalc.errors import RoofcalcError
from roofcalc.measurements import spellings
from roofcalc.measurements.metrics import METRICS, Metric, Work
from roofcalc.measurements.placement import devices_of, padded, unit
from roofcalc.measurements.points import Point
from roofcalc.physics.generation import mean_step
from roofcalc.physics.memory import batch_memory
from roofcalc.physics.serving import ServedStep
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record, replace
from roofcalc.specs.stored_weights import weight_dtypes
from roofcalc.specs.weight_recipes import NATIVE

REASONS = {
    "unreadable": "a cell of the row is not of the form that its column has",
    "not comparable": "the file says so, or lacks what describes the run",
    "repeated": "the same figure of the same run appears earlier in the file",
    "unknown metric": f"not one of {', '.join(METRICS)}",
    "unknown model": "the catalog has no model of that name",
    "unknown hardware": "the catalog has no device or system of that name",
    "unknown dtype": "there is no number format of that name",
    "no context": "the context, or input and output tokens, are not given",
    "no batch": "the batch is not given",
    "impossible layout": "tensor, pipeline and data parallel degrees do not multiply to the number of devices, or do not divide the model",
    "speculation": "the accepted tokens are not given or more than the drafted ones allow, or the run has pipeline stages",
    "does not fit": "at maximum load, the memory does not hold one sequence",
    "no peak": "the device has no peak for these weights",
}

BY_CHOICE = ("not comparable", "repeated")  # reasons that are no fault of the row

ENGINES_CHOICE = ("auto", "default")  # KV dtypes that a source leaves to the engine
OPEN_CONTEXT = 512  # tokens of a single sequence whose source gives no context; the bound takes 1
MOST_SEQUENCES = 4096  # of one replica at maximum load: no engine schedules more

# Engine releases with their own generation of kernels. Before XQA, decode attention of TensorRT-LLM loaded KV entries once per query head instead
# of once per group: NVIDIA/TensorRT-LLM, docs/source/blogs/XQA-kernel.md, Falcon180B-H200.md (2.4 times the throughput with XQA).
# Engines of 2024 and before: vLLM with its first scheduler and attention kernels, which did not split long contexts of few sequences.
BEFORE_2025 = {"vllm": "vllm-0.7", "llama.cpp": "llama.cpp-2024"}
GENERATIONS = {
    **{("tensorrt-llm", release): "tensorrt-llm-0.6" for release in ("0.5", "0.6")},
    **{("vllm", release): "vllm-0.7" for release in ("0.4", "0.5", "0.6", "0.7")},
}


# Engines whose published runs are static batches or single users.
STATIC = ("gpt-fast", "llama.cpp", "mlx", "optimum-habana", "edge-llm", "tensorrt-edge-llm", "tt-metal", "hf-transformers")


BETWEEN_TOKENS = ("tok_s_user", "tpot_ms")  # metrics of the time between tokens
_TPOT = re.compile(r"\bTPOT\b|aggregated serving|Poisson", re.IGNORECASE)
_ITL = re.compile(r"median ITL|steps without", re.IGNORECASE)


class Case(Record):
    """A comparable point as calculator input.

    Attributes
    ----------
    hardware : Hardware
        All devices that run the model together; the point's value and batch refer to `share` times as many: a fraction of them, or
        several replicas.
    weights : str
        A recipe (`roofcalc.specs.weight_recipes`), or "native" for the dtypes of the checkpoint.
    kv, compute : str or None
        None where the source does not give it.
    tp, pp, dp, ep : int or None
        Degrees that the source gives.
    context_open : bool
        The source does not give the context of a single sequence: `work` has `OPEN_CONTEXT` tokens.
    speculation : (int, float), optional
        Tokens drafted per step, and the probability that a draft token is accepted.
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
    context_open: bool = False
    speculation: tuple[int, float] | None = None

    def deployment(self, assumed: Assumptions, kv: str | None = None, layout: dict[str, Any] | None = None) -> Deployment:
        """The deployment under assumptions, in the given layout or that of `roofcalc.deployment.parallelism.choose`."""
        degrees = layout or self.degrees
        compute = None if assumed.is_bound else self.compute
        placed = deploy(self.model, self.hardware, weights=self.weights, kv=kv or self.kv, compute=compute, assumptions=assumed, **degrees)
        return with_drafts(placed, *self.speculation) if self.speculation else placed

    @property
    def max_load(self) -> bool:
        """Whether the batch is as many sequences as fit (`Metric.at_most`)."""
        return self.metric.at_most(self.point)

    @property
    def engine(self) -> str:
        """The engine's name (`engine_name`)."""
        return engine_name(self.point.engine)

    @property
    def prefill(self) -> str:
        """Where the prompts of other requests were prefilled: "separate" where the figure has nothing of them in it.

        Disaggregated runs and medians of the time between tokens show steps without prompts; static batches and engines for one user
        prefill first; servers mix chunks of prompts into decode steps.
        """
        notes, alone = (self.point.notes or "").lower(), self.metric.needs == ("isl", "batch")
        if self.point.metric == "decode_tok_s_total":
            return "separate"
        if "disaggregated" in notes or "median itl" in notes:
            return "separate" if alone else "chunked"
        if self.engine in STATIC or "static batch" in notes or "fixed batch" in notes:
            return "separate" if alone else "colocated"
        return "chunked"

    @property
    def generation(self) -> str | None:
        """Name in `typical` of an engine release with its own generation of kernels; None for other engines.

        By its version, or where the source gives none by the date of the run.
        """
        named = GENERATIONS.get((self.engine, (self.point.engine_version or "")[:3]))
        return named or (BEFORE_2025.get(self.engine) if "" < (self.point.date or "")[:4] < "2025" else None)

    @property
    def degrees(self) -> dict[str, Any]:
        """Degrees that the source gives; an expert-parallel degree that is not legal here is left open."""
        known = {"tp": self.tp, "pp": self.pp, "dp": self.dp}
        layout = choose(self.model, self.hardware, **known)
        return {**known, "ep": self.ep if self.ep in legal_ep(self.model, layout.tp, layout.dp) else None}

    @property
    def itl(self) -> str | None:
        """Which time between tokens a speed of one user is: "tpot", the mean of a request with the prompts of others in it, or "step".

        Servers that prefill on the same devices report the mean per request (TPOT); the median time between two tokens (ITL) is that
        of a step without a prompt. None for other metrics.
        """
        if self.point.metric not in BETWEEN_TOKENS:
            return None
        if self.work.osl is None or self.work.isl == 0 or self.work.batch == 1:
            return "step"
        notes = self.point.notes or ""
        return self.point.itl or ("tpot" if _TPOT.search(notes) and not _ITL.search(notes) else "step")

    def value(self, deployment: Deployment) -> float:
        """The prediction of a deployment for the point's metric, in its unit."""
        work = self.loaded(deployment).work
        if self.itl == "tpot":
            paced = ServedStep(mean_step(deployment, work.isl, work.osl), work.isl, work.osl)
            tpot = float(paced.served(work.batch).tpot_s)
            return tpot * 1e3 if self.metric.is_time else 1 / tpot
        whole = self.metric.of(deployment, work)
        return whole * self.share if self.metric.of_system else whole

    def loaded(self, deployment: Deployment) -> "Case":
        """The case with the batch of a deployment at maximum load: the sequences that fit at their mean length, since they come and go."""
        if not self.max_load:
            return self
        room = batch_memory(deployment, max(1.0, self.work.isl + (self.work.osl or 0) / 2))
        return replace(self, work=replace(self.work, batch=max(1.0, min(float(room), MOST_SEQUENCES * deployment.layout.dp))))

    def speed(self, value: float) -> float:
        """A value of the metric as a speed: larger is faster."""
        return 1 / value if self.metric.is_time else value

    def seconds(self, value: float) -> float:
        """A value of the metric as seconds per token, or of the timed event."""
        return (1e-3 if self.metric.is_time else 1.0) / self.speed(value)

    def passes(self, deployment: Deployment) -> float:
        """Forward passes of the model in these seconds."""
        whole = self.metric.passes(deployment, self.loaded(deployment).work)
        return whole / self.share if self.metric.of_system else whole


def engine_name(text: str | None) -> str:
    """An engine's name without version, back-end and the service before it (Dynamo); empty where the source gives none."""
    name = (text or "").split("(")[0].strip().lower()
    return name.removeprefix("dynamo ").removeprefix("dynamo-").replace(" ", "-")


def cases(points: Iterable[Point]) -> list[Case | str]:
    """For each point its case, or the key of `REASONS` for which it is skipped."""
    model, hardware = cache(spellings.model), cache(spellings.hardware)
    earlier: dict[Any, list[Case]] = {}
    results: list[Case | str] = []
    for point in points:
        one = _case(point, model, hardware)
        if isinstance(one, Case):
            same_run = earlier.setdefault(_run(one), [])
            if any(_same(one, other) for other in same_run):
                one = "repeated"
            else:
                same_run.append(one)
        results.append(one)
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
    if (named := hardware_of(point.hardware)) is None:
        return "unknown hardware"
    try:
        kv = spellings.dtype(point.kv_dtype).name if point.kv_dtype and point.kv_dtype.lower() not in ENGINES_CHOICE else None
        weights = _weights(point, model)
        compute = _compute(point, model, weights)
    except RoofcalcError:
        return "unknown dtype"
    if reason := metric.lacks(point):
        return reason
    devices = devices_of(point, named.count)
    try:
        speculation = _speculation(point, model)
    except RoofcalcError:
        return "speculation"
    try:
        together, tp, dp = unit(point, devices)
        model, hardware, share = padded(model, tp), hardware_of(point.hardware, together), devices / together
        work = Work(_whole(point.isl, OPEN_CONTEXT), None if point.osl is None else max(1, _whole(point.osl)), _batch(point, together, share))
        known = (tp, point.pp, dp, point.ep)
        built = Case(point, metric, model, hardware, weights, kv, compute, *known, share, work, point.isl is None, speculation)
        choose(model, hardware, tp, point.pp, dp)
    except RoofcalcError:
        return "impossible layout"
    return _lack(built) or built


def _whole(tokens: float | None, unknown: int = 0) -> int:
    """Tokens of a mean length, rounded."""
    return unknown if tokens is None else round(tokens)


def _weights(point: Point, model: Model) -> str:
    """The recipe that the row gives, else the one in the model's name (`Qwen3-32B-AWQ`)."""
    if point.weights_dtype:
        return spellings.weights(point.weights_dtype, model)
    return spellings.weights_of_name(point.model) or NATIVE


def _compute(point: Point, model: Model, weights: str) -> str | None:
    """The compute format of GEMMs where it differs from that of the weights."""
    if point.compute_dtype is None:
        return None
    asked = spellings.dtype(point.compute_dtype).compute
    by_class = weights == NATIVE or "=" in weights.removeprefix("all=")
    return None if by_class or weight_dtypes(model, weights).mlp.compute == asked else asked


def _speculation(point: Point, model: Model) -> tuple[int, float] | None:
    """Tokens drafted per step and their acceptance rate; None without speculation.

    Where the source gives no number of drafted tokens, it is that of the model's multi-token-prediction layers, and at least as many as
    the accepted ones need. The drafter's time is not counted.

    Raises
    ------
    RoofcalcError
        More tokens are accepted than drafted, or pipeline stages.
    """
    if point.accepted is None and point.acceptance is None:
        if point.draft:
            raise RoofcalcError("drafted tokens without the accepted ones")
        return None
    if (point.pp or 1) > 1:
        raise RoofcalcError("speculative decoding is not modelled with pipeline parallelism")
    heads = model.mtp.heads if model.mtp else 1
    if point.accepted is None:
        return point.draft or heads, point.acceptance or 0.0
    drafted = point.draft or max(heads, math.ceil(point.accepted) - 1)
    return drafted, acceptance_of(point.accepted, drafted)


def _batch(point: Point, unit: int, share: float) -> float:
    """Sequences in flight on all devices of the unit; 1 at maximum load, see `Case.loaded`."""
    if point.batch is not None:
        return point.batch / share
    if point.tokens_per_device is None:
        return 1.0
    assert point.isl  # checked by Metric.lacks
    return point.tokens_per_device * unit / point.isl


def _lack(case: Case) -> str | None:
    """The key of `REASONS` for which a case has no time; None where it has one."""
    deployment = case.deployment(assumptions())
    if not deployment.has_time:
        return "no peak"
    if case.max_load and not batch_memory(deployment, max(1.0, case.work.held)) >= 1:
        return "does not fit"
    return None


def _run(case: Case) -> tuple[Any, ...]:
    """What two figures of one run have in common."""
    names = ("model", "hardware", "weights", "kv", "compute", "tp", "pp", "dp", "ep", "share", "work", "speculation")
    return (case.point.engine, case.metric.meaning, case.max_load, *(getattr(case, name) for name in names))


def _same(one: Case, other: Case) -> bool:
    """Whether two figures of the same run are one measurement, possibly rounded to different digits."""
    a, b = one.point.value, other.point.value
    return abs(a - b) <= max(_half_a_digit(a), _half_a_digit(b))


def _half_a_digit(value: float) -> float:
    """Half a unit of the last printed decimal; 0 for whole numbers from 100, which are taken as exact."""
    decimals = len(repr(value).partition(".")[2]) if value != int(value) else 0
    return 0.5 * 10.0**-decimals if decimals or value < 100 else 0.0
