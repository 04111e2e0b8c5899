"""Time and memory of what a deployment leaves in the host's memory (`roofcalc.deployment.offload`).

Streamed weights cross the link of each device in every step; what is streamed is what the step reads: of routed experts, those that its
tokens are routed to. Work on the host takes the longer of its arithmetic at the CPUs' peak and its bytes at the bandwidth of the host's
memory, which all devices share. Both count as the resource "host": added to the device's work, or overlapped with it under `--overlap full`.

Sources: vLLM's --cpu-offload-gb, ktransformers and llama.cpp's --n-gpu-layers, --cpu-moe and --n-cpu-moe, as their documentation says.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.offload import Offload, expert_host_layers, host_layers
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import decode_ops as work
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import expected_experts_read, held_experts
from roofcalc.physics.ops.operation import Gemm, Grouped, Operation, TokenLoad
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import ACTIVATION_BYTES, NO_SHARING, Sharding, SharedPrefix
from roofcalc.specs.formula import formula
from roofcalc.specs.host import Host
from roofcalc.specs.record import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOST = "host"  # the resource: the host's memory, CPUs, and the link to them
ROUTED = "experts"  # tensor class of routed experts


class HostWork(NamedTuple):
    """One thing that a step does on the host or over the link to it; arrays in the shape of the batch.

    Attributes
    ----------
    name : str
        For `ops`: `experts`, `weights` or the name of a block.
    layers : int
    flops, bytes : array
        On the CPUs, of all layers; streamed bytes of one device.
    seconds : array
    shared : bool
        Whether decode steps do it as well, so that a chunk which rides on one shares it: GEMMs and streams, not attention.
    """

    name: str
    layers: int
    flops: Array
    bytes: Array
    seconds: Array
    shared: bool = True


def stream_bytes_per_s(deployment: Deployment, host: Host) -> float:
    """Bytes per second from the host's memory to each device, all of them reading at once: the link, or a share of the memory's bandwidth."""
    link = host.figure("link_gb_s", "the bandwidth between host and device") * 1e9
    memory = host.figure("memory_gb_s", "the bandwidth of the host's memory") * 1e9
    return min(link, memory / deployment.hardware.count) * host.stream


def memory_bytes_per_s(host: Host, experts: bool) -> float:
    """Bandwidth of the host's memory that the CPUs reach in layers, or in routed experts."""
    return host.figure("memory_gb_s", "the bandwidth of the host's memory") * 1e9 * (host.expert_mbu if experts else host.mbu)


@formula("stream = bytes/(σ·min(λ_h, β_h/devices))")
def streamed_s(deployment: Deployment, moved: Array) -> Array:
    """Seconds to read so many bytes of one device's weights from the host's memory."""
    assert deployment.offload is not None
    return moved / stream_bytes_per_s(deployment, deployment.offload.host)


@formula("host = max(FLOPs/(mfu·F_h), bytes/(mbu·β_h))")
def computed_s(deployment: Deployment, flops: Array, moved: Array, experts: bool = False) -> Array:
    """Seconds of an operation on the CPUs; where their peak is not known, the time of its bytes alone."""
    assert deployment.offload is not None
    host = deployment.offload.host
    memory = moved / memory_bytes_per_s(host, experts)
    return memory if host.tflop_s is None else np.maximum(memory, flops / (host.tflop_s * 1e12 * host.mfu))


@formula("vectors = 2·T·h·2/λ_h")
def vectors_s(deployment: Deployment, tokens: Array, width: float, ways: float = 2.0) -> Array:
    """Seconds to send `tokens` vectors of `width` 16-bit elements from a device to the host, and back again."""
    assert deployment.offload is not None
    link = deployment.offload.host.figure("link_gb_s", "the bandwidth between host and device") * 1e9
    return ways * tokens * width * ACTIVATION_BYTES / link


def step_work(deployment: Deployment, stage: Stage, load: TokenLoad) -> list[HostWork]:
    """What a decode step of `load` does on the host in one pass through a stage, apart from attention (`sequence_work`)."""
    offload = deployment.offload
    if offload is None:
        return []
    found = [_experts(deployment, offload, name, layers, load) for name, layers in expert_host_layers(deployment, stage).items()]
    found += [_streamed_weights(deployment, offload, stage, load)] if offload.weights_gb else []
    if stage.first:
        for name, layers in host_layers(deployment.model, offload).items():
            flops, moved, seconds = _host_gemms(deployment, name, load)
            found.append(HostWork(name, layers, layers * flops, layers * moved, layers * seconds))
        if host_layers(deployment.model, offload):
            crossing = vectors_s(deployment, load.tokens, float(deployment.model.hidden), 1.0)
            found.append(HostWork("vectors", 1, 0.0, load.tokens * deployment.model.hidden * ACTIVATION_BYTES, crossing))
    return found


def _experts(deployment: Deployment, offload: Offload, name: str, layers: int, load: TokenLoad) -> HostWork:
    """Routed experts of `layers` layers of a block: streamed to the devices, or computed by the CPUs, which take whole experts."""
    if offload.experts == HOST:
        moved = sum(_read(one, load) for one in work.block_gemms(deployment, name) if one.routed is not None)
        return HostWork(f"{name}.{ROUTED}", layers, 0.0, layers * moved, layers * streamed_s(deployment, moved))
    gemms = [one for one in _whole_gemms(deployment, name) if one.routed is not None]
    flops, moved = _totals(gemms, load)
    seconds = sum((computed_s(deployment, one.flops * load.group_tokens, _read(one, load), True) for one in gemms), start=np.float64(0.0))
    width = float(next(one.routed.width for one in gemms if one.routed is not None))
    seconds = seconds + vectors_s(deployment, load.tokens, width)
    return HostWork(f"{name}.{ROUTED}", layers, layers * flops, layers * moved, layers * seconds)


def _streamed_weights(deployment: Deployment, offload: Offload, stage: Stage, load: TokenLoad) -> HostWork:
    """The share of the weights that a step reads which lies in the host's memory; experts of the host have a line of their own."""
    from roofcalc.physics.memory import stored_bytes

    on_device = max(stored_bytes(deployment, stage) - _host_expert_bytes(deployment, stage), 1.0)
    read = sum(one.layers * _read(one, load) for one in work.batch_gemms(deployment, stage))
    for name, layers in expert_host_layers(deployment, stage).items():
        read = read - layers * sum(_read(one, load) for one in work.block_gemms(deployment, name) if one.routed is not None)
    moved = min(1.0, offload.weights_gb * 1e9 / on_device) * read
    return HostWork("weights", sum(layers for _, layers in stage.groups), 0.0, moved, streamed_s(deployment, moved))


def _read(gemm: Gemm, load: TokenLoad) -> Array:
    """Bytes of weights that a step of `load` reads in one layer."""
    return gemm.weights if gemm.routed is None else gemm.weights * expected_experts_read(gemm.routed, gemm.imbalance, load.group_tokens)


def _totals(gemms: Iterable[Gemm], load: TokenLoad) -> tuple[Array, Array]:
    flops: Array = np.float64(0.0)
    moved: Array = np.float64(0.0)
    for one in gemms:
        flops = flops + one.flops * (load.tokens if one.routed is None else load.group_tokens)
        moved = moved + _read(one, load)
    return flops, moved


def _host_gemms(deployment: Deployment, name: str, load: TokenLoad) -> tuple[Array, Array, Array]:
    """FLOPs, bytes and seconds of the GEMMs of one layer on the CPUs."""
    gemms = _whole_gemms(deployment, name)
    tokens = replace(load, tokens=load.group_tokens)
    seconds = sum(
        (computed_s(deployment, one.flops * load.group_tokens, _read(one, load), one.routed is not None) for one in gemms),
        start=np.float64(0.0),
    )  # one after another
    return *_totals(gemms, tokens), seconds


@lru_cache(maxsize=256)
def _whole_gemms(deployment: Deployment, name: str) -> tuple[Gemm, ...]:
    """The GEMMs of one layer, not divided over devices."""
    return tuple(work.gemms_of_block(deployment.model.blocks[name], 1, deployment.model.hidden, Sharding(), 1.0, deployment.stored, False))


def sequence_work(
    deployment: Deployment, entries_read: work.EntriesRead, tokens: float = 1.0, shared_prefix: SharedPrefix = NO_SHARING
) -> list[HostWork]:
    """Attention and recurrent updates of one sequence in the layers that the host holds."""
    offload = deployment.offload
    found = []
    for name, layers in host_layers(deployment.model, offload).items() if offload is not None else ():
        for one in _host_operations(deployment, name, entries_read, tokens, shared_prefix):
            seconds = computed_s(deployment, one.flops, one.bytes)
            found.append(HostWork(one.name, layers, layers * one.flops, layers * one.bytes, layers * seconds))
    return found


def _host_operations(
    deployment: Deployment, name: str, entries_read: work.EntriesRead, tokens: float, shared_prefix: SharedPrefix
) -> list[Operation]:
    found: list[Operation] = []
    sharding = replace(work.storage_sharding(deployment), tp=1, group=1, ep=1, dcp=1)
    for part in parts(deployment.model.blocks[name], deployment.model.hidden, sharding):
        found += [work.attention_op(cache, 1, entries_read, tokens, 1.0, f"{name}.", shared_prefix) for cache in part.caches]
        found += [work.state_update_op(part.recurrence, 1, tokens, 1.0, f"{name}.", shared_prefix)] if part.recurrence else []
    return found


def prefill_work(
    deployment: Deployment, stage: Stage, load: TokenLoad, sequences: Array, new: Array, cached: Array, operations: list[Operation]
) -> tuple[list[Operation], list[HostWork]]:
    """The operations that are left to the devices in a prefill step, and the work of the host and its link.

    Experts that the CPUs compute in decode steps are streamed to the devices instead where that is sooner, as llama.cpp does for more than
    a few tokens, and where the CPUs' peak is not known. The layers that the host holds are streamed or computed likewise.
    """
    offload = deployment.offload
    if offload is None:
        return operations, []
    found: list[HostWork] = []
    for name, layers in expert_host_layers(deployment, stage).items():
        streamed = _experts(deployment, replace(offload, experts=HOST), name, layers, load)
        if offload.experts == HOST or offload.host.tflop_s is None:
            found.append(streamed)
            continue
        computed = _experts(deployment, offload, name, layers, load)
        on_device = sum(_device_seconds(deployment, one) * (layers / one.layers) for one in operations if _is_routed(one, name))
        sooner = np.where(computed.seconds < streamed.seconds + on_device, 1.0, 0.0)
        operations = [_without(one, sooner * layers / one.layers) if _is_routed(one, name) else one for one in operations]
        seconds = np.where(sooner, computed.seconds, streamed.seconds)
        found.append(computed._replace(flops=computed.flops * sooner, bytes=np.where(sooner, computed.bytes, streamed.bytes), seconds=seconds))
    found += [_streamed_weights(deployment, offload, stage, load)] if offload.weights_gb else []
    if stage.first and host_layers(deployment.model, offload):
        found += _prefill_of_host_layers(deployment, offload, load, sequences, new, cached)
    return operations, found


def _is_routed(operation: Operation, name: str) -> bool:
    return operation.tensor == ROUTED and operation.name.startswith(f"{name}.")


def _without(operation: Operation, share: Array) -> Operation:
    """The operation without a share of its work."""
    kept = 1.0 - share
    shape = operation.shape._replace(kept=operation.shape.kept * kept) if isinstance(operation.shape, Grouped) else operation.shape
    return replace(operation, flops=operation.flops * kept, bytes=operation.bytes * kept, shape=shape)


def _device_seconds(deployment: Deployment, operation: Operation) -> Array:
    from roofcalc.physics.resources import operation_seconds

    return np.maximum(*operation_seconds(deployment, operation)) * operation.layers


def _prefill_of_host_layers(deployment: Deployment, offload: Offload, load: TokenLoad, sequences: Array, new: Array, cached: Array) -> list[HostWork]:
    """Layers of the host in a prefill step, computed by the CPUs.

    Raises
    ------
    RoofcalcError
        The CPUs' peak is not known.
    """
    from roofcalc.physics.prefill_ops import prefill_operations

    offload.host.figure("tflop_s", "the CPUs' peak in TFLOP/s, which a prefill of layers on the host needs,")
    groups = tuple(sorted(host_layers(deployment.model, offload).items()))
    whole = replace(load, sharding=replace(load.sharding, tp=1, group=1, ep=1, dcp=1), tokens=load.group_tokens)
    operations = prefill_operations(deployment, Stage(groups, False, False, ""), whole, sequences * (load.group_tokens / load.tokens), new, cached)
    return [
        HostWork(
            one.name,
            one.layers,
            one.layers * one.flops,
            one.layers * one.bytes,
            one.layers * computed_s(deployment, one.flops, one.bytes, one.tensor == ROUTED),
            one.role == "linear",
        )
        for one in operations
    ]


def weights_in_host(deployment: Deployment, stage: Stage, stored: float) -> float:
    """Bytes of one device's weights of a stage that lie in the host's memory, of the `stored` bytes of all of them."""
    offload = deployment.offload
    if offload is None:
        return 0.0
    return min(stored, _host_expert_bytes(deployment, stage) + offload.weights_gb * 1e9)


def _host_expert_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes of one device's routed experts of a stage that lie in the host's memory."""
    sharding, bytes_of = work.storage_sharding(deployment), deployment.stored.bytes_of
    return sum(
        layers * held_experts(part.routed, sharding) * sum(one.elements * bytes_of(one.tensor) for one in part.routed.matrices)
        for name, layers in expert_host_layers(deployment, stage).items()
        for part in parts(deployment.model.blocks[name], deployment.model.hidden, sharding)
        if part.routed
    )


def host_weight_bytes(deployment: Deployment) -> float:
    """Bytes of weights in the host's memory, of all devices together and of the layers that it holds."""
    from roofcalc.physics.memory import layer_bytes, stored_bytes

    offload = deployment.offload
    if offload is None:
        return 0.0
    layout = deployment.layout
    total = sum(
        stage.count * layout.tp * layout.dp * weights_in_host(deployment, stage, stored_bytes(deployment, stage)) for stage in deployment.stages
    )
    whole = replace(work.storage_sharding(deployment), tp=1, group=1, ep=1, dcp=1)
    return total + sum(
        layers * layer_bytes(deployment.model, name, whole, deployment.stored) for name, layers in host_layers(deployment.model, offload).items()
    )


def host_kv_bytes(deployment: Deployment, kept_per_layer: dict[str, Array]) -> NDArray[Any]:
    """Bytes that one sequence keeps in the host's memory, in the layers that it holds."""
    offload = deployment.offload
    hosted = host_layers(deployment.model, offload) if offload is not None else {}
    return np.asarray(sum((layers * kept_per_layer[name] for name, layers in hosted.items()), start=np.float64(0.0)))
