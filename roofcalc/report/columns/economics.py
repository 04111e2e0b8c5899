"""Columns of cost, vote, rollouts, overtrain and reliability."""

from roofcalc.report.columns.shared import BATCH, JOULE_PER_TOKEN, MIN_INTERACTIVITY, USD_PER_MTOK_OUT
from roofcalc.report.table import Column

_USD_PER_QUERY = Column("usd_per_query", "cost", "USD/query", "cost of a query, with all its streams and any verifier", "number", 9)

COST = (
    Column("prompt", "prompt", "tokens", "input tokens of a query", "count", 9),
    Column("output", "output", "tokens", "output tokens of a query", "count", 9),
    MIN_INTERACTIVITY,
    BATCH,
    Column("usd_per_mtok_in", "in", "USD/M tokens", "hardware cost per million input tokens", "number", 8),
    USD_PER_MTOK_OUT,
    _USD_PER_QUERY,
    Column("relative_cost", "relative cost", "", "cost of a query relative to the first query", "number", 9),
    JOULE_PER_TOKEN,
)
COST_API = (
    Column("api_usd_per_query", "API price", "USD/query", "API price of a query", "number", 8),
    Column("margin", "margin", "", "fraction of the API price above the cost of the hardware", "number", 8),
)
COST_LOAD = (
    Column("load", "load", "", "share of the paid capacity that is used", "number", 7),
    Column("usd_per_device_hour", "device", "USD/h", "price of an hour of one device at this load", "number", 6),
)
COST_BREAK_EVEN = (
    Column(
        "break_even_tok_per_day",
        "break-even",
        "tokens/day",
        "input and output tokens per day at which the hardware costs as much as the API; empty where it costs more at full load, too",
        "number",
        8,
    ),
    Column("break_even_load", "break-even load", "", "these tokens as a share of the capacity", "number", 5),
)

VOTE = (
    Column("streams", "streams", "", "answers sampled per query", "count", 9),
    Column("prefix", "prefix", "tokens", "prompt tokens shared by the streams", "count", 9),
    Column("suffix", "suffix", "tokens", "tokens of each stream after the prefix", "count", 9),
    Column("kv_gb", "KV", "GB/query", "KV cache and recurrent state of the batch (vote: of one query), over all devices", "number", 7),
    Column("kv_gb_unshared", "KV unshared", "GB/query", "the same without prefix sharing", "number", 6),
    Column("queries", "queries", "", "most queries in flight that fit in memory and meet the required speed", "count", 9),
    _USD_PER_QUERY,
    Column("cost_multiple", "cost multiple", "", "cost relative to a single stream, each at its own largest batch", "number", 9),
    Column("cost_multiple_unshared", "unshared multiple", "", "the same without prefix sharing", "number", 8),
    Column("latency_s", "latency", "s", "from the query to its last token, or to the verifier's choice", "number", 7),
)
VOTE_ACCURACY = (
    Column("pass_at_k", "pass@k", "", "probability that at least one stream is correct", "number", 8),
    Column("majority_accuracy", "majority", "", "probability that the majority is correct; a tie counts half", "number", 8),
    Column("verifier_accuracy", "verifier", "", "probability that the answer chosen by the verifier is correct", "number", 8),
    Column("usd_per_solved", "solved", "USD", "cost of a query divided by the probability of a correct answer", "number", 8),
)

ROLLOUTS = (
    Column("problems", "problems", "", "distinct problems (prompts)", "count", 8),
    Column("rollouts", "rollouts", "", "trajectories per problem", "count", 8),
    Column("tokens", "tokens", "tokens", "tokens of one generation, after any shared prefix", "count", 8),
    Column("shared_prefix", "shared prefix", "tokens", "prompt tokens per problem, computed once for all its rollouts", "count", 6),
    Column("generated_tokens", "generated", "tokens", "all generated tokens and shared prefixes", "number", 8),
    Column("generation_flop", "generation", "FLOP", "FLOPs of generation: GEMMs and attention", "number", 9),
    Column("verify_flop", "verification", "FLOP", "FLOPs of verifier and reward-model passes", "number", 9),
    Column("train_flop", "training", "FLOP", "FLOPs of training on the fraction that is kept", "number", 9),
    Column("pretrain_flop", "pre-training", "FLOP", "FLOPs of the model's pre-training, to compare with", "number", 9),
    Column("device_hours", "device-hours", "h", "device-hours of generation, verification and training", "number", 9),
    Column("usd", "cost", "USD", "cost of the device-hours", "number", 9),
    Column("cpu_cores_per_device", "CPU cores", "per device", "CPU cores of the system's hosts per device, for sandboxes", "number", 6),
)

OVERTRAIN = (
    Column("law", "law", "", "scaling law of the training loss", "text", 9),
    Column("params_ratio", "parameters", "", "parameters relative to the compute-optimal model of equal loss", "number", 9),
    Column("train_flop_ratio", "training FLOPs", "", "training FLOPs relative to the compute-optimal model", "number", 9),
    Column("inference_flop_ratio", "inference FLOPs", "", "FLOPs per generated token relative to the compute-optimal model", "number", 9),
    Column("break_even_tokens", "break even", "tokens", "served tokens after which the smaller model has used fewer FLOPs in total", "number", 9),
)

RELIABILITY = (
    Column("devices", "devices", "", "devices whose errors affect a generation", "count", 9),
    Column("tokens", "tokens", "tokens", "tokens of one generation, after any shared prefix", "count", 9),
    Column("hit_probability", "hit", "", "probability that a silent error or failure hits the generation", "number", 9),
    Column("expected_lost_tokens", "lost", "tokens", "expected tokens lost to restarts per completed generation", "number", 9),
    Column("with_votes", "with votes", "", "probability that the majority of the streams is hit; a tie counts half", "number", 8),
)
