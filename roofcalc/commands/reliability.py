"""Probability that a generation meets a silent error or a failure of its devices."""

from __future__ import annotations

import math
from typing import Unpack

import numpy as np

from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_STREAMS, MAX_TOKENS, Names, Numbers, integer_array, single_integer, single_number
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
from roofcalc.commands.workload import required_speed
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import expert_counts
from roofcalc.economics import reliability as events
from roofcalc.economics.voting import majority_accuracy
from roofcalc.physics.generation import mean_step
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model


@notes_idle_changes
def reliability(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    tokens: Numbers | None = None,
    error_rate: Numbers | None = None,
    failure_rate: Numbers | None = None,
    streams: Numbers | None = None,
    interactivity: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Probability that a generation is hit, expected tokens lost to failures, and the probability that a majority vote is hit.

    Parameters
    ----------
    model, hardware, options
        As `max_batch` takes them.
    tokens
        Length of a generation (default 1k to 100k), at the speed of the largest batch that fits and meets the interactivity.
    error_rate, failure_rate
        Silent errors, and failures that end the generation, per device-hour (default: the rates of Llama 3's pre-training).
    streams
        Generations per vote, hit independently; the vote is hit if most of them are (default 5).
    interactivity : tok/s/user
        Lowest acceptable speed of each user (default 30).

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, override and number of tokens.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    request = Request("reliability", columns.RELIABILITY, model, hardware, options)
    counts = integer_array(defaults.RELIABILITY_TOKENS if tokens is None else tokens, "--tokens", MAX_TOKENS)
    errors = events.ERROR_RATE if error_rate is None else single_number(error_rate, "--error-rate", 0, 1e6)
    failures = events.FAILURE_RATE if failure_rate is None else single_number(failure_rate, "--failure-rate", 0, 1e6)
    votes = single_integer(defaults.RELIABILITY_STREAMS if streams is None else streams, "--streams", MAX_STREAMS)
    _note_defaults(request, tokens, error_rate, failure_rate, streams)
    rate = required_speed(request, interactivity)
    for deployment, changes in request.deployments():
        request.note_context(deployment.model, counts)
        devices = exposed_devices(deployment)
        speed = np.full(counts.shape, np.nan)
        if deployment.has_time:
            solved = solver.max_batch(deployment, counts, rate, mean_step(deployment, 0.0, counts))
            speed = deployment.accepted / solved.step_s
            if not solved.batch_memory.all():
                request.note(fit_advice.what_would_fit(deployment, float(counts[np.argmin(solved.batch_memory)])))
        hours = events.device_hours(devices, counts, speed)
        hit = events.hit_probability(errors + failures, hours)
        request.add(
            deployment,
            changes,
            seq=counts,
            devices=devices,
            tokens=counts,
            hit_probability=hit,
            expected_lost_tokens=events.expected_lost_tokens(failures, hours, counts),
            with_votes=np.array([np.nan if math.isnan(chance) else majority_accuracy(chance, votes) for chance in hit.tolist()]),
        )
    return request.table


def exposed_devices(deployment: Deployment) -> int:
    """Devices whose errors affect one generation: its data-parallel rank, or all devices if experts are spread over the ranks."""
    layout = deployment.layout
    return layout.devices if expert_counts(deployment.model) else layout.tp * layout.pp


def _note_defaults(request: Request, tokens: object, error_rate: object, failure_rate: object, streams: object) -> None:
    """Notes on the defaults that apply."""
    if tokens is None:
        request.note(f"tokens: {defaults.RELIABILITY_TOKENS} (--tokens)")
    rates = {
        "--error-rate": None if error_rate is not None else f"{events.ERROR_RATE:.2g} silent errors",
        "--failure-rate": None if failure_rate is not None else f"{events.FAILURE_RATE:.2g} other failures",
    }
    if assumed := {flag: text for flag, text in rates.items() if text is not None}:
        request.note(
            f"per device-hour: {' and '.join(assumed.values())} ({', '.join(assumed)}): {events.UNEXPECTED_INTERRUPTIONS} unexpected "
            f"interruptions, {events.SILENT_CORRUPTIONS} of them silent, in 54 days of training on 16,384 H100 ({events.SOURCE})"
        )
    if streams is None:
        request.note(f"with_votes: majority of {defaults.RELIABILITY_STREAMS} streams, hit independently (--streams)")
