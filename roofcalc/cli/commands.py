"""The table of commands: the function behind each, its options, its help, and examples that run."""

from typing import Literal, NamedTuple

from roofcalc.cli import options as o
from roofcalc.cli.option import Option, named

CAPACITY, ANALYSIS, ECONOMICS = "Capacity and speed", "FLOPs and operations", "Cost and quality"
MEASUREMENTS, PRESENTATION, CATALOG = "Measurements", "Formulas, charts and columns", "Catalog and CI"


class CommandSpec(NamedTuple):
    """A command.

    Attributes
    ----------
    panel : str
        Heading under which `roofcalc --help` lists it.
    summary : str
        One line in that list.
    function : str
        `module:name` of the function that answers; only the invoked command's module is imported.
    result : "table", "text", "page", "plot" or "yaml"
        What the function returns, and so the output options that are added.
    arguments : tuple of str
        Positional arguments that come before the options' values.
    failed : str
        `module:name` of a test of the table; where it is true the exit code is `failure_code`.
    """

    panel: str
    summary: str
    function: str
    options: tuple[Option, ...]
    help: str
    examples: tuple[str, ...]
    result: Literal["table", "text", "page", "plot", "yaml"] = "table"
    arguments: tuple[str, ...] = ()
    failed: str = ""
    failure_code: int = 2


_DEPLOYMENT = (*o.TENANTS, *o.PRECISION, *o.LAYOUT, *o.ASSUMPTIONS, *o.HOST, *o.WHAT_IF)
_SEARCH = (*o.TENANTS, *o.PRECISION, *o.SEARCHED_LAYOUT, *o.ASSUMPTIONS, *o.HOST, *o.WHAT_IF)

COMMANDS: dict[str, CommandSpec] = {
    "max-batch": CommandSpec(
        CAPACITY,
        "Largest batch that fits in memory and meets a per-user speed.",
        "roofcalc.commands.max_batch:max_batch",
        (o.MODEL, o.HARDWARE, o.SEQ, o.INTERACTIVITY, *o.GENERATION, o.CHUNK, o.RANGE, o.ARRIVALS, *o.CACHING, *o.SPECULATION, *_DEPLOYMENT, o.SERVE),
        "Largest batch that fits in memory and meets a per-user decode speed, and the resource that limits it. Lists and ranges cross: "
        "one row per combination.",
        (
            "roofcalc max-batch llama-3.1-405b 8xh100-sxm --weights fp8 --seq 775,7661 --interactivity 30",
            "roofcalc max-batch llama-3.1-70b,qwen2.5-72b 8xh100-sxm,8xmi300x --weights bf16,fp8 --seq 8k -f csv",
            "roofcalc max-batch llama-3.1-8b h100-sxm --seq 4k --interactivity 50 --set hardware.memory.bandwidth_gb_s=2000:4000:500",
            "roofcalc max-batch llama-3.1-70b 4xh100-sxm --weights fp8 --seq 8k --require 'max_batch>=16'",
        ),
    ),
    "from": CommandSpec(
        CAPACITY,
        "Memory and largest batch of an engine's start command.",
        "roofcalc.commands.from_command:from_command",
        (o.ENGINE_LINE, o.HARDWARE, o.SEQ, o.BATCH, *o.PRECISION, *o.ASSUMPTIONS, *o.HOST, *o.WHAT_IF),
        "Memory and the largest batch of an engine's start: the command line of vLLM, SGLang, TensorRT-LLM or llama.cpp, in quotes.",
        (
            "roofcalc from 'vllm serve Qwen/Qwen3-32B-AWQ --tensor-parallel-size 4 --max-model-len 32768 --gpu-memory-utilization 0.92' 4xl40s",
            "roofcalc from 'python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-R1 --tp 8' h200-sxm,b200-sxm",
            "roofcalc from 'llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -c 32768 -np 4 -ngl 99' rtx-4090",
        ),
    ),
    "interactivity": CommandSpec(
        CAPACITY,
        "Decode speed per user at given batches and contexts.",
        "roofcalc.commands.interactivity:interactivity",
        (
            *(o.MODEL, o.HARDWARE, o.SEQ, o.BATCHES, *o.GENERATION, o.CHUNK, o.RANGE, o.ARRIVALS, o.REQUESTS_PER_SECOND, *o.GOODPUT, *o.CACHING),
            *(*o.SPECULATION, *_DEPLOYMENT),
        ),
        "Decode speed per user (tok/s) at each batch size and context length, including batches that do not fit in memory.",
        (
            "roofcalc interactivity llama-3.1-405b 8xh100-sxm --weights fp8 --batch 32 --seq 1k:128k:x2",
            "roofcalc interactivity llama-3.1-70b h200-sxm --weights fp8 --seq 2k --batch 1,16,64 --assume bound",
            "roofcalc interactivity llama-3.1-8b h100-sxm --isl 2k --osl 500 --requests-per-second 1,5,10 --goodput --ttft 0.5",
        ),
    ),
    "memory": CommandSpec(
        CAPACITY,
        "Memory used by weights and KV cache, and the longest context that fits.",
        "roofcalc.commands.memory:memory",
        (o.MODEL, o.HARDWARE, o.SEQ, o.BATCH, o.SHARED_PREFIX, *o.SPECULATION, *_DEPLOYMENT, o.SERVE),
        "Memory used by weights and KV cache, with --engine also by activations and runtime, at each context length and batch size, and the "
        "longest context that fits.",
        (
            "roofcalc memory llama-3.1-405b 8xh100-sxm --weights fp8 --batch 32 --seq 14173,38752",
            "roofcalc memory qwen3-32b l40s,rtx-4090 --weights int4 --kv fp8 --seq 8k --util 0.9",
        ),
    ),
    "prefill": CommandSpec(
        CAPACITY,
        "Time to first token.",
        "roofcalc.commands.prefill:prefill",
        (o.MODEL, o.HARDWARE, o.NEW_TOKENS, o.CACHED, o.BATCH, o.CHUNK, o.RANGE, *o.CACHING, *_DEPLOYMENT),
        "Time to first token for --seq prompt tokens after --cached tokens that are already in the KV cache.",
        (
            "roofcalc prefill llama-3.1-70b 8xh100-sxm --weights fp8 --seq 1k:128k:x2",
            "roofcalc prefill deepseek-v3 8xh200-sxm --seq 100,10k --cached 0,100k --chunk 2k",
        ),
    ),
    "frontier": CommandSpec(
        CAPACITY,
        "Pareto frontier of throughput per device against speed per user.",
        "roofcalc.commands.frontier:frontier",
        (
            *(o.MODEL, o.HARDWARE, o.SEARCH_SEQ, o.SEARCH_BATCHES, *o.GENERATION, o.CHUNK, o.MAX_TTFT, o.ARRIVALS, *o.CACHING, *o.SPECULATION),
            *(o.SIZES, o.DISAGGREGATED, o.ALL_POINTS, *_SEARCH, o.SERVE),
        ),
        "Pareto frontier of throughput per device against decode speed per user, over layouts, batch sizes, precisions and system sizes.",
        (
            "roofcalc frontier llama-3.1-405b 8xh100-sxm --weights fp8 --kv bf16,fp8",
            "roofcalc frontier deepseek-v3 h200-sxm --devices 8:64:8 --seq 4k",
            "roofcalc frontier llama-3.1-70b 8xh100-sxm --weights fp8 --isl 4000 --osl 1000 --disaggregated",
        ),
    ),
    "plan": CommandSpec(
        CAPACITY,
        "Fewest devices, or lowest cost, that serve a load.",
        "roofcalc.commands.plan:plan",
        (
            *(o.MODEL, o.DEVICES_OR_MACHINES, o.SEARCH_SEQ, *o.GENERATION, o.CHUNK, o.BATCH, *o.LOAD, o.INTERACTIVITY, o.MAX_TTFT),
            *(o.TTFT_PERCENTILE, o.PLAN_GOODPUT, o.MAX_LATENCY, o.ARRIVALS, *o.CACHING, *o.SPECULATION, o.AVAILABLE, o.SPARE, o.LEAST, o.LAYOUTS),
            *(o.USD_PER_HOUR, *o.OWNED, o.IDLE_POWER, *_SEARCH, o.SERVE),
        ),
        "Fewest devices (or lowest cost), as replicas of one layout, that serve a load; what limits a replica, and which single change would "
        "increase its capacity most.",
        (
            "roofcalc plan llama-3.1-405b h100-sxm h200-sxm mi300x --weights fp8 --seq 8k --batch 64 --interactivity 30",
            "roofcalc plan llama-3.1-70b 8xh100-sxm --weights fp8 --isl 4000 --osl 500 --requests-per-second 20 --ttft 0.5 --spare 1",
            "roofcalc plan deepseek-v3 h200-sxm,b200-sxm --seq 8k --batch 1k --interactivity 50 --least usd",
        ),
    ),
    "compare": CommandSpec(
        CAPACITY,
        "Machines, models or precisions side by side for one demand.",
        "roofcalc.commands.compare:compare",
        (
            *(o.MODEL, o.MACHINES, o.SEARCH_SEQ, *o.GENERATION, o.CHUNK, *named(o.LOAD, "requests_per_second"), o.INTERACTIVITY, o.MAX_TTFT),
            *(o.MAX_LATENCY, *o.CACHING, *o.SPECULATION, o.USD_PER_HOUR, *o.OWNED, o.IDLE_POWER, *_DEPLOYMENT),
        ),
        "Two or more machines, models, precisions or layouts for one demand, one row each: users, speed, first token, cost, energy and what "
        "limits it, with ratios to the first row and what each is best in. With --requests-per-second, as many of each machine as plan needs.",
        (
            "roofcalc compare llama-3.1-70b 8xh100-sxm 8xh200-sxm 8xmi300x --weights fp8 --isl 2k --osl 500 --interactivity 30",
            "roofcalc compare llama-3.1-70b 4xh100-sxm --weights bf16,fp8,int4 --seq 8k",
            "roofcalc compare gpt-oss-120b,qwen3-30b-a3b h100-sxm,l40s --isl 2k --osl 500 --requests-per-second 10 --ttft 1",
        ),
    ),
    "flops": CommandSpec(
        ANALYSIS,
        "FLOPs per token and per prompt against context length.",
        "roofcalc.commands.flops:flops",
        (o.MODEL, o.OPTIONAL_HARDWARE, o.SEQ, o.BATCH, o.INTERACTIVITY, o.TTFT, *_DEPLOYMENT),
        "FLOPs per token and per prompt against context length; with hardware, the context length at which decoding becomes limited by FLOPs.",
        (
            "roofcalc flops llama-3.1-405b --seq 1k:128k:x2",
            "roofcalc flops llama-3.1-405b 8xh100-sxm --weights fp8 --batch 128 --interactivity 30",
        ),
    ),
    "ops": CommandSpec(
        ANALYSIS,
        "A decode step or prefill, operation by operation.",
        "roofcalc.commands.ops:ops",
        (o.MODEL, o.HARDWARE, o.SEQ, o.BATCH, o.PHASE, o.CACHED, o.CHUNK, o.PER_LAYER, *_DEPLOYMENT),
        "A decode step or prefill of one device, operation by operation. The times add up to the step time of `roofcalc interactivity`.",
        (
            "roofcalc ops deepseek-v3 8xh200-sxm --seq 16k --batch 64",
            "roofcalc ops llama-3.1-70b 8xh100-sxm --weights fp8 --phase prefill --seq 8k",
            "roofcalc ops gemma-3-27b h100-sxm --seq 32k --batch 8 --per-layer -f csv",
        ),
    ),
    "attention": CommandSpec(
        ANALYSIS,
        "Effect of windows, GQA, MLA, linear attention and KV quantisation.",
        "roofcalc.commands.attention:attention",
        (o.MODEL, o.SEQ, o.VARIANT, *named(o.PRECISION, "kv"), *named(o.ASSUMPTIONS, "kv_policy"), *o.WHAT_IF),
        "KV cache bytes and attention FLOPs per token against context length, for the model as published and with changed attention.",
        (
            "roofcalc attention llama-3.1-70b --seq 8k,128k --variant window=1024:5of6 --variant kv_heads=1 --variant kv=fp8",
            "roofcalc attention llama-3.1-8b --seq 1k:128k:x2 --variant linear=lightning:7of8 --variant mla=512 -f csv",
        ),
    ),
    "cost": CommandSpec(
        ECONOMICS,
        "Cost and energy per token and per query.",
        "roofcalc.commands.cost:cost",
        (
            *(o.MODEL, o.HARDWARE, o.QUERY, o.INTERACTIVITY, o.PAID_LOAD, o.USD_PER_HOUR, *o.OWNED, o.IDLE_POWER),
            *(o.API, o.PRICE_IN, o.PRICE_OUT, o.KV_AT, o.CHUNK),
            *(o.ARRIVALS, *o.CACHING, *o.SPECULATION, *_DEPLOYMENT),
        ),
        "Cost and energy per token and per query at the largest batch that fits and meets the per-user speed, at any load, with a price per "
        "hour or of owned hardware, optionally against API prices.",
        (
            "roofcalc cost llama-3.1-405b 8xh100-sxm --weights fp8 --query 140:775 --query 140:7661 --usd-per-hour 3",
            "roofcalc cost llama-3.1-70b 4xh100-sxm --weights fp8 --query 4k:500 --interactivity 20,50 --price-in 0.6 --price-out 0.9",
            "roofcalc cost llama-3.1-405b 8xh100-sxm --weights fp8 --query 140:7661,140:775 --api o1-preview,gpt-4o",
            "roofcalc cost gpt-oss-120b 8xh100-sxm --query 4k:500 --load 0.1,0.3,1 --capex 35000 --years 4 --power-price 0.12 --pue 1.3 --api gpt-4o",
        ),
    ),
    "vote": CommandSpec(
        ECONOMICS,
        "Majority voting and best-of-n: cost, latency and accuracy.",
        "roofcalc.commands.vote:vote",
        (
            *(o.MODEL, o.HARDWARE, o.STREAMS, o.PREFIX, o.SUFFIX, o.INTERACTIVITY, o.ACCURACY, o.VERIFIER, o.RECALL, o.FALSE_POSITIVE),
            *(o.USD_PER_HOUR, *o.OWNED, o.CHUNK, o.HIT_RATE, *o.SPECULATION, *_DEPLOYMENT),
        ),
        "Several answers per query (self-consistency, majority vote, best-of-n): KV cache, batch size, cost and latency of streams that share "
        "a prefix, relative to a single stream.",
        (
            "roofcalc vote llama-3.1-405b 8xh100-sxm --weights fp8 --streams 1,5 --prefix 0,1k,4k,16k --suffix 1k",
            "roofcalc vote llama-3.1-70b 4xh100-sxm --weights fp8 --streams 1,5,25 --prefix 2k --suffix 2k --accuracy 0.6 --verifier llama-3.1-8b",
        ),
    ),
    "rollouts": CommandSpec(
        ECONOMICS,
        "Reinforcement-learning rollouts: tokens, FLOPs, device-hours, cost.",
        "roofcalc.commands.rollouts:rollouts",
        (o.MODEL, o.HARDWARE, *o.ROLLOUTS, o.ROLLOUT_INTERACTIVITY, o.USD_PER_HOUR, *o.OWNED, *o.SPECULATION, *_DEPLOYMENT),
        "Tokens, FLOPs, device-hours and cost of reinforcement-learning rollouts, compared with pre-training.",
        (
            "roofcalc rollouts llama-3.1-405b dgx-h100 --weights fp8",
            "roofcalc rollouts llama-3.1-70b gb200-nvl72 --rollouts 64:4096:x4 --kept 0.1 --reward-model llama-3.1-8b --forwards-per-backward 2",
        ),
    ),
    "overtrain": CommandSpec(
        ECONOMICS,
        "Training cost and inference saving of a smaller model trained longer.",
        "roofcalc.commands.overtrain:overtrain",
        (o.LAW, o.TRAIN_FLOP_RATIO, o.PARAMS_RATIO, o.PARAMS, o.OPTIMAL_TOKENS),
        "Training FLOPs that a smaller model needs to reach the same loss as the compute-optimal one, and the inference FLOPs that it saves.",
        (
            "roofcalc overtrain --train-flop-ratio 100",
            "roofcalc overtrain --law besiroglu --params-ratio 0.25,0.5 --params 70e9 --pretrain-tokens 1.4e12",
        ),
    ),
    "reliability": CommandSpec(
        ECONOMICS,
        "Probability that a silent error or failure hits a generation.",
        "roofcalc.commands.reliability:reliability",
        (
            *(o.MODEL, o.HARDWARE, o.TOKENS, o.ERROR_RATE, o.FAILURE_RATE, o.VOTES, o.INTERACTIVITY),
            *(*o.SPECULATION, *_DEPLOYMENT),
        ),
        "Probability that a silent data error or a device failure hits a generation, and how much majority voting reduces it.",
        (
            "roofcalc reliability llama-3.1-405b 8xh100-sxm --weights fp8 --tokens 10k,100k",
            "roofcalc reliability deepseek-v3 16xh200-sxm --tokens 100k --error-rate 1e-5 --failure-rate 1e-4 --streams 3",
        ),
    ),
    "validate": CommandSpec(
        MEASUREMENTS,
        "Compare measurements with predictions.",
        "roofcalc.commands.validate:validate",
        (o.POINTS_FILE, o.SUMMARY, o.STRICT, o.LOGGED_STARTS, *named(o.ASSUMPTIONS, "profile"), *o.RUN),
        "Compare measured points of a CSV file, or of the result files of benchmark clients, with the bound, roofline and typical predictions. "
        "Exit code 3 if a point is faster than the bound: then the point, the catalog or the bound is wrong. Required columns of a CSV file: model, "
        "hardware, metric, value; empty cells are unknown. "
        "Rows that cannot be read or compared are listed and left out. "
        "With --memory the file holds logged engine starts, compared by weights and KV cache; exit code 3 if a start that the engine refused fits.",
        (
            "roofcalc validate measured.csv --summary",
            "roofcalc validate measured.csv -f csv --columns id,measured,roofline,roofline_ratio,why_not",
        ),
        failed="roofcalc.commands.validate:broken",
        failure_code=3,
    ),
    "fit": CommandSpec(
        MEASUREMENTS,
        "Fit efficiencies and overheads to measured points.",
        "roofcalc.cli.adapters:fit",
        (
            *(o.FIT_NAMES, *o.FIT, *o.PRECISION, *o.LAYOUT),
            *named(o.RUN, "engine"),
            *(*named(o.ASSUMPTIONS, "overlap", "network", "imbalance", "routing", "activations", "no_activations"), *o.WHAT_IF),
        ),
        "Fit achieved fractions of bandwidth, FLOP/s and link, latency per collective, and overhead per layer and per step to measured points "
        "(least squares of log times). Parameters that the points cannot determine stay at 1 or 0.",
        (
            "roofcalc fit measured.csv --by hardware --fix link=1,latency_us=0",
            "roofcalc fit measured.csv --fix link=1 --save-profile mine.yaml",
            "roofcalc fit llama-3.1-405b 8xh100-sxm --weights fp8 --network ideal --point seq=7661,batch=72,interactivity=30 "
            "--point seq=775,batch=368,interactivity=30",
        ),
    ),
    "report": CommandSpec(
        PRESENTATION,
        "Self-contained HTML page: charts, tables, formulas, sources.",
        "roofcalc.commands.report:report",
        (
            *(o.MODEL, o.HARDWARE, o.SEQ, o.INTERACTIVITY, *named(o.GENERATION, "isl", "osl"), o.REPORT_BATCHES, o.ARRIVALS, o.HIT_RATE),
            *(o.REQUESTS_PER_SECOND, o.MAX_TTFT, o.USD_PER_HOUR, o.REPORT_RANGE, *_DEPLOYMENT),
        ),
        "A self-contained HTML page with results, charts, tables, the formulas with numbers filled in, and the source of every catalog figure; "
        "several machines, models or precisions side by side with their cost, and with --requests-per-second a plan.",
        (
            "roofcalc report llama-3.1-405b 8xh100-sxm --weights fp8 -o report.html",
            "roofcalc report llama-3.1-70b 8xh100-sxm,8xmi300x --weights fp8 --seq 1k:64k:x4 --batch 1,32 -o report.html",
            "roofcalc report gpt-oss-120b h100-sxm,mi300x --isl 2k --osl 500 --requests-per-second 10 --assume typical -o side-by-side.html",
        ),
        result="page",
    ),
    "columns": CommandSpec(
        PRESENTATION,
        "Meaning and unit of every column.",
        "roofcalc.commands.columns:columns",
        (o.COLUMNS_OF,),
        "Name, unit and meaning of every column that a command prints, in order; without a command, of all of them.",
        ("roofcalc columns max-batch", "roofcalc columns 'hardware list' -f csv", "roofcalc columns -f md"),
    ),
    "check": CommandSpec(
        CATALOG,
        "Assertions on results, for CI, from a YAML file.",
        "roofcalc.cli.adapters:check",
        (o.CHECK_FILE, o.JUNIT),
        "Run the checks of a YAML file: `checks:` is a list of entries with a name, command, arguments, column, op and value, and optionally "
        "tolerance and rows (all, any, first). Exit code 3 if one fails.",
        ("roofcalc check serving.yaml", "roofcalc check serving.yaml --junit serving.xml -f csv"),
    ),
}
