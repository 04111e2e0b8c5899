"""Columns that several commands print: the case, the assumptions, and common results."""

from roofcalc.report.table import Column

CASE = (
    Column("model", "model", "", "catalog name of the model", "text", 9, "case"),
    Column("hardware", "hardware", "", "number and catalog name of the devices, or name of the system", "text", 9, "case"),
    Column("weights", "weights", "", "dtype of the weights; native: as in the checkpoint", "text", 8, "case"),
    Column("kv", "KV", "", "dtype of the KV cache", "text", 8, "case"),
)

ASSUMED = (
    Column("assume", "preset", "", "assumption preset", "text", 1, "assumed"),
    Column("overlap", "overlap", "", "which of compute, memory traffic and communication overlap", "text", 1, "assumed"),
    Column("network", "network", "", "network model: bandwidth-limited collectives, or free (ideal)", "text", 1, "assumed"),
    Column("compute", "compute", "", "compute format of GEMMs", "text", 1, "assumed"),
    Column("mbu", "mbu", "", "achieved fraction of memory bandwidth; empty in typical: per operation, as measured", "number", 1, "assumed"),
    Column("mfu", "mfu", "", "achieved fraction of peak FLOP/s; empty in typical: per operation, as measured", "number", 1, "assumed"),
    Column("link", "link", "", "achieved fraction of link bandwidth; empty in typical: per message, as measured", "number", 1, "assumed"),
    Column("util", "util", "", "usable fraction of device memory", "number", 1, "assumed"),
    Column("reserve_gb", "reserve", "GB", "memory per device kept free", "number", 1, "assumed"),
    Column("capacity", "capacity", "", "memory size used: nominal, visible, binary, largest, engine (its runtime's)", "text", 1, "assumed"),
    Column("kv_policy", "KV policy", "", "windowed layers store their window, the whole context (full), or as the engine", "text", 1, "assumed"),
    Column("kv_block", "KV block", "", "KV block size: each sequence is rounded up to a multiple of this many tokens", "count", 1, "assumed"),
    Column("tp", "tp", "", "tensor-parallel degree", "count", 1, "assumed"),
    Column("pp", "pp", "", "pipeline-parallel degree", "count", 1, "assumed"),
    Column("dp", "dp", "", "data-parallel degree", "count", 1, "assumed"),
    Column("ep", "ep", "", "expert-parallel degree", "count", 1, "assumed"),
    Column("dcp", "dcp", "", "decode context-parallel degree", "count", 1, "assumed"),
)

WHERE_GIVEN = (
    Column("isl", "prompt", "tokens", "input tokens per request (their mean over a mix)", "count", 1, "assumed"),
    Column("osl", "output", "tokens", "output tokens per request (their mean over a mix)", "count", 1, "assumed"),
    Column("kv_at", "KV at", "", "KV cache length that must fit: at the end of the generation, or its mean", "text", 1, "assumed"),
    Column("chunk", "chunk", "tokens", "maximum tokens per prefill chunk", "count", 1, "assumed"),
    Column("prefill", "prefill", "", "where prompts of other requests are prefilled: colocated, chunked or separate", "text", 1, "assumed"),
    Column("arrivals", "arrivals", "", "how a number of requests in flight come: staggered, or a burst", "text", 1, "assumed"),
    Column(
        "shared_prefix", "shared prefix", "tokens", "tokens that all contexts begin with, cached once per data-parallel rank", "count", 1, "assumed"
    ),
    Column("hit_rate", "hit rate", "", "fraction of a prompt after the shared prefix that is found in the cache", "number", 1, "assumed"),
    Column("range", "range", "%", "share of measured runs of this kind that lie between the low and the high figure", "number", 1, "assumed"),
    Column("comm_dtype", "comm", "", "dtype of all-reduces", "text", 1, "assumed"),
    Column("dispatch_dtype", "dispatch", "", "dtype of the MoE dispatch all-to-all", "text", 1, "assumed"),
    Column("combine_dtype", "combine", "", "dtype of the MoE combine all-to-all", "text", 1, "assumed"),
    Column("imbalance", "imbalance", "", "load of the busiest expert rank relative to the mean", "number", 1, "assumed"),
    Column("routing", "routing", "", "how tokens choose experts: uniform, skewed (all the same), or measured shares", "text", 1, "assumed"),
    Column("redundant_experts", "redundant experts", "", "redundant expert copies per layer", "count", 1, "assumed"),
    Column("activations", "activations", "", "whether the memory traffic of GEMM inputs and outputs is counted", "flag", 1, "assumed"),
    Column("draft", "drafts", "", "tokens drafted per step", "count", 1, "assumed"),
    Column("acceptance", "acceptance", "", "probability that a drafted token is accepted", "number", 1, "assumed"),
    Column("draft_model", "draft model", "", "model that drafts", "text", 1, "assumed"),
    Column("mtp", "mtp", "", "whether the model's own multi-token-prediction layer drafts", "flag", 1, "assumed"),
    Column("accepted", "accepted", "tokens", "mean tokens accepted per step, the target's own included", "number", 1, "assumed"),
    Column("drafter", "drafter", "", "what drafts: model, mtp, eagle, ngram (takes no time), or free (not said)", "text", 1, "assumed"),
    Column("engine", "engine", "", "inference engine whose memory rules, and in typical overheads, apply", "text", 1, "assumed"),
    Column("memory_rules", "memory rules", "", "engine and first release of the memory rules that apply; none: no engine", "text", 1, "assumed"),
    Column("timings", "timings", "", "engine whose measured overheads are used in typical; pooled: all engines together", "text", 1, "assumed"),
    Column("max_batched_tokens", "batched tokens", "tokens", "tokens of the engine's largest step", "count", 1, "assumed"),
    Column("max_seqs", "max sequences", "", "sequences of one replica at a time", "count", 1, "assumed"),
    Column("layer_overhead_us", "layer overhead", "us", "fixed overhead per layer", "number", 1, "assumed"),
    Column("step_overhead_us", "step overhead", "us", "fixed overhead per step and pipeline stage", "number", 1, "assumed"),
    Column("images", "images", "", "images of every prompt, and the tokens that they add to it", "text", 1, "assumed"),
    Column("lora", "LoRA", "", "LoRA adapters loaded with the model: rank, number, and the matrices that they adapt", "text", 1, "assumed"),
    Column("collective_latency_us", "collective latency", "us", "latency per collective, besides its bytes", "number", 1, "assumed"),
    Column("profile", "profile", "", "file of fitted efficiencies in place of the preset's", "text", 1, "assumed"),
    Column("offload", "offload", "", "what lies in the host's memory", "text", 1, "assumed"),
    Column("gpu_layers", "GPU layers", "", "layers that the devices hold, the output layer counted as one", "count", 1, "assumed"),
    Column("host", "host", "", "memory, bandwidths and peak of the host's CPUs that were taken", "text", 1, "assumed"),
    Column("changes", "changes", "", "catalog values overridden with --set", "text", 1, "assumed"),
    Column("mix", "mix", "", "file of the request mix", "text", 1, "assumed"),
    Column("ttft_percentile", "first-token percentile", "", "percentile of the time to first token that must be met", "number", 1, "assumed"),
    Column("capex", "purchase", "USD", "purchase price of one device with its share of the machine", "number", 1, "assumed"),
    Column("years", "years", "", "years over which the purchase price is spread", "number", 1, "assumed"),
    Column("power_price", "power", "USD/kWh", "price of electrical energy", "number", 1, "assumed"),
    Column("pue", "PUE", "", "power usage effectiveness: facility over IT energy", "number", 1, "assumed"),
    Column("idle_power", "idle power", "", "power of an idle machine over the nominal", "number", 1, "assumed"),
)

DEGREES = tuple(column._replace(keep=8, role="result") for column in ASSUMED if column.name in ("tp", "pp", "dp", "ep", "dcp"))

SEQ = Column("seq", "context", "tokens", "context length: tokens in a sequence's KV cache, including the one being generated", "count", 9)
NEW = SEQ._replace(label="new", meaning="prompt tokens computed per sequence, after those already cached")
BATCH = Column("batch", "batch", "", "sequences processed concurrently by the whole system", "count", 9)
CACHED = Column("cached", "cached", "tokens", "tokens of each sequence already in the KV cache", "count", 8)
LIMITED_BY = Column(
    "limited_by", "limited by", "", "limiting resource (capacity, bandwidth, compute, network, host), requirement, or prompts of others", "text", 9
)
INTERACTIVITY = Column(
    "interactivity_tok_s", "interactivity", "tok/s/user", "speed per user; for generations, with the prefill of other requests", "number", 8
)
SPEED_RANGE = (
    Column("interactivity_low", "low", "tok/s/user", "lower end of the range of the speed per user", "number", 6),
    Column("interactivity_high", "high", "tok/s/user", "upper end of the range of the speed per user", "number", 6),
)
TTFT_RANGE = (
    Column("ttft_low", "first token, low", "ms", "lower end of the range of the time to first token", "number", 5),
    Column("ttft_high", "first token, high", "ms", "upper end of the range of the time to first token", "number", 5),
)
BATCH_RANGE = (
    Column("max_batch_low", "batch, low", "", "largest batch at the required speed if runs are as slow as the lower end", "count", 6),
    Column("max_batch_high", "batch, high", "", "largest batch at the required speed if runs are as fast as the upper end", "count", 6),
)
STEP = Column("step_ms", "step", "ms", "time of one decode step", "number", 6)
THROUGHPUT = Column("throughput_tok_s", "throughput", "tok/s", "output tokens per second of the whole system", "number", 5)
PER_DEVICE = Column("throughput_tok_s_per_device", "per device", "tok/s", "output tokens per second and device", "number", 3)
FITS = Column("fits_memory", "fits", "", "whether the batch fits in memory", "flag", 9)
BATCH_MEMORY = Column("batch_memory", "batch by memory", "", "largest batch that fits in memory", "count", 7)
WEIGHTS_GB = Column("weights_gb", "weights", "GB", "weights over all devices, including replicas and a drafter's", "number", 2)
KV_TOKENS = Column("kv_tokens", "KV tokens", "tokens", "size of the KV cache of one data-parallel rank as the engine's log prints it", "count", 5)
MAX_CONCURRENCY = Column(
    "max_concurrency", "max concurrency", "", "sequences of this context in the KV cache of one data-parallel rank, not rounded", "number", 5
)
KV_PER_SEQ = Column(
    "kv_gb_per_seq", "KV", "GB/seq", "KV cache and recurrent state of one sequence beyond a shared prefix, over all devices", "number", 4
)
TTFT = Column(
    "ttft_ms",
    "first token",
    "ms",
    "time to first token; of generations with the row's batch in flight, in `plan` of the longest kind of prompt",
    "number",
    5,
)
SDPA_PER_TOKEN = Column("sdpa_gflop_per_token", "attention", "GFLOP/token", "attention core, indexers and recurrent updates", "number", 9)
MIN_INTERACTIVITY = Column("min_interactivity_tok_s", "min interactivity", "tok/s/user", "required decode speed per user", "number", 7)
MAX_TTFT_S = Column("max_ttft_s", "max first token", "s", "required time to first token", "number", 7)
JOULE_PER_TOKEN = Column(
    "joule_per_token",
    "energy",
    "J/token",
    "energy per output token at nominal power, with that of idle time below full load, and with that of prompts but in `cost`",
    "number",
    7,
)
USD_PER_MTOK_OUT = Column(
    "usd_per_mtok_out",
    "out",
    "USD/M tokens",
    "hardware cost per million output tokens, with that of their prompts but in `cost`, which has `usd_per_mtok_in`",
    "number",
    9,
)
SERVE = Column("serve", "serve", "", "command line that serves the row with the engine of --for", "text", 1, "line")
GENERATION = (
    TTFT,
    Column("requests_per_s", "requests", "1/s", "requests completed per second by the whole system, their prefill included", "number", 5),
    Column("ttft_idle_ms", "idle first token", "ms", "time to first token of a prompt on an idle system", "number", 3),
    Column("decode_tok_s", "decode alone", "tok/s/user", "decode speed per user without the prefill of other requests", "number", 4),
)
