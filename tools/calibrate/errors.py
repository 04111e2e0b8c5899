"""Errors of runs that a fit did not see, by kind, with shrinkage to the kind above: what `typical` prints, and its ranges."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from roofcalc.deployment.calibrated import kinds_of_error
from tools.calibrate.terms import Run

FOLDS = 8
BELIEF = 8.0  # configurations that the kind above counts for: runs of one miss alike
FEWEST = 2  # configurations below which a kind has no line of its own
END = 0.08  # quantile of the ends: of configurations left out of the ranges too, three quarters lie between, with 0.1 71 %
Array = npt.NDArray[np.float64]


class KindErrors(NamedTuple):
    """Errors of a kind of run: ln(predicted/measured seconds).

    Attributes
    ----------
    count, sources
        Runs, and their sources.
    median, most
        Median and 90th percentile of |ln| with each source left out; of a single source with configurations left out.
    low, high
        Quantiles `END` and 1 − `END` of ln with configurations left out.
    """

    count: float
    sources: float
    median: float
    most: float
    low: float
    high: float


def configuration(run: Run) -> int:
    """A fixed fold by source, device and model: no run of a configuration is predicted by a fit that saw another of it."""
    return zlib.crc32(configuration_of(run).encode()) % FOLDS


def at_random(run: Run) -> int:
    """A fixed fold by the run alone: others of its configuration are seen."""
    return zlib.crc32(run.id.encode()) % FOLDS


def configuration_of(run: Run) -> str:
    """Source, device and model of a run."""
    return f"{run.source}|{run.device}|{run.case.model.name}"


def by_kind(found: Sequence[Run], of_source: Array, of_configuration: Array) -> dict[str, KindErrors]:
    """Errors of every kind with enough runs, from all runs to engine, family, kind of model and metric."""
    chains = [kinds_of_error(run.release or "pooled", run.family, run.model, run.metric) for run in found]
    kinds = sorted({kind for chain in chains for kind in chain}, key=lambda kind: (len(kind.split()) if kind != "*" else 0, kind))
    above = {kind: chain[place + 1] if place + 1 < len(chain) else None for chain in chains for place, kind in enumerate(chain)}
    result: dict[str, KindErrors] = {}
    for kind in kinds:
        own = np.array([kind in chain for chain in chains])
        configurations = len({configuration_of(run) for run, mine in zip(found, own, strict=True) if mine})
        if configurations < FEWEST and kind != "*":
            continue
        parent = above[kind]
        while parent is not None and parent not in result:
            parent = above[parent]
        sources = len({run.source for run, mine in zip(found, own, strict=True) if mine})
        judged = of_source if sources > 1 else of_configuration
        weight = configurations / (configurations + BELIEF)
        result[kind] = _shrunk(own.sum(), sources, judged[own], of_configuration[own], weight, result.get(parent) if parent else None)
    return result


def _shrunk(count: int, sources: int, judged: Array, of_configuration: Array, weight: float, parent: KindErrors | None) -> KindErrors:
    own = KindErrors(
        float(count),
        float(sources),
        float(np.median(np.abs(judged))),
        float(np.quantile(np.abs(judged), 0.9)),
        *(float(value) for value in np.quantile(of_configuration, (END, 1 - END))),
    )
    if parent is None:
        return own
    return KindErrors(*own[:2], *(weight * mine + (1 - weight) * other for mine, other in zip(own[2:], parent[2:], strict=True)))


# The groups of docs/evidence.md.
GROUPS = {
    "dense, H100": lambda run: run.model == "dense" and run.device.startswith("h100"),
    "DeepSeek fp8, Hopper": lambda run: run.model == "latent" and run.family == "hopper",
    "MoE, grouped heads": lambda run: run.model == "moe",
    "MI300X": lambda run: run.device == "mi300x",
    "nvfp4": lambda run: "nvfp4" in (run.case.point.weights_dtype or ""),
    "TTFT": lambda run: run.case.point.metric == "ttft_ms",
    "Gaudi": lambda run: run.family == "gaudi",
    "Trainium": lambda run: run.family == "neuron",
    "llama.cpp": lambda run: run.engine == "llama.cpp",
    "MLX": lambda run: run.engine == "mlx",
}


def report(found: Sequence[Run], errors: Array) -> Iterator[str]:
    """Lines of errors: all runs, the groups, and by engine, family, kind of model, metric and source."""

    def line(name: str, own: npt.NDArray[np.bool_]) -> str:
        chosen = errors[own]
        size = np.abs(chosen)
        near = float((size <= 0.4).mean())
        return f"{name[:48]:48} {len(chosen):5d} {np.median(size):7.3f} {np.quantile(size, 0.9):7.3f} {np.median(chosen):+7.3f} {near:6.2f}"

    yield f"{'':48} {'runs':>5} {'median':>7} {'p90':>7} {'bias':>7} {'<0.4':>6}"
    yield line("all", np.ones(len(found), dtype=bool))
    for name, belongs in GROUPS.items():
        own = np.array([bool(belongs(run)) for run in found])
        if own.any():
            yield line(name, own)
    for field in ("engine", "family", "model", "metric", "source"):
        names = np.array([getattr(run, field) for run in found])
        for name in np.unique(names):
            yield line(f"{field}: {name}", names == name)


def written(result: dict[str, KindErrors]) -> Iterable[str]:
    """Lines of YAML."""
    for kind, errors in result.items():
        figures = ", ".join(f"{value:.3g}" for value in errors)
        yield f'  "{kind}": [{figures}]'
