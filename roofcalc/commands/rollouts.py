"""What data for reinforcement learning takes: tokens, FLOPs, device-hours and money, beside pre-training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.catalog.cpus import cores_per_device
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, single, whole
from roofcalc.commands.options import Options
from roofcalc.commands.price import usd_per_device_hour
from roofcalc.commands.request import Request
from roofcalc.deployment.deployment import Deployment
from roofcalc.economics import rl_rollouts as work
from roofcalc.economics.cost import SECONDS_PER_HOUR, output_seconds
from roofcalc.physics.generation import mean_step, prompt_s
from roofcalc.physics.model_flops import generation_attention_flops
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs import dtypes
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_COUNT = 10**12
SLOWEST = 1e-6  # tok/s: no demand at all
LLAMA_3_TOKENS = 15.6e12
LLAMA_3_SOURCE = "https://arxiv.org/abs/2407.21783"


class Plan(NamedTuple):
    """What happens to the tokens that were generated.

    Attributes
    ----------
    kept : float
        Share that is trained on.
    passes : float
        Of the model itself, as a verifier.
    reader : float
        Active parameters of a reward model; 0 without one.
    forwards : float
        Forward passes in training for each backward pass.
    pretrain_tokens : float
        Of pre-training, to compare with.
    """

    kept: float
    passes: float
    reader: float
    forwards: float
    pretrain_tokens: float


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
    **options: Unpack[Options],
) -> Table:
    """Tokens, FLOPs, device-hours and money of generating, checking and training on rollouts, beside pre-training.

    Parameters
    ----------
    model, hardware, options
        As `max_batch` takes them.
    problems, rollouts, tokens
        Prompts, trajectories of each (default 10 million, 3,000), and tokens of each trajectory's own (8,000).
    prefix : tokens
        What the rollouts of a problem share, computed once (default 0); each holds its cache by itself.
    kept
        Share of what was generated that is trained on (default 1).
    verifier_passes
        Passes of the model itself over all that was generated (default 1).
    reward_model
        Another model that reads all of it once (default none).
    forwards_per_backward
        Forward passes in training for each backward pass: more than 1 with old or reference policies (default 1).
    pretrain_tokens
        To compare with (default those of Llama 3, 15.6e12).
    interactivity : tok/s
        The least that each rollout must get (default none: as many at once as fit).
    usd_per_hour
        Dollars per device-hour (default: the newest on-demand price of the table).

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, change, problems, rollouts, tokens and prefix. Generation
        takes the time of its steps; verification and training take their FLOPs at the peak times mfu, in the weights'
        format and in bf16.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.
    """
    request = Request("rollouts", columns.ROLLOUTS, model, hardware, options)
    axes = (
        whole(_default(request, problems, 10_000_000, "problems"), "problems", MAX_COUNT),
        whole(_default(request, rollouts, 3000, "rollouts"), "rollouts", MAX_COUNT),
        whole(_default(request, tokens, 8000, "tokens"), "tokens", MAX_TOKENS),
        whole(0 if prefix is None else prefix, "prefix", MAX_TOKENS, 0),
    )
    plan = Plan(
        single(_default(request, kept, 1, "kept"), "kept", 0, 1),
        single(_default(request, verifier_passes, 1, "verifier_passes"), "verifier_passes", 0, 1e6),
        _active(request, reward_model),
        single(_default(request, forwards_per_backward, 1, "forwards_per_backward"), "forwards_per_backward", 1, 1e6),
        LLAMA_3_TOKENS if pretrain_tokens is None else single(pretrain_tokens, "pretrain_tokens", 1, 1e21),
    )
    if pretrain_tokens is None:
        request.note(f"pretrain_tokens: {LLAMA_3_TOKENS:.3g}, those of Llama 3 ({LLAMA_3_SOURCE}; --pretrain-tokens)")
    rate = SLOWEST if interactivity is None else single(interactivity, "interactivity", SLOWEST, 1e9)
    for deployment, changes in request.deployments():
        different, each, own, begin = request.grid(*axes)
        if (own + begin > deployment.model.context).any():
            request.note(f"{deployment.model.name}: contexts beyond the model's {deployment.model.context} tokens are computed all the same")
        machine, hour = deployment.hardware, usd_per_device_hour(request, deployment.hardware, usd_per_hour)
        place, active = request.whole_place(deployment.model, deployment.kv.name), float(count(deployment.model).active)
        of_rollout = generation_attention_flops(deployment.model, place, own, begin)
        of_prefix = generation_attention_flops(deployment.model, place, begin)
        generated = work.generated_tokens(different, each, own, begin)
        generation = work.generation_flop(active, generated, different * (each * of_rollout + of_prefix))
        verify = plan.passes * work.pass_flop(active, generated) + work.pass_flop(plan.reader, generated)
        train = work.train_flop(active, generated, plan.kept, plan.forwards)
        pretrain = work.pretrain_flop(active, plan.pretrain_tokens)
        hours = _generation_hours(request, deployment, different, each, own, begin, rate) + _flop_hours(deployment, verify, train)
        _compare(request, deployment, np.asarray(generated), np.asarray(generation + verify + train), float(pretrain))
        cores = cores_per_device(machine.system)
        if cores is None:
            request.note(f"{machine.name}: no CPU cores of hosts are known")
        request.add(
            deployment,
            changes,
            seq=own + begin,
            problems=different,
            rollouts=each,
            tokens=own,
            shared_prefix=begin,
            generated_tokens=generated,
            generation_flop=generation,
            verify_flop=verify,
            train_flop=train,
            pretrain_flop=pretrain,
            device_hours=hours,
            usd=hours * hour,
            cpu_cores_per_device=cores,
        )
    return request.table


def _default(request: Request, given: Numbers | None, value: float, name: str) -> Numbers:
    """What was given, or the default, which a note says is assumed."""
    if given is not None:
        return given
    request.note(f"assumed: {name} {value:,} (--{name.replace('_', '-')})")
    return value


def _active(request: Request, reward_model: str | Model | None) -> float:
    if reward_model is None:
        return 0.0
    model, found = (reward_model, []) if isinstance(reward_model, Model) else lookup.model(reward_model)
    for text in found:
        request.note(text)
    request.table.catalog["models"][model.name] = list(model.sources)
    return float(count(model).active)


def _generation_hours(request: Request, deployment: Deployment, problems: Any, rollouts: Any, tokens: Any, prefix: Any, rate: float) -> NDArray[Any]:
    """Device-hours of taking in every prefix once and of all steps at the largest batch."""
    if not deployment.has_time:
        return np.full(tokens.shape, np.nan)
    found = solver.max_batch(deployment, prefix + tokens, rate, mean_step(deployment, prefix, tokens))
    if not found.batch_memory.all():
        request.note(fit_advice.what_would_fit(deployment, float((prefix + tokens)[np.argmin(found.batch_memory)])))
    batch = np.minimum(found.max_batch, problems * rollouts)  # no more than there are
    step = np.where(batch > 0, mean_step(deployment, prefix, tokens).seconds(np.maximum(batch, 1)), np.nan)
    seconds = problems * prompt_s(deployment, prefix) + problems * rollouts * output_seconds(step, tokens, batch, deployment.accepted)
    return np.asarray(seconds * deployment.hardware.count / SECONDS_PER_HOUR)


def _flop_hours(deployment: Deployment, verify: Any, train: Any) -> NDArray[Any]:
    """Device-hours of verification at the weights' format, and of training in bf16, at the peak times mfu."""
    device = deployment.hardware.device
    reading = deployment.flop_per_s(deployment.linear_format("attention"))
    training = deployment.flop_per_s(dtypes.arithmetic_format(device, "bf16"))
    if reading is None or training is None:
        return np.full(np.shape(verify), np.nan)
    return np.asarray((verify / reading + train / training) / SECONDS_PER_HOUR)


def _compare(request: Request, deployment: Deployment, generated: NDArray[Any], after: NDArray[Any], before: float) -> None:
    """A note on how post-training compares with pre-training, and how many tokens would make them equal."""
    low, high = float(after.min()) / before, float(after.max()) / before
    times = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    equal = float(generated[0]) * before / float(after[0])
    request.note(
        f"{deployment.model.name}: post-training takes {times} times the FLOPs of pre-training, and overtakes it from {equal:.3g} generated tokens on"
    )
