"""Cost of reinforcement-learning rollouts: tokens, FLOPs, device-hours and money, compared with pre-training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc.catalog.cpus import cores_per_device
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_RATE, MAX_TOKENS, MIN_RATE, Names, Numbers, integer_array, single_number
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.price import device_price, pricing
from roofcalc.commands.request import Request
from roofcalc.commands.workload import note_other_pool
from roofcalc.deployment.deployment import Deployment
from roofcalc.economics import rl_rollouts as work
from roofcalc.economics.request_time import SharedPromptStep, request_time
from roofcalc.errors import flag
from roofcalc.physics.generation import mean_step
from roofcalc.physics.model_flops import generation_attention_flops
from roofcalc.physics.serving import ServedStep
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs import dtypes
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count
from roofcalc.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_COUNT = 10**12
LLAMA_3_TOKENS = 15.6e12
LLAMA_3_SOURCE = "https://arxiv.org/abs/2407.21783"


class Training(NamedTuple):
    """How generated tokens are verified and trained on.

    Attributes
    ----------
    kept : float
        Fraction of the generated tokens that is trained on.
    verifier_passes : float
        Forward passes of the model itself over all generated tokens.
    reward_params : float
        Active parameters of the reward model; 0 without one.
    forwards_per_backward : float
        Forward passes in training per backward pass.
    pretrain_tokens : float
        Tokens of pre-training, for comparison.
    """

    kept: float
    verifier_passes: float
    reward_params: float
    forwards_per_backward: float
    pretrain_tokens: float


@notes_idle_changes
def rollouts(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    problems: Numbers | None = None,
    rollouts: Numbers | None = None,
    tokens: Numbers | None = None,
    prefix: Numbers | None = None,
    kept: Numbers | None = None,
    verifier_passes: Numbers | None = None,
    reward_model: str | Model | None = None,
    forwards_per_backward: Numbers | None = None,
    pretrain_tokens: Numbers | None = None,
    interactivity: Numbers | None = None,
    usd_per_hour: Numbers | None = None,
    capex: Numbers | None = None,
    years: Numbers | None = None,
    power_price: Numbers | None = None,
    pue: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Tokens, FLOPs, device-hours and money of generating, verifying and training on rollouts, compared with pre-training.

    Parameters
    ----------
    model, hardware, options
        As `max_batch` takes them.
    problems, rollouts, tokens
        Number of prompts (default 10 million), rollouts per prompt (3,000), and tokens generated per rollout (8,000).
    prefix : tokens
        Prompt tokens, prefilled once per problem (default 0); every rollout stores its own copy of their KV cache.
    kept
        Fraction of the generated tokens that is trained on (default 1).
    verifier_passes
        Forward passes of the model itself over all generated tokens (default 1).
    reward_model
        Another model that reads all generated tokens once (default none).
    forwards_per_backward
        Forward passes in training per backward pass: more than 1 with old or reference policies (default 1).
    pretrain_tokens
        Tokens of pre-training to compare with (default: Llama 3's 15.6e12).
    interactivity : tok/s
        Lowest acceptable speed of each rollout (default: no limit, the largest batch that fits).
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).
    capex, years, power_price, pue
        Instead: the price of an hour of one's own hardware at full load, as `cost` takes them.

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, override, problems, rollouts, tokens and prefix. Generation
        takes the time that the same requests take in `max-batch`, with one prompt for all rollouts of a problem; verification (in the
        format of the weights) and training (in bf16) take their FLOPs divided by the peak times mfu.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.
    """
    price = pricing(usd_per_hour, capex, years, power_price, pue)
    request = Request("rollouts", columns.ROLLOUTS, model, hardware, options, price.given)
    axes = (
        integer_array(_or_default(request, problems, defaults.PROBLEMS, "problems"), "--problems", MAX_COUNT),
        integer_array(_or_default(request, rollouts, defaults.ROLLOUTS, "rollouts"), "--rollouts", MAX_COUNT),
        integer_array(_or_default(request, tokens, defaults.ROLLOUT_TOKENS, "tokens"), "--tokens", MAX_TOKENS),
        integer_array(0 if prefix is None else prefix, "--prefix", MAX_TOKENS, 0),
    )
    training = Training(
        kept=single_number(_or_default(request, kept, 1, "kept"), "--kept", 0, 1),
        verifier_passes=single_number(_or_default(request, verifier_passes, 1, "verifier_passes"), "--verifier-passes", 0, 1e6),
        reward_params=0.0 if reward_model is None else float(count(request.model(reward_model)).active),
        forwards_per_backward=single_number(
            _or_default(request, forwards_per_backward, 1, "forwards_per_backward"), "--forwards-per-backward", 1, 1e6
        ),
        pretrain_tokens=LLAMA_3_TOKENS if pretrain_tokens is None else single_number(pretrain_tokens, "--pretrain-tokens", 1, 1e21),
    )
    if pretrain_tokens is None:
        request.note(f"pretrain_tokens: {LLAMA_3_TOKENS:.3g}, those of Llama 3 ({LLAMA_3_SOURCE}; --pretrain-tokens)")
    note_other_pool(request)
    rate = MIN_RATE if interactivity is None else single_number(interactivity, "--interactivity", MIN_RATE, MAX_RATE)
    for deployment, changes in request.deployments():
        points = Points(*request.cross(*axes))
        request.note_context(deployment.model, points.tokens + points.prefix)
        machine, hour = deployment.hardware, float(device_price(request, deployment.hardware, price).at(1))
        sharding, active = request.single_device_sharding(deployment.model, deployment.kv.name), float(count(deployment.model).active)
        attention = points.problems * (
            points.rollouts * generation_attention_flops(deployment.model, sharding, points.tokens, points.prefix)
            + generation_attention_flops(deployment.model, sharding, points.prefix)
        )
        generated = work.generated_tokens(points.problems, points.rollouts, points.tokens, points.prefix)
        generation = work.generation_flop(active, generated, attention)
        verify = training.verifier_passes * work.pass_flop(active, generated) + work.pass_flop(training.reward_params, generated)
        train = work.train_flop(active, generated, training.kept, training.forwards_per_backward)
        pretrain = work.pretrain_flop(active, training.pretrain_tokens)
        hours = _generation_hours(request, deployment, points, rate) + _flop_hours(deployment, verify, train)
        _note_pretraining(request, deployment, np.asarray(generated), np.asarray(generation + verify + train), float(pretrain))
        cores = cores_per_device(machine.system)
        if cores is None:
            request.note(f"{machine.name}: the catalog lists no CPU cores of its hosts")
        request.add(
            deployment,
            changes,
            seq=points.tokens + points.prefix,
            problems=points.problems,
            rollouts=points.rollouts,
            tokens=points.tokens,
            shared_prefix=points.prefix,
            generated_tokens=generated,
            generation_flop=generation,
            verify_flop=verify,
            train_flop=train,
            pretrain_flop=pretrain,
            device_hours=hours,
            usd=hours * hour,
            cpu_cores_per_device=cores,
            **price.stated(),
        )
    return request.table


class Points(NamedTuple):
    """The combinations that become rows, as flat arrays of one length; tokens and prefix are per rollout."""

    problems: NDArray[Any]
    rollouts: NDArray[Any]
    tokens: NDArray[Any]
    prefix: NDArray[Any]


def _or_default(request: Request, value: Numbers | None, default: float, name: str) -> Numbers:
    """The given value, or the default together with a note."""
    if value is not None:
        return value
    request.note(f"assumed: {name} {default:,} ({flag(name)})")
    return default


def _generation_hours(request: Request, deployment: Deployment, points: Points, rate: float) -> NDArray[Any]:
    """Device-hours of one prefill per problem and of all decode steps at the largest batch."""
    if not deployment.has_time:
        return np.full(points.tokens.shape, np.nan)
    context, alone = points.prefix + points.tokens, 1 / points.rollouts
    paced = ServedStep(mean_step(deployment, points.prefix, points.tokens), points.prefix, points.tokens)
    solved = solver.max_batch(deployment, context, rate, SharedPromptStep(paced, alone))
    if not solved.batch_memory.all():
        request.note(fit_advice.what_would_fit(deployment, float(context[np.argmin(solved.batch_memory)])))
    sequences = points.problems * points.rollouts
    batch = np.minimum(solved.max_batch, sequences)
    each = request_time(paced, np.maximum(batch, 1), prompts_per_request=alone)
    return np.asarray(np.where(batch > 0, sequences * each.total_s, np.nan) * deployment.hardware.count / SECONDS_PER_HOUR)


def _flop_hours(deployment: Deployment, verify: Any, train: Any) -> NDArray[Any]:
    """Device-hours of verification in the format of the weights, and of training in bf16, at the peak times mfu."""
    device = deployment.hardware.device
    verify_rate = deployment.flop_per_s(deployment.linear_format("attention"))
    train_rate = deployment.flop_per_s(dtypes.arithmetic_format(device, "bf16"))
    if verify_rate is None or train_rate is None:
        return np.full(np.shape(verify), np.nan)
    return np.asarray((verify / verify_rate + train / train_rate) / SECONDS_PER_HOUR)


def _note_pretraining(request: Request, deployment: Deployment, generated: NDArray[Any], post: NDArray[Any], pre: float) -> None:
    """A note on FLOPs of post-training relative to pre-training, and the number of tokens at which they break even."""
    low, high = float(post.min()) / pre, float(post.max()) / pre
    ratio = f"{low:.3g}×" if low == high else f"{low:.3g}× to {high:.3g}×"
    break_even = float(generated[0]) * pre / float(post[0])
    request.note(f"{deployment.model.name}: post-training uses {ratio} the pre-training FLOPs (break-even at {break_even:.3g} generated tokens)")
