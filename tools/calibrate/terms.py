"""The term table: for each measured run, the seconds that every constant of `typical` multiplies.

All times of a run are linear in the constants, so that evaluations with one of them at 1 and the others at 0 give the whole table, and
fits need no further evaluation. Roofline floors apply before the constants here, after them in predictions.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from roofcalc.deployment import calibrated
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.efficiency import RunConstants
from roofcalc.measurements import metrics, points
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import most_likely_run, typical
from roofcalc.physics.generation import prompt_waits
from roofcalc.physics.prefill import prefill
from roofcalc.physics.serving import served
from roofcalc.specs.record import replace

FIELDS = RunConstants._fields
# Sources whose runs are not fitted, and why.
LEFT_OUT = {
    "InferenceX experimental (MiniMax-M2.5 token position)": "its time per token falls from 21.8 to 16.5 ms as the requests in flight rise from "
    "16 to 64, and its throughput is a third to a half of what these times imply: an experimental harness, by its own description",
}


class UnitConstants:
    """One constant at 1 and the others at 0, as arrays, which no roofline floor applies to (`roofcalc.physics.timing.charge`)."""

    def __init__(self, unit: str) -> None:
        for name in FIELDS:
            setattr(self, name, np.array(float(name == unit)))


UNITS = tuple(UnitConstants(name) for name in FIELDS)


class Run(NamedTuple):
    """A measured run.

    Attributes
    ----------
    terms : array
        Seconds by constant; with the constants they add up to the run's time.
    seconds : float
        Measured.
    engine, release, family, model, metric, source, device : str
        What constants and errors are grouped by; the release is that of `typical.yaml`, None where it does not list the engine.
    """

    id: str
    terms: npt.NDArray[np.float64]
    seconds: float
    engine: str
    release: str | None
    family: str
    model: str
    metric: str
    source: str
    device: str
    case: Case
    deployment: Deployment


def runs(paths: Iterable[Path], file: calibrated.Typical) -> list[Run]:
    """The comparable runs of files of measured points."""
    found = []
    assumed = typical()
    assert assumed is not None
    for path in paths:
        for case in cases(points.read(path)):
            if isinstance(case, str) or case.point.source in LEFT_OUT:
                continue
            deployment, case = most_likely_run(case, assumed)
            assert deployment.profile is not None
            profile = deployment.profile
            release = None if profile.engine == "pooled" else profile.engine
            start = calibrated.constants(file, release, profile.family, profile.kind)
            terms, seconds = terms_of(case, deployment, start)
            if not np.isfinite(terms).all() or not terms.sum() > 0:
                continue
            point = case.point
            found.append(
                Run(point.id, terms, seconds, case.engine or "unknown", release, profile.family, profile.kind, kind_of_metric(case),
                    point.source or "", case.hardware.device.name, case, deployment)
            )  # fmt: skip
    return found


def kind_of_metric(case: Case) -> str:
    """decode (time per token), total (throughput with prompts) or prompt (time to first token, prompt throughput)."""
    return {"prefill_tok_s": "prompt", "ttft_ms": "prompt", "output_tok_s_total": "total"}.get(case.point.metric, "decode")


def terms_of(case: Case, deployment: Deployment, start: RunConstants) -> tuple[npt.NDArray[np.float64], float]:
    """The terms of a run and its measured seconds."""
    values = np.array(start)
    with np.errstate(all="ignore"):  # most constants are 0, and so are speeds' reciprocals
        each = [_seconds(case, _with(deployment, unit)) for unit in UNITS]
    parts = np.array([part for part, _, _ in each])
    first, prompts = (np.array([one[place] for one in each]) for place in (1, 2))
    waits = first if first @ values >= prompts @ values else prompts
    work, value = case.work, case.point.value / (case.share if case.metric.of_system else 1.0)
    metric = case.point.metric
    osl = float(work.osl or 1)
    measured = {
        "prefill_tok_s": work.batch * work.isl / value,
        "ttft_ms": value / 1e3,
        "tpot_ms": value / 1e3,
        "tok_s_user": 1.0 / value,
        "decode_tok_s_total": work.batch / value,
        "output_tok_s_total": work.batch * osl / value,
    }[metric]
    return parts * (osl if metric == "output_tok_s_total" else 1.0) + waits, measured


def _with(deployment: Deployment, constants: Any) -> Deployment:
    assert deployment.profile is not None
    found = replace(deployment, profile=replace(deployment.profile, constants=constants))
    if found.draft and found.draft.deployment:
        found = replace(found, draft=replace(found.draft, deployment=_with(found.draft.deployment, constants)))
    return found


def _seconds(case: Case, deployment: Deployment) -> tuple[float, float, float]:
    """Seconds of a run's repeated part, of its first token, and of the prompts that it waits for (of which the longer counts)."""
    work, metric = case.work, case.point.metric
    if metric == "prefill_tok_s":
        return float(prefill(deployment, work.isl, 0.0, work.batch).batch_prefill_s), 0.0, 0.0
    if metric == "ttft_ms":
        return float(prefill(deployment, work.isl, 0.0, work.batch).ttft_s), 0.0, 0.0
    step = metrics.step(deployment, work)
    total = metric == "output_tok_s_total"
    if metrics.is_served(deployment, work):
        one = served(deployment, work.isl, work.osl, work.batch, step, "chunked")
        return float(one.tpot_s), float(one.ttft_s) if total else 0.0, 0.0
    per_token = float(step.seconds(work.batch)) / deployment.accepted
    if not total:
        return per_token, 0.0, 0.0
    first, prompts = prompt_waits(deployment, work.isl, work.osl, np.asarray(float(work.batch)))
    return per_token, float(first), float(prompts)
