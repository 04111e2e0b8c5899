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
    Column("mbu", "mbu", "", "achieved fraction of memory bandwidth; in `typical` each operation's own unless given", "number", 1, "assumed"),
    Column("mfu", "mfu", "", "achieved fraction of peak FLOP/s; in `typical` each operation's own unless given", "number", 1, "assumed"),
    Column("link", "link", "", "achieved fraction of link bandwidth; in `typical` each message's own unless given", "number", 1, "assumed"),
    Column("util", "util", "", "fraction of memory that may be used", "number", 1, "assumed"),
    Column("reserve_gb", "reserve", "GB", "kept free on each device", "number", 1, "assumed"),
    Column("capacity", "capacity", "", "reading of the memory size", "text", 1, "assumed"),
    Column("kv_policy", "KV policy", "", "what windowed layers hold: their window, the engine's rule, or the whole context", "text", 1, "assumed"),
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
    Column("engine", "engine", "", "whose memory rules, and in `typical` whose exposed time and attention kernel, are meant", "text", 1, "assumed"),
    Column("memory_rules", "memory rules", "", "the release since which the rules hold that divide the memory, or none", "text", 1, "assumed"),
    Column("timings", "timings", "", "the engine whose measured times count in `typical`, or all together", "text", 1, "assumed"),
    Column("max_batched_tokens", "batched tokens", "tokens", "of the largest step", "count", 1, "assumed"),
    Column("max_seqs", "max sequences", "", "at once on each replica", "count", 1, "assumed"),
    Column("layer_overhead_us", "layer overhead", "us", "exposed time of each layer", "number", 1, "assumed"),
    Column("step_overhead_us", "step overhead", "us", "exposed time of each pass through a stage", "number", 1, "assumed"),
    Column("changes", "changes", "", "figures overridden with --set", "text", 1, "assumed"),
    Column("mix", "mix", "", "file of weighted requests", "text", 1, "assumed"),
)

SEQ = Column("seq", "context", "tokens", "tokens whose KV a sequence holds, the one being produced included", "count", 9)
NEW = SEQ._replace(label="new", meaning="new tokens of each sequence")
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
    Column("free_gb", "free", "GB", "capacity less weights, KV, activations and runtime; negative where it does not fit", "number", 9),
    Column("capacity_gb", "capacity", "GB", "memory of all devices × util, less the reserve", "number", 8),
    FITS,
    Column("max_context", "max context", "tokens", "most tokens per sequence at which this batch fits", "count", 8),
    BATCH_MEMORY,
    Column("activations_gb", "activations", "GB", "of the engine's largest step, over all devices; 0 without an engine", "number", 4),
    Column("runtime_gb", "runtime", "GB", "context, graphs and buffers of collectives of the engine, over all devices", "number", 4),
    Column("kv_tokens", "KV tokens", "tokens", "what the engine prints as its cache's size, of one data-parallel rank", "count", 5),
    Column("max_concurrency", "max concurrency", "", "sequences of this context in the cache of one data-parallel rank, not rounded", "number", 5),
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

OVERHEAD_US = Column("overhead_us", "overhead", "us", "latency of messages, and time that nothing accounts for", "number", 6)

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

DEGREES = tuple(column._replace(keep=8, role="result") for column in ASSUMED if column.name in ("tp", "pp", "dp", "ep", "dcp"))

FRONTIER = (
    SEQ,
    *DEGREES,
    BATCH,
    INTERACTIVITY._replace(keep=9),
    PER_DEVICE._replace(keep=9),
    LIMITED_BY._replace(meaning="the resource that takes the largest part of the step", keep=7),
)

FRONTIER_APART = (
    Column("ttft_ms", "first token", "ms", "prompt read by the other pool; moving its cache is not counted", "number", 7),
    Column("prefill_per_decode", "readers per decoder", "", "devices of the pool that reads prompts for each one that decodes", "number", 8),
    Column("prefill_devices", "reader devices", "", "of one replica of the pool that reads prompts", "count", 7),
    *(
        Column(f"prefill_{one.name}", f"reader {one.label}", "", f"{one.meaning} of the pool that reads prompts", "count", 4)
        for one in DEGREES
        if one.name != "dcp"
    ),
)

PLAN = (
    Column("devices", "devices", "", "to be had in all, spare ones included", "count", 9),
    Column("replicas", "replicas", "", "of the layout, spare ones included", "count", 9),
    *(one for one in DEGREES if one.name != "dcp"),
    BATCH._replace(meaning="sequences in flight over all replicas"),
    INTERACTIVITY._replace(meaning="tokens per second for each user at that batch", keep=9),
    Column("ttft_ms", "first token", "ms", "of the longest prompt, one for each data-parallel rank", "number", 8),
    Column("usd_per_mtok_out", "out", "USD/M tokens", "of all devices, over the tokens that they put out", "number", 7),
    LIMITED_BY._replace(
        meaning="what a replica would run out of first, of requests what prompts wait for where they take most of the time, or what is in the way",
        keep=8,
    ),
)

PLAN_ASKED = (
    SEQ._replace(meaning="tokens whose KV a sequence holds, on average over a mix", keep=6),
    MIN_INTERACTIVITY._replace(keep=5),
)
PLAN_MORE = (
    Column("usd_per_hour", "cost", "USD/h", "of all devices", "number", 6),
    Column("relief", "relief", "", "what would let a replica carry the most more: a tenth more of a figure, or a narrower cache", "text", 5),
    Column("relief_gain", "gain", "", "how much more, a fraction", "number", 5),
)
RATE_ASKED = Column("requests_per_s", "requests", "1/s", "asked for", "number", 6)
SPARE = Column("spare", "spare", "", "devices that may be lost, each with its replica", "count", 3)

PREFILL = (
    NEW,
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

_POINT = (
    Column("id", "point", "", "the row's own name in its file", "text", 9),
    *CASE,
    Column("tp", "tp", "", "tensor parallel degree", "count", 3),
    Column("pp", "pp", "", "pipeline parallel degree", "count", 2),
    Column("dp", "dp", "", "data parallel degree", "count", 2),
    Column("ep", "ep", "", "expert parallel degree", "count", 2),
    Column("n_devices", "devices", "", "of these the figure and the batch are, where they are a share of a larger unit", "count", 1),
    Column("isl", "prompt", "tokens", "input tokens of each request, or the context", "count", 5),
    Column("osl", "output", "tokens", "output tokens of each request", "count", 5),
    BATCH._replace(keep=6),
    Column("metric", "metric", "", "what was measured, with its unit", "text", 9),
)
VALIDATE = (
    *_POINT,
    Column("measured", "measured", "", "the published figure", "number", 9),
    Column("bound", "bound", "", "the same by the bound: no engine is faster", "number", 7),
    Column("roofline", "roofline", "", "the same by the roofline", "number", 7),
    Column("predicted", "predicted", "", "the same by the calibrated preset", "number", 8),
    Column("ratio", "predicted speed / measured", "", "1 is right, above 1 too fast", "number", 9),
    Column("roofline_ratio", "measured / roofline speed", "", "the fraction of the roofline that was reached", "number", 9),
    Column("bound_ratio", "measured / bound speed", "", "never above 1", "number", 9),
    Column("why_not", "why not", "", "why it is not compared", "text", 8),
    Column("fits_memory", "fits", "", "whether the batch fits the largest reading of the memory", "flag", 1),
    Column("bound_skewed", "bound, routed alike", "", "the bound if all tokens took the same experts", "number", 1),
    Column("bound_skewed_ratio", "measured / bound speed, routed alike", "", "never above 1", "number", 1),
    Column("source", "source", "", "who published it", "text", 1),
)
VALIDATE_SUMMARY = (
    Column("by", "by", "", "what the points have in common", "text", 9),
    Column("name", "group", "", "and which", "any", 9),
    Column("points", "points", "", "in the file", "count", 8),
    Column("compared", "compared", "", "of these", "count", 9),
    Column("beat_bound", "beat the bound", "", "points faster than the bound", "count", 9),
    Column("worst_bound_ratio", "worst measured / bound", "", "speed of the point nearest to its bound", "number", 7),
    Column("median_bound_ratio", "median measured / bound", "", "half of the points reach a smaller fraction of its speed", "number", 9),
    Column("median_roofline_ratio", "median measured / roofline", "", "half of the points reach a smaller fraction of its speed", "number", 8),
    Column("median_typical_ratio", "median measured / typical", "", "half of the points reach a smaller fraction of its speed", "number", 9),
    Column("median_error", "median error", "", "|ln(predicted speed / measured speed)|", "number", 8),
    Column("worst_error", "worst error", "", "|ln(predicted speed / measured speed)|", "number", 8),
)

_LOGGED = (
    Column("weights_gib_per_device", "weights", "GiB", "on one device", "number", 8),
    Column("kv_cache_gib_per_device", "cache", "GiB", "on one device", "number", 8),
    Column("kv_tokens", "KV tokens", "", "as the engine's log counts them", "number", 8),
    Column("max_concurrency", "max concurrency", "", "sequences of the greatest length in the cache", "number", 8),
)
VALIDATE_MEMORY = (
    Column("id", "start", "", "the row's own name in its file", "text", 9),
    Column("engine", "engine", "", "engine and release whose rules were used", "text", 9),
    *(one for one in CASE),
    *(one for one in _POINT if one.name in ("tp", "pp", "dp")),
    Column("max_model_len", "length", "tokens", "greatest length of a sequence", "count", 5),
    *(one._replace(name=f"{one.name}_logged", label=f"{one.label} logged") for one in _LOGGED),
    *_LOGGED,
    Column("activations_gib", "activations", "GiB", "calculated, on one device", "number", 4),
    Column("runtime_gib", "runtime", "GiB", "calculated, on one device", "number", 4),
    Column("weights_error", "weights error", "", "calculated / logged - 1", "number", 8),
    Column("error", "error", "", "calculated / logged - 1 of concurrency, tokens or cache, the first that both have", "number", 9),
    Column("basis", "basis", "", "memory: of what the device leaves; cache: of the logged cache, where the device is not named", "text", 6),
    Column("fits", "fits", "", "by the calculation", "flag", 9),
    Column("started", "started", "", "by the log", "flag", 9),
    Column("cause", "cause", "", "why they differ, where it can be told", "text", 7),
    Column("why_not", "why not", "", "why it is not compared", "text", 7),
    Column("source", "source", "", "who published it", "text", 1),
)
VALIDATE_MEMORY_SUMMARY = (
    Column("by", "by", "", "what the starts have in common", "text", 9),
    Column("name", "group", "", "and which", "any", 9),
    Column("points", "starts", "", "in the file", "count", 8),
    Column("compared", "compared", "", "of these by their cache", "count", 9),
    Column("median_error", "median error", "", "of concurrency, tokens or cache", "number", 9),
    Column("p90_error", "90 % within", "", "of concurrency, tokens or cache", "number", 9),
    Column("within_30", "within 30 %", "", "share of the starts", "number", 8),
    Column("of_memory", "from memory", "", "compared from what the device leaves", "count", 8),
    Column("median_error_of_memory", "median error from memory", "", "of these", "number", 9),
    Column("p90_error_of_memory", "90 % within from memory", "", "of these", "number", 9),
    Column("weights_compared", "weights compared", "", "starts with logged weights", "count", 6),
    Column("median_weights_error", "median weights error", "", "of weights on one device", "number", 8),
    Column("p90_weights_error", "90 % of weights within", "", "of weights on one device", "number", 8),
    Column("ran", "ran", "", "starts that ran", "count", 7),
    Column("ran_and_fit", "ran and fit", "", "of these fit by the calculation", "count", 7),
    Column("refused_but_fit", "refused but fit", "", "fit by the calculation, and the engine refused them", "count", 9),
)

FIT = (
    Column("mbu", "mbu", "", "achieved fraction of memory bandwidth", "number", 9),
    Column("mfu", "mfu", "", "achieved fraction of peak FLOP/s", "number", 9),
    Column("link", "link", "", "achieved fraction of link bandwidth", "number", 8),
    Column("latency_us", "latency", "us", "of each collective, besides its bytes", "number", 8),
    Column("layer_us", "layer", "us", "of each layer, that no roof accounts for", "number", 8),
    Column("step_us", "step", "us", "of each pass through a stage, that no roof accounts for", "number", 8),
    Column("points", "points", "", "fitted", "count", 7),
    Column("median_error", "median error", "", "|ln(modelled / measured time)|", "number", 7),
    Column("worst_error", "worst error", "", "|ln(modelled / measured time)|", "number", 7),
)
FIT_ASSUMED = tuple(one for one in ASSUMED if one.name not in ("mbu", "mfu", "link"))
FIT_ERRORS = tuple(
    Column(f"{one.name}_error", f"{one.label} ±", one.unit, "standard deviation; none where it was not free or cannot be told", "number", 5)
    for one in FIT
    if one.name in ("mbu", "mfu", "link", "latency_us", "layer_us", "step_us")
)
FIT_GROUP = (
    Column("by", "by", "", "what the points have in common", "text", 1),
    Column("name", "group", "", "and which", "any", 9),
)
FIT_RESIDUALS = (
    *(one for one in _POINT if one.name in ("id", "model", "hardware", "weights", "kv", "tp", "pp", "dp", "ep")),
    SEQ._replace(keep=6),
    *(one for one in _POINT if one.name in ("isl", "osl", "batch", "metric")),
    Column("measured", "measured", "", "the figure given", "number", 9),
    Column("fitted", "fitted", "", "the same with the fitted parameters", "number", 9),
    Column("ratio", "fitted speed / measured", "", "1 is right, above 1 too fast", "number", 9),
)

OVERTRAIN = (
    Column("law", "law", "", "scaling law: how loss falls with parameters and tokens", "text", 9),
    Column("params_ratio", "parameters", "", "over those of the compute-optimal model of equal loss", "number", 9),
    Column("train_flop_ratio", "training FLOPs", "", "over those of the compute-optimal model", "number", 9),
    Column("inference_flop_ratio", "inference FLOPs", "", "per token, over those of the compute-optimal model", "number", 9),
    Column("break_even_tokens", "break even", "tokens", "served before the longer training has paid for itself, in FLOPs", "number", 9),
)

_USD_PER_QUERY = Column("usd_per_query", "cost", "USD/query", "of prompt and output", "number", 9)

COST = (
    Column("prompt", "prompt", "tokens", "taken in", "count", 9),
    Column("output", "output", "tokens", "generated", "count", 9),
    MIN_INTERACTIVITY,
    BATCH._replace(meaning="most queries in flight that fit and stay fast enough"),
    Column("usd_per_mtok_in", "in", "USD/M tokens", "of the prompt's tokens", "number", 8),
    Column("usd_per_mtok_out", "out", "USD/M tokens", "of the output's tokens", "number", 9),
    _USD_PER_QUERY,
    Column("relative_cost", "relative cost", "", "of a query, over that of the first query", "number", 9),
    Column("joule_per_token", "energy", "J/token", "per output token at the machine's nominal power", "number", 7),
)
COST_API = (
    Column("api_usd_per_query", "API price", "USD/query", "what the API asks for it", "number", 8),
    Column("margin", "margin", "", "the part of the API's price beyond the hardware's hours", "number", 8),
)

VOTE = (
    Column("streams", "streams", "", "answers to one query", "count", 9),
    Column("prefix", "prefix", "tokens", "shared by the streams", "count", 9),
    Column("suffix", "suffix", "tokens", "of each stream's own", "count", 9),
    Column("kv_gb", "KV", "GB/query", "of all streams, the prefix once", "number", 7),
    Column("kv_gb_unshared", "KV unshared", "GB/query", "of all streams, each with its own prefix", "number", 6),
    Column("queries", "queries", "", "most in flight that fit and stay fast enough", "count", 9),
    _USD_PER_QUERY._replace(meaning="of all streams, and of the verifier if there is one"),
    Column("cost_multiple", "cost multiple", "", "over one stream's, each at its own largest batch", "number", 9),
    Column("cost_multiple_unshared", "unshared multiple", "", "the same if nothing were shared", "number", 8),
    Column("latency_s", "latency", "s", "from the query to its last token, or the verifier's choice", "number", 7),
)
VOTE_ACCURACY = (
    Column("pass_at_k", "pass@k", "", "chance that a stream is right", "number", 8),
    Column("majority_accuracy", "majority", "", "chance that most are right, ties half", "number", 8),
    Column("verifier_accuracy", "verifier", "", "chance that the answer which a verifier takes is right", "number", 8),
    Column("usd_per_solved", "solved", "USD", "a query's cost over the chance of a right answer", "number", 8),
)

ROLLOUTS = (
    Column("problems", "problems", "", "different prompts", "count", 8),
    Column("rollouts", "rollouts", "", "trajectories of each problem", "count", 8),
    Column("tokens", "tokens", "tokens", "of each trajectory's own", "count", 8),
    Column("shared_prefix", "shared prefix", "tokens", "of each problem, once for all its rollouts", "count", 6),
    Column("generated_tokens", "generated", "tokens", "in all, shared prefixes included", "number", 8),
    Column("generation_flop", "generation", "FLOP", "products by weights and attention", "number", 9),
    Column("verify_flop", "verification", "FLOP", "passes of verifiers and a reward model", "number", 9),
    Column("train_flop", "training", "FLOP", "on the share that is kept", "number", 9),
    Column("pretrain_flop", "pre-training", "FLOP", "of the model itself, to compare with", "number", 9),
    Column("device_hours", "device-hours", "h", "of generation, verification and training", "number", 9),
    Column("usd", "cost", "USD", "of the device-hours", "number", 9),
    Column("cpu_cores_per_device", "CPU cores", "per device", "of the system's hosts, for sandboxes", "number", 6),
)

RELIABILITY = (
    Column("devices", "devices", "", "whose errors meet a generation", "count", 9),
    Column("tokens", "tokens", "tokens", "of the generation", "count", 9),
    Column("hit_probability", "hit", "", "chance of a silent error or a failure on the way", "number", 9),
    Column("expected_lost_tokens", "lost", "tokens", "generated in vain before it gets through, on average", "number", 9),
    Column("with_votes", "with votes", "", "chance that the majority of the streams is hit, ties half", "number", 8),
)

CHECK = (
    Column("name", "check", "", "what the file calls it", "text", 9),
    Column("expected", "expected", "", "the condition on a column of the answer", "text", 9),
    Column("got", "got", "", "what speaks against it, else for it: one value, or those of the rows", "any", 9),
    Column("ok", "ok", "", "whether it holds", "flag", 9),
)
