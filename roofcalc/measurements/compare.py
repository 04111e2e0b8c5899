"""Predictions for a measured case: the bound over everything that the source leaves open, and the most likely run under a preset."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from roofcalc.deployment import calibrated
from roofcalc.deployment.assumptions import CHOICES, Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.engines import NONE
from roofcalc.deployment.parallelism import legal_ep, legal_tp
from roofcalc.measurements.cases import Case
from roofcalc.physics.memory import batch_memory
from roofcalc.specs import dtypes
from roofcalc.specs.device import Device
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace
from roofcalc.specs.stored_weights import sixteen_bit

BOUND, BOUND_UNIFORM = assumptions("bound"), assumptions("bound", routing="uniform")
ROOFLINE = assumptions("roofline")


class Bound(NamedTuple):
    """The fastest possible result of a case.

    Attributes
    ----------
    value : float
        In the unit of the metric: the bound over every routing of tokens to experts.
    uniform : float
        The same if tokens chose experts by uniform chance.
    fits : bool
        Whether the batch fits in memory in any layout that is compatible with the source.
    """

    value: float
    uniform: float
    fits: bool


def bound(case: Case) -> Bound:
    """The bound of a case: the fastest legal layout and the narrowest KV cache where the source does not give them."""
    if case.context_open:
        case = replace(case, work=replace(case.work, isl=1))
    kv = case.kv or narrowest_cache(case.hardware.device)
    values, uniform, fits = [], [], False
    for layout in layouts(case):
        deployment = case.deployment(BOUND, kv, layout)
        run = _without_queue(case, deployment)
        values.append(run.value(deployment))
        fits = fits or fits_memory(deployment, case)
        if has_routed_experts(case.model):
            uniform.append(run.value(case.deployment(BOUND_UNIFORM, kv, layout)))
    return Bound(max(values, key=case.speed), max(uniform or values, key=case.speed), fits)


def _without_queue(case: Case, deployment: Deployment) -> Case:
    """The case of a speed per user with no more sequences than fit: the others wait, and each that runs is faster."""
    if case.metric.of_system or fits_memory(deployment, case):
        return case
    room = max(1.0, float(batch_memory(deployment, case.work.held)))
    return replace(case, work=replace(case.work, batch=min(case.work.batch, room)))


def most_likely_run(case: Case, assumed: Assumptions) -> tuple[Deployment, Case]:
    """The most likely deployment of a case, and the case with its batch adjusted to it.

    Uses the default layout and a 16-bit KV cache if the batch fits with one. A batch given in tokens per device is rounded down
    to whole prompts per rank. `typical` uses the kernels of the engine's release.
    """
    assumed = replace(assumed, prefill=case.prefill) if assumed.is_typical else assumed
    names = [case.kv] if case.kv else [case.model.dtypes.kv or sixteen_bit(case.model.dtypes), *caches(case.hardware.device)]
    roomy = replace(assumed, capacity="largest", util=1.0, reserve_gb=0.0)
    fitting = next((name for name in names if fits_memory(case.deployment(roomy, name), case)), None)
    deployment = case.deployment(assumed, fitting or names[-1])
    if fitting is None and assumed.is_typical:  # an engine holds what fits, and the other requests wait
        room = float(batch_memory(case.deployment(roomy, names[-1]), max(1.0, case.work.isl + (case.work.osl or 0) / 2)))
        if room >= 1:
            case = replace(case, work=replace(case.work, batch=min(case.work.batch, room)))
    if deployment.profile is not None:  # the engine's timings, whatever memory rules are assumed
        deployment = replace(deployment, profile=calibrated.profile(case.hardware.device, case.model, case.generation or case.engine or None))
    if case.point.tokens_per_device is not None:
        ranks = deployment.layout.dp
        case = replace(case, work=replace(case.work, batch=max(1, case.work.batch // ranks) * ranks))
    return deployment, case.loaded(deployment)


def typical() -> Assumptions | None:
    """The preset `typical` without an engine's memory rules, since what was measured did fit; None where this version does not have it."""
    return assumptions("typical", engine=NONE) if "typical" in CHOICES["assume"] else None


def caches(device: Device) -> list[str]:
    """KV cache dtypes below 16 bits that engines support on a device, widest first."""
    peaks = device.peak_tflop_s
    return ["fp8" if "fp8" in peaks else "int8", *(["nvfp4"] if "fp4" in peaks else [])]


def narrowest_cache(device: Device) -> str:
    """The KV cache dtype with the fewest bytes that engines support on a device."""
    return min(caches(device), key=lambda name: dtypes.dtype(name).bytes_per_element)


def fits_memory(deployment: Deployment, case: Case) -> bool:
    """Whether the batch fits in memory at the end of its generations."""
    return case.max_load or bool(batch_memory(deployment, case.work.held) >= int(case.work.batch))


def layouts(case: Case) -> Iterator[dict[str, Any]]:
    """Every legal layout of the case's devices with the degrees that the source gives."""
    model, count = case.model, case.hardware.count
    for tp in legal_tp(model, count):
        for pp in range(1, min(count // tp, model.depth) + 1):
            dp, left = divmod(count // tp, pp)
            if left or any(given not in (None, one) for given, one in ((case.tp, tp), (case.pp, pp), (case.dp, dp))):
                continue
            experts = legal_ep(model, tp, dp)
            for ep in [case.ep] if case.ep in experts else experts:
                yield {"tp": tp, "pp": pp, "dp": dp, "ep": ep}


def has_routed_experts(model: Model) -> bool:
    """Whether a layer has routed experts."""
    return any(isinstance(model.blocks[name].mlp, Experts) for name in model.groups)
