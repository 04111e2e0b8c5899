"""Measured efficiencies of a device and its libraries: fractions of the peaks, collective latencies, overhead.

Plain figures for the preset `typical`. `roofcalc.deployment.calibrated` reads them from `typical.yaml`.
"""

from typing import TypeVar

from roofcalc.specs.dtypes import WIDTH_BITS, Dtype
from roofcalc.specs.record import Record

T = TypeVar("T")

# GEMM efficiency to use where the weights' own dtype was not measured, by format of the arithmetic; bf16 otherwise.
_GEMM_FALLBACK = {"fp4": "nvfp4", "fp6": "fp8", "fp8": "fp8", "int8": "fp8", "int4": "fp8"}


class AllToAll(Record):
    """MoE dispatch or combine: kernels that send each copy of a token at once, and kernels that merge the copies for one rank.

    Attributes
    ----------
    per_copy_us, merged_us : float
        Latency of one dispatch or combine.
    per_copy, merged : float
        Fraction of the link bandwidth.
    """

    per_copy_us: float
    per_copy: float
    merged_us: float
    merged: float


class InterconnectProfile(Record):
    """Latency and bandwidth efficiency of collectives.

    Attributes
    ----------
    all_reduce : dict
        By ranks (as text): latency in microseconds and fraction of the link bandwidth of the one-shot algorithm, then the same two
        of the two-shot or in-switch algorithm.
    all_gather_us : dict
        By ranks: latency of an all-gather or reduce-scatter.
    all_gather, send_us, send : float
        Fraction of the link bandwidth of an all-gather; latency and fraction of a send to the next stage.
    all_to_all : AllToAll
        Dispatch and combine inside a scale-up domain.
    scale_out_us, scale_out : float
        Between domains: latency each time the number of domains reached doubles, and fraction of the scale-out bandwidth.
    scale_out_all_to_all : AllToAll
        Dispatch and combine between domains.
    """

    all_reduce: dict[str, tuple[float, ...]]
    all_gather_us: dict[str, float]
    all_gather: float
    send_us: float
    send: float
    all_to_all: AllToAll
    scale_out_us: float
    scale_out: float
    scale_out_all_to_all: AllToAll


class Profile(Record):
    """Measured efficiencies of one device; those that were not measured come from a fallback device.

    Attributes
    ----------
    accuracy : str
        When the figures were calibrated, and the error of predictions for measured runs that the fit did not see.
    fallbacks : tuple of (device, what)
        Other devices whose measurements are used, and for what.
    gemm : dict
        By dtype of the weights: fraction of the peak FLOP/s that a large GEMM kernel reaches.
    weight_read : dict
        By dtype of the weights: fraction of the memory bandwidth at which a GEMM of few tokens reads them.
    decode_attention : dict
        By format of the arithmetic: fractions of peak FLOP/s and of memory bandwidth that decode attention reaches.
    prefill_attention : dict
        By format of the arithmetic: fraction of the peak FLOP/s that prefill attention reaches.
    in_model_efficiency : float
        Compute rate of a GEMM inside a model over that of the same kernel by itself.
    dequant_bandwidth_factor : dict
        By bits of a weight (8 or 4): rate at which weights that are dequantised before the arithmetic are read, over that of 16-bit
        weights.
    layer_overhead_us : dict
        By kind of a layer's part: fixed time of each layer beyond its operations and messages.
    step_overhead_us : float
        The same of each pass through a pipeline stage.
    prefill_overhead_factor : float
        Overhead in a prefill over that in a decode step.
    packed_prefill_tokens : float
        Tokens of short prompts that an engine prefills together.
    shares_kv_loads : bool
        Decode attention loads a KV head's entries once for all query heads of its group.
    kv_reload_fraction : float
        Where it does not: fraction of the further loads, one per query head, that take time.
    reserve_gb : float
        Memory of one device that engines keep free.
    interconnect : InterconnectProfile
        Collectives.
    engine : str
        The engine whose overhead was measured, or "pooled": all engines together.
    """

    accuracy: str
    fallbacks: tuple[tuple[str, tuple[str, ...]], ...]
    gemm: dict[str, float]
    weight_read: dict[str, float]
    decode_attention: dict[str, tuple[float, ...]]
    prefill_attention: dict[str, float]
    in_model_efficiency: float
    dequant_bandwidth_factor: dict[str, float]
    layer_overhead_us: dict[str, float]
    step_overhead_us: float
    prefill_overhead_factor: float
    packed_prefill_tokens: float
    shares_kv_loads: bool
    kv_reload_fraction: float
    reserve_gb: float
    interconnect: InterconnectProfile
    engine: str = "pooled"

    @property
    def repeated(self) -> float:
        """Fraction of repeated loads of a KV head's entries that takes time: 0 where a group's query heads share one load."""
        return 0.0 if self.shares_kv_loads else self.kv_reload_fraction

    def gemm_efficiency(self, weights: Dtype, fmt: str) -> tuple[float, float]:
        """Fractions of peak FLOP/s and of memory bandwidth of a GEMM that computes in the format `fmt`.

        Weights narrower than the arithmetic, or in an integer dtype, are dequantised first.
        """
        fallback = _GEMM_FALLBACK.get(fmt, "bf16")
        dequantised = weights.bits < WIDTH_BITS[fmt] or "int" in weights.name
        compute = _first(self.gemm, *(() if dequantised else (weights.name,)), fallback)
        if dequantised:
            return compute * self.in_model_efficiency, _first(self.weight_read) * self.dequant_bandwidth_factor["8" if weights.bits > 4 else "4"]
        return compute * self.in_model_efficiency, _first(self.weight_read, weights.name, fallback)

    def attention_efficiency(self, fmt: str, prompt: bool) -> tuple[float, float]:
        """Fractions of peak FLOP/s and of memory bandwidth of attention, indexers and recurrent updates that compute in `fmt`."""
        compute, memory = _first(self.decode_attention, fmt)
        return _first(self.prefill_attention, fmt) if prompt else compute, memory


def _first(figures: dict[str, T], *names: str) -> T:
    """The figure of the first of these dtypes that has one, else that of bf16."""
    return next(figures[name] for name in (*names, "bf16") if name in figures)
