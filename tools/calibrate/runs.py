"""Figures that whole runs share beyond their kernels, fitted to measured points, and how far off points are that a fit did not see.

Few runs of few sources stand behind the figures: each is drawn to a prior, large misses count by their size and not by its
square, and what all points of one source miss by counts once, not point by point.
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
from roofcalc.measurements.compare import ROOFLINE, usual
from roofcalc.specs.attention import GQA
from roofcalc.specs.record import replace

# Whole-run figures: what they are drawn to, and by how much (a factor e^spread either way) they may stray.
PRIORS: dict[str, tuple[float, float]] = {
    "in_model_efficiency": (0.9, 0.15),
    "dequant_bandwidth_factor.8": (0.9, 0.2),
    "dequant_bandwidth_factor.4": (0.8, 0.3),
    "layer_overhead_us.attention": (30, 0.3),  # with the feed-forward part 60: arXiv 2507.14397v2 finds 95 to 138 beside unachieved peaks
    "layer_overhead_us.mlp": (30, 0.3),
    "layer_overhead_us.experts": (60, 0.5),
    "layer_overhead_us.latent": (60, 0.5),
    "step_overhead_us": (500, 0.8),
    "prefill_overhead_factor": (2, 0.5),
    "kv_reload_fraction": (0.9, 0.3),  # nearly every query head's load, a last-level cache aside
}
POINT_SPREAD, SOURCE_SPREAD = 0.10, 0.15  # of ln(predicted/measured)
PACKED_TOKENS = 8192.0  # of prompts taken in together: the usual token budget of a step
FOLDS = 5


class Seen(NamedTuple):
    """A point to fit: its case, deployed in `typical` but for the profile's whole-run figures, and who measured it."""

    case: Case
    deployment: Deployment
    source: str


class Estimate(NamedTuple):
    """Errors of points that a fit did not see: ln(speed predicted / measured)."""

    name: str
    points: list[Seen]
    misses: np.ndarray[Any, Any]


def seen(path: Path, file: Typical) -> list[Seen]:
    """The comparable points of a file, ready to fit."""
    assumed = assumptions("typical", capacity="nominal", reserve_gb=0.0)
    found = []
    for case in cases(points.read(path)):
        if isinstance(case, str):
            continue
        deployment, _ = usual(case, ROOFLINE)
        if case.point.batch is None:  # whole prompts on each rank, as `usual` has them
            ranks = deployment.layout.dp
            case = replace(case, work=replace(case.work, batch=max(1.0, case.work.batch // ranks) * ranks))
        deployment = replace(deployment, assumptions=assumed, profile=calibrated.resolved(file, deployment.hardware.device, case.generation))
        found.append(Seen(case, deployment, case.point.source or ""))
    return found


def before_shared_heads(one: Seen) -> bool:
    """Generations on grouped query heads by an engine whose attention did not share them."""
    blocks = one.deployment.model.blocks.values()
    grouped = any(isinstance(block.attention, GQA) and block.attention.heads > block.attention.kv_heads for block in blocks)
    return grouped and one.case.generation is not None and (one.case.work.osl or 0) > 1


def misses(fitted: Sequence[Seen], run: Run) -> np.ndarray[Any, Any]:
    """ln(speed predicted / measured) of points under whole-run figures."""
    found = []
    for one in fitted:
        assert one.deployment.profile is not None
        value = one.case.value(replace(one.deployment, profile=calibrated.with_run(one.deployment.profile, run)))
        found.append(np.log(one.case.speed(value) / one.case.speed(one.case.point.value)))
    return np.array(found)


def run_of(strayed: np.ndarray[Any, Any]) -> Run:
    """Whole-run figures that stray from their priors by so many spreads."""
    values = {name: prior * float(np.exp(x * spread)) for (name, (prior, spread)), x in zip(PRIORS.items(), strayed, strict=True)}
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
    groups["layer_overhead_us"]["state"] = groups["layer_overhead_us"]["attention"]  # no run of such a layer was measured
    return Run(**groups, packed_prefill_tokens=PACKED_TOKENS)


def fit(fitted: Sequence[Seen], start: np.ndarray[Any, Any] | None = None, rounds: int = 8) -> np.ndarray[Any, Any]:
    """How far whole-run figures stray from their priors, by damped Gauss-Newton steps on re-weighted residuals."""
    x = np.zeros(len(PRIORS)) if start is None else start
    sources = [one.source for one in fitted]
    for _ in range(rounds):
        residual = misses(fitted, run_of(x))
        slopes = np.stack([(misses(fitted, run_of(x + step)) - residual) / 0.02 for step in 0.02 * np.eye(len(x))], axis=1)
        residual, slopes = (_by_source(one, sources) / POINT_SPREAD for one in (residual, slopes))
        weights = np.minimum(1.0, 1.5 / np.maximum(np.abs(residual), 1e-9))
        normal = slopes.T @ (weights[:, None] * slopes) + np.eye(len(x))
        step = np.clip(-np.linalg.solve(normal, slopes.T @ (weights * residual) + x), -1.0, 1.0)
        x = x + step
        if np.abs(step).max() < 0.01:
            break
    return x


def _by_source(values: np.ndarray[Any, Any], sources: Sequence[str]) -> np.ndarray[Any, Any]:
    """Whitens what one source shares: of the mean of n points, 1 − √(σ²/(σ² + n·σ_s²)) is taken away."""
    found = np.array(values)
    for name in dict.fromkeys(sources):
        own = np.array([one == name for one in sources])
        kept = np.sqrt(POINT_SPREAD**2 / (POINT_SPREAD**2 + own.sum() * SOURCE_SPREAD**2))
        found[own] -= (1 - kept) * found[own].mean(axis=0)
    return found


def held_out(name: str, fitted: Sequence[Seen], fold: Callable[[Seen], str | int], start: np.ndarray[Any, Any]) -> Estimate:
    """Errors of each fold under a fit to all others."""
    found: list[Seen] = []
    errors: list[np.ndarray[Any, Any]] = []
    for key in sorted({fold(one) for one in fitted}, key=str):
        left, rest = [one for one in fitted if fold(one) == key], [one for one in fitted if fold(one) != key]
        found += left
        errors.append(misses(left, run_of(fit(rest, start))))
    return Estimate(name, found, np.concatenate(errors))


def estimates(fitted: Sequence[Seen]) -> tuple[np.ndarray[Any, Any], list[Estimate]]:
    """How far the figures stray under a fit to all points, and the errors of points left out in two ways, and of those fitted."""
    x = fit(fitted)
    left_out = [held_out("each source left out", fitted, lambda one: one.source, x), held_out("each fifth left out", fitted, fifth, x)]
    return x, [*left_out, Estimate("none left out", list(fitted), misses(fitted, run_of(x)))]


def newer(estimate: Estimate) -> np.ndarray[Any, Any]:
    """The errors of an estimate without those of `before_shared_heads`."""
    return np.asarray(estimate.misses[np.array([not before_shared_heads(one) for one in estimate.points])])


def named(estimate: Estimate) -> dict[str, np.ndarray[Any, Any]]:
    """An estimate's errors, and those of newer kernels alone, by the names that the file has for them."""
    name = estimate.name.replace(" ", "_")
    return {name: estimate.misses, f"{name}_newer": newer(estimate)}


def fifth(one: Seen) -> int:
    """A fixed part of the points."""
    return zlib.crc32(one.case.point.id.encode()) % FOLDS


def summary(errors: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """Points, median and 90th percentile of the absolute relative error."""
    relative = np.abs(np.expm1(errors))
    return float(len(errors)), round(float(np.median(relative)), 3), round(float(np.quantile(relative, 0.9)), 3)


def engines(fitted: Sequence[Seen], run: Run) -> dict[str, Engine]:
    """Each engine's factor on exposed time, drawn to 1 by as much as its points' spread asks, and the generations of their kernels."""
    found = {}
    for name in sorted({one.case.engine for one in fitted}):
        own = [one for one in fitted if one.case.engine == name]
        if len(own) < 5:
            continue
        tried = np.exp(np.linspace(-1, 1, 81))
        losses = [np.abs(misses(own, _scaled(run, factor))).mean() / POINT_SPREAD + 0.5 * np.log(factor) ** 2 / 0.3**2 / len(own) for factor in tried]
        found[name] = Engine(round(float(tried[int(np.argmin(losses))]), 2))
    return found | {name: replace(found[engine], shares_kv_loads=False) for (engine, _), name in GENERATIONS.items() if engine in found}


def _scaled(run: Run, factor: float) -> Run:
    scaled = {key: value * factor for key, value in run.layer_overhead_us.items()}
    return replace(run, layer_overhead_us=scaled, step_overhead_us=run.step_overhead_us * factor)


def report(estimate: Estimate) -> Iterable[str]:
    """An estimate's errors: in all, by source, by device, by kind of model and layout."""

    def line(name: str, chosen: np.ndarray[Any, Any]) -> str:
        count, median, worst = summary(chosen)
        return f"  {name:<52} {count:4.0f}  median {median:6.1%}  90 % within {worst:6.1%}  speed x{np.exp(chosen.mean()):.2f}"

    yield estimate.name
    yield line("all", estimate.misses)
    yield line("newer: not TensorRT-LLM 0.5, 0.6 on grouped heads", newer(estimate))
    kinds: dict[str, Callable[[Seen], str]] = {
        "source": lambda one: one.source,
        "device": lambda one: one.deployment.hardware.device.name,
        "layout": layout_class,
        "metric": lambda one: one.case.point.metric,
    }
    for what, of in kinds.items():
        for key in sorted({of(one) for one in estimate.points}):
            yield line(f"{what}: {key}"[:52], estimate.misses[np.array([of(one) == key for one in estimate.points])])


def layout_class(one: Seen) -> str:
    """One device, tensor parallel or data parallel; dense, or with experts."""
    layout, model = one.deployment.layout, one.deployment.model
    spread = "data parallel" if layout.dp > 1 else "tensor parallel" if layout.tp > 1 else "one device"
    routed = any(part.type == "experts" for name in model.groups for part in model.blocks[name].parts)
    return f"{spread}, {'experts' if routed else 'dense'}"
