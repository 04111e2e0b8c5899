"""What all formats share: the run that the user describes, the figures of one result, and the points that follow from both."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from roofcalc.measurements.points import Point


class Run(NamedTuple):
    """What a result file does not say about its run; None is unknown, or as the file says.

    Attributes
    ----------
    model, hardware : str
        In any spelling that the catalogs take.
    engine : str
    weights, kv : str
        Weight recipe, and dtype of the KV cache.
    tp, pp, dp, ep, replicas : int
    isl, osl : float
        Input and output tokens per request.
    batch : float
        Requests in flight.
    draft, accepted
        Tokens drafted per step of speculative decoding, and mean tokens per step.
    """

    model: str | None = None
    hardware: str | None = None
    engine: str | None = None
    weights: str | None = None
    kv: str | None = None
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    ep: int | None = None
    replicas: int | None = None
    isl: float | None = None
    osl: float | None = None
    batch: float | None = None
    draft: int | None = None
    accepted: float | None = None


UNKNOWN = Run()
LEAST, MOST = 1e-9, 1e12


class Figures(NamedTuple):
    """One result of a file: its run as far as the file tells it, and what was measured.

    Attributes
    ----------
    values : dict
        By name of `roofcalc.measurements.metrics.METRICS`, in its unit.
    run : Run
        What the file says.
    excluded : str
        Why the result cannot be compared; empty where it can.
    unknown_acceptance : str
        The same where the mean tokens per step are not known from elsewhere.
    itl : "step" or "tpot", optional
        Which time between tokens `tpot_ms` is (`roofcalc.measurements.points.Point`).
    """

    values: dict[str, float | None]
    run: Run
    engine_version: str | None = None
    n_devices: int | None = None
    date: str | None = None
    excluded: str = ""
    unknown_acceptance: str = ""
    itl: str | None = None


def number(value: Any) -> float | None:
    """A finite number of a JSON file, also as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def positive(value: Any) -> float | None:
    """A number above 0 of a size that a measurement can have; None for anything else."""
    found = number(value)
    return found if found is not None and LEAST <= found <= MOST else None


def count(value: Any) -> int | None:
    """A whole number above 0; None for anything else."""
    found = positive(value)
    return int(found) if found is not None and found == int(found) else None


def word(value: Any) -> str | None:
    """A text that is not empty; None for anything else."""
    return value.strip() or None if isinstance(value, str) else None


def in_flight(requests_per_s: float | None, latency_s: float | None) -> float | None:
    """Mean requests in flight by Little's law: their rate times their mean latency (doi.org/10.1287/opre.9.3.383)."""
    return requests_per_s * latency_s if requests_per_s and latency_s else None


def latency_s(ttft_ms: float | None, tpot_ms: float | None, osl: float | None) -> float | None:
    """Mean seconds of a request: the first token, and osl − 1 further ones."""
    if ttft_ms is None or tpot_ms is None or osl is None:
        return None
    return (ttft_ms + tpot_ms * max(0.0, osl - 1)) / 1e3


def points(figures: Figures, place: str, name: str, given: Run) -> Iterator[Point]:
    """A point for each value; the user's word goes before the file's.

    The time to the first token of a run with several requests in flight depends on how they arrive, which neither preset models: it is
    compared for one request at a time alone.
    """
    run = figures.run._replace(**{name: value for name, value in given._asdict().items() if value is not None})
    for metric, value in figures.values.items():
        if value is None or not LEAST <= value <= MOST:
            continue
        excluded = figures.excluded or (figures.unknown_acceptance if run.accepted is None else "")
        if metric == "ttft_ms" and run.batch != 1:
            excluded = excluded or "time to the first token under load"
        yield Point(
            place,
            f"{name} {metric}",
            run.model or "",
            run.hardware or "",
            metric,
            value,
            n_devices=figures.n_devices,
            tp=run.tp,
            pp=run.pp,
            dp=run.dp,
            ep=run.ep,
            replicas=run.replicas,
            weights_dtype=run.weights,
            kv_dtype=run.kv,
            isl=run.isl,
            osl=run.osl,
            batch=run.batch,
            draft=run.draft,
            accepted=run.accepted,
            itl=figures.itl,
            comparable=not excluded,
            engine=run.engine,
            engine_version=figures.engine_version,
            date=figures.date,
            source=place.rsplit(":", 1)[0],
            notes=excluded or None,
        )
