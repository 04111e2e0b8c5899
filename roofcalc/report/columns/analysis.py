"""Columns of flops, ops and attention."""

from roofcalc.report.columns.shared import BATCH, KV_PER_SEQ, LIMITED_BY, SDPA_PER_TOKEN, SEQ
from roofcalc.report.table import Column

FLOPS = (
    SEQ,
    SDPA_PER_TOKEN,
    Column("linear_gflop_per_token", "linear", "GFLOP/token", "GEMMs of one token", "number", 9),
    Column("total_gflop_per_token", "total", "GFLOP/token", "all FLOPs of one token at this context", "number", 9),
    Column("prefill_tflop", "prefill", "TFLOP", "all FLOPs of a prompt of this length", "number", 8),
    Column("flop_limited_seq", "FLOP limited", "tokens", "context (with --ttft: prompt) whose FLOPs alone take the required time", "count", 8),
)

OPS = (
    SEQ,
    BATCH,
    Column("op", "operation", "", "block and operation, or collective", "text", 9),
    Column("layers", "layers", "", "number of executions per step", "count", 8),
    Column("gflop", "compute", "GFLOP", "FLOPs of one device, over all these layers", "number", 7),
    Column("mb", "memory", "MB", "bytes read and written by one device, over all these layers", "number", 7),
    Column("intensity_flop_per_byte", "intensity", "FLOP/B", "arithmetic intensity: FLOPs per byte of memory traffic", "number", 5),
    Column("compute_us", "compute", "us", "time at the peak FLOP/s", "number", 6),
    Column("memory_us", "memory", "us", "time at the memory bandwidth", "number", 6),
    Column("network_us", "network", "us", "time on the links", "number", 6),
    Column("time_us", "time", "us", "contribution to the time of the step", "number", 9),
    Column("share", "share", "", "fraction of the time of the step", "number", 8),
    LIMITED_BY._replace(keep=8),
)
FORMAT = Column("format", "format", "", "number format whose peak FLOP/s applies", "text", 4)
HOST_US = Column("host_us", "host", "us", "time of the host's CPUs, or of the link to its memory", "number", 6)
OVERHEAD_US = Column("overhead_us", "overhead", "us", "latency of collectives, and fixed overhead", "number", 6)

ATTENTION = (
    Column("variant", "variant", "", "change to the model's attention", "text", 9),
    SEQ,
    KV_PER_SEQ._replace(keep=9),
    Column("kv_mb_per_token", "KV", "MB/token", "the same per token of context", "number", 7),
    SDPA_PER_TOKEN,
    Column("relative_kv", "relative KV", "", "KV cache relative to the unchanged model", "number", 8),
    Column("relative_flop", "relative FLOPs", "", "FLOPs relative to the unchanged model", "number", 8),
    Column("kv_exponent", "KV grows as S^", "", "growth exponent of the KV cache: 1 linear in the context, 0 constant", "number", 6),
    Column("flop_exponent", "FLOPs grow as S^", "", "growth exponent of the FLOPs: 1 linear in the context, 0 constant", "number", 6),
)
