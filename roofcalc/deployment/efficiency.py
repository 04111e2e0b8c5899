"""Constants of whole runs in the preset `typical`, other than times of kernels, and which device's kernels are taken.

`roofcalc.deployment.calibrated` reads them from `typical.yaml`; `roofcalc.physics.timing` turns them into seconds.
"""

from typing import NamedTuple

from roofcalc.specs.record import Record


class RunConstants(NamedTuple):
    """Constants fitted to whole runs. Factors multiply the times of kernels measured alone.

    Attributes
    ----------
    gemm, gemm_compute
        GEMMs that the memory limits, and those that compute limits.
    dequantised, dequantised_compute
        The same of GEMMs whose weights are unpacked to a wider format before the arithmetic.
    mmq_compute
        GEMMs in int8 with scales per block, which compute limits: llama.cpp's MMQ kernels.
    attention, prompt_attention
        Attention, indexers and recurrent updates of decode steps and of prompts.
    experts, experts_compute
        Fused experts that the memory limits, and those that compute limits.
    collective, exchange
        All-reduces, gathers and sends; dispatch and combine of experts. Below 1 where they overlap with other work.
    small
        Norms, activations, rotary embeddings and cache writes, by the bytes that they move.
    launch
        Share of the kernels' launch floors that is paid in a decode step, where one CUDA graph holds all of them.
    layer_us, step_us
        Host and small kernels: fixed time of each layer, and of each pass through a stage, in a decode step.
    sequence_us
        Host work for each sequence of a rank in a step: scheduling, sampling, detokenising.
    prompt_layer_us, prompt_step_us
        Fixed time of each layer and of each pass in a prefill step, which runs outside of CUDA graphs.
    request_ms
        Per-request overhead before the first token: HTTP, tokenising, scheduling.
    """

    gemm: float = 1.0
    gemm_compute: float = 1.0
    dequantised: float = 1.0
    dequantised_compute: float = 1.0
    mmq_compute: float = 1.0
    attention: float = 1.0
    prompt_attention: float = 1.0
    experts: float = 1.0
    experts_compute: float = 1.0
    collective: float = 1.0
    exchange: float = 1.0
    small: float = 1.0
    launch: float = 1.0
    layer_us: float = 5.0
    step_us: float = 500.0
    sequence_us: float = 3.0
    prompt_layer_us: float = 30.0
    prompt_step_us: float = 2000.0
    request_ms: float = 10.0


class Network(Record):
    """Sends, and collectives between scale-up domains; the same for all devices.

    Attributes
    ----------
    send_us, send : float
        Latency and fraction of the link bandwidth of a send to the next pipeline stage.
    scale_out_us, scale_out : float
        Latency each time the number of domains reached doubles, and fraction of the scale-out bandwidth.
    exchange_us, exchange : float
        The same of dispatch and combine between domains, once for all of them.
    """

    send_us: float
    send: float
    scale_out_us: float
    scale_out: float
    exchange_us: float
    exchange: float


class Profile(Record):
    """The constants of one device under one engine.

    Attributes
    ----------
    engine : str
        The engine whose constants these are, or "pooled": all engines together.
    family : str
        The device family whose constants these are, or "any".
    kind : str
        The kind of model: dense, moe or latent.
    kernel_device : str
        Device of the kernel tables (`roofcalc.physics.kernels`) that stands for this one where it has no timed kernels itself; times
        scale with peaks, bandwidth, units and clock.
    kernel_engine : str
        The engine of the kernel tables.
    constants : RunConstants
    network : Network
    packed_prefill_tokens : float
        Tokens of short prompts that an engine prefills together.
    kv_reload_fraction : float
        Where decode attention does not share a KV head's entries within its group of query heads: fraction of the further loads that
        takes time; else 0.
    second_stream : bool
        Whether shared experts run at the same time as routed ones, on a stream of their own.
    reserve_gb : float
        Memory of one device that engines without memory rules keep free.
    """

    engine: str
    family: str
    kind: str
    kernel_device: str
    kernel_engine: str
    constants: RunConstants
    network: Network
    packed_prefill_tokens: float
    kv_reload_fraction: float
    second_stream: bool
    reserve_gb: float
