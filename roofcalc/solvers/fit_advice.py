"""Advice where a model does not fit: a lower context, smaller steps, a narrower cache, the fewest devices, or the widest weights."""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, head_counts
from roofcalc.physics import memory
from roofcalc.solvers.max_context import max_context
from roofcalc.specs import dtypes
from roofcalc.specs.record import replace

MAX_DEVICES = 4096
SMALLER_STEPS = ((8192, 256), (4096, 256), (2048, 256), (2048, 64), (1024, 16), (512, 4))  # batched tokens and sequences, the largest first
NARROWER = ("bf16", "fp8", "nvfp4", "mxfp4", "int4")  # offered where weights do not fit, widest first


def what_would_fit(deployment: Deployment, seq: float) -> str:
    """One sentence: the fewest devices, and the widest weights on these, that hold the model and one sequence."""
    model, hardware = deployment.model, deployment.hardware
    weights = memory.system_weight_bytes(deployment)
    cache = float(memory.system_kv_bytes(deployment, seq))
    activations, runtime, taken = memory.system_overhead_bytes(deployment, seq)
    room = float(taken)
    holds = f"{weights / 1e9:.1f} GB of {deployment.weights_label} weights"
    if deployment.rules is not None:
        holds += f", {float(activations) / 1e9:.1f} GB of activations, {runtime / 1e9:.1f} GB of runtime"
    one = f"one sequence of {seq:.0f} tokens"
    if memory.weights_fit(deployment, seq):
        holds, condition = f"{holds} and {cache / 1e9:.1f} GB of cache for {one}", ""
    else:
        condition = f"with {one} "
    fewest, dtype = fewest_devices(deployment, seq), widest_weights(deployment, seq)
    if fewest is not None:
        place = (
            f"these {hardware.count} in another layout"
            if fewest.devices == hardware.count
            else f"{fewest.devices} such device{'s' * (fewest.devices > 1)}"
        )
        ways = f"{condition}it fits {place} (--tp {fewest.tp} --pp {fewest.pp})"
    elif hardware.scale_out_bytes_per_s is None:
        ways = f"no more than {hardware.domain} such devices can be joined, and it fits none of these"
    else:
        ways = f"it fits no number of such devices up to {MAX_DEVICES}"
    ways += f", or {hardware.name} as it is with {dtype} weights" if dtype else "; narrower weights alone do not help"
    as_it_is = f"; on {hardware.name} as it is {' or '.join(found)} would start" if (found := smaller(deployment, seq)) else ""
    return f"{model.name} does not fit {hardware.name} ({holds} against {room / 1e9:.1f} GB): {ways}{as_it_is}"


def smaller(deployment: Deployment, seq: float) -> list[str]:
    """What would start on the same devices with the same weights, each by itself: a lower context, smaller steps, a narrower cache."""
    found = []
    longest = float(max_context(deployment, 1))
    if 1 <= longest < seq:
        found.append(f"--seq {longest:.0f}")
    if deployment.rules is not None:
        default = deployment.rules.step(deployment.hardware.device)
        for tokens, seqs in SMALLER_STEPS:
            asked = deployment.assumptions.max_batched_tokens or default.batched_tokens, deployment.assumptions.max_seqs or default.seqs
            if tokens > asked[0] or seqs > asked[1]:
                continue
            assumed = replace(deployment.assumptions, max_batched_tokens=tokens, max_seqs=seqs)
            if memory.batch_memory(replace(deployment, assumptions=assumed), seq) >= 1:
                found.append(f"--max-batched-tokens {tokens} --max-seqs {seqs}")
                break
    if not deployment.kv.is_fp8 and deployment.kv.bits > 8 and memory.batch_memory(replace(deployment, kv=dtypes.dtype("fp8")), seq) >= 1:
        found.append("--kv fp8")
    return found


def fewest_devices(deployment: Deployment, seq: float) -> Layout | None:
    """The layout with the smallest number of such devices, no replicas, that holds the model and one sequence.

    Enumerated, since more devices do not always fit what fewer did: heads and layers divide badly over some numbers.
    """
    hardware = deployment.hardware
    whole = replace(deployment, hardware=replace(hardware, count=1), layout=Layout())  # dividing it only adds copies
    needed = memory.system_weight_bytes(whole) + float(memory.system_kv_bytes(whole, seq))
    least = int(min(needed / deployment.usable_bytes, MAX_DEVICES)) or 1
    most = MAX_DEVICES if hardware.scale_out_bytes_per_s is not None else min(MAX_DEVICES, hardware.domain)
    for count in range(least, most + 1):
        degrees = [t for t in range(1, count + 1) if count % t == 0]
        for tp in sorted(degrees, key=lambda t: (t > hardware.domain, -t)):  # within a domain the widest first
            layout = Layout(tp, count // tp)
            if _fits(deployment, layout, deployment.weights, seq):
                return layout
    return None


def widest_weights(deployment: Deployment, seq: float) -> str | None:
    """The widest of the common weight dtypes that fits the same devices and layout with one sequence."""
    widest_first = sorted(NARROWER, key=lambda one: -dtypes.dtype(one).bytes_per_element)
    return next((name for name in widest_first if _fits(deployment, deployment.layout, name, seq)), None)


def _fits(deployment: Deployment, layout: Layout, weights: str, seq: float) -> bool:
    model = deployment.model
    if layout.pp > model.depth or any(heads % layout.tp for heads in head_counts(model)):
        return False
    hardware = replace(deployment.hardware, count=layout.devices)
    draft = deployment.draft
    if draft and draft.deployment:
        if layout.pp > 1:
            return False
        draft = replace(draft, deployment=replace(draft.deployment, hardware=hardware, layout=Layout(layout.tp, 1, layout.dp), weights=weights))
    other = replace(deployment, hardware=hardware, layout=layout, weights=weights, draft=draft)
    return bool(memory.batch_memory(other, seq) >= 1)
