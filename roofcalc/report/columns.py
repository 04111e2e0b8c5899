"""Every column of every command: its contract name, label, unit and meaning. Add at the end; rename none."""

from roofcalc.report.table import Column

CASE = (
    Column("model", "model", "", "catalog name of the model", "text", 9, "case"),
    Column("hardware", "hardware", "", "number and catalog name of the devices, or the system", "text", 9, "case"),
    Column("weights", "weights", "", "dtype of the weights; `native` is a checkpoint's own mix", "text", 8, "case"),
    Column("kv", "KV", "", "dtype of the KV cache", "text", 8, "case"),
)

ASSUMED = (
    Column("assume", "preset", "", "preset of all that follows", "text", 1, "assumed"),
    Column("overlap", "overlap", "", "what runs at the same time", "text", 1, "assumed"),
    Column("network", "network", "", "messages take their bytes' time, or none", "text", 1, "assumed"),
    Column("compute", "compute", "", "format of linear operations", "text", 1, "assumed"),
    Column("mbu", "mbu", "", "achieved fraction of memory bandwidth", "number", 1, "assumed"),
    Column("mfu", "mfu", "", "achieved fraction of peak FLOP/s", "number", 1, "assumed"),
    Column("link", "link", "", "achieved fraction of link bandwidth", "number", 1, "assumed"),
    Column("util", "util", "", "fraction of memory that may be used", "number", 1, "assumed"),
    Column("reserve_gb", "reserve", "GB", "kept free on each device", "number", 1, "assumed"),
    Column("capacity", "capacity", "", "reading of the memory size", "text", 1, "assumed"),
    Column("kv_policy", "KV policy", "", "windowed layers hold their window, or the whole context", "text", 1, "assumed"),
    Column("kv_block", "KV block", "", "context rounded up to a multiple of this for capacity", "count", 1, "assumed"),
    Column("tp", "tp", "", "tensor parallel degree", "count", 1, "assumed"),
    Column("pp", "pp", "", "pipeline parallel degree", "count", 1, "assumed"),
    Column("dp", "dp", "", "data parallel degree", "count", 1, "assumed"),
    Column("ep", "ep", "", "expert parallel degree", "count", 1, "assumed"),
    Column("dcp", "dcp", "", "decode context parallel degree", "count", 1, "assumed"),
)

WHERE_GIVEN = (
    Column("isl", "prompt", "tokens", "input tokens of each request", "count", 1, "assumed"),
    Column("osl", "output", "tokens", "output tokens of each request", "count", 1, "assumed"),
    Column("kv_at", "KV at", "", "of the generation, for capacity", "text", 1, "assumed"),
    Column("chunk", "chunk", "tokens", "largest prefill step", "count", 1, "assumed"),
    Column("comm_dtype", "comm", "", "dtype of all-reduces", "text", 1, "assumed"),
    Column("dispatch_dtype", "dispatch", "", "dtype of tokens to experts", "text", 1, "assumed"),
    Column("combine_dtype", "combine", "", "dtype of tokens from experts", "text", 1, "assumed"),
    Column("imbalance", "imbalance", "", "load of the busiest expert rank over the mean", "number", 1, "assumed"),
    Column("redundant_experts", "redundant experts", "", "copies held beside a layer's experts", "count", 1, "assumed"),
    Column("activations", "activations", "", "products by weights also move what goes in and comes out", "flag", 1, "assumed"),
    Column("draft", "drafts", "", "tokens drafted per step", "count", 1, "assumed"),
    Column("acceptance", "acceptance", "", "rate at which each draft is accepted", "number", 1, "assumed"),
    Column("draft_model", "draft model", "", "what drafts", "text", 1, "assumed"),
    Column("mtp", "mtp", "", "the model's own multi-token-prediction layer drafts", "flag", 1, "assumed"),
    Column("changes", "changes", "", "figures overridden with --set", "text", 1, "assumed"),
)

SEQ = Column("seq", "context", "tokens", "tokens whose KV a sequence holds, the one being produced included", "count", 9)
BATCH = Column("batch", "batch", "", "sequences in flight over the whole system", "count", 9)
CACHED = Column("cached", "cached", "tokens", "tokens of each sequence whose cache is there already", "count", 8)
LIMITED_BY = Column("limited_by", "limited by", "", "what runs out first", "text", 9)
INTERACTIVITY = Column("interactivity_tok_s", "interactivity", "tok/s/user", "tokens per second for each user", "number", 8)
STEP = Column("step_ms", "step", "ms", "time of one decode step", "number", 6)
THROUGHPUT = Column("throughput_tok_s", "throughput", "tok/s", "tokens per second of the whole system", "number", 5)
PER_DEVICE = Column("throughput_tok_s_per_device", "per device", "tok/s", "throughput of one device", "number", 3)
FITS = Column("fits_memory", "fits", "", "whether this batch fits the memory", "flag", 9)
BATCH_MEMORY = Column("batch_memory", "batch by memory", "", "sequences that fit", "count", 7)
WEIGHTS_GB = Column("weights_gb", "weights", "GB", "weights over all devices, replicas included", "number", 2)

GENERATION = (
    Column("ttft_ms", "first token", "ms", "prefill of one prompt per data-parallel rank", "number", 5),
    Column("requests_per_s", "requests", "1/s", "completed by the whole system, prompts on the same devices", "number", 5),
)

MIN_INTERACTIVITY = Column("min_interactivity_tok_s", "min interactivity", "tok/s/user", "interactivity asked for", "number", 7)
TTFT_ASKED = Column("max_ttft_s", "max first token", "s", "time to first token asked for", "number", 7)

MAX_BATCH = (
    SEQ,
    MIN_INTERACTIVITY,
    Column("max_batch", "max batch", "", "most sequences that fit and stay fast enough", "count", 9),
    LIMITED_BY,
    BATCH_MEMORY,
    Column("batch_interactivity", "batch by time", "", "most sequences that stay fast enough", "count", 7),
    INTERACTIVITY._replace(meaning="tokens per second for each user at the largest batch"),
    STEP,
    THROUGHPUT,
    PER_DEVICE,
    Column("kv_gb_per_seq", "KV", "GB/seq", "cache of one sequence over all devices", "number", 4),
    WEIGHTS_GB,
)

INTERACTIVITY_ROWS = (SEQ, BATCH, INTERACTIVITY, LIMITED_BY, STEP, THROUGHPUT, PER_DEVICE, FITS)

MEMORY = (
    SEQ,
    BATCH,
    WEIGHTS_GB._replace(keep=9),
    Column("kv_gb", "KV", "GB", "cache of the batch over all devices", "number", 9),
    Column("free_gb", "free", "GB", "capacity less weights and KV; negative where it does not fit", "number", 9),
    Column("capacity_gb", "capacity", "GB", "memory of all devices × util, less the reserve", "number", 8),
    FITS,
    Column("max_context", "max context", "tokens", "most tokens per sequence at which this batch fits", "count", 8),
    BATCH_MEMORY,
)

OPS = (
    SEQ,
    BATCH,
    Column("op", "operation", "", "block and operation, or message", "text", 9),
    Column("layers", "layers", "", "how often it runs on a token's way", "count", 8),
    Column("gflop", "compute", "GFLOP", "of one device, in all these layers", "number", 7),
    Column("mb", "memory", "MB", "read and written by one device, in all these layers", "number", 7),
    Column("intensity_flop_per_byte", "intensity", "FLOP/B", "FLOPs per byte of memory traffic", "number", 5),
    Column("compute_us", "compute", "us", "at the peak", "number", 6),
    Column("memory_us", "memory", "us", "at the bandwidth", "number", 6),
    Column("network_us", "network", "us", "on the links", "number", 6),
    Column("time_us", "time", "us", "what it adds to the step", "number", 9),
    Column("share", "share", "", "of the step's time, a fraction", "number", 8),
    LIMITED_BY._replace(meaning="the resource that takes the most of it", keep=8),
)
FORMAT = Column("format", "format", "", "of its arithmetic: whose peak is its roof", "text", 4)

ATTENTION = (
    Column("variant", "variant", "", "what was changed in the model's attention", "text", 9),
    SEQ,
    Column("kv_gb_per_seq", "KV", "GB/seq", "kept for one sequence, states included", "number", 9),
    Column("kv_mb_per_token", "KV", "MB/token", "the same over the context", "number", 7),
    Column("sdpa_gflop_per_token", "attention", "GFLOP/token", "attention, indexers and recurrent updates of one token", "number", 9),
    Column("relative_kv", "relative KV", "", "KV over that of the model as it is", "number", 8),
    Column("relative_flop", "relative FLOPs", "", "FLOPs over those of the model as it is", "number", 8),
    Column("kv_exponent", "KV grows as S^", "", "1: doubles with the context, 0: does not grow", "number", 6),
    Column("flop_exponent", "FLOPs grow as S^", "", "1: doubles with the context, 0: does not grow", "number", 6),
)

PREFILL = (
    SEQ._replace(label="new", meaning="new tokens of each sequence"),
    CACHED,
    BATCH,
    Column("ttft_ms", "first token", "ms", "time to the first token", "number", 9),
    Column("prefill_tok_s", "prefill", "tok/s", "computed tokens per second of the whole system", "number", 8),
    LIMITED_BY,
)

FLOPS = (
    SEQ,
    Column("sdpa_gflop_per_token", "attention", "GFLOP/token", "attention, indexers and recurrent updates of one token", "number", 9),
    Column("linear_gflop_per_token", "linear", "GFLOP/token", "products by weights of one token", "number", 9),
    Column("total_gflop_per_token", "total", "GFLOP/token", "of one token at this context", "number", 9),
    Column("prefill_tflop", "prefill", "TFLOP", "of a whole prompt of this length", "number", 8),
    Column("flop_limited_seq", "FLOP limited", "tokens", "context at which FLOPs alone are the limit", "count", 8),
)
