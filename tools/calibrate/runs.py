"""Parameters shared by all devices, fitted to end-to-end runs, and out-of-sample errors of the fit.

There are few runs from few sources. Therefore each parameter has a log-normal prior, large residuals count linearly (Huber
loss), and residuals of one source are treated as correlated.

The Gauss-Newton iteration below is kept instead of scipy.optimize.least_squares: a fully converged minimum of the same loss is
lower by 0.01 %, but moves the overheads of `typical.yaml` in their printed digits.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from roofcalc.deployment import calibrated
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.calibrated import Engine, Run, Typical
from roofcalc.deployment.deployment import Deployment
from roofcalc.measurements import points
from roofcalc.measurements.cases import GENERATIONS, Case, cases
from roofcalc.measurements.compare import ROOFLINE, most_likely_run
from roofcalc.specs.attention import GQA
from roofcalc.specs.record import replace

# Parameters: median and spread (standard deviation of the logarithm) of their priors.
PRIORS: dict[str, tuple[float, float]] = {
    "in_model_efficiency": (0.9, 0.15),
    "dequant_bandwidth_factor.8": (0.9, 0.2),
    "dequant_bandwidth_factor.4": (0.8, 0.3),
    "layer_overhead_us.attention": (30, 0.3),  # attention and FFN together 60: arXiv 2507.14397v2 finds 95 to 138 including unachieved peaks
    "layer_overhead_us.mlp": (30, 0.3),
    "layer_overhead_us.experts": (60, 0.5),
    "layer_overhead_us.latent": (60, 0.5),
    "step_overhead_us": (500, 0.8),
    "prefill_overhead_factor": (2, 0.5),
    "kv_reload_fraction": (0.9, 0.3),  # nearly every query head loads from memory, except for hits in the last-level cache
}
POINT_SPREAD, SOURCE_SPREAD = 0.10, 0.15  # of ln(predicted/measured)
PACKED_TOKENS = 8192.0  # usual token budget of a prefill step
FOLDS = 5


class FitPoint(NamedTuple):
    """A point to fit: its case, its deployment in `typical` without the fitted parameters, and its source."""

    case: Case
    deployment: Deployment
    source: str


class Estimate(NamedTuple):
    """Out-of-sample errors of points: ln(predicted / measured speed)."""

    name: str
    points: list[FitPoint]
    log_errors: np.ndarray[Any, Any]


def fit_points(path: Path, file: Typical) -> list[FitPoint]:
    """The comparable points of a file as deployments to fit."""
    assumed = assumptions("typical", engine="none", capacity="nominal", reserve_gb=0.0)
    found = []
    for case in cases(points.read(path)):
        if isinstance(case, str):
            continue
        deployment, _ = most_likely_run(case, ROOFLINE)
        if case.point.batch is None:  # whole prompts on each rank, as in `most_likely_run`
            ranks = deployment.layout.dp
            case = replace(case, work=replace(case.work, batch=max(1.0, case.work.batch // ranks) * ranks))
        deployment = replace(deployment, assumptions=assumed, profile=calibrated.resolved(file, deployment.hardware.device, case.generation))
        found.append(FitPoint(case, deployment, case.point.source or ""))
    return found


def loads_kv_per_query_head(one: FitPoint) -> bool:
    """Whether a run generates with GQA on an engine release that loads KV entries once per query head."""
    blocks = one.deployment.model.blocks.values()
    grouped = any(isinstance(block.attention, GQA) and block.attention.heads > block.attention.kv_heads for block in blocks)
    return grouped and one.case.generation is not None and (one.case.work.osl or 0) > 1


def log_errors(fitted: Sequence[FitPoint], run: Run) -> np.ndarray[Any, Any]:
    """ln(predicted / measured speed) of points with given parameters."""
    found = []
    for one in fitted:
        assert one.deployment.profile is not None
        value = one.case.value(replace(one.deployment, profile=calibrated.with_run(one.deployment.profile, run)))
        found.append(np.log(one.case.speed(value) / one.case.speed(one.case.point.value)))
    return np.array(found)


def run_of(offsets: np.ndarray[Any, Any]) -> Run:
    """Parameters at a number of standard deviations from the medians of their priors."""
    values = {name: prior * float(np.exp(x * spread)) for (name, (prior, spread)), x in zip(PRIORS.items(), offsets, strict=True)}
    groups: dict[str, Any] = {}
    for name, value in values.items():
        group, _, key = name.partition(".")
        if key:
            groups.setdefault(group, {})[key] = value
        else:
            groups[group] = value
    groups["in_model_efficiency"] = min(1.0, groups["in_model_efficiency"])
    groups["kv_reload_fraction"] = min(1.0, groups["kv_reload_fraction"])
    groups["dequant_bandwidth_factor"] = {key: min(1.0, value) for key, value in groups["dequant_bandwidth_factor"].items()}
    groups["layer_overhead_us"]["state"] = groups["layer_overhead_us"]["attention"]  # no run with such a layer was measured
    return Run(**groups, packed_prefill_tokens=PACKED_TOKENS)


def fit(fitted: Sequence[FitPoint], start: np.ndarray[Any, Any] | None = None, rounds: int = 8) -> np.ndarray[Any, Any]:
    """Fitted parameters in standard deviations from their priors, by iteratively re-weighted Gauss-Newton steps of limited size."""
    x = np.zeros(len(PRIORS)) if start is None else start
    sources = [one.source for one in fitted]
    for _ in range(rounds):
        residual = log_errors(fitted, run_of(x))
        slopes = np.stack([(log_errors(fitted, run_of(x + step)) - residual) / 0.02 for step in 0.02 * np.eye(len(x))], axis=1)
        residual, slopes = (_by_source(one, sources) / POINT_SPREAD for one in (residual, slopes))
        weights = np.minimum(1.0, 1.5 / np.maximum(np.abs(residual), 1e-9))
        normal = slopes.T @ (weights[:, None] * slopes) + np.eye(len(x))
        step = np.clip(-np.linalg.solve(normal, slopes.T @ (weights * residual) + x), -1.0, 1.0)
        x = x + step
        if np.abs(step).max() < 0.01:
            break
    return x


def _by_source(values: np.ndarray[Any, Any], sources: Sequence[str]) -> np.ndarray[Any, Any]:
    """Whitens errors that are correlated within a source: reduces the mean of its n points by 1 − √(σ²/(σ² + n·σ_s²))."""
    found = np.array(values)
    for name in dict.fromkeys(sources):
        own = np.array([one == name for one in sources])
        kept = np.sqrt(POINT_SPREAD**2 / (POINT_SPREAD**2 + own.sum() * SOURCE_SPREAD**2))
        found[own] -= (1 - kept) * found[own].mean(axis=0)
    return found


def held_out(name: str, fitted: Sequence[FitPoint], fold: Callable[[FitPoint], str | int], start: np.ndarray[Any, Any]) -> Estimate:
    """Cross-validation: errors of each fold with a fit to all other points."""
    found: list[FitPoint] = []
    errors: list[np.ndarray[Any, Any]] = []
    for key in sorted({fold(one) for one in fitted}, key=str):
        left, rest = [one for one in fitted if fold(one) == key], [one for one in fitted if fold(one) != key]
        found += left
        errors.append(log_errors(left, run_of(fit(rest, start))))
    return Estimate(name, found, np.concatenate(errors))


def estimates(fitted: Sequence[FitPoint]) -> tuple[np.ndarray[Any, Any], list[Estimate]]:
    """The fit to all points; errors of two cross-validations, and in-sample errors."""
    x = fit(fitted)
    left_out = [held_out("each source left out", fitted, lambda one: one.source, x), held_out("each fifth left out", fitted, fifth, x)]
    return x, [*left_out, Estimate("none left out", list(fitted), log_errors(fitted, run_of(x)))]


def newer(estimate: Estimate) -> np.ndarray[Any, Any]:
    """Errors without the points of `loads_kv_per_query_head`."""
    return np.asarray(estimate.log_errors[np.array([not loads_kv_per_query_head(one) for one in estimate.points])])


def named(estimate: Estimate) -> dict[str, np.ndarray[Any, Any]]:
    """Errors of an estimate, and those without old kernels, by their names in the file."""
    name = estimate.name.replace(" ", "_")
    return {name: estimate.log_errors, f"{name}_newer": newer(estimate)}


def fifth(one: FitPoint) -> int:
    """A fixed fold of a point, by a hash of its name."""
    return zlib.crc32(one.case.point.id.encode()) % FOLDS


def summary(errors: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """Number of points, median and 90th percentile of the absolute relative error."""
    relative = np.abs(np.expm1(errors))
    return float(len(errors)), round(float(np.median(relative)), 3), round(float(np.quantile(relative, 0.9)), 3)


def engines(fitted: Sequence[FitPoint], run: Run) -> dict[str, Engine]:
    """Factor of each engine on the overheads, regularised towards 1, and its generations of kernels."""
    found = {}
    for name in sorted({one.case.engine for one in fitted}):
        own = [one for one in fitted if one.case.engine == name]
        if len(own) < 5:
            continue
        tried = np.exp(np.linspace(-1, 1, 81))
        errors = [np.abs(log_errors(own, _scaled(run, factor))).mean() / POINT_SPREAD for factor in tried]
        losses = np.array(errors) + 0.5 * np.log(tried) ** 2 / 0.3**2 / len(own)
        found[name] = Engine(round(float(tried[int(np.argmin(losses))]), 2))
    return found | {name: replace(found[engine], shares_kv_loads=False) for (engine, _), name in GENERATIONS.items() if engine in found}


def _scaled(run: Run, factor: float) -> Run:
    scaled = {key: value * factor for key, value in run.layer_overhead_us.items()}
    return replace(run, layer_overhead_us=scaled, step_overhead_us=run.step_overhead_us * factor)


def report(estimate: Estimate) -> Iterable[str]:
    """Errors of an estimate as text: overall, and by source, device, layout and metric."""

    def line(name: str, chosen: np.ndarray[Any, Any]) -> str:
        count, median, worst = summary(chosen)
        return f"  {name:<52} {count:4.0f}  median {median:6.1%}  90 % within {worst:6.1%}  speed x{np.exp(chosen.mean()):.2f}"

    yield estimate.name
    yield line("all", estimate.log_errors)
    yield line("newer: not TensorRT-LLM 0.5, 0.6 on grouped heads", newer(estimate))
    kinds: dict[str, Callable[[FitPoint], str]] = {
        "source": lambda one: one.source,
        "device": lambda one: one.deployment.hardware.device.name,
        "layout": layout_class,
        "metric": lambda one: one.case.point.metric,
    }
    for what, of in kinds.items():
        for key in sorted({of(one) for one in estimate.points}):
            yield line(f"{what}: {key}"[:52], estimate.log_errors[np.array([of(one) == key for one in estimate.points])])


def layout_class(one: FitPoint) -> str:
    """One device, tensor parallel or data parallel; dense, or with experts."""
    layout, model = one.deployment.layout, one.deployment.model
    spread = "data parallel" if layout.dp > 1 else "tensor parallel" if layout.tp > 1 else "one device"
    routed = any(part.type == "experts" for name in model.groups for part in model.blocks[name].parts)
    return f"{spread}, {'experts' if routed else 'dense'}"
