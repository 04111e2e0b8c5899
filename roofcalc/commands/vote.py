"""Several answers to one query: what sharing their prefix saves, what voting and verifying gain, and what each costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc import units
from roofcalc.catalog import lookup
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, one_whole, single, whole
from roofcalc.commands.max_batch import DEFAULT_INTERACTIVITY
from roofcalc.commands.options import Options
from roofcalc.commands.price import usd_per_device_hour
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import serving
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

DEFAULT_STREAMS = "1,5"
MAX_STREAMS = 1_000_000
SHOWN = 5  # prefixes that a note names


class Chances(NamedTuple):
    """Of one answer to be right, and of a verifier to accept right and wrong ones (None where there is no verifier)."""

    accuracy: float
    recall: float | None
    false_positive: float | None


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
    chunk: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Self-consistency, majority vote and best-of-n: n streams that share a prefix, against one.

    Parameters
    ----------
    model, hardware, chunk, options
        As `max_batch` takes them.
    streams
        Answers to one query (default 1,5).
    prefix, suffix : tokens
        What they share, taken in once; and what each generates by itself.
    interactivity : tok/s/user
        The least that each stream must get (default 30).
    accuracy
        Chance that one answer is right: adds what votes and a verifier make of it.
    verifier
        A model that reads all answers, on machines of its own of the same kind, in its default layout.
    recall, false_positive
        Chance that a verifier accepts a right answer (default 1) and a wrong one (default 0).
    usd_per_hour
        Dollars per device-hour (default: the newest on-demand price of the table).

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, change, number of streams, prefix and suffix. The streams of
        a query run together on one rank. Unshared, each is a sequence of its own that takes in the prefix again.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    counts = whole(DEFAULT_STREAMS if streams is None else streams, "streams", MAX_STREAMS)
    if prefix is None or suffix is None:
        raise RoofcalcError("prefix, suffix: give both, the tokens that streams share and those of their own")
    prefixes, suffixes = whole(prefix, "prefix", MAX_TOKENS, 0), whole(suffix, "suffix", MAX_TOKENS)
    chances = _chances(accuracy, recall, false_positive, verifier)
    rate = DEFAULT_INTERACTIVITY if interactivity is None else single(interactivity, "interactivity", 0, 1e9)
    step_size = None if chunk is None else one_whole(chunk, "chunk", MAX_TOKENS)
    results = columns.VOTE + (columns.VOTE_ACCURACY if chances else ())
    request = Request("vote", results, model, hardware, options, ("chunk",) if chunk is not None else ())
    if streams is None:
        request.note(f"streams: {DEFAULT_STREAMS} (--streams)")
    if interactivity is None:
        request.note(f"interactivity: at least {units.plain(DEFAULT_INTERACTIVITY)} tok/s for each stream (--interactivity)")
    if chances:
        _say(request, chances)
    judge = _model(request, verifier)
    for usual, changes in request.deployments():
        begin, rest = request.grid(prefixes, suffixes)
        deployment = serving(request, usual, begin + rest)
        if (begin + rest > deployment.model.context).any():
            request.note(f"{deployment.model.name}: contexts beyond the model's {deployment.model.context} tokens are computed all the same")
        hour, devices = usd_per_device_hour(request, deployment.hardware, usd_per_hour), deployment.hardware.count
        reader = _reader(request, deployment, judge)
        alone = shared(deployment, 1, begin, rest, rate, step_size)
        if not alone.queries.all():
            request.note(fit_advice.what_would_fit(deployment, float((begin + rest)[np.argmin(alone.queries)])))
        for count in counts.tolist():
            case = shared(deployment, count, begin, rest, rate, step_size)
            apart = independent_machine_s(deployment, count, begin, rest, rate, step_size)
            _spare(request, deployment, count, begin, alone, case)
            reading, waited = (0.0, 0.0) if reader is None or count == 1 else read(reader, count, begin, rest, step_size)
            cost = money.usd(case.machine_s + reading, devices, hour)
            request.add(
                deployment,
                changes,
                seq=begin + rest,
                streams=count,
                prefix=begin,
                suffix=rest,
                kv_gb=memory.system_kv_bytes(deployment, begin + rest, SharedPrefix(count, begin)) / 1e9,
                kv_gb_unshared=count * memory.system_kv_bytes(deployment, begin + rest) / 1e9,
                queries=case.queries,
                usd_per_query=cost,
                cost_multiple=(case.machine_s + reading) / alone.machine_s,
                cost_multiple_unshared=(apart + reading) / alone.machine_s,
                latency_s=case.latency_s + waited,
                chunk=step_size,
                **(_gains(chances, int(count), cost) if chances else {}),
            )
    return request.table


def _spare(request: Request, deployment: Deployment, count: float, prefix: NDArray[Any], alone: Case, case: Case) -> None:
    """A note where one stream leaves FLOPs to spare and several do not."""
    spent = (case.limited_by == "compute") & (alone.limited_by != "compute") & (case.queries > 0)
    if spent.any():
        found = np.unique(prefix[spent]).tolist()
        named = ", ".join(units.plain(one) for one in found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
        request.note(
            f"{deployment.model.name}: with {count:g} streams FLOPs are no longer spare at a prefix of {named} tokens: compute takes "
            "the largest part of the step"
        )


def _gains(chances: Chances, count: int, cost: NDArray[Any]) -> dict[str, Any]:
    most = voting.majority_accuracy(chances.accuracy, count)
    chosen = np.nan
    if chances.recall is not None:
        chosen = float(voting.verifier_accuracy(chances.accuracy, count, chances.recall, chances.false_positive))
    right = most if chances.recall is None else chosen
    return {
        "pass_at_k": float(voting.pass_at_k(chances.accuracy, count)),
        "majority_accuracy": most,
        "verifier_accuracy": chosen,
        "usd_per_solved": cost / right if right > 0 else np.full(cost.shape, np.nan),
    }


def _chances(accuracy: Numbers | None, recall: Numbers | None, false_positive: Numbers | None, verifier: Any) -> Chances | None:
    """The chances asked for; None without an accuracy.

    Raises
    ------
    RoofcalcError
        A verifier's chances without an accuracy, or a number that is no chance.
    """
    if accuracy is None:
        if recall is not None or false_positive is not None:
            raise RoofcalcError("--recall, --false-positive: give --accuracy too, the chance that one answer is right")
        return None
    right = single(accuracy, "accuracy", 0, 1)
    if recall is None and false_positive is None and verifier is None:
        return Chances(right, None, None)
    kept = 1.0 if recall is None else single(recall, "recall", 0, 1)
    return Chances(right, kept, 0.0 if false_positive is None else single(false_positive, "false_positive", 0, 1))


def _say(request: Request, chances: Chances) -> None:
    request.note("accuracy: answers are independent, and the majority is against all wrong ones together, the worst case of a vote")
    if chances.recall is None:
        request.note("usd_per_solved: by majority vote")
    else:
        rates = f"accepts {chances.recall:g} of the right answers and {chances.false_positive:g} of the wrong (--recall, --false-positive)"
        request.note(f"usd_per_solved: by a verifier that {rates}")


def _model(request: Request, verifier: str | Model | None) -> Model | None:
    if verifier is None or isinstance(verifier, Model):
        return verifier
    model, found = lookup.model(verifier)
    for text in found:
        request.note(text)
    request.table.catalog["models"][model.name] = list(model.sources)
    return model


def _reader(request: Request, deployment: Deployment, judge: Model | None) -> Deployment | None:
    """The verifier on machines of its own of the same kind."""
    if judge is None:
        return None
    name, reader = deployment.hardware.name, deploy(judge, deployment.hardware, weights=deployment.weights, assumptions=deployment.assumptions)
    if not memory.weights_fit(reader):
        raise RoofcalcError(f"verifier: {judge.name} does not fit {name} ({memory.system_weight_bytes(reader) / 1e9:.1f} GB of weights)")
    if not reader.has_time:
        raise RoofcalcError(f"verifier: {deployment.hardware.device.name} has no peak that {judge.name} could compute at")
    layout = reader.layout
    request.note(f"verifier: {judge.name} on its own {name}, {reader.weights_label} weights, tp {layout.tp}, pp {layout.pp}, dp {layout.dp}")
    return reader
