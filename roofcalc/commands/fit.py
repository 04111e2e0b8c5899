"""Fit efficiencies to measured points: those of a CSV file, or a few points of one deployment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import MAX_RATE, MAX_TOKENS, MIN_RATE, Names, single_integer, single_number
from roofcalc.commands.catalog_list.models import kind_of
from roofcalc.commands.measured_files import measured_points
from roofcalc.commands.options import Options
from roofcalc.commands.request import DEGREES, Request
from roofcalc.commands.stated import stated_assumptions
from roofcalc.deployment.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.fitted import SETTINGS, write
from roofcalc.errors import RoofcalcError, did_you_mean, flag, invalid_choice
from roofcalc.measurements.cases import Case, cases
from roofcalc.measurements.compare import most_likely_run
from roofcalc.measurements.fit import PARAMETERS, TIMES, Fitted, Observation
from roofcalc.measurements.fit import fit as fit_observations
from roofcalc.measurements.metrics import METRICS, Work
from roofcalc.measurements.results.files import is_result
from roofcalc.report import columns
from roofcalc.report.table import Block, Table
from roofcalc.solvers.max_batch import MAX_BATCH
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

GROUPINGS = ("hardware", "model", "kind", "source")
POINT_FIELDS = ("seq", "isl", "osl", "batch", "interactivity")
FILE_OPTIONS = ("overlap", "network", "imbalance", "routing", "activations")  # options that apply to a file; its columns give the others
RUN_OPTIONS = ("engine", "weights", "kv", "tp", "pp", "dp", "ep")  # options that say what a result file does not
EXAMPLE = "seq=7661,batch=72,interactivity=30"


class _Entry(NamedTuple):
    """An observation, its columns in the residuals table, and the names of its groups."""

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
    save_profile: str | Path | None = None,
    model: str | None = None,
    **options: Unpack[Options],
) -> Table:
    """Least-squares fit of mbu, mfu, link, latency per collective, and overhead per layer and per stage.

    Parameters
    ----------
    given, hardware
        A CSV file of measured points; or a result file of a benchmark client, or a folder of them; or a model and hardware, together
        with `point`.
    point : str or list of str
        Such as "seq=7661,batch=72,interactivity=30"; isl and osl may replace seq.
    fix : str or list of str
        Parameters with a fixed value, such as "mbu=0.8".
    by : "hardware", "model", "kind" or "source"
        For a file: one fit per group.
    residuals : bool
        Return the points with their fitted values instead of the parameters.
    save_profile : path
        Write the fitted efficiencies to a YAML file, for the option `profile` of every command; for a single fit.
    model : str
        Of a result file, for which `hardware` is the hardware that it ran on.
    options
        As `max_batch` takes them, except mbu, mfu and link, which are fitted; for a file only overlap, network, imbalance,
        routing and activations, and for a result file what it does not say: engine, weights, kv and parallel degrees.

    Raises
    ------
    RoofcalcError
        Invalid arguments, or problems in the file, one line each.
    """
    fixed = _figures(fix, "--fix", PARAMETERS)
    if by is not None and by not in GROUPINGS:
        raise invalid_choice("--by", by, GROUPINGS)
    if fitted := [name for name in ("mbu", "mfu", "link") if options.get(name) is not None]:
        raise RoofcalcError(f"fit: {', '.join(map(flag, fitted))}: fitted here; hold it at a value with --fix {fitted[0]}=…")
    stated = stated_assumptions(options)
    group = columns.FIT_GROUP if by else ()
    shown = columns.FIT_RESIDUALS if residuals else (*columns.CASE, *columns.FIT, *columns.FIT_ASSUMED, *columns.FIT_ERRORS, *group)
    table = Table("fit", (*shown, *stated))
    if options.get("profile") is not None:
        raise RoofcalcError("fit: --profile: its efficiencies are fitted here; hold one at a value with --fix")
    from_result = point is None and isinstance(given, (str, Path)) and is_result(given)
    if hardware is None or from_result:
        if point is not None:
            raise RoofcalcError("fit: --point needs a model and hardware")
        run = {"model": model, "hardware": hardware, **{name: options.get(name) for name in RUN_OPTIONS}} if from_result else {}
        if not from_result and model:
            raise RoofcalcError("fit: --model: only for result files; a CSV file has a column for it")
        entries = _file_entries(str(given), options, table, run)
        groups = _grouped(entries, by)
        if save_profile is not None and len(groups) > 1:
            raise RoofcalcError(f"--save-profile: one fit makes a profile, and --by {by} makes {len(groups)}")
        for name, some in groups.items():
            _add(table, some, fixed, residuals, {"by": by, "name": name}, save_profile, Path(str(given)).name)
        return table
    if model:
        raise RoofcalcError("fit: --model: only for result files; here it is the argument before the options")
    if point is None:
        raise RoofcalcError(f"fit: a model and hardware need --point, such as --point {EXAMPLE}")
    if by is not None:
        raise RoofcalcError("--by: only for a file of points")
    request = Request("fit", (), given, hardware, options)
    points = [_figures(text, "--point", POINT_FIELDS) for text in ([point] if isinstance(point, str) else point)]
    deployments = list(request.deployments())
    if save_profile is not None and len(deployments) > 1:
        raise RoofcalcError(f"--save-profile: one fit makes a profile, and these lists make {len(deployments)}")
    for deployment, _ in deployments:
        if not deployment.has_time:
            raise RoofcalcError(f"fit: the catalog lists no peak FLOP/s of {deployment.hardware.device.name} for these weights")
        _add(table, [_point_entry(deployment, number, figures) for number, figures in enumerate(points, 1)], fixed, residuals, {}, save_profile)
    table.notes[:0], table.catalog = request.table.notes, request.table.catalog
    return table


def _file_entries(file: str, options: Options, table: Table, run: dict[str, Any]) -> list[_Entry]:
    """The points of a file that the model can compute; a note says how many."""
    if wrong := [flag(name) for name in options if name not in (*FILE_OPTIONS, *run) and options.get(name)]:
        raise RoofcalcError(
            f"fit: {', '.join(wrong)}: given by the file's columns; only {', '.join(map(flag, (*FILE_OPTIONS, *run)))} apply to a file"
        )
    points, problems, notes = measured_points(file, **run)
    comparable = [case for case in cases(points) if isinstance(case, Case)]
    total = len(points) + len({problem.place for problem in problems})
    why = "" if len(comparable) == total else " (`roofcalc validate` says why not all)"
    table.notes.append(f"{len(comparable)} of {total} points are fitted{why}")
    table.notes += [*map(str, problems), *notes]
    if not comparable:
        raise RoofcalcError(f"{file}: none of its {len(points)} points can be compared; `roofcalc validate {file}` says why")
    assumed = assumptions("roofline", **{name: options.get(name) for name in FILE_OPTIONS})
    return [_case_entry(case, assumed) for case in comparable]


def _case_entry(case: Case, assumed: Assumptions) -> _Entry:
    deployment, run = most_likely_run(case, assumed)
    observation = Observation(deployment, run.seconds(run.point.value), lambda moved: run.seconds(run.value(moved)), run.passes(deployment))
    row = {name: getattr(run.point, name) for name in ("id", "isl", "osl", "metric")}
    row |= {"batch": run.work.batch * run.share, "measured": run.point.value}
    groups = {"hardware": run.hardware.device.name, "model": run.model.name, "kind": kind_of(run.model), "source": run.point.source or ""}
    return _Entry(observation, row, run.metric.is_time, groups)


def _point_entry(deployment: Deployment, number: int, figures: dict[str, float]) -> _Entry:
    where = f"point {number}"
    generation = {"isl", "osl"} & set(figures)
    if missing := [name for name in (("isl", "osl") if generation else ("seq",)) + ("batch", "interactivity") if name not in figures]:
        raise RoofcalcError(f"{where}: {', '.join(missing)} is missing; write it as {EXAMPLE}")
    if generation and "seq" in figures:
        raise RoofcalcError(f"{where}: give either seq, or isl and osl")
    tokens: dict[str, int] = {
        name: single_integer(figures[name], f"{where}: {name}", MAX_TOKENS) for name in ("seq", "isl", "osl") if name in figures
    }
    batch = float(single_integer(figures["batch"], f"{where}: batch", MAX_BATCH))
    rate = single_number(figures["interactivity"], f"{where}: interactivity", MIN_RATE, MAX_RATE)
    work, metric = Work(tokens.get("seq", tokens.get("isl", 0)), tokens.get("osl"), batch), METRICS["tok_s_user"]
    observation = Observation(deployment, 1 / rate, lambda moved: 1 / metric.of(moved, work), metric.passes(deployment, work))
    return _Entry(observation, {"id": where, **tokens, "batch": batch, "metric": "tok_s_user", "measured": rate}, metric.is_time, {})


def _grouped(entries: list[_Entry], by: str | None) -> dict[str | None, list[_Entry]]:
    groups: dict[str | None, list[_Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.groups[by] if by else None, []).append(entry)
    return groups


def _add(
    table: Table,
    entries: list[_Entry],
    fixed: dict[str, float],
    residuals: bool,
    group: dict[str, Any],
    save_profile: str | Path | None = None,
    source: str | None = None,
) -> None:
    fitted = fit_observations([entry.observation for entry in entries], fixed)
    prefix = f"{group['name']}: " if group.get("name") else ""
    table.notes += [prefix + text for text in _fit_notes(fitted, len(entries))]
    if save_profile is not None:
        _save(Path(save_profile), fitted, entries, source)
        table.notes.append(f"saved for --profile: {save_profile}")
    if residuals:
        for entry, error in zip(entries, fitted.log_errors.tolist(), strict=True):
            ratio = float(np.exp(-error))
            measured = entry.row["measured"]
            figures = {"fitted": measured / ratio if entry.is_time else measured * ratio, "ratio": 1 / ratio}
            table.blocks.append(Block(1, {**entry.row, **_case([entry]), **figures}))
        return
    errors = np.abs(fitted.log_errors)
    alone = entries[0].observation.deployment.profile is None  # in `typical` what is not given keeps the kernel models, which no fit has
    values = {name: value for name, value in fitted.values.items() if not (alone and name in fitted.left_out)}
    summed = {"points": len(entries), "median_error": float(np.median(errors)), "worst_error": float(errors.max())}
    spread = {f"{name}_error": error for name, error in fitted.errors.items()}
    table.blocks.append(Block(1, {**_case(entries), **values, **summed, **spread, **group}))


def _save(path: Path, fitted: Fitted, entries: list[_Entry], source: str | None) -> None:
    """Writes the parameters that the points determine, or that were held, as a profile."""
    if path.suffix not in (".yaml", ".yml"):
        raise RoofcalcError(f"--save-profile: {path}: the name must end in .yaml")
    errors, case = np.abs(fitted.log_errors), _case(entries)
    settings = {name: case[name] for name in SETTINGS if name in case and case[name] != getattr(assumptions(), name)}
    facts = {name: case.get(name) for name in ("model", "hardware", "weights", "kv")}
    devices = {entry.observation.deployment.hardware.device.name for entry in entries}
    facts["device"] = devices.pop() if len(devices) == 1 else None
    facts |= {"source": source, "points": len(entries), "median_error": float(np.median(errors)), "worst_error": float(errors.max())}
    alone = entries[0].observation.deployment.profile is None  # in `typical` what is not given keeps the kernel models, which no fit has
    values = {name: value for name, value in fitted.values.items() if not (alone and name in fitted.left_out)}
    write(path, values, settings, {**facts, "parameters": len(fitted.free)})


def _fit_notes(fitted: Fitted, points: int) -> Iterable[str]:
    """Notes on parameters that the points do not determine, that ended at a bound, or that leave no degrees of freedom."""
    if fitted.left_out:
        at = ", ".join(f"{name} {0 if name in TIMES else 1}" for name in fitted.left_out)
        yield f"{points} point{'s' * (points > 1)} cannot determine all parameters; assumed: {at}"
    if fitted.held:
        yield f"ended at a bound: {', '.join(f'{name} {fitted.values[name]:.4g}' for name in fitted.held)}"
    if len(fitted.free) - len(fitted.held) >= points:
        yield "as many parameters as points: no degrees of freedom are left for their uncertainties"


def _case(entries: list[_Entry]) -> dict[str, Any]:
    """Columns that the deployments of these entries share; cells in which they differ are left out."""
    deployments = [entry.observation.deployment for entry in entries]
    described = [
        {
            "model": deployment.model.name,
            "hardware": deployment.hardware.name,
            "weights": deployment.weights_label,
            "kv": deployment.kv.name,
            "compute": deployment.compute_label,
            **{name: getattr(deployment.assumptions, name) for name in ASSUMPTION_NAMES if name not in PARAMETERS},
            **{name: getattr(deployment.layout, name) for name in DEGREES},
        }
        for deployment in deployments
    ]
    return {name: value for name, value in described[0].items() if all(other[name] == value for other in described)}


def _figures(given: str | Sequence[str] | None, label: str, names: tuple[str, ...]) -> dict[str, float]:
    """`mbu=0.8,link=1` as a dict of numbers.

    Raises
    ------
    RoofcalcError
        Not of that form, an unknown name, or a name given twice.
    """
    figures: dict[str, float] = {}
    for part in ",".join([given] if isinstance(given, str) else given or []).split(",") if given else []:
        name, sign, value = (word.strip() for word in part.partition("="))
        if not sign or name not in names:
            raise RoofcalcError(
                f"{label}: cannot read {part.strip()!r}{did_you_mean(name, names)}; write NAME=VALUE, with NAME of {', '.join(names)}"
            )
        if name in figures:
            raise RoofcalcError(f"{label}: {name} is given twice")
        figures[name] = units.number(value, f"{label}: {name}")
    return figures
