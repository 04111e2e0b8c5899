"""The chance that a generation meets a silent error or a failure of its devices."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, single, whole
from roofcalc.commands.max_batch import DEFAULT_INTERACTIVITY
from roofcalc.commands.options import Options
from roofcalc.commands.request import Request
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

DEFAULT_TOKENS = "1k:100k:x10"
DEFAULT_STREAMS = 5
MAX_STREAMS = 1_000_000


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
    """The chance that a generation is hit, the tokens that failures cost, and what a vote makes of the chance.

    Parameters
    ----------
    model, hardware, options
        As `max_batch` takes them.
    tokens
        Of a generation (default 1k to 100k), at the speed of the largest batch that fits and is fast enough.
    error_rate, failure_rate
        Silent errors, and failures that end the generation, per device-hour (default those of Llama 3's pre-training).
    streams
        Generations of one vote, hit independently: the majority must stay unhit (default 5).
    interactivity : tok/s/user
        The least that each user must get (default 30).

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, change and number of tokens.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    request = Request("reliability", columns.RELIABILITY, model, hardware, options)
    counts = whole(DEFAULT_TOKENS if tokens is None else tokens, "tokens", MAX_TOKENS)
    errors = events.ERROR_RATE if error_rate is None else single(error_rate, "error_rate", 0, 1e6)
    failures = events.FAILURE_RATE if failure_rate is None else single(failure_rate, "failure_rate", 0, 1e6)
    votes = int(whole(DEFAULT_STREAMS if streams is None else single(streams, "streams", 1, MAX_STREAMS), "streams", MAX_STREAMS)[0])
    rate = DEFAULT_INTERACTIVITY if interactivity is None else single(interactivity, "interactivity", 0, 1e9)
    _say(request, tokens, error_rate, failure_rate, streams, interactivity)
    for deployment, changes in request.deployments():
        if (counts > deployment.model.context).any():
            request.note(f"{deployment.model.name}: generations beyond the model's {deployment.model.context} tokens are computed all the same")
        devices = devices_of_one(deployment)
        speed = np.full(counts.shape, np.nan)
        if deployment.has_time:
            found = solver.max_batch(deployment, counts, rate, mean_step(deployment, 0.0, counts))
            speed = deployment.accepted / found.step_s
            if not found.batch_memory.all():
                request.note(fit_advice.what_would_fit(deployment, float(counts[np.argmin(found.batch_memory)])))
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
            with_votes=np.array([majority_accuracy(one, votes) if one == one else np.nan for one in hit.tolist()]),  # that most are hit
        )
    return request.table


def devices_of_one(deployment: Deployment) -> int:
    """Devices whose errors meet a generation: those of its data-parallel rank, all of them where experts are spread over ranks."""
    layout = deployment.layout
    return layout.devices if expert_counts(deployment.model) else layout.tp * layout.pp


def _say(request: Request, tokens: object, error_rate: object, failure_rate: object, streams: object, interactivity: object) -> None:
    """Notes on what was assumed."""
    if tokens is None:
        request.note(f"tokens: {DEFAULT_TOKENS} (--tokens)")
    if error_rate is None or failure_rate is None:
        request.note(
            f"per device-hour: {events.ERROR_RATE:.2g} silent errors and {events.FAILURE_RATE:.2g} other failures (--error-rate, --failure-rate): "
            f"{events.UNEXPECTED_INTERRUPTIONS} unexpected interruptions, {events.SILENT_CORRUPTIONS} of them silent, in 54 days of training on "
            f"16,384 H100 ({events.SOURCE})"
        )
    if streams is None:
        request.note(f"with_votes: majority of {DEFAULT_STREAMS} streams, hit independently (--streams)")
    if interactivity is None:
        request.note(f"interactivity: at least {units.plain(DEFAULT_INTERACTIVITY)} tok/s for each user (--interactivity)")
