"""The efficiencies that measured points imply: of a file, or of a few points of one deployment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import MAX_TOKENS, Names, positive, whole
from roofcalc.commands.catalog_list.models import kind_of
from roofcalc.commands.options import Options
from roofcalc.commands.request import DEGREES, Request
from roofcalc.deployment.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import most_likely_run
from roofcalc.measurements.fit import PARAMETERS, TIMES, Fitted, Observation
from roofcalc.measurements.fit import fit as fit_observations
from roofcalc.measurements.metrics import METRICS, Work
from roofcalc.measurements.points import read
from roofcalc.report import columns
from roofcalc.report.table import Block, Table
from roofcalc.solvers.max_batch import MAX_BATCH
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

BY = ("hardware", "model", "kind", "source")
OF_POINT = ("seq", "isl", "osl", "batch", "interactivity")
OF_FILE = ("overlap", "network", "imbalance", "activations")  # the file says the rest


class _Entry(NamedTuple):
    """An observation, and how it reads in a row."""

    observation: Observation
    row: dict[str, Any]
    is_time: bool
    groups: dict[str, str]


def fit(
    given: str | Path | Names | Model,
    hardware: Names | Hardware | None = None,
    *,
    point: str | Sequence[str] | None = None,
    fix: str | Sequence[str] | None = None,
    by: str | None = None,
    residuals: bool = False,
    **options: Unpack[Options],
) -> Table:
    """Least squares for mbu, mfu, link, latency per collective, time per layer and per stage.

    Parameters
    ----------
    given, hardware
        A CSV of measured points; or a model and hardware, whose `point`s are fitted.
    point : str or list of str
        Such as "seq=7661,batch=72,interactivity=30"; isl and osl may stand for seq.
    fix : str or list of str
        Parameters that stay, such as "mbu=0.8".
    by : "hardware", "model", "kind" or "source"
        In a file, a fit for each.
    residuals : bool
        The points beside the fit, instead of the fit.
    options
        As `max_batch` takes them, but mbu, mfu and link, which are sought; of a file only overlap, network, imbalance and
        activations.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request or the file, in one sentence each.
    """
    fixed = _figures(fix, "fix", PARAMETERS)
    if sought := [name for name in ("mbu", "mfu", "link") if options.get(name) is not None]:
        raise RoofcalcError(f"fit: {', '.join(sought)} is what is sought; --fix {sought[0]}=… holds it")
    group = columns.FIT_GROUP if by else ()
    fitted = (*columns.CASE, *columns.FIT, *columns.FIT_ASSUMED, *columns.FIT_ERRORS, *group)
    table = Table("fit", columns.FIT_RESIDUALS if residuals else fitted)
    if hardware is None:
        if point is not None:
            raise RoofcalcError("fit: points need a model and hardware before them")
        entries = _of_file(str(given), options, table)
        for name, some in _grouped(entries, by).items():
            _add(table, some, fixed, residuals, {"by": by, "name": name})
        return table
    if point is None:
        raise RoofcalcError("fit: a model and hardware need --point, such as --point seq=7661,batch=72,interactivity=30")
    if by is not None:
        raise RoofcalcError("fit: --by is for a file")
    request = Request("fit", (), given, hardware, options)
    some_points = [_figures(one, "point", OF_POINT) for one in ([point] if isinstance(point, str) else point)]
    for deployment, _ in request.deployments():
        if not deployment.has_time:
            raise RoofcalcError(f"fit: {deployment.hardware.device.name} has no peak that these weights compute at")
        _add(table, [_of_point(deployment, number, figures) for number, figures in enumerate(some_points, 1)], fixed, residuals, {})
    table.notes[:0], table.catalog = request.table.notes, request.table.catalog
    return table


def _of_file(file: str, options: Options, table: Table) -> list[_Entry]:
    if wrong := [name for name in options if name not in OF_FILE and options.get(name)]:
        raise RoofcalcError(f"fit: {', '.join(wrong)} is what the file says; of the options a file leaves open {', '.join(OF_FILE)}")
    points = read(file)
    found = [case for case in cases(points) if isinstance(case, Case)]
    table.notes.append(f"{len(found)} of {len(points)} points are fitted (`roofcalc validate` says why not)")
    if not found:
        raise RoofcalcError(f"{file}: none of its {len(points)} points can be compared; `roofcalc validate {file}` says why")
    assumed = assumptions("roofline", **{name: options.get(name) for name in OF_FILE})
    return [_of_case(case, assumed) for case in found]


def _of_case(case: Case, assumed: Assumptions) -> _Entry:
    deployment, run = most_likely_run(case, assumed)
    observation = Observation(deployment, run.seconds(run.point.value), lambda one: run.seconds(run.value(one)), run.passes(deployment))
    row = {name: getattr(run.point, name) for name in ("id", "isl", "osl", "metric")}
    row |= {"batch": run.work.batch * run.share, "measured": run.point.value}
    groups = {"hardware": run.hardware.device.name, "model": run.model.name, "kind": kind_of(run.model), "source": run.point.source or ""}
    return _Entry(observation, row, run.metric.is_time, groups)


def _of_point(deployment: Deployment, number: int, figures: dict[str, float]) -> _Entry:
    where = f"point {number}"
    generation = {"isl", "osl"} & set(figures)
    if missing := [name for name in (("isl", "osl") if generation else ("seq",)) + ("batch", "interactivity") if name not in figures]:
        raise RoofcalcError(f"{where}: {', '.join(missing)} is missing; write it as seq=7661,batch=72,interactivity=30")
    if generation and "seq" in figures:
        raise RoofcalcError(f"{where}: either seq, or isl and osl")
    tokens: dict[str, int] = {name: int(whole(figures[name], f"{where}: {name}", MAX_TOKENS)[0]) for name in ("seq", "isl", "osl") if name in figures}
    batch = float(whole(figures["batch"], f"{where}: batch", MAX_BATCH)[0])
    rate = float(positive(figures["interactivity"], f"{where}: interactivity", 1e-6, 1e9)[0])
    work, metric = Work(tokens.get("seq", tokens.get("isl", 0)), tokens.get("osl"), batch), METRICS["tok_s_user"]
    observation = Observation(deployment, 1 / rate, lambda one: 1 / metric.of(one, work), metric.passes(deployment, work))
    return _Entry(observation, {"id": where, **tokens, "batch": batch, "metric": "tok_s_user", "measured": rate}, metric.is_time, {})


def _grouped(entries: list[_Entry], by: str | None) -> dict[str | None, list[_Entry]]:
    if by is not None and by not in BY:
        raise RoofcalcError(f"by: {by!r} is none of {', '.join(BY)}{did_you_mean(by, BY)}")
    groups: dict[str | None, list[_Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.groups[by] if by else None, []).append(entry)
    return groups


def _add(table: Table, entries: list[_Entry], fixed: dict[str, float], residuals: bool, group: dict[str, Any]) -> None:
    found = fit_observations([entry.observation for entry in entries], fixed)
    name = f"{group['name']}: " if group.get("name") else ""
    table.notes += [name + text for text in _told(found, len(entries), fixed)]
    if residuals:
        for entry, error in zip(entries, found.log_errors.tolist(), strict=True):
            ratio = float(np.exp(-error))
            measured = entry.row["measured"]
            figures = {"fitted": measured / ratio if entry.is_time else measured * ratio, "ratio": ratio}
            table.blocks.append(Block(1, {**entry.row, **_case([entry]), **figures}))
        return
    errors = np.abs(found.log_errors)
    values = {one: value for one, value in found.values.items() if one not in found.left_out}
    summed = {"points": len(entries), "median_error": float(np.median(errors)), "worst_error": float(errors.max())}
    spread = {f"{one}_error": error for one, error in found.errors.items()}
    table.blocks.append(Block(1, {**_case(entries), **values, **summed, **spread, **group}))


def _told(found: Fitted, points: int, fixed: dict[str, float]) -> Iterable[str]:
    """Sentences on what was free, what was not, and what the points cannot tell."""
    if found.left_out:
        at = ", ".join(f"{name} {0 if name in TIMES else 1}" for name in found.left_out)
        yield f"{points} point{'s' * (points > 1)} cannot tell all parameters: {at}"
    if found.held:
        yield f"ended at a bound: {', '.join(f'{name} {found.values[name]:.4g}' for name in found.held)}"
    if len(found.free) - len(found.held) >= points:
        yield "as many parameters as points: nothing is left to tell their uncertainty"


def _case(entries: list[_Entry]) -> dict[str, Any]:
    """What the deployments of these share; a cell in which they differ is left empty."""
    deployments = [entry.observation.deployment for entry in entries]
    sides = [
        {
            "model": one.model.name,
            "hardware": one.hardware.name,
            "weights": one.weights_label,
            "kv": one.kv.name,
            "compute": one.compute_label,
            **{name: getattr(one.assumptions, name) for name in ASSUMPTION_NAMES if name not in PARAMETERS},
            **{name: getattr(one.layout, name) for name in DEGREES},
        }
        for one in deployments
    ]
    return {name: value for name, value in sides[0].items() if all(side[name] == value for side in sides)}


def _figures(given: str | Sequence[str] | None, what: str, names: tuple[str, ...]) -> dict[str, float]:
    """`mbu=0.8,link=1` -> figures by name."""
    found: dict[str, float] = {}
    for part in ",".join([given] if isinstance(given, str) else given or []).split(",") if given else []:
        name, sign, value = (word.strip() for word in part.partition("="))
        if not sign or name not in names:
            raise RoofcalcError(f"{what}: cannot read {part.strip()!r}{did_you_mean(name, names)}; write NAME=VALUE of {', '.join(names)}")
        if name in found:
            raise RoofcalcError(f"{what}: {name} stands twice")
        found[name] = units.number(value, f"{what}: {name}")
    return found
