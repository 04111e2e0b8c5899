"""Several answers to one query: memory saved by sharing their prefix, accuracy of voting and verifying, and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc import units
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_STREAMS, MAX_TOKENS, Names, Numbers, integer_array, single_number
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.price import device_price, pricing
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import serving
from roofcalc.commands.workload import chunk_tokens, note_other_pool, required_speed
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.economics import cost as money
from roofcalc.economics import voting
from roofcalc.economics.shared_prefix import Case, independent_machine_s, read, shared
from roofcalc.errors import RoofcalcError
from roofcalc.physics import memory
from roofcalc.physics.ops.types import SharedPrefix
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LISTED = 5  # prefixes that a note lists


class Chances(NamedTuple):
    """Probability that one answer is right, and that a verifier accepts a right or a wrong one (None without a verifier)."""

    accuracy: float
    recall: float | None
    false_positive: float | None


@notes_idle_changes
def vote(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    streams: Numbers | None = None,
    prefix: Numbers | None = None,
    suffix: Numbers | None = None,
    interactivity: Numbers | None = None,
    accuracy: Numbers | None = None,
    verifier: str | Model | None = None,
    recall: Numbers | None = None,
    false_positive: Numbers | None = None,
    usd_per_hour: Numbers | None = None,
    capex: Numbers | None = None,
    years: Numbers | None = None,
    power_price: Numbers | None = None,
    pue: Numbers | None = None,
    chunk: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Self-consistency, majority vote and best-of-n: n streams that share a prefix, compared with a single stream.

    Parameters
    ----------
    model, hardware, chunk, options
        As `max_batch` takes them.
    streams
        Answers per query (default 1,5).
    prefix, suffix : tokens
        The shared prompt, which is prefilled once per query; and the tokens that each stream generates.
    interactivity : tok/s/user
        Lowest acceptable speed of each stream (default 30).
    accuracy
        Probability that one answer is right; adds the accuracy of a majority vote and of a verifier.
    verifier
        A model that reads all answers, on separate machines of the same kind, in its default layout.
    recall, false_positive
        Probability that the verifier accepts a right answer (default 1) and a wrong one (default 0).
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).
    capex, years, power_price, pue
        Instead: the price of an hour of one's own hardware at full load, as `cost` takes them.

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, override, number of streams, prefix and suffix. The streams of
        a query run together on one data-parallel rank. Unshared means that every stream prefills and stores the prefix itself.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    counts = integer_array(defaults.VOTE_STREAMS if streams is None else streams, "--streams", MAX_STREAMS)
    if prefix is None or suffix is None:
        raise RoofcalcError("--prefix, --suffix: give both: the tokens that streams share, and the tokens that each generates")
    prefixes, suffixes = integer_array(prefix, "--prefix", MAX_TOKENS, 0), integer_array(suffix, "--suffix", MAX_TOKENS)
    chances, chunk_size = _chances(accuracy, recall, false_positive, verifier), chunk_tokens(chunk)
    results = columns.VOTE + (columns.VOTE_ACCURACY if chances else ())
    price = pricing(usd_per_hour, capex, years, power_price, pue)
    request = Request("vote", results, model, hardware, options, (*(("chunk",) if chunk is not None else ()), *price.given))
    if streams is None:
        request.note(f"streams: {defaults.VOTE_STREAMS} (--streams)")
    rate = required_speed(request, interactivity, "stream")
    note_other_pool(request)
    if chances:
        _note_accuracy(request, chances)
    verifier_model = None if verifier is None else request.model(verifier)
    for default, changes in request.deployments():
        shared_tokens, own_tokens = request.cross(prefixes, suffixes)
        deployment = serving(request, default, shared_tokens + own_tokens)
        request.note_context(deployment.model, shared_tokens + own_tokens)
        hour, devices = float(device_price(request, deployment.hardware, price).at(1)), deployment.hardware.count
        verifying = _deploy_verifier(request, deployment, verifier_model)
        single = shared(deployment, 1, shared_tokens, own_tokens, rate, chunk_size)
        if not single.queries.all():
            request.note(fit_advice.what_would_fit(deployment, float((shared_tokens + own_tokens)[np.argmin(single.queries)])))
        for count in counts.tolist():
            case = shared(deployment, count, shared_tokens, own_tokens, rate, chunk_size)
            unshared_s = independent_machine_s(deployment, count, shared_tokens, own_tokens, rate, chunk_size)
            _note_compute_limit(request, deployment, count, shared_tokens, single, case)
            verify_s, wait_s = (0.0, 0.0) if verifying is None or count == 1 else read(verifying, count, shared_tokens, own_tokens, chunk_size)
            cost = money.usd(case.machine_s + verify_s, devices, hour)
            request.add(
                deployment,
                changes,
                seq=shared_tokens + own_tokens,
                streams=count,
                prefix=shared_tokens,
                suffix=own_tokens,
                kv_gb=memory.system_kv_bytes(deployment, shared_tokens + own_tokens, SharedPrefix(count, shared_tokens)) / 1e9,
                kv_gb_unshared=count * memory.system_kv_bytes(deployment, shared_tokens + own_tokens) / 1e9,
                queries=case.queries,
                usd_per_query=cost,
                cost_multiple=(case.machine_s + verify_s) / single.machine_s,
                cost_multiple_unshared=(unshared_s + verify_s) / single.machine_s,
                latency_s=case.latency_s + wait_s,
                chunk=chunk_size,
                **price.stated(),
                **(_accuracy(chances, int(count), cost) if chances else {}),
            )
    return request.table


def _note_compute_limit(request: Request, deployment: Deployment, count: float, prefix: NDArray[Any], single: Case, case: Case) -> None:
    """A note where several streams are limited by compute but a single one is not."""
    limited = (case.limited_by == "compute") & (single.limited_by != "compute") & (case.queries > 0)
    if limited.any():
        prefixes = np.unique(prefix[limited]).tolist()
        listed = ", ".join(units.plain(tokens) for tokens in prefixes[:MAX_LISTED]) + (", …" if len(prefixes) > MAX_LISTED else "")
        request.note(f"{deployment.model.name}: {count:g} streams are limited by compute at a prefix of {listed} tokens; a single stream is not")


def _accuracy(chances: Chances, count: int, cost: NDArray[Any]) -> dict[str, Any]:
    """Columns on accuracy: `usd_per_solved` counts the verifier's choice, or the majority's without a verifier."""
    majority, verified = voting.majority_accuracy(chances.accuracy, count), np.nan
    if chances.recall is not None:
        verified = float(voting.verifier_accuracy(chances.accuracy, count, chances.recall, chances.false_positive))
    right = majority if chances.recall is None else verified
    return {
        "pass_at_k": float(voting.pass_at_k(chances.accuracy, count)),
        "majority_accuracy": majority,
        "verifier_accuracy": verified,
        "usd_per_solved": cost / right if right > 0 else np.full(cost.shape, np.nan),
    }


def _chances(accuracy: Numbers | None, recall: Numbers | None, false_positive: Numbers | None, verifier: Any) -> Chances | None:
    """The probabilities that were given; None without an accuracy.

    Raises
    ------
    RoofcalcError
        A verifier's probabilities without an accuracy, or a number outside 0 to 1.
    """
    if accuracy is None:
        if recall is not None or false_positive is not None:
            raise RoofcalcError("--recall, --false-positive: give --accuracy too, the probability that one answer is right")
        return None
    right = single_number(accuracy, "--accuracy", 0, 1)
    if recall is None and false_positive is None and verifier is None:
        return Chances(right, None, None)
    accepted = 1.0 if recall is None else single_number(recall, "--recall", 0, 1)
    return Chances(right, accepted, 0.0 if false_positive is None else single_number(false_positive, "--false-positive", 0, 1))


def _note_accuracy(request: Request, chances: Chances) -> None:
    request.note("accuracy: answers are independent, and all wrong answers agree with each other (the worst case of a majority vote)")
    if chances.recall is None:
        request.note("usd_per_solved: by majority vote")
    else:
        rates = f"accepts {chances.recall:g} of the right answers and {chances.false_positive:g} of the wrong (--recall, --false-positive)"
        request.note(f"usd_per_solved: by a verifier that {rates}")


def _deploy_verifier(request: Request, deployment: Deployment, model: Model | None) -> Deployment | None:
    """The verifier on separate machines of the same kind; None without a verifier.

    Raises
    ------
    RoofcalcError
        Its weights do not fit, or the catalog lists no peak that it could compute at.
    """
    if model is None:
        return None
    name, verifying = deployment.hardware.name, deploy(model, deployment.hardware, weights=deployment.weights, assumptions=deployment.assumptions)
    if not memory.weights_fit(verifying):
        raise RoofcalcError(f"--verifier: {model.name} does not fit on {name} ({memory.system_weight_bytes(verifying) / 1e9:.1f} GB of weights)")
    if not verifying.has_time:
        raise RoofcalcError(f"--verifier: the catalog lists no peak FLOP/s of {deployment.hardware.device.name} that {model.name} could use")
    layout = verifying.layout
    request.note(f"verifier: {model.name} on a separate {name}, {verifying.weights_label} weights, tp {layout.tp}, pp {layout.pp}, dp {layout.dp}")
    return verifying
