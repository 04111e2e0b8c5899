"""A case beside the calculation: the bound over all that the source leaves open, and the most usual run under a preset."""

from collections.abc import Iterator
from typing import Any

from roofcalc.deployment.assumptions import CHOICES, Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment, sixteen_bit
from roofcalc.deployment.parallelism import legal_ep, legal_tp
from roofcalc.measurements.cases import Case
from roofcalc.physics.memory import batch_memory
from roofcalc.specs import dtypes
from roofcalc.specs.device import Device
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record, replace

BOUND = assumptions("bound")
ROOFLINE = assumptions("roofline")


class Bound(Record):
    """The fastest that a case can be.

    Attributes
    ----------
    value : float
        In the metric's unit.
    skewed : float or None
        Where experts are routed to: the same if every token went to the same ones, over a network that costs nothing.
    fits : bool
        Whether the batch fits the memory in any layout that the source leaves open.
    """

    value: float
    skewed: float | None
    fits: bool


def bound(case: Case) -> Bound:
    """The cheapest of the legal layouts, with the narrowest cache, where the source does not say."""
    kv = case.kv or narrowest_cache(case.hardware.device)
    values, skewed, fits = [], [], False
    for layout in layouts(case):
        deployment = case.deployment(BOUND, kv, layout)
        values.append(case.value(deployment))
        fits = fits or fits_memory(deployment, case)
        if has_routed_experts(case.model):
            skewed.append(case.value(identically_routed(deployment)))
    return Bound(max(values, key=case.speed), max(skewed, key=case.speed, default=None), fits)


def most_likely_run(case: Case, assumed: Assumptions) -> tuple[Deployment, Case]:
    """A case as it is most likely run, and deployed so: the default layout, a 16-bit cache where the batch fits with one.

    Of prompts that a prefill step cuts at its tokens, a rank takes whole ones. In `typical` the kernels are those of the engine's release.
    """
    if assumed.is_typical and assumed.engine is None:
        assumed = replace(assumed, engine=case.generation)
    names = [case.kv] if case.kv else [case.model.dtypes.kv or sixteen_bit(case.model.dtypes), *caches(case.hardware.device)]
    roomy = replace(assumed, capacity="largest", util=1.0, reserve_gb=0.0)
    fitting = (name for name in names if fits_memory(case.deployment(roomy, name), case))
    deployment = case.deployment(assumed, next(fitting, names[-1]))
    if case.point.batch is None:
        ranks = deployment.layout.dp
        case = replace(case, work=replace(case.work, batch=max(1, case.work.batch // ranks) * ranks))
    return deployment, case


def typical() -> Assumptions | None:
    """The calibrated preset; None where this version has none."""
    return assumptions("typical") if "typical" in CHOICES["assume"] else None


def caches(device: Device) -> list[str]:
    """Dtypes narrower than 16 bits that engines keep a cache in on a device, widest first."""
    peaks = device.peak_tflop_s
    return ["fp8" if "fp8" in peaks else "int8", *(["nvfp4"] if "fp4" in peaks else [])]


def narrowest_cache(device: Device) -> str:
    """The dtype of the fewest bytes that engines keep a cache in on a device."""
    return min(caches(device), key=lambda name: dtypes.dtype(name).bytes_per_element)


def fits_memory(deployment: Deployment, case: Case) -> bool:
    """Whether the whole batch fits at the end of its generations."""
    return bool(batch_memory(deployment, case.work.held) >= int(case.work.batch))


def layouts(case: Case) -> Iterator[dict[str, Any]]:
    """Every legal layout of the case's devices that has the degrees which the source gives."""
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
    """Whether any layer routes tokens to experts."""
    return any(isinstance(model.blocks[name].mlp, Experts) for name in model.groups)


def identically_routed(deployment: Deployment) -> Deployment:
    """The deployment if all tokens took the same experts: no more of them are read than one token meets."""
    blocks = {
        name: replace(block, mlp=replace(block.mlp, experts=min(block.mlp.experts, block.mlp.top_k))) if isinstance(block.mlp, Experts) else block
        for name, block in deployment.model.blocks.items()
    }
    free = replace(deployment.assumptions, network="ideal")
    return replace(deployment, model=replace(deployment.model, blocks=blocks), assumptions=free)
