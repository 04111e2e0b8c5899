"""Columns of max-batch, interactivity, memory, prefill, frontier and plan."""

from roofcalc.report.columns.shared import (
    BATCH,
    BATCH_MEMORY,
    CACHED,
    DEGREES,
    FITS,
    GENERATION,
    INTERACTIVITY,
    JOULE_PER_TOKEN,
    KV_PER_SEQ,
    KV_TOKENS,
    LIMITED_BY,
    MAX_CONCURRENCY,
    MAX_TTFT_S,
    MIN_INTERACTIVITY,
    NEW,
    PER_DEVICE,
    SEQ,
    STEP,
    THROUGHPUT,
    TTFT,
    USD_PER_MTOK_OUT,
    WEIGHTS_GB,
)
from roofcalc.report.table import Column

MAX_BATCH = (
    SEQ,
    MIN_INTERACTIVITY,
    Column("max_batch", "max batch", "", "largest batch that fits in memory and meets the required speed", "count", 9),
    LIMITED_BY,
    BATCH_MEMORY,
    Column("batch_interactivity", "batch by speed", "", "largest batch that meets the required speed", "count", 7),
    INTERACTIVITY,
    STEP,
    THROUGHPUT,
    PER_DEVICE,
    KV_PER_SEQ,
    WEIGHTS_GB,
)

INTERACTIVITY_ROWS = (SEQ, BATCH, INTERACTIVITY, LIMITED_BY, STEP, THROUGHPUT, PER_DEVICE, FITS)

MEMORY = (
    SEQ,
    BATCH,
    WEIGHTS_GB._replace(keep=9),
    Column("kv_gb", "KV", "GB", "KV cache and recurrent state of the batch (vote: of one query), over all devices", "number", 9),
    Column("free_gb", "free", "GB", "capacity minus weights, KV cache, activations and runtime; negative where they do not fit", "number", 9),
    Column("capacity_gb", "capacity", "GB", "memory of all devices × util − reserve", "number", 8),
    FITS,
    Column("max_context", "max context", "tokens", "longest context at which this batch fits in memory", "count", 8),
    BATCH_MEMORY,
    Column("activations_gb", "activations", "GB", "activations of the engine's largest step, over all devices; 0 without an engine", "number", 4),
    Column("runtime_gb", "runtime", "GB", "the engine's context, graphs and communication buffers; 0 without an engine", "number", 4),
    KV_TOKENS,
    MAX_CONCURRENCY,
)

DRAFT_WEIGHTS = Column("draft_weights_gb", "drafter", "GB", "weights of the drafter over all devices, included in weights_gb", "number", 2)
MEMORY_OF_HOST = (
    Column("host_weights_gb", "host weights", "GB", "weights in the host's memory, over all devices", "number", 6),
    Column("tier_sessions", "kept sessions", "", "sequences of this context whose caches the tiers outside the devices keep", "number", 5),
    Column("host_kv_gb", "host KV", "GB", "KV cache of the batch in the host's memory: of the layers that it holds", "number", 4),
)

PREFILL = (
    NEW,
    CACHED,
    BATCH,
    TTFT._replace(keep=9),
    Column("prefill_tok_s", "prefill", "tok/s", "prompt tokens computed per second by the whole system", "number", 8),
    LIMITED_BY,
)

PREFILL_OF_TIER = (
    Column("fetch_ms", "fetched in", "ms", "time to fetch what is found in the host's memory or on drives; 0 where computing is sooner", "number", 5),
    Column("recompute_ms", "computed in", "ms", "time to the first token without that tier", "number", 5),
)

FRONTIER = (
    SEQ,
    *DEGREES,
    BATCH,
    INTERACTIVITY._replace(keep=9),
    PER_DEVICE._replace(keep=9),
    LIMITED_BY._replace(keep=7),
)
_OF_DECODE = {one.name for one in DEGREES} | {BATCH.name}
FRONTIER_OF_TWO = tuple(one._replace(label=f"decode {one.label}") if one.name in _OF_DECODE else one for one in FRONTIER)
FRONTIER_DISAGGREGATED = (
    TTFT._replace(keep=7),
    Column("prefill_per_decode", "prefill per decode", "", "devices of the prefill pool per device of the decode pool", "number", 8),
    Column("prefill_devices", "prefill devices", "", "devices per replica of the prefill pool", "count", 7),
    *(
        Column(f"prefill_{one.name}", f"prefill {one.label}", "", f"{one.meaning} of the prefill pool", "count", 4)
        for one in DEGREES
        if one.name != "dcp"
    ),
)

PLAN = (
    Column("devices", "devices", "", "total devices, including spares", "count", 9),
    Column("replicas", "replicas", "", "replicas of the layout, including spares", "count", 9),
    *(one for one in DEGREES if one.name != "dcp"),
    BATCH,
    INTERACTIVITY._replace(keep=9),
    TTFT._replace(keep=8),
    USD_PER_MTOK_OUT._replace(keep=7),
    LIMITED_BY._replace(keep=8),
)
PLAN_LIMITS = (SEQ._replace(keep=6), MIN_INTERACTIVITY._replace(keep=5))
PLAN_MORE = (
    Column("usd_per_hour", "cost", "USD/h", "cost of all devices per hour", "number", 6),
    Column("relief", "relief", "", "single change that adds most capacity: 10 % more of a resource, or a narrower KV dtype", "text", 5),
    Column("relief_gain", "gain", "", "fraction by which the capacity of a replica then increases", "number", 5),
)
PLAN_QUEUE = (
    Column("ttft_p95_ms", "95 % first token", "ms", "95th percentile of the time to first token, requests arriving at random times", "number", 4),
    Column(
        "busy",
        "busy",
        "",
        "required requests per second over the most that can be served with as many in flight as fit, in `plan` as are fast enough too",
        "number",
        4,
    ),
)
PLAN_TTFT_PERCENTILE = Column(
    "ttft_percentile_ms", "first token, percentile", "ms", "time to first token at the percentile that --ttft-percentile names", "number", 5
)
REQUESTS_PER_S = GENERATION[1]._replace(keep=6, meaning="required requests per second")
SPARE = Column("spare", "spare", "", "device failures tolerated; each takes down its replica", "count", 3)
COMPARE = (
    Column("devices", "devices", "", "total devices, including spares", "count", 8),
    Column("replicas", "replicas", "", "replicas of the layout, including spares", "count", 6),
    Column("users", "users", "", "sequences in flight; without a rate, the most that meet the demand", "count", 9),
    INTERACTIVITY._replace(keep=9),
    TTFT._replace(keep=8),
    USD_PER_MTOK_OUT._replace(keep=8),
    JOULE_PER_TOKEN,
    LIMITED_BY._replace(keep=8),
    Column("best", "best", "", "figures in which the row is better than all others", "text", 8),
    Column("users_ratio", "users to first", "", "users over those of the first row", "number", 5),
    Column("speed_ratio", "speed to first", "", "speed per user over that of the first row", "number", 5),
    Column("cost_ratio", "cost to first", "", "cost per output token over that of the first row", "number", 5),
    THROUGHPUT,
    Column("usd_per_hour", "cost", "USD/h", "cost of all devices per hour", "number", 4),
    Column("latency_s", "last token", "s", "mean time from arrival to last token, of the kind of request that takes longest", "number", 4),
)
PLAN_LAYOUTS = (
    Column(
        "layouts", "layouts", "", "layouts that the plan is chosen from: usual ones, or all (as asked, or where no usual one is enough)", "text", 2
    ),
    Column("least_devices", "least devices", "", "fewest devices with any layout", "count", 4),
)
LATENCY_S = Column("latency_s", "last token", "s", "mean time from arrival to last token, of the kind of request that takes longest", "number", 4)
MAX_LATENCY_S = Column("max_latency_s", "max last token", "s", "required mean time from arrival to last token", "number", 6)
GOODPUT = (
    MAX_TTFT_S,
    MIN_INTERACTIVITY,
    Column("goodput", "goodput", "", "share of the requests that meet the limits on both the time to first token and the speed", "number", 6),
)
