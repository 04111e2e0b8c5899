"""Advice where a model does not fit: the fewest devices, the widest weight dtype, or smaller requests, that would fit."""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import layers_with_experts
from roofcalc.deployment.parallelism import Layout, head_counts
from roofcalc.deployment.speculative import drafter_weights
from roofcalc.deployment.usual_engine import divides_layers
from roofcalc.physics import memory
from roofcalc.solvers.layouts import with_device_count
from roofcalc.solvers.max_context import max_context
from roofcalc.specs import dtypes, weight_recipes
from roofcalc.specs.record import replace

MAX_DEVICES = 4096
SMALLER_STEPS = ((8192, 256), (4096, 256), (2048, 256), (2048, 64), (1024, 16), (512, 4))  # batched tokens and sequences, the largest first
NARROWER = ("bf16", "fp8", "nvfp4", "mxfp4", "int4")  # suggested where weights do not fit
NARROWER_GGUF = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")  # where they are a GGUF file, the widest first


def what_would_fit(deployment: Deployment, seq: float) -> str:
    """Why the model does not fit, and what would: more host memory, or the fewest devices, the widest weight dtype and smaller requests."""
    host, hosted_gb = deployment.offload.host if deployment.offload else None, float(memory.host_bytes(deployment, seq)) / 1e9
    if deployment.offload and host and host.memory_gb is not None and hosted_gb > host.memory_gb:
        where = f"{deployment.model.name} does not fit on {deployment.hardware.name}"
        short = f"{where}: the host must hold {hosted_gb:.1f} GB of weights and caches, and has {host.memory_gb:g} GB (--host memory_gb=…)"
        larger = replace(deployment, offload=replace(deployment.offload, host=replace(host, memory_gb=None)))
        return short if memory.batch_memory(larger, seq) >= 1 else f"{short}; and {what_would_fit(larger, seq)}"
    model, hardware = deployment.model, deployment.hardware
    draft_gb = memory.system_draft_weight_bytes(deployment) / 1e9
    plain = replace(deployment, lora=None)
    adapters_gb = (memory.system_weight_bytes(deployment) - memory.system_weight_bytes(plain)) / 1e9
    weights_gb = memory.system_weight_bytes(deployment) / 1e9 - draft_gb - adapters_gb
    cache_gb = float(memory.system_kv_bytes(deployment, seq)) / 1e9
    activations, runtime, usable = memory.system_overhead_bytes(deployment, seq)
    capacity_gb = float(usable) / 1e9
    need = f"{deployment.weights_label} weights need {weights_gb:.1f} GB" + (f", those of the drafter {draft_gb:.1f} GB" if draft_gb else "")
    need += f", adapters {adapters_gb:.1f} GB" if deployment.lora else ""
    if deployment.rules is not None:
        need += f", activations {float(activations) / 1e9:.1f} GB, the runtime {runtime / 1e9:.1f} GB"
    sequence = f"one {seq:,.0f}-token sequence"
    if memory.weights_fit(deployment, seq):
        need, subject = f"{need} and the cache of {sequence} {cache_gb:.1f} GB", "It"
    else:
        subject = f"With {sequence} it"
    fewest, dtype = fewest_devices(deployment, seq), widest_weights(deployment, seq)
    if fewest is not None and fewest.devices == hardware.count:
        devices = f"fits on these {hardware.count} devices with {_degrees(deployment, fewest) or 'its layers divided over them'}"
    elif fewest is not None:
        degrees = _degrees(deployment, fewest)
        devices = f"needs at least {fewest.devices} device{'s' * (fewest.devices > 1)}" + (f" ({degrees})" if degrees else "")
    else:
        devices = f"fits on no number of such devices up to {MAX_DEVICES:,}"
    narrower = f"with {dtype} weights it fits on {hardware.name}" if dtype else f"weights narrower down to {_narrower(deployment)[-1]} are not enough"
    smaller = f"; it would fit with {' or '.join(found)}" if (found := smaller_requests(deployment, seq)) else ""
    return f"{model.name} does not fit on {hardware.name}: {need}, {capacity_gb:.1f} GB available. {subject} {devices}; {narrower}{smaller}"


def smaller_requests(deployment: Deployment, seq: float) -> list[str]:
    """Options with each of which one sequence fits on the same devices with the same weights: a lower context, smaller steps, more
    layers of experts on the host, a narrower cache."""
    found = []
    longest = float(max_context(deployment, 1))
    if 1 <= longest < seq:
        found.append(f"--seq {longest:.0f}")
    if deployment.rules is not None:
        default = deployment.rules.step(deployment.hardware.device)
        most_tokens = deployment.assumptions.max_batched_tokens or default.batched_tokens
        most_seqs = deployment.assumptions.max_seqs or default.seqs
        for tokens, seqs in SMALLER_STEPS:
            if tokens > most_tokens or seqs > most_seqs:
                continue
            assumed = replace(deployment.assumptions, max_batched_tokens=tokens, max_seqs=seqs)
            if memory.batch_memory(replace(deployment, assumptions=assumed), seq) >= 1:
                found.append(f"--max-batched-tokens {tokens} --max-seqs {seqs}")
                break
    offload = deployment.offload
    if offload is not None and offload.expert_layers is not None:
        for layers in range(offload.expert_layers + 1, sum(layers_with_experts(deployment.model).values()) + 1):
            more = replace(offload, expert_layers=layers)
            if memory.batch_memory(replace(deployment, offload=more), seq) >= 1:
                found.append(f"--offload experts={offload.experts}:{layers}")
                break
    narrow = dtypes.dtype("q8_0" if _of_llama_cpp(deployment) else "fp8")
    if not deployment.kv.is_fp8 and deployment.kv.bits > narrow.bits and memory.batch_memory(replace(deployment, kv=narrow), seq) >= 1:
        found.append(f"--kv {narrow.name}")
    return found


def _of_llama_cpp(deployment: Deployment) -> bool:
    """Whether llama.cpp serves it: it is named, or the weights are a GGUF file."""
    return divides_layers(deployment.assumptions.engine) or bool(weight_recipes.parse(deployment.weights).gguf)


def _degrees(deployment: Deployment, layout: Layout) -> str:
    """The options of a layout; none where llama.cpp divides layers over its devices, as it does by itself."""
    if not _of_llama_cpp(deployment):
        return f"--tp {layout.tp} --pp {layout.pp}"
    return f"--tp {layout.tp}" if layout.tp > 1 else ""


def fewest_devices(deployment: Deployment, seq: float) -> Layout | None:
    """The layout without replicas on the fewest such devices that fits the model and one sequence; None if there is none.

    Enumerates device counts, since feasibility is not monotone: heads and layers do not divide evenly over every number.
    """
    hardware, of_llama_cpp = deployment.hardware, _of_llama_cpp(deployment)
    whole = replace(deployment, hardware=replace(hardware, count=1), layout=Layout())  # a lower bound: sharding only adds copies
    needed = memory.system_weight_bytes(whole) + float(memory.system_kv_bytes(whole, seq))
    least = int(min(needed / deployment.usable_bytes, MAX_DEVICES)) or 1
    for count in range(least, MAX_DEVICES + 1):
        degrees = [t for t in range(1, count + 1) if count % t == 0]
        domain = with_device_count(hardware, count).domain
        for tp in sorted(degrees, key=lambda t: (of_llama_cpp and t > 1, t > domain, -t)):  # tensor parallel within a domain first, the widest first
            layout = Layout(tp, count // tp)
            if _fits(deployment, layout, deployment.weights, seq):
                return layout
    return None


def widest_weights(deployment: Deployment, seq: float) -> str | None:
    """The widest of the common weight dtypes that fits the same devices and layout with one sequence; None if there is none.

    Of weights in a GGUF file the common GGUF kinds; other 4-bit formats than int4 only where the device multiplies them.
    """
    return next((name for name in _narrower(deployment) if _fits(deployment, deployment.layout, name, seq)), None)


def _narrower(deployment: Deployment) -> list[str]:
    """The weight dtypes that are tried, the widest first."""
    if _of_llama_cpp(deployment):
        return list(NARROWER_GGUF)
    peaks = deployment.hardware.device.peak_tflop_s
    usable = [one for one in NARROWER if dtypes.dtype(one).bits > 4.5 or one == "int4" or "fp4" in peaks]
    return sorted(usable, key=lambda one: -dtypes.dtype(one).bytes_per_element)


def _fits(deployment: Deployment, layout: Layout, weights: str, seq: float) -> bool:
    model = deployment.model
    if layout.pp > model.depth or any(heads % layout.tp for heads in head_counts(model)) or (layout.pp > 1 and not deployment.takes_stages):
        return False
    hardware = replace(deployment.hardware, count=layout.devices)
    draft = deployment.draft
    if draft and draft.deployment:
        draft = replace(
            draft,
            deployment=replace(
                draft.deployment, hardware=hardware, layout=Layout(layout.tp, 1, layout.dp), weights=drafter_weights(draft.deployment.model, weights)
            ),
        )
    other = replace(deployment, hardware=hardware, layout=layout, weights=weights, draft=draft)
    return bool(memory.batch_memory(other, seq) >= 1)
